//! The doors that speak HTTP: Splunk's collector, Elasticsearch's `_bulk`, OTLP, the Kubernetes audit webhook, and
//! plain lines.
//!
//! [`routes`] makes one router of them, to be mounted on one or several listeners. Each request goes the same way: who
//! is it ([`admit`]), its body within limits ([`body`]), cut into records by its door, kept ([`keep`]), answered in the
//! protocol's own words once the records are stored.

mod admit;
mod answer;
mod body;
pub mod es_bulk;
pub mod k8s_audit;
mod keep;
pub mod ndjson;
pub mod otlp;
pub mod serve;
pub mod splunk_hec;

use crate::counters::Counters;
use crate::declaration::Declaration;
use crate::gate::Gate;
use crate::intake::{Intake, Refusal};
use crate::rate::{Rates, Slow};
use axum::body::Body;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub use admit::ClientCertificate;
pub(crate) use admit::{Shown, Visit};
pub use body::Memory;
pub(crate) use keep::Cut;

/// What each of these doors says of itself.
pub static DOORS: [&Declaration; 6] =
    [&splunk_hec::DOOR, &es_bulk::DOOR, &otlp::DOOR, &otlp::grpc::DOOR, &k8s_audit::DOOR, &ndjson::DOOR];

/// What the doors work with. Cheap to clone: listeners with different options share the rest.
#[derive(Clone)]
pub struct Http {
    pub intake: Intake,
    pub gate: Arc<dyn Gate>,
    pub counters: Counters,
    pub rates: Rates,
    pub memory: Memory,
    pub options: HttpOptions,
}

/// Which doors are open on a listener, and how.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpOptions {
    /// Seconds without a byte of the body after which a request is given up.
    pub body_idle_s: u64,
    /// Seconds that a body may take altogether.
    pub body_s: u64,
    /// Splunk's HTTP Event Collector.
    pub splunk_hec: splunk_hec::SplunkHecOptions,
    /// Elasticsearch's bulk API.
    pub es_bulk: es_bulk::EsBulkOptions,
    /// OpenTelemetry logs.
    pub otlp: otlp::OtlpOptions,
    /// Audit events of Kubernetes.
    pub k8s_audit: k8s_audit::K8sAuditOptions,
    /// Lines.
    pub ndjson: ndjson::NdjsonOptions,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            body_idle_s: 30,
            body_s: 300,
            splunk_hec: splunk_hec::SplunkHecOptions::default(),
            es_bulk: es_bulk::EsBulkOptions::default(),
            otlp: otlp::OtlpOptions::default(),
            k8s_audit: k8s_audit::K8sAuditOptions::default(),
            ndjson: ndjson::NdjsonOptions::default(),
        }
    }
}

/// The routes of all doors that the options open.
pub fn routes(http: Http) -> axum::Router {
    let options = http.options.clone();
    let http = Arc::new(http);
    let mut all = axum::Router::new();
    if options.splunk_hec.enabled {
        all = all.merge(splunk_hec::routes(&http, options.splunk_hec));
    }
    if options.otlp.enabled {
        all = all.merge(otlp::routes(&http));
    }
    if options.k8s_audit.enabled {
        all = all.merge(k8s_audit::routes(&http, &options.k8s_audit));
    }
    if options.ndjson.enabled {
        all = all.merge(ndjson::routes(&http, &options.ndjson));
    }
    if options.es_bulk.enabled {
        all = all.merge(es_bulk::routes(&http, options.es_bulk));
    }
    all
}

/// Why a request is not taken. Each protocol has its own words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// It does not say who it is.
    Nothing,
    /// What it says of itself is not of the door's form.
    Unreadable,
    Stranger,
    /// As many requests of the source are under way as it may have.
    Crowded,
    /// The source sent more than its rate.
    Wait(Duration),
    /// `Content-Encoding` names what the door does not unpack.
    Coding,
    TooLarge,
    Damaged,
    TooSlow,
    /// The peer hung up; nobody reads the answer.
    BrokenOff,
    Refused(Refusal),
}

impl From<Slow> for No {
    fn from(slow: Slow) -> No {
        match slow {
            Slow::Crowded => No::Crowded,
            Slow::Rate(wait) => No::Wait(wait),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> No {
        No::Refused(refusal)
    }
}

impl Http {
    /// Lets a request in and reads its body.
    async fn receive(
        &self,
        door: &'static str,
        schemes: &[admit::Scheme],
        parts: &Parts,
        body: Body,
    ) -> Result<(admit::Visit, Vec<u8>), No> {
        let mut unread = body::Unread::new(parts, body);
        let received = async {
            let shown = admit::shown(parts, schemes);
            let mut visit = self.admit(door, shown, parts.extensions.get())?;
            let bytes = self.body_in_time(&mut visit, parts, unread.take()).await?;
            Ok((visit, bytes))
        };
        let received = received.await;
        unread.end().await;
        received
    }

    /// The body, if the source has not to wait.
    async fn body_in_time(&self, visit: &mut admit::Visit, parts: &Parts, body: Body) -> Result<Vec<u8>, No> {
        if let Some(wait) = visit.wait() {
            body::discard(body).await;
            return Err(No::Wait(wait));
        }
        self.body(visit, &parts.headers, body).await
    }
}
