//! BeyondTrust Privileged Remote Access and Remote Support: syslog of the appliance, session events, session reports.
//!
//! Read from: BeyondTrust "Syslog message reference" (events, fields), "Reporting API: access session". Traps: a long
//! message comes in numbered parts; `who` holds name, login and method in one; the web interface is one login target
//! among several; the session itself names no user, only who joined it; a "customer" is the machine that is helped.

use super::stamped;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{after, between, number};
use crate::emit::{Emit, content_key};
use crate::record::{Record, Shape};
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "beyondtrust",
    title: "BeyondTrust Privileged Remote Access and Remote Support",
    row: Row::Remote,
    gives: &[
        Act::Auth,
        Act::Admin,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Posture,
        Act::Exec,
        Act::Account,
        Act::Config,
    ],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::Bytes],
    traps: &["parts", "who_is_three_things", "nobody_in_a_session"],
    manual: "BeyondTrust: Syslog message reference guide; Reporting API, access session report",
    enable: "/appliance > Security > Appliance Administration: Syslog; session events through the integration client or the Reporting API",
    general: false,
    marks: &[" BG[", ";who_ip=", ";when=", "\"jump_group\"", "\"performed_by\"", "<session lsid="],
    reader: Reader::Code { claim, parse, join: Some(join) },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => {
            find(r.body, b"\"event_type\"").is_some()
                && find(r.body, b"\"session_id\"").is_some()
                && (find(r.body, b"\"jump_group\"").is_some() || find(r.body, b"\"performed_by\"").is_some())
        }
        Shape::Text => {
            r.body.starts_with(b"<session lsid=")
                || numbered(r.body).is_some_and(|(.., rest)| {
                    r.header.program == b"BG"
                        || find(rest, b"when=").is_some() && find(rest, b"site=").is_some()
                })
        }
        _ => false,
    }
}

/// `1427:01:03:…`: message, part, parts, and the text of this part.
fn numbered(body: &[u8]) -> Option<(&[u8], u32, u32, &[u8])> {
    let head = body.get(..body.len().min(24)).unwrap_or_default();
    let mut colons = memchr::memchr_iter(b':', head);
    let (a, b, c) = (colons.next()?, colons.next()?, colons.next()?);
    let (id, part, parts) = (head.get(..a)?, head.get(a + 1..b)?, head.get(b + 1..c)?);
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    if !digits(id) || !digits(part) || !digits(parts) || part.len() > 3 || parts.len() > 3 {
        return None;
    }
    let n = |t| u32::try_from(number(t)).unwrap_or(0);
    Some((id, n(part), n(parts), body.get(c + 1..)?))
}

/// The parts of one message make one; the head of the first stays.
fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (n, (_, part)) in parts.iter().enumerate() {
        // Where the numbers stand behind the header.
        let at = find(part, b"]: ").map_or(0, |n| n + 3);
        let body = part.get(at..).unwrap_or_default();
        if n == 0 {
            out.extend_from_slice(part.get(..at).unwrap_or_default());
            out.extend_from_slice(b"0:01:01:");
        }
        out.extend_from_slice(numbered(body).map_or(body, |(.., rest)| rest));
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return session_event(r, out);
    }
    if r.body.starts_with(b"<session lsid=") {
        return report(r, out);
    }
    let Some((id, part, parts, rest)) = numbered(r.body) else { return Parsed::NotMine };
    if parts > 1 && !r.joined {
        let mut key = content_key(id);
        for piece in [r.header.host, r.header.pid] {
            key = key.rotate_left(17) ^ content_key(piece);
        }
        return Parsed::Fragment(Fragment { key, part: part.saturating_sub(1), parts, last: part == parts });
    }
    message(r, rest, out)
}

/// `key=value;key=value`, where `\;` does not end a value.
fn field<'a>(text: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|t| find(t, name)).map(|n| n + from) {
        let end = at + name.len();
        from = end;
        let starts = at == 0 || text.get(at - 1) == Some(&b';');
        if !starts || text.get(end) != Some(&b'=') {
            continue;
        }
        let value = text.get(end + 1..).unwrap_or_default();
        let mut stop = 0;
        while let Some(n) = value.get(stop..).and_then(|t| memchr::memchr(b';', t)) {
            stop += n;
            if stop == 0 || value.get(stop - 1) != Some(&b'\\') {
                return value.get(..stop).unwrap_or_default();
            }
            stop += 1;
        }
        return value;
    }
    b""
}

/// `Anna Schmidt (anna@corp) using saml`: the login and how it was checked.
fn who(text: &[u8]) -> (&[u8], &[u8]) {
    let (name, method) = match memchr::memmem::rfind(text, b" using ") {
        Some(n) => (text.get(..n).unwrap_or_default(), text.get(n + 7..).unwrap_or_default()),
        None => (text, &b""[..]),
    };
    let login = name
        .strip_suffix(b")")
        .and_then(|n| memchr::memrchr(b'(', n).and_then(|open| n.get(open + 1..)))
        .unwrap_or(name);
    (login, method)
}

fn message(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let event = field(text, b"event");
    if event.is_empty() {
        return Parsed::Broken(Why::Missing("event"));
    }
    let (user, method) = who(field(text, b"who"));
    let target = field(text, b"target");
    let ends = |end: &[u8]| event.ends_with(end);
    let (act, change) = match event {
        b"login" if target.starts_with(b"web/appliance") => (Act::Admin, Change::None),
        b"login" => (Act::Auth, Change::None),
        b"logout" => (Act::SessionEnd, Change::None),
        b"user_added" | b"local_user_added" => (Act::Account, Change::AccountCreated),
        b"user_removed" => (Act::Account, Change::AccountDeleted),
        b"user_changed" if !field(text, b"password").is_empty() => (Act::Account, Change::PasswordReset),
        b"user_changed" => (Act::Account, Change::RoleGranted),
        b"api_account_added" => (Act::Account, Change::KeyCreated),
        b"change_password" | b"admin_password_reset_to_factory_default" => {
            (Act::Account, Change::PasswordReset)
        }
        b"backup_created" => (Act::Config, Change::ConfigExported),
        b"syslog_server_removed" => (Act::Config, Change::LoggingStopped),
        e if e.starts_with(b"account_checked_out") || e.starts_with(b"vault_account_checked_out") => {
            (Act::Account, Change::CredentialAccess)
        }
        e if find(e, b"policy").is_some() || find(e, b"security").is_some() || e == b"setting_changed" => {
            (Act::Config, Change::PolicyChanged)
        }
        _ if ends(b"_added") || ends(b"_changed") || ends(b"_removed") => {
            (Act::Config, Change::ConfigChanged)
        }
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let status = field(text, b"status");
    let failed = status.starts_with(b"fail") || status == b"denied";
    let reason = field(text, b"reason");
    let named = [&b"username"[..], b"old_username", b"name", b"old_name"]
        .iter()
        .map(|k| field(text, k))
        .find(|v| !v.is_empty())
        .unwrap_or_default();
    let changes = matches!(act, Act::Account | Act::Config);
    let has = |needle: &[u8]| find(reason, needle).is_some();
    out.event(act, if failed { Outcome::Failure } else { Outcome::Success })
        .at(stamped(r, field(text, b"when")))
        .service(if changes || act == Act::Admin { Service::Management } else { Service::Bastion })
        .user(user)
        .source(field(text, b"who_ip"))
        .observer(field(text, b"site"))
        .group(target)
        .target(if changes { named } else { b"" })
        .change(change)
        .detail(if changes { event } else { b"" })
        .method(match method {
            b"password" => Method::Password,
            b"saml" | b"oidc" => Method::Saml,
            b"kerberos" => Method::Kerberos,
            b"ldap" | b"radius" => Method::Password,
            _ => Method::Unknown,
        })
        .reason(match (act, failed) {
            (Act::SessionEnd, _) => Reason::Logout,
            (_, false) => Reason::None,
            _ if has(b"lock") => Reason::Locked,
            _ if has(b"disabled") => Reason::Disabled,
            _ if has(b"expired") => Reason::Expired,
            _ if has(b"network") || has(b"schedule") => Reason::Policy,
            _ => Reason::BadPassword,
        })
        .flag_if(target == b"web/api", Flags::NON_INTERACTIVE)
        .flag_if(act != Act::Auth && act != Act::SessionEnd, Flags::PRIVILEGED)
        .done()
}

const N: usize = 12;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "timestamp",
        "event_type",
        "session_id",
        "jump_group.name",
        "performed_by.type",
        "performed_by.name",
        "destination.type",
        "destination.name",
        "data.state",
        "data.text",
        "data.public_ip",
        "data.action_name",
    ])
});

fn session_event(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let person = v[4].is(b"representative");
    let machine = v[4].is(b"customer");
    let joins = v[8].is(b"connected") || v[1].is(b"Conference Member Added");
    let (act, detail) = match v[1].bytes() {
        // A session begins with the machine; it is somebody's when a representative comes in.
        b"Session Start" => (Act::Posture, Value::Missing),
        b"Session End" => (Act::SessionEnd, Value::Missing),
        b"Conference Member Added" | b"Conference Member State Changed" if person && joins => {
            (Act::SessionStart, Value::Missing)
        }
        b"Remote Shell Event" | b"Command Shell Event" | b"Shell Command" => (Act::Exec, v[9]),
        b"Special Action Executed" => (Act::Exec, v[11]),
        b"" => return Parsed::Broken(Why::Missing("event_type")),
        _ if person || machine => (Act::Posture, v[1]),
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    let user = if person || machine && act != Act::Exec { v[5].text() } else { b"".into() };
    let host = if machine {
        v[5].text()
    } else if v[6].is(b"customer") {
        v[7].text()
    } else {
        b"".into()
    };
    out.event(act, if act == Act::Posture { Outcome::Unknown } else { Outcome::Success })
        .at(stamped(r, v[0].bytes()))
        .service(Service::Bastion)
        .user(&user)
        .source(v[10].bytes())
        .host(&host)
        .sid(v[2].bytes())
        .group(&v[3].text())
        .detail(&detail.text())
        .reason(if act == Act::SessionEnd { Reason::Logout } else { Reason::None })
        .done()
}

/// One session of the report that the appliance gives out: `<session lsid="…"><start_time timestamp="…">…`.
fn report(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body;
    let inner = |from: &'_ [u8], name: &[u8]| -> Vec<u8> {
        let Some(at) = find(from, name) else { return Vec::new() };
        let rest = from.get(at + name.len()..).unwrap_or_default();
        let Some(open) = memchr::memchr(b'>', rest) else { return Vec::new() };
        let value = rest.get(open + 1..).unwrap_or_default();
        value.get(..memchr::memchr(b'<', value).unwrap_or(value.len())).unwrap_or_default().to_vec()
    };
    let lsid = between(text, b"lsid=\"", b"\"").unwrap_or_default();
    let begun = between(text, b"<start_time timestamp=\"", b"\"").unwrap_or_default();
    let ended = between(text, b"<end_time timestamp=\"", b"\"").unwrap_or_default();
    if begun.is_empty() {
        return Parsed::Broken(Why::Missing("start_time"));
    }
    let helper = after(text, b"<representative ", b"</representative>").unwrap_or_default();
    let helped = after(text, b"<customer ", b"</customer>").unwrap_or_default();
    let mut user = inner(helper, b"<username");
    if user.is_empty() {
        user = inner(helper, b"<display_name");
    }
    let (source, host) = (inner(helper, b"<public_ip"), inner(helped, b"<hostname"));
    let group = inner(text, b"<jump_group");
    let mut told = Parsed::Irrelevant(Kind::OtherMessage);
    for (act, at) in [(Act::SessionStart, begun), (Act::SessionEnd, ended)] {
        if at.is_empty() {
            continue;
        }
        let length = number(ended).saturating_sub(number(begun));
        let end = act == Act::SessionEnd;
        told = out
            .event(act, Outcome::Success)
            .at(stamped(r, at))
            .service(Service::Bastion)
            .user(&user)
            .source(&source)
            .host(&host)
            .sid(lsid)
            .group(&group)
            .duration_s(if end { u32::try_from(length).unwrap_or(0) } else { 0 })
            .reason(if end { Reason::Logout } else { Reason::None })
            .done();
    }
    told
}
