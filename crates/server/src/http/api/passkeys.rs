//! Security keys and passkeys: adding them, and coming in with them.

use super::entrance::{entered, set};
use crate::app::App;
use crate::desk::Fault;
use crate::desk::own::SessionView;
use crate::desk::passkeys::{
    self, PasskeyAddInput, PasskeyAskInput, PasskeyInput, PasskeyMade, PasskeyNameInput, PasskeyOffer,
    PasskeyOfferInput, PasskeyRemoveInput, PasskeyView,
};
use crate::http::input::{self, Act, At, Open};
use crate::http::route::{May, Route};
use crate::http::session::{Signed, cookie};
use crate::service::blocking;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use portreeve_access::permit::Verb;
use portreeve_access::session::{Cookie, Jar};
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<PasskeyView>>, Fault> {
    super::asked(app, move |app| passkeys::list(app, &who)).await
}

async fn offer(State(app): Of, act: Act<PasskeyOfferInput>) -> Response {
    act.run(app, passkeys::offer).await
}

/// Recovery codes are shown once.
async fn add(State(app): Of, act: Act<PasskeyAddInput>) -> Response {
    let Act { who, visitor, input, .. } = act;
    let https = app.accounts.https;
    match blocking(move || passkeys::add(&app, &who, &visitor, &input)).await {
        Ok((begun, made)) => set(Json(made).into_response(), &Cookie::session(&begun.token, https)),
        Err(fault) => fault.into_response(),
    }
}

async fn rename(State(app): Of, At(id): At<String>, act: Act<PasskeyNameInput>) -> Response {
    act.run(app, move |app, who, input| passkeys::rename(app, who, &id, input)).await
}

async fn remove(State(app): Of, At(id): At<String>, act: Act<PasskeyRemoveInput>) -> Response {
    act.run(app, move |app, who, input| passkeys::remove(app, who, &id, input)).await
}

async fn ask(State(app): Of, open: Open<PasskeyAskInput>) -> Response {
    let Open { headers, input, .. } = open;
    let ticket = cookie(&headers, Jar::SignIn, app.accounts.https);
    input::answer(blocking(move || passkeys::ask(&app, ticket.as_deref(), &input)).await)
}

async fn answer(State(app): Of, open: Open<PasskeyInput>) -> Response {
    let Open { visitor, input, .. } = open;
    let asked = app.clone();
    match blocking(move || passkeys::answer(&asked, &visitor, &input)).await {
        Ok(begun) => entered(app, begun).await,
        Err(fault) => fault.into_response(),
    }
}

pub(super) fn routes() -> Vec<Route> {
    let me = May::Do(Verb::SelfManage);
    vec![
        Route::new(
            ("post", "/session/passkey/offer"),
            ("askPasskey", "A question for a passkey, to sign in"),
            May::Everybody,
            post(ask),
        )
        .input::<PasskeyAskInput>()
        .output::<PasskeyOffer>(),
        Route::new(
            ("post", "/session/passkey"),
            ("signInPasskey", "Sign in with a passkey, alone or after the password"),
            May::Everybody,
            post(answer),
        )
        .input::<PasskeyInput>()
        .output::<SessionView>(),
        Route::new(("get", "/me/passkeys"), ("listPasskeys", "One's own passkeys"), me, get(list))
            .output::<Vec<PasskeyView>>(),
        Route::new(
            ("post", "/me/passkeys/offer"),
            ("offerPasskey", "A question for a passkey that is to be added"),
            me,
            post(offer),
        )
        .input::<PasskeyOfferInput>()
        .output::<PasskeyOffer>(),
        Route::new(("post", "/me/passkeys"), ("addPasskey", "Add it"), me, post(add))
            .input::<PasskeyAddInput>()
            .output::<PasskeyMade>(),
        Route::new(
            ("put", "/me/passkeys/{credential}"),
            ("renamePasskey", "Call it something else"),
            me,
            put(rename),
        )
        .input::<PasskeyNameInput>()
        .output::<Vec<PasskeyView>>(),
        Route::new(
            ("post", "/me/passkeys/{credential}/remove"),
            ("removePasskey", "Remove it; other logins end"),
            me,
            post(remove),
        )
        .input::<PasskeyRemoveInput>()
        .output::<Vec<PasskeyView>>(),
    ]
}
