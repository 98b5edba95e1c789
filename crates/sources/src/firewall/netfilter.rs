//! Linux packet filter: what iptables, nftables, ufw, firewalld, Shorewall, VyOS and UniFi log through the kernel.
//!
//! Read from: iptables-extensions(8) "LOG", nft(8) "log", ufw(8), the VyOS and UniFi firewall guides. Traps: the kernel
//! says nothing of what the rule did, only its prefix does, and that is the administrator's own words; the packet inside
//! an ICMP error stands behind the outer one in brackets; a description may speak of blocking where the rule accepts.

use crate::decode::find::find;
use crate::decode::kv::after;
use crate::emit::Emit;
use crate::flows::{Flow, port};
use crate::record::Record;
use crate::source::{Field, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};

pub static SOURCE: Source = Source {
    name: "netfilter",
    title: "Linux netfilter (iptables, nftables, ufw, firewalld, UniFi, VyOS)",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[
        Field::User,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["prefix_decides", "inner_packet"],
    manual: "iptables-extensions(8), LOG target; nft(8), log statement; ufw(8)",
    enable: "a LOG rule with --log-prefix that names what the next rule does (`ACCEPT `, `DROP `) before the rules of remote access; ufw logging medium",
    general: false,
    marks: &[" SRC="],
    reader: Reader::Code { claim: |r| outer(r.body).is_some(), parse, join: None },
};

/// Where `IN=`, ` OUT=` and ` SRC=` of the outer packet stand.
fn outer(body: &[u8]) -> Option<(usize, usize)> {
    let src = find(body, b" SRC=")?;
    let out = find(&body[..src], b"OUT=")?;
    let at = memchr::memmem::rfind(&body[..out], b"IN=")?;
    Some((at, src))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((at, src)) = outer(r.body) else { return Parsed::NotMine };
    let packet = &r.body[src..];
    // An ICMP error quotes the packet that it answers: `[SRC=…]`.
    let packet = &packet[..find(packet, b" [SRC=").unwrap_or(packet.len())];
    let (from, to) = (
        after(packet, b" SRC=", b" ").unwrap_or_default(),
        after(packet, b" DST=", b" ").unwrap_or_default(),
    );
    let (src, dst) = (Ip::parse(from), Ip::parse(to));
    if to.is_empty() {
        return Parsed::Broken(Why::Missing("destination"));
    }
    Flow {
        time: r.header_time(),
        outcome: verdict(&r.body[..at]),
        src,
        dst,
        sport: after(packet, b" SPT=", b" ").map_or(0, port),
        dport: after(packet, b" DPT=", b" ").map_or(0, port),
        observer: r.host(),
        ..Flow::default()
    }
    .tell(out)
}

/// What the prefix says that the rule does; the last word that says anything counts.
fn verdict(head: &[u8]) -> Outcome {
    // UniFi's description is free text; the chain and the verdict stand before it.
    let head = &head[..find(head, b" DESCR=").unwrap_or(head.len())];
    let mut found = Outcome::Unknown;
    for word in head.split(|b| !b.is_ascii_alphabetic()).filter(|w| !w.is_empty()) {
        const DENIED: [&[u8]; 9] = [
            b"DROP",
            b"DROPPED",
            b"BLOCK",
            b"BLOCKED",
            b"DENY",
            b"DENIED",
            b"REJECT",
            b"REJECTED",
            b"REFUSED",
        ];
        const ALLOWED: [&[u8]; 7] =
            [b"ACCEPT", b"ACCEPTED", b"ALLOW", b"ALLOWED", b"PASS", b"PERMIT", b"PERMITTED"];
        let any = |list: &[&[u8]]| list.iter().any(|w| word.eq_ignore_ascii_case(w));
        // VyOS and UniFi end the chain's name with one letter.
        if any(&DENIED) || matches!(word, b"D" | b"R") {
            found = Outcome::Failure;
        } else if any(&ALLOWED) || word == b"A" {
            found = Outcome::Success;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_many_hands() {
        let cases: [(&[u8], Outcome); 12] = [
            (b"[  203.842973] [UFW BLOCK] ", Outcome::Failure),
            (b"[UFW ALLOW] ", Outcome::Success),
            (b"[UFW AUDIT] ", Outcome::Unknown),
            (b"Shorewall:net2fw:DROP:", Outcome::Failure),
            (b"[WAN_LOCAL-A-2147483647] DESCR=\"[WAN_LOCAL]Block all\" ", Outcome::Success),
            (b"[ipv4-INP-filter-20-D]", Outcome::Failure),
            (b"filter_IN_public_REJECT: ", Outcome::Failure),
            (b"Firewall: *TCP_IN Blocked* ", Outcome::Failure),
            (b"IPTABLES-DROP: ", Outcome::Failure),
            (b"FWD ACCEPT ", Outcome::Success),
            (b"[50028442.088484] ", Outcome::Unknown),
            (b"", Outcome::Unknown),
        ];
        for (head, want) in cases {
            assert_eq!(verdict(head), want, "{}", String::from_utf8_lossy(head));
        }
    }
}
