//! Aruba ClearPass Policy Manager: session, Insight, audit and system messages by syslog (standard, CEF, LEEF).
//!
//! Read from: ClearPass Policy Manager User Guide, "Syslog export filters". Traps: which columns are sent is chosen in the
//! filter, so that one login has different names for one thing; commas stand in values as well as between them; for VPN
//! the calling station is an address, for switches and access points a hardware address; one message may come in pieces.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{cef, cef_pairs, leef, leef_pairs, number, word};
use crate::emit::{Emit, content_key};
use crate::record::{Record, Shape};
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Mac, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "clearpass",
    title: "Aruba ClearPass Policy Manager",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac, Act::Admin, Act::Config, Act::Account],
    lacks: &[Field::Mfa, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["commas_in_values", "vpn_calling_station", "pieces"],
    manual: "ClearPass Policy Manager User Guide: Syslog export filters",
    enable: "Administration > External Servers > Syslog Export Filters: Session Logs (logged-in users, failed authentications), Audit Records, System Events",
    general: false,
    marks: &[
        " 0 Timestamp=",
        "CPPM_",
        "Common.Username=",
        "Common.NAS-IP-Address=",
        "|ClearPass|",
        "Auth.Username=",
        "TACACS.Username=",
    ],
    reader: Reader::Code { claim, parse, join: Some(join) },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Cef | Shape::Leef => find(&r.body[..r.body.len().min(120)], b"|ClearPass|").is_some(),
        Shape::Text => {
            find(&r.body[..r.body.len().min(160)], b"CPPM_").is_some()
                || find(r.body, b"Common.Username=").is_some()
                || find(r.body, b"Common.NAS-IP-Address=").is_some()
                || find(r.body, b"Auth.Username=").is_some()
                || find(r.body, b"TACACS.Username=").is_some()
                || find(&r.body[..r.body.len().min(160)], b" 0 Timestamp=").is_some()
                    && find(r.body, b",Category=").is_some()
                    && find(r.body, b",Action=").is_some()
        }
        _ => false,
    }
}

/// `2026-10-06 07:12:45,123 10.1.1.5 CPPM_Session_Logs 1234 2 0 Common.…`: number, pieces, which piece, text.
fn head(body: &[u8]) -> Option<(&[u8], u32, u32, &[u8])> {
    let from = find(body, b"CPPM_")?;
    let (_, rest) = word(&body[from..]);
    let (id, rest) = word(rest);
    let (total, rest) = word(rest);
    let (part, rest) = word(rest);
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    (digits(id) && digits(total) && digits(part))
        .then(|| Some((id, u32::try_from(number(total)).ok()?, u32::try_from(number(part)).ok()?, rest)))
        .flatten()
}

fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (n, (_, part)) in parts.iter().enumerate() {
        match head(part) {
            Some((.., text)) if n > 0 => out.extend_from_slice(text),
            _ => out.extend_from_slice(part),
        }
    }
}

/// Pairs whose values may hold commas: a pair begins where a comma is followed by a name with `=` behind it.
fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let eq = memchr::memchr(b'=', rest)?;
        let key = rest.get(..eq)?;
        let key = key.rsplit(|b| matches!(b, b' ' | b',')).next().unwrap_or(key);
        let value = rest.get(eq + 1..)?;
        let mut from = 0;
        let end = loop {
            let Some(comma) = value.get(from..).and_then(|v| memchr::memchr(b',', v)).map(|n| n + from)
            else {
                break value.len();
            };
            let next = value.get(comma + 1..).unwrap_or_default();
            let name = next
                .iter()
                .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':')));
            match name {
                Some(n) if n > 0 && next.get(n) == Some(&b'=') => break comma,
                _ => from = comma + 1,
            }
        };
        let found = value.get(..end)?;
        rest = value.get(end..).unwrap_or_default();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        Some((key, found.trim_ascii()))
    })
}

#[derive(Default)]
struct Said<'a> {
    user: &'a [u8],
    status: &'a [u8],
    error: &'a [u8],
    alerts: &'a [u8],
    station: &'a [u8],
    mac: &'a [u8],
    framed: &'a [u8],
    nas: &'a [u8],
    nas_name: &'a [u8],
    port: &'a [u8],
    port_type: &'a [u8],
    service: &'a [u8],
    method: &'a [u8],
    stamp: &'a [u8],
    session: &'a [u8],
    category: &'a [u8],
    action: &'a [u8],
    component: &'a [u8],
    description: &'a [u8],
    entity: &'a [u8],
    vlan: &'a [u8],
    remote: &'a [u8],
    tacacs: bool,
    accounting: bool,
}

fn take<'a>(said: &mut Said<'a>, key: &[u8], value: &'a [u8]) {
    if value.is_empty() {
        return;
    }
    said.tacacs |= key.starts_with(b"TACACS.");
    said.accounting |= key.starts_with(b"RADIUS.Acct-Session-Time");
    match key {
        b"Common.Username"
        | b"Auth.Username"
        | b"RADIUS.Auth-Username"
        | b"RADIUS.Acct-Username"
        | b"TACACS.Username"
        | b"duser"
        | b"usrName"
        | b"User"
        | b"Radius.Username"
        | b"WEBAUTH.Username"
            if said.user.is_empty() =>
        {
            said.user = value;
        }
        b"Common.Login-Status"
        | b"Auth.Login-Status"
        | b"outcome"
        | b"TACACS.Request-Status"
        | b"Common.Request-Status" => {
            said.status = value;
        }
        b"Common.Error-Code" | b"Auth.Error-Code" => said.error = value,
        b"Common.Alerts" | b"CppmAlert.Alerts" | b"Common.Alerts-Present"
            if key != b"Common.Alerts-Present" =>
        {
            said.alerts = value;
        }
        b"WEBAUTH.Host-IP-Address"
        | b"RADIUS.Acct-Calling-Station-Id"
        | b"RADIUS.Auth-Calling-Station-Id"
        | b"Radius:IETF:Calling-Station-Id" => {
            said.station = value;
        }
        b"Common.Host-MAC-Address"
        | b"Auth.Host-MAC-Address"
        | b"dmac"
        | b"smac"
        | b"Endpoint.MAC-Address"
            if said.mac.is_empty() =>
        {
            said.mac = value;
        }
        b"RADIUS.Acct-Framed-IP-Address" | b"Common.Host-IP-Address" | b"src" if said.framed.is_empty() => {
            said.framed = value;
        }
        b"Common.NAS-IP-Address"
        | b"Auth.NAS-IP-Address"
        | b"RADIUS.Acct-NAS-IP-Address"
        | b"TACACS.NAS-IP-Address"
        | b"dvc"
        | b"Radius.NAS-IP-Address" => said.nas = value,
        b"RADIUS.Acct-NAS-Name" | b"Common.NAS-Name" | b"Device.Name" => said.nas_name = value,
        b"RADIUS.Acct-NAS-Port" | b"RADIUS.Acct-NAS-Port-Id" | b"Common.NAS-Port" | b"Auth.NAS-Port" => {
            said.port = value
        }
        b"RADIUS.Acct-NAS-Port-Type" | b"Common.NAS-Port-Type" | b"Auth.NAS-Port-Type" => {
            said.port_type = value
        }
        b"Common.Service" | b"Auth.Service" | b"cs1" => said.service = value,
        b"RADIUS.Auth-Method" | b"Auth.Auth-Method" | b"Common.Auth-Type" => said.method = value,
        b"Common.Request-Timestamp" | b"Timestamp" | b"rt" | b"devTime" | b"Auth.Request-Timestamp" => {
            said.stamp = value
        }
        b"RADIUS.Acct-Session-Id" | b"Common.Session-Id" => said.session = value,
        b"Category" | b"cat" | b"category" => said.category = value,
        b"Action" | b"act" => said.action = value,
        b"Component" | b"Source" => said.component = value,
        b"Description" | b"msg" | b"description" => said.description = value,
        b"EntityName" | b"Name" | b"fname" => said.entity = value,
        b"RADIUS.Tunnel-Private-Group-Id" | b"Common.VLAN" | b"Auth.VLAN" => said.vlan = value,
        b"TACACS.Remote-Address" => said.remote = value,
        _ => {}
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut said = Said::default();
    match r.shape {
        Shape::Cef => {
            let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Malformed("CEF")) };
            said.category = head[5];
            for (key, value) in cef_pairs(extension) {
                if key != b"cat" {
                    take(&mut said, key, value);
                }
            }
        }
        Shape::Leef => {
            let Some((_, separator, attributes)) = leef(r.body) else {
                return Parsed::Broken(Why::Malformed("LEEF"));
            };
            for (key, value) in leef_pairs(attributes, separator) {
                take(&mut said, key, value);
            }
        }
        _ => {
            let text = match head(r.body) {
                Some((id, total, part, _)) if total > 1 && !r.joined => {
                    let key = content_key(id) ^ content_key(r.host()).rotate_left(23);
                    return Parsed::Fragment(Fragment { key, part, parts: total, last: false });
                }
                Some((.., text)) => text,
                None => r.body,
            };
            for (key, value) in pairs(text) {
                take(&mut said, key, value);
            }
        }
    }
    let at = when(r, said.stamp);
    if !said.description.is_empty() && find(said.description, b"Client IP Address").is_some() {
        return console(r, &said, at, out);
    }
    if matches!(
        said.action,
        b"ADD" | b"MODIFY" | b"REMOVE" | b"Add" | b"Modify" | b"Remove" | b"CREATE" | b"DELETE"
    ) {
        return change(r, &said, at, out);
    }
    if said.user.is_empty() && said.mac.is_empty() && said.station.is_empty() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    login(&said, at, out)
}

/// The request's own time with its short zone (`+02`), else that of the message, else the head's.
fn when(r: &Record<'_>, stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    for text in [stamp, r.body] {
        match clock::iso(text) {
            Some((Stamp::Absolute(t), _)) => return Some((t, Certainty::Exact)),
            Some((Stamp::Local(c), _)) => return r.clock.resolve(c),
            None => {}
        }
    }
    if let Some((Stamp::Local(c), _)) = clock::bsd(stamp) {
        return r.clock.resolve(c);
    }
    r.header_time()
}

fn login(said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let status = said.status;
    let is = |word: &[u8]| status.len() >= word.len() && status[..word.len()].eq_ignore_ascii_case(word);
    let outcome = if is(b"ACCEPT") || is(b"AUTHEN_STATUS_PASS") || is(b"Success") || is(b"[Allow") {
        Outcome::Success
    } else if is(b"REJECT") || is(b"TIMEOUT") || is(b"AUTHEN_STATUS_FAIL") || is(b"Fail") || is(b"[Deny") {
        Outcome::Failure
    } else if !said.error.is_empty() {
        if said.error == b"0" { Outcome::Success } else { Outcome::Failure }
    } else if !said.alerts.is_empty() {
        Outcome::Failure
    } else if said.accounting {
        return Parsed::Irrelevant(Kind::Repeats);
    } else {
        Outcome::Unknown
    };
    let failed = outcome == Outcome::Failure;
    let reason = if failed { why(said.error, said.alerts) } else { Reason::None };
    let observer = if said.nas_name.is_empty() { said.nas } else { said.nas_name };
    if said.tacacs {
        return out
            .event(Act::Admin, outcome)
            .at(at)
            .service(Service::Management)
            .user(said.user)
            .source(if said.remote.is_empty() { said.station } else { said.remote })
            .observer(observer)
            .reason(reason)
            .done();
    }
    if outcome == Outcome::Unknown {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if Ip::parse(said.station).is_some() {
        return out
            .event(Act::Auth, outcome)
            .at(at)
            .service(Service::Radius)
            .user(said.user)
            .source(said.station)
            .observer(observer)
            .group(said.service)
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .flag_if(failed, Flags::REPEATS)
            .done();
    }
    let mac = if said.mac.is_empty() { said.station } else { said.mac };
    if !Mac::parse(mac).is_some() {
        return out
            .event(Act::Auth, outcome)
            .at(at)
            .service(Service::Radius)
            .user(said.user)
            .observer(observer)
            .group(said.service)
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .done();
    }
    let mab = find(said.method, b"MAC").is_some() || Mac::parse(said.user) == Mac::parse(mac);
    let wireless = find(said.port_type, b"ireless").is_some() || find(said.service, b"ireless").is_some();
    out.event(Act::Nac, outcome)
        .at(at)
        .service(if wireless { Service::Wireless } else { Service::Wired })
        .user(if mab { b"" } else { said.user })
        .mac(mac)
        .tunnel(said.framed)
        .vlan(u16::try_from(number(said.vlan)).unwrap_or(0))
        .observer(observer)
        .group(said.port)
        .detail(said.service)
        .sid(said.session)
        .method(if mab { Method::Mab } else { Method::Dot1x })
        .reason(reason)
        .done()
}

fn why(code: &[u8], alerts: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(alerts, needle).is_some();
    match code {
        b"201" => Reason::NoUser,
        b"216" => Reason::BadPassword,
        _ if has(b"not found") => Reason::NoUser,
        _ if has(b"locked") => Reason::Locked,
        _ if has(b"disabled") => Reason::Disabled,
        _ if has(b"expired") => Reason::Expired,
        _ if has(b"ertificate") => Reason::Certificate,
        _ if has(b"assword") || has(b"logon failure") || has(b"authentication failed") => Reason::BadPassword,
        _ => Reason::Other,
    }
}

/// `Description=User: admin\nRole: Super Administrator\nClient IP Address: 10.1.1.9`, line ends as the relay writes them.
fn console(
    r: &Record<'_>,
    said: &Said<'_>,
    at: Option<(EventTime, Certainty)>,
    out: &mut Emit<'_>,
) -> Parsed {
    let text = said.description;
    let field = |name: &[u8]| {
        let from = find(text, name)? + name.len();
        let rest = text.get(from..)?.trim_ascii_start();
        let end =
            rest.iter().position(|b| matches!(b, b'\n' | b'\\' | b'#' | b',' | b' ')).unwrap_or(rest.len());
        rest.get(..end)
    };
    let category = said.category;
    let outcome = match () {
        () if find(category, b"Logged in").is_some() => Outcome::Success,
        () if find(category, b"ailed").is_some() || find(text, b"ailed").is_some() => Outcome::Failure,
        () => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let user = field(b"User:").or_else(|| field(b"Username:")).unwrap_or_default();
    out.event(Act::Admin, outcome)
        .at(at)
        .service(Service::Management)
        .user(user)
        .source(field(b"Client IP Address:").unwrap_or_default())
        .observer(r.host())
        .reason(if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .flag(Flags::PRIVILEGED)
        .done()
}

fn change(r: &Record<'_>, said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let has = |needle: &[u8]| find(said.category, needle).is_some();
    let added = matches!(said.action, b"ADD" | b"Add" | b"CREATE");
    let removed = matches!(said.action, b"REMOVE" | b"Remove" | b"DELETE");
    let (act, change) = match (added, removed) {
        (true, _) if has(b"Admin User") => (Act::Account, Change::AdminCreated),
        (true, _) if has(b"Local User") || has(b"Guest User") => (Act::Account, Change::AccountCreated),
        (_, true) if has(b" User") => (Act::Account, Change::AccountDeleted),
        _ if has(b"Enforcement") || has(b"Service") || has(b"Role Mapping") || has(b"Authentication") => {
            (Act::Config, Change::PolicyChanged)
        }
        _ => (Act::Config, Change::ConfigChanged),
    };
    out.event(act, Outcome::Success)
        .at(at)
        .service(Service::Management)
        .user(said.user)
        .target(said.entity)
        .observer(r.host())
        .detail(said.category)
        .change(change)
        .done()
}
