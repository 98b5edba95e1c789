//! pfSense and OPNsense: administrators, configuration, and OPNsense's answers for its services.
//!
//! Read from: pfSense documentation "Log messages: system, GUI"; OPNsense documentation "Logging, audit". Traps: OPNsense
//! writes three lines for one refused login, of which one names the address; its answer for OpenVPN looks like the one
//! for the web interface; a session that ends is no login.

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pfsense",
    title: "pfSense / OPNsense (administration)",
    row: Row::Firewall,
    gives: &[Act::Auth, Act::Admin, Act::Config, Act::Account],
    lacks: &[
        Field::Mfa,
        Field::TunnelIp,
        Field::Device,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["opnsense", "forged_name"],
    manual: "pfSense documentation: Logs; OPNsense documentation: Audit log",
    enable: "Status > System Logs > Settings > Remote logging: system events; OPNsense: System > Settings > Logging > Remote, application audit",
    general: false,
    marks: &[
        "php",
        "authenticated successfully for ",
        "authenticate for ",
        "authentication for ",
        "changed configuration to ",
    ],
    reader: Reader::Code { claim: |r| message(r).is_some(), parse, join: None },
};

/// The message, past the page that wrote it: `/index.php: Successful login for user …`.
fn message<'a>(r: &Record<'a>) -> Option<&'a [u8]> {
    if r.shape != Shape::Text {
        return None;
    }
    let program = r.header.program;
    if !matches!(program, b"" | b"php-fpm" | b"php" | b"audit" | b"opnsense" | b"configd.py" | b"openvpn") {
        return None;
    }
    let mut text = r.body;
    if text.starts_with(b"php-fpm[") || text.starts_with(b"audit[") {
        text = word(text).1;
    }
    let mut paged = false;
    let (first, rest) = word(text);
    if first.starts_with(b"/")
        && (first.ends_with(b".php:") || first.ends_with(b":") && program.starts_with(b"php"))
    {
        (text, paged) = (rest, true);
    }
    const STARTS: [&[u8]; 7] = [
        b"Successful login for user '",
        b"webConfigurator authentication error for user '",
        b"Web GUI authentication error for '",
        b"Configuration Change: ",
        b"User logged out for user '",
        b"Session timed out for user '",
        b"webConfigurator login for user '",
    ];
    let of_audit = text.starts_with(b"user ")
        && program != b"openvpn"
        && [
            &b" authenticated successfully for "[..],
            b" could not authenticate for ",
            b" failed authentication for ",
            b" changed configuration to ",
        ]
        .iter()
        .any(|m| find(text, m).is_some());
    (STARTS.iter().any(|s| text.starts_with(s)) || of_audit || (paged && program.starts_with(b"php")))
        .then_some(text)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(text) = message(r) else { return Parsed::NotMine };
    let base = |e: EventBuilder<'_>| -> Parsed { e.at(r.header_time()).observer(r.host()).done() };
    if let Some(rest) = text.strip_prefix(b"Configuration Change: ") {
        return change(r, rest, out);
    }
    let login = [
        (&b"Successful login for user '"[..], true),
        (b"webConfigurator login for user '", true),
        (b"webConfigurator authentication error for user '", false),
        (b"Web GUI authentication error for '", false),
    ]
    .into_iter()
    .find_map(|(start, ok)| Some((text.strip_prefix(start)?, ok)));
    if let Some((rest, ok)) = login {
        // Whoever is at the door chose the name: the last of the words counts.
        let (at, len) = match memchr::memmem::rfind(rest, b"' from: ") {
            Some(at) => (at, 8),
            None => (memchr::memmem::rfind(rest, b"' from ").unwrap_or(rest.len()), 7),
        };
        return base(
            out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
                .service(Service::Management)
                .user(&rest[..at])
                .source(rest.get(at + len..).map_or(&b""[..], |t| word(t).0))
                .client(b"web")
                .reason(if ok { Reason::None } else { Reason::BadPassword })
                .flag_if(find(rest, b"(Local Database)").is_some(), Flags::LOCAL_ACCOUNT)
                .flag(Flags::PRIVILEGED),
        );
    }
    let Some(rest) = text.strip_prefix(b"user ") else {
        let known = begins_with(
            text,
            &[
                b"User logged out",
                b"Session timed out",
                b"Restarting",
                b"Starting",
                b"Stopping",
                b"New alert",
                b"rc.",
            ],
        );
        return Parsed::housekeeping_if(known);
    };
    if let Some(at) = find(rest, b" changed configuration to ") {
        // `root@10.0.0.9 changed configuration to /conf/backup/config-….xml in /api/… made changes`
        let who = &rest[..at];
        let split = memchr::memrchr(b'@', who).unwrap_or(who.len());
        let page = after(&rest[at..], b" in ", b"").map_or(&b""[..], |t| word(t).0);
        return base(
            out.event(Act::Config, Outcome::Success)
                .service(Service::Management)
                .user(&who[..split])
                .source(who.get(split + 1..).unwrap_or_default())
                .change(kind_of(page))
                .detail(page)
                .flag(Flags::PRIVILEGED),
        );
    }
    // `anna authenticated successfully for OpenVPN [using …]`; each authenticator that refuses says so before the answer.
    let (marker, outcome) = [
        (&b" authenticated successfully for "[..], Outcome::Success),
        (b" could not authenticate for ", Outcome::Failure),
    ]
    .into_iter()
    .find(|(m, _)| find(rest, m).is_some())
    .unwrap_or((b"", Outcome::Unknown));
    let Some(at) = memchr::memmem::rfind(rest, marker).filter(|_| outcome != Outcome::Unknown) else {
        return Parsed::Irrelevant(Kind::Repeats);
    };
    let service = word(&rest[at + marker.len()..]).0;
    let service = service.strip_suffix(b".").unwrap_or(service);
    let web = service.eq_ignore_ascii_case(b"WebGui");
    // The line of the page tells the same with the address.
    if web {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let vpn = service.eq_ignore_ascii_case(b"OpenVPN") || service.eq_ignore_ascii_case(b"IPsec");
    let failed = outcome == Outcome::Failure;
    base(
        out.event(if vpn { Act::Auth } else { Act::Admin }, outcome)
            .service(if vpn { Service::Vpn } else { Service::Management })
            .user(&rest[..at])
            .group(service)
            .reason(if failed { Reason::BadPassword } else { Reason::None })
            .flag_if(vpn && !failed, Flags::PRE_MFA),
    )
}

fn kind_of(page: &[u8]) -> Change {
    let has = |needle: &[u8]| find(page, needle).is_some();
    if has(b"syslog") || has(b"status_logs") {
        Change::LoggingStopped
    } else if has(b"firewall") || has(b"vpn") || has(b"authserver") || has(b"filter") || has(b"ipsec") {
        Change::PolicyChanged
    } else {
        Change::ConfigChanged
    }
}

/// `anna@10.0.0.9 (Local Database): Successfully created user helper`.
fn change(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(colon) = find(text, b": ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (who, what) = (word(&text[..colon]).0, &text[colon + 2..]);
    let split = memchr::memrchr(b'@', who).unwrap_or(who.len());
    let (user, source) = (&who[..split], who.get(split + 1..).unwrap_or_default());
    // The box writes its own changes as `(system)`.
    if user == b"(system)" || user.is_empty() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let named =
        after(what, b" user ", b"").or_else(|| after(what, b"User ", b"")).map_or(&b""[..], |t| word(t).0);
    let lower = what.to_ascii_lowercase();
    let has = |needle: &[u8]| find(&lower, needle).is_some();
    let (act, change) = if !named.is_empty() && (has(b"created user") || has(b"added user")) {
        (Act::Account, Change::AdminCreated)
    } else if !named.is_empty() && has(b"deleted") {
        (Act::Account, Change::AccountDeleted)
    } else if has(b"syslog") || has(b"remote logging") {
        (Act::Config, Change::LoggingStopped)
    } else if has(b"firewall")
        || has(b"rule")
        || has(b"openvpn")
        || has(b"ipsec")
        || has(b"authentication server")
    {
        (Act::Config, Change::PolicyChanged)
    } else {
        (Act::Config, Change::ConfigChanged)
    };
    out.event(act, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .user(user)
        .target(if act == Act::Account { named } else { b"" })
        .source(source)
        .change(change)
        .detail(what)
        .observer(r.host())
        .flag(Flags::PRIVILEGED)
        .done()
}
