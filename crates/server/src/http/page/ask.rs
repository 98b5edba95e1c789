//! The page behind a link for somebody without an account, and what is sent from it. Looking changes nothing: scanners
//! of mails open every link.

use super::form::Sent;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::ask::{self, AnswerInput};
use crate::http::session::visitor;
use crate::service::blocking;
use crate::ui::{AskState, AskView};
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::convert::Infallible;
use std::sync::Arc;

/// The last part of the path. What is no token of ours is refused later, like any that is none.
fn token(uri: &Uri) -> String {
    uri.path().rsplit('/').next().unwrap_or_default().to_owned()
}

/// All that a request without a body says.
struct Whole(Parts);

impl FromRequestParts<Arc<App>> for Whole {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Whole, Infallible> {
        Ok(Whole(parts.clone()))
    }
}

fn shown(status: StatusCode, state: AskState, question: String, here: String) -> Response {
    let text = crate::ui::ask(&AskView { state, question, here });
    (status, Html(text)).into_response()
}

fn refused(fault: &Fault) -> Response {
    let state = match fault {
        Fault::Locked { .. } => AskState::Wait,
        Fault::NotFound { .. } => AskState::Gone,
        other => {
            tracing::warn!(error = %other, "an answer of a person was not taken");
            AskState::Failed
        }
    };
    shown(fault.status(), state, String::new(), String::new())
}

async fn show(State(app): State<Arc<App>>, Whole(parts): Whole) -> Response {
    let (from, token) = (visitor(&app, &parts), token(&parts.uri));
    let here = format!("/ask/{}", crate::ui::link::encode(&token));
    match blocking(move || ask::show(&app, &from, &token)).await {
        Ok(asked) => shown(StatusCode::OK, AskState::Open, asked.question, here),
        Err(fault) => refused(&fault),
    }
}

async fn answer(State(app): State<Arc<App>>, uri: Uri, sent: Result<Sent, Fault>) -> Response {
    let Sent { visitor, fields, .. } = match sent {
        Ok(sent) => sent,
        Err(fault) => return refused(&fault),
    };
    let input = AnswerInput { answer: fields.text("answer"), remark: fields.text("remark") };
    let (token, no) = (token(&uri), input.answer == "no");
    match blocking(move || ask::answer(&app, &visitor, &token, &input)).await {
        Ok(()) => shown(StatusCode::OK, AskState::Thanks { no }, String::new(), String::new()),
        Err(fault) => refused(&fault),
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/ask/{token}", get(show).post(answer))
}
