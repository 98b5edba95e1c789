//! A leaked long-term access key is used from a hosting provider: looking around, then rights and data.

use serde_json::{Value, json};

use crate::incident::{ANY_ANSWER, Incident, NO_OR_UNKNOWN, YES_OR_UNKNOWN};
use crate::scene::Scene;
use crate::writers::cloudtrail::{self, Credential};

pub(super) fn stage(scene: &mut Scene<'_>) -> Option<Incident> {
    let victim = scene.cast(|p| p.aws && p.admin.is_none())?;
    let day = scene.day(1);
    let ip = scene.hosting();
    let start = scene.at(victim, day, 2.9);
    scene.mark();
    let person = scene.pen.person(victim);
    let pen = &mut scene.pen;
    let key = Credential::Key(cloudtrail::key_of(&person));
    let agent = "Boto3/1.35.80 md/Botocore#1.35.80 ua/2.0 os/linux#6.1 lang/python#3.11.2";
    let name = cloudtrail::iam_name(&person);
    let calls: [(&str, &str, Value); 7] = [
        ("sts.amazonaws.com", "GetCallerIdentity", Value::Null),
        ("iam.amazonaws.com", "ListAttachedUserPolicies", json!({"userName": name})),
        ("iam.amazonaws.com", "ListRoles", Value::Null),
        ("secretsmanager.amazonaws.com", "ListSecrets", json!({})),
        ("secretsmanager.amazonaws.com", "GetSecretValue", json!({"secretId": "prod/db"})),
        (
            "iam.amazonaws.com",
            "PutUserPolicy",
            json!({"userName": name, "policyName": "s3all", "policyDocument": "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}),
        ),
        ("ec2.amazonaws.com", "CreateSnapshot", json!({"volumeId": "vol-0a1b2c3d4e5f60718"})),
    ];
    let mut at = start;
    for (source, event, request) in calls {
        cloudtrail::call(pen, at, &person, ip, agent, &key, (source, event), request, Value::Null);
        at += pen.rng.range(10_000, 90_000);
    }
    let mut incident = Incident::attack(
        "access_key_new_network",
        "cloud",
        "long-term access key used from a new network: enumeration, secrets, a policy for itself",
    )
    .person(victim)
    .from(ip)
    .accept("mfa_bypassed_or_absent", YES_OR_UNKNOWN)
    .accept("geo_matches_known_location_or_travel", NO_OR_UNKNOWN)
    .accept("lateral_movement", ANY_ANSWER);
    incident.acceptable_criteria.push(("lateral_movement", crate::incident::ANY_STATE));
    incident.deeds.privilege = true;
    incident.stage("first_success", start);
    Some(incident)
}
