//! The pages, as pure rendering: a [`Shell`] and a view of plain data in, HTML out. Nothing here reads the store, asks
//! what somebody may do, or knows the time; whoever calls says it.
//!
//! What the pages ask of whoever serves them:
//!
//! * `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'`
//!   is enough. No page has a script, a style or a handler of its own.
//! * Every form posts `application/x-www-form-urlencoded` with `csrf_token`, and `back`: the address to return to (303).
//!   Where a case is changed, `revision` is the one that was seen. Where the forms lead is in [`link`].
//! * Zone and theme are cookies; [`preferences`] reads and sets them.
//! * Links hold the whole state of a page, so that going back and sharing work.

mod account;
mod ask;
pub mod assets;
mod audit;
mod case;
mod chart;
mod door;
mod entity;
mod error;
pub mod link;
mod people;
mod plans;
pub mod preferences;
mod queue;
mod search;
mod shell;
mod sources;
mod suppressions;
mod text;
mod tokens;
mod webhooks;

#[cfg(test)]
mod browser;
#[cfg(test)]
mod contrast;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile;

pub use crate::brief::{Brief, From, Mark};
pub use account::{AccountView, Login, Passkey, account};
pub use ask::{AskState, AskView, ask};
pub use audit::{AuditEntry, AuditView, audit};
pub use case::{
    Ask, CaseView, Clock, ContainmentView, Moment, Note, Override, Related, Task, Verdict, case, moments_of,
};
pub use door::{
    EnrolView, FirstRunView, SecondFactorView, SignInView, enrol, entered, first_run, second_factor, sign_in,
};
pub use entity::{CaseLine, EntityView, Factor, Usual, entity};
pub use error::{ErrorView, error};
pub use people::{PeopleView, Person, people};
pub use plans::{HandOverView, PlanCard, PlanStep, PlanWord, hand_over as plan_hand_over};
pub use queue::{Answer, Filter, Line, QueueView, queue};
pub use search::{Hit, SearchView, search};
pub use shell::{Health, Me, Shell, SourceHealth, Theme, Undo, Zone, Zones};
pub use sources::{DeadLetter, DeadLettersView, SourcesView, dead_letters, sources};
pub use suppressions::{
    Draft, Preview, ScopePreview, Silenced, Suppression, SuppressionView, SuppressionsView, cases,
    suppression, suppressions,
};
pub use tokens::{Token, TokensView, tokens};
pub use webhooks::{Delivery, Webhook, WebhookView, WebhooksView, webhook, webhooks};
