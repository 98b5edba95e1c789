//! What was found benign: previews, suppressions, their review and their end.

use super::asked;
use crate::app::App;
use crate::desk::benign::{BenignInput, MadeBenign, SuppressionPreview};
use crate::desk::rescope::{self, Rescoped, ScopeInput, ScopePreview};
use crate::desk::suppressions::{
    EndInput, Ended, ReviewInput, SuppressionView, SuppressionWhole, SuppressionsInput, SuppressionsPage,
};
use crate::desk::{Fault, benign, suppressions};
use crate::http::input::{Act, Asked, At};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post, put};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Answer<T> = Result<Json<T>, Fault>;
type Of = State<Arc<App>>;

async fn propose(
    State(app): Of,
    Signed(who): Signed,
    At(number): At<i64>,
    Asked(input): Asked<BenignInput>,
) -> Answer<SuppressionPreview> {
    asked(app, move |app| benign::propose(app, &who, number, &input)).await
}

async fn make(State(app): Of, At(number): At<i64>, act: Act<BenignInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| benign::make(app, who, number, revision, input))
        .await
}

async fn list(
    State(app): Of,
    Signed(who): Signed,
    Asked(input): Asked<SuppressionsInput>,
) -> Answer<SuppressionsPage> {
    asked(app, move |app| suppressions::list(app, &who, &input)).await
}

async fn read(State(app): Of, Signed(who): Signed, At(id): At<i64>) -> Answer<SuppressionWhole> {
    asked(app, move |app| suppressions::read(app, &who, id)).await
}

async fn review(State(app): Of, At(id): At<i64>, act: Act<ReviewInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| suppressions::review(app, who, id, revision, input))
        .await
}

async fn end(State(app): Of, At(id): At<i64>, act: Act<EndInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| suppressions::end(app, who, id, revision, input))
        .await
}

async fn propose_scope(
    State(app): Of,
    Signed(who): Signed,
    At(id): At<i64>,
    Asked(input): Asked<ScopeInput>,
) -> Answer<ScopePreview> {
    asked(app, move |app| rescope::propose(app, &who, id, &input)).await
}

async fn change_scope(State(app): Of, At(id): At<i64>, act: Act<ScopeInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| {
        rescope::change_scope(app, who, id, revision, input)
    })
    .await
}

pub(super) fn routes() -> Vec<Route> {
    let (suppress, read_them) = (May::Do(Verb::CaseSuppress), May::Do(Verb::SuppressionRead));
    let review_them = May::Do(Verb::SuppressionReview);
    vec![
        Route::new(
            ("get", "/cases/{number}/benign"),
            ("previewSuppression", "What a suppression would have silenced; changes nothing"),
            suppress,
            get(propose),
        )
        .query::<BenignInput>()
        .output::<SuppressionPreview>(),
        Route::new(
            ("post", "/cases/{number}/benign"),
            ("makeBenign", "Close it as benign, and silence what is like it for a time"),
            suppress,
            post(make),
        )
        .revision()
        .input::<BenignInput>()
        .output::<MadeBenign>(),
        Route::new(("get", "/suppressions"), ("listSuppressions", "Suppressions"), read_them, get(list))
            .query::<SuppressionsInput>()
            .output::<SuppressionsPage>(),
        Route::new(
            ("get", "/suppressions/{id}"),
            ("getSuppression", "A suppression with the cases that it silenced"),
            read_them,
            get(read),
        )
        .output::<SuppressionWhole>(),
        Route::new(
            ("post", "/suppressions/{id}/review"),
            ("reviewSuppression", "Keep it, as long as it was or for longer"),
            review_them,
            post(review),
        )
        .revision()
        .input::<ReviewInput>()
        .output::<SuppressionView>(),
        Route::new(
            ("get", "/suppressions/{id}/scope"),
            (
                "previewScope",
                "What another scope would have silenced, and what would come back; changes nothing",
            ),
            suppress,
            get(propose_scope),
        )
        .query::<ScopeInput>()
        .output::<ScopePreview>(),
        Route::new(
            ("put", "/suppressions/{id}/scope"),
            ("changeScope", "Another scope; what falls out of it comes back"),
            suppress,
            put(change_scope),
        )
        .revision()
        .input::<ScopeInput>()
        .output::<Rescoped>(),
        Route::new(
            ("post", "/suppressions/{id}/end"),
            ("endSuppression", "End it; what it silenced comes back"),
            review_them,
            post(end),
        )
        .revision()
        .input::<EndInput>()
        .output::<Ended>(),
    ]
}
