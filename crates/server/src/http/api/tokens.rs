//! Tokens of the API.

use crate::app::App;
use crate::desk::Fault;
use crate::desk::tokens::{self, TokenInput, TokenMade, TokenView};
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

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<TokenView>>, Fault> {
    super::asked(app, move |app| tokens::list(app, &who)).await
}

async fn own(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<TokenView>>, Fault> {
    super::asked(app, move |app| tokens::own(app, &who)).await
}

async fn create(State(app): Of, act: Act<TokenInput>) -> Response {
    act.run(app, tokens::create).await
}

async fn create_own(State(app): Of, act: Act<TokenInput>) -> Response {
    act.run(app, tokens::create_own).await
}

async fn revoke(State(app): Of, At(id): At<i64>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| tokens::revoke(app, who, id)).await
}

pub(super) fn routes() -> Vec<Route> {
    let (mine, all) = (May::Do(Verb::TokenOwn), May::Do(Verb::TokenManage));
    vec![
        Route::new(("get", "/tokens"), ("listTokens", "All tokens"), May::Do(Verb::TokenRead), get(list))
            .output::<Vec<TokenView>>(),
        Route::new(("post", "/tokens"), ("createToken", "A token of a service"), all, post(create))
            .input::<TokenInput>()
            .output::<TokenMade>(),
        Route::new(("get", "/me/tokens"), ("listOwnTokens", "One's own tokens"), mine, get(own))
            .output::<Vec<TokenView>>(),
        Route::new(
            ("post", "/me/tokens"),
            ("createOwnToken", "A token of one's own"),
            mine,
            post(create_own),
        )
        .input::<TokenInput>()
        .output::<TokenMade>(),
        // One's own takes `token.own` instead.
        Route::new(("post", "/tokens/{id}/revoke"), ("revokeToken", "End a token"), all, post(revoke))
            .output::<TokenView>(),
    ]
}
