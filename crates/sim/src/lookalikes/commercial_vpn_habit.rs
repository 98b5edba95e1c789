//! Somebody has always connected through the same commercial VPN, whose exits change country from day to day.

use crate::gazetteer::NetworkKind;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none() && p.department == "Engineering" && !p.aws)?;
    let mark = scene.mark();
    let begin = scene.first_day();
    let mut incident = Incident::look_alike(
        "commercial_vpn_habit",
        "network",
        "has always connected through the same commercial VPN; exits change country",
    )
    .person(id)
    .accept("ip_seen_before", ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER);
    let exits: Vec<_> = (0..5).map(|_| scene.abroad(NetworkKind::CommercialVpn)).collect();
    for day in 0..i64::from(scene.plan.days) {
        let ip = *scene.pen.rng.pick(&exits);
        // What happened before counts as history, not as the look-alike.
        let mark = if day >= begin { mark } else { None };
        if scene.pen.rng.chance(0.6) {
            scene.bend(id, day, Bent { presence: Presence::Remote, ip: Some(ip), mark, ..Bent::default() });
        }
    }
    incident.ips = exits;
    incident.ips.sort_unstable();
    incident.ips.dedup();
    Some(incident)
}
