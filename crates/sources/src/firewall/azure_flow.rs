//! Azure flow logs: network security groups (versions 1 and 2) and virtual networks.
//!
//! Read from: Azure Network Watcher "NSG flow logs", "Virtual network flow logs". Traps: one record holds the flows of a
//! minute under each rule; a flow that began earlier is told again as continuing and as ended; the third field counts
//! seconds in the one and milliseconds in the other.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::{csv_fields, number};
use crate::emit::Emit;
use crate::flows::{Flow, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "azure_flow",
    title: "Azure NSG and virtual network flow logs",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::User, Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["continued_flows"],
    manual: "Azure Network Watcher: Flow logging for network security groups; Virtual network flow logs",
    enable: "Network Watcher: a flow log (version 2) on the virtual network or the security groups of the VPN and jump hosts, to a storage account",
    general: false,
    marks: &["\"flowTuples\"", "NetworkSecurityGroupFlowEvent", "FlowLogFlowEvent", "\"FlowStartTime"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && (r.contains(b"NetworkSecurityGroupFlowEvent")
                    || r.contains(b"FlowLogFlowEvent")
                    || analytics(r))
        },
        parse,
        join: None,
    },
};

static TOP: LazyLock<Paths<5>> = LazyLock::new(|| {
    Paths::new(["resourceId", "targetResourceID", "properties.flows", "flowRecords.flows", "macAddress"])
});
/// A rule of a group, or a group of rules of a virtual network; each holds the next level.
static GROUP: LazyLock<Paths<4>> =
    LazyLock::new(|| Paths::new(["rule", "flows", "flowGroups", "flowTuples"]));

/// A row of Traffic Analytics (`NTANetAnalytics`, `AzureNetworkAnalytics_CL`).
fn analytics(r: &Record<'_>) -> bool {
    r.contains(b"\"FlowStartTime") && r.contains(b"\"FlowStatus") && r.contains(b"\"DestPort")
}

/// Rows of Traffic Analytics: aggregated over an hour; public ends stand in a list, `198.51.100.7|3|…`.
fn row(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<22>> = LazyLock::new(|| {
        Paths::new([
            "FlowStartTime",
            "FlowStartTime_t",
            "SrcIp",
            "SrcIP_s",
            "SrcPublicIps",
            "SrcPublicIPs_s",
            "DestIp",
            "DestIP_s",
            "DestPublicIps",
            "DestPublicIPs_s",
            "DestPort",
            "DestPort_d",
            "FlowStatus",
            "FlowStatus_s",
            "AclRule",
            "NSGRule_s",
            "BytesSrcToDest",
            "InboundBytes_d",
            "BytesDestToSrc",
            "OutboundBytes_d",
            "DestVm",
            "VM2_s",
        ])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let said = |at: usize| {
        let first = v.get(at).map(|v| v.bytes()).unwrap_or_default();
        if first.is_empty() { v.get(at + 1).map(|v| v.bytes()).unwrap_or_default() } else { first }
    };
    let end = |one: usize, list: usize| {
        let ip = Ip::parse(said(one));
        if ip.is_some() {
            return ip;
        }
        Ip::parse(said(list).split(|b| matches!(b, b'|' | b' ' | b',')).next().unwrap_or_default())
    };
    let time = match clock::iso(said(0)) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    let denied = matches!(said(12), b"Denied" | b"D");
    Flow {
        time,
        outcome: if denied { Outcome::Failure } else { Outcome::Success },
        src: end(2, 4),
        dst: end(6, 8),
        dport: port(said(10)),
        bytes: (number(said(16)), number(said(18))),
        rule: said(14),
        ..Flow::default()
    }
    .tell(out)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if analytics(r) {
        return row(r, out);
    }
    let Ok(v) = TOP.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let resource = if v[1].is_missing() { v[0].bytes() } else { v[1].bytes() };
    let observer = resource.rsplit(|b| *b == b'/').find(|p| !p.is_empty()).unwrap_or_default();
    let virtual_network = !v[3].is_missing();
    let flows = if virtual_network { v[3].nested() } else { v[2].nested() };
    let mut seen = Seen { told: false, last: Kind::Traffic };
    for group in elements(flows) {
        let Ok(g) = GROUP.pick(group.nested()) else { continue };
        for inner in elements(if virtual_network { g[2].nested() } else { g[1].nested() }) {
            let Ok(i) = GROUP.pick(inner.nested()) else { continue };
            let rule = if virtual_network { i[0].bytes() } else { g[0].bytes() };
            for tuple in elements(i[3].nested()) {
                if let Value::Text(text) = tuple {
                    seen.note(one(text, virtual_network, rule, observer, out));
                }
            }
        }
    }
    if seen.told { Parsed::Events } else { Parsed::Irrelevant(seen.last) }
}

struct Seen {
    told: bool,
    last: Kind,
}

impl Seen {
    fn note(&mut self, parsed: Parsed) {
        match parsed {
            Parsed::Events => self.told = true,
            Parsed::Irrelevant(kind) => self.last = kind,
            _ => {}
        }
    }
}

/// `1776416400,198.51.100.7,10.1.0.4,53192,3389,T,I,A,B,,,,`: seconds, ends, protocol, direction, decision, state, counts.
/// `1776416400123,198.51.100.7,10.1.0.4,53192,3389,6,I,D,NX,0,0,0,0`: milliseconds; the state says the decision too.
fn one(text: &[u8], virtual_network: bool, rule: &[u8], observer: &[u8], out: &mut Emit<'_>) -> Parsed {
    let mut fields = csv_fields(text);
    let [stamp, src, dst, sport, dport, _, _, a, b, _, to, _, back] =
        std::array::from_fn(|_| fields.next().unwrap_or_default());
    let (denied, state) = if virtual_network { (a == b"D", a) } else { (a == b"D", b) };
    // Begun, denied, or of version 1, which knows no states; the rest was told before.
    if matches!(state, b"C" | b"E") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    Flow {
        time: clock::epoch(stamp).map(|t| (t, Certainty::Exact)),
        outcome: if denied { Outcome::Failure } else { Outcome::Success },
        src: Ip::parse(src),
        dst: Ip::parse(dst),
        sport: port(sport),
        dport: port(dport),
        bytes: (number(to), number(back)),
        observer,
        rule,
        ..Flow::default()
    }
    .tell(out)
}
