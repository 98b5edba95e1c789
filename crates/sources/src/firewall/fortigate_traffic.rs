//! FortiGate connections: forward and local traffic.
//!
//! Read from: FortiOS Log Message Reference (traffic; ZTNA). Traps: `unauthuser` is who the firewall believes sits there,
//! told by Kerberos or the client and never asked; a connection through the access proxy is an access to an application.
//! Hot: the type is looked at before any field is.

use super::asa_traffic::worth;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::vpn::fortigate::{fields, is_fortigate, is_traffic};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "fortigate_traffic",
    title: "FortiGate (connections)",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["access_proxy"],
    manual: "FortiOS Log Message Reference (traffic)",
    enable: "set logtraffic all on the policies of remote access and of the VPN zone; local-in denies with set local-in-deny-broadcast",
    general: false,
    marks: &["logid=", "logdesc=", "ortigate|", "\"logid\""],
    reader: Reader::Code { claim: |r| is_fortigate(r) && is_traffic(r), parse, join: None },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = fields(r);
    let (src, dst) = (Ip::parse(f.srcip), Ip::parse(f.dstip));
    let dport = u16::try_from(number(f.dstport)).unwrap_or(0);
    let outcome = match f.action {
        b"deny" | b"blocked" | b"block" | b"server-rst" | b"ip-conn" => Outcome::Failure,
        _ => Outcome::Success,
    };
    let user = if f.user.is_empty() { f.unauthuser } else { f.user };
    if !f.accessproxy.is_empty() || f.subtype == b"ztna" {
        return out
            .event(Act::Flow, outcome)
            .at(f.when(r))
            .service(Service::Ztna)
            .source_ip(src)
            .source_port(u16::try_from(number(f.srcport)).unwrap_or(0))
            .destination_ip(dst)
            .destination_port(dport)
            .user(user)
            .host(f.hostname)
            .group(f.accessproxy)
            .device(f.clientdeviceid)
            .bytes(number(f.sent), number(f.received))
            .observer(f.observer(r))
            .done();
    }
    if let Some(kind) = worth(src, dst, dport, outcome == Outcome::Success) {
        // A record that names a user tells where that user was.
        if f.user.is_empty() {
            return Parsed::Irrelevant(kind);
        }
    }
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    let sport = u16::try_from(number(f.srcport)).unwrap_or(0);
    out.event(Act::Flow, outcome)
        .at(f.when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .user(user)
        .bytes(number(f.sent), number(f.received))
        .observer(f.observer(r))
        .done()
}
