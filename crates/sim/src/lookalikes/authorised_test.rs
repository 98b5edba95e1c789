//! An announced penetration test: its addresses and its account are in `authorized_testing.csv`.

use crate::clock::{HOUR, MINUTE, SECOND};
use crate::gazetteer::NetworkKind;
use crate::incident::{ANY_ANSWER, ANY_STATE, Incident};
use crate::scene::Scene;
use crate::stays;
use crate::writers::openssh;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.in_city("Ashburn", NetworkKind::Hosting);
    let day = scene.day(1);
    let start = scene.at_utc(day, 8);
    scene.mark();
    let targets: Vec<_> = scene.pen.company.people.iter().take(15).cloned().collect();
    let mut at = start;
    for person in &targets {
        stays::failed(&mut scene.pen, person, ip, at);
        at += scene.pen.rng.range(10_000, 40_000);
    }
    let host = scene.pen.company.first("linux bastion").host.clone();
    let pen = &mut scene.pen;
    for _ in 0..6 {
        openssh::failed(pen, at, &host, "ext-redteam", ip, true);
        at += 30 * SECOND;
    }
    let pid = openssh::accepted(pen, at, &host, "ext-redteam", ip, false);
    openssh::sudo(pen, at + 5 * MINUTE, &host, "ext-redteam", "/usr/bin/id");
    openssh::closed(pen, at + 2 * HOUR, &host, "ext-redteam", pid);
    let (from, to) = (scene.date(day - 1), scene.date(day + 2));
    let window = [format!("{from}T00:00:00Z"), format!("{to}T00:00:00Z")];
    scene.extra.testing.push([
        format!("{ip}/32"),
        "ext-redteam".to_owned(),
        window[0].clone(),
        window[1].clone(),
        "External penetration test".to_owned(),
    ]);
    scene.extra.tickets.push([
        "CHG-1001".to_owned(),
        window[0].clone(),
        window[1].clone(),
        "security-test".to_owned(),
        "security".to_owned(),
        "ext-redteam".to_owned(),
        format!("Penetration test from {ip} with the account ext-redteam"),
    ]);
    let mut incident = Incident::look_alike(
        "authorised_test",
        "test",
        "announced test: address and account are in authorized_testing.csv",
    )
    .from(ip);
    incident.accounts.push("ext-redteam".to_owned());
    incident.needs_context.push("authorized_testing.csv");
    for question in crate::labels::QUESTIONS {
        incident.acceptable.push((question, ANY_ANSWER));
    }
    for criterion in crate::labels::CRITERIA {
        incident.acceptable_criteria.push((criterion, ANY_STATE));
    }
    Some(incident)
}
