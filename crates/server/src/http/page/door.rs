//! Sign-in, second factor, first run, and the way out.

use super::form::{Form, Visit};
use super::frame::{Frame, Reader};
use crate::app::App;
use crate::desk::sign_in::{self, Begun, CodeInput, FirstRunInput, SignInInput, Step};
use crate::desk::{Fault, Who, oidc};
use crate::http::api::set_cookie;
use crate::http::input::see_other;
use crate::http::session::cookie;
use crate::service::blocking;
use crate::ui::{self, FirstRunView, SecondFactorView, SignInView};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::session::{Cookie, Jar};
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(sign_in_page).post(begin))
        .route("/second-factor", get(second_page).post(second))
        .route("/first-run", get(first_run_page).post(first_run))
        .route("/sign-out", post(end))
}

/// Where somebody goes once they are in: a page of ours, said by the address.
fn then(reader: &Reader) -> String {
    let then = reader.asked("then");
    if ui::preferences::is_ours(&then) { then } else { "/".to_owned() }
}

fn with_then(path: &str, frame: &Frame) -> String {
    let then = if frame.here == "/" { "" } else { &frame.here };
    ui::link::query(path, &[("then", then)])
}

/// What the page of sign-in shows besides.
fn ways(app: &App, frame: &Frame) -> SignInView {
    SignInView {
        oidc: oidc::button(app).unwrap_or_default().to_owned(),
        no_password: !oidc::takes_passwords(app),
        then: frame.here.clone(),
        ..SignInView::default()
    }
}

async fn sign_in_page(State(app): Of, reader: Reader) -> Response {
    let frame = Frame { here: then(&reader), ..reader.frame().clone() };
    if reader.is_in() {
        return see_other(&frame.here);
    }
    super::page(axum::http::StatusCode::OK, ui::sign_in(&frame.bare(), &ways(&app, &frame)))
}

/// The page again, with what was wrong.
fn again(frame: &Frame, fault: &Fault, draw: impl FnOnce(&ui::Shell, String) -> String) -> Response {
    let problem = fault.problem();
    if let Fault::Inside(_) | Fault::Csrf = fault {
        return super::fault(&frame.bare(), fault, "/sign-in");
    }
    let mut answer = super::page(fault.status(), draw(&frame.bare(), problem.detail));
    if let Fault::Locked { seconds } = fault {
        answer.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
    }
    answer
}

fn entered(app: &App, begun: &Begun, to: &str) -> Response {
    let https = app.accounts.https;
    let answer = set_cookie(see_other(to), &Cookie::session(&begun.token, https));
    set_cookie(answer, &Cookie::removal(Jar::SignIn, https))
}

async fn begin(State(app): Of, visit: Visit) -> Response {
    let Visit { visitor, fields, frame, .. } = visit;
    let input =
        SignInInput { name: fields.text("name"), password: fields.exact("password").to_owned(), code: None };
    let (asked, name) = (app.clone(), input.name.clone());
    match blocking(move || sign_in::sign_in(&asked, &visitor, &input)).await {
        Ok(Step::In(begun)) => entered(&app, &begun, &frame.here),
        Ok(Step::Second { ticket }) => {
            let answer = see_other(&with_then("/second-factor", &frame));
            set_cookie(answer, &Cookie::sign_in(&ticket, app.accounts.https))
        }
        Err(fault) => again(&frame, &fault, |shell, fault| {
            ui::sign_in(shell, &SignInView { name, fault, ..ways(&app, &frame) })
        }),
    }
}

/// What the second step may be. A ticket that is too old leads back to the first.
async fn steps(app: &Arc<App>, headers: &HeaderMap, frame: &Frame) -> Result<SecondFactorView, Response> {
    let ticket = cookie(headers, Jar::SignIn, app.accounts.https);
    let asked = app.clone();
    match blocking(move || sign_in::seconds(&asked, ticket.as_deref())).await {
        Ok(may) => Ok(SecondFactorView {
            passkey: may.passkey,
            no_code: !may.code,
            then: frame.here.clone(),
            ..SecondFactorView::default()
        }),
        Err(_) => Err(see_other(&with_then("/sign-in", frame))),
    }
}

async fn second_page(State(app): Of, headers: HeaderMap, reader: Reader) -> Response {
    let frame = Frame { here: then(&reader), ..reader.frame().clone() };
    match steps(&app, &headers, &frame).await {
        Ok(view) => super::page(axum::http::StatusCode::OK, ui::second_factor(&frame.bare(), &view)),
        Err(back) => back,
    }
}

async fn second(State(app): Of, visit: Visit) -> Response {
    let Visit { visitor, headers, fields, frame } = visit;
    let ticket = cookie(&headers, Jar::SignIn, app.accounts.https);
    let input = CodeInput { code: fields.text("code") };
    let asked = app.clone();
    match blocking(move || sign_in::second(&asked, &visitor, ticket.as_deref(), &input)).await {
        Ok(begun) => entered(&app, &begun, &frame.here),
        // The ticket is too old: the password comes first again.
        Err(Fault::SignIn) => see_other(&with_then("/sign-in", &frame)),
        Err(fault) => match steps(&app, &headers, &frame).await {
            Ok(view) => again(&frame, &fault, |shell, fault| {
                ui::second_factor(shell, &SecondFactorView { fault, ..view })
            }),
            Err(back) => back,
        },
    }
}

async fn first_run_page(reader: Reader) -> Response {
    let view = FirstRunView { token: reader.asked("token"), ..FirstRunView::default() };
    super::page(axum::http::StatusCode::OK, ui::first_run(&reader.frame().bare(), &view))
}

async fn first_run(State(app): Of, visit: Visit) -> Response {
    let Visit { visitor, fields, frame, .. } = visit;
    let input = FirstRunInput {
        token: fields.text("token"),
        name: fields.text("name"),
        display: fields.text("display"),
        zone: fields.text("zone"),
        password: fields.exact("password").to_owned(),
    };
    let (token, name, same) =
        (input.token.clone(), input.name.clone(), fields.exact("again") == fields.exact("password"));
    let asked = app.clone();
    let done = blocking(move || {
        if !same {
            return Err(Fault::invalid("again", "is not the same password"));
        }
        sign_in::first_run(&asked, &visitor, &input)
    });
    match done.await {
        // The second factor is set up at once, where everybody needs one.
        Ok(begun) => entered(&app, &begun, "/"),
        Err(fault) => {
            again(&frame, &fault, |shell, fault| ui::first_run(shell, &FirstRunView { token, name, fault }))
        }
    }
}

async fn end(State(app): Of, form: Form) -> Response {
    let Form { who, frame, .. } = form;
    let asked = app.clone();
    let ended = blocking(move || sign_in::sign_out(&asked, &who as &Who)).await;
    match ended {
        Ok(()) => set_cookie(see_other("/sign-in"), &Cookie::removal(Jar::Session, app.accounts.https)),
        Err(fault) => super::fault(&frame.bare(), &fault, "/"),
    }
}
