//! Remote Desktop Gateway.
//!
//! Read from: Microsoft "RD Gateway events". Traps: 302 and 303 come once for HTTP and once for UDP; an ErrorCode other
//! than 0 in 302 is a failed connection; 1226 is an ordinary end.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "rd_gateway",
    title: "Windows RD Gateway",
    row: Row::Remote,
    gives: &[Act::Auth, Act::SessionStart, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionId],
    traps: &["two_legs"],
    manual: "Microsoft: Remote Desktop Gateway operational events",
    enable: "on by default: Microsoft-Windows-TerminalServices-Gateway/Operational",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                channel.starts_with(b"Microsoft-Windows-TerminalServices-Gateway")
                    || provider.starts_with(b"Microsoft-Windows-TerminalServices-Gateway")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let (at, host) = (e.time(r), &*e.computer);
    let (user, ip) = (e.get("Username"), e.get("IpAddress"));
    match e.id {
        200 | 300 => Parsed::Irrelevant(Kind::Pending),
        201 | 301 => out
            .event(Act::Auth, Outcome::Failure)
            .at(at)
            .service(Service::RdGateway)
            .user(&user)
            .source(&ip)
            .observer(host)
            .host(&e.get("Resource"))
            .reason(Reason::Policy)
            .done(),
        302 => {
            let failed = e.number("ErrorCode") != 0;
            if &*e.get("ConnectionProtocol") == b"UDP" {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            let act = if failed { Act::Auth } else { Act::SessionStart };
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            out.event(act, outcome)
                .at(at)
                .service(Service::RdGateway)
                .user(&user)
                .source(&ip)
                .observer(host)
                .host(&e.get("Resource"))
                .done()
        }
        303 => {
            if &*e.get("ConnectionProtocol") == b"UDP" {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            let seconds = u32::try_from(e.number("SessionDuration")).unwrap_or(0);
            out.event(Act::SessionEnd, Outcome::Success)
                .at(at)
                .service(Service::RdGateway)
                .user(&user)
                .source(&ip)
                .observer(host)
                .duration_s(seconds)
                .bytes(e.number("BytesReceived"), e.number("BytesTransfered"))
                .reason(Reason::Logout)
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
