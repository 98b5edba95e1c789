//! ISC dhcpd: leases.
//!
//! Read from: dhcpd(8), dhcpd.conf(5). Traps: DISCOVER, OFFER and REQUEST are steps, only the ACK is a lease; an ACK `to` an
//! address answers a question for options of a host that has its address already; the name in brackets is the client's own.

use crate::decode::find::begins_with;
use crate::decode::kv::{after, between, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "isc_dhcp",
    title: "ISC dhcpd",
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
        Field::Year,
        Field::Zone,
    ],
    traps: &["steps_are_no_lease", "inform"],
    manual: "dhcpd(8), dhcpd.conf(5)",
    enable: "log-facility in dhcpd.conf and that facility to the log server",
    general: false,
    marks: &["dhcpd", "DHCP"],
    reader: Reader::Code {
        claim: |r| {
            (matches!(r.header.program, b"dhcpd" | b"dhcpd6")
                || STEPS.iter().any(|s| r.body.starts_with(s))
                || r.body.starts_with(b"DHCPACK on ")
                || r.body.starts_with(b"DHCPACK to "))
                && !super::infoblox::is_dhcp(r)
        },
        parse,
        join: None,
    },
};

/// What comes before an ACK, or says that there is none, in dhcpd's wording.
pub(crate) const STEPS: [&[u8]; 8] = [
    b"DHCPDISCOVER from ",
    b"DHCPOFFER on ",
    b"DHCPREQUEST for ",
    b"DHCPNAK on ",
    b"DHCPDECLINE of ",
    b"DHCPRELEASE of ",
    b"DHCPINFORM from ",
    b"DHCPEXPIRE on ",
];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    // `DHCPACK on 10.0.0.5 to aa:bb:… (LT-1) via eth0`.
    if let Some(rest) = r.body.strip_prefix(b"DHCPACK on ") {
        return ack(r, rest, out);
    }
    // `Reply NA: address 2001:db8::5 to client with duid 00:01:… iaid = 1 valid for 3600 seconds`.
    if let Some(rest) = r.body.strip_prefix(b"Reply NA: address ") {
        let duid = after(rest, b"duid ", b" ").unwrap_or_default();
        return out
            .event(Act::Lease, Outcome::Success)
            .at(r.header_time())
            .service(Service::Dhcp)
            .tunnel(word(rest).0)
            .mac(mac_of_duid(duid))
            .observer(r.host())
            .done();
    }
    if r.body.starts_with(b"DHCP") {
        Parsed::Irrelevant(Kind::Pending)
    } else {
        Parsed::housekeeping_if(begins_with(r.body, &KNOWN))
    }
}

/// Beginnings of what dhcpd says of itself, of its leases file and of its other half.
const KNOWN: [&[u8]; 34] = [
    b"All rights reserved",
    b"Abandoning IP address",
    b"Added new forward map",
    b"Added reverse map",
    b"Advertise NA: ",
    b"BOOTREPLY ",
    b"BOOTREQUEST ",
    b"Config file: ",
    b"Confirm ",
    b"Copyright ",
    b"Database file: ",
    b"Dynamic and static leases ",
    b"For info",
    b"ICMP Echo reply",
    b"Internet Systems Consortium",
    b"Listening on ",
    b"PID file: ",
    b"Picking pool address",
    b"Rebind ",
    b"Release ",
    b"Removed forward map",
    b"Removed reverse map",
    b"Renew ",
    b"Request message",
    b"Sending ",
    b"Server starting service",
    b"Solicit message",
    b"Unable to add ",
    b"Wrote ",
    b"balanc",
    b"bind update ",
    b"failover peer ",
    b"reuse_lease: ",
    b"uid lease ",
];

/// What follows `DHCPACK on `.
pub(crate) fn ack(r: &Record<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (ip, rest) = word(rest);
    let Some(rest) = rest.strip_prefix(b"to ") else {
        return Parsed::Broken(Why::Missing("hardware address"));
    };
    let (mac, rest) = word(rest);
    let device = match rest.first() {
        Some(b'(') => between(rest, b"(", b")").unwrap_or_default(),
        _ => b"",
    };
    out.event(Act::Lease, Outcome::Success)
        .at(r.header_time())
        .service(Service::Dhcp)
        .tunnel(ip)
        .mac(mac)
        .device(device)
        .observer(r.host())
        .done()
}

/// The hardware address inside a DUID of type 1 (link layer and time) or 3 (link layer): its last six bytes.
pub(crate) fn mac_of_duid(duid: &[u8]) -> &[u8] {
    let kind = duid.get(..5).unwrap_or_default();
    if kind == b"00:01" || kind == b"00:03" {
        duid.len().checked_sub(17).and_then(|from| duid.get(from..)).unwrap_or_default()
    } else {
        b""
    }
}
