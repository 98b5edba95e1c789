//! Spans of the service to a collector of OpenTelemetry: OTLP over HTTP, as JSON, in batches, from a thread of their own.
//! What the collector does not take is dropped and counted; the service never waits for it.

use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Spans that wait; what comes while it is full is dropped.
const WAITING: usize = 4_096;
/// Spans of one request, and how long the first of them waits for others.
const BATCH: usize = 512;
const EVERY: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);
/// A collector that is away is complained of so often.
const SAY_AGAIN: Duration = Duration::from_secs(300);

/// A span that is over.
struct Done {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    name: &'static str,
    begun: u128,
    ended: u128,
    fields: Vec<Value>,
}

/// A span that goes on.
struct Open {
    trace: u128,
    span: u64,
    begun: u128,
    fields: Fields,
}

#[derive(Default)]
struct Fields(Vec<Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.push(json!({ "key": field.name(), "value": value }));
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!({ "intValue": value.to_string() }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!({ "intValue": value.to_string() }));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!({ "boolValue": value }));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!({ "stringValue": value }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, json!({ "stringValue": format!("{value:?}") }));
    }
}

/// Sends what closes.
pub(crate) struct Spans {
    to: SyncSender<Done>,
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Numbers that no two spans share; nobody has to be kept from guessing them.
fn drawn() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now()).max(1)
}

/// The layer, and its thread. `endpoint` is the collector's address without a path: `http://127.0.0.1:4318`.
pub(crate) fn spans(endpoint: &str) -> std::io::Result<Spans> {
    let (to, from) = sync_channel(WAITING);
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || send_all(&url, &from))?;
    Ok(Spans { to })
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let of_parent = span.parent().and_then(|p| p.extensions().get::<Open>().map(|o| o.trace));
        let trace = of_parent.unwrap_or_else(|| u128::from(drawn()) << 64 | u128::from(drawn()));
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Open { trace, span: drawn(), begun: now(), fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let parent = span.parent().and_then(|p| p.extensions().get::<Open>().map(|o| o.span));
        let Open { trace, span: number, begun, fields } = open;
        let done =
            Done { trace, span: number, parent, name: span.name(), begun, ended: now(), fields: fields.0 };
        // Full: the collector is slow, and the service is not.
        self.to.try_send(done).ok();
    }
}

fn send_all(url: &str, from: &Receiver<Done>) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(ANSWER)).max_redirects(0).build().into();
    let mut said: Option<std::time::Instant> = None;
    loop {
        let Ok(first) = from.recv() else { return };
        let (mut batch, begun) = (vec![first], std::time::Instant::now());
        while batch.len() < BATCH {
            match from.recv_timeout(EVERY.saturating_sub(begun.elapsed())) {
                Ok(done) => batch.push(done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let sent = agent.post(url).send_json(body(&batch));
        if let Err(error) = sent
            && said.is_none_or(|at| at.elapsed() > SAY_AGAIN)
        {
            said = Some(std::time::Instant::now());
            tracing::warn!(%error, spans = batch.len(), "the collector did not take spans; they are dropped");
        }
    }
}

fn body(batch: &[Done]) -> Value {
    let spans: Vec<Value> = batch
        .iter()
        .map(|d| {
            let mut span = json!({
                "traceId": format!("{:032x}", d.trace),
                "spanId": format!("{:016x}", d.span),
                "name": d.name,
                // A server's for requests, else internal.
                "kind": if d.name == "request" { 2 } else { 1 },
                "startTimeUnixNano": d.begun.to_string(),
                "endTimeUnixNano": d.ended.to_string(),
                "attributes": d.fields,
            });
            if let Some(parent) = d.parent {
                span["parentSpanId"] = format!("{parent:016x}").into();
            }
            span
        })
        .collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            { "key": "service.name", "value": { "stringValue": "portreeve" } },
            { "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } },
        ] },
        "scopeSpans": [{ "scope": { "name": "portreeve" }, "spans": spans }],
    }] })
}
