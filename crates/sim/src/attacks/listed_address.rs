//! A login that looks ordinary but for its address, which is on a list of known bad ones.

use crate::clock::HOUR;
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| {
        p.admin.is_none() && matches!(p.gateway, Gateway::AsaMain | Gateway::OpenVpn | Gateway::FortiGate)
    })?;
    let day = scene.day(1);
    let ip = scene.abroad(NetworkKind::Hosting);
    scene.extra.listed.push(ip);
    let from = scene.at(victim, day, 10.4);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 3 * HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "listed_address",
        "intelligence",
        "password known; the address is on the company's list of malicious addresses",
    )
    .person(victim)
    .from(ip)
    .accept("lateral_movement", YES_OR_NO);
    incident.tunnels.extend(held.tunnel);
    incident.stage("first_success", held.at);
    Some(scene.no_push(incident))
}
