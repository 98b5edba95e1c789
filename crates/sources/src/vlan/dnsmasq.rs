//! dnsmasq: leases.
//!
//! Read from: dnsmasq(8). Traps: with `log-dhcp` a transaction number stands before each step; DNS queries come from the
//! same program and are of no concern; DHCPv6 has a DUID where DHCPv4 has a hardware address.

use super::isc_dhcp::mac_of_duid;
use crate::decode::find::{begins_with, find};
use crate::decode::kv::word;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "dnsmasq",
    title: "dnsmasq",
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
    traps: &["numbered_steps"],
    manual: "dnsmasq(8)",
    enable: "leases are logged by default; log-facility names where, log-dhcp adds the options",
    general: false,
    marks: &[
        "dnsmasq",
        "DHCPACK(",
        "DHCPREQUEST(",
        "DHCPDISCOVER(",
        "DHCPOFFER(",
        "DHCPRELEASE(",
        "DHCPREPLY(",
    ],
    reader: Reader::Code {
        claim: |r| {
            matches!(r.header.program, b"dnsmasq" | b"dnsmasq-dhcp" | b"dnsmasq-tftp" | b"dnsmasq-script")
                || step(r.body).is_some()
        },
        parse,
        join: None,
    },
};

/// `DHCPACK(eth0) …`, past the transaction's number: the kind of step and what follows it.
fn step(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = word(body);
    let text = if !first.is_empty() && first.iter().all(u8::is_ascii_digit) { rest } else { body };
    if !text.starts_with(b"DHCP") {
        return None;
    }
    let (first, rest) = word(text);
    let open = memchr::memchr(b'(', first)?;
    first.ends_with(b")").then_some((&first[..open], rest))
}

/// Beginnings of what dnsmasq says of itself and of how it was set up.
const KNOWN: [&[u8]; 26] = [
    b"DNS service ",
    b"DNSSEC ",
    b"Maximum number of concurrent",
    b"RTR-",
    b"SLAAC-",
    b"abandoning lease",
    b"available DHCP range",
    b"bad DHCP host name",
    b"bad name at ",
    b"cleared cache",
    b"client provides name",
    b"compile time options",
    b"exiting on receipt of",
    b"ignoring nameserver",
    b"nameserver ",
    b"next server",
    b"no servers found",
    b"not giving name",
    b"read ",
    b"reading ",
    b"requested options",
    b"sent size",
    b"started, ",
    b"tags: ",
    b"using ",
    b"vendor class",
];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((kind, rest)) = step(r.body) else {
        let query = r.body.starts_with(b"query") || find(r.body, b" is ").is_some();
        if query || begins_with(r.body, &[b"forwarded ", b"reply ", b"cached ", b"validation "]) {
            return Parsed::Irrelevant(Kind::RoutineUse);
        }
        let (first, rest) = word(r.body);
        let said = if !first.is_empty() && first.iter().all(u8::is_ascii_digit) { rest } else { r.body };
        return Parsed::housekeeping_if(begins_with(said, &KNOWN));
    };
    if !matches!(kind, b"DHCPACK" | b"DHCPREPLY") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    // `10.0.0.5 aa:bb:cc:dd:ee:ff LT-1`, `2001:db8::5 00:01:00:01:… LT-1`.
    let (ip, rest) = word(rest);
    let (client, rest) = word(rest);
    if client.is_empty() {
        return Parsed::Broken(Why::Missing("hardware address"));
    }
    out.event(Act::Lease, Outcome::Success)
        .at(r.header_time())
        .service(Service::Dhcp)
        .tunnel(ip)
        .mac(if kind == b"DHCPREPLY" { mac_of_duid(client) } else { client })
        .device(word(rest).0)
        .observer(r.host())
        .done()
}
