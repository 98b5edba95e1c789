//! An IT account without domain rights comes in from abroad, then a new account is created and made Domain Admin.

use crate::clock::{HOUR, MINUTE, SECOND};
use crate::incident::Incident;
use crate::scene::Scene;
use crate::stays::{self, Second, Stay, Work};
use crate::writers::windows;

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.department == "IT" && p.admin.is_none())?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let from = scene.at(victim, day, 5.2);
    scene.mark();
    let mut stay = Stay::new(victim, ip, from, from + 2 * HOUR);
    stay.second = Second::Exempt;
    stay.intruder = true;
    stay.work = Work::Nothing;
    let held = stays::run(&mut scene.pen, &stay);
    let person = scene.pen.person(victim);
    let dc = scene.pen.company.first("domain controller").host.clone();
    let pen = &mut scene.pen;
    let at = held.at + 12 * MINUTE;
    windows::service_ticket(pen, at - 2 * SECOND, &person.login, held.inner, &dc);
    let logon = windows::logon(pen, at, &dc, &person.login, held.inner, &person.laptop, 3);
    windows::privileges(pen, at + 20, &dc, &person.login, &logon);
    windows::account_created(pen, at + MINUTE, &dc, &person.login, "svc-print2", &logon);
    windows::group_added(
        pen,
        at + MINUTE + 20 * SECOND,
        &dc,
        &person.login,
        "svc-print2",
        "Domain Admins",
        &logon,
    );
    let mut incident = Incident::attack(
        "new_domain_admin",
        "privilege",
        "an account without domain rights makes a new account and puts it into Domain Admins over the VPN",
    )
    .person(victim)
    .from(ip);
    incident.others.push("svc-print2".to_owned());
    incident.tunnels.extend(held.tunnel);
    incident.deeds.privilege = true;
    incident.deeds.lateral = true;
    incident.stage("first_success", held.at);
    incident.stage("persistence", at + MINUTE);
    Some(incident)
}
