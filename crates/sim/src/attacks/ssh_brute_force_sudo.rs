//! A password is guessed on the exposed SSH server, root by sudo, and on to the next server.

use crate::clock::MINUTE;
use crate::incident::{Incident, NO_OR_UNKNOWN, YES_OR_UNKNOWN};
use crate::scene::Scene;
use crate::writers::openssh;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.take("svc-deploy")?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let start = scene.at(victim, day, 3.1);
    scene.mark();
    let host = scene.pen.company.first("linux web server").clone();
    let target = scene.pen.company.first("linux database").host.clone();
    let pen = &mut scene.pen;
    let user = "svc-deploy";
    let mut at = start;
    for n in 0..240 {
        let guess = if n % 4 == 3 { "root" } else { user };
        openssh::failed(pen, at, &host.host, guess, ip, true);
        at += pen.rng.range(4_000, 16_000);
    }
    let success = at;
    let pid = openssh::accepted(pen, success, &host.host, user, ip, false);
    openssh::sudo(pen, success + 2 * MINUTE, &host.host, user, "/bin/cat /etc/shadow");
    openssh::sudo(pen, success + 3 * MINUTE, &host.host, user, "/usr/bin/find / -name id_ed25519");
    let onward = openssh::accepted(pen, success + 9 * MINUTE, &target, user, host.ip, true);
    openssh::sudo(pen, success + 11 * MINUTE, &target, user, "/usr/bin/pg_dumpall");
    openssh::closed(pen, success + 40 * MINUTE, &target, user, onward);
    openssh::closed(pen, success + 41 * MINUTE, &host.host, user, pid);
    let mut incident = Incident::attack(
        "ssh_brute_force_sudo",
        "edge",
        "password brute force against an exposed SSH server, root by sudo, onward with a key found there",
    )
    .person(victim)
    .from(ip)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("mfa_bypassed_or_absent", YES_OR_UNKNOWN);
    incident.deeds.lateral = true;
    incident.deeds.privilege = true;
    incident.stage("initial_attempt", start);
    incident.stage("first_success", success);
    incident.stage("lateral_movement", success + 9 * MINUTE);
    Some(incident)
}
