//! Somebody starts: no history, the first factor is enrolled in the office, then logins from home.

use crate::company::Gateway;
use crate::days;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::{Bent, Presence, Scene};
use crate::writers::okta;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_none() && p.gateway != Gateway::NetScaler && !p.aws)?;
    let first = scene.day(3);
    for day in 0..first {
        scene.bend(id, day, Bent { presence: Presence::Absent, ..Bent::default() });
    }
    scene.extra.started.insert(id, scene.date(first));
    let mark = scene.mark();
    let person = scene.pen.person(id);
    let office = scene.pen.company.offices[person.office].public();
    let start = scene.at(id, first, 10.0);
    okta::factor(&mut scene.pen, start, &person, office, person.user_agent, "user.mfa.factor.activate", None);
    scene.bend(id, first, Bent { presence: Presence::Office, mark, hour: Some(10.2), ..Bent::default() });
    for day in first + 1..(first + 4).min(i64::from(scene.plan.days)) {
        scene.bend(id, day, Bent { presence: Presence::Remote, mark, novel: true, ..Bent::default() });
    }
    let home = days::home_address(scene.pen.company, scene.plan.seed, &person, first + 1);
    let mut incident = Incident::look_alike(
        "new_hire",
        "people",
        "start_date in users.csv; factor enrolled in the office, first logins from home",
    )
    .person(id)
    .from(home)
    .accept("ip_seen_before", ANY_ANSWER)
    .accept("privilege_inconsistent_with_role", ANY_ANSWER)
    .accept("lateral_movement", ANY_ANSWER);
    incident.ips.push(office);
    incident.shared.push(office);
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    incident.needs_context.push("users.csv");
    Some(incident)
}
