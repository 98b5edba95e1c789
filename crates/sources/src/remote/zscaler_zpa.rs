//! Zscaler Private Access, by its Log Streaming Service: user status, user activity, audit; App Connectors' own state.
//!
//! Read from: ZPA "User Status Log Fields", "User Activity Log Fields", "Audit Log Fields", "App Connector Status Log
//! Fields". Traps: a status is sent again while the session lasts, so its time is that of the authentication; a
//! connection is logged open, active and closed; the receiver of the logs is a client itself (`ZPA LSS Client`); the
//! stamp is `ctime` without a zone and means UTC.

use super::outcome;
use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::place::Point;
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "zscaler_zpa",
    title: "Zscaler Private Access",
    row: Row::Remote,
    gives: &[Act::SessionStart, Act::SessionEnd, Act::Auth, Act::Flow, Act::Admin, Act::Account, Act::Config],
    lacks: &[Field::Mfa, Field::TunnelIp],
    traps: &["status_is_repeated", "open_active_close", "own_client"],
    manual: "Zscaler: ZPA Log Streaming Service, log fields",
    enable: "Administration > Log Receivers: one receiver each for User Status, User Activity and Audit Logs, JSON template",
    general: false,
    marks: &["\"LogTimestamp\"", "\"auditOperationType\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && (find(r.body, b"\"auditOperationType\"").is_some()
                    || find(r.body, b"\"LogTimestamp\"").is_some()
                        && (find(r.body, b"\"Customer\"").is_some() || find(r.body, b"\"ZEN\"").is_some()))
        },
        parse,
        join: None,
    },
};

const N: usize = 31;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "LogTimestamp",
        "SessionStatus",
        "ConnectionStatus",
        "Username",
        "PublicIP",
        "ClientPublicIP",
        "SessionID",
        "Hostname",
        "Platform",
        "Version",
        "CountryCode",
        "ClientCountryCode",
        "Idp",
        "ClientType",
        "TimestampAuthentication",
        "TimestampUnAuthentication",
        "TotalBytesRx",
        "TotalBytesTx",
        "InternalReason",
        "Host",
        "Application",
        "Server",
        "ServerIP",
        "ServerPort",
        "Policy",
        "TimestampConnectionStart",
        "Connector",
        "Latitude",
        "Longitude",
        "City",
        "SessionType",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if find(r.body, b"\"auditOperationType\"").is_some() {
        return audit(r, out);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let machine = v[3].is(b"ZPA LSS Client") || find(v[13].bytes(), b"slogger").is_some();
    if machine {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let written = stamp(v[0].bytes());
    if !v[2].is_missing() {
        return activity(r, &v, written, out);
    }
    if v[1].is_missing() || v[3].is_missing() {
        // App Connectors and Private Service Edges report their own state.
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let (begun, ended) = (iso(v[14]), iso(v[15]));
    let status = v[1].bytes();
    let (act, result, at) = if find(status, b"FAIL").is_some() || find(status, b"DENIED").is_some() {
        (Act::Auth, Outcome::Failure, written)
    } else if find(status, b"DISCONNECT").is_some() || find(status, b"UNAUTHENTICATED").is_some() {
        (Act::SessionEnd, Outcome::Success, ended.or(written))
    } else if find(status, b"AUTHENTICATED").is_some() {
        (Act::SessionStart, Outcome::Success, begun.or(written))
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let ends = act == Act::SessionEnd;
    let length = match (begun, ended) {
        (Some((from, _)), Some((to, _))) if ends => u32::try_from(to.since(from) / 1_000_000).unwrap_or(0),
        _ => 0,
    };
    let degrees = |x: Value<'_>| std::str::from_utf8(x.bytes()).ok().and_then(|t| t.parse::<f32>().ok());
    let point = match (degrees(v[27]), degrees(v[28])) {
        (Some(lat), Some(lon)) if lat != 0.0 || lon != 0.0 => Some(Point { lat, lon }),
        _ => None,
    };
    let (from_client, to_client) = if ends { (number(v[16].bytes()), number(v[17].bytes())) } else { (0, 0) };
    out.event(act, result)
        .at(at.or_else(|| r.header_time()))
        .service(Service::Ztna)
        .user(&v[3].text())
        .source(v[4].bytes())
        .sid(v[6].bytes())
        .device(&v[7].text())
        .client(&v[9].text())
        .group(&v[12].text())
        .country(v[10].bytes())
        .city(&v[29].text())
        .point(point)
        .bytes(from_client, to_client)
        .duration_s(length)
        .reason(match (act, result) {
            (Act::SessionEnd, _) => Reason::Logout,
            (_, Outcome::Failure) => Reason::Other,
            _ => Reason::None,
        })
        .done()
}

/// One connection to an application: told once, when it opens or is refused.
fn activity(
    r: &Record<'_>,
    v: &[Value<'_>; N],
    written: Option<(EventTime, Certainty)>,
    out: &mut Emit<'_>,
) -> Parsed {
    let why = v[18].bytes();
    let refused = find(why, b"REJECTED").is_some()
        || find(why, b"SETUP_FAIL").is_some()
        || find(why, b"DENIED").is_some()
        || find(why, b"_TIMEOUT").is_some() && find(why, b"SETUP").is_some();
    if !refused && !v[2].is(b"open") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let posture = find(why, b"POSTURE").is_some();
    let host = if v[19].bytes().is_empty() { v[22] } else { v[19] };
    out.event(Act::Flow, outcome(!refused))
        .at(iso(v[25]).or(written).or_else(|| r.header_time()))
        .service(Service::Ztna)
        .user(&v[3].text())
        .source(v[5].bytes())
        .destination(v[22].bytes())
        .destination_port(u16::try_from(number(v[23].bytes())).unwrap_or(0))
        .host(&host.text())
        .group(&v[20].text())
        .sid(v[6].bytes())
        .observer(&v[26].text())
        .country(v[11].bytes())
        .detail(if refused { why } else { b"" })
        .reason(match (refused, posture) {
            (false, _) => Reason::None,
            (true, true) => Reason::Posture,
            (true, false) if find(why, b"POLICY").is_some() => Reason::Policy,
            _ => Reason::Other,
        })
        .done()
}

/// `Tue Mar  3 09:20:42 2026`, always UTC.
fn stamp(text: &[u8]) -> Option<(EventTime, Certainty)> {
    let rest = text.get(4..)?;
    match clock::bsd(rest)? {
        (Stamp::Local(civil), _) => Some((Clock::with_offset(civil, 0)?, Certainty::Exact)),
        (Stamp::Absolute(time), _) => Some((time, Certainty::Exact)),
    }
}

fn iso(v: Value<'_>) -> Option<(EventTime, Certainty)> {
    match clock::iso(v.bytes())? {
        (Stamp::Absolute(time), _) => Some((time, Certainty::Exact)),
        (Stamp::Local(civil), _) => Some((Clock::with_offset(civil, 0)?, Certainty::Exact)),
    }
}

static AUDIT: LazyLock<Paths<7>> = LazyLock::new(|| {
    Paths::new([
        "modifiedTime",
        "auditOperationType",
        "objectType",
        "objectName",
        "modifiedByUser",
        "creationTime",
        "auditNewValue",
    ])
});

fn audit(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = AUDIT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (what, thing) = (v[1].text(), v[2].text());
    let has = |needle: &[u8]| find(&thing, needle).is_some();
    let (act, ok, change) = match what.as_ref() {
        b"Sign In" => (Act::Admin, true, Change::None),
        b"Sign In Failure" | b"Sign In Failed" => (Act::Admin, false, Change::None),
        b"Sign Out" => return Parsed::Irrelevant(Kind::RoutineUse),
        b"" => return Parsed::Broken(Why::Missing("auditOperationType")),
        b"Create" if has(b"Admin") || has(b"User") => (Act::Account, true, Change::AdminCreated),
        b"Delete" if has(b"Admin") => (Act::Account, true, Change::AccountDeleted),
        b"Create" if has(b"API Key") || has(b"Client Credential") => (Act::Account, true, Change::KeyCreated),
        b"Update" if has(b"Admin") || has(b"Role") => (Act::Account, true, Change::RoleGranted),
        b"Delete" if has(b"Log Receiver") => (Act::Config, true, Change::LoggingStopped),
        b"Download" | b"Client Session Revoked" => (Act::Config, true, Change::ConfigExported),
        _ if has(b"Policy") || has(b"Authentication") || has(b"IdP") || has(b"Posture") => {
            (Act::Config, true, Change::PolicyChanged)
        }
        _ => (Act::Config, true, Change::ConfigChanged),
    };
    let stamp = if v[0].bytes().is_empty() { v[5] } else { v[0] };
    out.event(act, outcome(ok))
        .at(iso(stamp).or_else(|| r.header_time()))
        .service(Service::Management)
        .user(&v[4].text())
        .target(if act == Act::Admin { b"".into() } else { v[3].text() }.as_ref())
        .detail(if act == Act::Admin { b"" } else { &thing })
        .change(change)
        .reason(if ok { Reason::None } else { Reason::BadPassword })
        .flag(Flags::PRIVILEGED)
        .done()
}
