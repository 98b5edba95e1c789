//! Microsoft Defender: alerts from advanced hunting exports, Graph and Sentinel.
//!
//! Read from: "Advanced hunting schema: AlertInfo, AlertEvidence", Graph security alert resource. Trap: title and
//! severity stand in AlertInfo, device and account in AlertEvidence, joined by AlertId.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "defender",
    title: "Microsoft Defender XDR",
    row: Row::Endpoint,
    gives: &[Act::Alert],
    lacks: &[Field::Mfa, Field::TunnelIp],
    traps: &["evidence_without_title"],
    manual: "Microsoft Defender XDR: advanced hunting schema; Graph security alerts",
    enable: "streaming API to Event Hubs or storage: AlertInfo and AlertEvidence; or Graph security alerts",
    general: false,
    marks: &["AdvancedHunting-", "lertId"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json && {
                let head = &r.body[..r.body.len().min(1_200)];
                crate::decode::find::find(head, b"AdvancedHunting-").is_some()
                    || (crate::decode::find::find(head, b"lertId").is_some()
                        && crate::decode::find::find(head, b"everity").is_some()
                        // Alerts of the unified audit log are read by `m365`.
                        && crate::decode::find::find(head, b"\"Workload\"").is_none())
                    || crate::decode::find::find(head, b"\"providerAlertId\"").is_some()
            }
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<24>> = LazyLock::new(|| {
    Paths::new([
        "category",
        "properties.Timestamp",
        "properties.AlertId",
        "properties.Title",
        "properties.Severity",
        "properties.DeviceName",
        "properties.AccountName",
        "properties.AccountDomain",
        "properties.RemoteIP",
        "properties.EntityType",
        "time",
        "AlertId",
        "Title",
        "Severity",
        "DeviceName",
        "AccountName",
        "Timestamp",
        "id",
        "title",
        "severity",
        "createdDateTime",
        "evidence",
        "properties.AdditionalFields",
        "properties.LocalIP",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let category = v[0].bytes();
    if category.starts_with(b"AdvancedHunting-")
        && !category.ends_with(b"AlertInfo")
        && !category.ends_with(b"AlertEvidence")
    {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let first = |all: &[usize]| {
        all.iter().map(|i| v[*i]).find(|x| !x.is_missing() && !x.bytes().is_empty()).unwrap_or_default()
    };
    let stamp = first(&[1, 16, 20, 10]).bytes();
    let at = match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    };
    let severity = severity(first(&[4, 13, 19]).bytes());
    let device = first(&[5, 14]);
    if category.ends_with(b"AlertEvidence") && device.is_missing() && v[6].is_missing() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let title = first(&[3, 12, 18]);
    out.event(Act::Alert, Outcome::Unknown)
        .at(at)
        .service(Service::Edr)
        .sid(first(&[2, 11, 17]).bytes())
        .detail(&title.text())
        .severity(severity)
        .host(&device.text())
        .device(&device.text())
        .domain_user(v[7].bytes(), &first(&[6, 15]).text())
        .source(Value::bytes(v[8]))
        .done()
}

/// OCSF severity, 1 to 5; 0 where the record names none.
pub(crate) fn severity(text: &[u8]) -> u8 {
    match text.to_ascii_lowercase().as_slice() {
        b"informational" | b"info" => 1,
        b"low" => 2,
        b"medium" => 3,
        b"high" => 4,
        b"critical" => 5,
        _ => 0,
    }
}
