//! Sysmon: commands and connections of hosts.
//!
//! Read from: Sysmon manual, event ids 1 and 3. Trap: `User` is `DOMAIN\name`, also for the system's own accounts.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Row, Source};
use crate::windows::{WinEvent, is_event};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "sysmon",
    title: "Sysmon",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Flow],
    lacks: &[Field::Mfa, Field::SourceIp],
    traps: &[],
    enable: "install Sysmon with a configuration that keeps event 1 (process) and 3 (network)",
    claim: |r| {
        is_event(r)
            && WinEvent::of(r).is_some_and(|e| {
                e.channel.starts_with(b"Microsoft-Windows-Sysmon")
                    || e.provider.starts_with(b"Microsoft-Windows-Sysmon")
            })
    },
    parse,
    join: None,
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let user = e.get("User");
    let own = user.starts_with(b"NT AUTHORITY\\") || user.ends_with(b"$") || user.starts_with(b"NT-AUTORIT");
    match e.id {
        1 => {
            if own {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let line = e.get("CommandLine");
            let command = if line.is_empty() { e.get("Image") } else { line };
            out.event(Act::Exec, Outcome::Success)
                .at(e.time(r))
                .service(Service::Host)
                .user(&user)
                .detail(&command)
                .host(&e.computer)
                .observer(&e.computer)
                .done()
        }
        3 => {
            let (src, dst) = (Ip::parse(&e.get("SourceIp")), Ip::parse(&e.get("DestinationIp")));
            if own || dst.is_public() {
                return Parsed::Irrelevant(Kind::OutboundTraffic);
            }
            out.event(Act::Flow, Outcome::Success)
                .at(e.time(r))
                .service(Service::Host)
                .user(&user)
                .source_ip(src)
                .destination_ip(dst)
                .destination_port(u16::try_from(e.number("DestinationPort")).unwrap_or(0))
                .observer(&e.computer)
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
