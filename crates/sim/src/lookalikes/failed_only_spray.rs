//! A spray against real names that never succeeds: pressure, no access.

use crate::company::Status;
use crate::incident::{ANY_ANSWER, ANY_STATE, Incident};
use crate::scene::Scene;
use crate::stays;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosting();
    let day = scene.day(1);
    let start = scene.at_utc(day, 16);
    scene.mark();
    let targets: Vec<_> = scene
        .pen
        .company
        .people
        .iter()
        .filter(|p| p.status == Status::Active && p.admin.is_none())
        .take(120)
        .cloned()
        .collect();
    let mut at = start;
    for _ in 0..2 {
        for person in &targets {
            stays::failed(&mut scene.pen, person, ip, at);
            at += scene.pen.rng.range(5_000, 25_000);
        }
    }
    let mut incident = Incident::look_alike(
        "failed_only_spray",
        "credentials",
        "spray against real names that never succeeds",
    )
    .from(ip);
    for question in crate::labels::QUESTIONS {
        incident.acceptable.push((question, ANY_ANSWER));
    }
    for criterion in crate::labels::CRITERIA {
        incident.acceptable_criteria.push((criterion, ANY_STATE));
    }
    Some(incident)
}
