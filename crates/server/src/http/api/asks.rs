//! Questions to the people concerned.

use super::asked;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::ask::{self, AskInput, AskMade, AskView, ConfirmInput};
use crate::http::input::{Act, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed, At(number): At<i64>) -> Result<Json<Vec<AskView>>, Fault> {
    asked(app, move |app| ask::list(app, &who, number)).await
}

async fn create(State(app): Of, At(number): At<i64>, act: Act<AskInput>) -> Response {
    act.run(app, move |app, who, input| ask::create(app, who, number, input)).await
}

async fn revoke(State(app): Of, At(at): At<(i64, i64)>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| ask::revoke(app, who, at)).await
}

async fn confirm(State(app): Of, At(at): At<(i64, i64)>, act: Act<ConfirmInput>) -> Response {
    act.run(app, move |app, who, input| ask::confirm(app, who, at, input)).await
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            ("get", "/cases/{number}/asks"),
            ("listAsks", "What the person concerned was asked, and what they answered"),
            May::Do(Verb::CaseRead),
            get(list),
        )
        .output::<Vec<AskView>>(),
        Route::new(
            ("post", "/cases/{number}/asks"),
            ("makeAsk", "A link that asks the person concerned; shown once"),
            May::Do(Verb::AskCreate),
            post(create),
        )
        .input::<AskInput>()
        .output::<AskMade>(),
        Route::new(
            ("post", "/cases/{number}/asks/{ask}/revoke"),
            ("revokeAsk", "Take a link back"),
            May::Do(Verb::CaseAnswer),
            post(revoke),
        )
        .output::<AskView>(),
        Route::new(
            ("post", "/cases/{number}/asks/{ask}/confirm"),
            ("confirmAsk", "The same answer was heard by another way"),
            May::Do(Verb::CaseAnswer),
            post(confirm),
        )
        .input::<ConfirmInput>()
        .output::<AskView>(),
    ]
}
