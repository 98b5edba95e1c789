//! One guess per account every few hours from many addresses; days later one of them is right.

use crate::clock::{DAY, HOUR, MINUTE};
use crate::company::{Gateway, Status};
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim =
        scene.cast(|p| matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond) && p.admin.is_none())?;
    let last = i64::from(scene.plan.days) - 1;
    let day = last.max(scene.first_day());
    let span = (day - scene.first_day()).clamp(1, 6);
    let sources: Vec<_> =
        (0..40).map(|n| if n % 2 == 0 { scene.abroad(NetworkKind::Isp) } else { scene.hosting() }).collect();
    let success = scene.at(victim, day, 12.7);
    let begin = success - span * DAY;
    scene.mark();
    let targets: Vec<_> = scene
        .pen
        .company
        .people
        .iter()
        .filter(|p| matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond) && p.status == Status::Active)
        .cloned()
        .collect();
    let rounds = (span * 4).max(4);
    for round in 0..rounds {
        for person in &targets {
            let at = begin + round * (span * DAY / rounds) + scene.pen.rng.range(0, 3 * HOUR);
            if at >= success {
                continue;
            }
            let ip = *scene.pen.rng.pick(&sources);
            stays::failed(&mut scene.pen, person, ip, at);
        }
    }
    let ip = *scene.pen.rng.pick(&sources);
    let mut stay = Stay::new(victim, ip, success, success + 70 * MINUTE);
    stay.second = Second::Exempt;
    stay.intruder = true;
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let mut incident = Incident::attack(
        "distributed_spray",
        "credentials",
        "one guess per account every few hours from forty addresses; the success comes days later",
    )
    .person(victim)
    .accept("lateral_movement", YES_OR_NO);
    incident.ips = sources;
    incident.ips.sort_unstable();
    incident.ips.dedup();
    incident.tunnels.extend(held.tunnel);
    incident.stage("initial_attempt", begin);
    incident.stage("first_success", held.at);
    Some(incident)
}
