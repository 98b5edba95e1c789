//! Remote Desktop on a host: TerminalServices logs and session reconnects.
//!
//! Read from: Microsoft "Remote Desktop Services" operational logs, event 4778. Traps: 1149 is a network connection,
//! not an authenticated logon where NLA is off; 140 tells the address of a failure and no name; `LOCAL` and loopback addresses; 16777216 shows a tunnel.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "rdp",
    title: "Windows Remote Desktop (TerminalServices, RdpCoreTS)",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Logoff, Act::Posture],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::SessionId, Field::Bytes],
    traps: &["connection_is_no_logon"],
    manual: "Microsoft: Remote Desktop Services events (LocalSessionManager, RemoteConnectionManager)",
    enable: "on by default: TerminalServices-LocalSessionManager/Operational and -RemoteConnectionManager/Operational; audit Other Logon/Logoff Events for 4778",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |id, channel, _| {
                channel.starts_with(b"Microsoft-Windows-TerminalServices-LocalSession")
                    || channel.starts_with(b"Microsoft-Windows-TerminalServices-RemoteConn")
                    || channel.starts_with(b"Microsoft-Windows-RemoteDesktopServices-RdpCoreTS")
                    || matches!(id, 4778 | 4779)
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let (at, host) = (e.time(r), &*e.computer);
    match e.id {
        21 | 25 => {
            let ip = e.get("Address");
            if &*ip == b"LOCAL" {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            out.event(Act::Logon, Outcome::Success)
                .at(at)
                .service(Service::Rdp)
                .user(&e.get("User"))
                .source(&ip)
                .host(host)
                .observer(host)
                .logon_type(10)
                .done()
        }
        23 | 24 => out
            .event(Act::Logoff, Outcome::Success)
            .at(at)
            .service(Service::Rdp)
            .user(&e.get("User"))
            .source(&e.get("Address"))
            .host(host)
            .observer(host)
            .done(),
        1149 => out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Rdp)
            .domain_user(&e.get("Param2"), &e.get("Param1"))
            .source(&e.get("Param3"))
            .host(host)
            .observer(host)
            .done(),
        // Password or name wrong, with the address that the Security log leaves out where NLA asks first.
        140 => out
            .event(Act::Posture, Outcome::Failure)
            .at(at)
            .service(Service::Rdp)
            .source(&e.get("IPString"))
            .host(host)
            .observer(host)
            .reason(Reason::BadPassword)
            .done(),
        131 => Parsed::Irrelevant(Kind::Transport),
        4778 => out
            .event(Act::Logon, Outcome::Success)
            .at(at)
            .service(Service::Rdp)
            .domain_user(&e.get("AccountDomain"), &e.get("AccountName"))
            .source(&e.get("ClientAddress"))
            .device(&e.get("ClientName"))
            .host(host)
            .observer(host)
            .logon_type(10)
            .done(),
        4779 => out
            .event(Act::Logoff, Outcome::Success)
            .at(at)
            .service(Service::Rdp)
            .domain_user(&e.get("AccountDomain"), &e.get("AccountName"))
            .source(&e.get("ClientAddress"))
            .host(host)
            .observer(host)
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
