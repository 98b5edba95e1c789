//! Cisco ISE: RADIUS authentications and accounting for VPN, wired and wireless, administration.
//!
//! Read from: Cisco ISE Syslogs. Traps: one message comes in numbered segments; UserName, User-Name and Calling-Station-ID
//! differ in meaning between VPN (an address) and switches (a hardware address); MAB shows as Call Check or Host Lookup;
//! commas in values are written `\,`; VLAN stands inside `Response={…}`.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::{Emit, content_key};
use crate::record::Record;
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "cisco_ise",
    title: "Cisco ISE / ACS",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac, Act::Admin],
    lacks: &[Field::Mfa],
    traps: &["segments", "mab", "vpn_calling_station"],
    manual: "Cisco Identity Services Engine Syslogs",
    enable: "Administration > Logging: remote targets for Passed Authentications, Failed Attempts, RADIUS Accounting, Administrative Audit; message length 8192",
    general: false,
    marks: &["CISE_", "CSCOacs_", "ConfigVersionId="],
    reader: Reader::Code {
        claim: |r| {
            crate::decode::find::find(&r.body[..r.body.len().min(60)], b"CISE_")
                .or_else(|| crate::decode::find::find(&r.body[..r.body.len().min(60)], b"CSCOacs_"))
                .is_some()
                || r.body.first().is_some_and(u8::is_ascii_digit)
                    && find(&r.body[..r.body.len().min(250)], b"ConfigVersionId=").is_some()
        },
        parse,
        join: Some(join),
    },
};

/// Category, message id, segments in all, this segment, text.
type Head<'a> = (&'a [u8], &'a [u8], u32, u32, &'a [u8]);

fn head(body: &[u8]) -> Option<Head<'_>> {
    // A relay may have cut the category off with the head: then the text of the message names it.
    let (category, rest) = match find(body, b"CISE_").or_else(|| find(body, b"CSCOacs_")) {
        Some(from) => word(&body[from..]),
        None if find(body, b"Administrator-Login").is_some() => {
            (&b"CISE_Administrative_and_Operational_Audit"[..], body)
        }
        None if find(body, b"Radius-Accounting").is_some() => (&b"CISE_RADIUS_Accounting"[..], body),
        None => (&b"CISE_"[..], body),
    };
    let (id, rest) = word(rest);
    let (total, rest) = word(rest);
    let (segment, rest) = word(rest);
    Some((category, id, u32::try_from(number(total)).ok()?, u32::try_from(number(segment)).ok()?, rest))
}

/// The first segment's head with the texts of all.
fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (n, (_, part)) in parts.iter().enumerate() {
        if n == 0 {
            out.extend_from_slice(part);
            continue;
        }
        if let Some((.., text)) = head(part) {
            if !out.ends_with(b" ") && !text.starts_with(b" ") {
                out.push(b' ');
            }
            out.extend_from_slice(text);
        }
    }
}

/// `, Name=value` up to the next unescaped comma.
fn field<'a>(text: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut from = 0;
    while let Some(at) = crate::decode::find::find(&text[from..], name).map(|n| n + from) {
        let end = at + name.len();
        let begins = at < 2 || matches!(text[at - 1], b' ' | b',' | b'{' | b';');
        if !begins || text.get(end) != Some(&b'=') {
            from = end;
            continue;
        }
        let value = &text[end + 1..];
        let mut stop = 0;
        while let Some(n) = memchr::memchr(b',', &value[stop..]).map(|n| n + stop) {
            if n > 0 && value[n - 1] == b'\\' {
                stop = n + 1;
                continue;
            }
            return value[..n].trim_ascii();
        }
        return value.trim_ascii();
    }
    b""
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((category, id, total, segment, text)) = head(r.body) else {
        return Parsed::Broken(Why::Missing("message id"));
    };
    if total > 1 && !r.joined {
        let key =
            content_key(id) ^ content_key(category).rotate_left(9) ^ content_key(r.host()).rotate_left(23);
        return Parsed::Fragment(Fragment { key, part: segment, parts: total, last: false });
    }
    let at = match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    };
    // `2026-10-26 03:02:58.927 +01:00 0071501441 5200 NOTICE …`
    let used = clock::iso(text).map_or(0, |(_, n)| n);
    let (_, rest) = word(&text[used..]);
    let (code, _) = word(rest);
    let code = number(code);
    let user = [&b"OriginalUserName"[..], b"UserName", b"User-Name"]
        .iter()
        .map(|n| field(text, n))
        .find(|f| !f.is_empty())
        .unwrap_or_default();
    let calling = field(text, b"Calling-Station-ID");
    let calling = if calling.is_empty() { field(text, b"Calling-Station-Id") } else { calling };
    let device = field(text, b"NetworkDeviceName");
    if category.ends_with(b"Administrative_and_Operational_Audit") {
        let outcome = match code {
            51001 => Outcome::Success,
            51000 => Outcome::Failure,
            _ => {
                return out
                    .event(Act::Posture, Outcome::Unknown)
                    .at(at)
                    .service(Service::Management)
                    .user(field(text, b"AdminName"))
                    .source(field(text, b"AdminIPAddress"))
                    .observer(r.host())
                    .done();
            }
        };
        return out
            .event(Act::Admin, outcome)
            .at(at)
            .service(Service::Management)
            .user(field(text, b"AdminName"))
            .source(field(text, b"AdminIPAddress"))
            .observer(r.host())
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let vpn = Ip::parse(calling).is_some();
    let failed = matches!(code, 5400..=5499) && code != 5431;
    if matches!(code, 3000..=3002) {
        let ip = field(text, b"Framed-IP-Address");
        if vpn || Ip::parse(ip).is_none() || user.is_empty() || code == 3001 {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return out
            .event(Act::Nac, Outcome::Success)
            .at(at)
            .service(Service::Wired)
            .user(user)
            .mac(calling)
            .tunnel(ip)
            .vlan(vlan(text))
            .observer(device)
            .method(method(text))
            .detail(field(text, b"NAS-Port-Id"))
            .sid(session(text))
            .done();
    }
    if code != 5200 && !failed {
        if user.is_empty() {
            return Parsed::Irrelevant(Kind::OtherMessage);
        }
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Radius)
            .user(user)
            .source(calling)
            .observer(device)
            .done();
    }
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let said = field(text, b"FailureReason");
    let reason = match (failed, number(said)) {
        (false, _) => Reason::None,
        (_, 22056) => Reason::NoUser,
        (_, 24408 | 22040 | 24344) => Reason::BadPassword,
        (_, 24415 | 24409) => Reason::Locked,
        (_, 24407 | 24406) => Reason::Expired,
        _ => Reason::Other,
    };
    if vpn {
        // Speaks for the gateway that asked: its own line tells the same, often without the address.
        return out
            .event(Act::Auth, outcome)
            .at(at)
            .service(Service::Radius)
            .user(user)
            .source(calling)
            .observer(device)
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .flag_if(failed, Flags::REPEATS)
            .done();
    }
    let service = if field(text, b"NAS-Port-Type").starts_with(b"Wireless") {
        Service::Wireless
    } else {
        Service::Wired
    };
    out.event(Act::Nac, outcome)
        .at(at)
        .service(service)
        .user(user)
        .mac(calling)
        .tunnel(field(text, b"Framed-IP-Address"))
        .vlan(vlan(text))
        .observer(device)
        .method(method(text))
        .detail(field(text, b"NAS-Port-Id"))
        .sid(session(text))
        .reason(reason)
        .done()
}

fn method(text: &[u8]) -> Method {
    let mab = field(text, b"Service-Type") == b"Call Check"
        || field(text, b"UseCase") == b"Host Lookup"
        || field(text, b"AuthenticationMethod") == b"Lookup";
    if mab { Method::Mab } else { Method::Dot1x }
}

fn vlan(text: &[u8]) -> u16 {
    let id = after(text, b"Tunnel-Private-Group-ID=", b"").unwrap_or_default();
    let id = if id.starts_with(b"(tag=") { after(id, b") ", b"").unwrap_or_default() } else { id };
    u16::try_from(number(id)).unwrap_or(0)
}

fn session(text: &[u8]) -> &[u8] {
    between(text, b"audit-session-id=", b",").unwrap_or_default()
}
