//! Webhooks: how they stand, and whether they arrive.

use crate::app::App;
use crate::desk::Fault;
use crate::desk::webhooks::{self, DeliveriesInput, DeliveriesPage, WebhookTested, WebhookView};
use crate::http::input::{Act, Asked, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn list(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<WebhookView>>, Fault> {
    super::asked(app, move |app| webhooks::list(app, &who)).await
}

async fn deliveries(
    State(app): Of,
    Signed(who): Signed,
    At(name): At<String>,
    Asked(input): Asked<DeliveriesInput>,
) -> Result<Json<DeliveriesPage>, Fault> {
    super::asked(app, move |app| webhooks::deliveries(app, &who, &name, &input)).await
}

async fn test(State(app): Of, At(name): At<String>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| webhooks::test(app, who, &name)).await
}

async fn revive(State(app): Of, At(name): At<String>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| webhooks::revive(app, who, &name)).await
}

pub(super) fn routes() -> Vec<Route> {
    let manage = May::Do(Verb::WebhookManage);
    vec![
        Route::new(
            ("get", "/webhooks"),
            ("listWebhooks", "Webhooks and how they stand"),
            May::Do(Verb::ConfigRead),
            get(list),
        )
        .output::<Vec<WebhookView>>(),
        Route::new(
            ("get", "/webhooks/{name}/deliveries"),
            ("listDeliveries", "What is on its way to a webhook or was given up, and why"),
            May::Do(Verb::ConfigRead),
            get(deliveries),
        )
        .query::<DeliveriesInput>()
        .output::<DeliveriesPage>(),
        Route::new(
            ("post", "/webhooks/{name}/test"),
            ("testWebhook", "Send a message that says that it is a test"),
            manage,
            post(test),
        )
        .output::<WebhookTested>(),
        Route::new(
            ("post", "/webhooks/{name}/revive"),
            ("reviveWebhook", "Try what was given up again"),
            manage,
            post(revive),
        )
        .output::<u64>(),
    ]
}
