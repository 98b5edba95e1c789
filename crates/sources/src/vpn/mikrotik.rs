//! MikroTik RouterOS: PPP tunnels (L2TP, SSTP, PPTP, OVPN), IPsec, administrators, firewall rules that log.
//!
//! Read from: MikroTik documentation "Log", "PPP AAA", "IPsec", "Firewall filter". Traps: the topics are the only mark of
//! a line; account lines count seconds and bytes without names; a firewall line says which chain and not what became of
//! the packet, only the prefix that an administrator chose may; `logged in` of a tunnel and of an administrator differ by
//! one word; IPsec of sites authorizes peers too.

use crate::decode::clock::epoch;
use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, cef, cef_pairs, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "mikrotik",
    title: "MikroTik RouterOS",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::IpAssign, Act::SessionEnd, Act::Admin, Act::Config, Act::Account, Act::Flow],
    lacks: &[Field::Device, Field::Mfa, Field::SessionId],
    traps: &["two_logins", "firewall_prefix", "cef"],
    manual: "MikroTik documentation: Log; PPP AAA; IPsec",
    enable: "/system logging add topics=info action=remote; also error, critical, account, l2tp, sstp, ovpn, ipsec, firewall; log=yes and log-prefix=\"drop …\" on filter rules",
    general: false,
    marks: &[
        "system,",
        "ppp,",
        "l2tp,",
        "sstp,",
        "pptp,",
        "ovpn,",
        "ipsec,",
        "firewall,",
        "account,",
        "interface,",
        "dhcp,",
        "wireless,",
        "MikroTik",
        "logged in",
        ", proto ",
    ],
    reader: Reader::Code { claim: |r| split(r).is_some(), parse, join: None },
};

/// Topics as RouterOS has them.
fn is_topic(word: &[u8]) -> bool {
    matches!(
        word,
        b"system"
            | b"ppp"
            | b"l2tp"
            | b"sstp"
            | b"pptp"
            | b"ovpn"
            | b"ipsec"
            | b"firewall"
            | b"account"
            | b"interface"
            | b"dhcp"
            | b"wireless"
            | b"info"
            | b"error"
            | b"critical"
            | b"warning"
            | b"debug"
            | b"hotspot"
            | b"radius"
            | b"script"
            | b"pppoe"
            | b"wireguard"
            | b"dns"
            | b"route"
            | b"ospf"
            | b"bgp"
            | b"certificate"
            | b"manager"
            | b"backup"
            | b"event"
            | b"packet"
            | b"raw"
            | b"web-proxy"
            | b"caps"
            | b"bridge"
            | b"ssh"
            | b"telephony"
            | b"watchdog"
            | b"ntp"
            | b"upnp"
            | b"e-mail"
            | b"stp"
            | b"vrrp"
    )
}

/// Topics and message.
fn split<'a>(r: &Record<'a>) -> Option<(&'a [u8], &'a [u8])> {
    match r.shape {
        Shape::Cef => {
            let (head, extension) = cef(r.body)?;
            if head[1] != b"MikroTik" {
                return None;
            }
            let text = cef_pairs(extension).find(|(k, _)| *k == b"msg").map_or(&b""[..], |(_, v)| v);
            Some((head[5], text))
        }
        Shape::Text => {
            // Without topics a rule's chain stands where a program would.
            if matches!(r.header.program, b"forward" | b"input" | b"output" | b"prerouting")
                && r.body.starts_with(b"in:")
            {
                return Some((b"firewall", r.body));
            }
            let (first, rest) = word(r.body);
            let topics = first.strip_suffix(b":").unwrap_or(first);
            if memchr::memchr(b',', topics).is_some() {
                let known = topics.split(|b| *b == b',').all(is_topic);
                return (known && !rest.is_empty()).then_some((topics, rest));
            }
            // A firewall rule without topics: `drop-wan input: in:ether1 out:(unknown 0), …, proto TCP (SYN), a->b, len 60`.
            let head = &r.body[..r.body.len().min(120)];
            (find(head, b": in:").is_some()
                && find(r.body, b", proto ").is_some()
                && find(r.body, b"->").is_some())
            .then_some((&b"firewall"[..], r.body))
        }
        _ => None,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((topics, text)) = split(r) else { return Parsed::NotMine };
    let topic = |t: &[u8]| topics.split(|b| *b == b',').any(|w| w == t);
    if topic(b"firewall") {
        return firewall(r, text, out);
    }
    if topic(b"debug") || topic(b"packet") || topic(b"dhcp") || topic(b"wireless") || topic(b"dns") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if topic(b"system") {
        return system(r, topics, text, out);
    }
    if topic(b"ppp")
        || topic(b"pppoe")
        || topic(b"l2tp")
        || topic(b"sstp")
        || topic(b"pptp")
        || topic(b"ovpn")
    {
        return tunnel(r, topics, text, out);
    }
    if topic(b"ipsec") {
        return ipsec(r, text, out);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn base<'e>(e: EventBuilder<'e>, r: &Record<'_>) -> EventBuilder<'e> {
    let sent = || -> Option<(EventTime, Certainty)> {
        let (_, extension) = cef(r.body).filter(|_| r.shape == Shape::Cef)?;
        let (_, at) = cef_pairs(extension).find(|(k, _)| *k == b"rt")?;
        epoch(at).map(|t| (t, Certainty::Exact))
    };
    e.at(r.header_time().or_else(sent)).observer(r.host())
}

/// `user anna logged in from 192.0.2.9 via winbox`, `login failure for user anna from 192.0.2.9 via ssh`, changes.
fn system(r: &Record<'_>, topics: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    // Whoever knocks chose the name; the last ` via ` and the ` from ` before it are the router's own.
    let end = memchr::memmem::rfind(text, b" via ");
    let via = end.map_or(&b""[..], |n| word(&text[n + 5..]).0);
    let head = &text[..end.unwrap_or(text.len())];
    let at = memchr::memmem::rfind(head, b" from ");
    let from = at.map_or(&b""[..], |n| word(&head[n + 6..]).0);
    let who = &head[..at.unwrap_or(head.len())];
    if let Some(user) = who.strip_prefix(b"login failure for user ") {
        return base(out.event(Act::Admin, Outcome::Failure), r)
            .service(Service::Management)
            .user(user)
            .source(from)
            .client(via)
            .reason(Reason::BadPassword)
            .done();
    }
    if let Some(rest) = who.strip_prefix(b"user ")
        && find(topics, b"account").is_some()
    {
        if let Some(user) = rest.strip_suffix(b" logged in") {
            return base(out.event(Act::Admin, Outcome::Success), r)
                .service(Service::Management)
                .user(user)
                .source(from)
                .client(via)
                .done();
        }
        return Parsed::housekeeping_if(rest.ends_with(b" logged out"));
    }
    // `user bruno added by anna`, `filter rule changed by winbox-3.41/tcp-msg(winbox):anna@192.0.2.9/action:…`.
    let Some(by) = memchr::memmem::rfind(text, b" by ") else {
        let known =
            begins_with(text, &[b"router rebooted", b"router was rebooted", b"installed ", b"fixed clock"]);
        return Parsed::housekeeping_if(known);
    };
    let (what, actor) = (&text[..by], &text[by + 4..]);
    let (name, source) = match find(actor, b"):") {
        Some(n) => {
            let inner = actor[n + 2..].split(|b| *b == b'/').next().unwrap_or_default();
            match memchr::memrchr(b'@', inner) {
                Some(at) => (&inner[..at], &inner[at + 1..]),
                None => (inner, &b""[..]),
            }
        }
        None => (word(actor).0, &b""[..]),
    };
    let verb = what.rsplit(|b| *b == b' ').next().unwrap_or_default();
    if !matches!(
        verb,
        b"added"
            | b"changed"
            | b"removed"
            | b"moved"
            | b"saved"
            | b"exported"
            | b"reset"
            | b"enabled"
            | b"disabled"
    ) {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let starts = |t: &[u8]| what.starts_with(t);
    let (act, change) = match verb {
        b"added" if starts(b"user ") => (Act::Account, Change::AdminCreated),
        b"removed" if starts(b"user ") => (Act::Account, Change::AccountDeleted),
        b"added" if starts(b"ppp secret") || starts(b"PPP secret") => {
            (Act::Account, Change::LocalUserCreated)
        }
        b"saved" | b"exported" => (Act::Config, Change::ConfigExported),
        b"removed" | b"disabled" if starts(b"log rule") || starts(b"log action") => {
            (Act::Config, Change::LoggingStopped)
        }
        _ if starts(b"filter rule") || starts(b"nat rule") || starts(b"user ") || starts(b"ppp ") => {
            (Act::Config, Change::PolicyChanged)
        }
        _ => (Act::Config, Change::ConfigChanged),
    };
    let target = what.strip_prefix(b"user ").or_else(|| after(what, b"ecret ", b"")).unwrap_or_default();
    let target = target.strip_suffix(verb).unwrap_or(target).trim_ascii();
    let target = target.strip_prefix(b"<").and_then(|t| t.strip_suffix(b">")).unwrap_or(target);
    base(out.event(act, Outcome::Success), r)
        .service(Service::Management)
        .change(change)
        .user(name)
        .target(if act == Act::Account { target } else { b"" })
        .source(source)
        .detail(what)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `anna logged in, 10.8.0.7 from 192.0.2.9`, `anna logged out, 3601 45100 902100 120 340 from 192.0.2.9`,
/// `<192.0.2.66>: user anna authentication failed`.
fn tunnel(r: &Record<'_>, topics: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let group = topics.split(|b| *b == b',').next().unwrap_or_default();
    if let Some(at) = memchr::memmem::rfind(text, b" authentication failed") {
        let head = &text[..at];
        let user = find(head, b": user ").map(|n| &head[n + 7..]).or_else(|| head.strip_prefix(b"user "));
        let peer = after(text, b"<", b">").unwrap_or_default();
        return base(out.event(Act::Auth, Outcome::Failure), r)
            .service(Service::Vpn)
            .user(user.unwrap_or_default())
            .source(peer)
            .group(group)
            .reason(Reason::BadPassword)
            .done();
    }
    for (marker, act) in [(&b" logged in, "[..], Act::IpAssign), (b" logged out, ", Act::SessionEnd)] {
        let Some(at) = memchr::memmem::rfind(text, marker) else { continue };
        let rest = &text[at + marker.len()..];
        let from = after(rest, b"from ", b"").map_or(&b""[..], |f| word(f).0);
        let mut numbers = rest.split(|b| *b == b' ');
        let first = numbers.next().unwrap_or_default();
        let mut next = || numbers.next().map_or(0, number);
        let e = base(out.event(act, Outcome::Success), r)
            .service(Service::Vpn)
            .user(&text[..at])
            .source(from)
            .group(group);
        return if act == Act::IpAssign {
            e.tunnel(first).done()
        } else {
            let (received, sent) = (next(), next());
            e.duration_s(u32::try_from(number(first)).unwrap_or(u32::MAX)).bytes(received, sent).done()
        };
    }
    if find(text, b"first L2TP UDP packet").is_some() || find(text, b"connection established from").is_some()
    {
        return Parsed::Irrelevant(Kind::Transport);
    }
    // `<l2tp-anna>: authenticated`, and its steps.
    let steps = [&b"authenticated"[..], b"connected", b"disconnected", b"terminating...", b"initializing..."];
    Parsed::housekeeping_if(steps.iter().any(|s| find(text, s).is_some()))
}

/// `acquired 10.8.0.7 address for 192.0.2.9, anna`, `EAP failed: …`, `peer authorized: …`.
fn ipsec(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    if let Some(rest) = text.strip_prefix(b"acquired ") {
        let (tunnel, rest) = word(rest);
        let rest = rest.strip_prefix(b"address for ").unwrap_or(rest);
        let comma = find(rest, b", ").unwrap_or(rest.len());
        return base(out.event(Act::IpAssign, Outcome::Success), r)
            .service(Service::Vpn)
            .user(rest.get(comma + 2..).unwrap_or_default())
            .source(&rest[..comma])
            .tunnel(tunnel)
            .group(b"ipsec")
            .done();
    }
    // `releasing address 10.8.0.9`: who held it is known from when it was given.
    if let Some(tunnel) = text.strip_prefix(b"releasing address ") {
        return base(out.event(Act::SessionEnd, Outcome::Success), r)
            .service(Service::Vpn)
            .tunnel(word(tunnel).0)
            .group(b"ipsec")
            .done();
    }
    let failed = text.starts_with(b"EAP failed")
        || find(text, b"XAuth failed").is_some()
        || find(text, b"identity not found").is_some()
        || find(text, b"eer failed to authorize").is_some();
    if failed {
        let part = |m: &[u8]| after(text, m, b"").map_or(&b""[..], |t| word(t).0);
        let user = [part(b"user: "), part(b"failed: "), part(b"peer: ")].into_iter().find(|u| !u.is_empty());
        let user = user.unwrap_or_default();
        let from = after(text, b"<=>", b"[").or_else(|| after(text, b" from ", b"[")).unwrap_or_default();
        return base(out.event(Act::Auth, Outcome::Failure), r)
            .service(Service::Vpn)
            .user(if Ip::parse(user).is_some() { b"" } else { user })
            .source(from)
            .group(b"ipsec")
            .reason(Reason::BadPassword)
            .done();
    }
    Parsed::Irrelevant(Kind::Transport)
}

/// `drop-wan input: in:ether1 out:(unknown 0), connection-state:new src-mac …, proto TCP (SYN), 192.0.2.45:40001->198.51.100.1:22, len 60`.
fn firewall(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(arrow) = find(text, b"->") else { return Parsed::Broken(Why::Missing("addresses")) };
    let left = text[..arrow].rsplit(|b| *b == b' ').next().unwrap_or_default();
    let right = word(&text[arrow + 2..]).0;
    let right = right.strip_suffix(b",").unwrap_or(right);
    let ((src, sport), (dst, dport)) = (Ip::parse_with_port(left), Ip::parse_with_port(right));
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, true) {
        return Parsed::Irrelevant(kind);
    }
    // The prefix is what the administrator calls the rule; without one that tells, nobody knows what became of it.
    let prefix = &text[..find(text, b": in:").unwrap_or(0)];
    let lower = prefix.to_ascii_lowercase();
    let says = |words: &[&[u8]]| words.iter().any(|w| find(&lower, w).is_some());
    let outcome = if says(&[b"drop", b"deny", b"denied", b"reject", b"block"]) {
        Outcome::Failure
    } else if says(&[b"accept", b"allow", b"permit"]) {
        Outcome::Success
    } else {
        return Parsed::Irrelevant(Kind::Traffic);
    };
    base(out.event(Act::Flow, outcome), r)
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .group(word(prefix).0)
        .done()
}
