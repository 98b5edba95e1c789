//! Microsoft Defender Antivirus: what it found on a host, and when it was turned off.
//!
//! Read from: "Review event logs and error codes to troubleshoot issues with Microsoft Defender Antivirus". Traps: one
//! finding is 1116 and then 1117, the second says again what the first did; severities are 1, 2, 4 and 5.

use super::defender::severity;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Change, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "defender_antivirus",
    title: "Microsoft Defender Antivirus (Windows events)",
    row: Row::Endpoint,
    gives: &[Act::Alert, Act::Config],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::SourceIp, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["found_and_acted"],
    manual: "Microsoft Defender Antivirus event IDs and error codes",
    enable: "on by default; collect the channel Microsoft-Windows-Windows Defender/Operational",
    general: false,
    marks: &["Windows Defender"],
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                channel.starts_with(b"Microsoft-Windows-Windows Defender/")
                    || provider.starts_with(b"Microsoft-Windows-Windows Defender")
                        && !provider.ends_with(b"Firewall")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let at = e.time(r);
    match e.id {
        // Found; a thing that behaves like one.
        1006 | 1015 | 1116 => {
            let number = match e.number("Severity ID") {
                1 => 2,
                2 => 3,
                4 => 4,
                5 => 5,
                _ => 0,
            };
            let named = severity(&e.get("Severity Name"));
            let user = e.get("Detection User");
            let own = user.starts_with(b"NT AUTHORITY\\")
                || user.starts_with(b"NT-AUTORIT")
                || user.ends_with(b"$");
            out.event(Act::Alert, Outcome::Unknown)
                .at(at)
                .service(Service::Edr)
                .user(if own { b"" } else { &user })
                .host(&e.computer)
                .device(&e.computer)
                .observer(&e.computer)
                .detail(&e.get("Threat Name"))
                .target(&e.get("Path"))
                .severity(if number == 0 { named } else { number })
                .done()
        }
        1117 | 1007 => Parsed::Irrelevant(Kind::Repeats),
        // It could not be removed.
        1118 | 1119 | 1008 => out
            .event(Act::Alert, Outcome::Failure)
            .at(at)
            .service(Service::Edr)
            .host(&e.computer)
            .device(&e.computer)
            .observer(&e.computer)
            .detail(&e.get("Threat Name"))
            .target(&e.get("Path"))
            .severity(4)
            .done(),
        5001 | 5010 | 5012 => out
            .event(Act::Config, Outcome::Success)
            .at(at)
            .service(Service::Host)
            .host(&e.computer)
            .observer(&e.computer)
            .change(Change::LoggingStopped)
            .detail(match e.id {
                5001 => b"real-time protection disabled",
                5010 => b"scanning for spyware disabled",
                _ => b"scanning for viruses disabled",
            })
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
