//! A business trip that is in `travel.csv`, with the own laptop and the push as usual.

use crate::gazetteer::NetworkKind;
use crate::incident::Incident;
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let person = scene
        .cast(|p| p.admin.is_none() && matches!(p.department, "Sales" | "Operations" | "Engineering"))?;
    let first = scene.day(3);
    let city = *scene.pen.rng.pick(&["Paris", "London", "Vienna", "Singapore"]);
    let place = crate::gazetteer::city(city);
    let ip = scene.in_city(city, NetworkKind::Isp);
    let mark = scene.mark();
    for day in first..first + 3 {
        scene.bend(
            person,
            day,
            Bent { presence: Presence::Remote, ip: Some(ip), mark, novel: day == first, ..Bent::default() },
        );
    }
    let login = scene.pen.person(person).login;
    let (from, to) = (scene.date(first), scene.date(first + 2));
    scene.extra.travel.push([
        login,
        from.to_string(),
        to.to_string(),
        place.country.to_owned(),
        city.to_owned(),
    ]);
    let mut incident = Incident::look_alike(
        "registered_travel",
        "travel",
        "the trip is in travel.csv; device and push as usual",
    )
    .person(person)
    .from(ip)
    // From the second day on the address has been used before.
    .accept("ip_seen_before", crate::incident::YES_OR_NO);
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    incident.needs_context.push("travel.csv");
    Some(incident)
}
