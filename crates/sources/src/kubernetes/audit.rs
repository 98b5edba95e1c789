//! Kubernetes audit, as such and as EKS, GKE, AKS and OpenShift wrap it.
//!
//! Read from: Kubernetes "Auditing" (audit.k8s.io/v1), GKE "Audit logging", AKS "Monitoring data reference" (kube-audit,
//! AKSAudit), EKS "Control plane logs", OpenShift "Viewing audit logs". Traps: exec comes as `create` or, with WebSockets, as
//! `get`; one request is logged at several stages and counts once; all of `sourceIPs` but the last may be written by the
//! client; controllers and kubelets write most of it; the login server of OpenShift is anonymous itself and names the user
//! in an annotation.

mod wraps;

use crate::cloud::{gcp_audit, says, utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements, unescape};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "kubernetes_audit",
    title: "Kubernetes audit",
    row: Row::Kubernetes,
    gives: &[Act::Auth, Act::Api, Act::Account],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::SessionEnd, Field::Host, Field::Bytes],
    traps: &[
        "exec_as_get",
        "stages_count_once",
        "proxy_chain",
        "anonymous_health",
        "gke",
        "aks",
        "openshift_login",
        "event_list",
    ],
    manual: "Kubernetes: Auditing (audit.k8s.io/v1); GKE audit logging; AKS monitoring data reference; Amazon EKS control \
             plane logs; OpenShift: viewing audit logs",
    enable: "kube-apiserver --audit-policy-file with at least Metadata for all, Request for pods/exec, secrets and rbac; on \
             EKS the log type audit, on AKS the category kube-audit, on GKE Data Access audit logs of the Kubernetes Engine API",
    general: false,
    marks: &[
        "audit.k8s.io/",
        "\"auditID\"",
        "\"objectRef\"",
        "\"k8s.io\"",
        "\"io.k8s.",
        "kube-audit",
        "\"SourceIps\"",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape != Shape::Json {
        return false;
    }
    let has = |needle: &[u8]| find(r.body, needle).is_some();
    let head = &r.body[..r.body.len().min(4_000)];
    // As text inside the wrap of a cloud it is somebody's who knows the wrap.
    find(head, b"\"audit.k8s.io/").is_some()
        || has(b"\"verb\"")
            && (has(b"\"auditID\"") && has(b"\"requestURI\"")
                || has(b"\"objectRef\"") && has(b"\"responseStatus\"") && has(b"\"sourceIPs\""))
        || has(b"kube-audit") && (has(b"\"log\"") || has(b"\"log_s\""))
        || has(b"\"SourceIps\"") && has(b"\"AuditId\"")
        || (has(b"\"protoPayload\"") || has(b"\"protopayload_auditlog\"")) && gcp_audit::is_kubernetes(r.body)
}

const N: usize = 26;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "stage",
        "verb",
        "requestURI",
        "user.username",
        "sourceIPs",
        "userAgent",
        "objectRef.resource",
        "objectRef.subresource",
        "objectRef.namespace",
        "objectRef.name",
        "responseStatus.code",
        "requestReceivedTimestamp",
        "stageTimestamp",
        r"annotations.authorization\.k8s\.io/decision",
        "impersonatedUser.username",
        "requestObject",
        "user.groups",
        "user.extra",
        "timestamp",
        "auditID",
        "ObjectRef.resource",
        "ObjectRef.subresource",
        r"annotations.authentication\.openshift\.io/username",
        r"annotations.authentication\.openshift\.io/decision",
        "kind",
        "items",
    ])
});

/// One request, wherever it was read from.
#[derive(Default)]
struct Request<'a> {
    at: Option<(EventTime, Certainty)>,
    verb: &'a [u8],
    uri: &'a [u8],
    user: Cow<'a, [u8]>,
    acting: &'a [u8],
    /// Client first, then proxies.
    chain: Vec<Ip>,
    agent: Cow<'a, [u8]>,
    resource: &'a [u8],
    sub: &'a [u8],
    namespace: &'a [u8],
    name: &'a [u8],
    code: u64,
    forbidden: bool,
    object: &'a [u8],
    groups: &'a [u8],
    extra: &'a [u8],
    cluster: &'a [u8],
    /// What the stages of one request have in common.
    id: &'a [u8],
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if let Some(parsed) = wraps::parse(r, out) {
        return parsed;
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if let (b"EventList", Value::Nested(items)) = (v[24].bytes(), v[25]) {
        let mut result = Parsed::Irrelevant(Kind::Format);
        for item in elements(items) {
            let Ok(v) = PATHS.pick(item.nested()) else { continue };
            let told = native(r, &v, b"", out);
            if result != Parsed::Events {
                result = told;
            }
        }
        return result;
    }
    native(r, &v, b"", out)
}

/// An event of audit.k8s.io.
fn native(r: &Record<'_>, v: &[Value<'_>; N], cluster: &[u8], out: &mut Emit<'_>) -> Parsed {
    // Of what takes long the beginning is told too, and is all there is while it lasts: both are known by one id.
    let lasting = matches!(v[7].bytes(), b"exec" | b"attach" | b"portforward");
    match v[0].bytes() {
        b"RequestReceived" => return Parsed::Irrelevant(Kind::Repeats),
        b"ResponseStarted" if !lasting && v[23].is_missing() => return Parsed::Irrelevant(Kind::Repeats),
        _ => {}
    }
    // Most of a busy cluster's log.
    if v[14].is_missing() && is_component(v[3].bytes()) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let at = [v[11], v[12], v[18]].iter().find_map(|t| utc(t.bytes())).or_else(|| r.header_time());
    if !v[23].is_missing() || !v[22].is_missing() {
        return openshift(v, at, out);
    }
    let request = Request {
        at,
        verb: v[1].bytes(),
        uri: v[2].bytes(),
        user: v[3].text(),
        acting: v[14].bytes(),
        chain: elements(v[4].nested()).take(8).map(|e| Ip::parse(e.bytes())).collect(),
        agent: v[5].text(),
        resource: if v[6].is_missing() { v[20].bytes() } else { v[6].bytes() },
        sub: if v[7].is_missing() { v[21].bytes() } else { v[7].bytes() },
        namespace: v[8].bytes(),
        name: v[9].bytes(),
        code: crate::decode::kv::number(v[10].bytes()),
        forbidden: v[13].is(b"forbid"),
        object: v[15].nested(),
        groups: v[16].nested(),
        extra: v[17].nested(),
        cluster,
        id: v[19].bytes(),
    };
    judge(&request, out)
}

/// The oauth server of OpenShift: somebody logs in to the cluster.
fn openshift(v: &[Value<'_>; N], at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let ok = v[23].is(b"allow");
    if !ok && v[22].bytes().is_empty() {
        // Nobody has named himself yet: the client is asked for a password.
        return Parsed::Irrelevant(Kind::Pending);
    }
    let chain: Vec<Ip> = elements(v[4].nested()).take(8).map(|e| Ip::parse(e.bytes())).collect();
    out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .at(at)
        .identity(v[19].bytes())
        .service(Service::Kubernetes)
        .user(&v[22].text())
        .source_ip(trusted(&chain))
        .client(&v[5].text())
        .detail(b"oauth login")
        .method(Method::Password)
        .reason(match v[23].bytes() {
            b"allow" => Reason::None,
            b"deny" => Reason::BadPassword,
            _ => Reason::Other,
        })
        .flag_if(chain.len() > 1, Flags::SOURCE_UNTRUSTED)
        .done()
}

/// The address to believe: the nearest public one before our own proxies. The API server itself saw only the last; what
/// stands before a public address its sender may have made up.
fn trusted(chain: &[Ip]) -> Ip {
    chain.iter().rev().find(|ip| ip.is_public()).or(chain.first()).copied().unwrap_or(Ip::NONE)
}

fn is_component(user: &[u8]) -> bool {
    if let Some(rest) = user.strip_prefix(b"system:") {
        return rest == b"apiserver"
            || [&b"node:"[..], b"kube-", b"kubestore-", b"gke-", b"openshift-"]
                .iter()
                .any(|p| rest.starts_with(p));
    }
    user.starts_with(b"eks:")
        || user.starts_with(b"aks") && user.contains(&b':')
        || user == b"masterclient"
        || user == b"aksService"
        || user == b"readinessChecker"
}

const HEALTH: [&[u8]; 8] = [
    b"/healthz",
    b"/livez",
    b"/readyz",
    b"/version",
    b"/.well-known/",
    b"/openid/",
    b"/metrics",
    b"/openapi/",
];

fn judge(q: &Request<'_>, out: &mut Emit<'_>) -> Parsed {
    // An authenticating proxy (Rancher, Pinniped, a cloud's gateway) acts for the person whom it names.
    let proxied = q.user.starts_with(b"system:serviceaccount:")
        && !q.acting.is_empty()
        && !q.acting.starts_with(b"system:");
    let user: &[u8] = if proxied { q.acting } else { &q.user };
    if is_component(user) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let anonymous = user == b"system:anonymous" || find(q.groups, b"system:unauthenticated").is_some();
    let health = HEALTH.iter().any(|p| q.uri.starts_with(p));
    if anonymous && (health || q.uri.starts_with(b"/api/v1/namespaces/kube-public/configmaps/cluster-info")) {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    // A proxy that acts for somebody vouches for the client that it names.
    let source = if proxied { q.chain.first().copied().unwrap_or(Ip::NONE) } else { trusted(&q.chain) };
    let (resource, sub, verb) = (q.resource, q.sub, q.verb);
    let service_account = user.starts_with(b"system:serviceaccount:");
    let shell = matches!(sub, b"exec" | b"attach" | b"portforward" | b"ephemeralcontainers")
        || sub == b"proxy" && resource == b"nodes";
    let writes = matches!(verb, b"create" | b"update" | b"patch" | b"delete" | b"deletecollection");
    let secret = resource == b"secrets" && matches!(verb, b"get" | b"list" | b"watch");
    let rights = matches!(resource, b"clusterrolebindings" | b"rolebindings");
    if service_account && (source.is_private() || source.is_none()) && !(shell || secret || rights) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let denied = q.forbidden || matches!(q.code, 401 | 403);
    let outcome = if denied || q.code >= 400 { Outcome::Failure } else { Outcome::Success };
    let binds = rights && writes && verb != b"delete";
    let change = if binds {
        Change::RoleGranted
    } else if secret {
        Change::CredentialAccess
    } else if resource == b"serviceaccounts" && sub == b"token" && verb == b"create" {
        Change::KeyCreated
    } else {
        Change::None
    };
    let has = |needle: &[u8]| find(q.object, needle).is_some();
    let privileged = resource == b"pods"
        && verb == b"create"
        && sub.is_empty()
        && (has(b"\"hostPath\"")
            || says(q.object, b"\"privileged\"", b"true")
            || says(q.object, b"\"hostNetwork\"", b"true")
            || says(q.object, b"\"hostPID\"", b"true"));
    let mut detail = Vec::with_capacity(48);
    for part in [verb, b" ", resource, if sub.is_empty() { b"" } else { b"/" }, sub] {
        detail.extend_from_slice(part);
    }
    if resource.is_empty() {
        detail.extend_from_slice(&q.uri[..q.uri.len().min(60)]);
    }
    let mut target = q.namespace.to_vec();
    if !q.name.is_empty() {
        target.push(b'/');
        target.extend_from_slice(q.name);
    }
    let method = if anonymous {
        Method::Anonymous
    } else if service_account {
        Method::ServiceAccount
    } else if find(q.extra, b"X509SHA256=").is_some() {
        Method::Certificate
    } else {
        Method::Token
    };
    // A token that is not or no longer valid belongs to nobody.
    let refused = anonymous && denied || user.is_empty() && q.code == 401;
    let act = match (refused, binds) {
        // Nobody in particular was turned away: an attempt, not a use.
        (true, _) => Act::Auth,
        (_, true) => Act::Account,
        _ => Act::Api,
    };
    // EKS maps many people to one name and keeps the session's own.
    let session = if shared(user) { extra(q.extra, b"\"sessionName\"") } else { b"" };
    let person = if session.is_empty() { user } else { session };
    out.event(act, outcome)
        .at(q.at)
        .identity(q.id)
        .service(Service::Kubernetes)
        .user(if anonymous { b"system:anonymous" } else { person })
        .source_ip(source)
        .client(&q.agent)
        .group(q.cluster)
        .detail(&detail)
        .target(if proxied || q.acting.is_empty() { &target } else { q.acting })
        .change(change)
        .method(method)
        .mfa(if anonymous || service_account || method == Method::Certificate {
            Mfa::No
        } else {
            Mfa::Delegated
        })
        .reason(if denied { Reason::NotAllowed } else { Reason::None })
        .flag_if(shell, Flags::REMOTE_SHELL)
        .flag_if(privileged, Flags::PRIVILEGED)
        .flag_if(anonymous, Flags::ANONYMOUS)
        .flag_if(q.chain.len() > 1, Flags::SOURCE_UNTRUSTED)
        .done()
}

/// Names that a cluster gives to whoever assumes a role.
fn shared(user: &[u8]) -> bool {
    matches!(user, b"kubernetes-admin" | b"admin" | b"cluster-admin") || user.starts_with(b"arn:aws:sts::")
}

/// The first text of a list in `user.extra`.
fn extra<'a>(object: &'a [u8], name: &[u8]) -> &'a [u8] {
    let Some(at) = find(object, name) else { return b"" };
    let rest = object.get(at + name.len()..).unwrap_or_default();
    let Some(open) = memchr::memchr(b'[', rest).filter(|n| *n < 8) else { return b"" };
    elements(rest.get(open..).unwrap_or_default()).next().map(|v| v.bytes()).unwrap_or_default()
}

/// Reads an event that stands as text in a wrap.
fn text(r: &Record<'_>, inner: &[u8], cluster: &[u8], out: &mut Emit<'_>) -> Parsed {
    let inner = unescape(inner);
    match PATHS.pick(&inner) {
        Ok(v) => native(r, &v, cluster, out),
        Err(_) => Parsed::Broken(Why::Malformed("JSON")),
    }
}
