//! The API: thin handlers over `desk`, one file for each resource.

mod asks;
mod audit;
mod cases;
mod containment;
mod entities;
mod entrance;
mod health;
mod own;
mod passkeys;
mod people;
mod records;
mod sources;
mod suppressions;
mod tokens;
mod webhooks;

pub(super) use entrance::set as set_cookie;

use super::route::{May, Route, document, router as router_of};
use crate::app::App;
use crate::desk::Fault;
use crate::service::blocking;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::{Arc, LazyLock};

pub(crate) fn routes() -> Vec<Route> {
    let mut all = vec![
        Route::new(
            ("get", "/openapi.json"),
            ("getOpenApi", "This document"),
            May::Everybody,
            get(async || Json(&*DOCUMENT)),
        ),
        Route::new(
            ("get", "/events"),
            ("streamEvents", "What changes, as it changes"),
            May::Do(portreeve_access::permit::Verb::CaseList),
            get(super::events::stream),
        )
        .media("text/event-stream"),
    ];
    all.extend(entrance::routes());
    all.extend(own::routes());
    all.extend(passkeys::routes());
    all.extend(cases::routes());
    all.extend(containment::routes());
    all.extend(people::routes());
    all.extend(tokens::routes());
    all.extend(sources::routes());
    all.extend(records::routes());
    all.extend(suppressions::routes());
    all.extend(asks::routes());
    all.extend(entities::routes());
    all.extend(audit::routes());
    all.extend(health::routes());
    all.extend(webhooks::routes());
    all
}

static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(|| document(&routes()));

pub(crate) fn router() -> Router<Arc<App>> {
    router_of(routes())
        .fallback(async || Fault::not_found("such address; see /api/v1/openapi.json"))
        .method_not_allowed_fallback(async || Fault::Method)
}

/// Asks the desk where that may block.
async fn asked<T: Send + 'static>(
    app: Arc<App>,
    f: impl FnOnce(&App) -> Result<T, Fault> + Send + 'static,
) -> Result<Json<T>, Fault> {
    blocking(move || f(&app)).await.map(Json)
}
