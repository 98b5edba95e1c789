//! A stolen session token: the gateway shows traffic of a known session id from another client, and no login.

use crate::clock::{HOUR, MINUTE};
use crate::company::Gateway;
use crate::gazetteer::NetworkKind;
use crate::incident::Incident;
use crate::scene::{Bent, Presence, Scene};
use crate::writers::{netscaler, okta, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.gateway == Gateway::NetScaler)?;
    let day = scene.day(1);
    // The owner's stay of that day is written here, since the intruder needs its session id.
    scene.bend(victim, day, Bent { presence: Presence::Absent, ..Bent::default() });
    let person = scene.pen.person(victim);
    let home = crate::days::home_address(scene.pen.company, scene.plan.seed, &person, day);
    let ip = scene.abroad(NetworkKind::Hosting);
    let start = scene.at(victim, day, 8.8);
    let servers: Vec<_> = scene.pen.company.of_kind("application server").into_iter().cloned().collect();
    let desktop = scene.pen.company.first("terminal server").clone();
    scene.pen.mark = None;
    let pen = &mut scene.pen;
    okta::push(pen, start, &person, home, okta::RADIUS_AGENT, "unknown", okta::Answer::Approved);
    let session = netscaler::login(pen, start + 8_000, &person.login, home, person.user_agent);
    netscaler::application(pen, start + 20_000, &session, "Desktop", desktop.ip);
    for step in 1..6 {
        netscaler::traffic(pen, start + step * 70 * MINUTE, &session, home, desktop.ip, 2598);
    }
    netscaler::logout(pen, start + 8 * HOUR, &session);
    scene.mark();
    let pen = &mut scene.pen;
    let stolen = start + 3 * HOUR;
    let snip = std::net::Ipv4Addr::new(10, pen.company.offices[0].octet, 250, 5);
    let mut at = stolen;
    for server in servers.iter().take(4) {
        netscaler::traffic(pen, at, &session, ip, server.ip, 3389);
        windows::logon(pen, at + 900, &server.host, &person.login, snip, &person.laptop, 10);
        at += 4 * MINUTE;
    }
    let mut incident = Incident::attack(
        "netscaler_session_hijack",
        "edge",
        "traffic of a known session id from another client address without any login",
    )
    .person(victim)
    .from(ip);
    incident.deeds.lateral = true;
    incident.stage("first_success", stolen);
    incident.stage("lateral_movement", stolen + 4 * MINUTE);
    Some(incident)
}
