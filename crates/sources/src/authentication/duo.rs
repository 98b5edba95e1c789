//! Duo Security: authentication log (API versions 1 and 2, Duo Log Sync), administrator and activity log, Trust Monitor,
//! and the Authentication Proxy's `authevents.log` and `authproxy.log`.
//!
//! Read from: Duo Admin API "Logs"; Authentication Proxy reference. Traps: one event has two positions, that of the device
//! that logs in and that of the telephone that approves: only the first is the source; `success` may mean that nobody was
//! asked (bypass, trusted network, remembered device); in the text of the proxy the address in front is the gateway.

use super::utc;
use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{after, between};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "duo",
    title: "Duo Security",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Admin, Act::Config, Act::Account, Act::Alert],
    lacks: &[Field::TunnelIp, Field::SessionId, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["two_positions", "nobody_was_asked", "proxy_text"],
    manual: "Duo Admin API: Logs; Duo Authentication Proxy Reference",
    enable: "Admin API application with \"Grant read log\", fetched by Duo Log Sync; in authproxy.cfg log_auth_events=true",
    general: false,
    marks: &[
        "\"access_device\"",
        "\"isotimestamp\"",
        "\"activity_id\"",
        "\"telephony_id\"",
        "\"telephony_log\"",
        "\"server_section\"",
        "\"surfaced_auth\"",
        "Duo",
        "duoauthproxy",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let has = |needle: &[u8]| find(r.body, needle).is_some();
    if r.shape != Shape::Json {
        // What stands in brackets may have been taken for the host.
        let head = &r.raw[..r.raw.len().min(120)];
        return r.header.program == b"duoauthproxy"
            || r.header.program == b"authproxy"
            || find(head, b"[duoauthproxy").is_some()
            || find(head, b"[DuoForwardServer").is_some()
            || has(b"Duo authentication returned '");
    }
    has(b"\"access_device\"") && (has(b"\"txid\"") || has(b"\"factor\"") || has(b"\"activity_id\""))
        || has(b"\"isotimestamp\"") && has(b"\"action\"")
        || has(b"\"surfaced_auth\"")
        || has(b"\"telephony_id\"") && has(b"\"credits\"")
        || has(b"\"telephony_log\"")
        || has(b"\"server_section\"") && has(b"\"auth_stage\"")
}

static PATHS: LazyLock<Paths<30>> = LazyLock::new(|| {
    Paths::new([
        "isotimestamp",
        "timestamp",
        "user.name",
        "username",
        "access_device.ip",
        "ip",
        "access_device.location.country",
        "location.country",
        "access_device.location.city",
        "location.city",
        "access_device.browser",
        "access_device.hostname",
        "auth_device.name",
        "device",
        "auth_device.ip",
        "application.name",
        "integration",
        "factor",
        "reason",
        "result",
        "event_type",
        "eventtype",
        "email",
        "txid",
        "action",
        "action.name",
        "telephony_id",
        "surfaced_auth",
        "server_section",
        "access_device.epkey",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape != Shape::Json {
        return proxy_text(r, out);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if !v[26].is_missing() || v[21].is(b"telephony_log") || v[21].is(b"telephony") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if !v[28].is_missing() {
        return proxy_event(r, out);
    }
    if !v[27].is_missing() {
        return trust_monitor(r, v[27].nested(), out);
    }
    if !v[24].is_missing() {
        return administrator(r, v[24], v[25], out);
    }
    authentication(r, &v, out)
}

fn stamp(r: &Record<'_>, iso: Value<'_>, epoch: Value<'_>) -> Option<(EventTime, Certainty)> {
    if !iso.is_missing() {
        return utc(r, iso.bytes());
    }
    utc(r, epoch.bytes())
}

fn first<'a>(all: &[Value<'a>]) -> Value<'a> {
    all.iter().copied().find(|x| !x.bytes().is_empty()).unwrap_or_default()
}

fn authentication(r: &Record<'_>, v: &[Value<'_>; 30], out: &mut Emit<'_>) -> Parsed {
    let at = stamp(r, v[0], v[1]);
    let user = first(&[v[2], v[3], v[22]]).text();
    let source = first(&[v[4], v[5]]).bytes();
    let group = first(&[v[15], v[16]]).text();
    let phone = first(&[v[12], v[13]]).text();
    if v[20].is(b"enrollment") || v[21].is(b"enrollment") {
        return out
            .event(Act::Account, Outcome::Success)
            .at(at)
            .identity(v[23].bytes())
            .service(Service::Idp)
            .user(&user)
            .target(&user)
            .source(source)
            .group(&group)
            .change(Change::FactorEnrolled)
            .factor(factor(v[17].bytes()))
            .detail(b"enrollment")
            .done();
    }
    let said = v[18].text();
    let (mut outcome, mut reason) = match v[19].bytes() {
        b"success" | b"SUCCESS" => (Outcome::Success, Reason::None),
        b"fraud" | b"FRAUD" => (Outcome::Failure, Reason::Fraud),
        b"" => return Parsed::Broken(Why::Missing("result")),
        _ => (Outcome::Failure, why(&said)),
    };
    if matches!(&*said, b"user_cancelled" | b"User cancelled") {
        (outcome, reason) = (Outcome::Interrupt, Reason::None);
    }
    let ok = outcome == Outcome::Success;
    let (mut mfa, mut factor) = (if ok { Mfa::Yes } else { Mfa::Unknown }, factor(v[17].bytes()));
    let mut bypass = false;
    match &*said {
        b"bypass_user" | b"allow_unenrolled_user" | b"Bypass user" | b"Allow unenrolled user" if ok => {
            (mfa, bypass) = (Mfa::No, true);
        }
        b"trusted_network" | b"trusted_location" | b"allowed_by_policy" | b"Trusted network" if ok => {
            mfa = Mfa::No
        }
        b"remembered_device" | b"Remembered device" if ok => {
            (mfa, factor) = (Mfa::Claimed, Factor::Remembered);
        }
        _ => {}
    }
    bypass |= ok && factor == Factor::BypassCode;
    // Duo's own single sign-on checks the password as well: there the approval is the whole login.
    let whole = find(&group, b"Single Sign-On").is_some() || find(&group, b"Duo Central").is_some();
    let device = first(&[v[11], v[29]]).text();
    let detail = if v[14].bytes().is_empty() || v[14].bytes() == source { &*said } else { v[14].bytes() };
    out.event(if whole { Act::Auth } else { Act::Mfa }, outcome)
        .at(at)
        .identity(v[23].bytes())
        .service(Service::Idp)
        .user(&user)
        .target(&phone)
        .source(source)
        .client(&v[10].text())
        .device(&device)
        .group(&group)
        .detail(detail)
        .reason(reason)
        .mfa(mfa)
        .factor(factor)
        .country(super::country(first(&[v[6], v[7]]).bytes()))
        .city(&first(&[v[8], v[9]]).text())
        .flag_if(bypass, Flags::MFA_BYPASS)
        .flag_if(&*said == b"anomalous_push" || reason == Reason::Fraud, Flags::RISKY)
        .done()
}

fn why(said: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(said, needle).is_some();
    match said {
        b"locked_out" | b"Locked out" => Reason::Locked,
        b"user_disabled" | b"User disabled" => Reason::Disabled,
        b"deny_unenrolled_user" | b"Deny unenrolled user" | b"user_not_in_permitted_group" => {
            Reason::NotAllowed
        }
        b"no_response" | b"No response" | b"call_timed_out" | b"Call timed out" | b"no_keys_pressed"
        | b"No keys pressed" => Reason::MfaTimeout,
        b"user_marked_fraud" | b"User marked fraud" => Reason::Fraud,
        b"error" | b"Error" | b"" => Reason::Other,
        b"user_denied" | b"User denied" | b"Login request denied" => Reason::MfaDenied,
        b"anomalous_push" => Reason::Policy,
        _ if has(b"asscode") || has(b"verification_code") => Reason::MfaFailed,
        _ if has(b"restricted") || has(b"polic") || has(b"anonymous_ip") || has(b"location") => {
            Reason::Policy
        }
        _ if has(b"certificate") => Reason::Certificate,
        _ if has(b"endpoint")
            || has(b"device")
            || has(b"screen_lock")
            || has(b"encryption")
            || has(b"out_of_date")
            || has(b"touch_id") =>
        {
            Reason::Posture
        }
        _ => Reason::Other,
    }
}

fn factor(named: &[u8]) -> Factor {
    let is = |name: &[u8]| named.eq_ignore_ascii_case(name);
    if is(b"duo_push") || is(b"Duo Push") || is(b"push") {
        Factor::Push
    } else if is(b"verified_duo_push") || is(b"Verified Duo Push") {
        Factor::NumberMatch
    } else if is(b"phone_call") || is(b"Phone Call") || is(b"phone") {
        Factor::Voice
    } else if is(b"sms_passcode") || is(b"SMS Passcode") || is(b"sms_refresh") || is(b"sms") {
        Factor::Sms
    } else if is(b"bypass_code") || is(b"Bypass Code") {
        Factor::BypassCode
    } else if is(b"hardware_token") || is(b"Hardware Token") || named.starts_with(b"yubikey") {
        Factor::HardwareToken
    } else if is(b"remembered_device") || is(b"Remembered Device") {
        Factor::Remembered
    } else if find(named, b"ebAuthn").is_some()
        || find(named, b"webauthn").is_some()
        || find(named, b"ecurity").is_some()
        || find(named, b"u2f").is_some()
        || find(named, b"asskey").is_some()
        || find(named, b"platform").is_some()
    {
        Factor::Fido2
    } else if find(named, b"asscode").is_some() || is(b"digipass_go_7_token") {
        Factor::Totp
    } else if named.is_empty() || is(b"not_available") || is(b"n/a") || is(b"trusted_network") {
        Factor::None
    } else {
        Factor::Other
    }
}

static ADMIN: LazyLock<Paths<13>> = LazyLock::new(|| {
    Paths::new([
        "isotimestamp",
        "timestamp",
        "ts",
        "username",
        "actor.name",
        "object",
        "target.name",
        "description",
        "action.details",
        "access_device.ip",
        "activity_id",
        "outcome.result",
        "access_device.ip.address",
    ])
});
static SAID: LazyLock<Paths<6>> =
    LazyLock::new(|| Paths::new(["ip_address", "email", "factor", "error", "status", "role"]));

fn administrator(r: &Record<'_>, action: Value<'_>, named: Value<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = ADMIN.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let action = first(&[named, action]).bytes();
    let described = first(&[v[7], v[8]]);
    let described: Cow<'_, [u8]> = match described {
        Value::Text(_) => described.text(),
        _ => Cow::Borrowed(first_nested(&[v[7], v[8]])),
    };
    let s = SAID.pick(&described).unwrap_or_default();
    let has = |needle: &[u8]| find(action, needle).is_some();
    let person = first(&[v[3], v[4]]);
    let user = if person.bytes().is_empty() { s[1] } else { person };
    let source = first(&[s[0], v[12], v[9]]).bytes();
    let at = if v[2].is_missing() { stamp(r, v[0], v[1]) } else { utc(r, v[2].bytes()) };
    let denied = find(s[3].bytes(), b"denied").is_some();
    let fraud = find(s[3].bytes(), b"raud").is_some();
    let login = match action {
        b"admin_login" => Some((Outcome::Success, Reason::None)),
        b"admin_login_error" | b"admin_login_failure" => Some((Outcome::Failure, Reason::Other)),
        b"admin_2fa_error" => Some((
            Outcome::BlockedAfterPassword,
            match (fraud, denied) {
                (true, _) => Reason::Fraud,
                (_, true) => Reason::MfaDenied,
                _ => Reason::MfaFailed,
            },
        )),
        _ => None,
    };
    if let Some((outcome, reason)) = login {
        let ok = outcome == Outcome::Success;
        return out
            .event(Act::Admin, outcome)
            .at(at)
            .identity(v[10].bytes())
            .service(Service::Management)
            .user(&user.text())
            .source(source)
            .reason(reason)
            .mfa(if ok && !s[2].bytes().is_empty() { Mfa::Yes } else { Mfa::Unknown })
            .factor(factor(s[2].bytes()))
            .detail(&s[3].text())
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let status = s[4].bytes();
    let (act, change) = match action {
        b"bypass_create" => (Act::Account, Change::FactorEnrolled),
        b"bypass_delete" => return Parsed::Irrelevant(Kind::OtherMessage),
        b"bypass_view" | b"integration_skey_view" | b"integration_skey_bulk_view" => {
            (Act::Account, Change::CredentialAccess)
        }
        b"user_create" | b"user_import" | b"user_bulk_enroll" => (Act::Account, Change::AccountCreated),
        b"user_delete" | b"user_pending_deletion" => (Act::Account, Change::AccountDeleted),
        b"user_restore" | b"user_not_pending_deletion" => (Act::Account, Change::AccountEnabled),
        b"user_lock_out_update" | b"user_lockout" => (Act::Account, Change::AccountLocked),
        b"user_update" | b"user_bulk_update" if status.eq_ignore_ascii_case(b"bypass") => {
            (Act::Account, Change::FactorRemoved)
        }
        b"user_update" | b"user_bulk_update" if status.eq_ignore_ascii_case(b"disabled") => {
            (Act::Account, Change::AccountDisabled)
        }
        b"user_update" | b"user_bulk_update" if status.eq_ignore_ascii_case(b"active") => {
            (Act::Account, Change::AccountEnabled)
        }
        b"phone_create"
        | b"phone_associate"
        | b"hardtoken_associate"
        | b"u2ftoken_create"
        | b"webauthncredential_create"
        | b"user_send_enrollment_email"
        | b"activation_set"
        | b"activation_create_link" => (Act::Account, Change::FactorEnrolled),
        b"phone_delete"
        | b"phone_disassociate"
        | b"hardtoken_disassociate"
        | b"u2ftoken_delete"
        | b"webauthncredential_delete" => (Act::Account, Change::FactorRemoved),
        b"admin_create" | b"admin_activate_create" => (Act::Account, Change::AdminCreated),
        b"admin_delete" => (Act::Account, Change::AccountDeleted),
        b"admin_update" if !s[5].bytes().is_empty() => (Act::Account, Change::RoleGranted),
        b"admin_reset_password" | b"admin_send_reset_password_email" => (Act::Account, Change::PasswordReset),
        b"integration_create" | b"application_install" => (Act::Account, Change::KeyCreated),
        _ if has(b"policy")
            || has(b"factor_restriction")
            || has(b"single_sign_on")
            || has(b"customer_update") =>
        {
            (Act::Config, Change::PolicyChanged)
        }
        _ if has(b"integration_") || has(b"directory") || has(b"group_") => {
            (Act::Config, Change::ConfigChanged)
        }
        _ => (Act::Posture, Change::None),
    };
    let code = action == b"bypass_create";
    let exempt = change == Change::FactorRemoved && status.eq_ignore_ascii_case(b"bypass");
    let failed = v[11].is(b"FAILURE") || v[11].is(b"failure");
    out.event(act, if failed { Outcome::Failure } else { Outcome::Success })
        .at(at)
        .identity(v[10].bytes())
        .service(Service::Idp)
        .user(&user.text())
        .target(&first(&[v[5], v[6]]).text())
        .source(source)
        .detail(action)
        .change(change)
        .factor(if code { Factor::BypassCode } else { Factor::None })
        .flag_if(code || exempt, Flags::MFA_BYPASS)
        .done()
}

fn first_nested<'a>(all: &[Value<'a>]) -> &'a [u8] {
    all.iter().map(|v| v.nested()).find(|n| !n.is_empty()).unwrap_or_default()
}

static SURFACED: LazyLock<Paths<7>> = LazyLock::new(|| {
    Paths::new([
        "isotimestamp",
        "timestamp",
        "user.name",
        "access_device.ip",
        "application.name",
        "access_device.location.country",
        "txid",
    ])
});
static OUTSIDE: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["surfaced_timestamp", "type"]));

/// An authentication that Trust Monitor thinks unusual.
fn trust_monitor(r: &Record<'_>, auth: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (Ok(v), Ok(o)) = (SURFACED.pick(auth), OUTSIDE.pick(r.body)) else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let at = if first(&[v[0], v[1]]).is_missing() { utc(r, o[0].bytes()) } else { stamp(r, v[0], v[1]) };
    out.event(Act::Alert, Outcome::Unknown)
        .at(at)
        .service(Service::Idp)
        .user(&v[2].text())
        .source(v[3].bytes())
        .group(&v[4].text())
        .country(super::country(v[5].bytes()))
        .detail(b"Trust Monitor: unusual authentication")
        .severity(3)
        .flag(Flags::RISKY)
        .done()
}

static PROXY: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "timestamp",
        "username",
        "client_ip",
        "status",
        "msg",
        "auth_stage",
        "factor",
        "server_section",
        "hostname",
        "dn",
    ])
});

/// One line of `authevents.log`. The client's address is what the gateway sent as Calling-Station-Id.
fn proxy_event(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PROXY.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let primary = find(v[5].bytes(), b"rimary").is_some();
    let ok = v[3].bytes().eq_ignore_ascii_case(b"allow");
    let said = v[4].text();
    // Duo was not reached and the proxy may let in, or Duo asks nobody for this user.
    let unasked =
        ok && (find(&said, b"ailmode").is_some() || find(&said, b"preauth returned 'allow'").is_some());
    let challenge = v[3].bytes().eq_ignore_ascii_case(b"challenge");
    let (reason, mfa) = match (ok || challenge, primary) {
        _ if challenge => (Reason::None, Mfa::Unknown),
        _ if unasked => (Reason::None, Mfa::No),
        (true, true) => (Reason::None, Mfa::Unknown),
        (true, false) => (Reason::None, Mfa::Yes),
        (false, true) => (Reason::BadPassword, Mfa::Unknown),
        (false, false) => (spoken(&said), Mfa::Unknown),
    };
    let outcome = match (ok, challenge) {
        (true, _) => Outcome::Success,
        (_, true) => Outcome::Challenge,
        _ => Outcome::Failure,
    };
    out.event(if primary { Act::Auth } else { Act::Mfa }, outcome)
        .at(utc(r, v[0].bytes()))
        .service(Service::Radius)
        .user(&first(&[v[1], v[9]]).text())
        .source(v[2].bytes())
        .observer(&v[8].text())
        .group(v[7].bytes())
        .detail(&said)
        .reason(reason)
        .mfa(mfa)
        .factor(if v[6].is(b"auto") { Factor::None } else { factor(v[6].bytes()) })
        .flag_if(primary, Flags::PRE_MFA)
        .flag_if(unasked, Flags::MFA_BYPASS)
        .done()
}

/// Duo's answer in words.
fn spoken(said: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(said, needle).is_some();
    if has(b"raud") {
        Reason::Fraud
    } else if has(b"timed out") {
        Reason::MfaTimeout
    } else if has(b"denied") {
        Reason::MfaDenied
    } else if has(b"passcode") {
        Reason::MfaFailed
    } else if has(b"locked") {
        Reason::Locked
    } else {
        Reason::Other
    }
}

/// `… (('192.0.2.10', 51555), anna, 80): Duo authentication returned 'allow': 'Success. Logging you in...'`.
fn proxy_text(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.raw;
    // The proxy stamps its own lines with a zone; under syslog the head has the time.
    let at = match clock::iso(r.raw) {
        Some((clock::Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((clock::Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    };
    let Some(from) = find(text, b"((") else {
        let known = [
            &b"Duo Security Authentication Proxy "[..],
            b"Init Complete",
            b"Module Configuration",
            b"Server listening",
            b"Starting ",
            b"Stopping ",
            b"RADIUS Automatic",
            b"http POST to ",
        ];
        return Parsed::housekeeping_if(known.iter().any(|k| find(text, k).is_some()));
    };
    let text = text.get(from..).unwrap_or_default();
    let Some(head) = after(text, b"((", b"): ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let gateway = between(head, b"'", b"'").unwrap_or_default();
    let user = after(head, b"), ", b",").unwrap_or_default();
    let said = after(text, b"): ", b"").unwrap_or_default();
    let (act, outcome, reason, mfa) =
        if let Some(answer) = between(said, b"Duo authentication returned '", b"'") {
            let ok = answer == b"allow";
            let reason = if ok { Reason::None } else { spoken(said) };
            (
                Act::Mfa,
                if ok { Outcome::Success } else { Outcome::Failure },
                reason,
                if ok { Mfa::Yes } else { Mfa::Unknown },
            )
        } else if said.starts_with(b"Primary credentials rejected") {
            (Act::Auth, Outcome::Failure, Reason::BadPassword, Mfa::Unknown)
        } else if said.starts_with(b"Returning response code") {
            return Parsed::Irrelevant(Kind::Repeats);
        } else if said.starts_with(b"login attempt for username") {
            return Parsed::Irrelevant(Kind::Pending);
        } else {
            return Parsed::Irrelevant(Kind::OtherMessage);
        };
    out.event(act, outcome)
        .at(at)
        .service(Service::Radius)
        .user(user)
        .observer(gateway)
        .reason(reason)
        .mfa(mfa)
        .flag_if(act == Act::Auth, Flags::PRE_MFA)
        .done()
}
