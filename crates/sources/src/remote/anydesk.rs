//! AnyDesk: `connection_trace.txt` and the trace files (`ad_svc.trace`, `ad.trace`) of the reached host.
//!
//! Read from: AnyDesk "Trace files", "Connection trace"; published forensic descriptions of both. Traps: trace files are
//! in UTC, the connection trace in local time and without seconds; a request is no session; the address stands in another
//! line than the name; the service also writes of the relay that it logs in to itself.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "anydesk",
    title: "AnyDesk",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Posture, Act::SessionStart, Act::SessionEnd],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["two_clocks", "request_is_no_session"],
    manual: "AnyDesk: Trace files; Connection trace",
    enable: "ship %ProgramData%\\AnyDesk\\connection_trace.txt and ad_svc.trace (Linux: /var/log/anydesk.trace) of each host",
    general: false,
    marks: &[
        "Incoming ",
        "Incoming\t",
        " lsvc ",
        " gsvc ",
        " back ",
        " front ",
        " ctrl ",
        " anynet.",
        " app.",
        "AnyDesk",
    ],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Text && (row(r).is_some() || line(r).is_some()),
        parse,
        join: None,
    },
};

/// A row of the connection trace.
struct Connection<'a> {
    stamp: Stamp,
    how: &'a [u8],
    alias: &'a [u8],
    id: &'a [u8],
}

/// `Incoming    2026-03-03, 09:20    Passwd    anna@ad    123456789`.
fn row<'a>(r: &Record<'a>) -> Option<Connection<'a>> {
    let rest = r.body.strip_prefix(b"Incoming").or_else(|| r.raw.strip_prefix(b"Incoming"))?;
    let rest = rest.trim_ascii();
    let (date, time) = (rest.get(..10)?, rest.get(10..)?.strip_prefix(b", ")?.get(..5)?);
    let mut stamp = [b' '; 19];
    stamp.get_mut(..10)?.copy_from_slice(date);
    stamp.get_mut(11..16)?.copy_from_slice(time);
    stamp.get_mut(16..)?.copy_from_slice(b":00");
    let (stamp, _) = clock::iso(&stamp)?;
    let (how, rest) = word(rest.get(17..)?.trim_ascii_start());
    let rest = rest.trim_ascii();
    // An alias may hold blanks, an ID does not.
    let blank = rest.iter().rposition(u8::is_ascii_whitespace);
    let (alias, id) = match blank {
        Some(n) => (rest.get(..n).unwrap_or_default().trim_ascii(), rest.get(n + 1..).unwrap_or_default()),
        None => (&b""[..], rest),
    };
    (!how.is_empty()).then_some(Connection { stamp, how, alias, id })
}

/// A line of a trace file.
struct Traced<'a> {
    time: Option<EventTime>,
    text: &'a [u8],
}

/// `   info 2026-03-03 09:20:01.466       lsvc   6572   5380   22                anynet.any_socket - text`.
fn line<'a>(r: &Record<'a>) -> Option<Traced<'a>> {
    traced(r.raw).or_else(|| traced(r.body))
}

fn traced(line: &[u8]) -> Option<Traced<'_>> {
    let (level, rest) = word(line.trim_ascii_start());
    if !matches!(level, b"info" | b"warning" | b"error" | b"debug" | b"fatal" | b"trace") {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let (stamp, used) = clock::iso(rest)?;
    let (part, rest) = word(rest.get(used..)?.trim_ascii_start());
    let (process, rest) = word(rest.trim_ascii_start());
    let (thread, rest) = word(rest.trim_ascii_start());
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    let part = (3..=8).contains(&part.len()) && part.iter().all(u8::is_ascii_alphanumeric);
    if !part || !digits(process) || !digits(thread) || find(rest, b" - ").is_none() {
        return None;
    }
    let time = match stamp {
        Stamp::Absolute(time) => Some(time),
        Stamp::Local(civil) => Clock::with_offset(civil, 0),
    };
    Some(Traced { time, text: rest.trim_ascii() })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if let Some(c) = row(r) {
        let at: Option<(EventTime, Certainty)> = match c.stamp {
            Stamp::Absolute(time) => Some((time, Certainty::Exact)),
            Stamp::Local(civil) => r.clock.resolve(civil),
        };
        let refused = c.how.eq_ignore_ascii_case(b"REJECTED");
        let (act, outcome) =
            if refused { (Act::Auth, Outcome::Failure) } else { (Act::SessionStart, Outcome::Success) };
        return out
            .event(act, outcome)
            .at(at)
            .service(Service::Rmm)
            .user(if c.alias.is_empty() { c.id } else { c.alias })
            .device(c.id)
            .host(r.host())
            .observer(r.host())
            .method(method(c.how))
            .detail(c.how)
            .reason(if refused { Reason::NotAllowed } else { Reason::None })
            .done();
    }
    let Some(t) = line(r) else { return Parsed::NotMine };
    let at = t.time.map(|time| (time, Certainty::Exact));
    let text = t.text;
    let has = |words: &[u8]| find(text, words).is_some();
    let event = |out: &mut Emit<'_>, act, outcome, user: &[u8], device: &[u8], from: &[u8], why| {
        let colon = from.iter().rposition(|b| *b == b':').unwrap_or(from.len());
        out.event(act, outcome)
            .at(at)
            .service(Service::Rmm)
            .user(user)
            .device(device)
            .source(from.get(..colon).unwrap_or_default())
            .source_port(u16::try_from(number(from.get(colon + 1..).unwrap_or_default())).unwrap_or_default())
            .host(r.outer_host)
            .observer(r.outer_host)
            .method(if act == Act::SessionStart { method(text) } else { Method::Unknown })
            .reason(why)
            .done()
    };
    // The names end in ` (ID)`; a name may hold anything else.
    let named = |rest: &'_ [u8]| -> (usize, usize) {
        let open = memchr::memmem::rfind(rest, b" (").unwrap_or(rest.len());
        let close = memchr::memrchr(b')', rest).unwrap_or(rest.len());
        (open, close.max(open))
    };
    if let Some(rest) = after(text, b"Incoming session request: ", b"") {
        let (open, close) = named(rest);
        let user = rest.get(..open).unwrap_or_default();
        let id = rest.get(open + 2..close).unwrap_or_default();
        return event(out, Act::Posture, Outcome::Unknown, user, id, b"", Reason::None);
    }
    if let Some(rest) = after(text, b"Logged in from ", b"") {
        let from = word(rest).0;
        let from = from.strip_suffix(b".").unwrap_or(from);
        return event(out, Act::Posture, Outcome::Unknown, b"", b"", from, Reason::None);
    }
    if has(b"Authenticated by ") || has(b"Authenticated with ") {
        return event(out, Act::SessionStart, Outcome::Success, b"", b"", b"", Reason::None);
    }
    if has(b"assphrase not accepted") || has(b"Authentication failed") || has(b"Wrong password") {
        return event(out, Act::Auth, Outcome::Failure, b"", b"", b"", Reason::BadPassword);
    }
    if has(b"denied by the user") || has(b"Session request denied") || has(b"session was rejected") {
        return event(out, Act::Auth, Outcome::Failure, b"", b"", b"", Reason::NotAllowed);
    }
    if has(b"app.backend_session - Session closed") || has(b"app.backend_session - Session stopped") {
        return event(out, Act::SessionEnd, Outcome::Success, b"", b"", b"", Reason::Logout);
    }
    Parsed::Irrelevant(if has(b"Accept request from ") || has(b"Client-ID: ") {
        Kind::Pending
    } else {
        Kind::OtherMessage
    })
}

fn method(how: &[u8]) -> Method {
    let has = |words: &[u8]| find(how, words).is_some();
    if how == b"Passwd" || has(b"passphrase") || has(b"password") {
        Method::Password
    } else if how == b"Token" || has(b"token") {
        Method::Token
    } else {
        Method::Unknown
    }
}
