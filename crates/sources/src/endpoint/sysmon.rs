//! Sysmon: commands and connections of hosts.
//!
//! Read from: Sysmon manual, event ids 1 and 3. Trap: `User` is `DOMAIN\name`, also for the system's own accounts.

use crate::decode::clock::{self, Clock, Stamp};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, is_event, is_remote_tool};
use portreeve_model::EventTime;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Outcome, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "sysmon",
    title: "Sysmon",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Flow],
    lacks: &[Field::Mfa, Field::SourceIp],
    traps: &[],
    manual: "Microsoft Sysinternals: Sysmon events",
    enable: "install Sysmon with a configuration that keeps event 1 (process) and 3 (network)",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            is_event(r)
                && WinEvent::of(r).is_some_and(|e| {
                    e.channel.starts_with(b"Microsoft-Windows-Sysmon")
                        || e.provider.starts_with(b"Microsoft-Windows-Sysmon")
                })
        },
        parse,
        join: None,
    },
};

/// Sysmon's own stamp is UTC; a shipper may have written the event's in local time.
fn time(e: &WinEvent<'_>, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    let shipped = e.time(r);
    if shipped.is_some_and(|(_, c)| c == Certainty::Exact) {
        return shipped;
    }
    match clock::iso(&e.get("UtcTime")) {
        Some((Stamp::Local(civil), _)) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
        _ => shipped,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let at = time(&e, r);
    let user = e.get("User");
    let own = user.ends_with(b"$")
        || [&b"NT AUTHORITY\\"[..], b"NT-AUTORIT", b"AUTORITE NT\\", b"AUTORIDADE NT\\"]
            .iter()
            .any(|a| user.starts_with(a));
    match e.id {
        1 => {
            let line = e.get("CommandLine");
            let command = if line.is_empty() { e.get("Image") } else { line };
            // Tools of remote control run as services; what else the system starts is of no concern.
            if own && !is_remote_tool(&command) {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Exec, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .user(&user)
                .detail(&command)
                .host(&e.computer)
                .observer(&e.computer)
                .flag_if(own, Flags::MACHINE)
                .done()
        }
        3 => {
            let (src, dst) = (Ip::parse(&e.get("SourceIp")), Ip::parse(&e.get("DestinationIp")));
            if own || dst.is_public() {
                return Parsed::Irrelevant(Kind::OutboundTraffic);
            }
            out.event(Act::Flow, Outcome::Success)
                .at(at)
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
