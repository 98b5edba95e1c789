//! Records: searched, and those that no door could hand over.

use crate::app::App;
use crate::dead::Letter;
use crate::desk::Fault;
use crate::desk::letters::{self, ReplayInput, Replayed};
use crate::desk::search::{self, SearchInput, SearchPage};
use crate::http::input::{Act, Asked};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn find(
    State(app): Of,
    Signed(who): Signed,
    Asked(input): Asked<SearchInput>,
) -> Result<Json<SearchPage>, Fault> {
    super::asked(app, move |app| search::search(app, &who, &input)).await
}

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<Letter>>, Fault> {
    super::asked(app, move |app| letters::list(app, &who)).await
}

async fn replay(State(app): Of, act: Act<ReplayInput>) -> Response {
    act.run(app, letters::replay).await
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            ("get", "/search"),
            ("searchRecords", "Search all records"),
            May::Do(Verb::SearchRun),
            get(find),
        )
        .query::<SearchInput>()
        .output::<SearchPage>(),
        Route::new(
            ("get", "/dead-letters"),
            ("listDeadLetters", "Records that no door could hand over"),
            May::Do(Verb::SourceRead),
            get(list),
        )
        .output::<Vec<Letter>>(),
        Route::new(
            ("post", "/dead-letters/replay"),
            ("replayDeadLetters", "Offer some again"),
            May::Do(Verb::SourceManage),
            post(replay),
        )
        .input::<ReplayInput>()
        .output::<Replayed>(),
    ]
}
