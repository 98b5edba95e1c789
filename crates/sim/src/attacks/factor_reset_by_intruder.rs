//! The service desk is talked into resetting a factor; a new phone is enrolled from abroad, then the login follows.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Stay, Work};
use crate::writers::okta;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let desk = scene.pen.company.people.iter().find(|p| p.role == "Service Desk Analyst").cloned();
    let victim =
        scene.cast(|p| p.admin.is_none() && p.department != "IT" && p.gateway != Gateway::NetScaler)?;
    let day = scene.day(1);
    let ip = scene.abroad(NetworkKind::Isp);
    let start = scene.at(victim, day, 16.4);
    let office = scene.pen.company.offices[0].public();
    scene.mark();
    let person = scene.pen.person(victim);
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
    okta::factor(
        &mut scene.pen,
        start,
        &person,
        office,
        person.user_agent,
        "user.mfa.factor.reset_all",
        desk.as_ref(),
    );
    okta::factor(&mut scene.pen, start + 9 * MINUTE, &person, ip, agent, "user.mfa.factor.activate", None);
    okta::sign_in(&mut scene.pen, start + 10 * MINUTE, &person, ip, agent, true, true);
    let mut stay = Stay::new(victim, ip, start + 20 * MINUTE, start + 2 * HOUR);
    stay.intruder = true;
    stay.machine = Some("DESKTOP-N5PGA02".to_owned());
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "factor_reset_by_intruder",
        "mfa",
        "factors reset by a deceived service desk, a new one enrolled from abroad, then the login",
    )
    .person(victim)
    .from(ip)
    .accept("lateral_movement", YES_OR_NO);
    incident.shared.push(office);
    incident.tunnels.extend(held.tunnel);
    incident.stage("factor_reset", start);
    incident.stage("first_success", start + 10 * MINUTE + 8_000);
    Some(incident)
}
