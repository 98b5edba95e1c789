//! The pages: each asks the desk as the API does, and hands the answer to `ui` to be drawn. Forms are answered with a
//! way back (303), so that loading a page again does nothing twice.

mod account;
mod admin;
mod ask;
mod benign;
mod case;
mod containment;
mod door;
mod entity;
mod form;
mod frame;
mod notice;
mod queue;
mod records;
mod suppressions;
mod webhooks;

use crate::app::App;
use crate::desk::Fault;
use crate::ui;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(queue::routes())
        .merge(case::routes())
        .merge(containment::routes())
        .merge(benign::routes())
        .merge(suppressions::routes())
        .merge(entity::routes())
        .merge(door::routes())
        .merge(account::routes())
        .merge(admin::routes())
        .merge(records::routes())
        .merge(webhooks::routes())
        .merge(ask::routes())
        .merge(ui::assets::routes())
        .merge(ui::preferences::routes())
        .fallback(nowhere)
}

async fn nowhere(
    reader: frame::Reader,
    axum::extract::State(app): axum::extract::State<Arc<App>>,
) -> Response {
    reader.show(app, |_, _, _| Err(Fault::not_found("such page"))).await
}

fn page(status: StatusCode, html: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], Html(html)).into_response()
}

/// What went wrong, as a page.
fn fault(shell: &ui::Shell, fault: &Fault, back: &str) -> Response {
    if let Fault::Inside(why) = fault {
        tracing::error!(%why, "a page failed");
    }
    let problem = fault.problem();
    let mut then = Vec::new();
    if back != shell.here || back == "/" {
        then.push(("Back".to_owned(), back.to_owned()));
    }
    match fault {
        Fault::SignIn => then.push(("Sign in".to_owned(), "/sign-in".to_owned())),
        _ if shell.me.is_some() => then.push(("To the queue".to_owned(), "/queue".to_owned())),
        _ => {}
    }
    let view = ui::ErrorView { status: problem.status, title: problem.title, detail: problem.detail, then };
    let mut answer = page(fault.status(), ui::error(shell, &view));
    if let Fault::Locked { seconds } = fault {
        answer.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
    }
    answer
}
