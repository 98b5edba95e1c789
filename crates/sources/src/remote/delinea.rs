//! Delinea: Secret Server (formerly Thycotic), Platform audit and Privileged Remote Access.
//!
//! Read from: Delinea "Secure Syslog/CEF Logging", "Secret Server events", "Platform audit events". Traps: the Platform
//! hides Secret Server's own record as text in `notes`; an event time of year 1 is no time; a launch is a session of
//! which only some products tell the end; Privileged Remote Access tells names where others tell addresses.

use super::{outcome, stamped};
use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::{self, Paths};
use crate::decode::kv::{after, between, cef, cef_pairs, cef_unescape};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "delinea",
    title: "Delinea Secret Server and Platform",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Mfa, Act::SessionStart, Act::SessionEnd, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["notes_hold_the_record", "launch_text"],
    manual: "Delinea: Secret Server Secure Syslog/CEF logging; Delinea Platform audit events",
    enable: "Admin > Configuration > Application: Enable Syslog/CEF Logging; for the Platform an audit role with Read Audit events",
    general: false,
    marks: &["|Secret Server|", "\"Delinea.", "Delinea.", "\"eventMessageId\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let head = r.body.get(..r.body.len().min(80)).unwrap_or_default();
    match r.shape {
        Shape::Cef => find(head, b"|Secret Server|").is_some(),
        Shape::Json => {
            find(r.body, b"\"Delinea.").is_some() && find(r.body, b"\"Event type\"").is_some()
                || find(r.body, b"\"eventMessageId\"").is_some()
                    && find(r.body, b"\"eventDateTime\"").is_some()
        }
        _ => false,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match r.shape {
        Shape::Cef => secret_server(r, out),
        _ if find(r.body, b"\"eventMessageId\"").is_some() => platform(r, out),
        _ => remote_access(r, out),
    }
}

/// What happened, by the kind of thing it happened to and the name of what was done.
fn meaning(entity: &[u8], action: &[u8]) -> Option<(Act, Outcome, Change)> {
    let entity = entity.trim_ascii().to_ascii_uppercase();
    let action: Vec<u8> =
        action.iter().filter(|b| !matches!(b, b' ' | b'_')).map(u8::to_ascii_uppercase).collect();
    let is = |start: &[u8]| action.starts_with(start);
    let ok = Outcome::Success;
    Some(match (entity.as_slice(), ()) {
        (b"USER", ()) if is(b"LOGINFAILURE") || is(b"LOGINFAILED") => {
            (Act::Auth, Outcome::Failure, Change::None)
        }
        (b"USER", ()) if is(b"LOGIN") => (Act::Auth, ok, Change::None),
        (b"USER", ()) if is(b"LOGOUT") => (Act::SessionEnd, ok, Change::None),
        (b"USER", ()) if is(b"TWOFACTORRESET") || is(b"TWOFACTORCHANGED") => {
            (Act::Account, ok, Change::FactorReset)
        }
        (b"USER", ()) if is(b"CHALLENGE") || is(b"TWOFACTOR") => (Act::Mfa, Outcome::Challenge, Change::None),
        (b"USER", ()) if is(b"CREATE") => (Act::Account, ok, Change::AccountCreated),
        (b"USER", ()) if is(b"DELETE") => (Act::Account, ok, Change::AccountDeleted),
        (b"USER", ()) if is(b"DISABLE") => (Act::Account, ok, Change::AccountDisabled),
        (b"USER", ()) if is(b"ENABLE") => (Act::Account, ok, Change::AccountEnabled),
        (b"USER", ()) if is(b"LOCKOUT") => (Act::Account, ok, Change::AccountLocked),
        (b"USER", ()) if is(b"UNLOCK") => (Act::Account, ok, Change::AccountUnlocked),
        (b"USER", ()) if is(b"PASSWORDCHANGE") => (Act::Account, ok, Change::PasswordReset),
        (b"USER", ()) if is(b"ADDEDTOGROUP") => (Act::Account, ok, Change::GroupAdded),
        (b"USER", ()) if is(b"REMOVEDFROMGROUP") => (Act::Account, ok, Change::GroupRemoved),
        (b"GROUP", ()) if is(b"ADD") || is(b"ASSIGN") => (Act::Account, ok, Change::GroupAdded),
        (b"GROUP", ()) if is(b"REMOVE") => (Act::Account, ok, Change::GroupRemoved),
        (b"ROLE" | b"ROLEPERMISSION", ()) if is(b"ASSIGN") || is(b"ADD") => {
            (Act::Account, ok, Change::RoleGranted)
        }
        (b"ROLE" | b"ROLEPERMISSION", ()) if is(b"UNASSIGN") || is(b"REMOVE") => {
            (Act::Account, ok, Change::RoleRemoved)
        }
        (b"SECRET", ()) if is(b"LAUNCH") || is(b"SESSIONSTART") => (Act::SessionStart, ok, Change::None),
        (b"SECRET", ()) if is(b"SESSIONEND") || is(b"SESSIONRECORDINGEND") => {
            (Act::SessionEnd, ok, Change::None)
        }
        (b"SECRET", ())
            if is(b"PASSWORDDISPLAY")
                || is(b"PASSWORDCOP")
                || is(b"CHECKOUT")
                || is(b"COPYTOCLIPBOARD")
                || is(b"EXPORT")
                || is(b"FILESAVE")
                || is(b"WEBPASSWORDFILL") =>
        {
            (Act::Account, ok, Change::CredentialAccess)
        }
        (b"UNLIMITEDADMIN" | b"UNLIMITEDADMINISTRATION", ()) => (Act::Config, ok, Change::PolicyChanged),
        (b"EXPORTSECRETS" | b"BACKUP", ()) => (Act::Config, ok, Change::ConfigExported),
        (b"CONFIGURATION" | b"SECRETPOLICY" | b"IPADDRESSRANGE" | b"SECRETTEMPLATE" | b"FOLDER", ()) => {
            if is(b"VIEW") { return None } else { (Act::Config, ok, Change::ConfigChanged) }
        }
        _ => return None,
    })
}

/// `CEF:0|Thycotic Software|Secret Server|11.7|10004|SECRET - VIEW|2|msg=[[SecretServer]] Event: [Secret] …`.
fn secret_server(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Missing("extension")) };
    let name = head[5];
    let Some(dash) = find(name, b" - ") else { return Parsed::housekeeping_if(name == b"System Log") };
    let (entity, action) = (name.get(..dash).unwrap_or_default(), name.get(dash + 3..).unwrap_or_default());
    let Some((act, result, change)) = meaning(entity, action) else {
        return Parsed::Irrelevant(Kind::RoutineUse);
    };
    let [mut suser, mut duser, mut src, mut stamp, mut item, mut message] = [&b""[..]; 6];
    for (key, value) in cef_pairs(extension) {
        match key {
            b"suser" => suser = value,
            b"duser" => duser = value,
            b"src" => src = value,
            b"rt" => stamp = value,
            b"fname" => item = value,
            b"msg" => message = value,
            _ => {}
        }
    }
    let login = act == Act::Auth || act == Act::Mfa || act == Act::SessionEnd && entity == b"USER";
    // A login is by nobody yet: the user is the one logged in to.
    let by = if suser.is_empty() {
        between(message, b"By User: ", b" Item Name:").unwrap_or_default()
    } else {
        suser
    };
    let user = if login && !duser.is_empty() {
        duser
    } else if by.is_empty() && login {
        item
    } else {
        by
    };
    let details = after(message, b"Details: ", b"").unwrap_or_default();
    let reason = match (act, result) {
        (Act::Auth, Outcome::Failure) => why(details),
        (Act::SessionEnd, _) => Reason::Logout,
        _ => Reason::None,
    };
    let (host, account) = launched(details);
    out.event(act, result)
        .at(stamp_of(r, stamp))
        .service(if act == Act::Config { Service::Management } else { Service::Bastion })
        .user(&cef_unescape(user))
        .source(src)
        .observer(r.host())
        .host(host)
        .target(if act == Act::SessionStart && !account.is_empty() {
            account
        } else if login {
            b""
        } else {
            item
        })
        .group(if act == Act::SessionStart { item } else { b"" })
        .change(change)
        .detail(if matches!(act, Act::Account | Act::Config) { name } else { b"" })
        .reason(reason)
        .flag_if(matches!(act, Act::Config), Flags::PRIVILEGED)
        .done()
}

fn why(details: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(details, needle).is_some();
    if has(b"ocked") {
        Reason::Locked
    } else if has(b"isabled") {
        Reason::Disabled
    } else if has(b"wo factor") || has(b"wo Factor") || has(b"wo-factor") || has(b"PIN") || has(b"MFA") {
        Reason::MfaFailed
    } else if has(b"xpired") {
        Reason::Expired
    } else {
        Reason::BadPassword
    }
}

/// `PuTTY Host: [srv-1] Username: [root] …`: where a launcher went, and as whom.
fn launched(details: &[u8]) -> (&[u8], &[u8]) {
    (
        between(details, b"Host: [", b"]").unwrap_or_default(),
        between(details, b"Username: [", b"]").unwrap_or_default(),
    )
}

/// `Mar 03 2026 14:57:06`, or milliseconds since 1970.
fn stamp_of(r: &Record<'_>, stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::bsd(stamp) {
        Some((clock::Stamp::Local(civil), _)) => r.clock.resolve(civil),
        Some((clock::Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        None => stamped(r, stamp),
    }
}

static PLATFORM: LazyLock<Paths<8>> = LazyLock::new(|| {
    Paths::new([
        "eventDateTime",
        "notes",
        "displayMessage",
        "sessionId",
        "eventType",
        "actorName",
        "ipAddress",
        "targetName",
    ])
});

static NOTES: LazyLock<Paths<8>> = LazyLock::new(|| {
    Paths::new([
        "byUser",
        "eventAction",
        "eventEntityType",
        "ipAddress",
        "itemName",
        "eventDetails",
        "targetUserName",
        "machineName",
    ])
});

fn platform(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PLATFORM.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let notes = v[1].text();
    let inner = if notes.trim_ascii_start().starts_with(b"{") { NOTES.pick(&notes).ok() } else { None };
    let Some(n) = inner else {
        let told = v[2].text();
        let kind = v[4].text();
        let Some((act, ok)) = by_name(&kind) else { return Parsed::Irrelevant(Kind::OtherMessage) };
        return out
            .event(act, outcome(ok))
            .at(stamped(r, v[0].bytes()))
            .service(Service::Bastion)
            .user(&v[5].text())
            .source(v[6].bytes())
            .target(&v[7].text())
            .sid(v[3].bytes())
            .detail(&told)
            .done();
    };
    let Some((act, result, change)) = meaning(n[2].bytes(), n[1].bytes()) else {
        return Parsed::Irrelevant(Kind::RoutineUse);
    };
    let (details, item) = (n[5].text(), n[4].text());
    let (host, account) = launched(&details);
    let starts = act == Act::SessionStart;
    out.event(act, result)
        .at(stamped(r, v[0].bytes()))
        .service(if act == Act::Config { Service::Management } else { Service::Bastion })
        .user(&n[0].text())
        .source(n[3].bytes())
        .observer(n[7].bytes())
        .sid(v[3].bytes())
        .host(host)
        .target(match act {
            Act::SessionStart => account,
            Act::Auth | Act::SessionEnd => b"",
            _ => &item,
        })
        .group(if starts { &item } else { b"" })
        .change(change)
        .detail(if matches!(act, Act::Account | Act::Config) { n[1].bytes() } else { b"" })
        .reason(if act == Act::Auth && result == Outcome::Failure { why(&details) } else { Reason::None })
        .done()
}

static ROW: LazyLock<Paths<6>> =
    LazyLock::new(|| Paths::new(["Date", "Event type", "Action", "Initiated by", "Target", "Source"]));

/// `Delinea.RAS.Session.Secret.Launched`, `Delinea.Identity.User.LoginFailed`: the act, and whether it succeeded.
fn by_name(kind: &[u8]) -> Option<(Act, bool)> {
    let has = |needle: &[u8]| find(kind, needle).is_some();
    let ok = !has(b"Fail") && !has(b"Denied") && !has(b"Invalid");
    if has(b".Session.") || has(b"RAS.") {
        if kind.ends_with(b"Launched") || kind.ends_with(b"Started") {
            return Some((Act::SessionStart, true));
        }
        if has(b".Closed") || kind.ends_with(b"Ended") || has(b".Terminated") {
            return Some((Act::SessionEnd, true));
        }
        return None;
    }
    if has(b"Mfa") || has(b"MFA") {
        return Some((Act::Mfa, ok));
    }
    (has(b"Login") || has(b"Logon") || has(b"SignIn") || has(b"Authenticat")).then_some((Act::Auth, ok))
}

/// `Launched by user anna@corp from secret web (web) as root to web-01:22 at Berlin using ssh.`
fn remote_access(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = ROW.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = v[1].bytes();
    let Some((act, ok)) = by_name(kind) else { return Parsed::Irrelevant(Kind::RoutineUse) };
    let action = v[2].text();
    let by_timeout = find(kind, b"Timeout").is_some();
    let named = between(&action, b"by user ", b" ").unwrap_or_default();
    let initiated = v[3].text();
    let user = match (named.is_empty(), initiated.as_ref()) {
        (false, _) => named.strip_suffix(b".").unwrap_or(named),
        (true, b"Delinea System") => b"",
        (true, other) => other,
    };
    // `as root to web-01:22 at …`: the last ` as `, for secrets have free names.
    let launch =
        memchr::memmem::rfind(&action, b" as ").and_then(|n| action.get(n + 4..)).unwrap_or_default();
    let starts = act == Act::SessionStart;
    let account = launch.split(|b| *b == b' ').next().unwrap_or_default();
    let port = between(launch, b" to ", b" at ")
        .and_then(|h| memchr::memrchr(b':', h).and_then(|n| h.get(n + 1..)))
        .map_or(0, crate::decode::kv::number);
    out.event(act, outcome(ok))
        .at(stamped(r, v[0].bytes()))
        .service(Service::Bastion)
        .user(user)
        .source(v[5].bytes())
        .host(&json::unescape(v[4].bytes()))
        .destination_port(u16::try_from(port).unwrap_or(0))
        .target(if starts { account } else { b"" })
        .group(if starts { after(launch, b" at ", b" using ").unwrap_or_default() } else { b"" })
        .reason(match (act, by_timeout) {
            (Act::SessionEnd, true) => Reason::Timeout,
            (Act::SessionEnd, false) => Reason::Logout,
            _ => Reason::None,
        })
        .done()
}
