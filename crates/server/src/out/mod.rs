//! What happens, told to other systems: webhooks. A message is written into the outbox in the change that it is about, so
//! that neither happens without the other; [`sender`] carries it from there until it was heard. How a message looks to a
//! product is that product's file in [`template`].

pub(crate) mod letter;
pub(crate) mod sender;
pub(crate) mod sign;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod watch;

use crate::app::App;
use crate::brief::Brief;
use crate::config::{Config, Occasion, WebhookAt};
use crate::service::{StartError, thread};
use portreeve_model::answer::Decision;
use portreeve_store::case::engine::{self, Taken};
use portreeve_store::case::{self, Case};
use portreeve_store::{CaseId, Error, Store, Tx, Word, WriteTx, outbox, setting};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

/// Threads, each with what ends it when it is dropped.
pub(crate) type Threads = Vec<(mpsc::Sender<()>, JoinHandle<()>)>;

/// A thread for each webhook, and one that looks whether all is well.
pub(crate) fn start(app: &Arc<App>) -> Result<Threads, StartError> {
    let mut all = Vec::new();
    for hook in &app.hooks.all {
        let sender = sender::Sender::new(hook, app.hooks.clone()).map_err(StartError::Wrong)?;
        let (over, wait) = mpsc::channel();
        let app = app.clone();
        all.push((over, thread("webhook", move || sender.run(&app, &wait))?));
    }
    let (over, wait) = mpsc::channel();
    let app = app.clone();
    all.push((over, thread("watch", move || watch::run(&app, &app.hooks, &wait))?));
    Ok(all)
}

/// What they did not carry yet is in the outbox. All are told before one is waited for.
pub(crate) fn end(threads: Threads) {
    let threads: Vec<JoinHandle<()>> = threads.into_iter().map(|(_over, thread)| thread).collect();
    for thread in threads {
        thread.join().ok();
    }
}

/// What happened, as it was then. Kept in the outbox until it was heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) occasion: Occasion,
    pub(crate) at: i64,
    /// Who did it: `engine`, or `person:7 anna`.
    pub(crate) by: String,
    /// Why, or what.
    pub(crate) said: String,
    pub(crate) case: Option<Facts>,
    /// What it is about, where it is no case: the plan, or the part of the service.
    #[serde(default)]
    pub(crate) subject: String,
    /// Where to look or answer, where it is not the case's page.
    #[serde(default)]
    pub(crate) link: Option<String>,
}

/// Of a case what a receiver needs to know whether to look.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) number: i64,
    pub(crate) revision: i64,
    pub(crate) title: String,
    pub(crate) principal: String,
    /// In force: the engine's, or that of who overruled it.
    pub(crate) decision: String,
    pub(crate) risk: f64,
    pub(crate) status: String,
    pub(crate) tier: String,
    pub(crate) tlp: String,
    pub(crate) pap: String,
    pub(crate) disposition: Option<String>,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) detected_at: i64,
    pub(crate) gateway: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) reason: String,
    pub(crate) differs: Vec<String>,
}

impl Facts {
    fn of(case: &Case) -> Facts {
        let brief: Brief = serde_json::from_str(&case.brief).unwrap_or_default();
        Facts {
            number: case.id.0,
            revision: case.revision,
            title: case.title.clone(),
            principal: case.principal.clone(),
            decision: case.queue().name().to_owned(),
            risk: case.risk.points(),
            status: case.status.word().to_owned(),
            tier: case.tier.word().to_owned(),
            tlp: case.tlp.word().to_owned(),
            pap: case.pap.word().to_owned(),
            disposition: case.disposition.map(|d| d.word().to_owned()),
            first_seen: case.first_seen,
            last_seen: case.last_seen,
            detected_at: case.detected_at,
            gateway: brief.gateway,
            addresses: brief.from.into_iter().map(|f| f.ip).collect(),
            reason: brief.reason,
            differs: brief.differs,
        }
    }
}

/// What came of the messages to a webhook since the service started; tests are no messages.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) heard: AtomicU64,
    /// Attempts, of which a message may have several.
    pub(crate) failed: AtomicU64,
}

/// The webhooks of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// One for each of `all`, in their order.
    tallies: Vec<Tally>,
    /// What was found wrong with each when it was looked at last.
    troubles: Mutex<Vec<(String, String)>>,
    pub(crate) all: Vec<WebhookAt>,
    /// Tells this service from others that speak to the same receiver.
    pub(crate) instance: String,
    /// Where people find a case.
    pub(crate) public_url: Option<String>,
}

/// Whether a case may leave by this webhook. Asked when it is written down and again when it is sent: it may have become
/// a secret in between.
pub(crate) fn may_leave(hook: &WebhookAt, case: &Case) -> bool {
    case.tlp <= hook.tlp.tlp() && (hook.restricted || !case.restricted)
}

/// The highest decision that a case ever had: who was told that it has to be escalated is told that it has not, too.
fn highest(tx: &mut Tx<'_>, case: &Case) -> Result<Decision, Error> {
    let before = engine::verdicts(tx, case.id)?.into_iter().map(|v| v.decision_before);
    Ok(before.fold(case.queue().max(case.decision), Decision::max))
}

/// How many messages did not fit into the queue of a webhook.
pub(crate) fn untold_key(name: &str) -> String {
    format!("webhook.{name}.untold")
}

pub(crate) fn untold(tx: &mut Tx<'_>, name: &str) -> Result<u64, Error> {
    let kept = setting::get(tx, &untold_key(name))?;
    Ok(kept.and_then(|s| String::from_utf8(s.value).ok()?.parse().ok()).unwrap_or(0))
}

impl Hooks {
    /// As [`watch`] found it, within the last seconds: a page that shows it does not ask the store again.
    pub(crate) fn troubles(&self) -> Vec<(String, String)> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the store what is wrong with the webhooks.
    pub(crate) fn look(&self, store: &Store) -> Result<(), Error> {
        if self.all.is_empty() {
            return Ok(());
        }
        let found = store.read(|tx| {
            let mut found = Vec::new();
            for hook in &self.all {
                let dead = outbox::in_state_of(tx, &hook.name, outbox::State::Dead)?;
                let lost = untold(tx, &hook.name)?;
                let mut wrong = Vec::new();
                match dead {
                    0 => {}
                    1 => wrong.push("1 message was given up".to_owned()),
                    _ => wrong.push(format!("{dead} messages were given up")),
                }
                if lost > 0 {
                    wrong.push(format!("{lost} did not fit into the queue and are lost"));
                }
                if !wrong.is_empty() {
                    found.push((hook.name.clone(), wrong.join("; ")));
                }
            }
            Ok(found)
        })?;
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    pub(crate) fn of(config: &Config) -> Hooks {
        let public_url = config.web.public_url.as_deref().map(|u| u.trim_end_matches('/').to_owned());
        let host = public_url.as_deref().and_then(|u| url::Url::parse(u).ok());
        let host = host.and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
        let plain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let instance = if plain.is_empty() { "portreeve".to_owned() } else { format!("portreeve-{plain}") };
        let all = config.webhook.clone();
        let tallies = all.iter().map(|_| Tally::default()).collect();
        Hooks { tallies, troubles: Mutex::default(), all, instance, public_url }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&WebhookAt> {
        self.all.iter().find(|h| h.name == name)
    }

    /// Each webhook with what came of its messages.
    pub(crate) fn tallied(&self) -> impl Iterator<Item = (&WebhookAt, &Tally)> {
        self.all.iter().zip(&self.tallies)
    }

    /// Something happened to a case. Called in the change itself.
    pub(crate) fn case(
        &self,
        tx: &mut WriteTx<'_>,
        case: &Case,
        occasion: Occasion,
        (said, by, at): (&str, &str, i64),
    ) -> Result<(), Error> {
        self.about(tx, case, occasion, ("", &case.change.to_string()), (said, by, at))
    }

    /// A plan of containment waits for somebody's word.
    pub(crate) fn waits(
        &self,
        tx: &mut WriteTx<'_>,
        case: CaseId,
        plan: &str,
        told: (&str, &str, i64),
    ) -> Result<(), Error> {
        self.containment(tx, case, Occasion::ContainmentWaits, (plan, plan), told)
    }

    /// As [`Hooks::case`], about a plan of containment: `once` names what is told once.
    pub(crate) fn containment(
        &self,
        tx: &mut WriteTx<'_>,
        case: CaseId,
        occasion: Occasion,
        (plan, once): (&str, &str),
        (said, by, at): (&str, &str, i64),
    ) -> Result<(), Error> {
        let case = case::get(tx, case)?;
        self.about(tx, &case, occasion, (plan, once), (said, by, at))
    }

    fn about(
        &self,
        tx: &mut WriteTx<'_>,
        case: &Case,
        occasion: Occasion,
        (subject, once): (&str, &str),
        (said, by, at): (&str, &str, i64),
    ) -> Result<(), Error> {
        let hooks = self.all.iter().filter(|h| h.on.contains(&occasion) && may_leave(h, case));
        let hooks: Vec<_> = hooks.collect();
        if hooks.is_empty() {
            return Ok(());
        }
        let highest = highest(tx, case)?;
        let hooks: Vec<_> = hooks.into_iter().filter(|h| highest >= h.at_least.decision()).collect();
        let message = Message {
            occasion,
            at,
            by: by.to_owned(),
            said: said.to_owned(),
            case: Some(Facts::of(case)),
            subject: subject.to_owned(),
            link: None,
        };
        let once = format!("case:{}#{}:{once}", case.id, occasion.name());
        self.put(tx, &hooks, &once, &message)
    }

    /// A question to a person is taken to them. It holds nothing of the case but the question: it may be shown to whoever
    /// has the person's mail.
    pub(crate) fn ask(
        &self,
        tx: &mut WriteTx<'_>,
        (name, case): (&str, &Case),
        (person, question, link): (&str, &str, &str),
        (id, by, at): (i64, &str, i64),
    ) -> Result<(), Error> {
        let Some(hook) = self.by_name(name) else {
            return Err(Error::invalid("deliver", "names no webhook of the configuration"));
        };
        if !may_leave(hook, case) {
            return Err(Error::NotNow(format!("the case's TLP or members do not let it leave by {name}")));
        }
        let message = Message {
            occasion: Occasion::Ask,
            at,
            by: by.to_owned(),
            said: question.to_owned(),
            case: None,
            subject: person.to_owned(),
            link: Some(link.to_owned()),
        };
        self.put(tx, &[hook], &format!("ask:{id}"), &message)
    }

    /// Something is wrong with the service, or is right again.
    pub(crate) fn health(&self, tx: &mut WriteTx<'_>, part: &str, said: &str, at: i64) -> Result<(), Error> {
        let hooks: Vec<_> = self.all.iter().filter(|h| h.on.contains(&Occasion::Health)).collect();
        let message = Message {
            occasion: Occasion::Health,
            at,
            by: "service".to_owned(),
            said: said.to_owned(),
            case: None,
            subject: part.to_owned(),
            link: None,
        };
        self.put(tx, &hooks, &format!("health:{part}#{at}"), &message)
    }

    fn put(
        &self,
        tx: &mut WriteTx<'_>,
        hooks: &[&WebhookAt],
        once: &str,
        message: &Message,
    ) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(|e| Error::Caller(Box::new(e)))?;
        for hook in hooks {
            // A receiver that is down for a week must not fill the disk; what is lost is counted and shown.
            if outbox::waiting(tx, &hook.name)? >= i64::from(hook.queue) {
                let lost = untold(tx, &hook.name)? + 1;
                setting::set(tx, &untold_key(&hook.name), lost.to_string().as_bytes(), None, message.at)?;
                continue;
            }
            outbox::put(tx, &hook.name, message.occasion.name(), once, &body, message.at)?;
        }
        Ok(())
    }

    /// What the engine said of a case; `back` where it was out of the queue as benign, and is not any more.
    pub(crate) fn engine(
        &self,
        tx: &mut WriteTx<'_>,
        taken: Taken,
        back: bool,
        (why, at): (&str, i64),
    ) -> Result<(), Error> {
        let occasion = match taken {
            Taken::Created(_) => Occasion::CaseOpened,
            Taken::Revised(..) => Occasion::CaseRevised,
            Taken::Refreshed(_) if back => Occasion::CaseRevised,
            Taken::Refreshed(_) | Taken::Unchanged(_) | Taken::Stale(_) => return Ok(()),
        };
        if self.all.is_empty() {
            return Ok(());
        }
        let case = case::get(tx, taken.case())?;
        // What was found benign before wakes nobody.
        if case.suppressed.is_some() { Ok(()) } else { self.case(tx, &case, occasion, (why, "engine", at)) }
    }
}
