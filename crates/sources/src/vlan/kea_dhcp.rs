//! ISC Kea: leases, from its log, its legal log and its lease file.
//!
//! Read from: Kea Administrator Reference Manual "Logging", "Kea Messages Manual", "Forensic Logging", "Memfile". Traps: an
//! advertised lease is an offer; a row of the lease file says when the lease ends, not when it began; a lease file repeats
//! a lease with lifetime 0 when it is given up.

use super::isc_dhcp::mac_of_duid;
use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::{begins_with, find};
use crate::decode::json::Paths;
use crate::decode::kv::{after, between, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "kea_dhcp",
    title: "ISC Kea DHCP",
    row: Row::Vlan,
    gives: &[Act::Lease],
    lacks: &[
        Field::User,
        Field::SourceIp,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["lease_file", "legal_log"],
    manual: "Kea Administrator Reference Manual: Logging, Forensic Logging; Kea Messages Manual",
    enable: "logger kea-dhcp4.leases at INFO; the libdhcp_legal_log hook for a log that names relay and circuit",
    general: false,
    marks: &["kea-dhcp", "DHCP4_", "DHCP6_", "\"valid_lifetime\"", " Address: "],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return r.contains(b"\"valid_lifetime\"")
            && r.contains(b"\"subnet_id\"")
            && r.contains(b"\"expire\"");
    }
    r.header.program.starts_with(b"kea-dhcp")
        || find(r.raw, b"[kea-dhcp").is_some()
        || event(r.raw).is_some()
        || legal(r.raw).is_some()
}

/// `DHCP4_LEASE_ALLOC …`: the message's name and what follows it.
fn event(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = find(raw, b"DHCP4_").or_else(|| find(raw, b"DHCP6_"))?;
    let before = at == 0 || matches!(raw.get(at - 1), Some(b' '));
    before.then(|| word(&raw[at..]))
}

/// What follows ` Address: ` in `2026-03-03 09:00:00 CET Address: 10.0.0.5 has been assigned for …`.
fn legal(raw: &[u8]) -> Option<&[u8]> {
    let rest = after(raw, b" Address: ", b"")?;
    let told = word(rest).1;
    (told.starts_with(b"has been ") && find(told, b" a device with ").is_some()).then_some(rest)
}

/// Parts of Kea whose messages are about itself, by the beginnings of their names.
const KNOWN: [&[u8]; 21] = [
    b"ALLOC_ENGINE_",
    b"COMMAND_",
    b"CTRL_AGENT_",
    b"DCTL_",
    b"DHCP4_",
    b"DHCP6_",
    b"DHCPSRV_",
    b"DHCP_DDNS_",
    b"EVAL_",
    b"FLEX_",
    b"HA_",
    b"HOOKS_",
    b"HOSTS_",
    b"HTTP_",
    b"HTTPS_",
    b"LFC_",
    b"LOGIMPL_",
    b"MT_",
    b"MYSQL_",
    b"PGSQL_",
    b"STAT_CMDS_",
];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return row(r, out);
    }
    if let Some(rest) = legal(r.raw) {
        return told(r, rest, out);
    }
    let Some((name, text)) = event(r.raw) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    match name {
        b"DHCP4_LEASE_ALLOC" | b"DHCP4_LEASE_REUSE" | b"DHCP6_LEASE_ALLOC" | b"DHCP6_LEASE_REUSE" => {}
        b"DHCP4_LEASE_ADVERT"
        | b"DHCP4_LEASE_OFFER"
        | b"DHCP6_LEASE_ADVERT"
        | b"DHCP4_RELEASE"
        | b"DHCP6_RELEASE_NA" => return Parsed::Irrelevant(Kind::Pending),
        // A message of leases that is none of the above may be a new name of one that is.
        name => {
            let lease = find(name, b"LEASE").is_some();
            return Parsed::housekeeping_if(begins_with(name, &KNOWN) && !lease);
        }
    }
    // `[hwtype=1 aa:bb:…], cid=[01:aa:…], tid=0x4e6f: lease 10.0.0.5 has been allocated for 3600 seconds`,
    // `duid=[00:01:…], [hwtype=1 aa:bb:…], tid=0x…: lease for address 2001:db8::5 and iaid=1 has been allocated for …`.
    let address = after(text, b"lease for address ", b" ").or_else(|| after(text, b": lease ", b" "));
    let Some(address) = address else { return Parsed::Broken(Why::Missing("address")) };
    let mac = between(text, b"hwtype=1 ", b"]").unwrap_or_default();
    let mac = word(mac).0;
    let mac =
        if mac.is_empty() { mac_of_duid(between(text, b"duid=[", b"]").unwrap_or_default()) } else { mac };
    out.event(Act::Lease, Outcome::Success)
        .at(r.header_time())
        .service(Service::Dhcp)
        .tunnel(address)
        .mac(mac)
        .observer(observer(r))
        .done()
}

/// In Kea's own files the level stands where a host would.
fn observer<'a>(r: &Record<'a>) -> &'a [u8] {
    let host = r.host();
    if matches!(host, b"INFO" | b"DEBUG" | b"WARN" | b"ERROR" | b"FATAL") || host.starts_with(b"kea-") {
        b""
    } else {
        host
    }
}

fn told(r: &Record<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (address, text) = word(rest);
    if !text.starts_with(b"has been assigned") && !text.starts_with(b"has been renewed") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let hardware = after(text, b"hardware address: ", b",").unwrap_or_default();
    let hardware = hardware.strip_prefix(b"hwtype=1 ").unwrap_or(hardware);
    let duid = after(text, b"DUID: ", b" ").unwrap_or_default();
    let mac = if hardware.is_empty() { mac_of_duid(duid) } else { word(hardware).0 };
    out.event(Act::Lease, Outcome::Success)
        .at(legal_time(r))
        .service(Service::Dhcp)
        .tunnel(address)
        .mac(mac)
        .done()
}

/// The stamp in front of a line of the legal log names its zone as an abbreviation.
fn legal_time(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    let Some((Stamp::Local(civil), used)) = clock::iso(r.raw) else { return r.header_time() };
    match clock::zone_name(word(&r.raw[used..]).0) {
        Some(east) => Clock::with_offset(civil, east).map(|t| (t, Certainty::Exact)),
        None => r.clock.resolve(civil),
    }
}

/// A row of `kea-leases4.csv` or `kea-leases6.csv`.
fn row(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<7>> = LazyLock::new(|| {
        Paths::new(["address", "hwaddr", "duid", "valid_lifetime", "expire", "hostname", "state"])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let lifetime = number(v[3].bytes());
    // 0: given up; another state: declined or reclaimed.
    if lifetime == 0 || !matches!(v[6].bytes(), b"" | b"0") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let Some(end) = clock::epoch(v[4].bytes()) else { return Parsed::Broken(Why::Invalid("expire")) };
    // 2³² − 1 is a lease for ever; it began when nobody knows.
    let began =
        i64::try_from(lifetime).ok().filter(|s| *s < i64::from(u32::MAX)).map(|s| end.minus(s * 1_000_000));
    let Some(began) = began else { return Parsed::Irrelevant(Kind::Pending) };
    let address = Ip::parse(v[0].bytes());
    if address.is_none() {
        return Parsed::Broken(Why::Invalid("address"));
    }
    let mac = if v[1].bytes().is_empty() { mac_of_duid(v[2].bytes()) } else { v[1].bytes() };
    let name = v[5].text();
    out.event(Act::Lease, Outcome::Success)
        .time(began, Certainty::Exact)
        .service(Service::Dhcp)
        .tunnel_ip(address)
        .mac(mac)
        .device(name.strip_suffix(b".").unwrap_or(&name))
        .done()
}
