//! While the owner works from home, the same account connects from another continent under his computer's name.

use crate::clock::HOUR;
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::{Bent, Presence, Scene};
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| {
        p.admin.is_none()
            && matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond | Gateway::GlobalProtect)
    })?;
    let day = scene.day(1);
    scene.bend(victim, day, Bent { presence: Presence::Remote, hour: Some(8.5), ..Bent::default() });
    let ip = ["Hanoi", "Lagos", "Sao Paulo"];
    let city = *scene.pen.rng.pick(&ip);
    let ip = scene.in_city(city, NetworkKind::Isp);
    let from = scene.at(victim, day, 11.1);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 2 * HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "impossible_travel",
        "anomaly",
        "a second session from another continent while the owner is connected from home; computer name copied",
    )
    .person(victim)
    .from(ip)
    .accept("lateral_movement", YES_OR_NO);
    incident.tunnels.extend(held.tunnel);
    incident.stage("first_success", held.at);
    Some(scene.no_push(incident))
}
