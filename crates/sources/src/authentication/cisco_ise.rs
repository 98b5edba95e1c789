//! Cisco ISE and ACS 5: RADIUS for VPN, wired and wireless, TACACS+ logins and commands on network devices, administration.
//!
//! Read from: Cisco ISE Syslogs; Cisco Secure ACS 5 log messages. Traps: a supplicant that stops answering is no refused
//! login; one message comes in numbered segments; UserName, User-Name and Calling-Station-ID
//! differ in meaning between VPN (an address) and switches (a hardware address); MAB shows as Call Check or Host Lookup;
//! commas in values are written `\,`; VLAN stands inside `Response={…}`.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::{Emit, content_key};
use crate::record::Record;
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "cisco_ise",
    title: "Cisco ISE / ACS",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac, Act::Admin, Act::Config, Act::Account, Act::Exec],
    lacks: &[Field::Mfa, Field::SessionEnd, Field::Bytes],
    traps: &["segments", "mab", "vpn_calling_station", "unanswered"],
    manual: "Cisco Identity Services Engine Syslogs",
    enable: "Administration > Logging: remote targets for Passed Authentications, Failed Attempts, RADIUS Accounting, Administrative Audit; message length 8192",
    general: false,
    marks: &["CISE_", "CSCOacs_", "ConfigVersionId=", "Configuration Changed: Admin="],
    reader: Reader::Code {
        claim: |r| {
            crate::decode::find::find(&r.body[..r.body.len().min(60)], b"CISE_")
                .or_else(|| crate::decode::find::find(&r.body[..r.body.len().min(60)], b"CSCOacs_"))
                .is_some()
                || r.body.first().is_some_and(u8::is_ascii_digit)
                    && find(&r.body[..r.body.len().min(250)], b"ConfigVersionId=").is_some()
                || find(&r.body[..r.body.len().min(60)], b"Configuration Changed: Admin=").is_some()
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
    if let Some(admin) = after(r.body, b"Configuration Changed: Admin=", b";") {
        // An alarm; the audit says the same with more, where it is sent.
        return out
            .event(Act::Config, Outcome::Success)
            .at(r.header_time())
            .service(Service::Management)
            .user(admin)
            .observer(r.host())
            .target(after(r.body, b"Object Name=", b";").unwrap_or_default())
            .detail(after(r.body, b"Object Type=", b";").unwrap_or_default())
            .change(Change::ConfigChanged)
            .done();
    }
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
        return administration(r, code, text, at, out);
    }
    if find(category, b"TACACS").is_some()
        || find(text, b"Device-Administration:").is_some()
        || find(text, b"Protocol=Tacacs").is_some()
    {
        return tacacs(code, text, user, device, at, out);
    }
    // Requests that were dropped, and supplicants that went silent or began anew.
    if matches!(code, 5405 | 5411 | 5413 | 5417 | 5440 | 5441) {
        return Parsed::Irrelevant(Kind::Transport);
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
    if !matches!(code, 5200 | 5231 | 5236) && !failed {
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
    let reason = if failed { why(number(said)) } else { Reason::None };
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

type At = Option<(portreeve_model::EventTime, Certainty)>;

/// Logins to the console and the command line of ISE itself, and what was changed there.
fn administration(r: &Record<'_>, code: u64, text: &[u8], at: At, out: &mut Emit<'_>) -> Parsed {
    let (object, name) = (field(text, b"ObjectType"), field(text, b"ObjectName"));
    let has = |needle: &[u8]| find(text, needle).is_some();
    let command_line = field(text, b"AdminInterface") == b"CLI" || has(b"CLI user");
    let (act, outcome, change) = match code {
        51001 => (Act::Admin, Outcome::Success, Change::None),
        51000 | 51020 | 51021 | 51022 => (Act::Admin, Outcome::Failure, Change::None),
        60000..=60999 if command_line && has(b"uccessfully logged in") => {
            (Act::Admin, Outcome::Success, Change::None)
        }
        60000..=60999 if command_line && (has(b"failed to log") || has(b"ogin failed")) => {
            (Act::Admin, Outcome::Failure, Change::None)
        }
        52000 if find(object, b"Admin").is_some() && find(object, b"User").is_some() => {
            (Act::Account, Outcome::Success, Change::AdminCreated)
        }
        52000 if find(object, b"User").is_some() => (Act::Account, Outcome::Success, Change::AccountCreated),
        52002 if find(object, b"User").is_some() => (Act::Account, Outcome::Success, Change::AccountDeleted),
        52000..=52002
            if find(object, b"olicy").is_some() || find(object, b"AuthorizationProfile").is_some() =>
        {
            (Act::Config, Outcome::Success, Change::PolicyChanged)
        }
        52000..=52002 => (Act::Config, Outcome::Success, Change::ConfigChanged),
        _ => (Act::Posture, Outcome::Unknown, Change::None),
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::Management)
        .user(field(text, b"AdminName"))
        .source(field(text, b"AdminIPAddress"))
        .observer(r.host())
        .target(name)
        .detail(object)
        .change(change)
        .flag_if(act == Act::Admin, Flags::PRIVILEGED)
        .done()
}

/// TACACS+: who logged in to which device, and which commands were written there.
fn tacacs(code: u64, text: &[u8], user: &[u8], device: &[u8], at: At, out: &mut Emit<'_>) -> Parsed {
    let remote = field(text, b"Remote-Address");
    let device = if device.is_empty() { field(text, b"Device IP Address") } else { device };
    let command = between(text, b"CmdSet=[", b"]").map(<[u8]>::trim_ascii).unwrap_or_default();
    if matches!(code, 3300..=3399) || field(text, b"Type") == b"Accounting" {
        if command.is_empty() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return out
            .event(Act::Exec, Outcome::Success)
            .at(at)
            .service(Service::Management)
            .user(user)
            .source(remote)
            .host(device)
            .observer(device)
            .detail(&spoken(command))
            .done();
    }
    let (act, outcome) = match code {
        5201 => (Act::Admin, Outcome::Success),
        5400 | 5401 => (Act::Admin, Outcome::Failure),
        5402 | 5403 => (Act::Exec, Outcome::Failure),
        // An allowed command is written again by accounting; an opened shell by its login.
        _ => return Parsed::Irrelevant(Kind::Repeats),
    };
    let failed = outcome == Outcome::Failure;
    let said = number(field(text, b"FailureReason"));
    let reason = match (failed, act) {
        (false, _) => Reason::None,
        (_, Act::Exec) => Reason::NotAllowed,
        _ => why(said),
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::Management)
        .user(user)
        .source(remote)
        .host(if act == Act::Exec { device } else { b"" })
        .observer(device)
        .detail(&spoken(command))
        .reason(reason)
        .done()
}

/// ` CmdAV=configure CmdArgAV=terminal CmdArgAV=<cr> `: the words alone.
fn spoken(command: &[u8]) -> Vec<u8> {
    let mut words = Vec::with_capacity(command.len());
    for word in command.split(|b| *b == b' ') {
        let word = word.strip_prefix(b"CmdAV=").or_else(|| word.strip_prefix(b"CmdArgAV=")).unwrap_or(word);
        if word.is_empty() || word == b"<cr>" {
            continue;
        }
        if !words.is_empty() {
            words.push(b' ');
        }
        words.extend_from_slice(word);
    }
    words
}

fn why(said: u64) -> Reason {
    match said {
        22056 => Reason::NoUser,
        24408 | 22040 | 24344 => Reason::BadPassword,
        24415 | 24409 => Reason::Locked,
        24407 | 24406 => Reason::Expired,
        22057 | 22058 | 22061 | 24404 => Reason::Disabled,
        12500..=12599 | 12800..=12899 | 22044 | 22045 => Reason::Certificate,
        15039 | 13036 | 13025 => Reason::NotAllowed,
        _ => Reason::Other,
    }
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
