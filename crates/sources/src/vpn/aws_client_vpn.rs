//! AWS Client VPN: the connection log in CloudWatch Logs.
//!
//! Read from: AWS Client VPN Administrator Guide, "Connection logging". Traps: every field is text, and what is not there
//! is `NA`; one connection writes its attempt and, once it is over, its reset; with mutual authentication there is no user
//! but the name of the certificate; `client-ip` is the address that was given, `device-ip` the public one.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "aws_client_vpn",
    title: "AWS Client VPN",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::SessionStart, Act::IpAssign, Act::SessionEnd, Act::Posture],
    lacks: &[Field::Mfa, Field::Host, Field::Device],
    traps: &["certificate_only", "posture"],
    manual: "AWS Client VPN Administrator Guide: Connection logging",
    enable: "Client VPN endpoint > Modify > Enable log details on client connections, to a CloudWatch Logs group",
    general: false,
    marks: &["\"connection-log-type\""],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Json && find(r.body, b"\"connection-log-type\"").is_some(),
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<18>> = LazyLock::new(|| {
    Paths::new([
        "connection-log-type",
        "connection-attempt-status",
        "connection-reset-status",
        "connection-attempt-failure-reason",
        "connection-id",
        "client-vpn-endpoint-id",
        "connection-start-time",
        "connection-last-update-time",
        "connection-end-time",
        "client-ip",
        "common-name",
        "device-type",
        "device-ip",
        "port",
        "ingress-bytes",
        "egress-bytes",
        "connection-duration-seconds",
        "username",
    ])
});

/// `2026-03-04 09:00:00`, in UTC.
fn stamp(text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text)? {
        (Stamp::Absolute(t), _) => Some((t, Certainty::Exact)),
        (Stamp::Local(civil), _) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let told = |n: usize| v.get(n).map_or(&b""[..], |v| v.bytes());
    let is = |text: &'static [u8]| move |n: &[u8]| n == text;
    let there = |text: &[u8]| !text.is_empty() && !is(b"NA")(text) && !is(b"N/A")(text);
    let name = if there(told(17)) { told(17) } else { told(10) };
    let name = if there(name) { name } else { b"" };
    let tunnel = told(9);
    let (act, outcome, at) = match told(0) {
        b"connection-attempt" if told(1) == b"successful" => {
            (if there(tunnel) { Act::IpAssign } else { Act::SessionStart }, Outcome::Success, stamp(told(6)))
        }
        b"connection-attempt" if told(1) == b"failed" => (Act::Auth, Outcome::Failure, stamp(told(6))),
        b"connection-attempt" => (Act::Posture, Outcome::Unknown, stamp(told(6))),
        b"connection-reset" if told(2) == b"failed" => return Parsed::Irrelevant(Kind::Housekeeping),
        b"connection-reset" => (Act::SessionEnd, Outcome::Success, stamp(told(8)).or_else(|| stamp(told(7)))),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let why = told(3);
    let has = |needle: &[u8]| find(why, needle).is_some();
    let reason = match outcome {
        Outcome::Failure if has(b"posture") || has(b"client-connect") => Reason::Posture,
        Outcome::Failure if has(b"certificate") => Reason::Certificate,
        Outcome::Failure if has(b"authorization") || has(b"limit") => Reason::NotAllowed,
        Outcome::Failure if has(b"authentication") || has(b"credential") || has(b"password") => {
            Reason::BadPassword
        }
        Outcome::Failure => Reason::Other,
        _ => Reason::None,
    };
    // Who is refused by the handler of the connection had the right credentials.
    let outcome = if reason == Reason::Posture { Outcome::BlockedAfterPassword } else { outcome };
    out.event(act, outcome)
        .at(at.or_else(|| r.header_time()))
        .service(Service::Vpn)
        .user(name)
        .source(told(12))
        .source_port(u16::try_from(number(told(13))).unwrap_or(0))
        .tunnel(tunnel)
        .sid(told(4))
        .client(if there(told(11)) { told(11) } else { b"" })
        .detail(if there(why) { why } else { b"" })
        .duration_s(u32::try_from(number(told(16))).unwrap_or(u32::MAX))
        .bytes(number(told(14)), number(told(15)))
        .reason(reason)
        .observer(told(5))
        .done()
}
