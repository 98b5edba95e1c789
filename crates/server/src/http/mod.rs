//! The page and the API, on one router.

mod metrics;
mod standing;

use crate::app::App;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// Everything but the doors.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(standing::healthz))
        .route("/readyz", get(standing::readyz))
        .route("/metrics", get(metrics::metrics))
        .with_state(app)
}
