//! Barracuda CloudGen Firewall (NextGen, before it phion): logins at the box, configuration, VPN users, connections.
//!
//! Read from: Barracuda Campus "Available Log Files and Structure", "Firewall Activity Log", "How to Configure Syslog
//! Streaming". Traps: a line names its level and box and no product, so both their widths and the words behind them
//! decide; the box logs in to itself as `localhost_…`; accounting of VPN users is updated every few minutes.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "barracuda",
    title: "Barracuda CloudGen Firewall",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Flow,
        Act::Posture,
        Act::Alert,
    ],
    lacks: &[Field::Mfa, Field::Device, Field::SessionId],
    traps: &["the_box_itself", "accounting"],
    manual: "Barracuda CloudGen Firewall: Available Log Files and Structure",
    enable: "Infrastructure Services > Syslog Streaming: the log groups Auth, Config, Firewall (activity) and the VPN service",
    general: false,
    marks: &["Info     ", "Notice   ", "Warning  ", "Error    ", "Security ", "Fatal    ", "Panic    "],
    reader: Reader::Code { claim: |r| split(r).is_some(), parse, join: None },
};

/// Levels, padded to one width.
const LEVELS: [&[u8; 9]; 7] =
    [b"Info     ", b"Notice   ", b"Warning  ", b"Error    ", b"Security ", b"Fatal    ", b"Panic    "];

/// The box and the message. Behind a header, the name of the log file (`box_Auth_access:`) may stand first.
fn split<'a>(r: &Record<'a>) -> Option<(&'a [u8], &'a [u8])> {
    if r.shape != Shape::Text {
        return None;
    }
    let mut text = r.body;
    let (first, rest) = word(text);
    if first.ends_with(b":") && (find(first, b"box_").is_some() || find(first, b"srv_").is_some()) {
        text = rest;
    }
    let level = LEVELS.iter().find(|l| text.starts_with(**l))?;
    let rest = &text[level.len()..];
    if !rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let (host, message) = word(rest);
    // Only this level fills its column, so that any text might begin so.
    let plain = host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let known = *level != b"Security "
        || [&b"LOGIN ATTEMPT"[..], b"firewall", b"Session ", b"Block", b"Deny", b"Drop", b"login "]
            .iter()
            .any(|w| find(message, w).is_some());
    (plain && known && !message.is_empty()).then_some((host, message))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((host, text)) = split(r) else { return Parsed::NotMine };
    // `Allow: LOUT|UDP|bond0|…`, `Block: …`: most of what there is.
    if let Some(at) = text.get(..16.min(text.len())).and_then(|t| find(t, b": "))
        && matches!(
            &text[..at],
            b"Allow"
                | b"Block"
                | b"Deny"
                | b"Drop"
                | b"Fail"
                | b"Remove"
                | b"Detect"
                | b"LocalAllow"
                | b"LocalBlock"
                | b"ScanAllow"
                | b"ScanBlock"
        )
    {
        return flow(r, host, &text[..at], &text[at + 2..], out);
    }
    if text.starts_with(b"LOGIN ATTEMPT: ") {
        return attempt(r, host, text, out);
    }
    if let Some(at) = find(text, b" login succeeded: ").or_else(|| find(text, b" login failed: ")) {
        return console(r, host, text, at, out);
    }
    if text.starts_with(b"[") && find(text, b"] ").is_some() {
        return change(r, host, text, out);
    }
    if find(text, b"|").is_some() && text.iter().filter(|b| **b == b'|').count() >= 14 {
        return accounting(r, host, text, out);
    }
    if find(text, b"Accounting LOGIN").is_some() || find(text, b"Accounting LOGOUT").is_some() {
        return session(r, host, text, out);
    }
    if text.starts_with(b"firewall: [") {
        return security(r, host, text, out);
    }
    if find(text, b"uthentication failed").is_some() || find(text, b"ccess denied").is_some() {
        return refused(r, host, text, out);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

/// `LOGIN ATTEMPT: boxconfig[50357]: Login anna from 192.0.2.9 : Allowed.`, `… Login from 192.0.2.9: Denied: …`.
fn attempt(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(rest) = after(text, b"Login ", b"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let rest = if rest.starts_with(b"from ") { rest } else { rest.trim_ascii_start() };
    let at = if rest.starts_with(b"from ") { Some(0) } else { memchr::memmem::rfind(rest, b" from ") };
    let Some(at) = at else { return Parsed::Broken(Why::Missing("address")) };
    let user = if at == 0 { &b""[..] } else { &rest[..at] };
    let tail = rest[at..].trim_ascii_start().strip_prefix(b"from ").unwrap_or_default();
    let from = word(tail).0;
    let from = from.strip_suffix(b":").unwrap_or(from);
    let denied = find(tail, b"Denied").is_some() || find(tail, b"Failed").is_some();
    if !denied && find(tail, b"Allowed").is_none() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    // The box talks to itself.
    let local = user.starts_with(b"localhost_") || Ip::parse(from).is_loopback();
    if local && !denied {
        return itself(r, host, user, from, out);
    }
    let rule = find(tail, b"Firewall Rule").is_some();
    out.event(Act::Admin, if denied { Outcome::Failure } else { Outcome::Success })
        .at(r.header_time())
        .service(Service::Management)
        .user(user)
        .source(from)
        .client(after(text, b"ATTEMPT: ", b"[").filter(|_| at > 0).unwrap_or_default())
        .reason(match (denied, rule) {
            (false, _) => Reason::None,
            (true, true) => Reason::Policy,
            (true, false) => Reason::BadPassword,
        })
        .observer(host)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `192.0.2.9:15743 login succeeded: anna_FW1_1 Valid password and valid challenge`: the configuration service after
/// the attempt that the access log tells.
fn console(r: &Record<'_>, host: &[u8], text: &[u8], at: usize, out: &mut Emit<'_>) -> Parsed {
    let from = text[..at].rsplit(|b| *b == b' ').next().unwrap_or_default();
    let failed = find(&text[at..], b"login failed").is_some();
    let user = word(after(&text[at..], b": ", b"").unwrap_or_default()).0;
    if Ip::parse(from).is_loopback() && !failed {
        return itself(r, host, user, from, out);
    }
    out.event(Act::Admin, if failed { Outcome::Failure } else { Outcome::Success })
        .at(r.header_time())
        .service(Service::Management)
        .user(bare(user))
        .source(from)
        .reason(if failed { Reason::BadPassword } else { Reason::None })
        .observer(host)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// A process of the box that logged in to another: no person.
fn itself(r: &Record<'_>, host: &[u8], user: &[u8], from: &[u8], out: &mut Emit<'_>) -> Parsed {
    out.event(Act::Posture, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .user(bare(user))
        .source(from)
        .observer(host)
        .flag(Flags::MACHINE)
        .done()
}

/// `anna_FW1_5-4_1`: the administrator, and the box that is meant.
fn bare(user: &[u8]) -> &[u8] {
    memchr::memchr(b'_', user).map_or(user, |n| &user[..n])
}

/// `[anna@192.0.2.9_36778] Commit operation: 0 Copy: boxadm.conf …`.
fn change(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(end) = memchr::memchr(b']', text) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (who, what) = (&text[1..end], text[end + 1..].trim_ascii());
    let Some(at) = memchr::memrchr(b'@', who) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let from = who[at + 1..].split(|b| *b == b'_').next().unwrap_or_default();
    let changes = [&b"Commit"[..], b"Activate", b"Remove", b"Insert", b"Modify", b"Create", b"Delete"];
    if Ip::parse(from).is_loopback() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    if !changes.iter().any(|c| what.starts_with(c)) {
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(r.header_time())
            .service(Service::Management)
            .user(&who[..at])
            .source(from)
            .detail(what)
            .observer(host)
            .done();
    }
    let has = |needle: &[u8]| find(what, needle).is_some();
    let change = if has(b"admin") {
        Change::AdminCreated
    } else if has(b"syslog") && !what.starts_with(b"Commit") {
        Change::LoggingStopped
    } else if has(b"vpn") || has(b"auth") || has(b"rule") {
        Change::PolicyChanged
    } else {
        Change::ConfigChanged
    };
    out.event(Act::Config, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .change(change)
        .user(&who[..at])
        .source(from)
        .detail(what)
        .observer(host)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `update|FW1|PGRP-AUTH-anna-RA||||||start|now|in|out|192.0.2.9|||anna`: what, box, tunnel, six more, begin and end as
/// epochs, bytes, address of the peer, and at the end the user.
fn accounting(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let mut c: [&[u8]; 16] = [b""; 16];
    for (slot, value) in c.iter_mut().zip(text.split(|b| *b == b'|')) {
        *slot = value;
    }
    let act = match c[0].trim_ascii() {
        b"start" | b"login" | b"open" => Act::IpAssign,
        b"stop" | b"logout" | b"close" | b"end" => Act::SessionEnd,
        what => return Parsed::housekeeping_if(what == b"update"),
    };
    let stamp = if act == Act::SessionEnd { c[9] } else { c[8] };
    let at: Option<(EventTime, Certainty)> =
        clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time());
    let seconds = number(c[9]).saturating_sub(number(c[8]));
    out.event(act, Outcome::Success)
        .at(at)
        .service(Service::Vpn)
        .user(c[15])
        .tunnel(c[12])
        .bytes(number(c[10]), number(c[11]))
        .duration_s(if act == Act::SessionEnd { u32::try_from(seconds).unwrap_or(u32::MAX) } else { 0 })
        .observer(host)
        .done()
}

/// `Session PGRP-AUTH-anna: Accounting LOGIN - user=anna IP=10.8.0.7 start="…" peer=192.0.2.9`.
fn session(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let part = |marker: &[u8]| word(after(text, marker, b"").unwrap_or_default()).0;
    let end = find(text, b"Accounting LOGOUT").is_some();
    out.event(if end { Act::SessionEnd } else { Act::IpAssign }, Outcome::Success)
        .at(r.header_time())
        .service(Service::Vpn)
        .user(part(b" user="))
        .source(part(b" peer="))
        .tunnel(part(b" IP="))
        .duration_s(u32::try_from(number(part(b" duration="))).unwrap_or(u32::MAX))
        .observer(host)
        .done()
}

/// `Session PGRP-AUTH-anna: User authentication failed for user anna from 192.0.2.66`.
fn refused(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let at = memchr::memmem::rfind(text, b" from ").or_else(|| memchr::memmem::rfind(text, b" peer="));
    let from = at.map_or(&b""[..], |n| word(&text[n + 6..]).0);
    let head = &text[..at.unwrap_or(text.len())];
    let user = after(head, b" user=", b" ")
        .or_else(|| after(head, b" user ", b" "))
        .or_else(|| after(head, b"AUTH-", b":"))
        .unwrap_or_default();
    if user.is_empty() && Ip::parse(from).is_none() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    out.event(Act::Auth, Outcome::Failure)
        .at(r.header_time())
        .service(Service::Vpn)
        .user(user)
        .source(from)
        .reason(Reason::BadPassword)
        .observer(host)
        .done()
}

/// `firewall: [Timer] SecurityEvent: (Address-Port Scan) 149 unallowed requests for source IP 192.0.2.120 within 60
/// seconds`, `firewall: [Request] Allow:   IPS ALLIP(0) 192.0.2.120 -> 10.20.0.5:3389 |[ID: 5000002 …]||3|Probing`.
fn security(r: &Record<'_>, host: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (src, dst, detail, severity);
    if let Some(arrow) = find(text, b" -> ") {
        src = text[..arrow].rsplit(|b| *b == b' ').next().unwrap_or_default();
        dst = word(&text[arrow + 4..]).0;
        let rest = after(text, b" |", b"").unwrap_or_default();
        detail = rest.split(|b| *b == b'|').next().unwrap_or_default();
        severity = rest.split(|b| *b == b'|').nth(2).map_or(2, number);
    } else if let Some(rest) = after(text, b" source IP ", b"") {
        (src, dst, severity) = (word(rest).0, &b""[..], 2);
        detail = after(text, b"SecurityEvent: ", b" for source IP").unwrap_or_default();
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let target = dst.split(|b| *b == b':').next().unwrap_or_default();
    out.event(Act::Alert, Outcome::Unknown)
        .at(r.header_time())
        .service(Service::Firewall)
        .source(src)
        .destination(dst)
        .host(target)
        .detail(detail)
        .severity(u8::try_from(severity.clamp(1, 5)).unwrap_or(2))
        .observer(host)
        .done()
}

/// Direction, protocol, interface, source, port, hardware address, destination, port, service, interface, rule, reason,
/// translated ends, duration, count, bytes in and out, packets, user.
fn flow(r: &Record<'_>, host: &[u8], action: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let mut c: [&[u8]; 21] = [b""; 21];
    let mut n = 0;
    for (slot, value) in c.iter_mut().zip(text.split(|b| *b == b'|')) {
        *slot = value.trim_ascii();
        n += 1;
    }
    if n < 9 {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    // The end of what was allowed, and what only passes by.
    if matches!(action, b"Remove" | b"Detect") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if c[0] == b"LOUT" {
        return Parsed::Irrelevant(Kind::OutboundTraffic);
    }
    let allowed = action.ends_with(b"Allow");
    let (src, dst) = (Ip::parse(c[3]), Ip::parse(c[6]));
    let dport = u16::try_from(number(c[7])).unwrap_or(0);
    let user = c[20];
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, allowed)
        && (user.is_empty() || kind == Kind::OutboundTraffic)
    {
        return Parsed::Irrelevant(kind);
    }
    let inner = Ip::parse(c[13]);
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(r.header_time())
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(c[4])).unwrap_or(0))
        .destination_ip(if allowed && inner.is_some() { inner } else { dst })
        .destination_port(dport)
        .user(user)
        .bytes(number(c[16]), number(c[17]))
        .observer(host)
        .done()
}
