//! Kubernetes audit events (audit.k8s.io/v1, kube-apiserver auditing), level Metadata or Request.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::clock::{Civil, Millis};
use crate::writers::Pen;

pub(crate) const FILE: &str = "k8s-audit.ndjson";

/// Who calls the API server.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) agent: &'static str,
}

pub(crate) fn anonymous() -> Caller {
    Caller {
        user: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated"],
        agent: "python-requests/2.32.3",
    }
}

pub(crate) fn person(email: &str) -> Caller {
    Caller {
        user: email.to_owned(),
        groups: vec!["oidc:platform", "system:authenticated"],
        agent: "kubectl/v1.31.2 (linux/amd64) kubernetes/5864a46",
    }
}

/// What is asked for: verb, namespace, resource, name, subresource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) verb: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) query: &'a str,
}

fn stamp(at: Millis, micros: i64) -> String {
    let c = Civil::utc(at);
    format!("{}T{}.{:03}{:03}Z", c.date(), c.clock(), c.milli, micros)
}

pub(crate) fn call(
    pen: &mut Pen<'_>,
    at: Millis,
    caller: &Caller,
    ip: Ipv4Addr,
    asked: Asked<'_>,
    code: u16,
) {
    let mut path = format!("/api/v1/namespaces/{}/{}", asked.namespace, asked.resource);
    if asked.namespace.is_empty() {
        path = format!("/api/v1/{}", asked.resource);
    }
    for part in [asked.name, asked.subresource] {
        if !part.is_empty() {
            path = format!("{path}/{part}");
        }
    }
    path.push_str(asked.query);
    let mut object = json!({"resource": asked.resource, "apiVersion": "v1"});
    for (key, value) in
        [("namespace", asked.namespace), ("name", asked.name), ("subresource", asked.subresource)]
    {
        if !value.is_empty() {
            object[key] = Value::from(value);
        }
    }
    let allowed = code < 400;
    let mut status = json!({"metadata": {}, "code": code});
    if !allowed {
        status["status"] = json!("Failure");
        status["reason"] = json!("Forbidden");
        status["message"] = json!(format!(
            "{} is forbidden: User \"{}\" cannot {} resource",
            asked.resource, caller.user, asked.verb
        ));
    }
    let micros = pen.rng.range(0, 1000);
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": if asked.verb == "create" { "Request" } else { "Metadata" },
        "auditID": pen.rng.uuid(), "stage": "ResponseComplete", "requestURI": path, "verb": asked.verb,
        "user": {"username": caller.user, "groups": caller.groups},
        "sourceIPs": [ip.to_string()], "userAgent": caller.agent, "objectRef": object, "responseStatus": status,
        "requestReceivedTimestamp": stamp(at, micros), "stageTimestamp": stamp(at + 4, micros),
        "annotations": {"authorization.k8s.io/decision": if allowed { "allow" } else { "forbid" }, "authorization.k8s.io/reason": ""},
    });
    pen.put(FILE, at, event.to_string());
}
