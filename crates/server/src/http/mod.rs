//! The page and the API, on one router.

mod api;
mod events;
mod guard;
mod input;
mod metrics;
mod oidc;
mod page;
mod route;
mod session;
mod standing;

use crate::app::App;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// Everything but the doors.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let guard = axum::middleware::from_fn_with_state(app.clone(), guard::guard);
    Router::new()
        .nest("/api/v1", api::router())
        .merge(oidc::routes())
        .merge(page::routes())
        .layer(guard)
        .route("/healthz", get(standing::healthz))
        .route("/readyz", get(standing::readyz))
        .route("/metrics", get(metrics::metrics))
        .with_state(app)
}

/// What the API offers, as OpenAPI 3.1.
pub fn openapi() -> serde_json::Value {
    route::document(&api::routes())
}
