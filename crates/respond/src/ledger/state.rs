//! Where a step stands, folded from its entries.

use super::{Entry, Kind};
use crate::connector::{Ack, Seen};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Planned,
    /// Written before sending. After a crash: it may or may not have been sent.
    Sent,
    Acknowledged,
    Verified,
    NotEffective,
    Unknown,
    Failed,
    Skipped,
    UndoSent,
    UndoAcknowledged,
    RolledBack,
    UndoNotEffective,
    UndoUnknown,
    UndoFailed,
    Expired,
}

impl StepState {
    pub fn name(self) -> &'static str {
        match self {
            StepState::Planned => "planned",
            StepState::Sent => "sent",
            StepState::Acknowledged => "acknowledged",
            StepState::Verified => "verified",
            StepState::NotEffective => "not effective",
            StepState::Unknown => "unknown",
            StepState::Failed => "failed",
            StepState::Skipped => "skipped",
            StepState::UndoSent => "undo sent",
            StepState::UndoAcknowledged => "undo acknowledged",
            StepState::RolledBack => "rolled back",
            StepState::UndoNotEffective => "undo not effective",
            StepState::UndoUnknown => "undo unknown",
            StepState::UndoFailed => "undo failed",
            StepState::Expired => "expired",
        }
    }

    /// May something of it be at the device?
    pub fn may_be_in_force(self) -> bool {
        matches!(
            self,
            StepState::Sent
                | StepState::Acknowledged
                | StepState::Verified
                | StepState::NotEffective
                | StepState::Unknown
                | StepState::UndoSent
                | StepState::UndoAcknowledged
                | StepState::UndoNotEffective
                | StepState::UndoUnknown
                | StepState::UndoFailed
        )
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step's state with what its entries hold.
#[derive(Clone, Debug)]
pub struct StepRecord {
    pub state: StepState,
    /// When it came into this state.
    pub at: i64,
    /// The proof, or why not.
    pub why: String,
    /// How often it was sent.
    pub attempts: u32,
    /// What was seen right before the last sending, and what the device gave.
    pub seen: Option<Seen>,
    pub ack: Option<Ack>,
    /// When its effect was first proven.
    pub verified_at: Option<i64>,
}

pub(crate) fn of_step(entries: &[Entry], step: u16) -> StepRecord {
    let mut record = StepRecord {
        state: StepState::Planned,
        at: 0,
        why: String::new(),
        attempts: 0,
        seen: None,
        ack: None,
        verified_at: None,
    };
    for entry in entries.iter().filter(|e| e.step == Some(step)) {
        let body = entry.json();
        let state = match entry.kind {
            Kind::Sent => {
                record.attempts += 1;
                // What was there before the first sending is what undo puts back.
                if record.seen.is_none() {
                    record.seen = body.get("seen").and_then(|s| serde_json::from_value(s.clone()).ok());
                }
                StepState::Sent
            }
            Kind::Acknowledged => {
                record.ack = body.get("ack").and_then(|a| serde_json::from_value(a.clone()).ok());
                StepState::Acknowledged
            }
            Kind::Verified => {
                record.verified_at.get_or_insert(entry.at);
                StepState::Verified
            }
            Kind::NotEffective => StepState::NotEffective,
            Kind::Unknown => StepState::Unknown,
            Kind::Failed => StepState::Failed,
            Kind::Skipped => StepState::Skipped,
            Kind::UndoSent => StepState::UndoSent,
            Kind::UndoAcknowledged => StepState::UndoAcknowledged,
            Kind::RolledBack => StepState::RolledBack,
            Kind::UndoNotEffective => StepState::UndoNotEffective,
            Kind::UndoUnknown => StepState::UndoUnknown,
            Kind::UndoFailed => StepState::UndoFailed,
            Kind::Expired => StepState::Expired,
            Kind::Planned
            | Kind::Word
            | Kind::Refused
            | Kind::Begun
            | Kind::Restoring
            | Kind::Stranger
            | Kind::Reentry
            | Kind::Checkpoint => continue,
        };
        record.state = state;
        record.at = entry.at;
        record.why = body.get("why").and_then(|w| w.as_str()).unwrap_or_default().to_owned();
    }
    record
}
