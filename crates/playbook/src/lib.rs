//! The T1133 playbook over a case: questions, criteria, decision, tasks, containment.
//!
//! Pure: no I/O, no clock. Every answer is yes, no or unknown, says why and from which records, and names what is
//! missing where it is unknown.

pub mod book;
mod build;
pub mod containment;
pub mod escalation;
pub mod l1;
pub mod questions;
mod stays;
pub mod t2;
mod view;

pub use book::Book;
pub use build::{Campaign, Member, answer, campaigns, ids, in_campaign, triage, urgency};
pub use stays::{FactorLine, Of, Stays, stays};
pub use view::{Answer, CaseView};
