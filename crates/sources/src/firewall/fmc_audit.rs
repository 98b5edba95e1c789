//! Cisco Secure Firewall Management Center (Firepower): who logged in to it and what was done there.
//!
//! Read from: Secure Firewall Management Center Administration Guide, "Audit and Syslog" (stream audit logs to syslog).
//! Traps: every page that is looked at is a record; the tag in brackets is whatever the administrator chose.

use crate::decode::find::find;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "fmc_audit",
    title: "Cisco Secure Firewall Management Center (audit)",
    row: Row::Firewall,
    gives: &[Act::Admin, Act::Config],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["pages_are_no_changes"],
    manual: "Cisco Secure Firewall Management Center Administration Guide: stream audit logs to syslog",
    enable: "System > Configuration > Audit Log > Send Audit Log to Syslog: Enabled",
    general: false,
    marks: &[", Page View", ", Login", ", Logout", " > ", "sfdccsm", "mojo_server"],
    reader: Reader::Code { claim: |r| said(r).is_some(), parse, join: None },
};

/// User, address, subsystem and action.
type Said<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

/// What stands in `… sender: anna@10.0.0.5, Operations > Monitoring, Page View`.
fn said<'a>(r: &Record<'a>) -> Option<Said<'a>> {
    let body = r.body;
    // The name may hold an `@` of its own; the address does not.
    let comma = find(body, b", ")?;
    let head = body.get(..comma)?;
    let at = memchr::memrchr(b'@', head)?;
    let ip = head.get(at + 1..)?;
    Ip::parse(ip).is_some().then_some(())?;
    let user = head.get(..at)?;
    let user = user.get(user.iter().rposition(|b| matches!(b, b' ' | b':')).map_or(0, |n| n + 1)..)?;
    let rest = body.get(comma + 2..)?;
    let split = find(rest, b", ")?;
    let (system, action) = (rest.get(..split)?, rest.get(split + 2..)?.trim_ascii());
    let telling = [&b"Login"[..], b"Logout", b"Page View"].iter().any(|w| action.starts_with(w))
        || find(system, b" > ").is_some();
    (!user.is_empty() && telling).then_some((user, ip, system, action))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((user, ip, system, action)) = said(r) else { return Parsed::NotMine };
    if action.starts_with(b"Login") {
        let failed = find(action, b"ail").is_some() || find(action, b"enied").is_some();
        return out
            .event(Act::Admin, if failed { Outcome::Failure } else { Outcome::Success })
            .at(r.header_time())
            .service(Service::Management)
            .user(user)
            .source(ip)
            .reason(if failed { Reason::BadPassword } else { Reason::None })
            .observer(r.host())
            .flag_if(!failed, Flags::PRIVILEGED)
            .done();
    }
    if action.starts_with(b"Page View") || action.starts_with(b"Logout") || action.starts_with(b"View") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let within = |needle: &[u8]| find(system, needle).is_some();
    let created = [&b"reate"[..], b"Add", b"New"].iter().any(|w| find(action, w).is_some());
    let change = if within(b"Users") && created {
        Change::AdminCreated
    } else if within(b"Audit") || within(b"Syslog") {
        Change::LoggingStopped
    } else if within(b"Access Control") || within(b"VPN") || within(b"Polic") {
        Change::PolicyChanged
    } else if find(action, b"xport").is_some() || find(action, b"ackup").is_some() {
        Change::ConfigExported
    } else {
        Change::ConfigChanged
    };
    out.event(Act::Config, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .user(user)
        .source(ip)
        .change(change)
        .target(system)
        .detail(action)
        .observer(r.host())
        .flag(Flags::PRIVILEGED)
        .done()
}
