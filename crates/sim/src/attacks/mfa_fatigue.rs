//! The intruder knows the password and sends push after push in the evening until one is approved.

use crate::clock::HOUR;
use crate::company::Gateway;
use crate::incident::Incident;
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| {
        p.admin.is_none() && matches!(p.gateway, Gateway::AsaMain | Gateway::FortiGate | Gateway::OpenVpn)
    })?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let from = scene.at(victim, day, 22.4);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 3 * HOUR);
    stay.second = Second::Fatigue(7);
    stay.machine = Some("WIN-4L0PDT6".to_owned());
    stay.intruder = true;
    let targets: Vec<String> =
        scene.pen.company.of_kind("application server").iter().map(|s| s.host.clone()).collect();
    let count = targets.len();
    stay.work = Work::Hosts(targets);
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "mfa_fatigue",
        "mfa",
        "pushes denied or left alone in a row, one approved, then logons to servers the account never used",
    )
    .person(victim)
    .from(ip);
    incident.tunnels.extend(held.tunnel);
    incident.stage("initial_attempt", from);
    incident.stage("first_success", held.at);
    incident.deeds.lateral = count > 1;
    Some(incident)
}
