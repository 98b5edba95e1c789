//! Console login without a second factor from a new country, then a new user with keys and administrator rights.

use serde_json::{Value, json};

use crate::clock::{MINUTE, SECOND};
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_NO};
use crate::scene::Scene;
use crate::writers::cloudtrail::{self, Credential};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.aws && p.admin.is_none())?;
    let day = scene.day(1);
    let ip = scene.abroad(NetworkKind::Isp);
    let start = scene.at(victim, day, 19.5);
    scene.mark();
    let person = scene.pen.person(victim);
    let pen = &mut scene.pen;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    cloudtrail::console_login(pen, start, &person, ip, agent, false, false);
    let success = start + 40 * SECOND;
    cloudtrail::console_login(pen, success, &person, ip, agent, true, false);
    let session = Credential::Console { mfa: false };
    let new = "svc-metrics-export";
    let arn = format!("arn:aws:iam::{}:user/{new}", pen.company.aws_account);
    let calls: [(&str, Value, Value); 5] = [
        ("GetCallerIdentity", Value::Null, Value::Null),
        ("ListUsers", Value::Null, Value::Null),
        ("CreateUser", json!({"userName": new}), json!({"user": {"userName": new, "arn": arn}})),
        (
            "AttachUserPolicy",
            json!({"userName": new, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            Value::Null,
        ),
        (
            "CreateAccessKey",
            json!({"userName": new}),
            json!({"accessKey": {"userName": new, "status": "Active", "accessKeyId": format!("AKIA{}", pen.rng.upper_id(16))}}),
        ),
    ];
    let mut at = success + 90 * SECOND;
    for (name, request, response) in calls {
        let source = if name == "GetCallerIdentity" { "sts.amazonaws.com" } else { "iam.amazonaws.com" };
        cloudtrail::call(pen, at, &person, ip, agent, &session, (source, name), request, response);
        at += pen.rng.range(20_000, 120_000);
    }
    let mut incident = Incident::attack(
        "aws_console_no_mfa",
        "cloud",
        "console login without a second factor from a new country, then a user with administrator rights and keys",
    )
    .person(victim)
    .from(ip)
    // A new principal is made and used for nothing yet; both readings of movement are defensible.
    .accept("lateral_movement", YES_OR_NO);
    incident.others.push(new.to_owned());
    incident.deeds.privilege = true;
    incident.stage("initial_attempt", start);
    incident.stage("first_success", success);
    incident.stage("persistence", success + 3 * MINUTE);
    Some(incident)
}
