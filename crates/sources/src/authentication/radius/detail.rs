//! Requests with all their attributes: `detail` blocks (a stamp, then indented lines) and JSON objects.

use super::super::utc;
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Mac, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use std::sync::LazyLock;

/// `Tue Oct  6 07:12:45 2026`, then `\tUser-Name = "anna"`.
pub(super) fn is_block(text: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', &text[..text.len().min(80)]) else { return false };
    matches!(text.get(end + 1), Some(b'\t' | b' '))
        && find(text, b" = ").is_some()
        && (find(text, b"Acct-Status-Type = ").is_some()
            || find(text, b"Packet-Type = ").is_some()
            || find(text, b"NAS-IP-Address = ").is_some())
}

pub(super) fn is_json(text: &[u8]) -> bool {
    let has = |needle: &[u8]| find(text, needle).is_some();
    has(b"\"User-Name\"")
        && (has(b"\"Packet-Type\"") || has(b"\"Acct-Status-Type\""))
        && (has(b"\"NAS-IP-Address\"") || has(b"\"NAS-Identifier\"") || has(b"\"Calling-Station-Id\""))
}

/// The attributes that matter.
#[derive(Default)]
struct Said<'a> {
    packet: Cow<'a, [u8]>,
    status: Cow<'a, [u8]>,
    user: Cow<'a, [u8]>,
    calling: Cow<'a, [u8]>,
    endpoint: Cow<'a, [u8]>,
    framed: Cow<'a, [u8]>,
    nas: Cow<'a, [u8]>,
    nas_name: Cow<'a, [u8]>,
    port: Cow<'a, [u8]>,
    port_type: Cow<'a, [u8]>,
    session: Cow<'a, [u8]>,
    seconds: u64,
    bytes_in: u64,
    bytes_out: u64,
    cause: Cow<'a, [u8]>,
    vlan: Cow<'a, [u8]>,
    eap: bool,
    why: Cow<'a, [u8]>,
    stamp: Cow<'a, [u8]>,
    event_stamp: Cow<'a, [u8]>,
}

fn take<'a>(said: &mut Said<'a>, name: &[u8], value: Cow<'a, [u8]>) {
    // `Tunnel-Private-Group-Id:0`: the tag.
    let name = &name[..memchr::memchr(b':', name).unwrap_or(name.len())];
    match name {
        b"Packet-Type" => said.packet = value,
        b"Acct-Status-Type" => said.status = value,
        b"User-Name" => said.user = value,
        b"Calling-Station-Id" => said.calling = value,
        b"Tunnel-Client-Endpoint" => said.endpoint = value,
        b"Framed-IP-Address" | b"Framed-IPv6-Address" if said.framed.is_empty() => said.framed = value,
        b"NAS-IP-Address" | b"NAS-IPv6-Address" => said.nas = value,
        b"NAS-Identifier" => said.nas_name = value,
        b"NAS-Port-Id" => said.port = value,
        b"NAS-Port" if said.port.is_empty() => said.port = value,
        b"NAS-Port-Type" => said.port_type = value,
        b"Acct-Session-Id" => said.session = value,
        b"Acct-Session-Time" => said.seconds = number(&value),
        b"Acct-Input-Octets" => said.bytes_in = said.bytes_in.saturating_add(number(&value)),
        b"Acct-Output-Octets" => said.bytes_out = said.bytes_out.saturating_add(number(&value)),
        b"Acct-Input-Gigawords" => said.bytes_in = said.bytes_in.saturating_add(number(&value) << 32),
        b"Acct-Output-Gigawords" => said.bytes_out = said.bytes_out.saturating_add(number(&value) << 32),
        b"Acct-Terminate-Cause" => said.cause = value,
        b"Tunnel-Private-Group-Id" => said.vlan = value,
        b"EAP-Message" | b"EAP-Type" => said.eap = true,
        b"Module-Failure-Message" | b"Reply-Message" if said.why.is_empty() => said.why = value,
        b"Timestamp" | b"timestamp" | b"@timestamp" => said.stamp = value,
        b"Event-Timestamp" => said.event_stamp = value,
        _ => {}
    }
}

pub(super) fn block(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut lines = r.raw.split(|b| *b == b'\n');
    let head = lines.next().unwrap_or_default().trim_ascii();
    let mut said = Said::default();
    for line in lines {
        let line = line.trim_ascii();
        let Some(n) = find(line, b" = ") else { continue };
        let value = line[n + 3..].trim_ascii();
        let value = value.strip_prefix(b"\"").map_or(value, |v| v.strip_suffix(b"\"").unwrap_or(v));
        take(&mut said, &line[..n], Cow::Borrowed(value));
    }
    // The server's own seconds since the epoch need no zone.
    let at = match clock::epoch(&said.stamp) {
        Some(t) => Some((t, Certainty::Exact)),
        None => match head.get(4..).and_then(clock::bsd) {
            Some((Stamp::Local(c), _)) => r.clock.resolve(c),
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            None => r.header_time(),
        },
    };
    tell(&said, at, out)
}

const NAMES: [&str; 24] = [
    "Packet-Type",
    "Acct-Status-Type",
    "User-Name",
    "Calling-Station-Id",
    "Tunnel-Client-Endpoint",
    "Framed-IP-Address",
    "NAS-IP-Address",
    "NAS-Identifier",
    "NAS-Port-Id",
    "NAS-Port",
    "NAS-Port-Type",
    "Acct-Session-Id",
    "Acct-Session-Time",
    "Acct-Input-Octets",
    "Acct-Output-Octets",
    "Acct-Input-Gigawords",
    "Acct-Output-Gigawords",
    "Acct-Terminate-Cause",
    "Tunnel-Private-Group-Id",
    "EAP-Type",
    "Module-Failure-Message",
    "timestamp",
    "@timestamp",
    "Event-Timestamp",
];
static PATHS: LazyLock<Paths<24>> = LazyLock::new(|| Paths::new(NAMES));
/// rlm_json writes `{"type": "string", "value": ["anna"]}`.
static TYPED: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["value"]));

fn plain(value: Value<'_>) -> Cow<'_, [u8]> {
    match value {
        Value::Nested(inner) if inner.first() == Some(&b'{') => match TYPED.pick(inner) {
            Ok([Value::Nested(list)]) => elements(list).next().unwrap_or_default().text(),
            Ok([value]) => value.text(),
            Err(_) => Cow::Borrowed(b""),
        },
        Value::Nested(list) => elements(list).next().unwrap_or_default().text(),
        value => value.text(),
    }
}

pub(super) fn json(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let mut said = Said::default();
    for (name, value) in NAMES.iter().zip(v) {
        if !value.is_missing() {
            take(&mut said, name.as_bytes(), plain(value));
        }
    }
    let stamp = if said.stamp.is_empty() { &said.event_stamp } else { &said.stamp };
    let at = match clock::bsd(stamp) {
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        _ => utc(r, stamp),
    };
    tell(&said, at, out)
}

fn tell(said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let observer: &[u8] = if said.nas_name.is_empty() { &said.nas } else { &said.nas_name };
    let hardware = Mac::parse(&said.calling);
    let source: &[u8] = if Ip::parse(&said.endpoint).is_some() { &said.endpoint } else { &said.calling };
    let wireless = said.port_type.starts_with(b"Wireless");
    let network = if wireless { Service::Wireless } else { Service::Wired };
    let mab = hardware.is_some() && Mac::parse(&said.user) == hardware;
    let vlan = u16::try_from(number(&said.vlan)).unwrap_or(0);
    if said.status.is_empty() {
        let (outcome, reason) = match &*said.packet {
            b"Access-Accept" => (Outcome::Success, Reason::None),
            b"Access-Reject" => (Outcome::Failure, super::why(&said.why)),
            b"Access-Request" | b"Access-Challenge" => return Parsed::Irrelevant(Kind::Pending),
            _ => return Parsed::Irrelevant(Kind::OtherMessage),
        };
        if hardware.is_some() {
            return out
                .event(Act::Nac, outcome)
                .at(at)
                .service(network)
                .user(if mab { b"" } else { &said.user })
                .mac(&said.calling)
                .tunnel(&said.framed)
                .vlan(vlan)
                .observer(observer)
                .group(&said.port)
                .method(if mab { Method::Mab } else { Method::Dot1x })
                .reason(reason)
                .done();
        }
        return out
            .event(Act::Auth, outcome)
            .at(at)
            .service(Service::Radius)
            .user(&said.user)
            .source(source)
            .tunnel(&said.framed)
            .observer(observer)
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .done();
    }
    let (started, ended) = (&*said.status == b"Start", &*said.status == b"Stop");
    if hardware.is_some() {
        // The port is open already; who holds which address is what accounting adds.
        if !started || Ip::parse(&said.framed).is_none() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return out
            .event(Act::Nac, Outcome::Success)
            .at(at)
            .service(network)
            .user(if mab { b"" } else { &said.user })
            .mac(&said.calling)
            .tunnel(&said.framed)
            .vlan(vlan)
            .observer(observer)
            .group(&said.port)
            .sid(&said.session)
            .method(if mab { Method::Mab } else { Method::Dot1x })
            .done();
    }
    if !started && !ended || said.user.is_empty() {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let event = out
        .event(if started { Act::SessionStart } else { Act::SessionEnd }, Outcome::Success)
        .at(at)
        .service(Service::Radius)
        .user(&said.user)
        .source(source)
        .tunnel(&said.framed)
        .observer(observer)
        .sid(&said.session);
    if started {
        return event.done();
    }
    let reason = match &*said.cause {
        b"User-Request" => Reason::Logout,
        b"Idle-Timeout" => Reason::Idle,
        b"Session-Timeout" => Reason::Timeout,
        b"Lost-Carrier" | b"Lost-Service" | b"Port-Error" | b"NAS-Error" => Reason::ConnectionLost,
        b"Admin-Reset" | b"Admin-Reboot" => Reason::ByAdmin,
        b"Port-Preempted" => Reason::Preempted,
        b"" => Reason::None,
        _ => Reason::Other,
    };
    event
        .reason(reason)
        .duration_s(u32::try_from(said.seconds).unwrap_or(u32::MAX))
        .bytes(said.bytes_in, said.bytes_out)
        .done()
}
