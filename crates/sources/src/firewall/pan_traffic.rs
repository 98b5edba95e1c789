//! Palo Alto traffic, threat, system, configuration, user mapping and host check records.
//!
//! Read from: PAN-OS "Traffic Log Fields", "Threat Log Fields", "System Log Fields", "Config Log Fields", "User-ID Log
//! Fields", "Authentication Log Fields", "HIP Match Log Fields". Traps: the CSV times are the firewall's local ones; a
//! drop row has no session; a threat of severity informational is none; a user mapping that the VPN client brought is the
//! tunnel address of that user; in a system message the address stands behind a name that the other side chose; before
//! PAN-OS 9.1 GlobalProtect speaks in system messages, and a logout "succeeded" there too.

use super::asa_traffic::worth;
use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::pan::{Columns, kind};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pan_traffic",
    title: "Palo Alto PAN-OS (traffic, threat, system, configuration)",
    row: Row::Firewall,
    gives: &[
        Act::Flow,
        Act::Admin,
        Act::Config,
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Posture,
        Act::Alert,
    ],
    lacks: &[Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["system_login", "name_with_an_address", "system_globalprotect", "threats_and_pages"],
    manual: "PAN-OS Administrator's Guide: syslog field descriptions",
    enable: "log forwarding profiles on the security policies; system and configuration logs to syslog",
    general: false,
    marks: &[
        "GLOBALPROTECT",
        "THREAT",
        "TRAFFIC",
        "SYSTEM",
        "CONFIG",
        "Palo Alto Networks",
        "\"LogType\"",
        "USERID",
        "AUTH",
        "HIPMATCH",
        "DECRYPTION",
    ],
    reader: Reader::Code {
        claim: |r| {
            matches!(
                kind(r),
                Some(
                    b"TRAFFIC"
                        | b"THREAT"
                        | b"SYSTEM"
                        | b"CONFIG"
                        | b"USERID"
                        | b"HIPMATCH"
                        | b"AUTH"
                        | b"AUTHENTICATION"
                        | b"DECRYPTION"
                        | b"AUDIT"
                        | b"CORRELATION"
                )
            )
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let row = Columns::of(r);
    let c = &row.c;
    if row.n < 12 {
        return Parsed::Broken(Why::Missing("columns"));
    }
    let observer = row.observer().unwrap_or_else(|| r.host());
    match c[3] {
        b"TRAFFIC" | b"THREAT" => flow(r, &row, out),
        b"SYSTEM" => system(r, &row, out),
        b"CONFIG" => {
            // 7 host, 9 command, 10 administrator, 11 client, 12 result.
            let failed = find(c[12], b"ail").is_some() || find(c[12], b"nauthorized").is_some();
            out.event(Act::Config, if failed { Outcome::Failure } else { Outcome::Success })
                .at(row.time(r))
                .service(Service::Management)
                .user(&row.plain(c[10]))
                .source(c[7])
                .client(c[11])
                .detail(c[9])
                .target(c[13])
                .change(changed(c[9], c[13]))
                .observer(observer)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        // Who sits behind an address, from wherever the firewall learnt it, and how the firewall's own question for a
        // password or factor on the way to a resource ended (20 event). Neither is an access from outside.
        b"USERID" | b"AUTH" | b"AUTHENTICATION" => {
            let vpn = c[3] == b"USERID" && c[16] == b"vpn-client";
            if vpn && c[4] != b"login" {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            let done = out
                .event(Act::Posture, if c[3] == b"USERID" { Outcome::Success } else { said(c[20]) })
                .at(row.time(r))
                .service(Service::Firewall)
                .source(c[8])
                .user(&row.plain(c[9]))
                .observer(observer)
                .done();
            // What the VPN client brought is the address inside the tunnel.
            if vpn {
                return out
                    .event(Act::IpAssign, Outcome::Success)
                    .at(row.time(r))
                    .service(Service::Vpn)
                    .tunnel(c[8])
                    .user(&row.plain(c[9]))
                    .observer(observer)
                    .done();
            }
            done
        }
        // 7 user, 9 machine, 11 source.
        b"HIPMATCH" => out
            .event(Act::Posture, Outcome::Unknown)
            .at(row.time(r))
            .service(Service::Firewall)
            .user(&row.plain(c[7]))
            .source(c[11])
            .device(c[9])
            .observer(observer)
            .done(),
        b"DECRYPTION" => Parsed::Irrelevant(Kind::Traffic),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn flow(r: &Record<'_>, row: &Columns<'_>, out: &mut Emit<'_>) -> Parsed {
    // 4 subtype, 7 source, 8 destination, 12 user, 24 source port, 25 destination port, 30 action.
    let c = &row.c;
    let (src, dst) = (Ip::parse(c[7]), Ip::parse(c[8]));
    let dport = u16::try_from(number(c[25])).unwrap_or(0);
    let failed = [&b"deny"[..], b"drop", b"reset", b"block", b"random-drop", b"sinkhole"]
        .iter()
        .any(|word| c[30].starts_with(word));
    let severity = match c[34] {
        s if s.eq_ignore_ascii_case(b"critical") => 5,
        s if s.eq_ignore_ascii_case(b"high") => 4,
        s if s.eq_ignore_ascii_case(b"medium") => 3,
        s if s.eq_ignore_ascii_case(b"low") => 2,
        _ => 0,
    };
    let attack = matches!(
        c[4],
        b"vulnerability"
            | b"spyware"
            | b"virus"
            | b"wildfire-virus"
            | b"ml-virus"
            | b"scan"
            | b"flood"
            | b"packet"
    ) || c[4] == b"wildfire" && matches!(c[33], b"malicious" | b"phishing" | b"grayware");
    if c[3] == b"THREAT" && attack && severity > 0 && src.is_some() {
        return out
            .event(Act::Alert, if failed { Outcome::Failure } else { Outcome::Unknown })
            .at(row.time(r))
            .service(Service::Firewall)
            .source_ip(src)
            .destination_ip(dst)
            .destination_port(dport)
            .user(&row.plain(c[12]))
            .detail(c[32])
            .severity(severity)
            .observer(row.observer().unwrap_or_else(|| r.host()))
            .done();
    }
    // Addresses of pages are traffic by another name.
    let traffic = c[3] == b"TRAFFIC" || c[4] == b"url";
    if traffic && c[4] == b"start" {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if traffic && let Some(kind) = worth(src, dst, dport, !failed) {
        if c[12].is_empty() {
            return Parsed::Irrelevant(kind);
        }
        if src.is_private() && dst.is_public() {
            return Parsed::Irrelevant(Kind::OutboundTraffic);
        }
    }
    out.event(Act::Flow, if failed { Outcome::Failure } else { Outcome::Success })
        .at(row.time(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(c[24])).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(&row.plain(c[12]))
        .observer(row.observer().unwrap_or_else(|| r.host()))
        .done()
}

/// What a command at a path of the configuration changed.
fn changed(command: &[u8], path: &[u8]) -> Change {
    let at = |part: &[u8]| find(path, part).is_some();
    let gone = command == b"delete";
    if at(b"mgt-config") && at(b"users") {
        if gone { Change::AccountDeleted } else { Change::AdminCreated }
    } else if at(b"local-user-database") {
        if gone { Change::AccountDeleted } else { Change::LocalUserCreated }
    } else if at(b"log-settings") && gone {
        Change::LoggingStopped
    } else if at(b"authentication-profile")
        || at(b"mfa-server-profile")
        || at(b"global-protect")
        || at(b"authentication-sequence")
        || at(b"rulebase")
    {
        Change::PolicyChanged
    } else if matches!(command, b"export" | b"save-config") || command.starts_with(b"scp export") {
        Change::ConfigExported
    } else if matches!(command, b"set" | b"edit" | b"delete" | b"add" | b"rename" | b"move" | b"clone") {
        Change::ConfigChanged
    } else {
        Change::None
    }
}

fn system(r: &Record<'_>, row: &Columns<'_>, out: &mut Emit<'_>) -> Parsed {
    // 4 subtype, 8 event id, 14 description.
    let (id, text) = (row.c[8], row.c[14]);
    let (user, rest) = named(text);
    let from = address(text, rest);
    let outcome = if text.starts_with(b"failed authentication") {
        Outcome::Failure
    } else if text.starts_with(b"authenticated for user") || text.starts_with(b"User ") && logged_in(rest) {
        Outcome::Success
    } else {
        match said(id) {
            Outcome::Unknown => said(text),
            told => told,
        }
    };
    let (at, user) = (row.time(r), row.plain(user));
    let observer = row.observer().unwrap_or_else(|| r.host());
    let failed = outcome == Outcome::Failure;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let reason = if failed { reason(text) } else { Reason::None };
    match row.c[4] {
        b"globalprotect" => {
            let gateway =
                text.starts_with(b"GlobalProtect gateway") || id.starts_with(b"globalprotectgateway");
            let act = if has(b" logout ") || find(id, b"-logout-").is_some() {
                Act::SessionEnd
            } else if has(b" authentication ") || find(id, b"-auth-").is_some() {
                if gateway && outcome == Outcome::Success { Act::SessionStart } else { Act::Auth }
            } else if gateway && has(b"Private IP: ") {
                Act::IpAssign
            } else {
                return Parsed::Irrelevant(Kind::Pending);
            };
            let mut e = out
                .event(act, outcome)
                .at(at)
                .service(Service::Vpn)
                .user(&user)
                .source(from)
                .device(after(text, b"Device name: ", b",").unwrap_or_default())
                .client(after(text, b"Client version: ", b",").unwrap_or_default())
                .reason(if act == Act::SessionEnd { Reason::Logout } else { reason })
                .country(after(text, b"Source region: ", b",").unwrap_or_default())
                .observer(observer)
                .flag_if(act == Act::Auth && !failed, Flags::PRE_MFA);
            if act == Act::IpAssign {
                e = e.tunnel(after(text, b"Private IP: ", b",").unwrap_or_default());
            }
            e.done()
        }
        b"auth" => out
            .event(Act::Auth, outcome)
            .at(at)
            // Only an administrator's login names a role.
            .service(if has(b"admin role '") { Service::Management } else { Service::Vpn })
            .user(&user)
            .source(from)
            .reason(reason)
            .observer(observer)
            .flag(Flags::PRE_MFA)
            .done(),
        b"general" if text.starts_with(b"User ") && logged_in(rest) => out
            .event(Act::Admin, Outcome::Success)
            .at(at)
            .service(Service::Management)
            .user(&user)
            .source(from)
            .observer(observer)
            .flag(Flags::PRIVILEGED)
            .done(),
        _ if user.is_empty() => Parsed::Irrelevant(Kind::Housekeeping),
        _ => out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Management)
            .user(&user)
            .source(from)
            .observer(observer)
            .done(),
    }
}

fn logged_in(rest: &[u8]) -> bool {
    rest.trim_ascii_start().starts_with(b"logged in via ")
}

/// The user that a message names, and what follows.
fn named(text: &[u8]) -> (&[u8], &[u8]) {
    for marker in [&b"User name: "[..], b"for user ", b"authenticating user ", b"User ", b"user "] {
        let Some(at) = find(text, marker) else { continue };
        let rest = &text[at + marker.len()..];
        if let Some(quoted) = rest.strip_prefix(b"'") {
            let end = memchr::memchr(b'\'', quoted).unwrap_or(quoted.len());
            return (&quoted[..end], quoted.get(end + 1..).unwrap_or_default());
        }
        let (name, rest) = if marker == b"User name: " {
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            (&rest[..end], &rest[end..])
        } else {
            word(rest)
        };
        return (name.strip_suffix(b".").or_else(|| name.strip_suffix(b",")).unwrap_or(name), rest);
    }
    (b"", b"")
}

/// Where a message says the user is. Whoever logs in chooses the name, so `From:` is looked for from the end and `from`
/// behind the name.
fn address<'a>(text: &'a [u8], rest: &'a [u8]) -> &'a [u8] {
    let found = if let Some(from) = after(text, b". Login from: ", b",") {
        from
    } else if let Some(at) = memchr::memmem::rfind(text, b"From: ") {
        word(&text[at + 6..]).0
    } else {
        word(after(rest, b"from ", b"").unwrap_or_default()).0
    };
    let found = found.strip_suffix(b".").or_else(|| found.strip_suffix(b",")).unwrap_or(found);
    found.strip_prefix(b"'").and_then(|f| f.strip_suffix(b"'")).unwrap_or(found)
}

/// How something ended, by its words: `auth-fail`, `globalprotectportal-auth-succ`, `User Password Failure`.
fn said(text: &[u8]) -> Outcome {
    let has = |words: &[&[u8]]| words.iter().any(|w| find(text, w).is_some());
    if has(&[b"fail", b"Fail", b"nvalid", b"enied", b"eject"]) {
        Outcome::Failure
    } else if has(&[b"succ", b"Succ"]) {
        Outcome::Success
    } else {
        Outcome::Unknown
    }
}

/// The part after `Reason:`.
fn reason(text: &[u8]) -> Reason {
    let Some(at) = memchr::memmem::rfind(text, b"Reason: ") else { return Reason::Other };
    let has = |needle: &[u8]| find(&text[at..], needle).is_some();
    if has(b"locked") {
        Reason::Locked
    } else if has(b"nvalid username") || has(b"nvalid user name") || has(b"nvalid password") {
        Reason::BadPassword
    } else if has(b"allow list") {
        Reason::NotAllowed
    } else if has(b"ertificate") {
        Reason::Certificate
    } else if has(b"timed out") {
        Reason::Timeout
    } else if has(b"expired") {
        Reason::Expired
    } else {
        Reason::Other
    }
}
