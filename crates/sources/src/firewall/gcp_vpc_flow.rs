//! Google Cloud VPC flow logs and firewall rules logging.
//!
//! Read from: Google Cloud "VPC Flow Logs records", "Firewall Rules Logging". Traps: between two machines of the network
//! each side reports the same connection; both directions of a connection are records of their own; a flow log holds
//! samples of what was carried and never a refusal, which only the firewall's log tells.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{number, word};
use crate::emit::Emit;
use crate::flows::{Flow, is_answer, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "gcp_vpc_flow",
    title: "Google Cloud VPC flow and firewall logs",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::User, Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["both_sides"],
    manual: "Google Cloud: VPC Flow Logs records; Firewall Rules Logging",
    enable: "flow logs on the subnets of the VPN and of bastions; --enable-logging on the ingress rules; a log sink to where Portreeve reads",
    general: false,
    marks: &["\"reporter\"", "\"disposition\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    r.shape == Shape::Json
        && r.contains(b"\"connection\"")
        && r.contains(b"\"dest_ip\"")
        && (r.contains(b"\"reporter\"") || r.contains(b"\"disposition\""))
}

/// With the log entry around it, and without.
static PATHS: LazyLock<Paths<28>> = LazyLock::new(|| {
    Paths::new([
        "jsonPayload.connection.src_ip",
        "connection.src_ip",
        "jsonPayload.connection.dest_ip",
        "connection.dest_ip",
        "jsonPayload.connection.src_port",
        "connection.src_port",
        "jsonPayload.connection.dest_port",
        "connection.dest_port",
        "jsonPayload.start_time",
        "start_time",
        "timestamp",
        "receiveTimestamp",
        "jsonPayload.reporter",
        "reporter",
        "jsonPayload.disposition",
        "disposition",
        "jsonPayload.dest_instance.vm_name",
        "dest_instance.vm_name",
        "jsonPayload.bytes_sent",
        "bytes_sent",
        "jsonPayload.rule_details.reference",
        "rule_details.reference",
        "jsonPayload.instance.vm_name",
        "instance.vm_name",
        "jsonPayload.rule_details.direction",
        "rule_details.direction",
        "jsonPayload.vpc.vpc_name",
        "jsonPayload.dest_vpc.vpc_name",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let said = |a: usize| {
        let first = v.get(a).map(|v| v.bytes()).unwrap_or_default();
        if first.is_empty() { v.get(a + 1).map(|v| v.bytes()).unwrap_or_default() } else { first }
    };
    let (src, dst, sport, dport) = (Ip::parse(said(0)), Ip::parse(said(2)), port(said(4)), port(said(6)));
    if src.is_none() || dst.is_none() {
        return Parsed::Broken(Why::Missing("addresses"));
    }
    let disposition = said(14);
    let outcome = match disposition {
        b"DENIED" => Outcome::Failure,
        _ => Outcome::Success,
    };
    let target = said(16);
    if disposition.is_empty() {
        if said(12) == b"SRC" && !target.is_empty() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        if is_answer(sport, dport) {
            return Parsed::Irrelevant(Kind::Repeats);
        }
    } else if said(24) == b"EGRESS" && outcome == Outcome::Success {
        // The receiving machine's own rule tells the same connection.
        return Parsed::Irrelevant(if dst.is_public() { Kind::OutboundTraffic } else { Kind::Repeats });
    }
    let time = [said(8), said(10)].into_iter().find_map(|t| match clock::iso(t)? {
        (Stamp::Absolute(t), _) => Some((t, Certainty::Exact)),
        (Stamp::Local(civil), _) => r.clock.resolve(civil),
    });
    // `network:corp/firewall:allow-ssh`.
    let rule = said(20);
    let rule = find(rule, b"firewall:").map_or(rule, |at| &rule[at + 9..]);
    Flow {
        time: time.or_else(|| r.header_time()),
        outcome,
        src,
        dst,
        sport,
        dport,
        bytes: (number(said(18)), 0),
        observer: said(26),
        host: if target.is_empty() { said(22) } else { target },
        rule: word(rule).0,
        ..Flow::default()
    }
    .tell(out)
}
