//! Cisco ASA and FTD connections: allowed and denied.
//!
//! Read from: Cisco Secure Firewall ASA Series Syslog Messages; Threat Defense Syslog Messages, "Security Event Syslog
//! Messages" (430001 to 430005). Traps: the address behind a VPN user's name in 302013 is a tunnel address, not a public
//! one; `No Authentication Required` is no user; a blocked connection is logged at its beginning only. Hot: these are most of what a firewall writes.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::vpn::cisco_asa::message;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "asa_traffic",
    title: "Cisco ASA / FTD (connections)",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[Field::Mfa, Field::Device, Field::Zone],
    traps: &["tunnel_user", "security_events"],
    manual: "Cisco Secure Firewall ASA Series Syslog Messages",
    enable: "logging trap informational; access lists with `log`",
    general: false,
    marks: &["%ASA", "%FTD", "%PIX", "%NGIPS"],
    reader: Reader::Code { claim: |r| message(r).is_some_and(|(id, _)| is_traffic(id)), parse, join: None },
};

pub(crate) fn is_traffic(id: u32) -> bool {
    matches!(id, 106001..=106103 | 302003..=302306 | 303002 | 304001..=304009 | 305009..=305014 | 313001..=313009 | 400000..=400051 | 430001..=430005 | 419002 | 500004 | 609001 | 609002 | 710001..=710007 | 733100..=733105)
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
    bare(text)
}

/// `192.0.2.5/61866`, `2001:db8::5/61866`: without interface.
fn bare(text: &[u8]) -> (Ip, u16) {
    let end = text.iter().position(|b| matches!(b, b' ' | b'(' | b',')).unwrap_or(text.len());
    let text = &text[..end];
    let (ip, port) = Ip::parse_with_port(text);
    match memchr::memchr(b'/', text) {
        Some(slash) if ip.is_none() => {
            (Ip::parse(&text[..slash]), u16::try_from(number(&text[slash + 1..])).unwrap_or(0))
        }
        _ => (ip, port),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((id, text)) = message(r) else { return Parsed::NotMine };
    match id {
        302013 | 302015 => built(r, text, out),
        302014 | 302016 | 302021 | 302018 | 302304 | 609002 => Parsed::Irrelevant(Kind::Repeats),
        106001 | 106006 | 106007 | 106014 | 106015 | 106023 | 106100 | 710003 | 710005 => {
            denied(r, id, text, out)
        }
        430002 | 430003 => connection(r, text, out),
        _ => Parsed::Irrelevant(Kind::Traffic),
    }
}

/// `…, FirstPacketSecond: 2026-03-03T09:00:00Z, …, AccessControlRuleAction: Block, SrcIP: 192.0.2.5, …`: 430002 at the
/// beginning, 430003 at the end of a connection, as the rule says; each tells the whole. What the other side chose (names
/// of pages, clients) stands behind the addresses, so the first of a name counts.
fn connection(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    const NAMES: [&[u8]; 7] = [
        b"FirstPacketSecond",
        b"AccessControlRuleAction",
        b"SrcIP",
        b"DstIP",
        b"SrcPort",
        b"DstPort",
        b"User",
    ];
    let mut found: [&[u8]; 7] = [b""; 7];
    let mut rest = text;
    while let Some(colon) = find(rest, b": ") {
        let value = &rest[colon + 2..];
        let end = find(value, b", ").unwrap_or(value.len());
        if let Some(slot) = NAMES.iter().position(|n| *n == &rest[..colon]).and_then(|n| found.get_mut(n))
            && slot.is_empty()
        {
            *slot = &value[..end];
        }
        rest = value.get(end + 2..).unwrap_or_default();
    }
    let [first, action, src, dst, sport, dport, user] = found;
    let (src, dst) = (Ip::parse(src), Ip::parse(dst));
    let dport = u16::try_from(number(dport)).unwrap_or(0);
    let blocked = find(action, b"Block").is_some();
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, !blocked) {
        return Parsed::Irrelevant(kind);
    }
    let time = match clock::iso(first) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    let nobody = matches!(user, b"No Authentication Required" | b"Not Found" | b"Unknown");
    out.event(Act::Flow, if blocked { Outcome::Failure } else { Outcome::Success })
        .at(time)
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(if nobody { b"" } else { user })
        .observer(r.host())
        .done()
}

/// `Built inbound TCP connection 9 for outside:192.0.2.5/61866 (…)(LOCAL\anna) to inside:10.0.0.5/445 (…)`.
fn built(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let inbound = match word(text.strip_prefix(b"Built ").unwrap_or_default()).0 {
        b"inbound" => true,
        b"outbound" => false,
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    let Some(rest) = after(text, b" for ", b"") else { return Parsed::Broken(Why::Missing("addresses")) };
    let Some(split) = find(rest, b" to ") else {
        return Parsed::Broken(Why::Missing("destination"));
    };
    let (left, right) = (&rest[..split], &rest[split + 4..]);
    // Outbound connections name the outer end first.
    let ((src, sport), (dst, dport)) =
        if inbound { (endpoint(left), endpoint(right)) } else { (endpoint(right), endpoint(left)) };
    if let Some(kind) = worth(src, dst, dport, true) {
        return Parsed::Irrelevant(kind);
    }
    let user = identity(if inbound { left } else { right }).or_else(|| last_user(right)).unwrap_or_default();
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

/// `(LOCAL\anna)`, `(TIDEWATER\anna)`: who the firewall says is behind an end.
fn identity(side: &[u8]) -> Option<&[u8]> {
    let name = side
        .split(|b| *b == b'(')
        .skip(1)
        .filter_map(|part| Some(&part[..memchr::memchr(b')', part)?]))
        .find(|name| name.contains(&b'\\'))?;
    Some(name.strip_prefix(b"LOCAL\\").unwrap_or(name))
}

/// The AAA user at the end: `… (10.20.4.9/3389) (anna)`.
fn last_user(right: &[u8]) -> Option<&[u8]> {
    let name = right.trim_ascii_end().strip_suffix(b")")?;
    let name = &name[memchr::memmem::rfind(name, b") (")? + 3..];
    (!name.contains(&b'/')).then_some(name)
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
            let Some(arrow) = find(text, b" -> ") else {
                return Parsed::Broken(Why::Missing("addresses"));
            };
            (slashed(word_before(&text[..arrow])), slashed(word(&text[arrow + 4..]).0))
        }
        710003 | 710005 => {
            let from = after(text, b" from ", b" ")
                .or_else(|| after(text, b" by ACL from ", b" "))
                .unwrap_or_default();
            let to = after(text, b" to ", b" ").unwrap_or_default();
            (bare(from), endpoint(to))
        }
        _ => {
            let from = after(text, b" from ", b" ").unwrap_or_default();
            let to = after(text, b" to ", b" ").unwrap_or_default();
            (bare(from), bare(to))
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
