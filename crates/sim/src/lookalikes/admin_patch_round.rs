//! Patch evening: an administrator's account logs on to all servers one after the other, with a change ticket.

use crate::clock::{HOUR, MINUTE, SECOND};
use crate::incident::{ANY_ANSWER, ANY_STATE, Incident};
use crate::scene::Scene;
use crate::writers::{sysmon, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let id = scene.cast(|p| p.admin.is_some())?;
    let day = scene.day(1);
    let person = scene.pen.person(id);
    let admin = person.admin.clone()?;
    let start = scene.at(id, day, 18.2);
    scene.mark();
    let jump = scene.pen.company.first("jump host").clone();
    let hosts: Vec<String> = scene
        .pen
        .company
        .servers
        .iter()
        .filter(|s| s.host.contains('-') && !s.kind.starts_with("linux"))
        .map(|s| s.host.clone())
        .collect();
    let pen = &mut scene.pen;
    let mut at = start;
    for host in &hosts {
        windows::ticket_granted(pen, at, &admin, jump.ip);
        let logon = windows::logon(pen, at + SECOND, host, &admin, jump.ip, &jump.host, 10);
        windows::privileges(pen, at + SECOND + 10, host, &admin, &logon);
        sysmon::process(
            pen,
            at + MINUTE,
            host,
            &admin,
            "C:\\Windows\\System32\\usoclient.exe",
            "usoclient.exe StartInstall",
        );
        at += pen.rng.range(4, 11) * MINUTE;
    }
    let c = scene.date(day);
    scene.extra.tickets.push([
        "CHG-1002".to_owned(),
        format!("{}T06:00:00Z", scene.date(day - 2)),
        crate::clock::iso_seconds(at + 2 * HOUR),
        "change".to_owned(),
        person.login.clone(),
        person.login.clone(),
        format!("Monthly patching of all servers on {c}"),
    ]);
    let mut incident = Incident::look_alike(
        "admin_patch_round",
        "administration",
        "administrator's account, usual jump host, announced patch evening",
    )
    .person(id);
    incident.accounts.push(admin);
    incident.ips.push(jump.ip);
    incident.shared.push(jump.ip);
    incident.needs_context.push("tickets.csv");
    // Many servers in a row is true as a fact and explained by the ticket.
    for question in [
        "lateral_movement",
        "privilege_inconsistent_with_role",
        "ip_seen_before",
        "mfa_bypassed_or_absent",
        "geo_matches_known_location_or_travel",
        "known_malicious_ip",
    ] {
        incident.acceptable.push((question, ANY_ANSWER));
    }
    for criterion in crate::labels::CRITERIA {
        incident.acceptable_criteria.push((criterion, ANY_STATE));
    }
    Some(incident)
}
