//! The pager rings at night: somebody on call connects from home at three and restarts a service.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::days;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::Scene;
use crate::stays::{self, Stay};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id =
        scene.cast(|p| matches!(p.department, "IT" | "Engineering") && p.gateway != Gateway::NetScaler)?;
    let day = scene.day(1);
    let person = scene.pen.person(id);
    let ip = days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let from = scene.at(id, day, 3.1);
    scene.mark();
    let stay = Stay::new(id, ip, from, from + HOUR + 20 * MINUTE);
    let held = stays::run(&mut scene.pen, &stay);
    let (start, end) = (scene.date(day - 3), scene.date(day + 4));
    scene.extra.on_call.push([person.login, format!("{start}T00:00:00Z"), format!("{end}T00:00:00Z")]);
    let mut incident = Incident::look_alike(
        "on_call_night",
        "time",
        "on call by oncall.csv; own home, own device, push approved",
    )
    .person(id)
    .from(ip)
    .accept("ip_seen_before", ANY_ANSWER);
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    incident.shared.push(ip);
    incident.tunnels.extend(held.tunnel);
    incident.needs_context.push("oncall.csv");
    Some(incident)
}
