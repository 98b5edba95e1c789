//! xrdp: Remote Desktop on Linux, with its session manager.
//!
//! Read from: xrdp-sesman(8), xrdp.ini(5), the messages of sesman. Traps: a user name may be an address or hold ` ip=`,
//! so the address stands behind the last one; what xrdp itself shows in its login window is told by anybody.

use crate::decode::clock::Civil;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "xrdp",
    title: "xrdp",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Logoff],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["forged_address"],
    manual: "xrdp-sesman(8), sesman.ini(5)",
    enable: "on by default: /var/log/xrdp-sesman.log, or EnableSyslog=true in sesman.ini",
    general: false,
    marks: &["xrdp", "] [INFO ] ", "] [ERROR] ", "] [WARN ] ", "] [CORE ] ", "] [DEBUG] "],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Text
                && (r.header.program.starts_with(b"xrdp")
                    || own_stamp(r.body).is_some_and(|(_, text)| {
                        [&b"[INFO ] "[..], b"[ERROR] ", b"[WARN ] ", b"[CORE ] ", b"[DEBUG] "]
                            .iter()
                            .any(|level| text.starts_with(level))
                    }))
        },
        parse,
        join: None,
    },
};

/// `[20260303-12:11:24] [INFO ] text`.
fn own_stamp(body: &[u8]) -> Option<(Civil, &[u8])> {
    let rest = body.strip_prefix(b"[")?;
    let head = rest.get(..17)?;
    if head.get(8) != Some(&b'-') || rest.get(17) != Some(&b']') {
        return None;
    }
    let n = |from: usize, to: usize| -> Option<u64> {
        let part = head.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| number(part))
    };
    let small = |from, to| u8::try_from(n(from, to)?).ok();
    let civil = Civil {
        year: i16::try_from(n(0, 4)?).ok()?,
        month: small(4, 6)?,
        day: small(6, 8)?,
        hour: small(9, 11)?,
        minute: small(12, 14)?,
        second: small(15, 17)?,
        micros: 0,
    };
    Some((civil, rest.get(18..)?.trim_ascii_start()))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (at, text): (Option<(EventTime, Certainty)>, &[u8]) = match own_stamp(r.body) {
        Some((civil, text)) => (r.header_time().or_else(|| r.clock.resolve(civil)), text),
        None => (r.header_time(), r.body),
    };
    // The level in brackets, then the message itself.
    let text = match text.strip_prefix(b"[") {
        Some(rest) => after(rest, b"]", b"").unwrap_or_default().trim_ascii_start(),
        None => text,
    };
    if let Some(rest) = text.strip_prefix(b"AUTHFAIL: user=") {
        let Some(n) = memchr::memmem::rfind(rest, b" ip=") else {
            return Parsed::Broken(Why::Missing("address"));
        };
        return out
            .event(Act::Logon, Outcome::Failure)
            .at(at)
            .service(Service::Rdp)
            .user(rest.get(..n).unwrap_or_default())
            .source(word(rest.get(n + 4..).unwrap_or_default()).0)
            .host(r.host())
            .observer(r.host())
            .reason(Reason::BadPassword)
            .done();
    }
    let (act, rest) = if let Some(rest) = text.strip_prefix(b"++ created session (access granted): ") {
        (Act::Logon, rest)
    } else if let Some(rest) = text.strip_prefix(b"++ reconnected session: ") {
        (Act::Logon, rest)
    } else if let Some(rest) = text.strip_prefix(b"++ terminated session:") {
        (Act::Logoff, rest)
    } else {
        return Parsed::Irrelevant(Kind::Transport);
    };
    // `username anna, ip 192.0.2.5:50000 - socket: 12`; the newer one writes `username anna, ip ::ffff:192.0.2.5`.
    let user = after(rest, b"username ", b"").unwrap_or_default();
    let ip = memchr::memmem::rfind(user, b", ip ");
    let named = ip.and_then(|n| user.get(..n)).unwrap_or(user);
    let named = named.split(|b| *b == b',').next().unwrap_or_default();
    let address = ip.map_or(&b""[..], |n| word(user.get(n + 5..).unwrap_or_default()).0);
    let address = address.strip_suffix(b",").unwrap_or(address);
    let address = match address.strip_prefix(b"::ffff:") {
        Some(mapped) if mapped.contains(&b'.') => mapped,
        _ => address,
    };
    out.event(act, Outcome::Success)
        .at(at)
        .service(Service::Rdp)
        .user(named)
        .source(address)
        .host(r.host())
        .observer(r.host())
        .logon_type(if act == Act::Logon { 10 } else { 0 })
        .done()
}
