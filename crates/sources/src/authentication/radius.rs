//! FreeRADIUS: the server's log, `detail` files, and requests written as JSON.
//!
//! Read from: radiusd.conf `log { auth = yes }`, rlm_detail, rlm_linelog, RFC 2865 and 2866. Traps: tunnelled EAP is written
//! twice, the inner line with `via TLS tunnel`; the bracket holds `user/password` where `auth_badpass` is on; the client is
//! the switch or gateway; a name may hold a bracket; octets of accounting are counted from the server's side of the line.

mod detail;

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Mac, Method, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "freeradius",
    title: "FreeRADIUS",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac, Act::SessionStart, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Host],
    traps: &["inner_and_outer", "detail", "json", "names_with_brackets"],
    manual: "FreeRADIUS: radiusd.conf(5), rlm_detail, rlm_linelog",
    enable: "log { auth = yes } in radiusd.conf, msg_goodpass with %{Calling-Station-Id}; module detail in the accounting section",
    general: false,
    marks: &[
        "Login OK: [",
        "Login incorrect",
        "Invalid user",
        "radiusd",
        "freeradius",
        " : Auth: ",
        " : Info: ",
        "Packet-Type",
        "Acct-Status-Type",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return detail::is_json(r.body);
    }
    let head = &r.raw[..r.raw.len().min(40)];
    find(r.raw, b"Login OK: [").or_else(|| find(r.raw, b"Login incorrect")).is_some()
        || find(r.raw, b"Invalid user (").or_else(|| find(r.raw, b"Invalid user: [")).is_some()
            && find(r.raw, b"(from client ").is_some()
        || r.header.program.starts_with(b"radiusd")
        || r.header.program.starts_with(b"freeradius")
        || find(head, b" : Auth: ").or_else(|| find(head, b" : Info: ")).is_some()
        || detail::is_block(r.raw)
}

/// What FreeRADIUS says of itself, of its modules and of packets without an end.
const KNOWN: [&[u8]; 13] = [
    b"Info: ",
    b"Warning: ",
    b"Debug: ",
    b"Loaded virtual server",
    b"Ready to process requests",
    b"Received conflicting packet",
    b"Discarding duplicate request",
    b"Dropping packet",
    b"Ignoring request",
    b"Error: ",
    b"Exiting normally",
    b"rlm_",
    b"Signalled to terminate",
];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return detail::json(r, out);
    }
    if detail::is_block(r.raw) {
        return detail::block(r, out);
    }
    let ok = find(r.raw, b"Login OK: [");
    let failed = find(r.raw, b"Login incorrect").or_else(|| find(r.raw, b"Invalid user"));
    let (from, outcome) = match (ok, failed) {
        (Some(n), _) => (n, Outcome::Success),
        (_, Some(n)) => (n, Outcome::Failure),
        _ => return Parsed::housekeeping_if(KNOWN.iter().any(|k| find(r.raw, k).is_some())),
    };
    // `Mon Oct  6 02:45:42 2026 : Auth: …` without syslog.
    let stamp = r.raw.get(4..).and_then(clock::bsd);
    let at = match stamp {
        Some((Stamp::Local(civil), _)) if r.header.time.is_none() => r.clock.resolve(civil),
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    let text = &r.raw[from..];
    // A name may hold brackets and blanks: it ends where the client is named, and there for the last time.
    let Some(client_at) = memchr::memmem::rfind(text, b"(from client ") else {
        return Parsed::Broken(Why::Missing("client"));
    };
    let named = text[..client_at].trim_ascii_end();
    let Some(name) = find(named, b": [").and_then(|n| named.get(n + 3..)) else {
        return Parsed::Broken(Why::Missing("user"));
    };
    let name = name.strip_suffix(b"]").unwrap_or(name);
    // A password may stand behind a slash: it is never kept.
    let user = &name[..memchr::memchr(b'/', name)
        .filter(|n| !name[..*n].is_empty() && !name.starts_with(b"host/"))
        .unwrap_or(name.len())];
    let inside = &text[client_at + 13..];
    let inside = inside.strip_suffix(b")").unwrap_or(inside);
    let client = word(inside).0;
    let station = after(inside, b" cli ", b" ").unwrap_or_default();
    let station = station.strip_suffix(b")").unwrap_or(station);
    let inner = find(inside, b"via TLS tunnel").is_some();
    let reason = match outcome {
        Outcome::Success => Reason::None,
        _ if text.starts_with(b"Invalid user") => Reason::NoUser,
        _ => why(&text[..client_at]),
    };
    if Mac::parse(station).is_some() {
        // The tunnel's outer line counts; the inner one has the name that the outer one hides.
        return out
            .event(Act::Nac, outcome)
            .at(at)
            .service(Service::Wireless)
            .user(user)
            .mac(station)
            .observer(client)
            .method(Method::Dot1x)
            .reason(reason)
            .flag_if(inner, Flags::REPEATS)
            .done();
    }
    if inner && Ip::parse(station).is_none() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    out.event(Act::Auth, outcome)
        .at(at)
        .service(Service::Radius)
        .user(user)
        .source(station)
        .observer(client)
        .reason(reason)
        .flag(Flags::PRE_MFA)
        .flag_if(inner, Flags::REPEATS)
        .done()
}

/// What the module that refused says of it.
fn why(said: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(said, needle).is_some();
    if has(b"No such user") || has(b"not found") || has(b"E=644") {
        Reason::NoUser
    } else if has(b"locked") || has(b"E=691 R=0 LOCKED") {
        Reason::Locked
    } else if has(b"isabled") || has(b"E=647") {
        Reason::Disabled
    } else if has(b"xpired") || has(b"E=648") {
        Reason::Expired
    } else if has(b"TLS") || has(b"ertificate") {
        Reason::Certificate
    } else if has(b"No Auth-Type") || has(b"Rejected by") || has(b"not allowed") || has(b"E=649") {
        Reason::NotAllowed
    } else if has(b"hours") || has(b"E=646") {
        Reason::Hours
    } else {
        Reason::BadPassword
    }
}
