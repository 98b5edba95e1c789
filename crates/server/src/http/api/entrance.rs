//! Signing in and out, for scripts.

use crate::app::App;
use crate::desk::own::{self, SessionView};
use crate::desk::sign_in::{self, Begun, CodeInput, FirstRunInput, SignInInput, Step};
use crate::desk::{Fault, Who};
use crate::http::input::{Act, Nothing, Open, answer};
use crate::http::route::{May, Route};
use crate::http::session::{Signed, cookie};
use crate::service::blocking;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use portreeve_access::session::{Cookie, Jar};
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(in crate::http) fn set(mut answer: Response, cookie: &Cookie) -> Response {
    // Made of our own names and base64url.
    if let Ok(value) = HeaderValue::from_str(&cookie.header()) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

/// The answer to somebody who came in: who they are, and the cookie.
pub(super) async fn entered(app: Arc<App>, begun: Begun) -> Response {
    let https = app.accounts.https;
    let Begun { token, who } = begun;
    let view = blocking(move || own::session(&app, &who)).await;
    let answer = set(answer(view), &Cookie::session(&token, https));
    set(answer, &Cookie::removal(Jar::SignIn, https))
}

async fn begin(State(app): Of, open: Open<SignInInput>) -> Response {
    let Open { visitor, input, .. } = open;
    let asked = app.clone();
    match blocking(move || sign_in::sign_in(&asked, &visitor, &input)).await {
        Ok(Step::In(begun)) => entered(app, *begun).await,
        Ok(Step::Second { ticket }) => {
            set(Fault::SecondFactor.into_response(), &Cookie::sign_in(&ticket, app.accounts.https))
        }
        Err(fault) => fault.into_response(),
    }
}

async fn second(State(app): Of, open: Open<CodeInput>) -> Response {
    let Open { visitor, headers, input } = open;
    let (asked, ticket) = (app.clone(), cookie(&headers, Jar::SignIn, app.accounts.https));
    match blocking(move || sign_in::second(&asked, &visitor, ticket.as_deref(), &input)).await {
        Ok(begun) => entered(app, begun).await,
        Err(fault) => fault.into_response(),
    }
}

async fn first_run(State(app): Of, open: Open<FirstRunInput>) -> Response {
    let Open { visitor, input, .. } = open;
    let asked = app.clone();
    match blocking(move || sign_in::first_run(&asked, &visitor, &input)).await {
        Ok(begun) => entered(app, begun).await,
        Err(fault) => fault.into_response(),
    }
}

async fn view(State(app): Of, Signed(who): Signed) -> Result<Json<SessionView>, Fault> {
    super::asked(app, move |app| own::session(app, &who)).await
}

async fn end(State(app): Of, act: Act<Nothing>) -> Response {
    let https = app.accounts.https;
    let answer = act.run(app, |app, who: &Who, _| sign_in::sign_out(app, who)).await;
    if answer.status().is_success() {
        return set(answer, &Cookie::removal(Jar::Session, https));
    }
    answer
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(("get", "/session"), ("getSession", "Who is signed in"), May::Signed, get(view))
            .output::<SessionView>(),
        Route::new(("post", "/session"), ("signIn", "Sign in"), May::Everybody, post(begin))
            .input::<SignInInput>()
            .output::<SessionView>(),
        Route::new(
            ("post", "/session/second"),
            ("signInSecond", "The code of the second factor"),
            May::Everybody,
            post(second),
        )
        .input::<CodeInput>()
        .output::<SessionView>(),
        Route::new(("post", "/session/end"), ("signOut", "Sign out"), May::Signed, post(end)),
        Route::new(
            ("post", "/first-run"),
            ("firstRun", "The first person, with the link that the service printed"),
            May::Everybody,
            post(first_run),
        )
        .input::<FirstRunInput>()
        .output::<SessionView>(),
    ]
}
