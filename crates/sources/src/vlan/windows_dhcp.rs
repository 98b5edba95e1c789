//! Windows DHCP server audit log, DHCPv4 and DHCPv6.
//!
//! Read from: Microsoft "Analyze DHCP server log files", "DHCP server events". Traps: times are local without a zone; the
//! file begins with a text that explains its codes; DHCPv6 has other columns, and its leases are renewals and requests.

use crate::decode::clock::Civil;
use crate::decode::json::Paths;
use crate::decode::kv::{csv_fields, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "windows_dhcp",
    title: "Windows DHCP server",
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
        Field::Zone,
    ],
    traps: &["header_text", "ipv6"],
    manual: "Microsoft: Analyze DHCP server log files",
    enable: "DHCP console: Enable DHCP audit logging (on by default); C:\\Windows\\System32\\dhcp\\DhcpSrvLog-*.log and DhcpV6SrvLog-*.log",
    general: false,
    marks: &[],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Json => is_row(r),
            Shape::Text => stamp(r.body).is_some() || header(r.body),
            _ => false,
        },
        parse,
        join: None,
    },
};

/// A row to which the reader of tables gave the names of the columns.
fn is_row(r: &Record<'_>) -> bool {
    (r.contains(b"\"IP Address\"") || r.contains(b"\"IPv6 Address\""))
        && r.contains(b"\"ID\"")
        && r.contains(b"\"Host Name\"")
}

fn header(text: &[u8]) -> bool {
    const LINES: [&[u8]; 10] = [
        b"Microsoft DHCP Service Activity Log",
        b"Microsoft DHCPv6 Service Activity Log",
        b"Event ID  Meaning",
        b"ID,Date,Time,Description",
        b"ID Date,Time,Description",
        b"QResult:",
        b"Event ID\tMeaning",
        b"Microsoft Windows DHCP",
        b"Microsoft DHCPv6 Service",
        b"0\tThe log was started",
    ];
    let text = text.trim_ascii();
    if LINES.iter().any(|l| text.starts_with(l)) {
        return true;
    }
    // `10\tA new IP address was leased to a client.`
    let code = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'+').count();
    (1..=5).contains(&code) && text.get(code) == Some(&b'\t') && text.ends_with(b".")
}

/// `10,10/09/25,08:52:19,Assign,…`: month, day, year of two digits.
fn stamp(body: &[u8]) -> Option<Civil> {
    let mut fields = csv_fields(&body[..body.len().min(60)]);
    let id = fields.next()?;
    if id.is_empty() || id.len() > 5 || !id.iter().all(u8::is_ascii_digit) {
        return None;
    }
    civil(fields.next()?, fields.next()?)
}

/// `03/03/26` or `03/03/2026`, and `09:00:00`.
fn civil(date: &[u8], time: &[u8]) -> Option<Civil> {
    if !matches!(date.len(), 8 | 10) || time.len() != 8 {
        return None;
    }
    let mut parts = date.split(|b| *b == b'/');
    let [month, day, year] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let mut parts = time.split(|b| *b == b':');
    let [hour, minute, second] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let two = |t: &[u8]| {
        (t.len() == 2 && t.iter().all(u8::is_ascii_digit)).then(|| u8::try_from(number(t)).ok()).flatten()
    };
    let year = match year.len() {
        2 => 2_000 + i16::from(two(year)?),
        4 => i16::try_from(number(year)).ok()?,
        _ => return None,
    };
    Some(Civil {
        year,
        month: two(month)?,
        day: two(day)?,
        hour: two(hour)?,
        minute: two(minute)?,
        second: two(second)?,
        micros: 0,
    })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        static PATHS: LazyLock<Paths<7>> = LazyLock::new(|| {
            Paths::new(["ID", "Date", "Time", "IP Address", "IPv6 Address", "Host Name", "MAC Address"])
        });
        let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
        let Some(civil) = civil(v[1].bytes(), v[2].bytes()) else {
            return Parsed::Broken(Why::Missing("date or time"));
        };
        let ip = if v[3].is_missing() { v[4] } else { v[3] };
        return lease(r, number(v[0].bytes()), civil, ip.bytes(), &v[5].text(), v[6].bytes(), out);
    }
    let Some(civil) = stamp(r.body) else { return Parsed::Irrelevant(Kind::Format) };
    let mut fields = csv_fields(r.body);
    let id = number(fields.next().unwrap_or_default());
    let [_, _, _, ip, name] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    let Some(mac) = fields.next() else { return Parsed::Broken(Why::Missing("columns")) };
    if id < 11_000 {
        return lease(r, id, civil, ip, name, mac, out);
    }
    // DHCPv6 has an error code there, and the DUID two columns on; it ends in the hardware address.
    let duid = fields.nth(1).unwrap_or_default();
    let known = duid.starts_with(b"0001") || duid.starts_with(b"0003");
    let mac = duid.len().checked_sub(12).filter(|_| known).and_then(|at| duid.get(at..)).unwrap_or_default();
    lease(r, id, civil, ip, name, mac, out)
}

fn lease(
    r: &Record<'_>,
    id: u64,
    civil: Civil,
    ip: &[u8],
    name: &[u8],
    mac: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let address = Ip::parse(ip);
    match id {
        // Assigned, renewed, given to a BOOTP client; requested, renewed, rebound.
        10 | 11 | 20 | 21 | 11_002 | 11_004 | 11_005 if address.is_some() => out
            .event(Act::Lease, Outcome::Success)
            .at(r.clock.resolve(civil))
            .service(Service::Dhcp)
            .tunnel_ip(address)
            .mac(mac)
            .device(name)
            .observer(r.host())
            .done(),
        11_000 | 11_001 | 12 | 11_007 => Parsed::Irrelevant(Kind::Pending),
        // The log and the service, leases that ended, names in DNS, the server's rights in the domain; of IPv6 the same.
        0..=2 | 13..=18 | 22..=25 | 30..=36 | 50..=64 | 11_003 | 11_006 | 11_008..=11_032 => {
            Parsed::Irrelevant(Kind::Housekeeping)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
