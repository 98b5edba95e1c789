//! PingFederate: security audit log in its three layouts (bars, `key="value"`, CEF).
//!
//! Read from: PingFederate Administrator's Reference Guide, "Security audit logging". Traps: `AUTHN_ATTEMPT` is one
//! adapter of a chain and no login; the transaction number came in with version 11.3, so that the columns moved;
//! sessions that are used again and tokens are written as well.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{cef, cef_pairs, pairs};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "pingfederate",
    title: "PingFederate",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Posture],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
        Field::Zone,
    ],
    traps: &["moved_columns", "adapter_chain"],
    manual: "PingFederate Administrator's Reference Guide: Security audit logging",
    enable: "log4j2.xml: logger org.sourceid.websso.profiles.sp.SpAuditLogger and the IdP and AS ones at INFO (default: audit.log)",
    general: false,
    marks: &["|PingFederate|", "trackingid=\"tid:", " tid:", "|tid:", "[org.sourceid.", "[com.pingidentity."],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Cef {
        return find(&r.body[..r.body.len().min(160)], b"|PingFederate|").is_some();
    }
    // What follows the stamp may have been taken for the host.
    let head = &r.raw[..r.raw.len().min(200)];
    find(head, b"trackingid=\"").is_some() && find(r.raw, b" event=\"").is_some()
        || find(head, b"tid:").is_some()
            && (find(head, b"|").is_some()
                || find(head, b"[org.sourceid.").is_some()
                || find(head, b"[com.pingidentity.").is_some())
}

#[derive(Default)]
struct Said<'a> {
    event: &'a [u8],
    subject: &'a [u8],
    ip: &'a [u8],
    app: &'a [u8],
    connection: &'a [u8],
    protocol: &'a [u8],
    host: &'a [u8],
    status: &'a [u8],
    description: &'a [u8],
    tracking: &'a [u8],
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut said = Said::default();
    let mut at = match clock::iso(r.raw).or_else(|| clock::iso(r.body)) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    };
    if r.shape == Shape::Cef {
        let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Malformed("CEF")) };
        said.event = head[4];
        for (key, value) in cef_pairs(extension) {
            match key {
                b"rt" => {
                    at = match clock::bsd(value) {
                        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
                        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
                        None => at,
                    }
                }
                b"duid" => said.subject = value,
                b"src" => said.ip = value,
                b"msg" => said.status = value,
                b"cs1" => said.app = value,
                b"cs2" => said.connection = value,
                b"cs3" => said.protocol = value,
                b"dvchost" => said.host = value,
                b"externalId" => said.tracking = value,
                _ => {}
            }
        }
    } else if find(r.raw, b" event=\"").is_some() {
        for (key, value) in pairs(r.raw) {
            match key {
                b"event" => said.event = value,
                b"subject" => said.subject = value,
                b"ip" => said.ip = value,
                b"app" | b"connectionname" if said.app.is_empty() => said.app = value,
                b"connectionid" => said.connection = value,
                b"protocol" => said.protocol = value,
                b"pfhost" | b"host" => said.host = value,
                b"status" => said.status = value,
                b"description" => said.description = value,
                b"trackingid" => said.tracking = value,
                _ => {}
            }
        }
    } else if let Some(found) = bars(r.raw) {
        said = found;
    } else {
        // The server's log: who asked for which page, without who it was.
        let known = [&b"GET: "[..], b"POST: ", b"heartbeat", b"org.sourceid."];
        return Parsed::housekeeping_if(known.iter().any(|k| find(r.raw, k).is_some()));
    }
    tell(&said, at, out)
}

/// `2026-10-06 07:12:45,123| tid:…| SSO| anna| 203.0.113.7 | app| connection| SAML20| host| IdP| success| adapter| …`,
/// with a transaction number after the tracking number since version 11.3.
fn bars(text: &[u8]) -> Option<Said<'_>> {
    let mut columns: [&[u8]; 14] = [b""; 14];
    let mut count = 0;
    for (column, text) in columns.iter_mut().zip(text.split(|b| *b == b'|')) {
        *column = text.trim_ascii();
        count += 1;
    }
    let tracking = columns.iter().position(|c| c.starts_with(b"tid:"))?;
    let named = |n: usize| columns.get(n).is_some_and(|c| is_event(c));
    let event = if named(tracking + 1) { tracking + 1 } else { tracking + 2 };
    if count < event + 3 {
        return None;
    }
    let column = |n: usize| columns.get(event + n).copied().unwrap_or_default();
    Some(Said {
        event: column(0),
        subject: column(1),
        ip: column(2),
        app: column(3),
        connection: column(4),
        protocol: column(5),
        host: column(6),
        status: column(8),
        description: column(10),
        tracking: columns.get(tracking).copied().unwrap_or_default(),
    })
}

fn is_event(name: &[u8]) -> bool {
    matches!(
        name,
        b"SSO" | b"SLO" | b"OAuth" | b"STS" | b"SRI_REVOKED" | b"PWD_CHANGE" | b"PWD_RESET" | b"SCIM"
    ) || name.starts_with(b"AUTHN_")
        || name.starts_with(b"ACCOUNT_")
        || name.starts_with(b"USER_")
        || name.starts_with(b"PWD_")
}

fn tell(said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let failed = said.status.eq_ignore_ascii_case(b"failure");
    let ok = said.status.eq_ignore_ascii_case(b"success");
    let (act, outcome) = match said.event {
        b"SSO" if ok => (Act::Auth, Outcome::Success),
        b"SSO" if failed => (Act::Auth, Outcome::Failure),
        // One step of a chain of adapters; the transaction's end is `SSO` or `OAuth`.
        b"AUTHN_ATTEMPT" if failed => (Act::Auth, Outcome::Failure),
        b"AUTHN_ATTEMPT" if ok => (Act::Auth, Outcome::Success),
        b"" => return Parsed::Broken(Why::Missing("event")),
        // Tokens are asked for and renewed by programs; the person's login is another line.
        b"OAuth" if failed => (Act::Posture, Outcome::Failure),
        b"OAuth" if ok => (Act::Posture, Outcome::Success),
        b"AUTHN_REQUEST" | b"SLO" | b"AUTHN_SESSION_DELETED" | b"SRI_REVOKED" => {
            (Act::Posture, if ok { Outcome::Success } else { Outcome::Unknown })
        }
        b"AUTHN_ATTEMPT" => return Parsed::Irrelevant(Kind::Pending),
        _ => return Parsed::Irrelevant(Kind::Repeats),
    };
    let attempt = said.event == b"AUTHN_ATTEMPT";
    // A transaction fails because an attempt did: counted there.
    let again = said.event == b"SSO" && failed;
    let group = if said.app.is_empty() { said.connection } else { said.app };
    out.event(act, outcome)
        .at(at)
        .service(Service::Idp)
        .user(said.subject)
        .source(said.ip)
        .observer(said.host)
        .sid(said.tracking)
        .group(group)
        .detail(said.description)
        .reason(if failed { why(said.description) } else { Reason::None })
        .flag_if(attempt && ok, Flags::PRE_MFA)
        .flag_if(again, Flags::REPEATS)
        .done()
}

fn why(description: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(description, needle).is_some();
    if has(b"ock") {
        Reason::Locked
    } else if has(b"isabled") {
        Reason::Disabled
    } else if has(b"xpired") {
        Reason::Expired
    } else if has(b"nvalid") || has(b"ncorrect") || has(b"credential") {
        Reason::BadPassword
    } else {
        Reason::Other
    }
}
