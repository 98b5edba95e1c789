//! Inside the office a device authenticates by its MAC into a foreign VLAN and then uses an address of the VPN pool.

use std::net::Ipv4Addr;

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::incident::{ANY_ANSWER, Incident, NO_OR_UNKNOWN};
use crate::scene::{Bent, Presence, Scene};
use crate::stays;
use crate::writers::{dhcp, ios, ise, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let insider = scene.cast(|p| matches!(p.department, "Operations" | "Sales") && p.admin.is_none())?;
    let day = scene.day(1);
    scene.bend(insider, day, Bent { presence: Presence::Absent, ..Bent::default() });
    let person = scene.pen.person(insider);
    let start = scene.at(insider, day, 17.9);
    scene.mark();
    let office = scene.pen.company.offices[person.office].clone();
    let hosts: Vec<String> =
        scene.pen.company.of_kind("database server").iter().map(|s| s.host.clone()).collect();
    let pen = &mut scene.pen;
    let vlan = office.vlan + 40;
    let mac = "02:00:5e:10:00:7a";
    let (switch, session, port) = ios::port_up(pen, start, &person, "0200.5e10.007a", vlan, true);
    ise::dot1x(pen, start + 300, &person, "02-00-5E-10-00-7A", &switch, &session, &port, vlan, true);
    let lan = Ipv4Addr::new(10, office.octet, 127, 250);
    dhcp::lease(pen, start + 4_000, lan, mac, "android-7a", Ipv4Addr::new(10, office.octet, 127, 1));
    let pool = Ipv4Addr::new(10, stays::pool_octet(Gateway::AsaMain), 255, 241);
    dhcp::lease(pen, start + 10 * MINUTE, pool, mac, "android-7a", Ipv4Addr::new(10, office.octet, 127, 1));
    let mut at = start + 15 * MINUTE;
    for host in &hosts {
        windows::service_ticket(pen, at, &person.login, pool, host);
        windows::logon(pen, at + 300, host, &person.login, pool, "android-7a", 3);
        at += 3 * MINUTE;
    }
    let mut incident = Incident::attack(
        "insider_vlan_hop",
        "layer2",
        "an unknown device in the administrators' VLAN, then an address of the VPN pool while no tunnel holds it",
    )
    .person(insider)
    .accept("ip_seen_before", NO_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", ANY_ANSWER)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER)
    .accept("known_malicious_ip", NO_OR_UNKNOWN)
    .accept("privilege_inconsistent_with_role", ANY_ANSWER);
    incident.acceptable_criteria.push(("privilege_inconsistent_with_role", crate::incident::ANY_STATE));
    incident.ips.push(lan);
    incident.tunnels.push(pool);
    incident.deeds.lateral = true;
    incident.stage("first_success", start);
    incident.stage("lateral_movement", start + HOUR / 4);
    Some(incident)
}
