//! A phishing page relays the login and its push; minutes later the same session is used from another network.

use crate::clock::{MINUTE, SECOND};
use crate::gazetteer::NetworkKind;
use crate::incident::Incident;
use crate::scene::{Bent, Presence, Scene};
use crate::writers::{entra, okta};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.admin.is_none() && p.department != "Engineering")?;
    let day = scene.day(1);
    scene.bend(victim, day, Bent { presence: Presence::Remote, ..Bent::default() });
    let relay = scene.hosting();
    let second = scene.abroad(NetworkKind::Isp);
    let start = scene.at(victim, day, 14.6);
    scene.mark();
    let person = scene.pen.person(victim);
    let pen = &mut scene.pen;
    let agent = person.user_agent;
    let session = okta::sign_in(pen, start, &person, relay, agent, true, true);
    let token = pen.rng.uuid();
    entra::sign_in(
        pen,
        start + 20 * SECOND,
        &person,
        relay,
        agent,
        &token,
        "Office 365 Exchange Online",
        entra::Went::Claim,
    );
    okta::application(pen, start + 4 * MINUTE, &person, second, agent, &session, "CRM");
    okta::application(pen, start + 5 * MINUTE, &person, second, agent, &session, "Expenses");
    entra::sign_in(
        pen,
        start + 7 * MINUTE,
        &person,
        second,
        agent,
        &token,
        "Office 365 SharePoint Online",
        entra::Went::Claim,
    );
    let mut incident = Incident::attack(
        "aitm_session_replay",
        "mfa",
        "the login is relayed by a phishing page; the session id is then used from a second network within minutes",
    )
    .person(victim)
    .from(relay)
    .from(second);
    incident.stage("first_success", start + 8 * SECOND);
    incident.stage("session_replayed", start + 4 * MINUTE);
    Some(incident)
}
