//! A connection as firewalls, cloud networks and sensors report it, and what of it matters.

use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::{is_remote_port, worth};
use crate::source::{Kind, Parsed};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::{Certainty, EventTime};

/// One connection, allowed or denied.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flow<'a> {
    pub(crate) time: Option<(EventTime, Certainty)>,
    /// Success: let through. Failure: dropped, rejected or unanswered.
    pub(crate) outcome: Outcome,
    pub(crate) src: Ip,
    pub(crate) sport: u16,
    pub(crate) dst: Ip,
    pub(crate) dport: u16,
    /// From the one who opened it, and back.
    pub(crate) bytes: (u64, u64),
    pub(crate) duration_s: u32,
    pub(crate) repeat: u16,
    pub(crate) user: &'a [u8],
    pub(crate) observer: &'a [u8],
    pub(crate) host: &'a [u8],
    /// The rule that decided.
    pub(crate) rule: &'a [u8],
}

/// The ends of a record and when it was.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub(crate) time: Option<(EventTime, Certainty)>,
    pub(crate) src: Ip,
    pub(crate) sport: u16,
    pub(crate) dst: Ip,
    pub(crate) dport: u16,
    pub(crate) dst_text: &'a [u8],
    pub(crate) observer: &'a [u8],
}

impl Ends<'_> {
    /// An event with the ends and the time of this record.
    pub(crate) fn event<'e>(&self, out: &'e mut Emit<'_>, act: Act, outcome: Outcome) -> EventBuilder<'e> {
        out.event(act, outcome)
            .at(self.time)
            .source_ip(self.src)
            .source_port(self.sport)
            .destination_ip(self.dst)
            .destination_port(self.dport)
            .observer(self.observer)
    }

    /// The record as a connection.
    pub(crate) fn flow(&self, outcome: Outcome) -> Flow<'_> {
        Flow {
            time: self.time,
            outcome,
            src: self.src,
            sport: self.sport,
            dst: self.dst,
            dport: self.dport,
            observer: self.observer,
            ..Flow::default()
        }
    }
}

impl Flow<'_> {
    /// Why it is of no concern, if it is of none.
    pub(crate) fn dull(&self) -> Option<Kind> {
        if self.src.is_none() || self.dst.is_none() {
            return Some(Kind::Traffic);
        }
        // Broadcast, multicast and the talk that holds a network together are nobody's access.
        if is_group(self.dst) || is_chatter(self.dport) {
            return Some(Kind::Traffic);
        }
        worth(self.src, self.dst, self.dport, self.outcome == Outcome::Success)
    }

    /// Hands it over where it matters.
    pub(crate) fn tell(&self, out: &mut Emit<'_>) -> Parsed {
        if let Some(kind) = self.dull() {
            return Parsed::Irrelevant(kind);
        }
        out.event(Act::Flow, self.outcome)
            .at(self.time)
            .service(Service::Firewall)
            .source_ip(self.src)
            .source_port(self.sport)
            .destination_ip(self.dst)
            .destination_port(self.dport)
            .bytes(self.bytes.0, self.bytes.1)
            .duration_s(self.duration_s)
            .repeat(self.repeat)
            .user(self.user)
            .observer(self.observer)
            .host(self.host)
            .group(self.rule)
            .done()
    }
}

/// 224.0.0.0/4, 255.255.255.255, ff00::/8.
fn is_group(ip: Ip) -> bool {
    match ip.to_std() {
        std::net::IpAddr::V4(v4) => v4.octets().first().is_some_and(|a| *a >= 224),
        std::net::IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Name lookups, leases, clocks and announcements.
fn is_chatter(port: u16) -> bool {
    matches!(port, 53 | 67 | 68 | 123 | 137 | 138 | 546 | 547 | 1900 | 3702 | 5353 | 5355)
}

/// The answering half of a connection, where a network reports both halves as flows of their own: from the port of a
/// service to a port that nothing listens on.
pub(crate) fn is_answer(sport: u16, dport: u16) -> bool {
    (is_remote_port(sport) || (1..1024).contains(&sport)) && dport >= 1024 && !is_remote_port(dport)
}

/// Digits, a fraction behind them ignored, to a port; 0 for anything else.
pub(crate) fn port(text: &[u8]) -> u16 {
    u16::try_from(crate::decode::kv::number(text)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_from_a_service() {
        assert!(is_answer(22, 50_000) && is_answer(3389, 50_000) && is_answer(53, 40_000));
        assert!(!is_answer(50_000, 22) && !is_answer(500, 500) && !is_answer(40_000, 50_000));
    }

    #[test]
    fn only_what_reaches_in_matters() {
        let at = |src: &str, dst: &str, dport| Flow {
            src: Ip::parse(src.as_bytes()),
            dst: Ip::parse(dst.as_bytes()),
            dport,
            ..Flow::default()
        };
        assert_eq!(at("198.51.100.7", "10.0.0.5", 3389).dull(), None);
        assert_eq!(at("10.0.0.5", "10.0.0.6", 9999).dull(), None);
        assert_eq!(at("10.0.0.5", "198.51.100.7", 443).dull(), Some(Kind::OutboundTraffic));
        assert_eq!(at("10.0.0.5", "224.0.0.251", 5353).dull(), Some(Kind::Traffic));
        assert_eq!(at("10.0.0.5", "10.0.0.255", 137).dull(), Some(Kind::Traffic));
        assert_eq!(at("10.0.0.5", "", 22).dull(), Some(Kind::Traffic));
    }
}
