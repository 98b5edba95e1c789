//! RSA Authentication Manager (SecurID): runtime and administrative audit by syslog; ID Plus: user events of the cloud.
//!
//! Read from: RSA Authentication Manager Administrator's Guide, "Log messages: real-time logging, syslog"; "Cloud
//! Administration User Event Log API" and "User Event Monitor Messages", whose descriptions say what happened. Traps: the
//! stamp holds a comma, so that the columns begin one later than they seem; the name of the user stands in another column
//! for administrators than for runtime; resolving a name and checking the code are two messages of one login.

use super::utc;
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "rsa_securid",
    title: "RSA SecurID: Authentication Manager and ID Plus",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Admin, Act::Config, Act::Account],
    lacks: &[Field::TunnelIp, Field::SessionEnd, Field::Bytes],
    traps: &["comma_in_the_stamp", "resolution_and_check", "cloud"],
    manual: "RSA Authentication Manager Administrator's Guide: Logging; RSA Cloud Administration User Event Log API",
    enable: "Security Console > Setup > System Settings > Logging: levels Success, send to remote syslog for administrative and runtime audit; ID Plus: User Event Log API",
    general: false,
    marks: &["audit.runtime.", "audit.admin.", "com.rsa.", "\"eventLogDate\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return find(r.body, b"\"eventLogDate\"").is_some()
            && (find(r.body, b"\"eventCode\"").is_some() || find(r.body, b"\"activityCode\"").is_some());
    }
    let head = &r.raw[..r.raw.len().min(260)];
    r.shape == Shape::Text
        && (find(head, b" audit.runtime.").is_some()
            || find(head, b" audit.admin.").is_some()
            || find(head, b",audit.runtime.").is_some()
            || find(head, b",audit.admin.").is_some()
            || find(head, b" system.com.rsa.").is_some())
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return cloud(r, out);
    }
    // Counted from the logger's name, so that whatever a relay did to the stamp in front does not move the columns.
    let Some(from) =
        [&b"audit.runtime."[..], b"audit.admin.", b"system.com.rsa."].iter().find_map(|n| find(r.raw, n))
    else {
        return Parsed::NotMine;
    };
    let text = r.raw.get(from..).unwrap_or_default();
    if text.starts_with(b"system.") {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let mut columns: [&[u8]; 28] = [b""; 28];
    let mut count = 0;
    for (column, field) in columns.iter_mut().zip(text.split(|b| *b == b',')) {
        *column = field.trim_ascii();
        count += 1;
    }
    if count < 9 {
        return Parsed::Broken(Why::Missing("result"));
    }
    let [logger, _level, _instance, _node, client, server, action, _code, result, reason, ..] = columns;
    // `2026-10-06 07:12:45,123, am1.example.org, audit…`: the stamp of the product, in its own zone.
    let before = r.raw.get(..from).unwrap_or_default();
    let own = (0..before.len().min(120)).find_map(|n| {
        let rest = before.get(n..).unwrap_or_default();
        rest.first().is_some_and(u8::is_ascii_digit).then(|| clock::iso(rest)).flatten()
    });
    let at = match own {
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        None => r.header_time(),
    };
    let ok = result == b"SUCCESS";
    let outcome = if ok { Outcome::Success } else { Outcome::Failure };
    let admin = logger.starts_with(b"audit.admin.");
    if admin {
        return administration(r, &columns, at, outcome, out);
    }
    let (session, user) = (columns[10], columns[14]);
    let (agent, method) = (columns[20], columns[22]);
    let resolved = action.ends_with(b"PRINCIPAL_RESOLUTION");
    let event = match action {
        b"AUTHN_LOGIN_EVENT" | b"AUTH_LOGIN_EVENT" => Act::Auth,
        _ if resolved && ok => return Parsed::Irrelevant(Kind::Pending),
        _ if resolved => Act::Auth,
        b"AUTHN_PRINCIPAL_LOCKED"
        | b"PRINCIPAL_LOCKOUT"
        | b"LOCKOUT_PRINCIPAL"
        | b"AUTH_PRINCIPAL_LOCKED" => Act::Account,
        b"AUTHN_LOGOUT_EVENT" => return Parsed::Irrelevant(Kind::OtherMessage),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let next = find(reason, b"NEXT_TOKEN").is_some() || find(reason, b"NEW_PIN").is_some();
    let outcome = if next { Outcome::Challenge } else { outcome };
    let token = find(method, b"SecurID").is_some() || find(method, b"OnDemand").is_some();
    let change = if event == Act::Account { Change::AccountLocked } else { Change::None };
    out.event(event, outcome)
        .at(at)
        .service(Service::Radius)
        .user(user)
        .target(if event == Act::Account { user } else { b"" })
        .source(client)
        .destination(server)
        .observer(r.host())
        .group(agent)
        .sid(session)
        .change(change)
        .detail(method)
        .mfa(if ok && token && !next { Mfa::Yes } else { Mfa::Unknown })
        .factor(if token { Factor::Totp } else { Factor::None })
        .reason(if outcome == Outcome::Failure { why(reason) } else { Reason::None })
        .flag_if(!(ok && token), Flags::PRE_MFA)
        .flag_if(client == columns[19], Flags::SOURCE_UNTRUSTED)
        .done()
}

fn why(reason: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(reason, needle).is_some();
    if has(b"LOCKED") {
        Reason::Locked
    } else if has(b"DISABLED") {
        Reason::Disabled
    } else if has(b"EXPIRED") {
        Reason::Expired
    } else if has(b"RESOLUTION_FAILED") || has(b"NOT_FOUND") || has(b"UNKNOWN") {
        Reason::NoUser
    } else if has(b"PASSCODE") || has(b"TOKEN") || has(b"METHOD_FAILED") || has(b"PASSWORD") {
        Reason::BadPassword
    } else if has(b"AGENT") || has(b"RESTRICT") || has(b"POLICY") {
        Reason::NotAllowed
    } else {
        Reason::Other
    }
}

fn administration(
    r: &Record<'_>,
    columns: &[&[u8]; 28],
    at: Option<(portreeve_model::EventTime, Certainty)>,
    outcome: Outcome,
    out: &mut Emit<'_>,
) -> Parsed {
    let (client, action, user) = (columns[4], columns[6], columns[15]);
    let (kind, object) = (columns[18], columns[22]);
    let has = |needle: &[u8]| find(action, needle).is_some();
    let token =
        has(b"TOKEN") || has(b"AUTHENTICATOR") || has(b"FIXED_PASSCODE") || has(b"ODA") || has(b"ONDEMAND");
    let (act, change) = match action {
        b"AUTHN_LOGIN_EVENT" => (Act::Admin, Change::None),
        b"CREATE_PRINCIPAL" => (Act::Account, Change::AccountCreated),
        b"DELETE_PRINCIPAL" => (Act::Account, Change::AccountDeleted),
        b"UPDATE_PRINCIPAL" => (Act::Account, Change::None),
        _ if has(b"EMERGENCY") => (Act::Account, Change::FactorEnrolled),
        _ if has(b"PIN") && token => (Act::Account, Change::FactorReset),
        _ if token && (has(b"UNLINK") || has(b"UNASSIGN") || has(b"DISABLE") || has(b"DELETE")) => {
            (Act::Account, Change::FactorRemoved)
        }
        _ if token && (has(b"LINK") || has(b"ASSIGN") || has(b"ENABLE") || has(b"DISTRIBUTE")) => {
            (Act::Account, Change::FactorEnrolled)
        }
        _ if has(b"ADMIN_ROLE") && (has(b"LINK") || has(b"ASSIGN") || has(b"ADD")) => {
            (Act::Account, Change::RoleGranted)
        }
        _ if has(b"POLICY") || has(b"RISK") => (Act::Config, Change::PolicyChanged),
        _ if has(b"AGENT") && (has(b"CREATE") || has(b"UPDATE") || has(b"DELETE")) => {
            (Act::Config, Change::ConfigChanged)
        }
        _ => (Act::Posture, Change::None),
    };
    let act = if act == Act::Account && change == Change::None { Act::Posture } else { act };
    out.event(act, outcome)
        .at(at)
        .service(Service::Management)
        .user(user)
        .target(if act == Act::Account { object } else { b"" })
        .source(client)
        .observer(r.host())
        .detail(if act == Act::Admin { kind } else { action })
        .change(change)
        .reason(if outcome == Outcome::Failure { why(columns[9]) } else { Reason::None })
        .factor(if has(b"EMERGENCY") { Factor::BypassCode } else { Factor::None })
        .flag(Flags::PRIVILEGED)
        .flag_if(has(b"EMERGENCY"), Flags::MFA_BYPASS)
        .done()
}

static PATHS: LazyLock<Paths<11>> = LazyLock::new(|| {
    Paths::new([
        "eventLogDate",
        "eventDescription",
        "userId",
        "sourceIPAddress",
        "application",
        "method",
        "deviceName",
        "policyName",
        "eventId",
        "eventCode",
        "deviceId",
    ])
});

/// A user event of the cloud. Its codes are many hundreds; the fixed wording of the description is by verbs.
fn cloud(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[9].is_missing() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let said = v[1].text();
    let has = |needle: &[u8]| find(&said, needle).is_some();
    let named = v[5].text();
    let factor = named_factor(&said, &named);
    let password = factor == Factor::None && (has(b"assword") || has(b"LDAP"));
    let step = if password { Act::Auth } else { Act::Mfa };
    let (act, outcome, change) = if has(b"Access denied") || has(b"Access prohibited") {
        (Act::Auth, Outcome::BlockedAfterPassword, Change::None)
    } else if has(b"nrollment succeeded") || has(b"egistration succeeded") {
        let removed = has(b"nenrollment");
        let change = if removed { Change::FactorRemoved } else { Change::FactorEnrolled };
        (Act::Account, Outcome::Success, change)
    } else if has(b"nrollment failed") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    } else if has(b"uthentication succeeded") {
        (step, Outcome::Success, Change::None)
    } else if has(b"uthentication failed") {
        (step, Outcome::Failure, Change::None)
    } else if has(b"uthentication cancelled") {
        (step, Outcome::Interrupt, Change::None)
    } else if has(b"now locked") {
        (Act::Account, Outcome::Success, Change::AccountLocked)
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let failed = outcome == Outcome::Failure;
    let reason = match () {
        () if outcome == Outcome::BlockedAfterPassword => Reason::Policy,
        () if !failed => Reason::None,
        () if has(b"does not exist") => Reason::NoUser,
        () if has(b"disabled") => Reason::Disabled,
        () if has(b"locked") => Reason::Locked,
        () if has(b"denied") => Reason::MfaDenied,
        () if has(b"imeout") || has(b"expired") => Reason::MfaTimeout,
        () if password => Reason::BadPassword,
        () => Reason::MfaFailed,
    };
    let ok = outcome == Outcome::Success;
    let user = v[2].text();
    let whom: &[u8] = if act == Act::Account { &user } else { b"" };
    out.event(act, outcome)
        .at(utc(r, v[0].bytes()))
        .identity(v[8].bytes())
        .service(Service::Idp)
        .user(&user)
        .target(whom)
        .source(v[3].bytes())
        .device(&v[6].text())
        .group(&v[4].text())
        .detail(&said)
        .change(change)
        .reason(reason)
        .factor(factor)
        .mfa(if act == Act::Mfa && ok { Mfa::Yes } else { Mfa::Unknown })
        .flag_if(act == Act::Auth && ok, Flags::PRE_MFA)
        .flag_if(factor == Factor::BypassCode && ok, Flags::MFA_BYPASS)
        .done()
}

fn named_factor(said: &[u8], method: &[u8]) -> Factor {
    let has = |needle: &[u8]| find(said, needle).is_some() || find(method, needle).is_some();
    if has(b"Emergency") {
        Factor::BypassCode
    } else if has(b"FIDO") {
        Factor::Fido2
    } else if has(b"Approve") || has(b"Biometric") {
        Factor::Push
    } else if has(b"SMS") {
        Factor::Sms
    } else if has(b"Voice") {
        Factor::Voice
    } else if has(b"OTP") || has(b"okencode") {
        Factor::Totp
    } else if has(b"QR Code") {
        Factor::Other
    } else {
        Factor::None
    }
}
