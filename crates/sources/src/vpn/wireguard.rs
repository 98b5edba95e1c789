//! WireGuard: the kernel's debug messages, wireguard-go, and periodic rows of `wg show all dump`.
//!
//! Read from: wg(8), the messages of drivers/net/wireguard and of wireguard-go. Traps: a peer is a key and no account: it
//! stands where the account would, until the site's table of people names it; a handshake is renewed every two minutes
//! and is no new stay; the row of an interface holds its private key, which is never kept; a handshake of second 0 never
//! was.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "wireguard",
    title: "WireGuard",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::IpAssign, Act::SessionResume],
    lacks: &[Field::Mfa, Field::SessionEnd, Field::Host, Field::SessionId],
    traps: &["private_key", "never_connected"],
    manual: "wg(8); messages of the WireGuard module",
    enable: "echo module wireguard +p > /sys/kernel/debug/dynamic_debug/control; and every minute: wg show all dump >> file",
    general: false,
    marks: &["wireguard: ", "peer(", "=\t"],
    reader: Reader::Code { claim: |r| kind(r).is_some(), parse, join: None },
};

enum Form<'a> {
    /// What follows `wireguard: `.
    Kernel(&'a [u8]),
    /// `DEBUG: (wg0) … peer(…) - …`.
    Userspace,
    /// Interface (empty without `all`), key, endpoint, allowed addresses, handshake, bytes.
    Peer([&'a [u8]; 9]),
    Interface,
}

/// A public, private or shared key in Base64.
fn is_key(text: &[u8]) -> bool {
    text.len() == 44
        && text.ends_with(b"=")
        && text[..43].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

fn kind<'a>(r: &Record<'a>) -> Option<Form<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    if let Some(at) = find(&r.body[..r.body.len().min(60)], b"wireguard: ")
        && (r.header.program == b"kernel" || r.body.first() == Some(&b'[') || at == 0)
    {
        return Some(Form::Kernel(&r.body[at + 11..]));
    }
    let head = &r.raw[..r.raw.len().min(120)];
    if find(head, b" peer(").is_some()
        && (find(head, b"DEBUG: (").is_some() || r.header.program.starts_with(b"wireguard"))
    {
        return Some(Form::Userspace);
    }
    // Rows stand behind no header, or behind one that a collector put.
    let text = if memchr::memchr(b'\t', r.body).is_some() { r.body } else { return None };
    let mut c: [&[u8]; 10] = [b""; 10];
    let mut n = 0;
    for value in text.split(|b| *b == b'\t') {
        *c.get_mut(n)? = value.trim_ascii();
        n += 1;
    }
    match n {
        4 if is_key(c[0]) && is_key(c[1]) => Some(Form::Interface),
        5 if is_key(c[1]) && is_key(c[2]) => Some(Form::Interface),
        8 if is_key(c[0]) => Some(Form::Peer([b"", c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]])),
        9 if is_key(c[1]) => Some(Form::Peer([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]])),
        _ => None,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match kind(r) {
        None => Parsed::NotMine,
        Some(Form::Interface) => Parsed::Irrelevant(Kind::Format),
        Some(Form::Peer(c)) => peer(r, &c, out),
        Some(Form::Kernel(text)) => kernel(r, text, out),
        // `AbCd…wXyZ) - Received handshake initiation`: neither address nor whole key.
        Some(Form::Userspace) => Parsed::Irrelevant(Kind::Housekeeping),
    }
}

fn peer(r: &Record<'_>, c: &[&[u8]; 9], out: &mut Emit<'_>) -> Parsed {
    let [interface, key, _shared, endpoint, allowed, handshake, received, sent, _keep] = *c;
    if number(handshake) == 0 {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let Some(time) = clock::epoch(handshake) else { return Parsed::Broken(Why::Invalid("handshake")) };
    // A person's device has one address; a network behind a peer is a site.
    let tunnel = allowed
        .split(|b| *b == b',')
        .find_map(|a| a.strip_suffix(b"/32").or_else(|| a.strip_suffix(b"/128")))
        .map(Ip::parse)
        .unwrap_or_default();
    if tunnel.is_none() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    out.event(Act::IpAssign, Outcome::Success)
        .time(time, Certainty::Exact)
        .service(Service::Vpn)
        .source(endpoint)
        .tunnel_ip(tunnel)
        .user(key)
        .device(key)
        .group(interface)
        .bytes(number(received), number(sent))
        .observer(r.host())
        .done()
}

/// `wg0: Receiving handshake initiation from peer 3 (192.0.2.9:51820)`.
fn kernel(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(colon) = find(text, b": ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (interface, text) = (&text[..colon], &text[colon + 2..]);
    let time: Option<(EventTime, Certainty)> = r.header_time().or_else(|| match clock::iso(r.raw)? {
        (Stamp::Absolute(t), _) => Some((t, Certainty::Exact)),
        (Stamp::Local(civil), _) => r.clock.resolve(civil),
    });
    if let Some(rest) = text.strip_prefix(b"Receiving handshake initiation from peer ") {
        let (number, rest) = word(rest);
        return out
            .event(Act::SessionResume, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .source(after(rest, b"(", b")").unwrap_or_default())
            .detail(number)
            .group(interface)
            .observer(r.host())
            .done();
    }
    if let Some(from) = after(text, b"Invalid handshake initiation from ", b"")
        .or_else(|| after(text, b"Invalid MAC of handshake, dropping packet from ", b""))
    {
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(time)
            .service(Service::Vpn)
            .source(word(from).0)
            .group(interface)
            .reason(Reason::Other)
            .observer(r.host())
            .done();
    }
    let known = [
        &b"Handshake for peer "[..],
        b"Interface ",
        b"Keypair ",
        b"No peer has allowed IPs",
        b"Packet has ",
        b"Peer ",
        b"Receiving handshake response ",
        b"Receiving keepalive ",
        b"Retrying handshake ",
        b"Sending ",
        b"Zeroing out ",
    ];
    Parsed::housekeeping_if(begins_with(text, &known))
}
