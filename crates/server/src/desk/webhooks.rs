//! Webhooks: how they stand, what is on its way, whether they arrive, and another try for what was given up. They are set
//! up in the configuration file alone, since each is a way out for what cases say.

use super::cases::guarded;
use super::{Doing, Fault, Stamp, Who, change, look, look_at_service};
use crate::app::App;
use crate::config::WebhookAt;
use crate::out::sender::{Came, Sender};
use crate::out::{untold, untold_key};
use portreeve_access::permit::{Object, Verb};
use portreeve_store::outbox::{self, Delivery, State};
use portreeve_store::{CaseId, DeliveryId, Error, Tx, Word, setting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// Deliveries of a page.
const PAGE: usize = 100;

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
    /// When the last message was heard; what was heard is kept for a while only.
    pub last_heard: Option<Stamp>,
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
                last_heard: outbox::last_heard(tx, &hook.name)?.map(Stamp),
            })
        });
        all.collect()
    })
}

/// How a webhook stands, in numbers.
pub(crate) struct Figures<'a> {
    pub(crate) name: &'a str,
    /// Since the service started.
    pub(crate) heard: u64,
    pub(crate) failed: u64,
    /// None where the store does not answer: messages on their way, given up, and lost.
    pub(crate) stored: Option<[u64; 3]>,
}

/// For the page of figures, which asks by itself who may see it.
pub(crate) fn figures(app: &App) -> Vec<Figures<'_>> {
    let all = app.hooks.tallied().map(|(hook, tally)| {
        let stored = app.store.read(|tx| {
            let waiting = outbox::waiting(tx, &hook.name)?;
            let dead = outbox::in_state_of(tx, &hook.name, State::Dead)?;
            Ok([waiting.unsigned_abs(), dead.unsigned_abs(), untold(tx, &hook.name)?])
        });
        Figures {
            name: &hook.name,
            heard: tally.heard.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
            stored: stored.ok(),
        }
    });
    all.collect()
}

fn hook<'a>(app: &'a App, name: &str) -> Result<&'a WebhookAt, Fault> {
    app.hooks.by_name(name).ok_or_else(|| Fault::not_found("such webhook"))
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveriesInput {
    /// `unheard` (the default): on their way, or given up. `all`: those that were heard as well, for as long as they are
    /// kept.
    pub standing: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// One message to a webhook. What it says stays in the store: it may be about a case that is not for everybody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DeliveryView {
    pub id: i64,
    /// What it tells of, as the webhook's `on` names it.
    pub event: String,
    /// The case that it is about, for who may read that.
    pub case: Option<i64>,
    pub created_at: Stamp,
    pub attempts: i64,
    /// `waiting`, `sending`, `done` or `dead`.
    pub state: String,
    /// When it is tried again; none where it is not.
    pub next_at: Option<Stamp>,
    /// What came of the last attempt that was not heard.
    pub last_error: Option<String>,
    pub heard_at: Option<Stamp>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DeliveriesPage {
    pub deliveries: Vec<DeliveryView>,
    pub next: Option<String>,
}

fn delivery(tx: &mut Tx<'_>, who: &Who, d: Delivery) -> DeliveryView {
    let about = outbox::topic(&d.once).strip_prefix("case:").and_then(|n| n.parse().ok());
    // Whatever the store answers but the case: who asks does not learn that there is one.
    let case = about.filter(|n| guarded(tx, who, Verb::CaseRead, CaseId(*n)).is_ok());
    DeliveryView {
        id: d.id.0,
        event: d.event,
        case,
        created_at: Stamp(d.created_at),
        attempts: d.attempts,
        next_at: (d.state == State::Waiting).then_some(Stamp(d.next_at)),
        state: d.state.word().to_owned(),
        last_error: d.last_error,
        heard_at: d.done_at.map(Stamp),
    }
}

/// What is on its way to a webhook, or was given up, with the reasons; the newest first.
pub fn deliveries(
    app: &App,
    who: &Who,
    name: &str,
    input: &DeliveriesInput,
) -> Result<DeliveriesPage, Fault> {
    let some = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
    let before = some(&input.after).map(|a| a.parse().map(DeliveryId)).transpose();
    let before =
        before.map_err(|_| Fault::invalid("after", "is no cursor of ours; ask for the first page"))?;
    let unheard = match some(&input.standing).as_deref() {
        None | Some("unheard") => true,
        Some("all") => false,
        Some(_) => return Err(Fault::invalid("standing", "unheard or all")),
    };
    look(app, who, Verb::ConfigRead, &format!("webhook:{name}"), |tx| {
        who.may(Verb::ConfigRead, &Object::Service)?;
        let name = &hook(app, name)?.name;
        let mut page = outbox::of_target(tx, name, unheard, before, PAGE + 1)?;
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        let next = page.last().filter(|_| more).map(|d| d.id.to_string());
        let deliveries = page.into_iter().map(|d| delivery(tx, who, d)).collect();
        Ok::<_, Error>(DeliveriesPage { deliveries, next })
    })
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
