//! Identity Protection: risk detections and risky users.

use super::{Spelling, first, unwrapped, when};
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::event::{Act, Flags, Outcome, Service};
use std::sync::LazyLock;

const N: usize = 14;
static DIAGNOSTIC: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "properties.activityDateTime",
        "properties.detectedDateTime",
        "properties.riskLastUpdatedDateTime",
        "time",
        "properties.userPrincipalName",
        "properties.userDisplayName",
        "properties.ipAddress",
        "properties.riskEventType",
        "properties.riskType",
        "properties.riskLevel",
        "properties.riskState",
        "properties.id",
        "properties.location",
        "properties.servicePrincipalDisplayName",
    ])
});
static GRAPH: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "activityDateTime",
        "detectedDateTime",
        "riskLastUpdatedDateTime",
        "@timestamp",
        "userPrincipalName",
        "userDisplayName",
        "ipAddress",
        "riskEventType",
        "riskType",
        "riskLevel",
        "riskState",
        "id",
        "location",
        "servicePrincipalDisplayName",
    ])
});
static COLUMNS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "ActivityDateTime",
        "DetectedDateTime",
        "RiskLastUpdatedDateTime",
        "TimeGenerated",
        "UserPrincipalName",
        "UserDisplayName",
        "IpAddress",
        "RiskEventType",
        "RiskType",
        "RiskLevel",
        "RiskState",
        "Id",
        "Location",
        "ServicePrincipalDisplayName",
    ])
});
static LOCATION: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["countryOrRegion", "city"]));

fn pick<'a>(r: &Record<'a>, spelling: Spelling) -> Option<[Value<'a>; N]> {
    let paths = match spelling {
        Spelling::Diagnostic => &DIAGNOSTIC,
        Spelling::Columns => &COLUMNS,
        Spelling::Graph | Spelling::Portal | Spelling::Hunting => &GRAPH,
    };
    paths.pick(r.body).ok()
}

/// Somebody, or the system by itself, has looked at it and closed it.
fn settled(state: &[u8]) -> bool {
    matches!(state, b"remediated" | b"dismissed" | b"confirmedSafe" | b"none")
}

fn severity(level: &[u8]) -> u8 {
    match level {
        b"high" => 4,
        b"medium" => 3,
        b"low" => 2,
        _ => 0,
    }
}

/// A detection is written again when its state changes: its id is the key, its time that of the sign-in.
pub(super) fn detection(r: &Record<'_>, spelling: Spelling, out: &mut Emit<'_>) -> Parsed {
    let Some(v) = pick(r, spelling) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = first(&[v[7], v[8]]);
    if kind.is_missing() {
        return user(r, spelling, out);
    }
    if settled(v[10].bytes()) {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let person = first(&[v[4], v[5]]);
    let place = unwrapped(v[12]);
    let p = LOCATION.pick(&place).unwrap_or_default();
    out.event(Act::Alert, Outcome::Unknown)
        .at(when(r, first(&[v[0], v[1], v[3]])))
        .identity(v[11].bytes())
        .service(Service::Idp)
        .user(&first(&[person, v[13]]).text())
        .source(v[6].bytes())
        .detail(&kind.text())
        .severity(severity(v[9].bytes()))
        .country(p[0].bytes())
        .city(&p[1].text())
        .flag(Flags::RISKY)
        .flag_if(person.is_missing(), Flags::MACHINE)
        .done()
}

/// A user's level follows from the detections, which come by themselves; only a person's verdict is news.
pub(super) fn user(r: &Record<'_>, spelling: Spelling, out: &mut Emit<'_>) -> Parsed {
    let Some(v) = pick(r, spelling) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if !v[10].is(b"confirmedCompromised") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let person = first(&[v[4], v[5]]);
    out.event(Act::Alert, Outcome::Unknown)
        .at(when(r, first(&[v[2], v[3]])))
        .service(Service::Idp)
        .user(&first(&[person, v[13]]).text())
        .detail(b"confirmedCompromised")
        .severity(5)
        .flag(Flags::RISKY)
        .flag_if(person.is_missing(), Flags::MACHINE)
        .done()
}
