//! The one pipeline: reads, orders, folds and judges. Nothing else calls engine or playbook, so a hunt over
//! files, a live service and a cluster worker say the same.

mod account;
mod audit;
pub mod codec;
mod course;
mod discover;
pub mod evidence;
pub mod examples;
mod guard;
pub mod history;
pub mod live;
mod mask;
mod one;
mod parse;
mod read;
mod received;
mod run;
mod runs;
mod share;
mod state_dir;

pub use audit::{AuditOutcome, audit_mfa};
pub use parse::{ParseOptions, parse};
pub use portreeve_sources::Catalog;
pub use run::{Options, Outcome, Progress, RunError, See, events, run, run_seen};
