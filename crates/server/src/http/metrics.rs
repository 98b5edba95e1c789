//! Prometheus' text format. No label holds anything that a record said.

use crate::app::App;
use crate::config::Metrics;
use crate::desk::webhooks::figures;
use crate::desk::{Fault, health};
use crate::line::Progress;
use crate::service::blocking;
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use portreeve_store::suppression;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        write!(self.0, "# HELP portreeve_{name} {help}\n# TYPE portreeve_{name} {kind}\n").ok();
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        writeln!(self.0, "portreeve_{name} {value}").ok();
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        writeln!(self.0, "portreeve_{name}{{{}}} {value}", labels.join(",")).ok();
    }
}

/// As the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// For who may: figures name sources, and say when nobody would notice that something is missing.
pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    mut parts: Parts,
) -> Result<impl IntoResponse, Fault> {
    if app.config.web.metrics == Metrics::Token {
        let who = super::session::who(&app, &mut parts).await?;
        health::may_read_metrics(&who)?;
    }
    let text = blocking(move || text(&app)).await;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

fn text(app: &App) -> String {
    let mut page = Page(String::with_capacity(8_192));
    let p = &app.progress;
    for (name, help, counter) in [
        ("records_kept_total", "Records in the journal", &p.kept),
        ("records_read_total", "Records read", &p.read),
        ("records_judged_total", "Records that a verdict knows", &p.judged),
        ("records_refused_total", "Records refused because too many wait", &p.refused),
        ("journal_lost_total", "Records of the journal that could not be read", &p.damaged),
    ] {
        page.one(name, "counter", help, Progress::get(counter));
    }
    page.one("backlog_bytes", "gauge", "Bytes of records that wait to be read", p.backlog_bytes());
    page.one("held_back", "gauge", "Doors are held back", u8::from(p.held_back.load(Ordering::Relaxed)));
    let latency = Progress::get(&p.latency_us) as f64 / 1e6;
    page.one(
        "verdict_latency_seconds",
        "gauge",
        "From arrival to the verdict that knows it, last round",
        latency,
    );
    let pulse = app.pulse.read().unwrap_or_else(PoisonError::into_inner).clone();
    for (name, help, value) in [
        ("events_total", "Events folded, each once", pulse.counts.events),
        ("events_duplicate_total", "Events that were delivered before", pulse.counts.duplicates),
        ("events_late_total", "Events that came after later ones", pulse.counts.late),
        ("events_very_late_total", "Events that came after what is kept hot", pulse.counts.very_late),
        ("events_far_future_total", "Events left out, far in the future", pulse.counts.far_future),
        ("events_again_total", "Events folded again for late ones", pulse.counts.again),
    ] {
        page.one(name, "counter", help, value);
    }
    page.one("names", "gauge", "Names that records and tables gave, in memory", app.grounds().names.len());
    let (kept, dropped) = app.dead.counts();
    page.one("dead_letters_total", "counter", "Dead letters since the start", kept);
    page.one("dead_letters_dropped_total", "counter", "Dead letters that made room for newer ones", dropped);
    let (rows, bytes) = app.lake.waiting();
    page.one("lake_waiting_rows", "gauge", "Rows in memory, not yet in a file", rows);
    page.one("lake_waiting_bytes", "gauge", "Their bytes", bytes);
    let mut doors = Vec::new();
    app.counters.each(|door, origin, counts| {
        let get = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
        let all = [
            &counts.received,
            &counts.stored,
            &counts.refused,
            &counts.dead,
            &counts.bytes,
            &counts.turned_away,
            &counts.lost,
        ];
        doors.push((door, origin.name().to_owned(), all.map(get)));
    });
    let families = [
        ("door_records_received_total", "Records that came in"),
        ("door_records_stored_total", "Records that were acknowledged"),
        ("door_records_refused_total", "Records that the peer was told to bring again"),
        ("door_records_dead_total", "Records that became dead letters"),
        ("door_bytes_total", "Bytes of records"),
        ("door_turned_away_total", "Requests with a wrong token, certificate or address"),
        ("door_datagrams_lost_total", "Datagrams that the kernel threw away"),
    ];
    for (n, (name, help)) in families.into_iter().enumerate() {
        page.family(name, "counter", help);
        for (door, origin, counts) in &doors {
            page.labelled(name, &[("door", door), ("source", origin)], counts.get(n).copied().unwrap_or(0));
        }
    }
    let health = health::view(app);
    page.family("door_open", "gauge", "1 while a door that fetches or listens on its own is open");
    for door in &health.doors {
        page.labelled("door_open", &[("door", &door.name)], u8::from(door.open));
    }
    page.one("problems", "gauge", "What GET /api/v1/health lists as problems", health.problems.len());
    page.one("ready", "gauge", "Everything that was there at the start is judged", u8::from(health.ready));
    page.one("stopped", "gauge", "Verdicts have stopped", u8::from(p.stopped.get().is_some()));
    page.one("store_up", "gauge", "The store answers", u8::from(health.store.is_some()));
    if let Some(store) = &health.store {
        page.one("store_bytes", "gauge", "Size of the database", store.bytes);
        page.one("audit_waiting", "gauge", "Audit entries that are not written yet", store.audit_waiting);
    }
    webhooks(app, &mut page);
    if let Ok(silenced) = app.store.read(suppression::silenced_now) {
        page.one("suppressed_cases", "gauge", "Cases that suppressions keep out of the queue", silenced);
    }
    page.one("history_events", "gauge", "Events on disk", pulse.history_events);
    let origins = health::origins(app);
    page.family("source_last_arrival_seconds", "gauge", "When a source spoke last, in seconds since 1970");
    for (name, last, _) in &origins {
        page.labelled("source_last_arrival_seconds", &[("source", name)], format!("{last:.3}"));
    }
    page.family("source_records_total", "counter", "Records of a source by how they were understood");
    for (name, _, counts) in &origins {
        for (ending, count) in
            ["understood", "fragment", "irrelevant", "unknown", "broken"].iter().zip(counts)
        {
            page.labelled("source_records_total", &[("source", name), ("ending", ending)], count);
        }
    }
    page.one("up_seconds", "gauge", "Since the start", crate::line::now().since(app.started) / 1_000_000);
    page.0
}

/// Of a webhook only its name: addresses may be secrets.
fn webhooks(app: &App, page: &mut Page) {
    let all = figures(app);
    page.family("webhook_sent_total", "counter", "Messages that a webhook's receiver took since the start");
    for hook in &all {
        page.labelled("webhook_sent_total", &[("webhook", hook.name)], hook.heard);
    }
    page.family("webhook_failed_total", "counter", "Attempts that it did not take since the start");
    for hook in &all {
        page.labelled("webhook_failed_total", &[("webhook", hook.name)], hook.failed);
    }
    let stored = [
        ("webhook_waiting", "Messages on their way"),
        ("webhook_given_up", "Messages that were given up"),
        ("webhook_lost", "Messages that did not fit into the queue, until somebody sends again"),
    ];
    for (n, (name, help)) in stored.into_iter().enumerate() {
        page.family(name, "gauge", help);
        for hook in &all {
            if let Some(value) = hook.stored.and_then(|s| s.get(n).copied()) {
                page.labelled(name, &[("webhook", hook.name)], value);
            }
        }
    }
}
