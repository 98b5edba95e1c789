//! One's own account.

use super::form::{Done, Form, went};
use super::frame::Reader;
use crate::app::App;
use crate::desk::own::{self, ConfirmInput, PasswordInput, TotpOffer};
use crate::desk::passkeys::{self, PasskeyRemoveInput};
use crate::desk::{Fault, Who};
use crate::http::api::set_cookie;
use crate::service::blocking;
use crate::ui::{self, AccountView, EnrolView, Login, Passkey};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::session::Cookie;
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/account", get(account))
        .route("/account/zone", post(zone))
        .route("/account/password", post(password))
        .route("/account/totp", get(enrol).post(confirm))
        .route("/account/passkeys/remove", post(remove_passkey))
        .route("/account/logins/end", post(end_login))
        .route("/account/logins/end-others", post(end_others))
}

fn view(app: &App, who: &Who, fault: String) -> Result<AccountView, Fault> {
    let own = own::account(app, who)?;
    Ok(AccountView {
        zone: own.zone,
        totp: own.totp,
        recovery: own.recovery_codes,
        passkeys: own
            .passkeys
            .into_iter()
            .map(|k| Passkey {
                id: k.id,
                name: k.name,
                created_at: k.created_at.0,
                last_used: k.last_used.map(|t| t.0),
            })
            .collect(),
        logins: own::logins(app, who)?
            .into_iter()
            .map(|l| Login {
                id: l.hint,
                address: l.address,
                agent: l.agent,
                since: l.since.0,
                last_seen: l.last_used.0,
                is_this: l.is_this,
            })
            .collect(),
        has_password: own.has_password,
        must_change: who.first == Some(crate::desk::First::ChangePassword),
        fault,
    })
}

async fn account(State(app): Of, reader: Reader) -> Response {
    reader.show(app, |app, who, shell| Ok(ui::account(shell, &view(app, who, String::new())?))).await
}

async fn zone(State(app): Of, form: Form) -> Response {
    form.run(app, |app, who, fields| {
        own::set_zone(app, who, &own::ZoneInput { zone: fields.text("zone") })?;
        Ok(Done::said("The time zone is set"))
    })
    .await
}

async fn remove_passkey(State(app): Of, form: Form) -> Response {
    form.run(app, |app, who, fields| {
        let input = PasskeyRemoveInput { password: fields.exact("password").to_owned() };
        passkeys::remove(app, who, &fields.text("id"), &input)?;
        Ok(Done::said("The passkey is removed; all other browsers are signed out"))
    })
    .await
}

async fn end_login(State(app): Of, form: Form) -> Response {
    form.run(app, |app, who, fields| {
        own::end_login(app, who, &fields.text("id"))?;
        Ok(Done::said("That browser is signed out"))
    })
    .await
}

async fn end_others(State(app): Of, form: Form) -> Response {
    form.run(app, |app, who, _| {
        own::end_others(app, who)?;
        Ok(Done::said("All other browsers are signed out"))
    })
    .await
}

async fn password(State(app): Of, form: Form) -> Response {
    let Form { who, visitor, fields, mut frame } = form;
    frame.here = "/account".to_owned();
    let input = PasswordInput {
        password: fields.exact("current").to_owned(),
        new: fields.exact("password").to_owned(),
    };
    let same = fields.exact("again") == input.new;
    let asked = app.clone();
    let done = blocking(move || {
        let changed = if same {
            own::change_password(&asked, &who, &visitor, &input)
        } else {
            Err(Fault::invalid("again", "is not the same password"))
        };
        changed.map_err(|fault| {
            let shell = frame.shell(&asked, &who).unwrap_or_else(|_| frame.bare());
            Box::new(match view(&asked, &who, fault.problem().detail) {
                Ok(view) => super::page(fault.status(), ui::account(&shell, &view)),
                Err(worse) => super::fault(&shell, &worse, "/account"),
            })
        })
    });
    match done.await {
        Ok(begun) => {
            let said =
                Done::said("The password is changed; all other browsers are signed out").to("/account");
            let answer = went(&app, &begun.who.actor.id, said, "/account");
            set_cookie(answer, &Cookie::session(&begun.token, app.accounts.https))
        }
        Err(page) => *page,
    }
}

fn offered(offer: TotpOffer, replaces: bool, fault: String) -> EnrolView {
    let TotpOffer { secret, uri, ticket } = offer;
    EnrolView { uri, secret, ticket, replaces, fault, recovery: Vec::new() }
}

async fn enrol(State(app): Of, reader: Reader) -> Response {
    reader
        .show(app, |app, who, shell| {
            let replaces = own::account(app, who)?.totp;
            Ok(ui::enrol(shell, &offered(own::offer_totp(app, who)?, replaces, String::new())))
        })
        .await
}

/// Recovery codes are shown once, so this is answered with a page.
async fn confirm(State(app): Of, form: Form) -> Response {
    let Form { who, visitor, fields, mut frame } = form;
    frame.here = "/account/totp".to_owned();
    let input = ConfirmInput {
        ticket: fields.text("ticket"),
        code: fields.text("code"),
        password: fields.exact("password").to_owned(),
    };
    let asked = app.clone();
    let done = blocking(move || {
        match own::confirm_totp(&asked, &who, &visitor, &input) {
            Ok((begun, recovery)) => {
                let shell = frame.shell(&asked, &begun.who).unwrap_or_else(|_| frame.bare());
                let view = EnrolView { recovery: recovery.recovery_codes, ..EnrolView::default() };
                Ok((begun, super::page(StatusCode::OK, ui::enrol(&shell, &view))))
            }
            Err(fault) => {
                let shell = frame.shell(&asked, &who).unwrap_or_else(|_| frame.bare());
                // The same secret again, if it is still good: the app has it already.
                let offer =
                    own::offered_totp(&asked, &who, &input.ticket).or_else(|_| own::offer_totp(&asked, &who));
                let replaces = own::account(&asked, &who).is_ok_and(|own| own.totp);
                Err(Box::new(match offer {
                    Ok(offer) => {
                        let view = offered(offer, replaces, fault.problem().detail);
                        super::page(fault.status(), ui::enrol(&shell, &view))
                    }
                    Err(worse) => super::fault(&shell, &worse, "/account"),
                }))
            }
        }
    });
    match done.await {
        Ok((begun, page)) => set_cookie(page, &Cookie::session(&begun.token, app.accounts.https)),
        Err(page) => *page,
    }
}
