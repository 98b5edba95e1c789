//! Cloudflare Access: login events of Zero Trust applications, by Logpush and API, and the account's audit log.
//!
//! Read from: Cloudflare Logpush datasets "Access requests", "Audit Logs", "Audit Logs V2"; API "Access requests".
//! Traps: a denied request with a mail address passed the identity provider and not the policy; without one it is a
//! service token; addresses of the audit log are mapped ones; actions are named in two ways.

use super::{outcome, stamped_utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "cloudflare_access",
    title: "Cloudflare Access and account audit log",
    row: Row::Remote,
    gives: &[Act::Auth, Act::SessionEnd, Act::Admin, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::Host, Field::Bytes],
    traps: &["denied_by_policy", "service_tokens", "audit_v2"],
    manual: "Cloudflare: Logpush datasets access_requests, audit_logs, audit_logs_v2",
    enable: "Logpush jobs of the account for access_requests and audit_logs_v2",
    general: false,
    marks: &["\"AppDomain\"", "\"app_domain\"", "\"ActorIP\"", "\"ActorIPAddress\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let has = |needle: &[u8]| find(r.body, needle).is_some();
    r.shape == Shape::Json
        && (has(b"\"AppDomain\"") && has(b"\"Allowed\"")
            || has(b"\"app_domain\"") && has(b"\"allowed\"")
            || has(b"\"ActionType\"")
                && (has(b"\"ActorIP\"") && has(b"\"When\"")
                    || has(b"\"ActorIPAddress\"") && has(b"\"AuditLogID\"")))
}

const N: usize = 19;
static ACCESS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "Action",
        "Allowed",
        "AppDomain",
        "Connection",
        "Country",
        "CreatedAt",
        "Email",
        "IPAddress",
        "RayID",
        "UserUID",
        "action",
        "allowed",
        "app_domain",
        "connection",
        "country",
        "created_at",
        "user_email",
        "ip_address",
        "ray_id",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if find(r.body, b"\"ActionType\"").is_some() {
        return audit(r, out);
    }
    let Ok(v) = ACCESS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let or = |a: usize, b: usize| -> Value<'_> {
        match (v.get(a), v.get(b)) {
            (Some(x), _) if !x.is_missing() => *x,
            (_, Some(y)) => *y,
            _ => Value::Missing,
        }
    };
    let email = or(6, 16);
    let action = or(0, 10).bytes();
    let Some(allowed) = or(1, 11).truth() else { return Parsed::Broken(Why::Missing("Allowed")) };
    let somebody = !email.bytes().is_empty();
    let connection = or(3, 13).bytes();
    let (act, result) = match (action, allowed) {
        (b"logout", _) => (Act::SessionEnd, Outcome::Success),
        (_, true) => (Act::Auth, Outcome::Success),
        (_, false) if somebody => (Act::Auth, Outcome::BlockedAfterPassword),
        (_, false) => (Act::Auth, Outcome::Failure),
    };
    let code = connection == b"onetimepin";
    out.event(act, result)
        .at(stamped_utc(r, or(5, 15).bytes()))
        .service(Service::Ztna)
        .user(&email.text())
        .source(or(7, 17).bytes())
        .group(&or(2, 12).text())
        .country(or(4, 14).bytes())
        .method(match connection {
            b"" | b"nonidentity" | b"service_token" => Method::Token,
            b"onetimepin" => Method::Unknown,
            _ => Method::Saml,
        })
        .factor(if code { Factor::Email } else { Factor::None })
        .mfa(if code || !somebody || act != Act::Auth || !allowed { Mfa::Unknown } else { Mfa::Delegated })
        .reason(match (act, allowed) {
            (Act::SessionEnd, _) => Reason::Logout,
            (_, true) => Reason::None,
            _ => Reason::Policy,
        })
        .flag_if(!somebody, Flags::NON_INTERACTIVE)
        .done()
}

const M: usize = 16;
static AUDIT: LazyLock<Paths<M>> = LazyLock::new(|| {
    Paths::new([
        "ActionType",
        "ActionResult",
        "ActorEmail",
        "ActorIP",
        "ActorType",
        "When",
        "ResourceType",
        "ResourceID",
        "Interface",
        "ActionTimestamp",
        "ActorIPAddress",
        "ActionDescription",
        "ResourceProduct",
        "ActorContext",
        "NewValue.email",
        "Metadata.actor_email",
    ])
});

/// `login`, `member_add`, `token_create`, `rule_update`, …: the older log names the thing before or after the verb.
fn audit(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = AUDIT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (action, thing) = (v[0].text(), v[6].text());
    let told = v[11].text();
    let is = |word: &[u8]| {
        find(&action, word).is_some() || find(&thing, word).is_some() || find(&told, word).is_some()
    };
    // A boolean in the one, a word in the other.
    let result = v[1].bytes();
    let ok = !(result == b"false" || find(result, b"ail").is_some());
    let made = is(b"create") || is(b"add") || is(b"invite") || is(b"issue") || is(b"roll") || is(b"rotate");
    let gone = is(b"delete") || is(b"remove") || is(b"revoke");
    let (act, change) = if action.starts_with(b"login") || action.starts_with(b"Login") || is(b"user_login") {
        (Act::Admin, Change::None)
    } else if action.starts_with(b"logout") || action.as_ref() == b"view" {
        return Parsed::Irrelevant(Kind::RoutineUse);
    } else if is(b"member") && made {
        (Act::Account, Change::AdminCreated)
    } else if is(b"member") && gone {
        (Act::Account, Change::AccountDeleted)
    } else if is(b"two_factor") || is(b"tfa") || is(b"2fa") || is(b"totp") {
        (Act::Account, if gone || is(b"disable") { Change::FactorRemoved } else { Change::FactorEnrolled })
    } else if (is(b"token") || is(b"API_key") || is(b"api_key") || is(b"service_auth")) && made {
        (Act::Account, Change::KeyCreated)
    } else if is(b"password") || is(b"email_change") || is(b"change_email") {
        (Act::Account, Change::PasswordReset)
    } else if (is(b"logpush") || thing.as_ref() == b"logpush job") && gone {
        (Act::Config, Change::LoggingStopped)
    } else if is(b"access.") || is(b"policy") || is(b"identity_provider") || is(b"rule") || is(b"firewall") {
        (Act::Config, Change::PolicyChanged)
    } else {
        (Act::Config, Change::ConfigChanged)
    };
    let stamp = if v[5].is_missing() { v[9] } else { v[5] };
    let ip = if v[3].is_missing() { v[10] } else { v[3] };
    let email = if v[2].bytes().is_empty() { v[15] } else { v[2] };
    let person = v[4].is(b"user") || v[4].is(b"account") || v[4].is_missing();
    let member = v[14].text();
    let resource = v[7].text();
    out.event(act, outcome(ok))
        .at(stamped_utc(r, stamp.bytes()))
        .service(Service::Management)
        .user(&email.text())
        .source(ip.bytes())
        .target(match act {
            Act::Admin => b"",
            _ if !member.is_empty() => &member,
            _ => &resource,
        })
        .detail(if act == Act::Admin { b"" } else { &action })
        .group(&thing)
        .client(if v[8].is_missing() { v[13].bytes() } else { v[8].bytes() })
        .change(change)
        .reason(if ok { Reason::None } else { Reason::Other })
        .flag(Flags::PRIVILEGED)
        .flag_if(!person, Flags::NON_INTERACTIVE)
        .done()
}
