//! The software house's engineer comes through the RD Gateway from his own country, as the directory says he does.

use crate::clock::{HOUR, MINUTE};
use crate::days;
use crate::incident::{ANY_ANSWER, Incident};
use crate::scene::Scene;
use crate::writers::{rd_gateway, windows};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = days::contractor_address(scene.pen.company, scene.plan.seed);
    let day = scene.day(1);
    scene.mark();
    let server = scene.pen.company.first("terminal server").clone();
    let gateway = scene.pen.company.first("rd gateway").clone();
    let start = scene.at_utc(day, 17);
    let resource = format!("{}.{}", server.host.to_lowercase(), scene.pen.company.ad_domain());
    let pen = &mut scene.pen;
    rd_gateway::session(pen, start, start + 2 * HOUR, "ext-care", ip, &resource);
    windows::logon(pen, start + MINUTE, &server.host, "ext-care", gateway.ip, "CARE-PC", 10);
    let mut incident = Incident::look_alike(
        "contractor_abroad",
        "people",
        "contractor of another country, listed in users.csv with home there, comes in the evening for once",
    )
    .from(ip)
    .accept("mfa_bypassed_or_absent", ANY_ANSWER)
    .accept("edr_related", crate::incident::NO_OR_UNKNOWN);
    incident.accounts.push("ext-care".to_owned());
    incident.answers.push(("geo_matches_known_location_or_travel", "yes"));
    incident.answers.push(("ip_seen_before", "yes"));
    incident.needs_context.push("users.csv");
    Some(incident)
}
