//! Cisco ASA, ASAv and FTD: AnyConnect and WebVPN sessions, AAA, administration.
//!
//! Read from: Cisco Secure Firewall ASA Series Syslog Messages. Traps: 113004 is also written for authorisation and
//! accounting, and names no client; unknown users are `*****` unless `no logging hide username`; brackets around
//! group, user and address come and go by version; 722022 and 722023 are one per TCP and UDP, not sessions; 113019
//! names the tunnel group where 113039 names the group policy.

use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "cisco_asa",
    title: "Cisco ASA / FTD (VPN, AAA, administration)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
    ],
    lacks: &[Field::Mfa, Field::Zone],
    traps: &["masked_user", "authorization_is_no_login", "transport_lines", "resumed_elsewhere"],
    manual: "Cisco Secure Firewall ASA Series Syslog Messages",
    enable: "logging enable; logging trap informational; no logging hide username; logging timestamp",
    general: false,
    marks: &["%ASA", "%FTD", "%PIX", "%NGIPS"],
    reader: Reader::Code {
        claim: |r| message(r).is_some_and(|(id, _)| !crate::firewall::asa_traffic::is_traffic(id)),
        parse,
        join: None,
    },
};

/// Number and text of a `%ASA-6-113039: …` message, whatever the severity or product letters.
pub(crate) fn message<'a>(r: &Record<'a>) -> Option<(u32, &'a [u8])> {
    let body = r.body;
    let at =
        if body.first() == Some(&b'%') { 0 } else { memchr::memchr(b'%', &body[..body.len().min(120)])? };
    let text = &body[at..];
    let rest = text
        .strip_prefix(b"%ASA-")
        .or_else(|| text.strip_prefix(b"%FTD-"))
        .or_else(|| text.strip_prefix(b"%ASAv-"))
        .or_else(|| text.strip_prefix(b"%PIX-"))
        .or_else(|| text.strip_prefix(b"%NGIPS-"))?;
    // `%ASA-6-113039:`, `%ASA--6-113039:`, `%ASA-vpn-6-113039:`; collectors drop the colon.
    let end = rest[..rest.len().min(40)].iter().position(|b| matches!(b, b':' | b' '))?;
    let digits = rest[..end].rsplit(|b| *b == b'-').next()?;
    if digits.len() != 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let said = rest[end..].trim_ascii_start();
    let said = said.strip_prefix(b":").unwrap_or(said).trim_ascii_start();
    Some((u32::try_from(number(digits)).ok()?, said))
}

/// The value behind a label, in angle brackets or bare, up to the next label.
fn labelled<'a>(text: &'a [u8], label: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, label, b"") else { return b"" };
    let rest = rest.trim_ascii_start();
    match rest.first() {
        Some(b'<') => &rest[1..memchr::memchr(b'>', rest).unwrap_or(rest.len())],
        _ => word(rest).0,
    }
}

/// `key = value` of the 113xxx messages, up to the next ` : ` or `,`.
fn assigned<'a>(text: &'a [u8], label: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, label, b"") else { return b"" };
    let rest = rest.trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"=") else { return b"" };
    let rest = rest.trim_ascii_start();
    let end = find(rest, b" : ").into_iter().chain(find(rest, b", ")).min().unwrap_or(rest.len());
    rest[..end].trim_ascii()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((id, text)) = message(r) else { return Parsed::NotMine };
    let host = r.host();
    let time = r.header_time();
    match id {
        113004 => {
            if after(text, b"AAA user authentication Successful", b"").is_none() {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            out.event(Act::Auth, Outcome::Success)
                .at(time)
                .service(Service::Vpn)
                .user(assigned(text, b": user "))
                .source(assigned(text, b"user IP "))
                .observer(host)
                .flag(Flags::PRE_MFA)
                .done()
        }
        113005 | 113015 => {
            let local = id == 113015;
            let said = assigned(text, b"reason ");
            out.event(Act::Auth, Outcome::Failure)
                .at(time)
                .service(Service::Vpn)
                .reason(reason(said))
                .user(assigned(text, b": user "))
                .source(assigned(text, b"user IP "))
                .observer(host)
                .flag_if(local, Flags::LOCAL_ACCOUNT)
                .done()
        }
        113012 => out
            .event(Act::Auth, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(assigned(text, b": user "))
            .observer(host)
            .flag(Flags::LOCAL_ACCOUNT)
            .flag(Flags::PRE_MFA)
            .done(),
        113006 => out
            .event(Act::Account, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .change(Change::AccountLocked)
            .target(labelled(text, b"User "))
            .observer(host)
            .done(),
        113039 | 716001 => {
            // WebVPN start of the same login repeats the AnyConnect parent session.
            out.event(Act::SessionStart, Outcome::Success)
                .at(time)
                .service(Service::Vpn)
                .group(labelled(text, b"Group "))
                .user(labelled(text, b"User "))
                .source(labelled(text, b" IP "))
                .observer(host)
                .done()
        }
        716038 => Parsed::Irrelevant(Kind::Repeats),
        716039 => {
            // Repeats 113005 where AAA is remote, and is the only line with the address on older releases.
            out.event(Act::Auth, Outcome::Failure)
                .at(time)
                .service(Service::Vpn)
                .reason(Reason::BadPassword)
                .group(labelled(text, b"Group "))
                .user(labelled(text, b"User "))
                .source(labelled(text, b" IP "))
                .observer(host)
                .flag(Flags::REPEATS)
                .done()
        }
        722051 => {
            let tunnel = [&b"IPv4 Address "[..], b"IPv6 address "]
                .into_iter()
                .map(|label| Ip::parse(labelled(text, label)))
                .find(|ip| ip.is_some())
                .unwrap_or(Ip::NONE);
            if tunnel.is_none() {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            out.event(Act::IpAssign, Outcome::Success)
                .at(time)
                .service(Service::Vpn)
                .group(labelled(text, b"Group "))
                .user(labelled(text, b"User "))
                .source(labelled(text, b" IP "))
                .tunnel_ip(tunnel)
                .observer(host)
                .done()
        }
        109201 => out
            .event(Act::IpAssign, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .user(after(text, b"User=", b",").unwrap_or_default())
            .tunnel(after(text, b"Assigned IP=", b",").unwrap_or_default())
            .observer(host)
            .done(),
        722055 => {
            // Client type and version of a session: a further record of the same stay.
            let client = after(text, b"Client Type:", b"").unwrap_or_default();
            out.event(Act::Posture, Outcome::Unknown)
                .at(time)
                .service(Service::Vpn)
                .group(labelled(text, b"Group "))
                .user(labelled(text, b"User "))
                .source(labelled(text, b" IP "))
                .client(client)
                .observer(host)
                .done()
        }
        // A new tunnel that replaces the old one: the stay goes on, perhaps from another address.
        722032 | 722034 => out
            .event(Act::SessionResume, Outcome::Success)
            .at(time)
            .service(Service::Vpn)
            .group(labelled(text, b"Group "))
            .user(labelled(text, b"User "))
            .source(labelled(text, b" IP "))
            .observer(host)
            .done(),
        716059 => {
            let to =
                after(text, b"resumed connection from IP", b"").map(|t| labelled(t, b"")).unwrap_or_default();
            let ip = if to.is_empty() { labelled(text, b" IP ") } else { to };
            out.event(Act::SessionResume, Outcome::Success)
                .at(time)
                .service(Service::Vpn)
                .group(labelled(text, b"Group "))
                .user(labelled(text, b"User "))
                .source(ip.strip_suffix(b".").unwrap_or(ip))
                .observer(host)
                .done()
        }
        113019 => {
            let user = assigned(text, b"Username ");
            if user.is_empty() {
                return Parsed::Broken(Why::Missing("username"));
            }
            out.event(Act::SessionEnd, Outcome::Success)
                .at(time)
                .service(Service::Vpn)
                .user(user)
                .source(assigned(text, b", IP "))
                .observer(host)
                .duration_s(duration(after(text, b"Duration: ", b",").unwrap_or_default()))
                .bytes(
                    number(after(text, b"Bytes rcv: ", b",").unwrap_or_default()),
                    number(after(text, b"Bytes xmt: ", b",").unwrap_or_default()),
                )
                .reason(end_reason(after(text, b"Reason: ", b"").unwrap_or_default()))
                .done()
        }
        750003 => {
            // `Local:192.0.2.1:500 Remote:198.51.100.7:500 Username:anna IKEv2 Negotiation aborted due to ERROR: …`. A peer
            // of a site has its address or `Unknown` for a name.
            let user = after(text, b"Username:", b" IKEv2 ").unwrap_or_default();
            if user.is_empty() || user == b"Unknown" || Ip::parse(user).is_some() {
                return Parsed::Irrelevant(Kind::Transport);
            }
            let refused = after(text, b"ERROR: ", b"").is_some_and(|e| find(e, b"uthenticat").is_some());
            out.event(if refused { Act::Auth } else { Act::Posture }, Outcome::Failure)
                .at(time)
                .service(Service::Vpn)
                .reason(Reason::Other)
                .user(user)
                .source(after(text, b"Remote:", b" ").unwrap_or_default())
                .observer(host)
                .done()
        }
        716002 => Parsed::Irrelevant(Kind::Repeats),
        734001 => Parsed::Irrelevant(Kind::Pending),
        605004 | 605005 => {
            // `Login permitted from 10.0.0.5/41000 to inside:10.0.0.1/ssh for user "anna"`.
            let ok = id == 605005;
            out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
                .at(time)
                .service(Service::Management)
                .source(after(text, b" from ", b" ").unwrap_or_default())
                .user(after(text, b"for user \"", b"\"").unwrap_or_default())
                .observer(host)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        611101 | 611103 => {
            // `User authentication succeeded: IP address: 10.0.0.5, Uname: anna`; 611103 is the logout.
            if id == 611103 {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            out.event(Act::Admin, Outcome::Success)
                .at(time)
                .service(Service::Management)
                .source(
                    after(text, b"IP address: ", b",")
                        .or_else(|| after(text, b"IP = ", b","))
                        .unwrap_or_default(),
                )
                .user(after(text, b"Uname: ", b" ").unwrap_or_default())
                .observer(host)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        611102 => out
            .event(Act::Admin, Outcome::Failure)
            .at(time)
            .service(Service::Management)
            .source(after(text, b"IP address: ", b",").unwrap_or_default())
            .user(after(text, b"Uname: ", b" ").unwrap_or_default())
            .observer(host)
            .done(),
        111008 | 111010 => {
            // `User 'anna', running 'CLI' from IP 10.0.0.5, executed 'write memory'`.
            let command = after(text, b"executed '", b"'")
                .or_else(|| after(text, b"executed the '", b"'"))
                .unwrap_or_default();
            out.event(Act::Config, Outcome::Success)
                .at(time)
                .service(Service::Management)
                .user(after(text, b"User '", b"'").unwrap_or_default())
                .source(after(text, b"from IP ", b",").unwrap_or_default())
                .detail(command)
                .change(command_change(command))
                .observer(host)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        502101..=502103 => {
            let change = match id {
                502101 => Change::LocalUserCreated,
                502102 => Change::AccountDeleted,
                _ => Change::RoleGranted,
            };
            out.event(Act::Account, Outcome::Success)
                .at(time)
                .service(Service::Management)
                .change(change)
                .target(after(text, b"Uname: ", b" ").unwrap_or_default())
                .observer(host)
                .done()
        }
        113008 | 113009 | 113003 | 113011 | 113028 => Parsed::Irrelevant(Kind::Pending),
        722022
        | 722023
        | 722033
        | 722037
        | 722011
        | 722041
        | 716058
        | 725001..=725017
        | 737000..=737040
        | 771002 => Parsed::Irrelevant(Kind::Transport),
        713119 | 713049 | 113042 => Parsed::Irrelevant(Kind::Transport),
        _ => {
            // Anything else that names a user and an address still tells who was where.
            let (user, ip) = (labelled(text, b"User "), labelled(text, b" IP "));
            let ip_ok = Ip::parse(ip).is_some();
            if !user.is_empty() && ip_ok {
                return out
                    .event(Act::Posture, Outcome::Unknown)
                    .at(time)
                    .service(Service::Vpn)
                    .user(user)
                    .source(ip)
                    .group(labelled(text, b"Group "))
                    .observer(host)
                    .done();
            }
            Parsed::Irrelevant(Kind::OtherMessage)
        }
    }
}

fn reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"nvalid password") {
        Reason::BadPassword
    } else if has(b"not found") {
        Reason::NoUser
    } else if has(b"locked") {
        Reason::Locked
    } else if has(b"expired") {
        Reason::Expired
    } else if has(b"disabled") {
        Reason::Disabled
    } else {
        Reason::BadPassword
    }
}

fn end_reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"User Requested") || has(b"Logout") {
        Reason::Logout
    } else if has(b"Idle Timeout") {
        Reason::Idle
    } else if has(b"Preempted") {
        Reason::Preempted
    } else if has(b"Max time") {
        Reason::Timeout
    } else if has(b"Administrator") {
        Reason::ByAdmin
    } else if has(b"Lost") {
        Reason::ConnectionLost
    } else {
        Reason::Other
    }
}

/// `2h:28m:09s`, `1d 2h:28m:09s`.
fn duration(text: &[u8]) -> u32 {
    let (mut total, mut n) = (0u32, 0u32);
    for b in text {
        match b {
            b'0'..=b'9' => n = n.saturating_mul(10).saturating_add(u32::from(b - b'0')),
            b'd' => (total, n) = (total.saturating_add(n.saturating_mul(86_400)), 0),
            b'h' => (total, n) = (total.saturating_add(n.saturating_mul(3_600)), 0),
            b'm' => (total, n) = (total.saturating_add(n.saturating_mul(60)), 0),
            b's' => (total, n) = (total.saturating_add(n), 0),
            _ => {}
        }
    }
    total
}

fn command_change(command: &[u8]) -> Change {
    let starts = |word: &[u8]| command.starts_with(word);
    if starts(b"username ") {
        Change::LocalUserCreated
    } else if starts(b"no logging") || starts(b"clear logging") {
        Change::LoggingStopped
    } else if starts(b"copy ") || starts(b"backup") {
        Change::ConfigExported
    } else if starts(b"tunnel-group") || starts(b"group-policy") || starts(b"aaa") || starts(b"webvpn") {
        Change::PolicyChanged
    } else {
        Change::None
    }
}
