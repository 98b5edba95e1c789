//! AWS CloudTrail records (CloudTrail Record Contents, AWS Console Sign-In Events).

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::clock::{Millis, iso_seconds};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "cloudtrail";

/// The IAM user name of a person.
pub(crate) fn iam_name(person: &Person) -> String {
    format!("{}.{}", person.first.to_lowercase(), person.last.to_lowercase())
}

/// With which credentials a call is made.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Console session; with a second factor or without.
    Console { mfa: bool },
    /// Long-term access key, by its id.
    Key(String),
}

/// The long-term key of a person, always the same.
pub(crate) fn key_of(person: &Person) -> String {
    format!("AKIA{}", crate::rng::Rng::fork(0x41, &person.login, 0, 0).upper_id(16))
}

fn identity(pen: &Pen<'_>, person: &Person) -> Value {
    let (account, name) = (&pen.company.aws_account, iam_name(person));
    let id = crate::rng::Rng::fork(0x42, &person.login, 0, 0).upper_id(17);
    json!({"type": "IAMUser", "principalId": format!("AIDA{id}"), "arn": format!("arn:aws:iam::{account}:user/{name}"), "accountId": account, "userName": name})
}

fn base(pen: &mut Pen<'_>, at: Millis, source: &str, event: &str, ip: Ipv4Addr, agent: &str) -> Value {
    json!({"eventVersion": "1.09", "eventTime": iso_seconds(at), "eventSource": source, "eventName": event, "awsRegion": "eu-central-1",
        "sourceIPAddress": ip.to_string(), "userAgent": agent, "requestParameters": null, "responseElements": null,
        "eventID": pen.rng.uuid(), "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": pen.company.aws_account, "eventCategory": "Management"})
}

pub(crate) fn console_login(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    success: bool,
    mfa: bool,
) {
    let mut record = base(pen, at, "signin.amazonaws.com", "ConsoleLogin", ip, agent);
    record["userIdentity"] = identity(pen, person);
    record["eventType"] = json!("AwsConsoleSignIn");
    record["responseElements"] = json!({"ConsoleLogin": if success { "Success" } else { "Failure" }});
    record["additionalEventData"] = json!({"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": if mfa { "Yes" } else { "No" }});
    if !success {
        record["errorMessage"] = json!("Failed authentication");
    }
    pen.put(FILE, at, record.to_string());
}

/// One API call.
pub(crate) fn call(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    ip: Ipv4Addr,
    agent: &str,
    credential: &Credential,
    event: (&str, &str),
    parameters: Value,
    response: Value,
) {
    let (source, name) = event;
    let mut record = base(pen, at, source, name, ip, agent);
    let mut who = identity(pen, person);
    match credential {
        Credential::Console { mfa } => {
            who["accessKeyId"] = json!(format!("ASIA{}", pen.rng.upper_id(16)));
            who["sessionContext"] = json!({"attributes": {"creationDate": iso_seconds(at - 60_000), "mfaAuthenticated": mfa.to_string()}});
        }
        Credential::Key(id) => who["accessKeyId"] = json!(id),
    }
    record["userIdentity"] = who;
    record["requestID"] = json!(pen.rng.uuid());
    record["readOnly"] = json!(["Describe", "Get", "List"].iter().any(|v| name.starts_with(v)));
    record["requestParameters"] = parameters;
    record["responseElements"] = response;
    record["tlsDetails"] = json!({"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": format!("{}.eu-central-1.amazonaws.com", source.split('.').next().unwrap_or("ec2"))});
    pen.put(FILE, at, record.to_string());
}

/// A call of a workload through the role of its instance.
pub(crate) fn workload(pen: &mut Pen<'_>, at: Millis, ip: Ipv4Addr, event: (&str, &str)) {
    let (source, name) = event;
    let account = pen.company.aws_account.clone();
    let instance = "i-0b1c2d3e4f5061728";
    let mut record = base(pen, at, source, name, ip, "aws-sdk-go-v2/1.32.6 os/linux lang/go#1.23.4");
    record["readOnly"] = json!(true);
    record["userIdentity"] = json!({"type": "AssumedRole", "principalId": format!("AROA4EXAMPLEROLE00001:{instance}"),
        "arn": format!("arn:aws:sts::{account}:assumed-role/shop-worker/{instance}"), "accountId": account,
        "accessKeyId": format!("ASIA{}", pen.rng.upper_id(16)),
        "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROA4EXAMPLEROLE00001", "arn": format!("arn:aws:iam::{account}:role/shop-worker"), "accountId": account, "userName": "shop-worker"},
            "attributes": {"creationDate": iso_seconds(at - 3_600_000), "mfaAuthenticated": "false"}, "ec2RoleDelivery": "2.0"}});
    pen.put(FILE, at, record.to_string());
}

/// The cloud acting for itself: the source address is the name of a service.
pub(crate) fn service(pen: &mut Pen<'_>, at: Millis) {
    let name = "autoscaling.amazonaws.com";
    let mut record = base(pen, at, "ec2.amazonaws.com", "DescribeInstances", Ipv4Addr::UNSPECIFIED, name);
    record["sourceIPAddress"] = json!(name);
    record["readOnly"] = json!(true);
    record["userIdentity"] = json!({"type": "AWSService", "invokedBy": name});
    pen.put(FILE, at, record.to_string());
}
