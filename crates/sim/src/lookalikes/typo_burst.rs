//! Caps lock: many wrong passwords within minutes from the own home, then success with push.

use crate::days;
use crate::incident::{Incident, YES_OR_UNKNOWN};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none())?;
    let day = scene.day(1);
    let mark = scene.mark();
    let typos = 7 + scene.pen.rng.below(5) as u32;
    scene.bend(id, day, Bent { presence: Presence::Remote, typos, mark, ..Bent::default() });
    let person = scene.pen.person(id);
    let ip = days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let mut incident = Incident::look_alike(
        "typo_burst",
        "credentials",
        "wrong passwords within minutes from the own home address, then success with the push",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", crate::incident::ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", YES_OR_UNKNOWN);
    incident.shared.push(ip);
    Some(incident)
}
