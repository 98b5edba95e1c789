//! Work from a holiday nobody registered: plausible journey, own laptop, push approved, usual servers only.

use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none() && !p.aws)?;
    let first = scene.day(4);
    let city = *scene.pen.rng.pick(&["Athens", "Palma"]);
    let ip = scene.in_city(city, NetworkKind::Isp);
    let mark = scene.mark();
    // The day before is the journey.
    scene.bend(id, first - 1, Bent { presence: Presence::Absent, ..Bent::default() });
    for day in first..first + 3 {
        scene.bend(
            id,
            day,
            Bent { presence: Presence::Remote, ip: Some(ip), mark, novel: day == first, ..Bent::default() },
        );
    }
    scene.bend(id, first + 3, Bent { presence: Presence::Absent, ..Bent::default() });
    Some(
        Incident::look_alike(
            "unregistered_holiday",
            "travel",
            "holiday not registered; travel time plausible, own laptop, push approved, nothing unusual done",
        )
        .person(id)
        .from(ip)
        .accept("ip_seen_before", YES_OR_NO)
        .accept("geo_matches_known_location_or_travel", YES_OR_NO),
    )
}
