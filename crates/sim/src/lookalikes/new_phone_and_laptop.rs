//! New hardware: the new phone is enrolled from the known home, confirmed with the old one, then a new computer name.

use crate::clock::MINUTE;
use crate::days;
use crate::incident::{Incident, YES_OR_UNKNOWN};
use crate::scene::{Bent, Presence, Scene};
use crate::writers::okta;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none() && p.remote > 0.3)?;
    let day = scene.day(1);
    let mark = scene.mark();
    let person = scene.pen.person(id);
    let ip = days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let start = scene.at(id, day, 8.0);
    let pen = &mut scene.pen;
    okta::push(pen, start, &person, ip, person.user_agent, "unknown", okta::Answer::Approved);
    okta::factor(pen, start + MINUTE, &person, ip, person.user_agent, "user.mfa.factor.activate", None);
    let machine = Some(format!("{}-LT{:04}", scene.pen.company.offices[person.office].code, 9000 + id));
    scene.bend(
        id,
        day,
        Bent { presence: Presence::Remote, mark, machine, novel: true, hour: Some(8.6), ..Bent::default() },
    );
    let mut incident = Incident::look_alike(
        "new_phone_and_laptop",
        "device",
        "new phone enrolled from the known home address and confirmed with the old one; new laptop",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", crate::incident::ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", YES_OR_UNKNOWN);
    incident.shared.push(ip);
    Some(incident)
}
