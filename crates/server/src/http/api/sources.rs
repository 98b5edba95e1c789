//! Sources of records.

use crate::app::App;
use crate::desk::Fault;
use crate::desk::sources::{self, SourceHealth, SourceInput, SourceMade, SourceView};
use crate::http::input::{Act, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post, put};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<SourceHealth>>, Fault> {
    super::asked(app, move |app| sources::list(app, &who)).await
}

async fn create(State(app): Of, act: Act<SourceInput>) -> Response {
    act.run(app, sources::create).await
}

async fn alter(State(app): Of, At(id): At<i64>, act: Act<SourceInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| sources::alter(app, who, id, revision, input)).await
}

async fn new_token(State(app): Of, At(id): At<i64>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| sources::new_token(app, who, id)).await
}

pub(super) fn routes() -> Vec<Route> {
    let manage = May::Do(Verb::SourceManage);
    vec![
        Route::new(
            ("get", "/sources"),
            ("listSources", "Sources and their health"),
            May::Do(Verb::SourceRead),
            get(list),
        )
        .output::<Vec<SourceHealth>>(),
        Route::new(("post", "/sources"), ("createSource", "Add a source"), manage, post(create))
            .input::<SourceInput>()
            .output::<SourceMade>(),
        Route::new(("put", "/sources/{id}"), ("changeSource", "Change a source"), manage, put(alter))
            .revision()
            .input::<SourceInput>()
            .output::<SourceView>(),
        Route::new(
            ("post", "/sources/{id}/tokens"),
            ("createSourceToken", "One more token"),
            manage,
            post(new_token),
        )
        .output::<SourceMade>(),
    ]
}
