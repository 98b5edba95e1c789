//! The addresses of a case that may be told to others: never the company's own, never inner ones.

use crate::ids;
use crate::wire::{Case, Place};
use jiff::Timestamp;
use std::net::IpAddr;

pub(crate) struct Origin<'c> {
    pub(crate) ip: IpAddr,
    pub(crate) place: &'c Place,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// Suspect sessions from there, at least 1.
    pub(crate) sessions: u64,
    /// Others come from there as well: to block or to match it hits them.
    pub(crate) shared: bool,
}

impl Origin<'_> {
    /// Place and network in one line.
    pub(crate) fn says(&self) -> String {
        let p = self.place;
        let asn = if p.asn == 0 { String::new() } else { format!("AS{} {}", p.asn, p.as_name) };
        let network = if p.network == "unknown" { "" } else { p.network.as_str() };
        let parts = [p.city.as_str(), p.country.as_str(), asn.trim(), network];
        let mut text = parts.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", ");
        if self.shared {
            text.push_str(if text.is_empty() { "used by others too" } else { "; used by others too" });
        }
        text
    }
}

fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some_and(|v4| is_inner(v4.into()))
        }
    }
}

/// In the order of the case.
pub(crate) fn of(case: &Case) -> Vec<Origin<'_>> {
    let mut all: Vec<Origin<'_>> = Vec::new();
    for source in &case.sources {
        let Ok(ip) = source.ip.parse::<IpAddr>() else { continue };
        if is_inner(ip) || source.place.network == "own network" || all.iter().any(|o| o.ip == ip) {
            continue;
        }
        let from_there: Vec<_> =
            case.sessions.iter().filter(|s| s.suspect && s.public_ips.contains(&source.ip)).collect();
        let starts = from_there.iter().filter_map(|s| ids::time(&s.start));
        let ends = from_there.iter().filter_map(|s| ids::time(s.end.as_deref().unwrap_or(&s.start)));
        let first = starts.min().unwrap_or_else(|| ids::first_seen(case));
        let others =
            case.containment.iter().filter(|a| a.subject.address == source.ip).map(|a| a.subject.others);
        all.push(Origin {
            ip,
            place: &source.place,
            first,
            last: ends.max().unwrap_or_else(|| ids::last_seen(case)).max(first),
            sessions: from_there.len().max(1) as u64,
            shared: others.max().unwrap_or(0) > 0 || source.place.network == "mobile",
        });
    }
    all
}
