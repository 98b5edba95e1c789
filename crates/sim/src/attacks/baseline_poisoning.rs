//! The intruder logs in quietly for days from one address, so that it becomes familiar, and acts only at the end.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::{ANY_ANSWER, Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim =
        scene.cast(|p| matches!(p.gateway, Gateway::AsaMain | Gateway::AsaSecond) && p.admin.is_none())?;
    let first = scene.first_day();
    let last = i64::from(scene.plan.days) - 1;
    let ip = scene.abroad(NetworkKind::Isp);
    scene.mark();
    let mut incident = Incident::attack(
        "baseline_poisoning",
        "stealth",
        "short harmless sessions from one address for days before the intruder acts; the address must not count as known",
    )
    .person(victim)
    .from(ip)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER)
    .accept("privilege_inconsistent_with_role", YES_OR_NO);
    incident.acceptable_criteria.push(("privilege_inconsistent_with_role", &["false", "true"]));
    for day in first..=last {
        if day != first && day != last && scene.pen.rng.chance(0.25) {
            continue;
        }
        let from = scene.at(victim, day, 21.0) + scene.pen.rng.range(0, 50) * MINUTE;
        let mut stay = Stay::new(victim, ip, from, from + 25 * MINUTE);
        stay.second = Second::Exempt;
        stay.intruder = true;
        stay.work = Work::Nothing;
        if day == last {
            stay.until = from + 2 * HOUR;
            let hosts: Vec<String> = scene
                .pen
                .company
                .servers
                .iter()
                .filter(|s| matches!(s.kind, "application server" | "database server"))
                .map(|s| s.host.clone())
                .collect();
            stay.work = Work::Hosts(hosts);
        }
        let held = stays::run(&mut scene.pen, &stay);
        incident.tunnels.extend(held.tunnel);
        if day == first {
            incident.stage("first_success", held.at);
        }
        if day == last {
            incident.stage("lateral_movement", held.at + 3 * MINUTE);
        }
    }
    incident.deeds.lateral = true;
    Some(incident)
}
