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

pub mod assets;
mod chart;
pub mod link;
pub mod preferences;
mod queue;
mod shell;
mod text;

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile;

pub use crate::brief::{Brief, From, Mark};
pub use queue::{Answer, Filter, Line, QueueView, queue};
pub use shell::{Health, Me, Shell, SourceHealth, Theme, Undo, Zone, Zones};
