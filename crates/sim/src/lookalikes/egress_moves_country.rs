//! For a day a cloud proxy serves an office through a node in another country.

use crate::gazetteer::NetworkKind;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let people: Vec<usize> = (0..12)
        .filter_map(|_| scene.cast(|p| p.office == 1 && p.admin.is_none() && !p.aws))
        .take(6)
        .collect();
    if people.is_empty() {
        return None;
    }
    let day = scene.day(1);
    let ip = scene.in_city("Amsterdam", NetworkKind::Relay);
    let mark = scene.mark();
    for id in &people {
        scene.bend(*id, day, Bent { presence: Presence::Office, ip: Some(ip), mark, ..Bent::default() });
    }
    let block = scene.pen.company.plan.block_of(ip).map(|b| b.cidr())?;
    scene.extra.egress.push([block, "Cloud proxy, Amsterdam node".to_owned()]);
    let mut incident = Incident::look_alike(
        "egress_moves_country",
        "network",
        "all of an office leaves through a node of its cloud proxy in another country",
    )
    .from(ip)
    .accept("ip_seen_before", ANY_ANSWER)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER);
    incident.people = people;
    incident.shared.push(ip);
    incident.needs_context.push("egress.csv");
    Some(incident)
}
