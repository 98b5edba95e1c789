//! The firewall's administrator page is used from the Internet; a local VPN user appears and connects.

use std::net::Ipv4Addr;

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::incident::{Incident, NO_OR_UNKNOWN, YES_OR_UNKNOWN};
use crate::scene::Scene;
use crate::stays;
use crate::writers::{fortigate, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosting();
    let second = scene.hosting();
    let day = scene.day(1);
    let start = scene.at_utc(day, 3);
    scene.mark();
    let tunnel = Ipv4Addr::new(10, stays::pool_octet(Gateway::FortiGate), 255, 240);
    let servers: Vec<String> =
        scene.pen.company.of_kind("database server").iter().map(|s| s.host.clone()).collect();
    let pen = &mut scene.pen;
    fortigate::admin_login(pen, start, "admin", ip);
    fortigate::configured(
        pen,
        start + 2 * MINUTE,
        "admin",
        ip,
        "Add",
        "system.admin",
        "fgt-support",
        "accprofile[super_admin]vdom[root]password[*]",
    );
    fortigate::configured(
        pen,
        start + 3 * MINUTE,
        "admin",
        ip,
        "Add",
        "user.local",
        "vpnsync",
        "type[password]passwd[*]",
    );
    fortigate::configured(
        pen,
        start + 4 * MINUTE,
        "admin",
        ip,
        "Edit",
        "user.group",
        "SSL_VPN_Users",
        "member[radius-okta->radius-okta vpnsync]",
    );
    let up = start + 50 * MINUTE;
    fortigate::session(pen, up, up + 2 * HOUR, "vpnsync", fortigate::GROUP, second, tunnel);
    let mut at = up + 5 * MINUTE;
    for host in &servers {
        windows::logon_failed(pen, at, host, "sa", tunnel, 3, false);
        at += MINUTE;
    }
    let mut incident = Incident::attack(
        "fortigate_admin_local_user",
        "edge",
        "firewall administration from the Internet, a new administrator and a new local VPN user, which then connects",
    )
    .from(ip)
    .from(second)
    .accept("ip_seen_before", NO_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("mfa_bypassed_or_absent", YES_OR_UNKNOWN)
    .accept("edr_related", NO_OR_UNKNOWN)
    // Only refused logons follow; whether that is movement or an attempt is a matter of words.
    .accept("lateral_movement", &["no", "yes", "unknown"]);
    incident.accounts.extend(["vpnsync".to_owned(), "admin".to_owned()]);
    incident.others.push("fgt-support".to_owned());
    incident.tunnels.push(tunnel);
    incident.deeds.privilege = true;
    incident.acceptable_criteria.push(("baseline_anomaly", &["true", "unknown"]));
    incident.stage("initial_access", start);
    incident.stage("first_success", start);
    incident.stage("persistence", start + 2 * MINUTE);
    Some(incident)
}
