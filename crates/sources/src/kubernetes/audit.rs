//! Kubernetes audit, as such and as EKS wraps it.
//!
//! Read from: Kubernetes auditing documentation (audit.k8s.io/v1). Traps: exec comes as `create` or, with WebSockets,
//! as `get`; one request is logged at several stages and counts once; `sourceIPs` begins with the client, and what a
//! proxy passed on may be forged; controllers and kubelets write most of it.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "kubernetes_audit",
    title: "Kubernetes audit",
    row: Row::Kubernetes,
    gives: &[Act::Api, Act::Account],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionEnd],
    traps: &["exec_as_get", "stages_count_once", "proxy_chain", "anonymous_health"],
    manual: "Kubernetes: Auditing (audit.k8s.io/v1)",
    enable: "kube-apiserver --audit-policy-file with at least Metadata for all, Request for pods/exec, secrets and rbac",
    general: false,
    marks: &["audit.k8s.io/"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && crate::decode::find::find(&r.body[..r.body.len().min(300)], b"audit.k8s.io/").is_some()
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<24>> = LazyLock::new(|| {
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
        "auditID",
        "impersonatedUser.username",
        "requestObject",
        "user.groups",
        "user.extra",
        "timestamp",
        "metadata.creationTimestamp",
        "ObjectRef.resource",
        "ObjectRef.subresource",
        "objectRef.apiGroup",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (stage, verb, uri, user) = (v[0].bytes(), v[1].bytes(), v[2].bytes(), v[3].bytes());
    // An authenticating proxy (Rancher, Pinniped, a cloud's gateway) acts for the person whom it names.
    let acting = v[15].bytes();
    let proxied =
        user.starts_with(b"system:serviceaccount:") && !acting.is_empty() && !acting.starts_with(b"system:");
    let user = if proxied { acting } else { user };
    if matches!(stage, b"RequestReceived" | b"ResponseStarted") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if user.starts_with(b"system:node:")
        || user.starts_with(b"system:kube-")
        || user == b"system:apiserver"
        || user.starts_with(b"eks:")
        || user.starts_with(b"aks") && user.contains(&b':')
    {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let anonymous = user == b"system:anonymous"
        || crate::decode::find::find(v[17].nested(), b"system:unauthenticated").is_some();
    let health =
        [&b"/healthz"[..], b"/livez", b"/readyz", b"/version", b"/.well-known/", b"/openid/", b"/metrics"]
            .iter()
            .any(|p| uri.starts_with(p));
    if anonymous && (health || uri.starts_with(b"/api/v1/namespaces/kube-public/configmaps/cluster-info")) {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let chain: Vec<Ip> = elements(v[4].nested()).take(8).map(|e| Ip::parse(e.bytes())).collect();
    let source = chain.first().copied().unwrap_or(Ip::NONE);
    let resource = if v[6].is_missing() { v[21].bytes() } else { v[6].bytes() };
    let sub = if v[7].is_missing() { v[22].bytes() } else { v[7].bytes() };
    let service_account = user.starts_with(b"system:serviceaccount:");
    let shell =
        matches!(sub, b"exec" | b"attach" | b"portforward") || sub == b"proxy" && resource == b"nodes";
    let writes = matches!(verb, b"create" | b"update" | b"patch" | b"delete" | b"deletecollection");
    let secret = resource == b"secrets" && matches!(verb, b"get" | b"list" | b"watch");
    if service_account
        && source.is_private()
        && !(shell || secret || matches!(resource, b"clusterrolebindings" | b"rolebindings"))
    {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let code = crate::decode::kv::number(v[10].bytes());
    let denied = v[13].is(b"forbid") || matches!(code, 401 | 403);
    let outcome = if denied || code >= 400 { Outcome::Failure } else { Outcome::Success };
    let at = [v[11], v[12], v[19]].iter().find_map(|t| match clock::iso(t.bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => None,
    });
    let binds = matches!(resource, b"clusterrolebindings" | b"rolebindings") && writes && verb != b"delete";
    let change = if binds {
        Change::RoleGranted
    } else if secret {
        Change::CredentialAccess
    } else if resource == b"serviceaccounts" && sub == b"token" && verb == b"create" {
        Change::KeyCreated
    } else {
        Change::None
    };
    let object = v[16].nested();
    let has = |needle: &[u8]| crate::decode::find::find(object, needle).is_some();
    let privileged = resource == b"pods"
        && verb == b"create"
        && sub.is_empty()
        && (has(b"\"privileged\":true")
            || has(b"\"hostPath\"")
            || has(b"\"hostNetwork\":true")
            || has(b"\"hostPID\":true"));
    let mut detail = Vec::with_capacity(48);
    for part in [verb, b" ", resource, if sub.is_empty() { b"" } else { b"/" }, sub] {
        detail.extend_from_slice(part);
    }
    if resource.is_empty() {
        detail.extend_from_slice(&uri[..uri.len().min(60)]);
    }
    let (namespace, name) = (v[8].bytes(), v[9].bytes());
    let mut target = namespace.to_vec();
    if !name.is_empty() {
        target.push(b'/');
        target.extend_from_slice(name);
    }
    let method = if anonymous {
        Method::Anonymous
    } else if service_account {
        Method::ServiceAccount
    } else {
        Method::Token
    };
    let act = match (anonymous && denied, binds) {
        // Nobody in particular was turned away: an attempt, not a use.
        (true, _) => Act::Auth,
        (_, true) => Act::Account,
        _ => Act::Api,
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::Kubernetes)
        .user(if anonymous { b"system:anonymous" } else { user })
        .source_ip(source)
        .client(&v[5].text())
        .detail(&detail)
        .target(if proxied || acting.is_empty() { &target } else { acting })
        .change(change)
        .method(method)
        .mfa(if anonymous || service_account { Mfa::No } else { Mfa::Delegated })
        .reason(if denied { Reason::NotAllowed } else { Reason::None })
        .flag_if(shell, Flags::REMOTE_SHELL)
        .flag_if(privileged, Flags::PRIVILEGED)
        .flag_if(anonymous, Flags::ANONYMOUS)
        .flag_if(chain.len() > 1, Flags::SOURCE_UNTRUSTED)
        .done()
}
