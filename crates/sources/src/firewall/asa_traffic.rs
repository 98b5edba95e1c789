//! Cisco ASA and FTD connections: allowed and denied.
//!
//! Read from: Cisco Secure Firewall ASA Series Syslog Messages. Trap: the address behind a VPN user's name in 302013
//! is a tunnel address, not a public one. Hot: these are most of what a firewall writes.

use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Row, Source, Why};
use crate::vpn::cisco_asa::message;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "asa_traffic",
    title: "Cisco ASA / FTD (connections)",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::Mfa, Field::Device, Field::Zone],
    traps: &["tunnel_user"],
    enable: "logging trap informational; access lists with `log`",
    claim: |r| message(r).is_some_and(|(id, _)| is_traffic(id)),
    parse,
    join: None,
};

pub(crate) fn is_traffic(id: u32) -> bool {
    matches!(id, 106001..=106103 | 302003..=302306 | 303002 | 304001..=304009 | 305009..=305014 | 313001..=313009 | 400000..=400051 | 419002 | 500004 | 609001 | 609002 | 710001..=710007 | 733100..=733105)
}

/// Ports at which remote access is tried.
pub(crate) fn is_remote_port(port: u16) -> bool {
    matches!(
        port,
        22 | 23
            | 135
            | 139
            | 443
            | 445
            | 500
            | 1194
            | 1433
            | 1494
            | 1723
            | 2375
            | 2598
            | 3306
            | 3389
            | 4433
            | 4443
            | 4500
            | 5432
            | 5800
            | 5900..=5910 | 5985 | 5986 | 6443 | 8443 | 10250 | 10443
    )
}

/// What a connection between these two is to the playbook.
pub(crate) fn worth(src: Ip, dst: Ip, dst_port: u16, allowed: bool) -> Option<Kind> {
    match (src.is_public(), dst.is_public()) {
        (false, true) if src.is_some() => Some(Kind::OutboundTraffic),
        (false, false) if src.is_some() && dst.is_some() => None,
        _ if is_remote_port(dst_port) => None,
        _ if allowed => Some(Kind::Traffic),
        _ => Some(Kind::Traffic),
    }
}

/// `outside:10.8.0.7/61866`, `outside:192.0.2.5`: address and port, past the interface.
fn endpoint(text: &[u8]) -> (Ip, u16) {
    let text = match memchr::memchr(b':', text) {
        Some(colon) if text[..colon].iter().any(u8::is_ascii_alphabetic) => &text[colon + 1..],
        _ => text,
    };
    let end = text.iter().position(|b| matches!(b, b' ' | b'(' | b',')).unwrap_or(text.len());
    Ip::parse_with_port(&text[..end])
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((id, text)) = message(r) else { return Parsed::NotMine };
    match id {
        302013 | 302015 => built(r, text, out),
        302014 | 302016 | 302021 | 302018 | 302304 | 609002 => Parsed::Irrelevant(Kind::Repeats),
        106001 | 106006 | 106007 | 106014 | 106015 | 106023 | 106100 | 710003 | 710005 => {
            denied(r, id, text, out)
        }
        _ => Parsed::Irrelevant(Kind::Traffic),
    }
}

/// `Built inbound TCP connection 9 for outside:192.0.2.5/61866 (…)(LOCAL\anna) to inside:10.0.0.5/445 (…)`.
fn built(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let inbound = match word(text.strip_prefix(b"Built ").unwrap_or_default()).0 {
        b"inbound" => true,
        b"outbound" => false,
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    let Some(rest) = after(text, b" for ", b"") else { return Parsed::Broken(Why::Missing("addresses")) };
    let Some(split) = crate::decode::find::find(rest, b" to ") else {
        return Parsed::Broken(Why::Missing("destination"));
    };
    let (left, right) = (&rest[..split], &rest[split + 4..]);
    // Outbound connections name the outer end first.
    let ((src, sport), (dst, dport)) =
        if inbound { (endpoint(left), endpoint(right)) } else { (endpoint(right), endpoint(left)) };
    if let Some(kind) = worth(src, dst, dport, true) {
        return Parsed::Irrelevant(kind);
    }
    let user = after(left, b"(LOCAL\\", b")").unwrap_or_default();
    out.event(Act::Flow, Outcome::Success)
        .at(r.header_time())
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .user(user)
        .observer(r.host())
        .done()
}

fn denied(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let ((src, sport), (dst, dport)) = match id {
        106023 => {
            let (Some(src), Some(dst)) = (after(text, b" src ", b" dst "), after(text, b" dst ", b" "))
            else {
                return Parsed::Broken(Why::Missing("addresses"));
            };
            (endpoint(src), endpoint(dst))
        }
        106100 => {
            // `access-list X denied tcp outside/192.0.2.5(4411) -> inside/10.0.0.5(22) hit-cnt 1`.
            if after(text, b" permitted ", b"").is_some() {
                return Parsed::Irrelevant(Kind::Traffic);
            }
            let Some(arrow) = crate::decode::find::find(text, b" -> ") else {
                return Parsed::Broken(Why::Missing("addresses"));
            };
            (slashed(word_before(&text[..arrow])), slashed(word(&text[arrow + 4..]).0))
        }
        710003 | 710005 => {
            let from = after(text, b" from ", b" ")
                .or_else(|| after(text, b" by ACL from ", b" "))
                .unwrap_or_default();
            let to = after(text, b" to ", b" ").unwrap_or_default();
            (endpoint(from), endpoint(to))
        }
        _ => {
            let from = after(text, b" from ", b" ").unwrap_or_default();
            let to = after(text, b" to ", b" ").unwrap_or_default();
            (endpoint(from), endpoint(to))
        }
    };
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, false) {
        return Parsed::Irrelevant(kind);
    }
    let times = after(text, b"hit-cnt ", b" ").map_or(0, |t| u16::try_from(number(t)).unwrap_or(u16::MAX));
    out.event(Act::Flow, Outcome::Failure)
        .at(r.header_time())
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .repeat(times)
        .observer(r.host())
        .done()
}

fn word_before(text: &[u8]) -> &[u8] {
    text.rsplit(|b| *b == b' ').next().unwrap_or_default()
}

/// `outside/192.0.2.5(4411)`.
fn slashed(text: &[u8]) -> (Ip, u16) {
    let text = memchr::memchr(b'/', text).map_or(text, |n| &text[n + 1..]);
    let end = memchr::memchr(b'(', text).unwrap_or(text.len());
    let port = text.get(end + 1..).map_or(0, |p| u16::try_from(number(p)).unwrap_or(0));
    (Ip::parse(&text[..end]), port)
}
