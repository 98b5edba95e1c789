//! Somebody who left the company still has a working account and uses it from home.

use crate::clock::HOUR;
use crate::company::{Gateway, Status};
use crate::days;
use crate::incident::{ANY_ANSWER, Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.admin.is_none() && p.gateway != Gateway::NetScaler && !p.aws)?;
    scene.extra.statuses.insert(victim, Status::Terminated);
    let day = scene.day(1);
    let person = scene.pen.person(victim);
    let ip = days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let from = scene.at(victim, day, 20.2);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + HOUR);
    stay.work = Work::Usual;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "terminated_account",
        "identity",
        "a former employee connects with an account that was never disabled",
    )
    .person(victim)
    .from(ip)
    .accept("ip_seen_before", ANY_ANSWER)
    .accept("lateral_movement", YES_OR_NO)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER)
    .accept("privilege_inconsistent_with_role", ANY_ANSWER);
    incident.deeds.second_factor = crate::incident::SecondFactor::Passed;
    incident.acceptable_criteria.push(("privilege_inconsistent_with_role", crate::incident::ANY_STATE));
    incident.acceptable_criteria.push(("lateral_movement", crate::incident::ANY_STATE));
    incident.tunnels.extend(held.tunnel);
    incident.stage("first_success", held.at);
    Some(incident)
}
