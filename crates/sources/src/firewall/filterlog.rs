//! pf as pfSense and OPNsense log it: one CSV line a packet.
//!
//! Read from: Netgate "Raw Filter Log Format"; OPNsense "Logging". Traps: the columns behind the version of IP are others
//! for IPv6 than for IPv4; a bare line carries no time; only the first packet of a connection is logged.

use crate::decode::kv::csv_fields;
use crate::emit::Emit;
use crate::flows::{Flow, port};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};

pub static SOURCE: Source = Source {
    name: "filterlog",
    title: "pfSense / OPNsense filter log",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[
        Field::User,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["ipv6"],
    manual: "Netgate: pfSense Raw Filter Log Format",
    enable: "Log on the rules of remote access and of the VPN interfaces; Status > System Logs > Settings: send firewall events to a syslog server",
    general: false,
    marks: &["filterlog", ",match,"],
    reader: Reader::Code { claim, parse, join: None },
};

const COLUMNS: usize = 22;

fn columns(body: &[u8]) -> [&[u8]; COLUMNS] {
    let mut c: [&[u8]; COLUMNS] = [b""; COLUMNS];
    for (slot, field) in c.iter_mut().zip(csv_fields(body)) {
        *slot = field;
    }
    c
}

fn claim(r: &Record<'_>) -> bool {
    if r.program_is(b"filterlog") {
        return true;
    }
    if !r.body.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let mut fields = csv_fields(r.body);
    let number = fields.next().unwrap_or_default();
    let [_, _, _, _, reason, _, way, version] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    number.iter().all(u8::is_ascii_digit)
        && matches!(
            reason,
            b"match" | b"fragment" | b"short" | b"normalize" | b"ip-option" | b"state-mismatch"
        )
        && matches!(way, b"in" | b"out")
        && matches!(version, b"4" | b"6")
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let c = columns(r.body);
    let [_, _, anchor, tracker, _, reason, action, _, version, ..] = c;
    let (protocol, from, to, sport, dport) = match version {
        b"4" => (c[16], c[18], c[19], c[20], c[21]),
        b"6" => (c[12], c[15], c[16], c[17], c[18]),
        b"" => return Parsed::Broken(Why::Missing("columns")),
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    let outcome = match action {
        b"pass" => Outcome::Success,
        b"block" | b"reject" => Outcome::Failure,
        // Translations say that a connection was rewritten, not whether it was let through.
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    if to.is_empty() {
        return Parsed::Broken(Why::Missing("addresses"));
    }
    // Pieces of packets have no ports.
    let ported =
        reason == b"match" && [&b"tcp"[..], b"udp", b"sctp"].iter().any(|p| protocol.eq_ignore_ascii_case(p));
    Flow {
        time: r.header_time(),
        outcome,
        src: Ip::parse(from),
        dst: Ip::parse(to),
        sport: if ported { port(sport) } else { 0 },
        dport: if ported { port(dport) } else { 0 },
        observer: r.host(),
        rule: if anchor.is_empty() { tracker } else { anchor },
        ..Flow::default()
    }
    .tell(out)
}
