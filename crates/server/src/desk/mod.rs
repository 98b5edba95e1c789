//! What people and programs do to the service, once: pages and API call the same functions. Each asks whether it is
//! allowed, does it, and writes down who did.
//!
//! All of them block: handlers call them by way of [`crate::service::blocking`].

pub mod accounts;
pub mod ask;
pub mod audit;
pub mod benign;
pub mod cases;
pub mod containment;
pub mod entity;
pub mod fault;
pub(crate) mod hand_over;
pub mod health;
pub mod letters;
pub mod notes;
pub mod oidc;
pub mod own;
pub mod passkeys;
pub mod people;
pub mod rescope;
pub mod search;
pub(crate) mod sheet;
pub mod sign_in;
pub(crate) mod source_health;
pub mod sources;
pub mod stamp;
pub mod suppressions;
pub mod tasks;
pub mod tokens;
pub mod webhooks;
pub mod work;
pub(crate) mod zone;

pub use fault::{Fault, Problem};
pub use stamp::Stamp;

use crate::app::App;
use portreeve_access::permit::{self, Actor, Object, Verb};
use portreeve_store::audit::{NewEntry, Outcome};
use portreeve_store::case::By;
use portreeve_store::idempotency::{self, Begun};
use portreeve_store::login::Login;
use portreeve_store::{Error, PersonId, Tx, WriteTx};
use serde::Serialize;
use std::net::IpAddr;

/// Who asks, as the store knows them at this moment.
#[derive(Clone, Debug)]
pub struct Who {
    pub actor: Actor,
    /// As the audit log and timelines name them: `person:7 anna`.
    pub name: String,
    /// None for a service account.
    pub person: Option<PersonId>,
    pub address: IpAddr,
    /// None for a token.
    pub login: Option<Login>,
    /// What has to be done before anything else.
    pub first: Option<First>,
    /// A request that may come twice.
    pub once: Option<Once>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    Enrol,
    ChangePassword,
}

/// An Idempotency-Key and the hash of what came with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    pub key: String,
    pub request: [u8; 32],
}

/// How long an answer is kept for who asks twice.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;

impl Who {
    pub(crate) fn may(&self, verb: Verb, object: &Object<'_>) -> Result<(), Fault> {
        match self.first {
            Some(First::Enrol) if verb != Verb::SelfManage => return Err(Fault::MustEnrol),
            Some(First::ChangePassword) if verb != Verb::SelfManage => return Err(Fault::MustChange),
            _ => {}
        }
        permit::allows(&self.actor, verb, object).or_err().map_err(Fault::Denied)
    }

    /// Whether any of these is in this person's hands at all, before the object is looked for: who may not is told that,
    /// and neither whether the object is there nor how the service is configured.
    pub(crate) fn may_any(&self, app: &App, verbs: &[Verb], object: &str) -> Result<(), Fault> {
        let may = own::may(self);
        if verbs.iter().any(|v| may.iter().any(|id| id == v.id())) {
            return Ok(());
        }
        let verb = verbs.first().copied().unwrap_or(Verb::CaseRead);
        let refused = Err(Fault::Denied(permit::Why::Role { verb }));
        note_denied(app, self, verb, object, &refused);
        refused
    }

    /// The person who signed in.
    pub(crate) fn person(&self) -> Result<PersonId, Fault> {
        self.person.ok_or(Fault::SignIn)
    }

    fn entry(&self, verb: Verb, object: &str, outcome: Outcome, detail: &serde_json::Value) -> NewEntry {
        NewEntry {
            at: crate::line::now().0,
            actor: self.name.clone(),
            verb: verb.id().to_owned(),
            object: object.to_owned(),
            address: self.address.to_string(),
            outcome,
            detail: if detail.is_null() { String::new() } else { detail.to_string() },
        }
    }
}

/// Somebody looks at something: what the closure asks for within one moment of the store. That they looked is written
/// down before they see it.
pub(crate) fn look<T>(
    app: &App,
    who: &Who,
    verb: Verb,
    object: &str,
    f: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
) -> Result<T, Fault> {
    let seen = app.store.read(f).map_err(Fault::from);
    note_denied(app, who, verb, object, &seen);
    let seen = seen?;
    app.store.audit_soon(who.entry(verb, object, Outcome::Done, &serde_json::Value::Null))?;
    Ok(seen)
}

/// As [`look`], for what belongs to the service as a whole.
pub(crate) fn look_at_service<T>(
    app: &App,
    who: &Who,
    verb: Verb,
    mut f: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
) -> Result<T, Fault> {
    look(app, who, verb, "service", |tx| {
        who.may(verb, &Object::Service)?;
        f(tx)
    })
}

/// A refusal belongs into the audit as well.
fn note_denied<T>(app: &App, who: &Who, verb: Verb, object: &str, done: &Result<T, Fault>) {
    if let Err(Fault::Denied(why)) = done {
        let entry = who.entry(verb, object, Outcome::Denied, &serde_json::json!({ "why": why.to_string() }));
        if let Err(error) = app.store.audit_soon(entry) {
            tracing::error!(%error, "a refusal could not be written into the audit");
        }
    }
}

/// What a change is, for the audit.
pub(crate) struct Doing<'a> {
    pub(crate) verb: Verb,
    /// `case:42`; empty where the object comes into being with it.
    pub(crate) object: &'a str,
    pub(crate) detail: serde_json::Value,
    /// The answer holds a secret that is shown once and never kept.
    pub(crate) secret: bool,
}

impl<'a> Doing<'a> {
    pub(crate) fn new(verb: Verb, object: &'a str) -> Doing<'a> {
        Doing { verb, object, detail: serde_json::Value::Null, secret: false }
    }

    pub(crate) fn with(self, detail: serde_json::Value) -> Doing<'a> {
        Doing { detail, ..self }
    }

    pub(crate) fn secret(self) -> Doing<'a> {
        Doing { secret: true, ..self }
    }
}

/// Somebody changes something: the change, its audit entry and, where the request may come twice, its answer, all in
/// one transaction.
pub(crate) fn change<T: Serialize>(
    app: &App,
    who: &Who,
    doing: &Doing<'_>,
    mut f: impl FnMut(&mut WriteTx<'_>, By<'_>) -> Result<T, Error>,
) -> Result<T, Fault> {
    let at = crate::line::now().0;
    let done = app.store.write(|tx| {
        if let Some(once) = &who.once {
            match idempotency::begin(tx, &who.actor.id, &once.key, &once.request, at, at + KEPT_US)? {
                Begun::New => {}
                Begun::Answered { response, .. } if response.is_empty() => {
                    let text = "this was done before; its secret was shown then, and never again".to_owned();
                    return Err(Fault::Conflict { text }.into());
                }
                Begun::Answered { response, .. } => return Err(Fault::Again { response }.into()),
                Begun::InProgress => {
                    return Err(
                        Fault::Busy { why: "the first of these requests is still at it".to_owned() }.into()
                    );
                }
                Begun::Other => return Err(Fault::OtherRequest.into()),
            }
        }
        let done = f(tx, By { actor: &who.name, at })?;
        portreeve_store::audit::append(
            tx,
            &who.entry(doing.verb, doing.object, Outcome::Done, &doing.detail),
        )?;
        if let Some(once) = &who.once {
            let kept = if doing.secret {
                Vec::new()
            } else {
                serde_json::to_vec(&done).map_err(|e| Fault::Inside(e.to_string()))?
            };
            idempotency::finish(tx, &who.actor.id, &once.key, 200, &kept)?;
        }
        Ok(done)
    });
    let done = done.map_err(Fault::from);
    note_denied(app, who, doing.verb, doing.object, &done);
    done
}
