//! The provider at home was changed: new network, same city, same laptop, same phone.

use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none() && p.remote > 0.4)?;
    let person = scene.pen.person(id);
    let others: Vec<_> = scene
        .pen
        .company
        .plan
        .in_city(person.home.name, NetworkKind::Isp)
        .into_iter()
        .filter(|b| b.first != person.isp.first)
        .collect();
    let block = *others.first()?;
    let ip = scene.pen.company.plan.address(&block, &mut scene.pen.rng);
    let first = scene.day(2);
    let mark = scene.mark();
    for day in first..(first + 5).min(i64::from(scene.plan.days)) {
        scene.bend(
            id,
            day,
            Bent { presence: Presence::Remote, ip: Some(ip), mark, novel: day == first, ..Bent::default() },
        );
    }
    let mut incident = Incident::look_alike(
        "new_home_provider",
        "network",
        "new provider at home; same city, same device, push as usual",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", YES_OR_NO);
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    Some(incident)
}
