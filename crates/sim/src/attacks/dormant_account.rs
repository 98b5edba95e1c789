//! The account of somebody on long leave, silent until now, connects.

use crate::clock::HOUR;
use crate::company::{Gateway, Status};
use crate::incident::{Incident, NO_OR_UNKNOWN};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.admin.is_none() && p.gateway != Gateway::NetScaler && !p.aws)?;
    scene.extra.statuses.insert(victim, Status::OnLeave);
    let day = scene.day(1);
    let ip = scene.hosting();
    let from = scene.at(victim, day, 9.4);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 2 * HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    let hosts: Vec<String> =
        scene.pen.company.of_kind("application server").iter().take(3).map(|s| s.host.clone()).collect();
    stay.work = Work::Hosts(hosts);
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "dormant_account",
        "identity",
        "account of a person on long leave, silent for the whole time before",
    )
    .person(victim)
    .from(ip)
    .accept("ip_seen_before", NO_OR_UNKNOWN);
    incident.tunnels.extend(held.tunnel);
    incident.deeds.lateral = true;
    incident.stage("first_success", held.at);
    Some(scene.no_push(incident))
}
