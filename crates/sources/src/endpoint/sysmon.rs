//! Sysmon: commands and connections of hosts, of Windows and of Linux.
//!
//! Read from: Sysmon manual, event ids 1 and 3; Sysmon for Linux. Traps: `User` is `DOMAIN\name`, also for the system's own
//! accounts; on Linux services run as root like people do, and only their session, which is none, tells them apart.

use crate::decode::clock::{self, Clock, Stamp};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed, is_remote_tool};
use portreeve_model::EventTime;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Outcome, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "sysmon",
    title: "Sysmon",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Flow],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["linux"],
    manual: "Microsoft Sysinternals: Sysmon events; Sysmon for Linux",
    enable: "install Sysmon with a configuration that keeps event 1 (process) and 3 (network); on Linux it writes to syslog as `sysmon`",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                [channel, provider]
                    .iter()
                    .any(|n| n.starts_with(b"Microsoft-Windows-Sysmon") || n.starts_with(b"Linux-Sysmon"))
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
    let service = &*e.get("TerminalSessionId") == b"4294967295";
    let own = service
        || user.ends_with(b"$")
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
