//! Is the service alive, and does it take and judge records? For supervisors and balancers; it tells nothing else.

use crate::app::App;
use crate::service::blocking;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// It runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// It takes records, has folded what it knew before, and its store answers.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let progress = &app.progress;
    let mut waits = Vec::new();
    if !progress.ready.load(Ordering::Acquire) {
        waits.push("records of before are being folded".to_owned());
    }
    if let Some(why) = progress.stopped.get() {
        waits.push(format!("verdicts have stopped: {why}"));
    }
    if progress.held_back.load(Ordering::Relaxed) {
        let bytes = progress.backlog_bytes();
        waits.push(format!("{bytes} bytes of records wait; doors are held back"));
    }
    let store = app.store.clone();
    if blocking(move || store.health()).await.is_err() {
        waits.push("the store does not answer".to_owned());
    }
    if waits.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", waits.join("\n")))
    }
}
