//! CrowdStrike Falcon: detections and the console's audit of the event stream, the Alerts API, the SIEM connector's CEF
//! and LEEF, and the sensors' own events of the Falcon Data Replicator.
//!
//! Read from: Falcon Streaming API event dictionary, Falcon SIEM connector guide, Alerts API, FDR events data dictionary.
//! Traps: DetectionSummaryEvent counts severity 1 to 5, all others 0 to 100; names of fields differ between the two;
//! times are seconds or milliseconds; `LocalIP` and `aip` are the sensor's own address and its way out, never the
//! attacker's; a console login is userAuthenticate and then twoFactorAuthenticate.

mod fdr;
mod syslog;

use super::defender::severity;
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "crowdstrike",
    title: "CrowdStrike Falcon",
    row: Row::Endpoint,
    gives: &[
        Act::Alert,
        Act::Admin,
        Act::Mfa,
        Act::Account,
        Act::Config,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Logon,
        Act::Logoff,
        Act::Exec,
        Act::Flow,
        Act::Posture,
    ],
    lacks: &[Field::TunnelIp, Field::Bytes],
    traps: &["two_severity_scales", "own_address", "reads_of_the_console"],
    manual: "CrowdStrike: Event Streams API; Falcon SIEM connector; Alerts API; Falcon Data Replicator, events data dictionary",
    enable: "Falcon SIEM connector or Event Streams API: detection and authentication activity events; Falcon Data Replicator for logons and processes",
    general: false,
    marks: &[
        "customerIDString",
        "detectionIdString",
        "event_simpleName",
        "fdr_event_type",
        "\"AgentLoadFlags\"",
        "\"composite_id\"",
        "\"ldt:",
        "\"inc:",
        "|CrowdStrike|",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Cef => r.body.starts_with(b"CEF:0|CrowdStrike|") || r.body.starts_with(b"CEF: 0|CrowdStrike|"),
        Shape::Leef => find(&r.body[..r.body.len().min(40)], b"|CrowdStrike|").is_some(),
        Shape::Json => form(r.body).is_some(),
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Stream,
    Vertex,
    Sensor,
    Inventory,
    Alert,
    Detect,
    Incident,
}

fn form(body: &[u8]) -> Option<Form> {
    let has = |text: &[u8]| find(body, text).is_some();
    if has(b"\"customerIDString\"") {
        Some(Form::Stream)
    } else if has(b"\"event_simpleName\"") || has(b"\"fdr_event_type\"") {
        Some(Form::Sensor)
    } else if has(b"\"detectionIdString\"") {
        Some(Form::Vertex)
    } else if has(b"\"AgentLoadFlags\"") && has(b"\"cid\"") {
        Some(Form::Inventory)
    } else if has(b"\"composite_id\"") && has(b"\"cid\"") {
        Some(Form::Alert)
    } else if has(b"\"detection_id\"") && has(b"\"ldt:") {
        Some(Form::Detect)
    } else if has(b"\"incident_id\"") && has(b"\"inc:") {
        Some(Form::Incident)
    } else {
        None
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if matches!(r.shape, Shape::Cef | Shape::Leef) {
        return syslog::parse(r, out);
    }
    match form(r.body) {
        Some(Form::Stream) => stream(r, out),
        Some(Form::Sensor) => fdr::parse(r, out),
        Some(Form::Alert | Form::Detect | Form::Incident) => api(r, out),
        Some(Form::Vertex | Form::Inventory) => Parsed::Irrelevant(Kind::OtherMessage),
        None => Parsed::NotMine,
    }
}

/// OCSF severity of a score that goes to 100; bounds as the console names them.
fn of_hundred(score: u64) -> u8 {
    match score {
        0 => 0,
        1..=19 => 1,
        20..=39 => 2,
        40..=59 => 3,
        60..=79 => 4,
        _ => 5,
    }
}

/// The name of the severity where there is one, else its number, in the scale of this event.
fn grade(name: &[u8], number: &[u8], of_five: bool) -> u8 {
    match severity(name) {
        0 => match crate::decode::kv::number(number) {
            n @ 1..=5 if of_five => u8::try_from(n).unwrap_or(0),
            n => of_hundred(n),
        },
        named => named,
    }
}

static STREAM: LazyLock<Paths<42>> = LazyLock::new(|| {
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
        // 10
        "event.Severity",
        "event.CommandLine",
        "event.UserId",
        "event.UserIp",
        "event.OperationName",
        "event.Success",
        "event.AuditKeyValues",
        "event.FilePath",
        "event.FileName",
        "event.SourceAccountName",
        // 20
        "event.SourceAccountDomain",
        "event.SourceEndpointHostName",
        "event.SourceEndpointIpAddress",
        "event.TargetEndpointHostName",
        "event.EndpointName",
        "event.EndpointIp",
        "event.IncidentType",
        "event.IncidentDescription",
        "event.IdentityProtectionIncidentId",
        "event.IncidentID",
        // 30
        "event.FineScore",
        "event.LeadId",
        "event.Score",
        "event.HostnameField",
        "event.SessionId",
        "event.EndTimestamp",
        "event.StartTimestamp",
        "event.HostID",
        "event.State",
        "event.ServiceName",
        // 40
        "event.DetectDescription",
        "event.LogonDomain",
    ])
});

struct Seen<'a, const N: usize>([Value<'a>; N]);

impl<'a, const N: usize> Seen<'a, N> {
    fn at(&self, n: usize) -> Value<'a> {
        self.0.get(n).copied().unwrap_or_default()
    }

    /// The first of these that says something.
    fn first(&self, all: &[usize]) -> Value<'a> {
        all.iter().map(|n| self.at(*n)).find(|v| !v.bytes().is_empty()).unwrap_or_default()
    }
}

fn stream(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = STREAM.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let v = Seen(v);
    let at = clock::epoch(v.at(1).bytes()).map(|t| (t, Certainty::Exact));
    let kind = v.at(0).bytes();
    match kind {
        b"DetectionSummaryEvent"
        | b"EppDetectionSummaryEvent"
        | b"XdrDetectionSummaryEvent"
        | b"MobileDetectionSummaryEvent"
        | b"IdpDetectionSummaryEvent"
        | b"CustomerIOCEvent"
        | b"DataProtectionDetectionSummaryEvent" => {
            let identity = kind.starts_with(b"Idp");
            let host = v.first(if identity { &[21, 23] } else { &[2, 3] }).text();
            let event = out
                .event(Act::Alert, Outcome::Unknown)
                .at(at)
                .service(Service::Edr)
                .sid(v.first(&[9, 8]).bytes())
                .host(&host)
                .device(&host)
                .detail(&v.first(&[5, 6, 40]).text())
                .target(&v.first(&[18, 17]).text())
                .severity(grade(v.at(7).bytes(), v.at(10).bytes(), kind.starts_with(b"Detection")));
            if identity {
                event.domain_user(&v.at(20).text(), &v.first(&[19, 4]).text()).source(v.at(22).bytes()).done()
            } else {
                event.user(&v.at(4).text()).done()
            }
        }
        b"IdentityProtectionEvent" => out
            .event(Act::Alert, Outcome::Unknown)
            .at(at)
            .service(Service::Edr)
            .sid(v.at(28).bytes())
            .host(&v.at(24).text())
            .user(&v.at(4).text())
            .source(v.at(25).bytes())
            .detail(&v.first(&[26, 27]).text())
            .severity(match v.at(7).bytes() {
                b"INFO" => 1,
                name => grade(name, v.at(10).bytes(), true),
            })
            .done(),
        b"IncidentSummaryEvent" => out
            .event(Act::Alert, Outcome::Unknown)
            .at(at)
            .service(Service::Edr)
            .sid(v.at(29).bytes())
            .device(v.at(37).bytes())
            .detail(b"CrowdScore incident")
            .severity(tenths(v.at(30).bytes()))
            .done(),
        b"AutomatedLeadSummaryEvent" => out
            .event(Act::Alert, Outcome::Unknown)
            .at(at)
            .service(Service::Edr)
            .sid(v.at(31).bytes())
            .detail(&v.at(6).text())
            .severity(of_hundred(crate::decode::kv::number(v.at(32).bytes())))
            .done(),
        b"AuthActivityAuditEvent" | b"UserActivityAuditEvent" => {
            let target = audited(v.at(16), &[b"target_name", b"target_uid", b"trace_id", b"name"]);
            let role = audited(v.at(16), &[b"roles", b"action_target_name", b"policy_name"]);
            console(
                out,
                &Console {
                    at,
                    operation: &v.at(14).text(),
                    outcome: truth(v.at(15)),
                    user: &v.at(12).text(),
                    source: v.at(13).bytes(),
                    target: &target.text(),
                    detail: &role.text(),
                },
            )
        }
        b"RemoteResponseSessionStartEvent" | b"RemoteResponseSessionEndEvent" => remote_response(
            out,
            at,
            kind.ends_with(b"EndEvent"),
            &v.at(4).text(),
            &v.at(33).text(),
            v.at(34).bytes(),
            (v.at(36).bytes(), v.at(35).bytes()),
        ),
        b"FirewallMatchEvent" => Parsed::Irrelevant(Kind::Traffic),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// A remote shell that an operator of the console opened on a host.
fn remote_response(
    out: &mut Emit<'_>,
    at: Option<(EventTime, Certainty)>,
    ended: bool,
    user: &[u8],
    host: &[u8],
    id: &[u8],
    (from, to): (&[u8], &[u8]),
) -> Parsed {
    let act = if ended { Act::SessionEnd } else { Act::SessionStart };
    let mut event = out
        .event(act, Outcome::Success)
        .at(at)
        .service(Service::Rmm)
        .user(user)
        .host(host)
        .sid(id)
        .client(b"Falcon Real Time Response")
        .flag(Flags::REMOTE_SHELL);
    if let (true, Some(from), Some(to)) = (ended, clock::epoch(from), clock::epoch(to)) {
        event = event.duration_s(u32::try_from(to.since(from) / 1_000_000).unwrap_or(0));
    }
    event.done()
}

fn truth(value: Value<'_>) -> Outcome {
    match value.truth() {
        Some(true) => Outcome::Success,
        Some(false) => Outcome::Failure,
        None => Outcome::Unknown,
    }
}

/// `0.3` to `10.0`: an incident's score, in tenths of its hundred.
fn tenths(text: &[u8]) -> u8 {
    let whole = crate::decode::kv::number(text.split(|b| *b == b'.').next().unwrap_or_default());
    if text.is_empty() { 0 } else { of_hundred((whole * 10).max(1)) }
}

static PAIR: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["Key", "ValueString"]));

/// What the console's audit says beside: a list of keys and values.
fn audited<'a>(list: Value<'a>, keys: &[&[u8]]) -> Value<'a> {
    for key in keys {
        for element in elements(list.nested()) {
            if let Ok([k, value]) = PAIR.pick(element.nested())
                && k.bytes() == *key
            {
                return value;
            }
        }
    }
    Value::Missing
}

/// What somebody did at Falcon's own console.
struct Console<'a> {
    at: Option<(EventTime, Certainty)>,
    operation: &'a [u8],
    outcome: Outcome,
    user: &'a [u8],
    source: &'a [u8],
    target: &'a [u8],
    detail: &'a [u8],
}

impl Console<'_> {
    /// An event of the console: who, from where, when and how it went.
    fn event<'e>(&self, out: &'e mut Emit<'_>, act: Act) -> EventBuilder<'e> {
        out.event(act, self.outcome)
            .at(self.at)
            .service(Service::Management)
            .user(self.user)
            .source(self.source)
    }
}

fn console(out: &mut Emit<'_>, c: &Console<'_>) -> Parsed {
    let operation = c.operation;
    let is = |all: &[&[u8]]| all.iter().any(|o| operation.eq_ignore_ascii_case(o));
    let change = if is(&[b"createUser"]) {
        Change::AdminCreated
    } else if is(&[b"deleteUser"]) {
        Change::AccountDeleted
    } else if is(&[b"activateUser"]) {
        Change::AccountEnabled
    } else if is(&[b"deactivateUser"]) {
        Change::AccountDisabled
    } else if is(&[b"grantUserRoles", b"grantCustomerSubscriptions"]) {
        Change::RoleGranted
    } else if is(&[b"revokeUserRoles", b"revokeCustomerSubscriptions"]) {
        Change::RoleRemoved
    } else if is(&[b"changePassword", b"resetPassword", b"setPassword"]) {
        Change::PasswordReset
    } else if is(&[b"resetAuthSecret", b"reset2FA", b"resetTwoFactor"]) {
        Change::FactorReset
    } else if is(&[
        b"CreateAPIClient",
        b"createApiClient",
        b"ResetAPIClientSecret",
        b"confirmResetAPIClientSecret",
    ]) {
        Change::KeyCreated
    } else {
        Change::None
    };
    if change != Change::None {
        return c
            .event(out, Act::Account)
            .target(c.target)
            .detail(if c.detail.is_empty() { operation } else { c.detail })
            .change(change)
            .done();
    }
    if is(&[b"twoFactorAuthenticate"]) {
        let failed = c.outcome == Outcome::Failure;
        return c
            .event(out, Act::Mfa)
            .factor(Factor::Totp)
            .mfa(if c.outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
            .reason(if failed { Reason::MfaFailed } else { Reason::None })
            .done();
    }
    if is(&[b"userAuthenticate", b"saml2Assert", b"selfAcceptEula", b"oidcAuthenticate"]) {
        return c.event(out, Act::Admin).detail(operation).done();
    }
    // Changes of what the sensors prevent, quarantine or keep; reading them is none.
    let weakens =
        [&b"delete_"[..], b"disable_", b"update_", b"create_", b"quarantined_file_update", b"remove_"]
            .iter()
            .any(|verb| operation.starts_with(verb));
    if weakens
        && [&b"polic"[..], b"exclusion", b"allowlist", b"rule_group", b"ioc", b"indicator", b"quarantine"]
            .iter()
            .any(|what| find(operation, what).is_some())
    {
        return c
            .event(out, Act::Config)
            .target(c.target)
            .detail(operation)
            .change(Change::PolicyChanged)
            .done();
    }
    // The stream itself: a program, with an address that may be worth a look.
    if is(&[b"streamStarted", b"streamStopped"]) {
        return c.event(out, Act::Posture).detail(operation).flag(Flags::NON_INTERACTIVE).done();
    }
    Parsed::Irrelevant(Kind::RoutineUse)
}

static API: LazyLock<Paths<28>> = LazyLock::new(|| {
    Paths::new([
        "composite_id",
        "detection_id",
        "incident_id",
        "created_timestamp",
        "timestamp",
        "first_behavior",
        "created",
        "start",
        "display_name",
        "name",
        // 10
        "severity_name",
        "severity",
        "max_severity_displayname",
        "max_severity",
        "fine_score",
        "device.hostname",
        "host_names",
        "source_endpoint_host_name",
        "user_name",
        "source_account_name",
        // 20
        "source_account_domain",
        "source_endpoint_address_ip4",
        "source_endpoint_ip_address",
        "filename",
        "behaviors",
        "hosts",
        "description",
        "product",
    ])
});

static BEHAVIOUR: LazyLock<Paths<4>> =
    LazyLock::new(|| Paths::new(["display_name", "scenario", "user_name", "filename"]));
static HOST: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["hostname"]));

/// An alert, a detection or an incident as the APIs give them.
fn api(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = API.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let v = Seen(v);
    let at = match clock::iso(v.first(&[5, 4, 3, 7, 6]).bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve_in(c, 0),
        None => r.header_time(),
    };
    // A detection of the older API holds what happened in a list, an incident its hosts.
    let behaviour = elements(v.at(24).nested()).next().unwrap_or_default().nested();
    let [title, scenario, user, file] = BEHAVIOUR.pick(behaviour).unwrap_or_default();
    let [host] =
        HOST.pick(elements(v.at(25).nested()).next().unwrap_or_default().nested()).unwrap_or_default();
    let or = |one: Value<'_>, other: Value<'_>| {
        (if one.bytes().is_empty() { other.text() } else { one.text() }).into_owned()
    };
    let name = or(v.first(&[8, 9]), or_value(title, scenario));
    let grade = match v.at(14).bytes() {
        b"" => grade(v.first(&[10, 12]).bytes(), v.first(&[11, 13]).bytes(), false),
        score => of_hundred(crate::decode::kv::number(score).max(1)),
    };
    let host = or(v.first(&[15, 17]), host);
    out.event(Act::Alert, Outcome::Unknown)
        .at(at)
        .service(Service::Edr)
        .sid(&v.first(&[0, 1, 2]).text())
        .host(&host)
        .device(&host)
        .domain_user(&v.at(20).text(), &or(v.first(&[18, 19]), user))
        .source(v.first(&[21, 22]).bytes())
        .detail(if name.is_empty() && !v.at(2).is_missing() { b"CrowdScore incident" } else { &name })
        .target(&or(v.at(23), file))
        .severity(grade)
        .done()
}

fn or_value<'a>(one: Value<'a>, other: Value<'a>) -> Value<'a> {
    if one.bytes().is_empty() { other } else { one }
}
