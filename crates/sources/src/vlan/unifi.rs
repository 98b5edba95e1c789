//! Ubiquiti UniFi: what the controller itself reports, in CEF. The gateway's packets are read as netfilter's.
//!
//! Read from: Ubiquiti Help Center "UniFi System Logs & SIEM Integration". Traps: blanks stand in names and values; relays cut
//! the `CEF:` off; a console's name stands where one would look for a host; the time is UTC in a field of its own.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{cef, cef_pairs, number};
use crate::emit::{Emit, EventBuilder};
use crate::flows::{Flow, port};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "unifi",
    title: "Ubiquiti UniFi (controller events)",
    row: Row::Vlan,
    gives: &[Act::Nac, Act::Admin, Act::Config, Act::Flow, Act::Alert],
    lacks: &[Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["cut_prefix"],
    manual: "Ubiquiti Help Center: UniFi System Logs & SIEM Integration",
    enable: "Settings > Control Plane > Integrations > Activity Logging: SIEM Server, categories Security, Clients, Admin, Updates",
    general: false,
    marks: &["|Ubiquiti|UniFi "],
    reader: Reader::Code { claim: |r| head(r).is_some(), parse, join: None },
};

/// The seven fields of the header, and the pairs.
fn head<'a>(r: &Record<'a>) -> Option<([&'a [u8]; 7], &'a [u8])> {
    let (fields, pairs) = cef(r.body)?;
    (fields[1] == b"Ubiquiti" && fields[2].starts_with(b"UniFi ") && fields[0].len() < 3)
        .then_some((fields, pairs))
}

#[derive(Default)]
struct Pairs<'a> {
    src: &'a [u8],
    sport: &'a [u8],
    dst: &'a [u8],
    dport: &'a [u8],
    act: &'a [u8],
    admin: &'a [u8],
    console: &'a [u8],
    device: &'a [u8],
    client: &'a [u8],
    client_name: &'a [u8],
    client_ip: &'a [u8],
    client_mac: &'a [u8],
    wifi: &'a [u8],
    vlan: &'a [u8],
    signature: &'a [u8],
    policy: &'a [u8],
    section: &'a [u8],
    utc: &'a [u8],
    message: &'a [u8],
}

fn read(extension: &[u8]) -> Pairs<'_> {
    let mut p = Pairs::default();
    for (key, value) in cef_pairs(extension) {
        let slot = match key {
            b"src" => &mut p.src,
            b"spt" => &mut p.sport,
            b"dst" => &mut p.dst,
            b"dpt" => &mut p.dport,
            b"act" => &mut p.act,
            b"UNIFIadmin" => &mut p.admin,
            b"UNIFIhost" => &mut p.console,
            b"UNIFIdeviceName" | b"UNIFIconnectedToDeviceName" => &mut p.device,
            b"UNIFIclientHostname" => &mut p.client,
            b"UNIFIclientAlias" => &mut p.client_name,
            b"UNIFIclientIp" => &mut p.client_ip,
            b"UNIFIclientMac" => &mut p.client_mac,
            b"UNIFIwifiName" => &mut p.wifi,
            b"UNIFInetworkVlan" => &mut p.vlan,
            b"UNIFIipsSignature" => &mut p.signature,
            b"UNIFIpolicyName" => &mut p.policy,
            b"UNIFIsettingsSection" => &mut p.section,
            b"UNIFIutcTime" => &mut p.utc,
            b"msg" => &mut p.message,
            _ => continue,
        };
        *slot = value;
    }
    p
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((fields, extension)) = head(r) else { return Parsed::NotMine };
    let name = fields[5];
    let has = |part: &[u8]| find(name, part).is_some();
    let wanted =
        has(b"Admin") || has(b"Config") || has(b"Threat") || has(b"Blocked") || has(b"Client Connected");
    if !wanted {
        return Parsed::Irrelevant(if has(b"Client") { Kind::Transport } else { Kind::OtherMessage });
    }
    let p = read(extension);
    let time = when(r, &p);
    if has(b"Admin Accessed") || has(b"Admin Activity") {
        return event(out, Act::Admin, Outcome::Success, time, &p)
            .service(Service::Management)
            .user(p.admin)
            .source(p.src)
            .done();
    }
    if has(b"Config") {
        return event(out, Act::Config, Outcome::Success, time, &p)
            .service(Service::Management)
            .user(p.admin)
            .source(p.src)
            .detail(if p.section.is_empty() { p.message } else { p.section })
            .change(Change::ConfigChanged)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    if has(b"Threat") {
        let blocked = has(b"Blocked") || p.act == b"blocked";
        let title = if p.signature.is_empty() { name } else { p.signature };
        return event(out, Act::Alert, if blocked { Outcome::Failure } else { Outcome::Unknown }, time, &p)
            .service(Service::Firewall)
            .source(p.src)
            .source_port(port(p.sport))
            .destination(p.dst)
            .destination_port(port(p.dport))
            .host(p.dst)
            // CEF counts to ten.
            .severity(match number(fields[6]) {
                0..=1 => 1,
                2..=3 => 2,
                4..=6 => 3,
                7..=8 => 4,
                _ => 5,
            })
            .detail(title)
            .done();
    }
    if has(b"Client Connected") && !has(b"VPN") {
        let wireless = has(b"WiFi") || !p.wifi.is_empty();
        return event(out, Act::Nac, Outcome::Success, time, &p)
            .service(if wireless { Service::Wireless } else { Service::Wired })
            .mac(p.client_mac)
            .tunnel(p.client_ip)
            .vlan(port(p.vlan))
            .device(if p.client.is_empty() { p.client_name } else { p.client })
            .group(p.wifi)
            .detail(p.device)
            .done();
    }
    if has(b"Blocked") {
        return Flow {
            time,
            outcome: Outcome::Failure,
            src: Ip::parse(p.src),
            sport: port(p.sport),
            dst: Ip::parse(p.dst),
            dport: port(p.dport),
            observer: p.console,
            rule: p.policy,
            ..Flow::default()
        }
        .tell(out);
    }
    if extension.is_empty() {
        return Parsed::Broken(Why::Missing("fields"));
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn event<'e>(
    out: &'e mut Emit<'_>,
    act: Act,
    outcome: Outcome,
    time: Option<(EventTime, Certainty)>,
    p: &Pairs<'_>,
) -> EventBuilder<'e> {
    out.event(act, outcome).at(time).observer(p.console)
}

fn when(r: &Record<'_>, p: &Pairs<'_>) -> Option<(EventTime, Certainty)> {
    match clock::iso(p.utc) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    }
}
