//! Citrix StoreFront: logins that were refused, by its events in the log "Citrix Delivery Services".
//!
//! Read from: StoreFront documentation, "Troubleshoot"; event messages of Citrix Authentication Service and Citrix Store
//! Service. Traps: StoreFront writes nothing of a login that succeeds; behind a gateway its own address is all that it
//! sees, so it names none; one refusal is told by two events.

use crate::decode::find::find;
use crate::decode::kv::after;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "storefront",
    title: "Citrix StoreFront",
    row: Row::Citrix,
    gives: &[Act::Auth, Act::Posture],
    lacks: &[
        Field::SourceIp,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["told_twice"],
    manual: "Citrix StoreFront: Troubleshoot (Citrix Delivery Services event log)",
    enable: "on by default: Windows event log Applications and Services Logs > Citrix Delivery Services of each StoreFront server",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                channel.starts_with(b"Citrix Delivery Services")
                    || provider.starts_with(b"Citrix Authentication Service")
                    || provider.starts_with(b"Citrix Store Service")
                    || provider.starts_with(b"Citrix Receiver for Web")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let text = e.all();
    // `… failed … with reason: Failed. The credentials supplied were; user: anna domain: CORP`.
    if let Some(said) = after(&text, b"credentials supplied were", b"") {
        let named = after(said, b"user:", b"").unwrap_or_default();
        let split = memchr::memmem::rfind(named, b"domain:").unwrap_or(named.len());
        let user = named.get(..split).unwrap_or_default().trim_ascii();
        let domain = named
            .get(split..)
            .and_then(|t| t.strip_prefix(b"domain:"))
            .unwrap_or_default()
            .trim_ascii_start();
        let end = domain
            .iter()
            .position(|b| matches!(b, b'<' | b'"' | b'\n' | b'\r' | b'\t' | b' ' | b'.' | b','))
            .unwrap_or(domain.len());
        let reason = after(&text, b"reason: ", b"").unwrap_or_default();
        let expired = reason.starts_with(b"Expired") || find(reason, b"PasswordExpired").is_some();
        let gateway = find(&text, b"CitrixAG").is_some();
        return out
            .event(Act::Auth, if expired { Outcome::BlockedAfterPassword } else { Outcome::Failure })
            .at(e.time(r))
            .service(Service::Ica)
            .domain_user(domain.get(..end).unwrap_or_default(), user)
            .reason(if expired { Reason::Expired } else { Reason::BadPassword })
            .observer(&e.computer)
            // What came through a gateway the gateway has told.
            .flag_if(gateway, Flags::REPEATS)
            .done();
    }
    if find(&text, b"ogin request has failed").is_some() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if let Some(resource) = after(&text, b"Failed to launch the resource", b"") {
        let name = resource.trim_ascii_start();
        let quote = name.iter().position(|b| matches!(b, b'\'' | b'"')).map_or(0, |n| n + 1);
        let name = name.get(quote..).unwrap_or_default();
        let end = name.iter().position(|b| matches!(b, b'\'' | b'"')).unwrap_or(name.len());
        return out
            .event(Act::Posture, Outcome::Failure)
            .at(e.time(r))
            .service(Service::Ica)
            .group(name.get(..end).unwrap_or_default())
            .observer(&e.computer)
            .done();
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}
