//! ISC dhcpd and dnsmasq: leases.
//!
//! Read from: dhcpd(8), dnsmasq(8). Trap: DISCOVER, OFFER and REQUEST are steps; only the ACK is a lease.

use crate::decode::kv::{between, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "isc_dhcp",
    title: "ISC dhcpd / dnsmasq",
    row: Row::Vlan,
    gives: &[Act::Lease],
    lacks: &[Field::User, Field::Mfa, Field::Year, Field::Zone],
    traps: &["steps_are_no_lease"],
    manual: "dhcpd(8), dhcpd.conf(5); dnsmasq(8)",
    enable: "log-facility in dhcpd.conf; log-dhcp in dnsmasq.conf",
    general: false,
    marks: &["dhcp", "DHCP"],
    reader: Reader::Code {
        claim: |r| {
            matches!(r.header.program, b"dhcpd" | b"dnsmasq-dhcp" | b"dhcpd6")
                || r.body.starts_with(b"DHCPACK")
                || r.body.starts_with(b"DHCPREQUEST")
                || r.body.starts_with(b"DHCPRELEASE")
                || r.body.starts_with(b"DHCPDISCOVER")
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body;
    // `DHCPACK on 10.0.0.5 to aa:bb:… (LT-1) via eth0`, `DHCPACK(eth0) 10.0.0.5 aa:bb:… LT-1`.
    if let Some(rest) = text.strip_prefix(b"DHCPACK on ") {
        let (ip, rest) = word(rest);
        let mac = word(rest.strip_prefix(b"to ").unwrap_or(rest)).0;
        let device = between(rest, b"(", b")").unwrap_or_default();
        return out
            .event(Act::Lease, Outcome::Success)
            .at(r.header_time())
            .service(Service::Dhcp)
            .tunnel(ip)
            .mac(mac)
            .device(device)
            .observer(r.host())
            .done();
    }
    if text.starts_with(b"DHCPACK(") {
        let (ip, rest) = word(word(text).1);
        let (mac, rest) = word(rest);
        if mac.is_empty() {
            return Parsed::Broken(Why::Missing("hardware address"));
        }
        return out
            .event(Act::Lease, Outcome::Success)
            .at(r.header_time())
            .service(Service::Dhcp)
            .tunnel(ip)
            .mac(mac)
            .device(word(rest).0)
            .observer(r.host())
            .done();
    }
    if text.starts_with(b"DHCP") {
        Parsed::Irrelevant(Kind::Pending)
    } else {
        Parsed::Irrelevant(Kind::Housekeeping)
    }
}
