//! Windows DHCP server audit log.
//!
//! Read from: "DHCP audit logging and analysis". Traps: times are local without a zone; the file begins with a text that
//! explains its codes.

use crate::decode::clock::Civil;
use crate::decode::kv::{csv_fields, number};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "windows_dhcp",
    title: "Windows DHCP server",
    row: Row::Vlan,
    gives: &[Act::Lease],
    lacks: &[Field::User, Field::Mfa, Field::Zone],
    traps: &["header_text"],
    manual: "Microsoft: Analyze DHCP server log files",
    enable: "DHCP console: Enable DHCP audit logging (on by default); C:\\Windows\\System32\\dhcp\\DhcpSrvLog-*.log",
    general: false,
    marks: &[],
    reader: Reader::Code { claim: |r| stamp(r.body).is_some() || header(r.body), parse, join: None },
};

fn header(text: &[u8]) -> bool {
    const LINES: [&[u8]; 8] = [
        b"Microsoft DHCP Service Activity Log",
        b"Event ID  Meaning",
        b"ID,Date,Time,Description",
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
    let (date, time) = (fields.next()?, fields.next()?);
    if date.len() != 8 || time.len() != 8 || date[2] != b'/' || time[2] != b':' {
        return None;
    }
    let two = |t: &[u8], at: usize| u8::try_from(number(&t[at..at + 2])).ok();
    let year = 2_000 + i16::from(two(date, 6)?);
    Some(Civil {
        year,
        month: two(date, 0)?,
        day: two(date, 3)?,
        hour: two(time, 0)?,
        minute: two(time, 3)?,
        second: two(time, 6)?,
        micros: 0,
    })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(civil) = stamp(r.body) else { return Parsed::Irrelevant(Kind::Format) };
    let mut fields = csv_fields(r.body);
    let id = number(fields.next().unwrap_or_default());
    let rest: Vec<&[u8]> = fields.skip(2).take(4).collect();
    let [_, ip, name, mac] = rest.as_slice() else { return Parsed::Broken(Why::Missing("columns")) };
    match id {
        10 | 11 => out
            .event(Act::Lease, Outcome::Success)
            .at(r.clock.resolve(civil))
            .service(Service::Dhcp)
            .tunnel(ip)
            .mac(mac)
            .device(name)
            .observer(r.host())
            .done(),
        _ => Parsed::Irrelevant(Kind::Housekeeping),
    }
}
