//! OpenVPN's status file and the answer to `status` on the management interface: who is connected now.
//!
//! Read from: the OpenVPN 2.6 manual (`--status`, `--status-version` 1 to 3), management-notes.txt. Traps: a snapshot is
//! written again and again, so a client counts for the moment it connected; version 1 keeps the tunnel address in a list
//! of its own and has no word before its rows; who is still shaking hands is `UNDEF`.

use crate::decode::clock::{self, Stamp};
use crate::decode::kv::{number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "openvpn_status",
    title: "OpenVPN status file",
    row: Row::Vpn,
    gives: &[Act::SessionStart, Act::IpAssign],
    lacks: &[Field::Mfa, Field::Device, Field::SessionEnd, Field::Host, Field::SessionId],
    traps: &["version_1", "undefined"],
    manual: "OpenVPN 2.6 manual: --status and --status-version",
    enable: "status /var/log/openvpn/status.log 60 and status-version 2 or 3 in the server configuration",
    general: false,
    marks: &[
        "CLIENT_LIST",
        "ROUTING_TABLE",
        "GLOBAL_STATS",
        "OpenVPN CLIENT LIST",
        "ROUTING TABLE",
        ",20",
        " 20",
    ],
    reader: Reader::Code { claim: |r| row(r).is_some(), parse, join: None },
};

enum Line<'a> {
    /// Name, real address, tunnel address, bytes from and to the client, since when.
    Client([&'a [u8]; 13]),
    /// Version 1: name, real address, bytes, since.
    Old([&'a [u8]; 5]),
    /// Version 1: tunnel address, name, real address, last use.
    Route([&'a [u8]; 4]),
    Other(Kind),
}

fn fields<const N: usize>(text: &[u8], by: u8) -> Option<[&[u8]; N]> {
    let mut c: [&[u8]; N] = [b""; N];
    let mut parts = text.split(|b| *b == by);
    for slot in &mut c {
        *slot = parts.next()?.trim_ascii();
    }
    parts.next().is_none().then_some(c)
}

fn row<'a>(r: &Record<'a>) -> Option<Line<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    let text = r.raw;
    let by = match text.get(..12)? {
        b"CLIENT_LIST," | b"HEADER,CLIEN" | b"HEADER,ROUTI" => b',',
        b"CLIENT_LIST\t" | b"HEADER\tCLIEN" | b"HEADER\tROUTI" => b'\t',
        b"ROUTING_TABL" | b"GLOBAL_STATS" | b"OpenVPN CLIE" => return Some(Line::Other(Kind::Format)),
        b"ROUTING TABL" => return Some(Line::Other(Kind::Format)),
        _ => {
            // Version 1 has rows alone. Both kinds have an address with a port where no other text has one.
            if text.len() > 400 || memchr::memchr(b',', text).is_none() {
                return None;
            }
            if let Some(c) = fields::<5>(text, b',') {
                let bytes = c[2..4].iter().all(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit));
                return (bytes && Ip::parse_with_port(c[1]).1 != 0 && stamp(c[4]).is_some())
                    .then_some(Line::Old(c));
            }
            let c = fields::<4>(text, b',')?;
            return (Ip::parse(c[0]).is_some() && Ip::parse_with_port(c[2]).1 != 0 && stamp(c[3]).is_some())
                .then_some(Line::Route(c));
        }
    };
    if text.starts_with(b"HEADER") {
        return Some(Line::Other(Kind::Format));
    }
    let mut c: [&[u8]; 13] = [b""; 13];
    for (slot, value) in c.iter_mut().zip(text.split(|b| *b == by)) {
        *slot = value.trim_ascii();
    }
    Some(Line::Client(c))
}

/// `2026-03-04 08:00:00`, `Wed Mar  4 08:00:00 2026`.
fn stamp(text: &[u8]) -> Option<Stamp> {
    clock::iso(text).or_else(|| text.get(4..).and_then(clock::bsd)).map(|(s, _)| s)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let resolve = |text: &[u8]| -> Option<(EventTime, Certainty)> {
        match stamp(text)? {
            Stamp::Absolute(t) => Some((t, Certainty::Exact)),
            Stamp::Local(civil) => r.clock.resolve(civil),
        }
    };
    match row(r) {
        None => Parsed::NotMine,
        Some(Line::Other(kind)) => Parsed::Irrelevant(kind),
        Some(Line::Client(c)) => {
            if c[8].is_empty() {
                return Parsed::Broken(Why::Missing("connected since"));
            }
            let user = if matches!(c[9], b"" | b"UNDEF") { c[1] } else { c[9] };
            if user == b"UNDEF" {
                return Parsed::Irrelevant(Kind::Transport);
            }
            let tunnel = Ip::parse(c[3]);
            let since = clock::epoch(c[8]).map(|t| (t, Certainty::Exact)).or_else(|| resolve(c[7]));
            out.event(if tunnel.is_some() { Act::IpAssign } else { Act::SessionStart }, Outcome::Success)
                .at(since)
                .service(Service::Vpn)
                .user(user)
                .source(socket(c[2]))
                .tunnel_ip(tunnel)
                .bytes(number(c[5]), number(c[6]))
                .done()
        }
        Some(Line::Old(c)) => {
            if c[0] == b"UNDEF" {
                return Parsed::Irrelevant(Kind::Transport);
            }
            out.event(Act::SessionStart, Outcome::Success)
                .at(resolve(c[4]))
                .service(Service::Vpn)
                .user(c[0])
                .source(socket(c[1]))
                .bytes(number(c[2]), number(c[3]))
                .done()
        }
        Some(Line::Route(c)) => out
            .event(Act::IpAssign, Outcome::Success)
            .at(resolve(c[3]))
            .service(Service::Vpn)
            .user(c[1])
            .source(socket(c[2]))
            .tunnel(word(c[0]).0)
            .done(),
    }
}

/// `192.0.2.9:50123`, `tcp4-server:192.0.2.9:50123`, `udp4:192.0.2.9:50123`.
fn socket(text: &[u8]) -> &[u8] {
    match memchr::memchr(b':', text) {
        Some(n)
            if text.first().is_some_and(u8::is_ascii_alphabetic) && Ip::parse(&text[n + 1..]).is_some() =>
        {
            &text[n + 1..]
        }
        _ => text,
    }
}
