//! The service itself: how it stands, and its configuration read again.

use crate::app::App;
use crate::config::Changed;
use crate::desk::Fault;
use crate::desk::health::{self, HealthView};
use crate::http::input::{Act, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn read(State(app): Of, Signed(who): Signed) -> Result<Json<HealthView>, Fault> {
    super::asked(app, move |app| health::health(app, &who)).await
}

async fn reload(State(app): Of, act: Act<Nothing>) -> Response {
    act.run(app, |app, who, _| health::reload(app, who)).await
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            ("get", "/health"),
            ("getHealth", "How the service stands"),
            May::Do(Verb::HealthRead),
            get(read),
        )
        .output::<HealthView>(),
        Route::new(
            ("post", "/config/reload"),
            ("reloadConfig", "Read the configuration again"),
            May::Do(Verb::ConfigReload),
            post(reload),
        )
        .output::<Changed>(),
    ]
}
