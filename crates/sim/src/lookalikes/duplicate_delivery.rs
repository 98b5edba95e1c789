//! Two typing errors, but the collector delivers the block of lines again: counted twice they look like a burst.

use crate::clock::HOUR;
use crate::company::Gateway;
use crate::days;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::{Bent, Presence, Scene};
use crate::writers::asa;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.gateway == Gateway::AsaMain && p.admin.is_none())?;
    let day = scene.day(1);
    let mark = scene.mark();
    scene.bend(
        id,
        day,
        Bent { presence: Presence::Remote, typos: 3, hour: Some(9.0), mark, ..Bent::default() },
    );
    let person = scene.pen.person(id);
    let ip = days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let from = scene.at(id, day, 8.5);
    let file = asa::device(&scene.pen, false).file;
    for _ in 0..3 {
        scene.pen.book.repeat(&file, from, from + HOUR);
    }
    let mut incident = Incident::look_alike(
        "duplicate_delivery",
        "collection",
        "three typing errors; the collector delivered the block of lines again",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", ANY_ANSWER);
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    incident.shared.push(ip);
    Some(incident)
}
