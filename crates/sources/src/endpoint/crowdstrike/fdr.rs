//! Events of the sensors as the Falcon Data Replicator writes them: flat, or with what the sensor said under `event`.
//!
//! Traps: processes of Windows name their user by SID alone, so such a command has no user here; `timestamp` is when the
//! cloud took it, `ContextTimeStamp` when it happened; numbers are texts, codes of Windows are decimal.

use super::{Seen, grade, remote_response};
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

/// What is asked for; each may stand at the top or under `event`.
const NAMES: [&str; 32] = [
    "event_simpleName",
    "timestamp",
    "ContextTimeStamp",
    "ComputerName",
    "UserName",
    "UserSid",
    "CommandLine",
    "ImageFileName",
    "LogonType",
    "LogonDomain",
    // 10
    "RemoteAddressIP4",
    "RemoteAddressIP6",
    "LocalAddressIP4",
    "RemotePort",
    "LocalPort",
    "SubStatus",
    "aid",
    "event_platform",
    "ClientComputerName",
    "UserRid",
    // 20
    "GroupRid",
    "TaskName",
    "ServiceDisplayName",
    "Severity",
    "SeverityName",
    "CompositeId",
    "Name",
    "Hostname",
    "HostnameField",
    "SessionId",
    // 30
    "UTCTimestamp",
    "FileName",
];
const N: usize = NAMES.len();

static PATHS: LazyLock<Paths<{ 2 * N }>> = LazyLock::new(|| {
    let under: Vec<String> = NAMES.iter().map(|n| format!("event.{n}")).collect();
    let mut all = [""; 2 * N];
    for (place, name) in all.iter_mut().zip(NAMES.iter().copied().chain(under.iter().map(String::as_str))) {
        *place = name;
    }
    Paths::new(all)
});

/// The name of the event without picking anything: nearly all of them are of no concern.
fn name(body: &[u8]) -> &[u8] {
    let after = |key: &[u8]| {
        let rest = body.get(find(body, key)? + key.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
        rest.get(..memchr::memchr(b'"', rest)?)
    };
    after(b"\"event_simpleName\"").or_else(|| after(b"\"fdr_event_type\"")).unwrap_or_default()
}

pub(super) fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let name = name(r.body);
    if !matches!(
        name,
        b"ProcessRollup2"
            | b"UserLogon"
            | b"UserLogonFailed"
            | b"UserLogonFailed2"
            | b"UserLogoff"
            | b"UserIdentity"
            | b"UserAccountCreated"
            | b"UserAccountDeleted"
            | b"UserAccountAddedToGroup"
            | b"NetworkReceiveAcceptIP4"
            | b"NetworkReceiveAcceptIP6"
            | b"ScheduledTaskRegistered"
            | b"CreateService"
            | b"Event_DetectionSummaryEvent"
            | b"Event_EppDetectionSummaryEvent"
            | b"Event_RemoteResponseSessionStartEvent"
            | b"Event_RemoteResponseSessionEndEvent"
    ) {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let v = Seen(v);
    let get = |n: usize| v.first(&[n, n + N]);
    let at = time(get(2)).or_else(|| time(get(30))).or_else(|| time(get(1))).or_else(|| r.header_time());
    let host = v.first(&[3, 3 + N, 27, 27 + N]).text();
    let sid = get(5).bytes();
    let machine = matches!(sid, b"S-1-5-18" | b"S-1-5-19" | b"S-1-5-20");
    let user = get(4).text();
    match name {
        b"ProcessRollup2" => {
            if machine {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let line = v.first(&[6, 6 + N, 7, 7 + N]).text();
            out.event(Act::Exec, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .user(&user)
                .detail(&line)
                .host(&host)
                .observer(&host)
                .done()
        }
        b"UserIdentity" => Parsed::Irrelevant(Kind::Repeats),
        b"UserLogon" | b"UserLogonFailed" | b"UserLogonFailed2" => {
            let logon_type = u8::try_from(number(get(8).bytes())).unwrap_or(0);
            // Services, batches, and what the system does for itself.
            if machine || matches!(logon_type, 4 | 5) || user.ends_with(b"$") {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let failed = name != b"UserLogon";
            let unix = !matches!(get(17).bytes(), b"Win" | b"");
            let service = match logon_type {
                10 => Service::Rdp,
                _ if unix => Service::Host,
                _ => Service::Windows,
            };
            out.event(Act::Logon, if failed { Outcome::Failure } else { Outcome::Success })
                .at(at)
                .service(service)
                .domain_user(&get(9).text(), &user)
                .source(v.first(&[10, 10 + N, 11, 11 + N]).bytes())
                .device(&get(18).text())
                .host(&host)
                .observer(&host)
                .logon_type(logon_type)
                .reason(if failed { status(number(get(15).bytes())) } else { Reason::None })
                .done()
        }
        b"UserLogoff" => {
            if machine || user.is_empty() || user.ends_with(b"$") {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Logoff, Outcome::Success)
                .at(at)
                .service(Service::Windows)
                .domain_user(&get(9).text(), &user)
                .host(&host)
                .observer(&host)
                .done()
        }
        b"UserAccountCreated" | b"UserAccountDeleted" | b"UserAccountAddedToGroup" => {
            let change = match name {
                b"UserAccountCreated" => Change::AccountCreated,
                b"UserAccountDeleted" => Change::AccountDeleted,
                _ => Change::GroupAdded,
            };
            // The account is the one that changed; by whom the sensor does not say here.
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .target(&v.first(&[4, 4 + N, 19, 19 + N]).text())
                .detail(get(20).bytes())
                .change(change)
                .host(&host)
                .observer(&host)
                .done()
        }
        b"ScheduledTaskRegistered" | b"CreateService" => {
            if machine {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let task = name == b"ScheduledTaskRegistered";
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .user(&user)
                .target(&get(if task { 21 } else { 22 }).text())
                .change(if task { Change::TaskCreated } else { Change::ServiceInstalled })
                .host(&host)
                .observer(&host)
                .done()
        }
        b"NetworkReceiveAcceptIP4" | b"NetworkReceiveAcceptIP6" => {
            let from = Ip::parse(v.first(&[10, 10 + N, 11, 11 + N]).bytes());
            let to = Ip::parse(get(12).bytes());
            let port = u16::try_from(number(get(14).bytes())).unwrap_or(0);
            if let Some(kind) = worth(from, to, port, true) {
                return Parsed::Irrelevant(kind);
            }
            out.event(Act::Flow, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .source_ip(from)
                .source_port(u16::try_from(number(get(13).bytes())).unwrap_or(0))
                .destination_ip(to)
                .destination_port(port)
                .host(&host)
                .observer(&host)
                .done()
        }
        b"Event_RemoteResponseSessionStartEvent" | b"Event_RemoteResponseSessionEndEvent" => remote_response(
            out,
            at,
            name.ends_with(b"EndEvent"),
            &user,
            &v.first(&[28, 28 + N]).text(),
            get(29).bytes(),
            (b"", b""),
        ),
        _ => out
            .event(Act::Alert, Outcome::Unknown)
            .at(at)
            .service(Service::Edr)
            .user(&user)
            .host(&host)
            .device(&host)
            .sid(get(25).bytes())
            .detail(&get(26).text())
            .target(&get(31).text())
            .severity(grade(get(24).bytes(), get(23).bytes(), name == b"Event_DetectionSummaryEvent"))
            .done(),
    }
}

fn time(value: Value<'_>) -> Option<(EventTime, Certainty)> {
    let text = value.bytes();
    if !text.contains(&b'-') {
        return clock::epoch(text).map(|t| (t, Certainty::Exact));
    }
    match clock::iso(text)?.0 {
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
        Stamp::Local(civil) => Some((clock::Clock::with_offset(civil, 0)?, Certainty::Exact)),
    }
}

/// NTSTATUS of a logon that failed.
fn status(code: u64) -> Reason {
    match code & 0xffff_ffff {
        0xc000_006a => Reason::BadPassword,
        0xc000_0064 => Reason::NoUser,
        0xc000_0234 => Reason::Locked,
        0xc000_0072 => Reason::Disabled,
        0xc000_0071 | 0xc000_0193 | 0xc000_0224 => Reason::Expired,
        0xc000_006f => Reason::Hours,
        0xc000_0070 | 0xc000_015b => Reason::NotAllowed,
        0 => Reason::None,
        _ => Reason::Other,
    }
}
