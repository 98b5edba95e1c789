//! CrowdStrike Falcon: detections of the event stream.
//!
//! Read from: Falcon Streaming API event dictionary. Traps: DetectionSummaryEvent counts severity 1 to 5,
//! EppDetectionSummaryEvent 0 to 100; names of fields differ between the two; times are seconds or milliseconds.

use super::defender::severity;
use crate::decode::clock;
use crate::decode::json::Paths;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "crowdstrike",
    title: "CrowdStrike Falcon",
    row: Row::Endpoint,
    gives: &[Act::Alert, Act::Admin],
    lacks: &[Field::Mfa, Field::TunnelIp],
    traps: &["two_severity_scales"],
    manual: "CrowdStrike: Event Streams API; Falcon SIEM connector",
    enable: "Falcon SIEM connector or Event Streams API: detection and authentication activity events",
    general: false,
    marks: &["customerIDString"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && crate::decode::find::find(&r.body[..r.body.len().min(600)], b"customerIDString").is_some()
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<16>> = LazyLock::new(|| {
    Paths::new([
        "metadata.eventType",
        "metadata.eventCreationTime",
        "event.ComputerName",
        "event.Hostname",
        "event.UserName",
        "event.DetectName",
        "event.Name",
        "event.SeverityName",
        "event.DetectId",
        "event.CompositeId",
        "event.LocalIP",
        "event.CommandLine",
        "event.UserId",
        "event.UserIp",
        "event.OperationName",
        "event.Success",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let at = clock::epoch(v[1].bytes()).map(|t| (t, Certainty::Exact));
    match v[0].bytes() {
        b"DetectionSummaryEvent"
        | b"EppDetectionSummaryEvent"
        | b"IdpDetectionSummaryEvent"
        | b"XdrDetectionSummaryEvent"
        | b"MobileDetectionSummaryEvent" => {
            let host = if v[2].is_missing() { v[3] } else { v[2] };
            let title = if v[5].is_missing() { v[6] } else { v[5] };
            let id = if v[8].is_missing() { v[9] } else { v[8] };
            out.event(Act::Alert, Outcome::Unknown)
                .at(at)
                .service(Service::Edr)
                .sid(id.bytes())
                .host(&host.text())
                .device(&host.text())
                .user(&v[4].text())
                .detail(&title.text())
                .severity(severity(v[7].bytes()))
                .source(v[10].bytes())
                .done()
        }
        b"AuthActivityAuditEvent" | b"UserActivityAuditEvent" => {
            let outcome = match v[15].truth() {
                Some(true) => Outcome::Success,
                Some(false) => Outcome::Failure,
                None => Outcome::Unknown,
            };
            out.event(Act::Posture, outcome)
                .at(at)
                .service(Service::Management)
                .user(&v[12].text())
                .source(v[13].bytes())
                .detail(&v[14].text())
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
