//! Azure VPN gateway and Virtual WAN point-to-site gateway: diagnostic logs.
//!
//! Read from: Microsoft "Monitor VPN Gateway" and "Troubleshoot Azure VPN Gateway using diagnostic logs"
//! (P2SDiagnosticLog, IKEDiagnosticLog, TunnelDiagnosticLog, GatewayDiagnosticLog). Traps: the message is free text, of
//! which `Username=` and `IP=` (the address given) are stable; IKE negotiations of sites fill the log and are nobody's.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::after;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "azure_vpn",
    title: "Azure VPN gateway (point-to-site)",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::SessionStart, Act::IpAssign, Act::SessionEnd, Act::Config],
    lacks: &[Field::Mfa, Field::Device, Field::Bytes, Field::Host],
    traps: &["free_text", "sites"],
    manual: "Microsoft: Troubleshoot Azure VPN Gateway using diagnostic logs",
    enable: "Diagnostic settings of the virtual network gateway: P2SDiagnosticLog, IKEDiagnosticLog and GatewayDiagnosticLog to an event hub",
    general: false,
    marks: &[
        "P2SDiagnosticLog",
        "IKEDiagnosticLog",
        "TunnelDiagnosticLog",
        "GatewayDiagnosticLog",
        "RouteDiagnosticLog",
    ],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(r.body, b"DiagnosticLog\"").is_some()
                && [&b"\"P2SD"[..], b"\"IKED", b"\"TunnelD", b"\"GatewayD", b"\"RouteD"]
                    .iter()
                    .any(|c| find(r.body, c).is_some())
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<17>> = LazyLock::new(|| {
    Paths::new([
        "time",
        "TimeGenerated",
        "category",
        "Category",
        "operationName",
        "OperationName",
        "resourceId",
        "ResourceId",
        "Resource",
        "properties.message",
        "properties.Message",
        "Message",
        "properties.instance",
        "properties.initiatedBy",
        "properties.configuration_ConnectionName_s",
        "properties.remoteIP",
        "_ResourceId",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else {
        return Parsed::Broken(crate::source::Why::Malformed("JSON"));
    };
    let first = |list: &[Value<'_>]| -> usize { list.iter().position(|v| !v.is_missing()).unwrap_or(0) };
    let category = [v[2], v[3]].into_iter().nth(first(&v[2..4])).unwrap_or_default().bytes();
    let operation = [v[4], v[5]].into_iter().nth(first(&v[4..6])).unwrap_or_default().bytes();
    let time = [v[0], v[1]].into_iter().nth(first(&v[0..2])).unwrap_or_default().bytes();
    let at = match clock::iso(time) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => clock::Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
        None => r.header_time(),
    };
    let resource = [v[8], v[6], v[7], v[16]].into_iter().map(Value::bytes).find(|b| !b.is_empty());
    let observer = resource.unwrap_or_default().rsplit(|b| *b == b'/').next().unwrap_or_default();
    if category == b"GatewayDiagnosticLog" {
        return if operation.starts_with(b"Set") || operation.starts_with(b"Delete") {
            out.event(Act::Config, Outcome::Success)
                .at(at)
                .service(Service::Management)
                .change(Change::ConfigChanged)
                .detail(operation)
                .target(v[14].bytes())
                .user(v[13].bytes())
                .observer(observer)
                .done()
        } else {
            Parsed::Irrelevant(Kind::Housekeeping)
        };
    }
    let message = [v[9], v[10], v[11]].into_iter().find(|m| !m.is_missing()).unwrap_or_default().text();
    let text = &*message;
    if category != b"P2SDiagnosticLog" && find(text, b"Username=").is_none() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let has = |needle: &[u8]| find(text, needle).is_some();
    let any = |words: &[&[u8]]| words.iter().any(|w| find(text, w).is_some());
    // A certificate's name may hold blanks; the next pair ends it.
    let user = [&b"Username="[..], b"UserName=", b"username=", b"user="]
        .iter()
        .find_map(|m| after(text, m, b""))
        .map(|u| {
            let next = memchr::memchr(b'=', u).and_then(|eq| memchr::memrchr(b' ', &u[..eq]));
            let end =
                [&b", "[..], b";", b" is ", b" from "].iter().filter_map(|e| find(u, e)).chain(next).min();
            let u = &u[..end.unwrap_or(u.len())];
            u.strip_suffix(b".").unwrap_or(u)
        })
        .unwrap_or_default();
    let address = |markers: &[&[u8]]| {
        markers.iter().find_map(|m| after(text, m, b"")).map_or(Ip::NONE, |t| {
            let end = t.iter().position(|b| matches!(b, b' ' | b',' | b';' | b']' | b')')).unwrap_or(t.len());
            let t = &t[..end];
            Ip::parse(t.strip_suffix(b".").unwrap_or(t))
        })
    };
    let mut from =
        address(&[b"RemoteIP=", b"Remote IP=", b"remote IP ", b"ClientIP=", b"Remote ", b" from "]);
    let mut tunnel = address(&[b" IP=", b" Ip=", b"AssignedIP=", b"assigned IP "]);
    if from.is_none() && tunnel.is_public() {
        (from, tunnel) = (tunnel, Ip::NONE);
    }
    let sid = after(text, b"[IKEv2_", b"]")
        .or_else(|| after(text, b"[OVPN_", b"]"))
        .or_else(|| after(text, b"[SSTP_", b"]"))
        .unwrap_or_default();
    let failed = any(&[b"ailed", b"ailure", b"enied", b"eject", b"nvalid", b"expired", b"revoked"]);
    let (act, outcome) = if any(&[b"Connection successful", b"onnection established"]) && !failed {
        (if tunnel.is_some() { Act::IpAssign } else { Act::SessionStart }, Outcome::Success)
    } else if any(&[b"isconnect", b"onnection closed", b"onnection terminated"]) {
        (Act::SessionEnd, Outcome::Success)
    } else if any(&[b"uthentication", b"ertificate", b"RADIUS", b"Connection failed"]) && failed {
        (Act::Auth, Outcome::Failure)
    } else if any(&[b"uthentication: Successful", b"uthentication successful", b"uthentication succeeded"]) {
        (Act::Auth, Outcome::Success)
    } else {
        return Parsed::Irrelevant(if has(b"rror") { Kind::OtherMessage } else { Kind::Pending });
    };
    if user.is_empty() && from.is_none() && sid.is_empty() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let reason = match (act, outcome) {
        (_, Outcome::Failure) if has(b"ertificate") => Reason::Certificate,
        (_, Outcome::Failure) if has(b"expired") => Reason::Expired,
        (_, Outcome::Failure) if has(b"uthentication") => Reason::BadPassword,
        (_, Outcome::Failure) => Reason::Other,
        (Act::SessionEnd, _) if has(b"imeout") => Reason::Timeout,
        (Act::SessionEnd, _) if has(b"admin") => Reason::ByAdmin,
        _ => Reason::None,
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::Vpn)
        .user(user)
        .source_ip(from)
        .tunnel_ip(tunnel)
        .sid(sid)
        .reason(reason)
        .observer(observer)
        .flag_if(act == Act::Auth && outcome == Outcome::Success, Flags::PRE_MFA)
        .done()
}
