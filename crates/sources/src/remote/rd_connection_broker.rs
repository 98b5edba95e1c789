//! Remote Desktop Connection Broker: to which host of a farm a user is sent, on the broker and on the redirector.
//!
//! Read from: Microsoft "RD Connection Broker Communication", "Resource Management" events. Traps: the host's own log
//! says whether the user logged on there; a broker that cannot be reached is no refused user; parameters have numbers
//! and no names.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "rd_connection_broker",
    title: "Windows RD Connection Broker",
    row: Row::Remote,
    gives: &[Act::Flow],
    lacks: &[
        Field::SourceIp,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["broker_unreachable"],
    manual: "Microsoft: RD Connection Broker events (TerminalServices-SessionBroker, -SessionBroker-Client)",
    enable: "on by default: Microsoft-Windows-TerminalServices-SessionBroker/Operational and -SessionBroker-Client/Operational",
    general: false,
    marks: &["TerminalServices-SessionBroker"],
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                channel.starts_with(b"Microsoft-Windows-TerminalServices-SessionBroker")
                    || provider.starts_with(b"Microsoft-Windows-TerminalServices-SessionBroker")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    // Which parameter is the user, the host, and its address; 0 for none.
    let (outcome, names): (Outcome, [&str; 3]) = match e.id {
        801 => (Outcome::Success, ["param1", "param2", "param3"]),
        802 => (Outcome::Failure, ["param1", "", ""]),
        784 => (Outcome::Failure, ["param1", "param2", ""]),
        1306 => (Outcome::Failure, ["param1", "", ""]),
        1307 => (Outcome::Success, ["param1", "param2", "param3"]),
        787 | 788 | 1304 => return Parsed::Irrelevant(Kind::Repeats),
        800 | 1301 | 1302 => return Parsed::Irrelevant(Kind::Pending),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let get = |name: &str| if name.is_empty() { b"".into() } else { e.get(name) };
    let (user, host, address) = (get(names[0]), get(names[1]), get(names[2]));
    out.event(Act::Flow, outcome)
        .at(e.time(r))
        .service(Service::Rdp)
        .user(&user)
        .host(&host)
        .destination(&address)
        .destination_port(if outcome == Outcome::Success { 3_389 } else { 0 })
        .observer(&e.computer)
        .reason(if outcome == Outcome::Failure { Reason::Other } else { Reason::None })
        .done()
}
