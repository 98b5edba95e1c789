//! Zyxel USG, ZyWALL and ATP firewalls (ZLD): users, SSL VPN, L2TP, IPsec, administrators, connections.
//!
//! Read from: Zyxel "ZLD User's Guide", appendix Log Descriptions; CEF form of current firmware. Traps: the message tells
//! and the category only sorts; administrators and users log in by one message, the first word of which tells who; a
//! tunnel of two sites has no user; the name stands before the address, and whoever logs in chose it.

use crate::decode::clock::epoch;
use crate::decode::find::find;
use crate::decode::kv::{after, cef, cef_pairs, number, pairs, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "zyxel",
    title: "Zyxel USG / ZyWALL / ATP",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Flow,
    ],
    lacks: &[Field::Device, Field::Mfa, Field::SessionId],
    traps: &["cef", "sites"],
    manual: "Zyxel ZLD User's Guide: Log Descriptions",
    enable: "Configuration > Log & Report > Log Settings > Remote Server: VRPT/Syslog or CEF, categories User, SSL VPN, IKE, L2TP Over IPSec, Built-in Service, Security Policy Control",
    general: false,
    marks: &["devID=\"", "devID=", "|Zyxel|", "|ZyXEL|", "|ZYXEL|"],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Text => {
                find(r.body, b" msg=\"").is_some()
                    && find(r.body, b" devID=\"").is_some()
                    && find(r.body, b" cat=\"").is_some()
            }
            Shape::Cef => r.body.get(..r.body.len().min(24)).is_some_and(|h| {
                find(h, b"|Zyxel|").or_else(|| find(h, b"|ZyXEL|")).or_else(|| find(h, b"|ZYXEL|")).is_some()
            }),
            _ => false,
        },
        parse,
        join: None,
    },
};

#[derive(Default)]
struct Fields<'a> {
    src: &'a [u8],
    sport: &'a [u8],
    dst: &'a [u8],
    dport: &'a [u8],
    msg: &'a [u8],
    note: &'a [u8],
    user: &'a [u8],
    category: &'a [u8],
    host: &'a [u8],
    action: &'a [u8],
    sent: &'a [u8],
    received: &'a [u8],
    duration: &'a [u8],
    rt: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(r: &Record<'a>) -> Fields<'a> {
        let mut f = Fields::default();
        if r.shape == Shape::Cef {
            if let Some((head, extension)) = cef(r.body) {
                f.category = head[5];
                for (key, value) in cef_pairs(extension) {
                    f.set(key, value);
                }
            }
            return f;
        }
        for (key, value) in pairs(r.body) {
            f.set(key, value);
        }
        f
    }

    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"src" => &mut self.src,
            b"spt" => &mut self.sport,
            b"dst" => &mut self.dst,
            b"dpt" => &mut self.dport,
            b"msg" => &mut self.msg,
            b"note" | b"reason" | b"ZYnote" => &mut self.note,
            b"user" | b"suser" | b"usrName" => &mut self.user,
            b"cat" => &mut self.category,
            b"host" | b"hostname" | b"dvchost" => &mut self.host,
            b"act" => &mut self.action,
            b"sent" | b"out" => &mut self.sent,
            b"rcvd" | b"in" => &mut self.received,
            b"duration" => &mut self.duration,
            b"rt" => &mut self.rt,
            _ => return,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }
}

fn nobody(user: &[u8]) -> bool {
    matches!(user, b"" | b"unknown" | b"N/A" | b"-")
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = Fields::of(r);
    let text = f.msg;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let time: Option<(EventTime, Certainty)> =
        r.header_time().or_else(|| epoch(f.rt).map(|t| (t, Certainty::Exact)));
    let observer = if f.host.is_empty() { r.host() } else { f.host };
    let base = |e: EventBuilder<'_>| -> Parsed { e.at(time).observer(observer).done() };
    let (src, sport) = Ip::parse_with_port(f.src);
    let (dst, dport) = Ip::parse_with_port(f.dst);
    let sport = if sport == 0 { u16::try_from(number(f.sport)).unwrap_or(0) } else { sport };
    let dport = if dport == 0 { u16::try_from(number(f.dport)).unwrap_or(0) } else { dport };
    let policy = find(f.category, b"olicy").is_some() || find(f.category, b"irewall").is_some();
    let traffic = find(f.category, b"raffic").is_some();
    if policy || traffic {
        let denied = [&b"REJECT"[..], b"DROP", b"DENY", b"BLOCK", b"drop", b"reject", b"block"]
            .iter()
            .any(|w| has(w) || find(f.note, w).is_some() || find(f.action, w).is_some());
        if src.is_none() {
            return Parsed::Irrelevant(Kind::Traffic);
        }
        if let Some(kind) = worth(src, dst, dport, !denied)
            && (nobody(f.user) || kind == Kind::OutboundTraffic)
        {
            return Parsed::Irrelevant(kind);
        }
        return base(
            out.event(Act::Flow, if denied { Outcome::Failure } else { Outcome::Success })
                .service(Service::Firewall)
                .source_ip(src)
                .source_port(sport)
                .destination_ip(dst)
                .destination_port(dport)
                .user(if nobody(f.user) { b"" } else { f.user })
                .bytes(number(f.sent), number(f.received))
                .duration_s(u32::try_from(number(f.duration)).unwrap_or(u32::MAX)),
        );
    }
    // `Failed login attempt to Device from ssh (incorrect password or inexistent username)`
    if has(b"ailed login attempt to ") {
        let vpn = has(b"SSL VPN") || has(b"SSLVPN") || has(b"L2TP");
        let named = after(f.note, b"Account: ", b"").map_or(f.user, |n| word(n).0);
        let reason = if has(b"lockout") {
            Reason::Locked
        } else if has(b"max") {
            Reason::Policy
        } else {
            Reason::BadPassword
        };
        return base(
            out.event(if vpn { Act::Auth } else { Act::Admin }, Outcome::Failure)
                .service(if vpn { Service::Vpn } else { Service::Management })
                .user(if nobody(named) { b"" } else { named })
                .source_ip(src)
                .client(after(text, b" from ", b" ").unwrap_or_default())
                .reason(reason),
        );
    }
    // `Administrator anna(MAC=-) from http/https has logged in Device`, `User bruno(MAC=-) from sslvpn has logged in SSLVPN`.
    let (inn, outn) = (has(b" has logged in "), has(b" has logged out "));
    if inn || outn {
        let who = word(word(text).1).0;
        let who = memchr::memmem::rfind(who, b"(MAC=").map_or(who, |n| &who[..n]);
        let user = if nobody(f.user) { who } else { f.user };
        let vpn = has(b"SSL VPN") || has(b"SSLVPN") || has(b"sslvpn") || has(b"L2TP") || has(b" VPN");
        if vpn {
            return base(
                out.event(if inn { Act::SessionStart } else { Act::SessionEnd }, Outcome::Success)
                    .service(Service::Vpn)
                    .user(user)
                    .source_ip(src)
                    .group(b"ssl")
                    .reason(if has(b"timeout") || has(b"idle") { Reason::Idle } else { Reason::None }),
            );
        }
        if outn {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        if !text.starts_with(b"Administrator") && !text.starts_with(b"Limited-Admin") {
            return base(
                out.event(Act::Auth, Outcome::Success)
                    .service(Service::Firewall)
                    .user(user)
                    .source_ip(src)
                    .flag(Flags::PRE_MFA),
            );
        }
        return base(
            out.event(Act::Admin, Outcome::Success)
                .service(Service::Management)
                .user(user)
                .source_ip(src)
                .client(after(text, b" from ", b" ").unwrap_or_default())
                .flag(Flags::PRIVILEGED),
        );
    }
    // `User bruno has been granted an L2TP over IPSec session from 192.0.2.10`, `… has been denied from L2TP service. (…)`.
    if has(b" has been granted an L2TP") || has(b" has been denied from L2TP") || has(b" has been assigned ")
    {
        let user = word(word(text).1).0;
        let from = memchr::memmem::rfind(text, b" from ").map_or(&b""[..], |n| word(&text[n + 6..]).0);
        let from = Ip::parse(from.strip_suffix(b".").unwrap_or(from)).or(src);
        if has(b" has been denied") {
            return base(
                out.event(Act::Auth, Outcome::Failure)
                    .service(Service::Vpn)
                    .user(user)
                    .source_ip(from)
                    .group(b"l2tp")
                    .reason(if has(b"assword") { Reason::BadPassword } else { Reason::NotAllowed }),
            );
        }
        if let Some(given) = after(text, b" has been assigned ", b"") {
            let ip = given.split(|b| *b == b' ').map(Ip::parse).find(|ip| ip.is_some()).unwrap_or_default();
            return base(
                out.event(Act::IpAssign, Outcome::Success)
                    .service(Service::Vpn)
                    .user(user)
                    .source_ip(src)
                    .tunnel_ip(ip),
            );
        }
        return base(
            out.event(Act::SessionStart, Outcome::Success)
                .service(Service::Vpn)
                .user(user)
                .source_ip(from)
                .group(b"l2tp"),
        );
    }
    if has(b"L2TP") && (has(b"has been terminated") || has(b"has been disconnected")) {
        return base(
            out.event(Act::SessionEnd, Outcome::Success)
                .service(Service::Vpn)
                .user(word(word(text).1).0.strip_suffix(b"'s").unwrap_or(word(word(text).1).0))
                .source_ip(src)
                .group(b"l2tp"),
        );
    }
    // `XAUTH succeed! Remote user: anna`, `XAUTH fail! Remote user: anna`, `EAP succeed! …`.
    if has(b"Remote user: ") {
        let failed = has(b"fail");
        let user = after(text, b"Remote user: ", b"").map_or(&b""[..], |u| word(u).0);
        return base(
            out.event(Act::Auth, if failed { Outcome::Failure } else { Outcome::Success })
                .service(Service::Vpn)
                .user(user)
                .source_ip(src)
                .group(b"ipsec")
                .reason(if failed { Reason::BadPassword } else { Reason::None })
                .flag_if(!failed, Flags::PRE_MFA),
        );
    }
    if has(b"unnel [") && (has(b"built successfully") || has(b"isconnected")) {
        if nobody(f.user) {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let up = has(b"built successfully");
        return base(
            out.event(if up { Act::SessionStart } else { Act::SessionEnd }, Outcome::Success)
                .service(Service::Vpn)
                .user(f.user)
                .source_ip(src)
                .group(after(text, b"unnel [", b":").unwrap_or_default()),
        );
    }
    let changes = find(f.category, b"ilt-in").is_some()
        || find(f.category, b"onfig").is_some()
        || find(f.category, b"ile Manager").is_some();
    if changes
        && (has(b"has been changed")
            || has(b"has been added")
            || has(b"has been deleted")
            || has(b"has been modified"))
    {
        let change = if has(b"ser ") && has(b"added") {
            Change::LocalUserCreated
        } else if has(b"log") && has(b"deleted") {
            Change::LoggingStopped
        } else if has(b"olicy") || has(b"rule") || has(b"VPN") {
            Change::PolicyChanged
        } else {
            Change::ConfigChanged
        };
        return base(
            out.event(Act::Config, Outcome::Success)
                .service(Service::Management)
                .change(change)
                .user(if nobody(f.user) { b"" } else { f.user })
                .source_ip(src)
                .detail(text)
                .flag(Flags::PRIVILEGED),
        );
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}
