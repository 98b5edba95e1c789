//! The audit webhook of Kubernetes: lists of `audit.k8s.io/v1` events.

use super::admit::Scheme;
use super::answer;
use super::body::aside;
use super::keep::Cut;
use super::{Http, No, ndjson};
use crate::declaration::Declaration;
use crate::json::{Fault, Json};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub static DOOR: Declaration = Declaration {
    name: "k8s_audit",
    title: "Kubernetes audit webhook",
    peers: "kube-apiserver (--audit-webhook-config-file), Falco's and Rancher's forwarders of it",
    point_at_it: "in the webhook's kubeconfig: `server: https://HOST/k8s/audit` and `token: TOKEN`, or a client \
                  certificate",
    tested: "curl with a client certificate; a kube-apiserver only by the form of its documentation",
    record: "one event of the list, as it was sent",
    source: "kubernetes.io, Auditing: Webhook backend; audit.k8s.io/v1 EventList",
};

/// How audit events are taken.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct K8sAuditOptions {
    /// Whether the door is open.
    pub enabled: bool,
    /// Path of the address that records are sent to.
    pub path: String,
}

impl Default for K8sAuditOptions {
    fn default() -> Self {
        K8sAuditOptions { enabled: true, path: "/k8s/audit".to_owned() }
    }
}

pub(super) fn routes(http: &Arc<Http>, options: &K8sAuditOptions) -> Router {
    Router::new().route(&options.path, post(events)).with_state(http.clone())
}

/// The API server repeats what was answered 429 or 5xx, and drops the rest: that is kept here, as a dead letter.
async fn events(State(http): State<Arc<Http>>, request: Request) -> Response {
    match take(&http, request).await {
        Ok(None) => answer::json(StatusCode::OK, "{}"),
        Ok(Some(odd)) => answer::json(StatusCode::BAD_REQUEST, format!(r#"{{"error":"{odd}"}}"#)),
        Err(no) => ndjson::refused(no),
    }
}

/// Why a body is no list of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Odd {
    #[error("{0}")]
    Json(#[from] Fault),
    #[error("kind is not EventList of audit.k8s.io")]
    Kind,
}

async fn take(http: &Http, request: Request) -> Result<Option<Odd>, No> {
    let (parts, body) = request.into_parts();
    let (visit, body) = http.receive(DOOR.name, &[Scheme::Bearer, Scheme::Basic], &parts, body).await?;
    let record_bytes = visit.admitted.limits.record_bytes;
    let (cut, odd) = aside(body.len(), move || cut(&body, record_bytes)).await?;
    http.keep(&visit, cut).await?;
    Ok(odd)
}

fn cut(body: &[u8], record_bytes: usize) -> (Cut, Option<Odd>) {
    let mut cut = Cut::new(record_bytes);
    let odd = items(body, &mut cut).err();
    if let Some(odd) = odd {
        // Whole: whoever reads it wants to see what it is.
        cut = Cut::new(record_bytes);
        cut.odd(odd.to_string(), body);
    }
    (cut, odd)
}

fn items(body: &[u8], cut: &mut Cut) -> Result<(), Odd> {
    let mut json = Json::new(body);
    let (mut kind, mut version) = (None, None);
    json.object::<Fault>(|key, json| match key {
        b"items" if json.peek() == Some(b'[') => json.array::<Fault>(|json| {
            cut.push(json.value()?);
            Ok(())
        }),
        b"kind" => json.value().map(|v| kind = Some(v)),
        b"apiVersion" => json.value().map(|v| version = Some(v)),
        _ => json.value().map(|_| ()),
    })?;
    if !json.is_at_end() {
        return Err(Fault::Odd(json.at()).into());
    }
    let is_list = kind == Some(b"\"EventList\"");
    let is_audit = version.is_some_and(|v| v.starts_with(b"\"audit.k8s.io/"));
    if is_list && is_audit { Ok(()) } else { Err(Odd::Kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: &[&str], odd: Option<Odd>) {
        let (cut, got) = cut(body.as_bytes(), 100);
        let records: Vec<_> =
            cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!((records, got), (expect.iter().map(|e| e.to_string()).collect(), odd), "{body}");
        assert_eq!(cut.dead(), usize::from(odd.is_some()), "{body}");
    }

    #[test]
    fn one_record_an_item_wherever_the_items_stand() {
        let items = r#""items":[{"kind":"Event","auditID":"1"}, {"auditID":"2"}]"#;
        let head = r#""kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{}"#;
        let expect = [r#"{"kind":"Event","auditID":"1"}"#, r#"{"auditID":"2"}"#];
        check(&format!("{{{head},{items}}}"), &expect, None);
        check(&format!("{{{items},{head}}}"), &expect, None);
        check(&format!("{{{head},\"items\":[]}}"), &[], None);
        check(&format!("{{{head},\"items\":null}}"), &[], None);
    }

    #[test]
    fn anything_else_is_one_dead_letter() {
        check(r#"{"kind":"EventList","apiVersion":"v1","items":[{"a":1}]}"#, &[], Some(Odd::Kind));
        check(r#"{"kind":"PodList","apiVersion":"audit.k8s.io/v1","items":[]}"#, &[], Some(Odd::Kind));
        check("[]", &[], Some(Odd::Json(Fault::Odd(0))));
        check(r#"{"kind":"EventList","items":[{"a":"#, &[], Some(Odd::Json(Fault::Ends)));
    }
}
