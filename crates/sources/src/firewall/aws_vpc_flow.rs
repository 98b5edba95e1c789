//! Amazon VPC flow logs, and those of transit gateways.
//!
//! Read from: Amazon VPC "Flow log records", AWS Transit Gateway "Flow log records". Traps: both halves of a connection
//! are records of their own; `srcaddr` is the interface's view and `pkt-srcaddr` the packet's, behind NAT only the latter
//! is the client; a long connection is reported anew every minute or ten; NODATA is no refusal.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::flows::{Flow, is_answer, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "aws_vpc_flow",
    title: "Amazon VPC flow logs",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::User, Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["both_halves", "own_columns"],
    manual: "Amazon VPC User Guide: Flow log records",
    enable: "a flow log on the VPC, traffic type All; a custom format with pkt-srcaddr, tcp-flags and flow-direction tells more than the default one",
    general: false,
    marks: &[" eni-", " TransitGateway ", "\"srcaddr\""],
    reader: Reader::Code { claim, parse, join: None },
};

/// Blank-separated words kept of a line.
const WORDS: usize = 26;

fn words(body: &[u8]) -> [&[u8]; WORDS] {
    let mut w: [&[u8]; WORDS] = [b""; WORDS];
    for (slot, word) in w.iter_mut().zip(body.split(|b| *b == b' ').filter(|w| !w.is_empty())) {
        *slot = word;
    }
    w
}

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return r.contains(b"\"srcaddr\"")
            && r.contains(b"\"dstaddr\"")
            && (find(r.body, b"log-status").is_some()
                || find(r.body, b"log_status").is_some()
                || find(r.body, b"interface").is_some()
                || find(r.body, b"\"action\"").is_some()
                || find(r.body, b"tgw").is_some());
    }
    // A line of numbers has no header, whatever its first word looks like.
    let mut w = r.raw.split(|b| *b == b' ');
    let [version, account, third] = std::array::from_fn(|_| w.next().unwrap_or_default());
    matches!(version, [b'2'..=b'9'] | [b'1', b'0'])
        && ((third.starts_with(b"eni-") && account.iter().all(u8::is_ascii_alphanumeric))
            || account == b"TransitGateway")
}

static PATHS: LazyLock<Paths<22>> = LazyLock::new(|| {
    Paths::new([
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "pkt-srcaddr",
        "pkt-dstaddr",
        "pkt_srcaddr",
        "pkt_dstaddr",
        "action",
        "start",
        "bytes",
        "tcp-flags",
        "tcp_flags",
        "log-status",
        "log_status",
        "interface-id",
        "interface_id",
        "instance-id",
        "instance_id",
        "reject-reason",
        "tgw-id",
        "tgw_id",
    ])
});

/// What a record says, whichever way its columns came.
#[derive(Default)]
struct Columns<'a> {
    src: &'a [u8],
    dst: &'a [u8],
    sport: &'a [u8],
    dport: &'a [u8],
    action: &'a [u8],
    status: &'a [u8],
    start: &'a [u8],
    bytes: &'a [u8],
    flags: Option<u64>,
    observer: &'a [u8],
    host: &'a [u8],
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape != Shape::Json {
        let w = words(r.raw);
        let row = if w[1] == b"TransitGateway" {
            Columns {
                src: w[16],
                dst: w[17],
                sport: w[18],
                dport: w[19],
                // A transit gateway carries; it refuses nothing.
                action: b"ACCEPT",
                status: w[25],
                start: w[23],
                bytes: w[22],
                flags: None,
                observer: w[3],
                host: b"",
            }
        } else {
            Columns {
                src: w[3],
                dst: w[4],
                sport: w[5],
                dport: w[6],
                action: w[12],
                status: w[13],
                start: w[10],
                bytes: w[9],
                flags: None,
                observer: w[2],
                host: b"",
            }
        };
        return tell(r, &row, out);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let said = |all: &[usize]| {
        all.iter()
            .filter_map(|i| v.get(*i))
            .map(|v| v.bytes())
            .find(|b| !b.is_empty() && *b != b"-")
            .unwrap_or_default()
    };
    let flags = [11usize, 12].iter().filter_map(|i| v.get(*i)).find(|v| !v.is_missing() && !v.is(b"-"));
    let row = Columns {
        src: said(&[4, 6, 0]),
        dst: said(&[5, 7, 1]),
        sport: said(&[2]),
        dport: said(&[3]),
        action: if said(&[20, 21]).is_empty() { said(&[8]) } else { b"ACCEPT" },
        status: said(&[13, 14]),
        start: said(&[9]),
        bytes: said(&[10]),
        flags: flags.map(|f: &Value<'_>| number(f.bytes())),
        observer: said(&[15, 16, 20, 21]),
        host: said(&[17, 18]),
    };
    tell(r, &row, out)
}

fn tell(r: &Record<'_>, row: &Columns<'_>, out: &mut Emit<'_>) -> Parsed {
    if matches!(row.status, b"NODATA" | b"SKIPDATA") {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let outcome = match row.action {
        b"ACCEPT" => Outcome::Success,
        b"REJECT" => Outcome::Failure,
        b"" | b"-" if row.src.is_empty() => return Parsed::Broken(Why::Missing("addresses")),
        _ => Outcome::Unknown,
    };
    let (sport, dport) = (port(row.sport), port(row.dport));
    // SYN and ACK together come from the one who was called. Without flags the ports have to tell.
    match row.flags {
        Some(flags) if flags & 0x12 == 0x12 => return Parsed::Irrelevant(Kind::Repeats),
        Some(flags) if flags & 0x02 == 0x02 => {}
        _ if is_answer(sport, dport) => return Parsed::Irrelevant(Kind::Repeats),
        _ => {}
    }
    let time = clock::epoch(row.start).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time());
    Flow {
        time,
        outcome,
        src: Ip::parse(row.src),
        dst: Ip::parse(row.dst),
        sport,
        dport,
        bytes: (number(row.bytes), 0),
        observer: row.observer,
        host: row.host,
        ..Flow::default()
    }
    .tell(out)
}
