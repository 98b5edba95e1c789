//! Google Cloud audit logs: API calls, changes of rights and keys, logins of the organisation's users, access through
//! Identity-Aware Proxy and OS Login. What the Kubernetes API server of a cluster says is read by `kubernetes_audit`.
//!
//! Read from: Cloud Audit Logs "AuditLog" and "LogEntry", "Log events: login audit", "IAP audit logging", "Monitor OS Login
//! audit logs". Traps: a long operation is told at its beginning and at its end; `callerIp` of OS Login is the machine's and
//! not the user's; a web application behind IAP logs every request; Google's own service agents call all day; BigQuery
//! spells the payload otherwise and holds parts of it as text.

mod change;
mod login;

use super::{says, utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements, unescape};
use crate::decode::kv::number;
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "gcp_audit",
    title: "Google Cloud audit logs",
    row: Row::Cloud,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Logon,
        Act::Account,
        Act::Config,
        Act::Api,
        Act::Alert,
    ],
    lacks: &[Field::TunnelIp, Field::Bytes],
    traps: &["operation_counts_once", "os_login_address", "service_agents", "bigquery_export"],
    manual: "Google Cloud: Cloud Audit Logs overview; LogEntry; IAP audit logging; Monitor OS Login audit logs; Login audit \
             log events",
    enable: "a log sink for cloudaudit.googleapis.com at the organisation; Data Access audit logs for iap.googleapis.com, \
             iam.googleapis.com and secretmanager.googleapis.com; sharing of Workspace data with Google Cloud for logins",
    general: false,
    marks: &["\"protoPayload\"", "\"protopayload_auditlog\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && (has(b"\"protoPayload\"") || has(b"\"protopayload_auditlog\""))
                && (has(b"\"methodName\"") || has(b"\"serviceName\""))
                && !is_kubernetes(r.body)
        },
        parse,
        join: None,
    },
};

/// Did the API server of a cluster write this payload?
pub(crate) fn is_kubernetes(body: &[u8]) -> bool {
    const SERVICE: &[u8] = b"\"serviceName\"";
    const METHOD: &[u8] = b"\"methodName\"";
    let value = |rest: &'_ [u8]| -> bool {
        let rest = rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        rest.starts_with(b"\"k8s.io\"") || rest.starts_with(b"\"io.k8s.")
    };
    let mut rest = body;
    // A request may have a field of the same name: all are looked at.
    while let Some(at) = find(rest, SERVICE) {
        rest = &rest[at + SERVICE.len()..];
        if value(rest) {
            return true;
        }
    }
    find(body, METHOD).is_some_and(|at| value(&body[at + METHOD.len()..]))
}

/// The entry around the payload.
static ENTRY: LazyLock<Paths<11>> = LazyLock::new(|| {
    Paths::new([
        "timestamp",
        "protoPayload",
        "protopayload_auditlog",
        "gcp",
        "logName",
        "operation.first",
        "operation.last",
        "resource.labels.instance_id",
        "resource.labels.project_id",
        "receiveTimestamp",
        "insertId",
    ])
});

const N: usize = 26;
static PAYLOAD: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "serviceName",
        "methodName",
        "authenticationInfo.principalEmail",
        "authenticationInfo.principalSubject",
        "requestMetadata.callerIp",
        "requestMetadata.callerIP",
        "requestMetadata.callerSuppliedUserAgent",
        "requestMetadata.destinationAttributes.ip",
        "requestMetadata.destinationAttributes.port",
        "status.code",
        "authorizationInfo",
        "resourceName",
        "request",
        "requestJson",
        "response",
        "responseJson",
        "metadata",
        "metadataJson",
        "serviceData",
        "servicedata_v1_iam",
        "authenticationInfo.serviceAccountKeyName",
        "status.message",
        "metadata.event",
        "requestMetadata.requestAttributes.host",
        "metadata.device_id",
        "metadata.iap_tcp_session_info.phase",
    ])
});

/// What is needed of an entry, wherever it stood.
struct Call<'a> {
    at: Option<(EventTime, Certainty)>,
    v: [Value<'a>; N],
    service: &'a [u8],
    method: &'a [u8],
    user: Cow<'a, [u8]>,
    source: &'a [u8],
    /// Instance of the entry's resource.
    instance: &'a [u8],
    project: &'a [u8],
    id: &'a [u8],
    denied: bool,
    outcome: Outcome,
}

impl Call<'_> {
    fn event<'e>(&self, out: &'e mut Emit<'_>, act: Act) -> EventBuilder<'e> {
        out.event(act, self.outcome)
            .at(self.at)
            .identity(self.id)
            .user(&self.user)
            .source(self.source)
            .client(&self.v[6].text())
            .reason(match (self.denied, self.outcome) {
                (true, _) => Reason::NotAllowed,
                (false, Outcome::Failure) => Reason::Other,
                _ => Reason::None,
            })
    }

    fn short_method(&self) -> &[u8] {
        self.method.rsplit(|b| *b == b'.').next().unwrap_or_default()
    }

    /// The last part of the resource's name; of a secret's version the secret.
    fn resource(&self) -> &[u8] {
        let path = self.v[11].bytes();
        match find(path, b"/secrets/") {
            Some(at) => {
                path.get(at + 9..).unwrap_or_default().split(|b| *b == b'/').next().unwrap_or_default()
            }
            None => path.rsplit(|b| *b == b'/').next().unwrap_or_default(),
        }
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(mut entry) = ENTRY.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if let (Value::Missing, Value::Missing, Value::Nested(inner)) = (entry[1], entry[2], entry[3])
        && let Ok(found) = ENTRY.pick(inner)
    {
        entry = found;
    }
    let payload = if entry[1].nested().is_empty() { entry[2].nested() } else { entry[1].nested() };
    let Ok(v) = PAYLOAD.pick(payload) else { return Parsed::Broken(Why::Malformed("payload")) };
    // What a right was asked for is told at the beginning; some services write nothing but the end.
    if entry[6].truth() == Some(true) && entry[5].truth() != Some(true) && v[10].is_missing() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if entry[4].bytes().ends_with(b"system_event") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let service = v[0].bytes();
    let source = if v[4].is_missing() { v[5].bytes() } else { v[4].bytes() };
    let code = number(v[9].bytes());
    let denied = matches!(code, 7 | 16)
        || says(v[10].nested(), b"\"granted\"", b"false")
        || entry[4].bytes().ends_with(b"%2Fpolicy");
    let call = Call {
        at: utc(entry[0].bytes()).or_else(|| utc(entry[9].bytes())).or_else(|| r.header_time()),
        service,
        method: v[1].bytes(),
        user: principal(&v),
        source,
        instance: entry[7].bytes(),
        project: entry[8].bytes(),
        id: entry[10].bytes(),
        denied,
        outcome: if denied || code != 0 { Outcome::Failure } else { Outcome::Success },
        v,
    };
    match service {
        b"login.googleapis.com" => login::login(&call, out),
        b"iap.googleapis.com" if call.short_method() == b"AuthorizeUser" => login::iap(&call, out),
        b"oslogin.googleapis.com" => login::os_login(&call, out),
        _ => api(&call, out),
    }
}

/// `anna@example.com`, else the subject of a federated identity: `principal://…/subject/anna@example.com`.
fn principal<'a>(v: &[Value<'a>; N]) -> Cow<'a, [u8]> {
    if !v[2].bytes().is_empty() {
        return v[2].text();
    }
    let subject = v[3].bytes();
    let name = match find(subject, b"/subject/") {
        Some(at) => subject.get(at + 9..).unwrap_or_default(),
        None => subject.split(|b| *b == b':').next_back().unwrap_or_default(),
    };
    Cow::Borrowed(name)
}

/// Google's own: they act for the platform and have no key that could be stolen.
fn is_agent(user: &[u8]) -> bool {
    let ends = |tail: &[u8]| user.ends_with(tail);
    ends(b"@system.gserviceaccount.com")
        || ends(b"@cloudservices.gserviceaccount.com")
        || ends(b"@cloudbuild.gserviceaccount.com")
        || user.starts_with(b"service-") && ends(b".iam.gserviceaccount.com")
        || user.starts_with(b"system:")
}

fn api(call: &Call<'_>, out: &mut Emit<'_>) -> Parsed {
    let v = &call.v;
    if is_agent(&call.user) || call.user.is_empty() && Ip::parse(call.source).is_none() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let request = json_or_text(v[12], v[13]);
    let metadata = json_or_text(v[16], v[17]);
    let data = if v[18].nested().is_empty() { v[19].nested() } else { v[18].nested() };
    let change = change::of(call, &request, &metadata, data);
    let act = match change.kind {
        Change::None | Change::CredentialAccess => Act::Api,
        Change::Exposed | Change::LoggingStopped | Change::PolicyChanged => Act::Config,
        _ => Act::Account,
    };
    let account = call.user.ends_with(b".gserviceaccount.com");
    let target: &[u8] = if change.target.is_empty() { call.resource() } else { change.target };
    let opened = super::opened(change.port, b"", false);
    let detail =
        [change.detail, &opened, call.method].into_iter().find(|d| !d.is_empty()).unwrap_or_default();
    call.event(out, act)
        .service(Service::CloudApi)
        .sid(v[20].bytes().rsplit(|b| *b == b'/').next().unwrap_or_default())
        .group(call.project)
        .target(target)
        .detail(detail)
        .change(change.kind)
        .method(if account { Method::ServiceAccount } else { Method::Token })
        .mfa(if account { Mfa::No } else { Mfa::Delegated })
        .flag_if(change.shell, Flags::REMOTE_SHELL)
        .done()
}

/// An object, or the text that BigQuery keeps of it.
fn json_or_text<'a>(object: Value<'a>, text: Value<'a>) -> Cow<'a, [u8]> {
    match text {
        Value::Text(t) if object.nested().is_empty() => unescape(t),
        _ => Cow::Borrowed(object.nested()),
    }
}

/// The objects of a list.
fn objects(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(list).take(64).map(|e| e.nested()).filter(|o| !o.is_empty())
}
