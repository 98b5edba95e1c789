//! For a day the firewall's clock runs four hours fast: an office day next to a login elsewhere looks like travel.

use crate::clock::DAY;
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::{Bent, Presence, Scene};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    // Set before all scenarios, so that no row of that day shows the right time.
    let (_, wrong_from, ..) = scene.pen.book.wrong_clock?;
    let id = scene.cast(|p| p.gateway == Gateway::FortiGate && p.admin.is_none())?;
    let day = (wrong_from - scene.midnight(0)) / DAY;
    let person = scene.pen.person(id);
    let other = scene.pen.company.countries[0].cities.first().copied()?;
    let ip = scene.in_city(other, NetworkKind::Isp);
    let mark = scene.mark();
    scene.bend(id, day, Bent { presence: Presence::Remote, mark, hour: Some(7.0), ..Bent::default() });
    scene.bend(
        id,
        day + 1,
        Bent { presence: Presence::Remote, ip: Some(ip), mark, novel: true, ..Bent::default() },
    );
    let login = person.login.clone();
    let (from, to) = (scene.date(day + 1).to_string(), scene.date(day + 1).to_string());
    scene.extra.travel.push([
        login,
        from,
        to,
        scene.pen.company.countries[0].code.to_owned(),
        other.to_owned(),
    ]);
    let mut incident = Incident::look_alike(
        "clock_skew",
        "collection",
        "the firewall's clock ran four hours fast; with corrected time the journey is plausible",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER);
    incident.needs_context.push("travel.csv");
    Some(incident)
}
