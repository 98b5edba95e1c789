//! Juniper EX and QFX switches: 802.1X and MAC RADIUS sessions, and what port security refuses.
//!
//! Read from: Junos OS System Log Explorer (DOT1XD, L2ALD, ESWD, DAI, DHCPD). Traps: a MAC RADIUS user is the hardware
//! address and no person; a session that is deleted is the end of one that was told before.

use crate::decode::find::find;
use crate::decode::kv::{after, number, pairs, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::vpn::juniper_srx::{message, when};
use portreeve_model::event::{Act, Mac, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "juniper_ex",
    title: "Juniper EX / QFX (802.1X, port security)",
    row: Row::Vlan,
    gives: &[Act::Nac],
    lacks: &[
        Field::SourceIp,
        Field::TunnelIp,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["mac_radius"],
    manual: "Junos OS: System Log Explorer (DOT1XD, L2ALD, ESWD)",
    enable: "set system syslog host … daemon info; set protocols dot1x authenticator …; accounting is not needed",
    general: false,
    marks: &["DOT1XD_", "L2ALD_", "ESWD_", "DAI_"],
    reader: Reader::Code {
        claim: |r| {
            message(r).is_some_and(|m| {
                [&b"DOT1XD_"[..], b"L2ALD_", b"ESWD_", b"DAI_"].iter().any(|f| m.tag.starts_with(f))
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(m) = message(r) else { return Parsed::NotMine };
    let outcome = match m.tag {
        b"DOT1XD_USR_AUTHENTICATED" | b"DOT1XD_USR_LOGGED_IN" => Outcome::Success,
        b"DOT1XD_USR_ACCESS_DENIED" | b"DOT1XD_USR_UNAUTHENTICATED" | b"DOT1XD_USR_AUTH_FAILED" => {
            Outcome::Failure
        }
        b"DOT1XD_USR_SESSION_DISCONNECTED" | b"DOT1XD_AUTH_SESSION_DELETED" | b"DOT1XD_USR_LOGGED_OFF" => {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        // More or other hardware at a port than it may have.
        t if t.starts_with(b"L2ALD_MAC_LIMIT") || t.starts_with(b"L2ALD_MAC_MOVE") => Outcome::Failure,
        b"ESWD_DAI_FAILED" | b"DAI_ARP_PACKET_DROPPED" | b"ESWD_DHCP_UNTRUSTED" => Outcome::Failure,
        t if t.starts_with(b"ESWD_MAC_LIMIT") => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let (mut user, mut mac, mut port, mut vlan) = (&b""[..], &b""[..], &b""[..], &b""[..]);
    if m.structured {
        for (key, value) in pairs(m.rest) {
            match key {
                b"username" | b"user-name" => user = value,
                b"mac-address" | b"macaddress" | b"client-mac-address" => mac = value,
                b"interface-name" | b"ifname" => port = value,
                b"vlan-name" | b"vlan" => vlan = value,
                _ => {}
            }
        }
    } else {
        // `Dot1x User anna logged in MacAddress 00:11:… interface ge-0/0/5.0 vlan employees`: the name is what the other
        // side says, so the rest is looked for behind the last of its words.
        let text = m.rest;
        let last = |marker: &[u8]| {
            memchr::memmem::rfind(text, marker).map_or(&b""[..], |n| word(&text[n + marker.len()..]).0)
        };
        user = after(text, b"User ", b" ").unwrap_or_default();
        mac =
            [last(b" MacAddress "), last(b" mac address "), last(b"sender ip/mac "), last(b" MAC address ")]
                .into_iter()
                .find(|m| !m.is_empty())
                .unwrap_or_default();
        mac = mac.rsplit(|b| *b == b'/').next().unwrap_or_default();
        port = [last(b" interface "), last(b" for "), last(b" on ")]
            .into_iter()
            .find(|p| p.contains(&b'/'))
            .unwrap_or_default();
        vlan = last(b" vlan ");
    }
    let trim = |t: &'static [u8]| move |b: &u8| t.contains(b);
    let cut = |text: &'_ [u8]| text.iter().position(trim(b",;[]")).unwrap_or(text.len());
    let (port, vlan, mac) = (&port[..cut(port)], &vlan[..cut(vlan)], &mac[..cut(mac)]);
    if port.is_empty() && mac.is_empty() {
        return Parsed::Broken(Why::Missing("port"));
    }
    let dot1x = m.tag.starts_with(b"DOT1XD_");
    let by_mac = dot1x
        && (find(m.rest, b"MAC-RADIUS").is_some()
            || find(m.rest, b"Mac-Radius").is_some()
            || (Mac::parse(user).is_some() && Mac::parse(user) == Mac::parse(mac)));
    // `employees(20)`, `20`, `employees`.
    let id = memchr::memchr(b'(', vlan).map_or(vlan, |n| &vlan[n + 1..]);
    out.event(Act::Nac, outcome)
        .at(when(r))
        .service(Service::Wired)
        .user(if by_mac { b"" } else { user })
        .mac(mac)
        .vlan(u16::try_from(number(id)).unwrap_or(0))
        .group(port)
        .detail(if dot1x { vlan } else { m.tag })
        .method(match (dot1x, by_mac) {
            (false, _) => Method::Unknown,
            (true, true) => Method::Mab,
            (true, false) => Method::Dot1x,
        })
        .reason(if outcome == Outcome::Failure { Reason::NotAllowed } else { Reason::None })
        .observer(r.host())
        .done()
}
