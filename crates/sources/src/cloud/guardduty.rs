//! Amazon GuardDuty findings, as the API, EventBridge and the export to S3 write them.
//!
//! Read from: GuardDuty User Guide "Finding details" and "Severity levels", API reference "Finding". Traps: the API spells
//! names as EventBridge does or, through some clients, with capitals; a finding is written again each time it is seen;
//! who is named differs by kind of resource; sample findings are made up.

use super::{member, utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "guardduty",
    title: "Amazon GuardDuty",
    row: Row::Cloud,
    gives: &[Act::Alert],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionEnd, Field::Bytes],
    traps: &["capital_names", "sample_findings"],
    manual: "Amazon GuardDuty User Guide: Finding details; Severity levels for findings",
    enable: "GuardDuty with export of findings to S3, or an EventBridge rule for source aws.guardduty; update frequency 15 \
             minutes",
    general: false,
    marks: &["guardduty", "GuardDuty"],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && find(&r.body[..r.body.len().min(2_000)], b":guardduty:").is_some()
                && (has(b"\"schemaVersion\"") || has(b"\"SchemaVersion\""))
                && (has(b"\"detectorId\"") || has(b"\"DetectorId\""))
                && !has(b"\"ProductArn\"")
        },
        parse,
        join: None,
    },
};

const N: usize = 32;
/// The same in both spellings; keys that are not there cost nothing.
static PATHS: LazyLock<[Paths<N>; 2]> = LazyLock::new(|| {
    const LOWER: [&str; N] = [
        "id",
        "type",
        "title",
        "severity",
        "updatedAt",
        "createdAt",
        "accountId",
        "resource.accessKeyDetails.userName",
        "resource.accessKeyDetails.accessKeyId",
        "resource.instanceDetails.instanceId",
        "resource.kubernetesDetails.kubernetesUserDetails.username",
        "resource.kubernetesDetails.kubernetesWorkloadDetails.name",
        "resource.eksClusterDetails.name",
        "resource.rdsDbInstanceDetails.dbInstanceIdentifier",
        "resource.rdsDbUserDetails.user",
        "resource.containerDetails.name",
        "resource.s3BucketDetails",
        "service.action.awsApiCallAction.remoteIpDetails.ipAddressV4",
        "service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",
        "service.action.kubernetesApiCallAction.remoteIpDetails.ipAddressV4",
        "service.action.rdsLoginAttemptAction.remoteIpDetails.ipAddressV4",
        "service.action.portProbeAction.portProbeDetails",
        "service.action.awsApiCallAction.api",
        "service.action.networkConnectionAction.localIpDetails.ipAddressV4",
        "service.action.networkConnectionAction.localPortDetails.port",
        "service.action.networkConnectionAction.connectionDirection",
        "service.archived",
        "service.additionalInfo.sample",
        "resource.instanceDetails.tags",
        "service.runtimeDetails.process.executablePath",
        "service.action.kubernetesApiCallAction.sourceIPs",
        "service.action.networkConnectionAction.remoteIpDetails.ipAddressV6",
    ];
    let capital: Vec<String> =
        LOWER.iter().map(|path| path.split('.').map(first_capital).collect::<Vec<_>>().join(".")).collect();
    let mut upper = [""; N];
    for (to, from) in upper.iter_mut().zip(&capital) {
        *to = from;
    }
    [Paths::new(LOWER), Paths::new(upper)]
});

/// `userName` to `UserName`.
fn first_capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

static PROBE: LazyLock<Paths<2>> =
    LazyLock::new(|| Paths::new(["remoteIpDetails.ipAddressV4", "RemoteIpDetails.IpAddressV4"]));
static TAG: LazyLock<Paths<4>> = LazyLock::new(|| Paths::new(["key", "value", "Key", "Value"]));

static LIST: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["Findings", "findings"]));

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    // The answer of GetFindings is a list.
    let Ok(list) = LIST.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let Some(list) = list.iter().map(|l| l.nested()).find(|l| !l.is_empty()) else {
        return finding(r, r.body, out);
    };
    let mut result = Parsed::Irrelevant(Kind::OtherMessage);
    for one in elements(list) {
        let told = finding(r, one.nested(), out);
        if result != Parsed::Events {
            result = told;
        }
    }
    result
}

fn finding(r: &Record<'_>, object: &[u8], out: &mut Emit<'_>) -> Parsed {
    let [lower, upper] = &*PATHS;
    let Ok(mut v) = lower.pick(object) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[1].is_missing() {
        match upper.pick(object) {
            Ok(capital) if !capital[1].is_missing() => v = capital,
            _ => return Parsed::Irrelevant(Kind::OtherMessage),
        }
    }
    let at = utc(v[4].bytes()).or_else(|| utc(v[5].bytes())).or_else(|| r.header_time());
    let sample = v[27].truth() == Some(true);
    let user = first([v[7], v[10], v[14]]);
    let name = tagged(v[28].nested());
    let host = if name.is_empty() { first([v[9], v[13], v[12]]).bytes() } else { name };
    let bucket = elements(v[16].nested())
        .find_map(|b| member(b.nested(), b"\"name\"").or_else(|| member(b.nested(), b"\"Name\"")))
        .unwrap_or_default();
    let target = match first([v[11], v[15], v[29], v[22]]).bytes() {
        b"" => bucket,
        named => named,
    };
    let probe = elements(v[21].nested()).next().and_then(|one| PROBE.pick(one.nested()).ok());
    let probe = probe.map_or(Value::Missing, |p| first(p));
    let caller = elements(v[30].nested()).next().unwrap_or_default();
    let kind = v[1].bytes();
    let has = |needle: &[u8]| find(kind, needle).is_some();
    let service = if has(b":IAMUser/") || has(b":S3/") || has(b"/IAMUser") {
        Service::CloudApi
    } else if has(b":Kubernetes/") {
        Service::Kubernetes
    } else {
        Service::Edr
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(at)
        .identity(v[0].bytes())
        .service(service)
        .sid(v[0].bytes())
        .user(&user.text())
        .host(host)
        .target(target)
        .source(first([v[17], v[18], v[19], v[20], probe, v[31], caller]).bytes())
        .destination(v[23].bytes())
        .destination_port(if v[25].is(b"INBOUND") {
            u16::try_from(number(v[24].bytes())).unwrap_or(0)
        } else {
            0
        })
        .detail(&v[2].text())
        .group(kind)
        // What a sample tells did not happen.
        .severity(if sample { 1 } else { severity(v[3].bytes()) })
        .done()
}

/// The first that says something.
fn first<const M: usize>(values: [Value<'_>; M]) -> Value<'_> {
    values.into_iter().find(|v| !v.bytes().is_empty()).unwrap_or_default()
}

/// 1.0–3.9 low, 4.0–6.9 medium, 7.0–8.9 high, 9.0 and more critical.
pub(super) fn severity(text: &[u8]) -> u8 {
    match number(text) {
        0 => 0,
        1..=3 => 2,
        4..=6 => 3,
        7..=8 => 4,
        _ => 5,
    }
}

/// The `Name` tag of an instance: by which people and other logs call it.
fn tagged(tags: &[u8]) -> &[u8] {
    let name = elements(tags).take(64).find_map(|tag| {
        let t = TAG.pick(tag.nested()).ok()?;
        first([t[0], t[2]]).is(b"Name").then(|| first([t[1], t[3]]).bytes())
    });
    name.unwrap_or_default()
}
