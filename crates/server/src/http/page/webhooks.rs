//! Webhooks: how they stand, what is on its way to each, a test, and another try.

use super::form::{Done, Form};
use super::frame::Reader;
use crate::app::App;
use crate::desk::webhooks::{self, DeliveriesInput};
use crate::desk::{Fault, Who};
use crate::ui::{self, Delivery, Webhook, WebhookView, WebhooksView};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/webhooks", get(list))
        .route("/webhooks/{name}", get(one))
        .route("/webhooks/{name}/test", post(test))
        .route("/webhooks/{name}/revive", post(revive))
}

fn all(app: &App, who: &Who) -> Result<Vec<Webhook>, Fault> {
    let all = webhooks::list(app, who)?.into_iter().map(|w| Webhook {
        name: w.name,
        template: w.template,
        host: w.host,
        on: w.on,
        waiting: w.waiting,
        dead: w.dead,
        untold: w.untold,
        last_error: w.last_error.unwrap_or_default(),
        last_heard: w.last_heard.map(|t| t.0),
    });
    Ok(all.collect())
}

async fn list(State(app): Of, reader: Reader) -> Response {
    reader.show(app, |app, who, shell| Ok(ui::webhooks(shell, &WebhooksView { list: all(app, who)? }))).await
}

async fn one(State(app): Of, Path(name): Path<String>, reader: Reader) -> Response {
    let standing = if reader.asked("standing") == "all" { "all" } else { "unheard" };
    let after = Some(reader.asked("after")).filter(|a| !a.is_empty());
    reader
        .show(app, move |app, who, shell| {
            let input = DeliveriesInput { standing: Some(standing.to_owned()), after };
            let page = webhooks::deliveries(app, who, &name, &input)?;
            let hook = all(app, who)?.into_iter().find(|w| w.name == name);
            let deliveries = page.deliveries.into_iter().map(|d| Delivery {
                id: d.id,
                event: d.event,
                case: d.case,
                created_at: d.created_at.0,
                attempts: d.attempts,
                state: d.state,
                next_at: d.next_at.map(|t| t.0),
                last_error: d.last_error.unwrap_or_default(),
                heard_at: d.heard_at.map(|t| t.0),
            });
            let view = WebhookView {
                hook: hook.ok_or_else(|| Fault::not_found("such webhook"))?,
                standing: standing.to_owned(),
                deliveries: deliveries.collect(),
                next: page.next.unwrap_or_default(),
            };
            Ok(ui::webhook(shell, &view))
        })
        .await
}

async fn test(State(app): Of, Path(name): Path<String>, form: Form) -> Response {
    form.run(app, move |app, who, _| {
        let tested = webhooks::test(app, who, &name)?;
        Ok(Done::said(match tested.why {
            None => format!("The test arrived at {name}"),
            Some(why) => format!("The test did not arrive at {name}: {why}"),
        }))
    })
    .await
}

async fn revive(State(app): Of, Path(name): Path<String>, form: Form) -> Response {
    form.run(app, move |app, who, _| {
        let count = webhooks::revive(app, who, &name)?;
        let messages = if count == 1 { "1 message is".to_owned() } else { format!("{count} messages are") };
        Ok(Done::said(format!("{messages} tried again for {name}")))
    })
    .await
}
