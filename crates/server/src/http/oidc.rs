//! To the identity provider and back. Both are pages that a browser is sent to; what goes wrong is told as a page.

use super::api::set_cookie as set;
use super::session::{cookie, visitor};
use crate::app::App;
use crate::config::CALLBACK;
use crate::desk::Fault;
use crate::desk::oidc::{self, Away};
use crate::desk::sign_in::Step;
use crate::service::blocking;
use crate::ui;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use portreeve_access::session::{Cookie, Jar};
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/sign-in/oidc", get(begin)).route(CALLBACK, get(back))
}

fn shell(headers: &HeaderMap) -> ui::Shell {
    let theme = ui::preferences::of(headers).1;
    ui::Shell { here: "/sign-in".to_owned(), now: crate::line::now().0, theme, ..ui::Shell::default() }
}

/// As a page, or as a problem document for who is no browser.
fn told(fault: Fault, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return fault.into_response();
    }
    if let Fault::Inside(why) = &fault {
        tracing::error!(%why, "a sign-in failed");
    }
    let problem = fault.problem();
    let view = ui::ErrorView {
        status: problem.status,
        title: problem.title,
        detail: problem.detail,
        then: vec![("Sign in".to_owned(), "/sign-in".to_owned())],
    };
    (fault.status(), Html(ui::error(&shell(headers), &view))).into_response()
}

/// 303 to another site: the provider's own page, as its discovery document names it.
fn away(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
        Err(_) => {
            Fault::Inside("the provider's address cannot be written into a header".to_owned()).into_response()
        }
    }
}

async fn begin(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let (from, https) = (visitor(&app, &parts), app.accounts.https);
    let wanted = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "back")
        .map_or_else(|| "/".to_owned(), |(_, back)| back.into_owned());
    match blocking(move || oidc::begin(&app, &from, &wanted)).await {
        Ok(Away { url, cookie }) => set(away(&url), &Cookie::sign_in(&cookie, https)),
        Err(fault) => told(fault, &parts.headers),
    }
}

async fn back(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let (from, https) = (visitor(&app, &parts), app.accounts.https);
    let kept = cookie(&parts.headers, Jar::SignIn, https);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let done = blocking(move || oidc::complete(&app, &from, kept.as_deref(), &query)).await;
    // Whatever came of it, what the browser kept was good for this once.
    let over = Cookie::removal(Jar::SignIn, https);
    match done {
        Ok((Step::In(begun), then)) => {
            let page = Html(ui::entered(&shell(&parts.headers), &then)).into_response();
            set(set(page, &Cookie::session(&begun.token, https)), &over)
        }
        Ok((Step::Second { ticket }, then)) => {
            let then = if then == "/" { "" } else { &then };
            let to = ui::link::query("/second-factor", &[("then", then)]);
            set(super::input::see_other(&to), &Cookie::sign_in(&ticket, https))
        }
        Err(fault) => set(told(fault, &parts.headers), &over),
    }
}
