//! One's own account.

use super::entrance::set;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::own::{
    self, AccountView, ConfirmInput, LoginView, PasswordInput, Recovery, SessionView, TotpOffer, ZoneInput,
};
use crate::http::input::{Act, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use crate::service::blocking;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use portreeve_access::session::Cookie;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn password(State(app): Of, act: Act<PasswordInput>) -> Response {
    let Act { who, visitor, input, .. } = act;
    let https = app.accounts.https;
    let done = blocking(move || {
        let begun = own::change_password(&app, &who, &visitor, &input)?;
        let view = own::session(&app, &begun.who)?;
        Ok::<_, Fault>((begun.token, view))
    });
    match done.await {
        Ok((token, view)) => set(Json(view).into_response(), &Cookie::session(&token, https)),
        Err(fault) => fault.into_response(),
    }
}

async fn offer(State(app): Of, act: Act<Nothing>) -> Response {
    act.run(app, |app, who, _| own::offer_totp(app, who)).await
}

/// Recovery codes are shown once.
async fn confirm(State(app): Of, act: Act<ConfirmInput>) -> Response {
    let Act { who, visitor, input, .. } = act;
    let https = app.accounts.https;
    match blocking(move || own::confirm_totp(&app, &who, &visitor, &input)).await {
        Ok((begun, recovery)) => set(Json(recovery).into_response(), &Cookie::session(&begun.token, https)),
        Err(fault) => fault.into_response(),
    }
}

async fn account(State(app): Of, Signed(who): Signed) -> Result<Json<AccountView>, Fault> {
    super::asked(app, move |app| own::account(app, &who)).await
}

async fn zone(State(app): Of, act: Act<ZoneInput>) -> Response {
    act.run(app, own::set_zone).await
}

async fn end_login(State(app): Of, At(hint): At<String>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| own::end_login(app, who, &hint)).await
}

async fn logins(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<LoginView>>, Fault> {
    super::asked(app, move |app| own::logins(app, &who)).await
}

async fn end_others(State(app): Of, act: Act<Nothing>) -> Response {
    act.run(app, |app, who, _| own::end_others(app, who)).await
}

pub(super) fn routes() -> Vec<Route> {
    let me = May::Do(Verb::SelfManage);
    vec![
        Route::new(("get", "/me"), ("getAccount", "One's own account"), me, get(account))
            .output::<AccountView>(),
        Route::new(("post", "/me/zone"), ("setZone", "One's time zone"), me, post(zone))
            .input::<ZoneInput>()
            .output::<AccountView>(),
        Route::new(("post", "/me/logins/{hint}/end"), ("endLogin", "End one login"), me, post(end_login)),
        Route::new(("post", "/me/password"), ("changePassword", "Change one's password"), me, post(password))
            .input::<PasswordInput>()
            .output::<SessionView>(),
        Route::new(("post", "/me/totp"), ("offerTotp", "A second factor to be added"), me, post(offer))
            .output::<TotpOffer>(),
        Route::new(("post", "/me/totp/confirm"), ("confirmTotp", "Its first code"), me, post(confirm))
            .input::<ConfirmInput>()
            .output::<Recovery>(),
        Route::new(("get", "/me/logins"), ("listLogins", "One's own logins"), me, get(logins))
            .output::<Vec<LoginView>>(),
        Route::new(
            ("post", "/me/logins/end-others"),
            ("endOtherLogins", "End all but this"),
            me,
            post(end_others),
        ),
    ]
}
