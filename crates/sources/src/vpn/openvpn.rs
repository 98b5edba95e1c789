//! OpenVPN server: who passed the password check, and which client learned which tunnel address.
//!
//! Read from: the OpenVPN 2.6 manual and its log messages. Traps: `deferred` asks a plugin and is no login yet; a
//! renewed TLS session (`soft reset`) checks the password again and is no new stay; peer info and ciphers say nothing.

use crate::decode::clock::{self, Stamp};
use crate::decode::kv::{after, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "openvpn",
    title: "OpenVPN",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::IpAssign, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Zone],
    traps: &["auth_deferred", "renewed_keys"],
    manual: "OpenVPN 2.6 manual and its log messages",
    enable: "verb 3 in the server configuration; log-append or syslog",
    general: false,
    marks: &[
        "vpn",
        "TLS",
        "MULTI",
        "VERIFY ",
        "peer info:",
        "SENT CONTROL [",
        "PUSH: ",
        "Control Channel:",
        "SIGTERM[soft",
        "SIGUSR1[soft",
        "Connection reset, restarting",
        "] Peer Connection Initiated with",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

/// Stamp of a file without syslog, and the message.
fn parts<'a>(r: &Record<'a>) -> (Option<(EventTime, Certainty)>, &'a [u8]) {
    if r.header.program.starts_with(b"openvpn") || r.header.program.starts_with(b"ovpn") {
        return (r.header_time(), r.body);
    }
    let text = r.raw;
    // `Mon Oct  6 06:36:44 2025 us=…`, `2025-10-06 06:36:44`.
    let (stamp, rest) = match clock::iso(text) {
        Some((stamp, used)) => (Some(stamp), &text[used..]),
        None => match text.get(4..).and_then(clock::bsd) {
            Some((stamp, used)) => (Some(stamp), &text[4 + used..]),
            None => (None, r.body),
        },
    };
    let time = match stamp {
        Some(Stamp::Absolute(t)) => Some((t, Certainty::Exact)),
        Some(Stamp::Local(civil)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    let rest = rest.trim_ascii_start();
    let rest = if rest.starts_with(b"us=") { word(rest).1 } else { rest };
    (time, rest)
}

fn claim(r: &Record<'_>) -> bool {
    if r.header.program.starts_with(b"openvpn") || r.header.program.starts_with(b"ovpn") {
        return true;
    }
    if r.body.first() == Some(&b'%') || r.shape != crate::record::Shape::Text {
        return false;
    }
    let (_, text) = parts(r);
    let (first, rest) = peer(text);
    let message = if first.is_empty() { text } else { rest };
    const STARTS: [&[u8]; 14] = [
        b"TLS: Username/Password",
        b"TLS Auth Error",
        b"TLS Error",
        b"TLS: soft reset",
        b"TLS: Initial packet",
        b"MULTI",
        b"VERIFY ",
        b"peer info:",
        b"SENT CONTROL [",
        b"PUSH: ",
        b"Control Channel:",
        b"SIGTERM[soft",
        b"SIGUSR1[soft",
        b"Connection reset, restarting",
    ];
    STARTS.iter().any(|s| message.starts_with(s))
        || crate::decode::find::find(message, b"] Peer Connection Initiated with").is_some()
}

/// `anna/192.0.2.5:4711 ` or `192.0.2.5:4711 ` at the front: name and address of the peer.
fn peer(text: &[u8]) -> (&[u8], &[u8]) {
    let (first, rest) = word(text);
    let address = first.rsplit(|b| *b == b'/').next().unwrap_or_default();
    if portreeve_model::Ip::parse(address).is_some() { (first, rest) } else { (b"", text) }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (time, text) = parts(r);
    let (peer, message) = peer(text);
    let slash = memchr::memchr(b'/', peer);
    let name = slash.map_or(&b""[..], |n| &peer[..n]);
    let address = slash.map_or(peer, |n| &peer[n + 1..]);
    // A file without a syslog head may show the peer where a host name stands.
    let host = Some(r.host()).filter(|h| memchr::memchr2(b':', b'/', h).is_none()).unwrap_or_default();
    let quoted = |m: &[u8]| -> std::ops::Range<usize> {
        let from = crate::decode::find::find(m, b"username '").map_or(m.len(), |n| n + 10);
        from..m.iter().rposition(|b| *b == b'\'').unwrap_or(from).max(from)
    };
    if message.starts_with(b"TLS: Username/Password authentication succeeded") {
        // A peer that already has a name renews its keys.
        if slash.is_some() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return out
            .event(Act::Auth, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(&message[quoted(message)])
            .source(address)
            .observer(host)
            .flag(Flags::PRE_MFA)
            .done();
    }
    if message.starts_with(b"TLS: Username/Password authentication deferred") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    if message.starts_with(b"TLS Auth Error: Auth Username/Password verification failed")
        || crate::decode::find::find(message, b"AUTH_FAILED").is_some()
    {
        let repeats = !message.starts_with(b"TLS Auth Error");
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(time)
            .service(Service::Vpn)
            .user(name)
            .source(address)
            .reason(Reason::BadPassword)
            .observer(host)
            .flag_if(repeats, Flags::REPEATS)
            .done();
    }
    if let Some(rest) = message.strip_prefix(b"VERIFY ERROR: ") {
        let cn = after(rest, b"CN=", b",").unwrap_or_default();
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(time)
            .service(Service::Vpn)
            .user(cn)
            .source(address)
            .reason(Reason::Certificate)
            .observer(host)
            .done();
    }
    if let Some(n) = crate::decode::find::find(message, b"] Peer Connection Initiated with [AF_INET") {
        let user = message[..n].strip_prefix(b"[").unwrap_or_default();
        let from =
            after(&message[n..], b"[AF_INET", b"").and_then(|t| after(t, b"]", b" ")).unwrap_or_default();
        return out
            .event(Act::SessionStart, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(user)
            .source(from)
            .observer(host)
            .done();
    }
    if let Some(rest) = message.strip_prefix(b"MULTI: Learn: ") {
        // `10.8.0.6 -> anna/192.0.2.5:4711`
        let (tunnel, rest) = word(rest);
        let who = rest.strip_prefix(b"-> ").unwrap_or_default();
        let slash = memchr::memchr(b'/', who);
        let (user, from) = slash.map_or((name, who), |n| (&who[..n], &who[n + 1..]));
        return out
            .event(Act::IpAssign, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(user)
            .source(from)
            .tunnel(tunnel)
            .observer(host)
            .done();
    }
    if crate::decode::find::find(message, b"client-instance exiting").is_some()
        || crate::decode::find::find(message, b"client-instance restarting").is_some()
    {
        if name.is_empty() {
            return Parsed::Irrelevant(Kind::Transport);
        }
        let reason = if crate::decode::find::find(message, b"remote-exit").is_some() {
            Reason::Logout
        } else if crate::decode::find::find(message, b"ping-restart").is_some() {
            Reason::ConnectionLost
        } else {
            Reason::Other
        };
        return out
            .event(Act::SessionEnd, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(name)
            .source(address)
            .reason(reason)
            .observer(host)
            .done();
    }
    if message.starts_with(b"TLS Error") || message.starts_with(b"TLS: ") || message.starts_with(b"VERIFY OK")
    {
        return Parsed::Irrelevant(Kind::Transport);
    }
    Parsed::Irrelevant(Kind::Housekeeping)
}
