//! A session from abroad; the endpoint product reports credential theft, then many servers are tried.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::incident::Incident;
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};
use crate::writers::{defender, sysmon};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| {
        p.admin.is_none()
            && matches!(p.gateway, Gateway::AsaMain | Gateway::FortiGate | Gateway::GlobalProtect)
    })?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let from = scene.at(victim, day, 18.7);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 3 * HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    let hosts: Vec<String> = scene
        .pen
        .company
        .servers
        .iter()
        .filter(|s| matches!(s.kind, "application server" | "file server" | "database server"))
        .map(|s| s.host.clone())
        .collect();
    let first = hosts.first().cloned()?;
    stay.work = Work::Hosts(hosts);
    let held = stays::run(&mut scene.pen, &stay);
    let person = scene.pen.person(victim);
    let pen = &mut scene.pen;
    let at = held.at + 25 * MINUTE;
    let command = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 644 C:\\Temp\\l.dmp full";
    sysmon::process(pen, at, &first, &person.login, "C:\\Windows\\System32\\rundll32.exe", command);
    let alert = defender::Alert {
        title: "Suspicious access to LSASS service",
        category: "CredentialAccess",
        severity: "High",
        techniques: "[\"LSASS Memory (T1003.001)\"]",
        device: &first,
        command,
    };
    defender::raise(pen, at + MINUTE, &person, &person.login, &alert);
    let mut incident = Incident::attack(
        "edr_alert_fan_out",
        "lateral",
        "session from abroad, credential theft reported by the endpoint product, logons to many servers",
    )
    .person(victim)
    .from(ip)
    .accept("privilege_inconsistent_with_role", crate::incident::YES_OR_NO);
    incident.acceptable_criteria.push(("privilege_inconsistent_with_role", &["false", "true"]));
    incident.tunnels.extend(held.tunnel);
    incident.deeds.lateral = true;
    incident.stage("first_success", held.at);
    incident.stage("credential_access", at);
    Some(scene.no_push(incident))
}
