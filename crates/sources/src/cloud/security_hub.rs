//! AWS Security Hub: findings of many products in one form (ASFF).
//!
//! Read from: AWS Security Finding Format (ASFF) syntax. Traps: results of configuration checks have the same form and are
//! no alerts; GuardDuty's findings come here a second time; one event of EventBridge holds a list of findings.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "security_hub",
    title: "AWS Security Hub",
    row: Row::Cloud,
    gives: &[Act::Alert],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["configuration_checks", "list_of_findings"],
    manual: "AWS Security Hub User Guide: AWS Security Finding Format (ASFF)",
    enable: "an EventBridge rule for Security Hub Findings - Imported, to a collector",
    general: false,
    marks: &["\"ProductArn\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && has(b"\"ProductArn\"")
                && has(b"\"GeneratorId\"")
                && has(b":securityhub:")
        },
        parse,
        join: None,
    },
};

static LIST: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["findings", "Findings"]));
static PATHS: LazyLock<Paths<18>> = LazyLock::new(|| {
    Paths::new([
        "Title",
        "UpdatedAt",
        "CreatedAt",
        "Severity.Label",
        "Severity.Normalized",
        "Compliance.Status",
        "Resources",
        "Network.SourceIpV4",
        "ProductName",
        "ProductArn",
        "Types",
        "Action.AwsApiCallAction.RemoteIpDetails.IpAddressV4",
        "Action.NetworkConnectionAction.RemoteIpDetails.IpAddressV4",
        "Workflow.Status",
        "RecordState",
        "Id",
        "Network.DestinationIpV4",
        "Process.Name",
    ])
});
static RESOURCE: LazyLock<Paths<4>> = LazyLock::new(|| {
    Paths::new(["Type", "Id", "Details.AwsIamAccessKey.PrincipalName", "Details.AwsIamAccessKey.UserName"])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(list) = LIST.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let Some(list) = list.iter().map(|l| l.nested()).find(|l| !l.is_empty()) else {
        return finding(r, r.body, out);
    };
    let mut result = Parsed::Irrelevant(Kind::RoutineUse);
    for one in elements(list) {
        let told = finding(r, one.nested(), out);
        if result != Parsed::Events {
            result = told;
        }
    }
    result
}

fn finding(r: &Record<'_>, object: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(object) else { return Parsed::Broken(Why::Malformed("JSON")) };
    // A rule of configuration that is kept or broken; Inspector's lists of vulnerable packages are no events either.
    let check = !v[5].is_missing() || find(v[10].nested(), b"Software and Configuration Checks").is_some();
    if check || v[14].is(b"ARCHIVED") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let repeats = v[8].is(b"GuardDuty") || find(v[9].bytes(), b"/guardduty").is_some();
    let (mut host, mut user, mut target): (&[u8], Value<'_>, &[u8]) = (b"", Value::Missing, b"");
    for resource in elements(v[6].nested()).take(16) {
        let Ok(x) = RESOURCE.pick(resource.nested()) else { continue };
        // `arn:aws:ec2:region:account:instance/i-1`: what stands behind the last slash is its name.
        let name = x[1].bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
        match x[0].bytes() {
            b"AwsEc2Instance" => host = name,
            b"AwsIamAccessKey" => user = if x[2].is_missing() { x[3] } else { x[2] },
            b"AwsIamUser" if user.is_missing() => user = Value::Text(name),
            _ if target.is_empty() => target = name,
            _ => {}
        }
    }
    let source = [v[7], v[11], v[12]].into_iter().find(|s| !s.is_missing()).unwrap_or_default();
    let severity = match v[3].bytes() {
        b"" => match number(v[4].bytes()) {
            0 => 1,
            1..=39 => 2,
            40..=69 => 3,
            70..=89 => 4,
            _ => 5,
        },
        label => crate::endpoint::defender::severity(label),
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(utc(v[1].bytes()).or_else(|| utc(v[2].bytes())).or_else(|| r.header_time()))
        .identity(v[15].bytes())
        .service(Service::Edr)
        .user(&user.text())
        .host(host)
        .target(if v[17].is_missing() { target } else { v[17].bytes() })
        .source(source.bytes())
        .destination(v[16].bytes())
        .detail(&v[0].text())
        .group(v[8].bytes())
        .severity(severity)
        .flag_if(repeats, Flags::REPEATS)
        .done()
}
