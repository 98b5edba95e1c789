//! Cisco ASA and FTD connections: allowed and denied.
//!
//! Read from: Cisco Secure Firewall ASA Series Syslog Messages; Threat Defense Syslog Messages, "Security Event Syslog
//! Messages" (430001 to 430005); Firepower eStreamer eNcore Operations Guide. Traps: the address behind a VPN user's name
//! in 302013 is a tunnel address, not a public one; `No Authentication Required` is no user; a blocked connection is
//! logged at its beginning only; ports may be names. Hot: these are most of what a firewall writes.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{self, after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::vpn::cisco_asa::message;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "asa_traffic",
    title: "Cisco ASA / FTD (connections)",
    row: Row::Firewall,
    gives: &[Act::Flow, Act::Alert],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["tunnel_user", "security_events", "named_ports"],
    manual: "Cisco Secure Firewall ASA Series Syslog Messages",
    enable: "logging trap informational; access lists with `log`; FTD: access control policy > Logging > send connection, intrusion and malware events to syslog, or the eNcore client",
    general: false,
    marks: &["%ASA", "%FTD", "%PIX", "%NGIPS", "|Cisco|Firepower|", "rec_type="],
    reader: Reader::Code {
        claim: |r| message(r).is_some_and(|(id, _)| is_traffic(id)) || is_encore(r),
        parse,
        join: None,
    },
};

/// A record of the eNcore client: CEF, or pairs that name the record's type.
fn is_encore(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Cef => {
            find(r.body.get(..r.body.len().min(60)).unwrap_or_default(), b"|Cisco|Firepower|").is_some()
        }
        Shape::Text => r.body.starts_with(b"rec_type=") || find(r.body, b" rec_type_simple=").is_some(),
        _ => false,
    }
}

pub(crate) fn is_traffic(id: u32) -> bool {
    matches!(
        id,
        106001..=106103
            | 302003..=302306
            | 303002
            | 304001..=304009
            | 305009..=305014
            | 313001..=313009
            | 338001..=338310
            | 400000..=400051
            | 401001..=401005
            | 419002
            | 430001..=430005
            | 500001..=500005
            | 609001
            | 609002
            | 710001..=710007
            | 733100..=733209
    )
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
        Some(slash) if port == 0 => (Ip::parse(&text[..slash]), service_port(&text[slash + 1..])),
        _ => (ip, port),
    }
}

/// A port, or the name that the firewall writes for it.
fn service_port(text: &[u8]) -> u16 {
    match text {
        b"ssh" => 22,
        b"telnet" => 23,
        b"http" | b"www" => 80,
        b"https" => 443,
        b"isakmp" => 500,
        digits => u16::try_from(number(digits)).unwrap_or(0),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((id, text)) = message(r) else { return encore(r, out) };
    match id {
        302013 | 302015 => built(r, text, out),
        302014 | 302016 | 302021 | 302018 | 302304 | 609002 => Parsed::Irrelevant(Kind::Repeats),
        106001
        | 106006
        | 106007
        | 106010..=106012
        | 106014
        | 106015
        | 106021..=106023
        | 106100
        | 106102
        | 106103
        | 710003
        | 710005 => denied(r, id, text, out),
        430002 | 430003 => connection(r, text, out),
        430001 | 430005 => threat(r, id, text, out),
        338001..=338008 => botnet(r, text, out),
        733101 | 733102 | 733200..=733209 => attacker(r, text, out),
        _ => Parsed::Irrelevant(Kind::Traffic),
    }
}

/// `…, FirstPacketSecond: 2026-03-03T09:00:00Z, …, AccessControlRuleAction: Block, SrcIP: 192.0.2.5, …`: 430002 at the
/// beginning, 430003 at the end of a connection, as the rule says; each tells the whole.
fn connection(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let [first, action, src, dst, sport, dport, user] = named(
        text,
        [
            b"FirstPacketSecond",
            b"AccessControlRuleAction",
            b"SrcIP",
            b"DstIP",
            b"SrcPort",
            b"DstPort",
            b"User",
        ],
    );
    let (src, dst) = (Ip::parse(src), Ip::parse(dst));
    let dport = u16::try_from(number(dport)).unwrap_or(0);
    let blocked = find(action, b"Block").is_some();
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, !blocked) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if blocked { Outcome::Failure } else { Outcome::Success })
        .at(first_packet(first, r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(somebody(user))
        .observer(r.host())
        .done()
}

/// Values of `Name: value, Name: value`. What the other side chose (names of pages, clients) stands behind the addresses,
/// so the first of a name counts.
fn named<'a, const N: usize>(text: &'a [u8], names: [&[u8]; N]) -> [&'a [u8]; N] {
    let mut found: [&[u8]; N] = [b""; N];
    let mut rest = text;
    while let Some(colon) = find(rest, b": ") {
        let value = rest.get(colon + 2..).unwrap_or_default();
        let end = match value.first() {
            Some(b'"') => value.get(1..).and_then(|v| memchr::memchr(b'"', v)).map_or(value.len(), |n| n + 2),
            _ => find(value, b", ").unwrap_or(value.len()),
        };
        if let Some(slot) =
            names.iter().position(|n| Some(*n) == rest.get(..colon)).and_then(|n| found.get_mut(n))
            && slot.is_empty()
        {
            *slot = value.get(..end).unwrap_or_default();
        }
        rest = value.get(end..).unwrap_or_default();
        rest = rest.strip_prefix(b", ").unwrap_or(rest);
    }
    found
}

fn first_packet(stamp: &[u8], r: &Record<'_>) -> Option<(portreeve_model::EventTime, Certainty)> {
    match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    }
}

/// A user, and none of the words that say that there is none.
fn somebody(user: &[u8]) -> &[u8] {
    match user {
        b"No Authentication Required" | b"No Authentication" | b"Not Found" | b"Unknown" => b"",
        user => user.strip_prefix(b"LOCAL\\").unwrap_or(user),
    }
}

/// Intrusion and malware events.
fn threat(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let [first, src, dst, dport, user, message, priority, disposition, name, file, result] = named(
        text,
        [
            b"FirstPacketSecond",
            b"SrcIP",
            b"DstIP",
            b"DstPort",
            b"User",
            b"Message",
            b"Priority",
            b"SHA_Disposition",
            b"ThreatName",
            b"FileName",
            b"InlineResult",
        ],
    );
    if id == 430005 && !matches!(disposition, b"Malware" | b"Custom Detection") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let severity = match (id, priority) {
        (430001, b"1" | b"high" | b"High") => 4,
        (430001, b"2" | b"medium" | b"Medium") => 3,
        (430001, _) => 2,
        _ => 4,
    };
    let title = if id == 430001 { message } else { name };
    let title = title.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(title);
    // What was blocked did not happen.
    let blocked = find(result, b"locked").is_some();
    out.event(Act::Alert, if blocked { Outcome::Failure } else { Outcome::Unknown })
        .at(first_packet(first, r))
        .service(Service::Firewall)
        .source_ip(Ip::parse(src))
        .destination_ip(Ip::parse(dst))
        .destination_port(u16::try_from(number(dport)).unwrap_or(0))
        .user(somebody(user))
        .detail(title)
        .target(file)
        .severity(severity)
        .observer(r.host())
        .done()
}

/// `Dynamic Filter monitored blacklisted TCP traffic from inside:10.20.7.3/50122 (…) to outside:203.0.113.66/443 (…),
/// destination 203.0.113.66 resolved from dynamic list: example.net, threat-level: very-high, category: Malware`.
fn botnet(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let from = after(text, b" from ", b" ").map_or((Ip::NONE, 0), endpoint);
    let (dst, dport) = after(text, b" to ", b" ").map_or((Ip::NONE, 0), endpoint);
    if from.0.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    let level = after(text, b"threat-level: ", b",").unwrap_or_default();
    out.event(Act::Alert, if find(text, b"dropped").is_some() { Outcome::Failure } else { Outcome::Unknown })
        .at(r.header_time())
        .service(Service::Firewall)
        .source_ip(from.0)
        .destination_ip(dst)
        .destination_port(dport)
        .target(after(text, b" list: ", b",").unwrap_or_default())
        .detail(text.get(..find(text, b" from ").unwrap_or(text.len())).unwrap_or_default())
        .severity(if find(level, b"high").is_some() { 4 } else { 3 })
        .observer(r.host())
        .done()
}

/// `Host 203.0.113.9 is attacking. …`, `Threat-detection adds host 203.0.113.9 to shun list`, `Threat-detection:
/// Service[remote-access-authentication] Peer[203.0.113.9]: failure threshold of 10 exceeded: adding shun …`.
fn attacker(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let ip = [(&b"Peer["[..], &b"]"[..]), (b"adds host ", b" "), (b"Host ", b" "), (b"Object ", b" ")]
        .into_iter()
        .filter_map(|(marker, end)| after(text, marker, end))
        .map(Ip::parse)
        .find(|ip| ip.is_some());
    // A target is no attacker.
    let Some(ip) = ip.filter(|_| find(text, b"targeted").is_none()) else {
        return Parsed::Irrelevant(Kind::Traffic);
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(r.header_time())
        .service(Service::Firewall)
        .source_ip(ip)
        .detail(text)
        .severity(2)
        .observer(r.host())
        .done()
}

/// Connections (record type 71) and intrusions (400) of the eNcore client.
fn encore(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut f: [&[u8]; 11] = [b""; 11];
    let mut set = |n: usize, value| {
        if let Some(slot) = f.get_mut(n).filter(|s| s.is_empty()) {
            *slot = value;
        }
    };
    if r.shape == Shape::Cef {
        let Some((head, extension)) = kv::cef(r.body) else {
            return Parsed::Broken(Why::Malformed("CEF"));
        };
        let [_, _, _, _, class, name, severity] = head;
        set(0, if class.starts_with(b"RNA:1003") || name == b"CONNECTION STATISTICS" { b"71" } else { b"" });
        if class.starts_with(b"[") || class.starts_with(b"INTRUSION") {
            set(0, b"400");
            set(8, name);
            set(9, if number(severity) >= 7 { b"high" } else { b"medium" });
        }
        for (key, value) in kv::cef_pairs(extension) {
            let at = match key {
                b"src" => 1,
                b"dst" => 2,
                b"spt" => 3,
                b"dpt" => 4,
                b"act" => 5,
                b"suser" | b"duser" => 6,
                b"rt" | b"start" => 7,
                b"dvchost" => 10,
                _ => continue,
            };
            set(at, value);
        }
    } else {
        for (key, value) in kv::pairs(r.body) {
            let at = match key {
                b"rec_type" => 0,
                b"src_ip" | b"initiator_ip" => 1,
                b"dest_ip" | b"responder_ip" => 2,
                b"src_port" | b"initiator_port" => 3,
                b"dest_port" | b"responder_port" => 4,
                b"fw_rule_action" | b"blocked" => 5,
                b"user" => 6,
                b"first_pkt_sec" | b"event_sec" => 7,
                b"msg" => 8,
                b"priority" => 9,
                b"sensor" => 10,
                _ => continue,
            };
            set(at, value);
        }
    }
    let [kind, src, dst, sport, dport, action, user, stamp, title, priority, sensor] = f;
    let (src, dst) = (Ip::parse(src), Ip::parse(dst));
    let dport = u16::try_from(number(dport)).unwrap_or(0);
    let blocked = find(action, b"lock").is_some() || matches!(action, b"Yes" | b"1");
    let at = clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time());
    let (act, outcome) = match kind {
        b"71" => {
            if let Some(kind) = worth(src, dst, dport, !blocked) {
                return Parsed::Irrelevant(kind);
            }
            (Act::Flow, if blocked { Outcome::Failure } else { Outcome::Success })
        }
        b"400" => (Act::Alert, if blocked { Outcome::Failure } else { Outcome::Unknown }),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    let severity = match (act, priority) {
        (Act::Flow, _) => 0,
        (_, b"high" | b"1") => 4,
        (_, b"low" | b"3") => 2,
        _ => 3,
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(somebody(user))
        .detail(title)
        .severity(severity)
        .observer(if sensor.is_empty() { r.host() } else { sensor })
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
    let mut user: &[u8] = b"";
    let ((src, sport), (dst, dport)) = match id {
        106010 | 106011 | 106014 | 106023 => {
            let (Some(src), Some(dst)) = (after(text, b" src ", b" dst "), after(text, b" dst ", b" "))
            else {
                return Parsed::Broken(Why::Missing("addresses"));
            };
            (endpoint(src), endpoint(dst))
        }
        106100 | 106102 | 106103 => {
            // `access-list X denied tcp outside/192.0.2.5(4411) -> inside/10.0.0.5(22) hit-cnt 1`; 106102 and 106103 put
            // `for user anna` before the addresses.
            if after(text, b" permitted ", b"").is_some() {
                return Parsed::Irrelevant(Kind::Traffic);
            }
            let Some(arrow) = find(text, b" -> ") else {
                return Parsed::Broken(Why::Missing("addresses"));
            };
            if let Some(named) = after(&text[..arrow], b" for user ", b"") {
                user = named.get(..memchr::memrchr(b' ', named).unwrap_or(0)).unwrap_or_default();
                user = user.strip_prefix(b"'").and_then(|u| u.strip_suffix(b"'")).unwrap_or(user);
            }
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
        .user(user)
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
