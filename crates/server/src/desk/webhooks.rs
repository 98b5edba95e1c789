//! Webhooks: how they stand, whether they arrive, and another try for what was given up. They are set up in the
//! configuration file alone, since each is a way out for what cases say.

use super::{Doing, Fault, Who, change, look_at_service};
use crate::app::App;
use crate::config::WebhookAt;
use crate::out::sender::{Came, Sender};
use crate::out::{untold, untold_key};
use portreeve_access::permit::{Object, Verb};
use portreeve_store::outbox::{self, State};
use portreeve_store::setting;
use schemars::JsonSchema;
use serde::Serialize;

/// One webhook. Of its address only the host: the rest may be a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct WebhookView {
    pub name: String,
    pub template: String,
    pub host: String,
    /// What is told.
    pub on: Vec<String>,
    /// Messages on their way.
    pub waiting: i64,
    /// Given up: somebody has to look.
    pub dead: i64,
    /// Did not fit into the queue.
    pub untold: u64,
    /// Of the newest message that was not heard.
    pub last_error: Option<String>,
}

pub fn list(app: &App, who: &Who) -> Result<Vec<WebhookView>, Fault> {
    look_at_service(app, who, Verb::ConfigRead, |tx| {
        let all = app.hooks.all.iter().map(|hook| {
            let host = hook.address().ok().and_then(|u| u.host_str().map(str::to_owned));
            Ok(WebhookView {
                name: hook.name.clone(),
                template: hook.template.name().to_owned(),
                host: host.unwrap_or_default(),
                on: hook.on.iter().map(|o| o.name().to_owned()).collect(),
                waiting: outbox::waiting(tx, &hook.name)?,
                dead: outbox::in_state_of(tx, &hook.name, State::Dead)?,
                untold: untold(tx, &hook.name)?,
                last_error: outbox::last_error(tx, &hook.name)?,
            })
        });
        all.collect()
    })
}

fn hook<'a>(app: &'a App, name: &str) -> Result<&'a WebhookAt, Fault> {
    app.hooks.by_name(name).ok_or_else(|| Fault::not_found("such webhook"))
}

/// What came of a test.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct WebhookTested {
    pub arrived: bool,
    /// Why it did not.
    pub why: Option<String>,
}

/// Sends one message that says that it is a test, now and once.
pub fn test(app: &App, who: &Who, name: &str) -> Result<WebhookTested, Fault> {
    let object = format!("webhook:{name}");
    let allowed = who.may(Verb::WebhookManage, &Object::Service);
    super::note_denied(app, who, Verb::WebhookManage, &object, &allowed);
    allowed?;
    let hook = hook(app, name)?;
    let sender = Sender::new(hook, app.hooks.clone()).map_err(|text| Fault::Conflict { text })?;
    let why = match sender.test(&who.name) {
        Came::Heard | Came::Withheld => None,
        Came::Again { why, .. } | Came::Never(why) => Some(why),
    };
    let tested = WebhookTested { arrived: why.is_none(), why };
    let detail = serde_json::json!({ "tested": tested });
    change(app, who, &Doing::new(Verb::WebhookManage, &object).with(detail), |_, _| Ok(tested.clone()))
}

/// Everything that was given up is tried again, and the count of what did not fit begins anew.
pub fn revive(app: &App, who: &Who, name: &str) -> Result<u64, Fault> {
    let object = format!("webhook:{name}");
    let doing = Doing::new(Verb::WebhookManage, &object).with(serde_json::json!({ "revived": true }));
    change(app, who, &doing, |tx, by| {
        who.may(Verb::WebhookManage, &Object::Service)?;
        let name = &hook(app, name)?.name;
        setting::remove(tx, &untold_key(name))?;
        outbox::revive_all(tx, name, by.at)
    })
    .inspect(|_| {
        // Otherwise it is seen within seconds anyway.
        if let Err(error) = app.hooks.look(&app.store) {
            tracing::warn!(%error, "the store does not say how webhooks stand");
        }
    })
}
