//! People, for those who manage them.

use crate::app::App;
use crate::desk::Fault;
use crate::desk::oidc::{self, BindInput};
use crate::desk::people::{self, PersonChange, PersonInput, PersonMade, PersonView};
use crate::http::input::{Act, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post, put};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<PersonView>>, Fault> {
    super::asked(app, move |app| people::list(app, &who)).await
}

async fn create(State(app): Of, act: Act<PersonInput>) -> Response {
    act.run(app, people::create).await
}

async fn alter(State(app): Of, At(id): At<i64>, act: Act<PersonChange>) -> Response {
    act.on_revision(app, move |app, who, revision, input| people::alter(app, who, id, revision, input)).await
}

async fn reset(State(app): Of, At(id): At<i64>, act: Act<Nothing>) -> Response {
    act.on_revision(app, move |app, who, revision, _| people::reset(app, who, id, revision)).await
}

async fn bind(State(app): Of, At(id): At<i64>, act: Act<BindInput>) -> Response {
    act.on_revision(app, move |app, who, revision, input| oidc::bind(app, who, id, revision, input)).await
}

pub(super) fn routes() -> Vec<Route> {
    let manage = May::Do(Verb::UserManage);
    vec![
        Route::new(("get", "/people"), ("listPeople", "People"), May::Do(Verb::UserRead), get(list))
            .output::<Vec<PersonView>>(),
        Route::new(("post", "/people"), ("createPerson", "Add a person"), manage, post(create))
            .input::<PersonInput>()
            .output::<PersonMade>(),
        Route::new(("put", "/people/{id}"), ("changePerson", "Change a person"), manage, put(alter))
            .revision()
            .input::<PersonChange>()
            .output::<PersonView>(),
        Route::new(
            ("put", "/people/{id}/provider"),
            ("bindPerson", "Bind a person to their account at the identity provider"),
            manage,
            put(bind),
        )
        .revision()
        .input::<BindInput>()
        .output::<PersonView>(),
        Route::new(
            ("post", "/people/{id}/reset"),
            ("resetPerson", "A new initial password, and no second factor"),
            manage,
            post(reset),
        )
        .revision()
        .output::<PersonMade>(),
    ]
}
