//! A remote desktop host stands in the Internet; a weak local account is guessed and an administrator made.

use crate::clock::{MINUTE, SECOND};
use crate::incident::{Incident, NO_OR_UNKNOWN, YES_OR_UNKNOWN};
use crate::scene::Scene;
use crate::writers::{sysmon, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosting();
    let day = scene.day(1);
    let start = scene.at_utc(day, 1);
    scene.mark();
    let host = scene.pen.company.first("terminal server").host.clone();
    let pen = &mut scene.pen;
    let user = "scanner";
    let mut at = start;
    for _ in 0..300 {
        windows::logon_failed(pen, at, &host, user, ip, 3, true);
        at += pen.rng.range(5_000, 20_000);
    }
    let success = at;
    let logon = windows::logon(pen, success, &host, user, ip, "WIN-RDP7", 10);
    windows::privileges(pen, success + 10, &host, user, &logon);
    sysmon::process(
        pen,
        success + 3 * MINUTE,
        &host,
        user,
        "C:\\Windows\\System32\\whoami.exe",
        "whoami /all",
    );
    sysmon::process(
        pen,
        success + 4 * MINUTE,
        &host,
        user,
        "C:\\Windows\\System32\\net.exe",
        "net user helpdesk2 * /add",
    );
    windows::account_created(pen, success + 4 * MINUTE + SECOND, &host, user, "helpdesk2", &logon);
    windows::group_added(pen, success + 5 * MINUTE, &host, user, "helpdesk2", "Administrators", &logon);
    let mut incident = Incident::attack(
        "rdp_exposed",
        "edge",
        "weak local account guessed on a remote desktop host that faces the Internet; a new administrator is made",
    )
    .from(ip)
    .accept("ip_seen_before", NO_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("mfa_bypassed_or_absent", YES_OR_UNKNOWN)
    .accept("edr_related", NO_OR_UNKNOWN);
    incident.accounts.push(user.to_owned());
    incident.others.push("helpdesk2".to_owned());
    incident.deeds.privilege = true;
    incident.acceptable_criteria.push(("baseline_anomaly", &["true", "unknown"]));
    incident.acceptable.push(("lateral_movement", &["no", "unknown"]));
    incident.stage("initial_attempt", start);
    incident.stage("first_success", success);
    incident.stage("persistence", success + 4 * MINUTE);
    Some(incident)
}
