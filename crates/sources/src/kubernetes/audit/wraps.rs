//! What clouds make of an audit event: Google's audit log entry, Azure's diagnostic record and table row.

use super::{Request, judge, text};
use crate::cloud::{says, utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements, unescape};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::Ip;
use std::borrow::Cow;
use std::sync::LazyLock;

static WRAP: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "protoPayload",
        "protopayload_auditlog",
        "properties.log",
        "log_s",
        "AuditId",
        "timestamp",
        "operation.first",
        "operation.last",
        "resource.labels.cluster_name",
        "resourceId",
    ])
});

/// Reads the record if it is wrapped.
pub(super) fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Option<Parsed> {
    // Most are not, and begin with what they are.
    let head = r.body.get(..r.body.len().min(200)).unwrap_or_default();
    if find(head, b"\"audit.k8s.io/").is_some() {
        return None;
    }
    let Ok(w) = WRAP.pick(r.body) else { return Some(Parsed::Broken(Why::Malformed("JSON"))) };
    let cluster = w[9].bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
    match (w[0].nested(), w[1].nested(), w[2], w[3]) {
        (b"", b"", Value::Text(log), _) | (b"", b"", _, Value::Text(log)) => Some(text(r, log, cluster, out)),
        (b"", b"", ..) if !w[4].is_missing() => Some(aks_row(r, out)),
        (b"", b"", ..) => None,
        (payload, b"", ..) | (_, payload, ..) => Some(gke(r, &w, payload, out)),
    }
}

static GKE: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "methodName",
        "resourceName",
        "authenticationInfo.principalEmail",
        "requestMetadata.callerIp",
        "requestMetadata.callerIP",
        "requestMetadata.callerSuppliedUserAgent",
        "status.code",
        "authorizationInfo",
        "request",
        "requestJson",
        "authenticationInfo.authoritySelector",
        "metadata.impersonatedUser",
        "authenticationInfo.principalSubject",
        "response.code",
    ])
});

/// `io.k8s.core.v1.pods.exec.create` on `core/v1/namespaces/shop/pods/web-1/exec`.
fn gke(r: &Record<'_>, w: &[Value<'_>; 10], payload: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = GKE.pick(payload) else { return Parsed::Broken(Why::Malformed("payload")) };
    if w[7].truth() == Some(true) && w[6].truth() != Some(true) {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let method = v[0].bytes();
    let verb = method.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let path = v[1].bytes();
    let part = |n: usize| path.split(|b| *b == b'/').nth(n).unwrap_or_default();
    // group/version[/namespaces/ns]/resource[/name[/subresource]]
    let namespaced = part(2) == b"namespaces" && !part(4).is_empty();
    let (namespace, from) = if namespaced { (part(3), 4) } else { (&b""[..], 2) };
    // Without a resource's name the method still says what it was.
    let named = |back: usize| method.rsplit(|b| *b == b'.').nth(back).unwrap_or_default();
    let (resource, sub) = if path.is_empty() {
        if matches!(named(1), b"exec" | b"attach" | b"portforward" | b"proxy") {
            (named(2), named(1))
        } else {
            (named(1), &b""[..])
        }
    } else {
        (part(from), part(from + 2))
    };
    let code = number(v[6].bytes());
    let source = if v[3].is_missing() { v[4].bytes() } else { v[3].bytes() };
    let object: Cow<'_, [u8]> = match v[9] {
        Value::Text(t) => unescape(t),
        _ => Cow::Borrowed(v[8].nested()),
    };
    let decision = says(r.body, b"\"authorization.k8s.io/decision\"", b"\"forbid\"");
    let request = Request {
        at: utc(w[5].bytes()).or_else(|| r.header_time()),
        verb,
        user: v[2].text(),
        chain: vec![Ip::parse(source)],
        agent: v[5].text(),
        resource,
        sub,
        namespace,
        name: part(from + 1),
        // gRPC's codes: 7 and 16 are refusals, 0 is well.
        code: if matches!(code, 0 | 7 | 16) { 0 } else { 500 },
        forbidden: decision || matches!(code, 7 | 16) || says(v[7].nested(), b"\"granted\"", b"false"),
        object: &object,
        cluster: w[8].bytes(),
        ..Request::default()
    };
    if resource.is_empty() {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    judge(&request, out)
}

static ROW: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "TimeGenerated",
        "RequestReceivedTime",
        "Stage",
        "Verb",
        "RequestUri",
        "User",
        "SourceIps",
        "UserAgent",
        "ObjectRef",
        "ResponseStatus",
        "RequestObject",
        "Annotations",
        "_ResourceId",
        "AuditId",
    ])
});
static USER: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["username", "groups", "extra"]));
static OBJECT: LazyLock<Paths<4>> =
    LazyLock::new(|| Paths::new(["resource", "subresource", "namespace", "name"]));
static STATUS: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["code"]));

/// A row of the table AKSAudit: objects in columns, or as text in an export.
fn aks_row(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = ROW.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if matches!(v[2].bytes(), b"RequestReceived" | b"ResponseStarted") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let open = |value: Value<'_>| -> Vec<u8> {
        match value {
            Value::Text(t) => unescape(t).into_owned(),
            other => other.nested().to_vec(),
        }
    };
    let (user, object, status, ips) = (open(v[5]), open(v[8]), open(v[9]), open(v[6]));
    let u = USER.pick(&user).unwrap_or_default();
    let o = OBJECT.pick(&object).unwrap_or_default();
    let s = STATUS.pick(&status).unwrap_or_default();
    let body = open(v[10]);
    let request = Request {
        at: utc(v[1].bytes()).or_else(|| utc(v[0].bytes())).or_else(|| r.header_time()),
        verb: v[3].bytes(),
        uri: v[4].bytes(),
        user: u[0].text(),
        chain: elements(&ips).take(8).map(|e| Ip::parse(e.bytes())).collect(),
        agent: v[7].text(),
        resource: o[0].bytes(),
        sub: o[1].bytes(),
        namespace: o[2].bytes(),
        name: o[3].bytes(),
        code: number(s[0].bytes()),
        forbidden: find(&open(v[11]), b"\"forbid\"").is_some(),
        object: &body,
        groups: u[1].nested(),
        extra: u[2].nested(),
        id: v[13].bytes(),
        cluster: v[12].bytes().rsplit(|b| *b == b'/').next().unwrap_or_default(),
        ..Request::default()
    };
    judge(&request, out)
}
