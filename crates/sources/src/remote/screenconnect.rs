//! ScreenConnect (ConnectWise Control): the application log of the reached host, and the server's sessions, connections
//! and security events as exported from its database or sent by a trigger.
//!
//! Read from: ConnectWise "Audit level reference", "Session events", "Security events"; published forensic descriptions
//! of the client's events. Traps: the service's name holds the instance's thumbprint; the event's data have no names;
//! the host is a guest process of its own session; a one-time password asked for is no login.

use super::{outcome, stamped, windows_text};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::windows::{WinEvent, claimed, is_event};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "screenconnect",
    title: "ScreenConnect (ConnectWise Control)",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Mfa, Act::SessionStart, Act::SessionEnd, Act::Exec],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["guest_process", "nameless_data"],
    manual: "ConnectWise ScreenConnect: Session events; Security events; Audit level reference",
    enable: "Windows application log of each host; server: Administration > Audit (full), export or trigger of session and security events",
    general: false,
    marks: &["ScreenConnect", "\"ProcessType\"", "\"OperationResult\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let has = |words: &[u8]| find(r.body, words).is_some();
    match r.shape {
        Shape::Json | Shape::Xml => {
            r.shape == Shape::Json
                && (has(b"\"ParticipantName\"") && has(b"\"ProcessType\"")
                    || has(b"\"OperationResult\"") && has(b"\"EventType\"") && has(b"\"NetworkAddress\""))
                || has(b"ScreenConnect")
                    && claimed(r, |_, _, provider| provider.starts_with(b"ScreenConnect"))
        }
        _ => false,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json && !is_event(r) {
        return server(r, out);
    }
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let text = windows_text(r, &e);
    let first = text.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    // A shipper may have made blanks of line breaks.
    let first =
        first.get(..find(first, b" Version: ").unwrap_or(first.len())).unwrap_or_default().trim_ascii();
    let (act, user, detail): (Act, &[u8], &[u8]) = if let Some(user) = first.strip_suffix(b" Disconnected") {
        (Act::SessionEnd, user, b"")
    } else if let Some(user) = first.strip_suffix(b" Connected") {
        (Act::SessionStart, user, b"")
    } else if find(first, b"Executed command").is_some() {
        (Act::Exec, b"", first)
    } else {
        return Parsed::Irrelevant(Kind::RoutineUse);
    };
    out.event(act, Outcome::Success)
        .at(e.time(r))
        .service(Service::Rmm)
        .user(user.strip_prefix(b"Cloud Account ").unwrap_or(user))
        .host(&e.computer)
        .observer(&e.computer)
        .detail(detail)
        .flag_if(act == Act::Exec, Flags::REMOTE_SHELL)
        .reason(if act == Act::SessionEnd { Reason::Logout } else { Reason::None })
        .done()
}

static PATHS: LazyLock<Paths<17>> = LazyLock::new(|| {
    Paths::new([
        "ParticipantName",
        "NetworkAddress",
        "ConnectedTime",
        "DisconnectedTime",
        "SessionID",
        "ProcessType",
        "SessionName",
        "Name",
        "ClientVersion",
        "DurationSeconds",
        "EventType",
        "OperationResult",
        "UserName",
        "UserAgent",
        "Time",
        "GuestMachineName",
        "ClientType",
    ])
});

fn server(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let address = v[1].text();
    // `203.0.113.5:50312` or bare.
    let address: &[u8] = match address.iter().filter(|b| **b == b':').count() {
        1 => address.split(|b| *b == b':').next().unwrap_or_default(),
        _ => &address,
    };
    if !v[11].bytes().is_empty() {
        let (what, result) = (v[10].text(), v[11].text());
        let (act, done, reason) = match &*result {
            b"Success" => (Act::Auth, Outcome::Success, Reason::None),
            b"PasswordInvalid" | b"InvalidPassword" => (Act::Auth, Outcome::Failure, Reason::BadPassword),
            b"UserNameInvalid" | b"UserNotFound" => (Act::Auth, Outcome::Failure, Reason::NoUser),
            b"LockedOut" | b"UserLockedOut" => (Act::Auth, Outcome::Failure, Reason::Locked),
            b"PasswordExpired" | b"ExpiredPassword" => (Act::Auth, Outcome::Failure, Reason::Expired),
            b"OneTimePasswordInvalid" | b"InvalidOneTimePassword" => {
                (Act::Mfa, Outcome::Failure, Reason::MfaFailed)
            }
            b"OneTimePasswordRequired" | b"OneTimePasswordNeeded" | b"ChallengeRequired" => {
                (Act::Mfa, Outcome::Challenge, Reason::None)
            }
            _ => (Act::Auth, Outcome::Failure, Reason::Other),
        };
        if find(&what, b"ogin").is_none() && find(&what, b"uthenti").is_none() {
            return Parsed::Irrelevant(Kind::RoutineUse);
        }
        return out
            .event(act, done)
            .at(stamped(r, v[14].bytes()))
            .service(Service::Rmm)
            .user(&v[12].text())
            .source(address)
            .observer(r.host())
            .client(&v[13].text())
            .detail(&what)
            .reason(reason)
            .done();
    }
    // The guest is the reached host's own process.
    let process = if v[5].bytes().is_empty() { v[16].bytes() } else { v[5].bytes() };
    if !matches!(process, b"1" | b"Host" | b"host") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let host = [15, 6, 7].into_iter().map(|n| v[n].text()).find(|t| !t.is_empty()).unwrap_or_default();
    let from = stamped(r, v[2].bytes());
    // A connection that lasts has no end, or the year 1.
    let ended = v[3].bytes();
    let to = if ended.is_empty() || ended.starts_with(b"0001-") { None } else { stamped(r, ended) };
    let seconds = match (from, to) {
        (Some((from, _)), Some((to, _))) => u32::try_from(to.since(from) / 1_000_000).unwrap_or(0),
        _ => 0,
    };
    let mut parsed = Parsed::Broken(Why::Missing("time"));
    for (act, at) in [(Act::SessionStart, from), (Act::SessionEnd, to)] {
        if at.is_none() {
            continue;
        }
        let end = act == Act::SessionEnd;
        parsed = out
            .event(act, outcome(true))
            .at(at)
            .service(Service::Rmm)
            .user(&v[0].text())
            .source(address)
            .host(&host)
            .observer(r.host())
            .sid(v[4].bytes())
            .duration_s(if end { seconds } else { 0 })
            .done();
    }
    parsed
}
