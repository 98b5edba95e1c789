//! Infoblox NIOS: leases, administrators; DNS queries, its own and BIND's, are of no concern.
//!
//! Read from: Infoblox NIOS Administrator Guide "Using a Syslog Server", "Using the Audit Log", "Viewing DHCP Lease
//! History"; Infoblox Data Connector CEF. Traps: the audit log escapes blanks in names as `\040`; the ACK of a lease goes
//! on past the interface with relay and duration; a lease-history line (`r-l-e`) repeats the ACK.

use super::isc_dhcp::{STEPS, ack};
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, cef, cef_pairs, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;

pub static SOURCE: Source = Source {
    name: "infoblox",
    title: "Infoblox NIOS",
    row: Row::Vlan,
    gives: &[Act::Lease, Act::Admin, Act::Config, Act::Account],
    lacks: &[Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["escaped_names", "queries"],
    manual: "Infoblox NIOS Administrator Guide: Monitoring the Appliance (syslog, audit log)",
    enable: "Grid > Monitoring: log to external syslog servers, copy audit log messages to syslog; DHCP logging on the members",
    general: false,
    marks: &[
        "TransID",
        "-duration ",
        "r-l-e:",
        "Z [",
        "|Infoblox|",
        "named[",
        " named ",
        "client ",
        " resolving '",
    ],
    reader: Reader::Code {
        claim: |r| is_dhcp(r) || audit(r.raw).is_some() || is_query(r) || is_cef(r),
        parse,
        join: None,
    },
};

/// A line of dhcpd with what only Infoblox's adds.
pub(crate) fn is_dhcp(r: &Record<'_>) -> bool {
    if r.body.starts_with(b"r-l-e:") {
        return true;
    }
    let step = r.body.starts_with(b"DHCPACK ") || STEPS.iter().any(|s| r.body.starts_with(s));
    step && [&b" TransID "[..], b" lease-duration ", b" offered-duration "].iter().any(|m| r.contains(m))
}

fn is_cef(r: &Record<'_>) -> bool {
    r.shape == Shape::Cef && r.body.starts_with(b"CEF:0|Infoblox|")
}

/// What named says of a query: `client @0x7f… 10.0.0.5#55575 (name): query: name IN A + (10.0.0.1)`.
fn is_query(r: &Record<'_>) -> bool {
    if r.program_is(b"named") {
        return true;
    }
    let text = r.body.strip_prefix(b"queries: ").or_else(|| r.body.strip_prefix(b"info: ")).unwrap_or(r.body);
    // `28-Nov-2026 15:26:27.498 client …`.
    let text = match text.get(11) {
        Some(b' ') if text.get(2) == Some(&b'-') => word(word(text).1).1,
        _ => text,
    };
    (text.starts_with(b"client ") && find(text, b"#").is_some() && find(text, b"query: ").is_some())
        || (find(text, b" resolving '").is_some() && find(text, b"/IN'").is_some())
}

/// `2026-03-03 09:00:00.123Z [anna]: Login_Allowed - - to=AdminConnector …`: stamp, administrator, what was done.
fn audit(raw: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let at = find(raw, b"Z [")?;
    let stamp = raw.get(at.checked_sub(23)?..at + 1)?;
    if stamp.get(10) != Some(&b' ') || !stamp.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let rest = &raw[at + 3..];
    let close = find(rest, b"]: ")?;
    Some((stamp, &rest[..close], &rest[close + 3..]))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if let Some((stamp, user, what)) = audit(r.raw) {
        return administrator(r, stamp, user, what, out);
    }
    if is_cef(r) {
        return data_connector(r, out);
    }
    if let Some(rest) = r.body.strip_prefix(b"DHCPACK on ") {
        return ack(r, rest, out);
    }
    if r.body.starts_with(b"r-l-e:") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if r.body.starts_with(b"DHCP") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let known = r.program_is(b"named") || is_query(r);
    Parsed::Irrelevant(if known { Kind::RoutineUse } else { Kind::OtherMessage })
}

/// `USER\040admin` to `USER admin`.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if find(text, b"\\040").is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, b"\\040") {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        rest = &rest[at + 4..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

fn administrator(r: &Record<'_>, stamp: &[u8], user: &[u8], what: &[u8], out: &mut Emit<'_>) -> Parsed {
    let time: Option<(EventTime, Certainty)> = match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    // A bare line of the audit file looks as if it had a header.
    let observer = if r.raw.starts_with(stamp) { r.outer_host } else { r.host() };
    let user = unescape(user);
    let (action, rest) = word(what);
    let from = after(rest, b"ip=", b" ").unwrap_or_default();
    let login = |out: &mut Emit<'_>, outcome, reason| {
        out.event(Act::Admin, outcome)
            .at(time)
            .service(Service::Management)
            .user(&user)
            .source(from)
            .group(after(rest, b" group=", b" ").unwrap_or_default())
            .client(after(rest, b"apparently_via=", b" ").unwrap_or_default())
            .reason(reason)
            .observer(observer)
            .flag_if(
                find(rest, b"auth=LOCAL").is_some() || find(rest, b"auth=Local").is_some(),
                Flags::LOCAL_ACCOUNT,
            )
            .done()
    };
    match action {
        b"Login_Allowed" | b"First_Login" => login(out, Outcome::Success, Reason::None),
        b"Login_Denied" => login(out, Outcome::Failure, Reason::BadPassword),
        b"Password_Expired" => login(out, Outcome::BlockedAfterPassword, Reason::Expired),
        b"Logout" => Parsed::Irrelevant(Kind::Housekeeping),
        b"Password_Reset" => out
            .event(Act::Account, Outcome::Success)
            .at(time)
            .service(Service::Management)
            .user(&user)
            .target(&user)
            .change(Change::PasswordReset)
            .observer(observer)
            .done(),
        b"Created" | b"Modified" | b"Deleted" | b"CREATED" | b"MODIFIED" | b"DELETED" => {
            changed(time, &user, action, rest, observer, out)
        }
        b"" => Parsed::Broken(Why::Missing("action")),
        b"Called" | b"CALLED" => Parsed::Irrelevant(Kind::RoutineUse),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// `Created AdminMember bruno: Set email=…`, `Modified HostRecord www.example DnsView=default: Changed …`.
fn changed(
    time: Option<(EventTime, Certainty)>,
    user: &[u8],
    action: &[u8],
    rest: &[u8],
    observer: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let (kind, rest) = word(rest);
    let object = word(rest).0;
    let object = unescape(object.strip_suffix(b":").unwrap_or(object));
    let verb = action.first().map(u8::to_ascii_uppercase);
    if kind == b"AdminMember" || kind == b"AdminUser" {
        let change = match verb {
            Some(b'C') => Change::AdminCreated,
            Some(b'D') => Change::AccountDeleted,
            _ if find(rest, b"password").is_some() => Change::PasswordReset,
            _ => Change::RoleGranted,
        };
        return out
            .event(Act::Account, Outcome::Success)
            .at(time)
            .service(Service::Management)
            .user(user)
            .target(&object)
            .change(change)
            .observer(observer)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    // Names and leases change all day; the grid's own settings do not.
    if !(kind.starts_with(b"Grid") || kind.starts_with(b"Admin") || kind.starts_with(b"Member")) {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    out.event(Act::Config, Outcome::Success)
        .at(time)
        .service(Service::Management)
        .user(user)
        .target(&object)
        .detail(kind)
        .change(Change::ConfigChanged)
        .observer(observer)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `CEF:0|Infoblox|Data Connector|2.1.3|DHCP-LEASE-CREATE|DHCP Lease Create|1|src=10.0.0.5 smac=… shost=…`.
fn data_connector(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Malformed("CEF")) };
    if !matches!(head[4], b"DHCP-LEASE-CREATE" | b"DHCP-LEASE-UPDATE") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let (mut ip, mut mac, mut device, mut stamp): (&[u8], &[u8], &[u8], &[u8]) = (b"", b"", b"", b"");
    for (key, value) in cef_pairs(extension) {
        match key {
            b"src" => ip = value,
            b"smac" => mac = value,
            b"shost" => device = value,
            b"rt" | b"start" => stamp = value,
            _ => {}
        }
    }
    if ip.is_empty() {
        return Parsed::Broken(Why::Missing("address"));
    }
    let time = clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time());
    out.event(Act::Lease, Outcome::Success)
        .at(time)
        .service(Service::Dhcp)
        .tunnel(ip)
        .mac(mac)
        .device(device)
        .observer(r.host())
        .done()
}
