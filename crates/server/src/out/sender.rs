//! Carries messages from the outbox to their receivers: one thread a webhook, so that a slow one holds nobody else. Each
//! message is sent until it was heard (at least once, with the same id each time), in the order of its case. Who dies with
//! one in hand has it taken by another after its lease.

use super::letter::Letter;
use super::template::{Ask, Meant, Plan, authorization, meant, plan};
use super::{Hooks, Message, may_leave, sign};
use crate::app::App;
use crate::config::{Occasion, Template, WebhookAt};
use crate::outward::{Asked, Heard, Outward};
use portreeve_access::draw::draw;
use portreeve_store::outbox::{self, Delivery};
use portreeve_store::{CaseId, case};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use url::Url;

/// How often an idle sender looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Beyond what the two requests of a message may take.
const LEASE_SLACK_S: u64 = 20;
const LONGEST_WAIT_S: u64 = 3_600;
/// A receiver that did not answer is left alone for so long at most, whatever waits.
const LONGEST_REST_S: u64 = 60;

/// What came of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Came {
    Heard,
    /// The case became a secret meanwhile.
    Withheld,
    Again {
        why: String,
        /// Seconds, as the receiver says.
        after: Option<u64>,
    },
    Never(String),
}

pub(crate) struct Sender {
    hook: WebhookAt,
    hooks: Arc<Hooks>,
    client: Outward,
}

/// One message, on its way.
pub(crate) struct Envelope<'m> {
    pub(crate) message: &'m Message,
    pub(crate) once: &'m str,
}

impl Sender {
    /// Reads what is secret, so that a mistake is said when the service starts.
    pub(crate) fn new(hook: &WebhookAt, hooks: Arc<Hooks>) -> Result<Sender, String> {
        let say = |why: String| format!("webhook `{}`: {why}", hook.name);
        hook.address().map_err(say)?;
        if let Some(secret) = &hook.signing {
            sign::key(&secret.read().map_err(say)?).map_err(|why| say(format!("signing: {why}")))?;
        }
        hook.credential.as_ref().map(|s| s.read()).transpose().map_err(say)?;
        let client = Outward::new(hook.ca_file.as_deref(), hook.timeout()).map_err(say)?;
        Ok(Sender { hook: hook.clone(), hooks, client })
    }

    /// Until `over` says so, or its other end is gone.
    pub(crate) fn run(&self, app: &App, over: &Receiver<()>) {
        let mut rest_until = 0;
        let mut wait = Duration::ZERO;
        loop {
            if !matches!(over.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            wait = LOOK_EVERY;
            let now = crate::line::now().0;
            if now < rest_until {
                continue;
            }
            match self.next(app, now) {
                Ok(Some(delivery)) => {
                    rest_until = self.deliver(app, &delivery).map_or(0, |s| crate::line::now().0 + micros(s));
                    if rest_until == 0 {
                        wait = Duration::ZERO;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(webhook = self.hook.name, %error, "the outbox does not answer"),
            }
        }
    }

    fn next(&self, app: &App, now: i64) -> Result<Option<Delivery>, portreeve_store::Error> {
        let name = self.hook.name.as_str();
        // Reading costs nothing; a write for each look would.
        if app.store.read(|tx| outbox::next_due(tx, name, now))?.is_none() {
            return Ok(None);
        }
        let lease = micros(self.hook.timeout().as_secs() * 2 + LEASE_SLACK_S);
        app.store.write(|tx| outbox::claim_next(tx, name, now, now + lease))
    }

    /// Sends one and writes down what came of it. Seconds for which the receiver is to be left alone.
    fn deliver(&self, app: &App, delivery: &Delivery) -> Option<u64> {
        let came = match serde_json::from_str::<Message>(&delivery.body) {
            Ok(message) if !self.still_may(app, &message) => Came::Withheld,
            Ok(message) => self.attempt(&Envelope { message: &message, once: &delivery.once }),
            Err(error) => Came::Never(format!("what was kept cannot be read: {error}")),
        };
        self.tally(&came);
        let (name, now) = (self.hook.name.as_str(), crate::line::now().0);
        let attempts = u32::try_from(delivery.attempts).unwrap_or(u32::MAX);
        let (written, rest) = match &came {
            Came::Heard | Came::Withheld => (app.store.write(|tx| outbox::done(tx, delivery, now)), None),
            Came::Never(why) => {
                tracing::error!(
                    webhook = name,
                    event = delivery.event,
                    why,
                    "a message was refused for good"
                );
                (app.store.write(|tx| outbox::failed(tx, delivery, why, None)), None)
            }
            Came::Again { why, .. } if attempts >= self.hook.attempts => {
                tracing::error!(webhook = name, event = delivery.event, why, "a message was given up");
                (app.store.write(|tx| outbox::failed(tx, delivery, why, None)), Some(self.rest(1)))
            }
            Came::Again { why, after } => {
                let delay = self.delay(attempts).max(after.unwrap_or(0)).min(LONGEST_WAIT_S);
                tracing::warn!(webhook = name, event = delivery.event, why, delay, "a message was not heard");
                let again = now + micros(delay) + jitter(delay);
                let rest = after.map_or_else(|| self.rest(attempts), |s| s.min(LONGEST_WAIT_S));
                (app.store.write(|tx| outbox::failed(tx, delivery, why, Some(again))), Some(rest))
            }
        };
        if came == Came::Withheld {
            tracing::info!(
                webhook = name,
                event = delivery.event,
                "not sent: the case may not leave any more"
            );
        }
        if let Err(error) = written {
            // Its lease runs out, and it is sent again: at least once.
            tracing::error!(webhook = name, %error, "what came of a message could not be written down");
        }
        rest
    }

    fn tally(&self, came: &Came) {
        let Some((_, tally)) = self.hooks.tallied().find(|(hook, _)| hook.name == self.hook.name) else {
            return;
        };
        match came {
            Came::Heard => tally.heard.fetch_add(1, Ordering::Relaxed),
            Came::Again { .. } | Came::Never(_) => tally.failed.fetch_add(1, Ordering::Relaxed),
            Came::Withheld => 0,
        };
    }

    fn delay(&self, attempts: u32) -> u64 {
        let doubled = u64::from(self.hook.retry_s) << attempts.saturating_sub(1).min(20);
        doubled.min(LONGEST_WAIT_S)
    }

    fn rest(&self, attempts: u32) -> u64 {
        self.delay(attempts).min(LONGEST_REST_S)
    }

    fn still_may(&self, app: &App, message: &Message) -> bool {
        let Some(facts) = &message.case else { return true };
        // What cannot be asked is not sent; its lease brings it back.
        let case = app.store.read(|tx| case::get(tx, CaseId(facts.number)));
        case.is_ok_and(|case| may_leave(&self.hook, &case))
    }

    /// One attempt, outside of the outbox.
    pub(crate) fn attempt(&self, envelope: &Envelope<'_>) -> Came {
        match self.speak(envelope) {
            Ok(came) => came,
            Err(why) => Came::Again { why, after: None },
        }
    }

    fn speak(&self, envelope: &Envelope<'_>) -> Result<Came, String> {
        let (hook, base) = (&self.hook, self.hook.address()?);
        let credential = hook.credential.as_ref().map(|s| s.read()).transpose()?;
        let letter = Letter::of(envelope.message, hook, &self.hooks);
        let id = sign::id(&self.hooks.instance, &hook.name, envelope.once);
        let ask = |ask: &Ask| self.ask(&base, ask, &id, credential.as_deref());
        match plan(&letter, hook, credential.as_deref()) {
            Plan::Tell(tell) => Ok(came(hook.template, &ask(&tell)?)),
            Plan::Find { look, found, make, add } => {
                let looked = ask(&look)?;
                match came(Template::Plain, &looked) {
                    Came::Heard => {}
                    other => return Ok(other),
                }
                let answer = serde_json::from_slice(&looked.body)
                    .map_err(|e| format!("answered {} with what is no JSON: {e}", looked.status))?;
                match found(&answer) {
                    Some(there) => match add(&there) {
                        Some(add) => Ok(came(hook.template, &ask(&add)?)),
                        None => Ok(Came::Heard),
                    },
                    None => Ok(came(hook.template, &ask(&make)?)),
                }
            }
        }
    }

    fn ask(&self, base: &Url, ask: &Ask, id: &str, credential: Option<&str>) -> Result<Heard, String> {
        let mut url = base.clone();
        if let Some(path) = &ask.path {
            // Behind the path of the address: products live below one, too.
            url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query.iter().map(|(n, v)| (*n, v.as_str())));
        }
        let body = ask.body.as_ref().map(|b| b.to_string());
        let now = crate::line::now().0 / 1_000_000;
        let timestamp = now.to_string();
        let authorization = authorization(self.hook.template, credential);
        let signature = match &self.hook.signing {
            Some(secret) => {
                let key = sign::key(&secret.read()?)?;
                Some(sign::signature(&key, id, now, body.as_deref().unwrap_or_default().as_bytes()))
            }
            None => None,
        };
        let mut headers = vec![
            ("accept", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.as_str()),
        ];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        headers.extend(authorization.as_deref().map(|a| ("authorization", a)));
        headers.extend(signature.as_deref().map(|s| ("webhook-signature", s)));
        let body = body.as_deref().map(str::as_bytes);
        // The address may be a secret, and the client's errors may name it.
        self.client
            .ask(&Asked { method: ask.method, url: url.as_str(), headers: &headers, body })
            .map_err(|why| why.replace(url.as_str(), "the address"))
    }

    /// Somebody tries it out.
    pub(crate) fn test(&self, by: &str) -> Came {
        let now = crate::line::now().0;
        let message = Message {
            occasion: Occasion::Test,
            at: now,
            by: by.to_owned(),
            said: "somebody tries out whether this arrives; nothing has happened".to_owned(),
            case: None,
            subject: self.hook.name.clone(),
            link: None,
        };
        self.attempt(&Envelope { message: &message, once: &format!("test#{now}") })
    }
}

fn came(template: Template, heard: &Heard) -> Came {
    match meant(template, heard) {
        Meant::Heard => Came::Heard,
        Meant::Never(why) => Came::Never(why),
        Meant::Again(why) => {
            let after = heard.retry_after.as_deref().and_then(|text| seconds(text, crate::line::now().0));
            Came::Again { why, after }
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn seconds(text: &str, now: i64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_microsecond();
    u64::try_from(at.saturating_sub(now) / 1_000_000).ok()
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000)
}

/// Up to a fifth more, so that many who failed together do not come back together.
fn jitter(seconds: u64) -> i64 {
    let [byte] = draw::<1>().unwrap_or([0]);
    micros(seconds) / 5 * i64::from(byte) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_is_said_in_two_ways() {
        let now = 1_445_412_400_000_000;
        assert_eq!(seconds("120", now), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(80));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:20:00 GMT", now + 3_600_000_000), None);
        assert_eq!(seconds("soon", now), None);
    }

    #[test]
    fn each_wait_is_twice_the_last_and_an_hour_at_most() {
        let hook: WebhookAt =
            toml::from_str("name = \"h\"\nurl = \"https://x.example\"\ntemplate = \"plain\"\n")
                .expect("a webhook");
        let sender = Sender::new(&hook, Arc::new(Hooks::default())).expect("a sender");
        let waits: Vec<u64> = (1..=12).map(|n| sender.delay(n)).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]);
        assert_eq!((sender.delay(u32::MAX), sender.rest(9)), (3_600, 60));
        assert!((0..=1_000_000).contains(&jitter(5)));
    }
}
