//! VNC servers: RealVNC, TigerVNC (Xvnc, x0vncserver), UltraVNC, TightVNC, x11vnc and others of LibVNCServer, macOS
//! Screen Sharing; as text, by syslog and in the Windows application log.
//!
//! Read from: RealVNC "All about logging", TigerVNC Xvnc(1), UltraVNC MS-Logon, TightVNC Server for Windows, x11vnc(1).
//! Traps: a connection is no login, and only RealVNC, UltraVNC, TightVNC and macOS say that one succeeded; the port
//! stands behind two colons; a screen's password has no user; TigerVNC says the reason only as the connection closes.

use super::windows_text;
use crate::decode::clock::Civil;
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "vnc",
    title: "VNC (RealVNC, TigerVNC, UltraVNC, TightVNC, x11vnc, macOS Screen Sharing)",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Logoff, Act::Posture],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["connection_is_no_login", "two_colons", "day_first"],
    manual: "RealVNC: All about logging; Xvnc(1); UltraVNC MS-Logon; TightVNC for Windows; x11vnc(1)",
    enable: "RealVNC: Log=*:EventLog:30 or syslog (default); TigerVNC: -Log *:syslog:30; UltraVNC: MS-Logon logging; x11vnc -o FILE",
    general: false,
    marks: &[
        "VNC",
        "vnc",
        "Connections: ",
        "Got connection from client ",
        "authentication failed from ",
        "screensharingd",
        "tvnserver",
        "Authentication failed from ",
        "rfb",
        " gone",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

/// Does the program name say that this is a VNC server?
fn program(name: &[u8]) -> bool {
    name.starts_with(b"vncserver")
        || name.starts_with(b"Xvnc")
        || name.starts_with(b"Xtigervnc")
        || name.starts_with(b"x11vnc")
        || name.starts_with(b"x0vncserver")
        || name.starts_with(b"winvnc")
        || matches!(name, b"screensharingd" | b"tvnserver" | b"vino-server" | b"krfb")
}

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Text => program(r.header.program) || r.header.program.is_empty() && bare(r.body),
        Shape::Xml | Shape::Json => {
            let telling = find(r.body, b"VNC").is_some()
                || find(r.body, b"Vnc").is_some()
                || find(r.body, b"tvnserver").is_some();
            telling && claimed(r, |_, _, by| provider(by))
        }
        _ => false,
    }
}

fn provider(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"UltraVNC")
        || matches!(name, b"VNC Server" | b"WinVNC4" | b"tvnserver" | b"TightVNC Server" | b"TigerVNC")
        || name.starts_with(b"RealVNC")
        || name.starts_with(b"UltraVnc")
}

fn bare(text: &[u8]) -> bool {
    let head = text.get(..text.len().min(120)).unwrap_or_default();
    find(head, b"Connections: authenticated: ").is_some()
        || find(head, b"Connections: connected: ").is_some()
        || find(head, b"Connections: disconnected: ").is_some()
        || find(head, b"Connections: accepted: ").is_some()
        || find(head, b"Connections: closed: ").is_some()
        || find(head, b"Connections: blacklisted: ").is_some()
        || find(head, b"Got connection from client ").is_some()
        || stamped(text).is_some_and(|(_, rest)| {
            rest.starts_with(b"rfb") || rest.starts_with(b"Client ") && rest.ends_with(b" gone")
        })
        || find(head, b"Connection received from ").is_some() && find(head, b" using ").is_some()
        || find(head, b"Invalid attempt ").is_some() && find(head, b" from client ").is_some()
}

/// `03/04/2026 09:20:01 text`, day first, as LibVNCServer writes.
fn stamped(text: &[u8]) -> Option<(Civil, &[u8])> {
    let head = text.get(..19)?;
    let n = |from: usize, to: usize| -> Option<u8> {
        let part = head.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| u8::try_from(number(part)).ok())?
    };
    if head.get(2) != Some(&b'/') || head.get(5) != Some(&b'/') || head.get(10) != Some(&b' ') {
        return None;
    }
    let year = head.get(6..10).filter(|y| y.iter().all(u8::is_ascii_digit))?;
    let civil = Civil {
        year: i16::try_from(number(year)).ok()?,
        month: n(3, 5)?,
        day: n(0, 2)?,
        hour: n(11, 13)?,
        minute: n(14, 16)?,
        second: n(17, 19)?,
        micros: 0,
    };
    Some((civil, text.get(19..)?.trim_ascii()))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape != Shape::Text {
        let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
        let text = windows_text(r, &e);
        return tell(&text, e.time(r), &e.computer, out);
    }
    match stamped(r.body) {
        Some((civil, rest)) => tell(rest, r.header_time().or_else(|| r.clock.resolve(civil)), r.host(), out),
        None => tell(r.body.trim_ascii(), r.header_time(), r.host(), out),
    }
}

/// `192.0.2.5::50312`, `[2001:db8::5]::50312`, `192.0.2.5:50312`, `192.0.2.5`.
fn address(text: &[u8]) -> (&[u8], u16) {
    let text = word(text).0;
    let text = text.strip_suffix(b",").or_else(|| text.strip_suffix(b".")).unwrap_or(text);
    if let Some(open) = text.strip_prefix(b"[") {
        let end = memchr::memchr(b']', open).unwrap_or(open.len());
        let port = open.get(end + 1..).map_or(0, |p| number(p.strip_prefix(b"::").unwrap_or_default()));
        return (open.get(..end).unwrap_or_default(), u16::try_from(port).unwrap_or(0));
    }
    if let Some(n) = memchr::memmem::rfind(text, b"::")
        && text.contains(&b'.')
    {
        let port = number(text.get(n + 2..).unwrap_or_default());
        return (text.get(..n).unwrap_or_default(), u16::try_from(port).unwrap_or(0));
    }
    (text, 0)
}

struct Told<'a> {
    act: Act,
    outcome: Outcome,
    reason: Reason,
    user: &'a [u8],
    from: &'a [u8],
}

fn tell(text: &[u8], at: Option<(EventTime, Certainty)>, host: &[u8], out: &mut Emit<'_>) -> Parsed {
    let told = match read(text) {
        Ok(told) => told,
        Err(kind) => return Parsed::Irrelevant(kind),
    };
    let (ip, port) = address(told.from);
    out.event(told.act, told.outcome)
        .at(at)
        .service(Service::Vnc)
        .user(told.user)
        .source(ip)
        .source_port(port)
        .host(host)
        .observer(host)
        .method(if told.act == Act::Logon { Method::Password } else { Method::Unknown })
        .reason(told.reason)
        .done()
}

fn read(text: &[u8]) -> Result<Told<'_>, Kind> {
    let logon = |outcome, user, from| Told {
        act: Act::Logon,
        outcome,
        reason: if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None },
        user,
        from,
    };
    if let Some(rest) = after(text, b"Connections: ", b"") {
        let (what, rest) = word(rest);
        return match what {
            // `192.0.2.5::50312 (TCP), as anna (f permissions)`; a name may hold blanks.
            b"authenticated:" => {
                let named = after(rest, b", as ", b"").unwrap_or_default();
                let end = memchr::memmem::rfind(named, b" (").unwrap_or(named.len());
                let user = named.get(..end).unwrap_or_default();
                let user = if user == b"(anonymous)" { b"" } else { user };
                Ok(logon(Outcome::Success, user, rest))
            }
            b"disconnected:" | b"closed:" => {
                let refused = find(rest, b"[AuthFailure]").is_some()
                    || find(rest, b"uthentication fail").is_some()
                    || find(rest, b"Too many security failures").is_some();
                if refused {
                    return Ok(logon(Outcome::Failure, b"", rest));
                }
                if find(rest, b"ConnFailed").is_some() || find(rest, b"reading version failed").is_some() {
                    return Err(Kind::Transport);
                }
                Ok(Told {
                    act: Act::Logoff,
                    outcome: Outcome::Success,
                    reason: if find(rest, b"dle").is_some() { Reason::Idle } else { Reason::Logout },
                    user: b"",
                    from: rest,
                })
            }
            b"blacklisted:" | b"rejected:" => Ok(Told {
                act: Act::Posture,
                outcome: Outcome::Failure,
                reason: Reason::Policy,
                user: b"",
                from: rest,
            }),
            _ => Err(Kind::Transport),
        };
    }
    // macOS: `Authentication: FAILED :: User Name: anna :: Viewer Address: 192.0.2.5 :: Type: DH`.
    if let Some(rest) = after(text, b"Authentication: ", b"")
        && let Some(at) = memchr::memmem::rfind(rest, b"Viewer Address: ")
    {
        let user = after(rest.get(..at).unwrap_or_default(), b"User Name: ", b"").unwrap_or_default();
        let user = user.trim_ascii_end();
        let user = user.strip_suffix(b"::").unwrap_or(user).trim_ascii_end();
        let user = user.strip_suffix(b"::").unwrap_or(user).trim_ascii_end();
        let ok = rest.starts_with(b"SUCCEEDED");
        let outcome = if ok { Outcome::Success } else { Outcome::Failure };
        return Ok(logon(outcome, user, rest.get(at + 16..).unwrap_or_default()));
    }
    // UltraVNC.
    if let Some(rest) = after(text, b"Connection received from ", b"") {
        let user = between(rest, b" using ", b" account").unwrap_or_default();
        return Ok(logon(Outcome::Success, user, rest));
    }
    if let Some(rest) = after(text, b" from client ", b"")
        && find(text, b"Invalid attempt").is_some()
    {
        let user = between(rest, b" using ", b" account").unwrap_or_default();
        return Ok(logon(Outcome::Failure, user, rest));
    }
    if let Some(rest) = text.strip_prefix(b"Client ").or_else(|| after(text, b" Client ", b"")) {
        if find(rest, b" disconnected").is_some() || rest.ends_with(b" gone") {
            return Ok(Told {
                act: Act::Logoff,
                outcome: Outcome::Success,
                reason: Reason::Logout,
                user: between(rest, b" using ", b" account").unwrap_or_default(),
                from: rest,
            });
        }
        return Err(Kind::Transport);
    }
    // TightVNC, LibVNCServer.
    for (words, outcome) in [
        (&b"uthentication failed from "[..], Outcome::Failure),
        (b"uthentication passed by ", Outcome::Success),
    ] {
        if let Some(rest) = after(text, words, b"") {
            return Ok(logon(outcome, b"", rest));
        }
    }
    Err(if find(text, b"onnection").is_some() { Kind::Transport } else { Kind::OtherMessage })
}
