//! The audit log.

use crate::app::App;
use crate::desk::Fault;
use crate::desk::audit::{self, AuditInput, AuditPage, AuditVerified};
use crate::http::input::Asked;
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::routing::get;
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(
    State(app): Of,
    Signed(who): Signed,
    Asked(input): Asked<AuditInput>,
) -> Result<Json<AuditPage>, Fault> {
    super::asked(app, move |app| audit::list(app, &who, &input)).await
}

async fn verify(State(app): Of, Signed(who): Signed) -> Result<Json<AuditVerified>, Fault> {
    super::asked(app, move |app| audit::verify(app, &who)).await
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(("get", "/audit"), ("listAudit", "Who did what"), May::Do(Verb::AuditRead), get(list))
            .query::<AuditInput>()
            .output::<AuditPage>(),
        Route::new(
            ("get", "/audit/verify"),
            ("verifyAudit", "Check the whole chain"),
            May::Do(Verb::AuditVerify),
            get(verify),
        )
        .output::<AuditVerified>(),
    ]
}
