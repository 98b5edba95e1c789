//! AWS Network Firewall: Suricata's records in an envelope of Amazon's.
//!
//! Read from: AWS Network Firewall "Contents of a firewall log". Traps: `event_timestamp` is text of seconds and the time
//! of the record stands inside; each direction of a connection is a record of its own.

use crate::decode::json::Paths;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::Act;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "aws_network_firewall",
    title: "AWS Network Firewall",
    row: Row::Firewall,
    gives: &[Act::Flow, Act::Alert],
    lacks: &[Field::User, Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["blocked_alert", "both_directions"],
    manual: "AWS Network Firewall Developer Guide: Contents of a firewall log",
    enable: "logging configuration of the firewall: alert and flow logs to S3, CloudWatch or Firehose",
    general: false,
    marks: &["\"firewall_name\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && r.contains(b"\"firewall_name\"")
                && r.contains(b"\"event\"")
                && r.contains(b"\"event_type\"")
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["firewall_name", "event"]));

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let event = v[1].nested();
    if event.is_empty() {
        return Parsed::Broken(Why::Missing("event"));
    }
    super::suricata::eve(r, event, Some(v[0].bytes()), out)
}
