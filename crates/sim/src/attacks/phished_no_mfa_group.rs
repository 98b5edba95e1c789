//! A phished password is used from a hosting provider; the client chooses the VPN group that no push protects.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim =
        scene.cast(|p| matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond) && p.admin.is_none())?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let from = scene.at(victim, day, 13.2);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 2 * HOUR);
    stay.second = Second::Exempt;
    stay.machine = Some("DESKTOP-7Q2K1VR".to_owned());
    stay.intruder = true;
    let person = scene.pen.person(victim);
    let usual =
        person.servers.first().and_then(|s| scene.pen.company.servers.get(*s)).map(|s| s.host.clone())?;
    stay.work = Work::Hosts(vec![usual]);
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "phished_no_mfa_group",
        "credentials",
        "phished password, exempt VPN group, files copied from the usual server",
    )
    .person(victim)
    .from(ip)
    .accept("lateral_movement", YES_OR_NO);
    incident.tunnels.extend(held.tunnel);
    incident.stage("first_success", held.at);
    incident.stage("collection", held.at + 4 * MINUTE);
    Some(incident)
}
