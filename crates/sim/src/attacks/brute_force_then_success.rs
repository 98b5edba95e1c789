//! One source guesses one account's password for an hour and gets in where no push is asked.

use crate::clock::HOUR;
use crate::company::Gateway;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| {
        p.admin.is_none() && matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond | Gateway::FortiGate)
    })?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let start = scene.at(victim, day, 1.3);
    scene.mark();
    let person = scene.pen.person(victim);
    let mut at = start;
    for _ in 0..150 {
        stays::failed(&mut scene.pen, &person, ip, at);
        at += scene.pen.rng.range(10_000, 40_000);
    }
    let mut stay = Stay::new(victim, ip, at, at + HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "brute_force_then_success",
        "credentials",
        "one source guesses one account for an hour, then succeeds",
    )
    .person(victim)
    .from(ip)
    .accept("lateral_movement", YES_OR_NO);
    incident.tunnels.extend(held.tunnel);
    incident.stage("initial_attempt", start);
    incident.stage("first_success", held.at);
    Some(incident)
}
