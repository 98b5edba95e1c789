//! OpenVPN Access Server: its log, and the rows of its log database.
//!
//! Read from: OpenVPN Access Server "Logging and debug flag options", `logdba`. Traps: the daemon's own lines are wrapped
//! in `OUT: "…"`; the log database writes one row per session, with its end; a login at the web page fetches a profile and
//! opens no tunnel; a refusal is said by the service and by the daemon.

use super::openvpn::{Line, line};
use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{after, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "openvpn_as",
    title: "OpenVPN Access Server",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::Mfa, Act::SessionStart, Act::IpAssign, Act::SessionEnd, Act::Admin],
    lacks: &[Field::Device, Field::Host],
    traps: &["wrapped", "log_database"],
    manual: "OpenVPN Access Server: Logging and debug flag options; logdba",
    enable: "log to syslog: SYSLOG=true in as.conf; or export the log database: logdba --json",
    general: false,
    marks: &["[stdout#", "[stderr#", "openvpnas", "\"vpn_ip\"", "\"VPN IP\""],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Json => {
                find(r.body, b"\"vpn_ip\"").is_some() && find(r.body, b"\"real_ip\"").is_some()
                    || find(r.body, b"\"VPN IP\"").is_some() && find(r.body, b"\"Real IP\"").is_some()
            }
            Shape::Text => is_log(r),
            _ => false,
        },
        parse,
        join: None,
    },
};

/// A line of the service, its daemon's included.
pub(crate) fn is_log(r: &Record<'_>) -> bool {
    let head = &r.raw[..r.raw.len().min(100)];
    r.header.program.starts_with(b"openvpnas")
        || find(head, b"[stdout#").is_some()
        || find(head, b"[stderr#").is_some()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return row(r, out);
    }
    let time = match clock::iso(r.raw) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    let host = if r.host().starts_with(b"[") { b"" } else { r.host() };
    // `[OVPN 3] OUT: "2026-03-04 09:00:00 192.0.2.9:50123 [anna] Peer Connection Initiated …"`, quoted either way.
    if let Some(at) = find(r.raw, b"] OUT: ") {
        let inner = r.raw[at + 7..].trim_ascii();
        let inner = inner.strip_prefix(b"\"").or_else(|| inner.strip_prefix(b"'")).unwrap_or(inner);
        let inner = inner.strip_suffix(b"\"").or_else(|| inner.strip_suffix(b"'")).unwrap_or(inner);
        let text = match clock::iso(inner) {
            Some((_, used)) => inner[used..].trim_ascii_start(),
            None => match inner.get(4..).and_then(clock::bsd) {
                Some((_, used)) => inner[4 + used..].trim_ascii_start(),
                None => inner,
            },
        };
        return line(&Line { time, host, text }, out);
    }
    let text = r.raw;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let web = has(b"Web login");
    let (success, failure) = (
        has(b"AUTH SUCCESS") || has(b"Web login authentication succeeded") || has(b"Web login success"),
        has(b"AUTH FAILED")
            || has(b"VPN Auth Failed")
            || has(b"Web login authentication failed")
            || has(b"Web login failed"),
    );
    if success == failure {
        let known =
            has(b"Server Agent") || has(b"OVPN ") || has(b"Service deactivat") || has(b"Service activat");
        return Parsed::housekeeping_if(known);
    }
    let part = |name: &[u8], quote: &[u8]| after(text, name, quote);
    let user = part(b"'user': '", b"'")
        .or_else(|| part(b"'user': \"", b"\""))
        .or_else(|| part(b"\"user\": \"", b"\""))
        .unwrap_or_default();
    let from = part(b"'client_ip_addr': '", b"'").or_else(|| part(b"'real_ip': '", b"'")).unwrap_or_default();
    let client = part(b" cli='", b"'").unwrap_or_default();
    let reason = if has(b"locked") || has(b"LOCKOUT") {
        Reason::Locked
    } else if has(b"user not found") || has(b"no such user") {
        Reason::NoUser
    } else if has(b"challenge") || has(b"TOTP") || has(b"MFA") {
        Reason::MfaFailed
    } else {
        Reason::BadPassword
    };
    if failure && user.is_empty() {
        // The daemon's refusal names the address, this one neither.
        return Parsed::Irrelevant(Kind::Repeats);
    }
    out.event(Act::Auth, if success { Outcome::Success } else { Outcome::Failure })
        .at(time)
        .service(Service::Vpn)
        .user(user)
        .source(from)
        .client(client)
        .group(if web { b"web" } else { b"" })
        .reason(if success { Reason::None } else { reason })
        .observer(host)
        .flag_if(success, Flags::PRE_MFA)
        .done()
}

static ROW: LazyLock<Paths<30>> = LazyLock::new(|| {
    Paths::new([
        "node",
        "Node",
        "username",
        "Username",
        "service",
        "Service",
        "real_ip",
        "Real IP",
        "vpn_ip",
        "VPN IP",
        "start_time",
        "Start Time",
        "timestamp",
        "duration",
        "Duration",
        "bytes_in",
        "Bytes In",
        "bytes_out",
        "Bytes Out",
        "error",
        "Error",
        "session_id",
        "Session ID",
        "platform",
        "Platform",
        "active",
        "Active",
        "gui_version",
        "port",
        "Port",
    ])
});

/// A row of the log database: a whole session, or a refusal.
fn row(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = ROW.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let told = |names: &[usize]| -> &[u8] {
        names
            .iter()
            .filter_map(|n| v.get(*n))
            .find(|v| !v.is_missing())
            .copied()
            .map_or(&b""[..], Value::bytes)
    };
    let stamp = told(&[10, 11, 12]);
    let start: Option<(EventTime, Certainty)> = match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
        None => clock::epoch(stamp).map(|t| (t, Certainty::Exact)),
    };
    let Some(start) = start.or_else(|| r.header_time()) else {
        return Parsed::Broken(Why::Missing("start time"));
    };
    let (user, from, tunnel) = (told(&[2, 3]), told(&[6, 7]), Ip::parse(told(&[8, 9])));
    let (service, error) = (told(&[4, 5]), told(&[19, 20]));
    let failed = !matches!(error, b"" | b"0" | b"None" | b"null");
    let admin = find(service, b"ADMIN").is_some() || find(service, b"Admin").is_some();
    let vpn = service.is_empty() || service.eq_ignore_ascii_case(b"vpn");
    let (node, sid) = (told(&[0, 1]), told(&[21, 22]));
    if failed || admin || !vpn {
        return out
            .event(
                if admin { Act::Admin } else { Act::Auth },
                if failed { Outcome::Failure } else { Outcome::Success },
            )
            .time(start.0, start.1)
            .service(if admin { Service::Management } else { Service::Vpn })
            .user(user)
            .source(from)
            .group(service)
            .detail(error)
            .reason(match failed {
                false => Reason::None,
                true if find(error, b"ertificate").is_some() => Reason::Certificate,
                true if find(error, b"ock").is_some() => Reason::Locked,
                true => Reason::BadPassword,
            })
            .observer(node)
            .flag_if(admin, Flags::PRIVILEGED)
            .flag_if(!admin && !failed, Flags::PRE_MFA)
            .done();
    }
    let act = if tunnel.is_some() { Act::IpAssign } else { Act::SessionStart };
    let parsed = out
        .event(act, Outcome::Success)
        .time(start.0, start.1)
        .service(Service::Vpn)
        .user(user)
        .source(from)
        .tunnel_ip(tunnel)
        .sid(sid)
        .client(told(&[23, 24]))
        .observer(node)
        .done();
    let seconds = number(told(&[13, 14]));
    let active = matches!(told(&[25, 26]), b"1" | b"true" | b"True");
    if seconds == 0 || active || parsed != Parsed::Events {
        return parsed;
    }
    let end = start.0.plus(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000).min(1 << 52));
    out.event(Act::SessionEnd, Outcome::Success)
        .time(end, start.1)
        .service(Service::Vpn)
        .user(user)
        .source(from)
        .tunnel_ip(tunnel)
        .sid(sid)
        .duration_s(u32::try_from(seconds).unwrap_or(u32::MAX))
        .bytes(number(told(&[15, 16])), number(told(&[17, 18])))
        .observer(node)
        .done()
}
