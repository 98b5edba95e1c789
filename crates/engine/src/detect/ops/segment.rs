//! VLAN, 802.1X and addresses in the wrong place.

use super::SegmentTrouble;
use crate::detect::{Finding, Subject, Verdict};
use crate::fold::principal::NacSeen;
use portreeve_model::event::{Method, Service};
use portreeve_model::time::HOUR_US;

pub(super) fn trouble(s: &Subject<'_>, trouble: SegmentTrouble) -> Verdict {
    if !matches!(s.session.service, Service::Wired | Service::Wireless) {
        return Verdict::Silent;
    }
    let (from, to) = (s.session.start.minus(HOUR_US), s.session.end_or_last());
    let of_session = |n: &&NacSeen| from <= n.time && n.time <= to;
    let records: Vec<&NacSeen> = s.dossier.nac.iter().filter(of_session).collect();
    let found = match trouble {
        SegmentTrouble::PoolAddressMisplaced => {
            records.iter().find(|n| n.ip.is_some() && s.engine.context.vpn_pool(n.ip).is_some())
        }
        SegmentTrouble::ForbiddenVlan => records.iter().find(|n| {
            n.vlan != 0 && s.engine.context.vlan_admits(n.vlan, s.account.department) == Some(false)
        }),
        SegmentTrouble::FirstVlan => records.iter().find(|n| {
            n.vlan != 0
                && !s.dossier.vlans.get(&n.vlan).is_some_and(|u| u.before(from, &|_| false))
                && s.dossier.vlans.len() > 1
        }),
        SegmentTrouble::MabReplacesDot1x => records.iter().find(|n| {
            n.method == Method::Mab
                && s.dossier.nac.iter().any(|o| o.time < from && o.mac == n.mac && o.method == Method::Dot1x)
        }),
    };
    let Some(nac) = found else { return Verdict::Silent };
    let facts = vec![
        ("vlan", nac.vlan.to_string()),
        ("address", nac.ip.to_string()),
        ("switch", s.text(nac.observer)),
        ("port", s.text(nac.port)),
        ("mac", nac.mac.to_string()),
    ];
    Verdict::Fires(Finding::with(facts, vec![nac.evidence]).at(nac.time))
}
