//! What every door is given, and what can keep it from opening.

use crate::counters::{Counters, DoorCounts};
use crate::gate::{Admitted, Gate, Limits};
use crate::intake::{DeadLetter, Intake, Origin};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a door works with. When `shutdown` is cancelled a door reads no more, waits for the answers to what it handed
/// over, writes down how far it came, and ends; so the other end of the intake must be served until the doors have
/// ended, or be dropped.
#[derive(Clone)]
pub struct DoorContext {
    pub intake: Intake,
    pub gate: Arc<dyn Gate>,
    pub counters: Counters,
    /// Where doors keep how far they have read.
    pub state_dir: PathBuf,
    pub shutdown: CancellationToken,
}

/// Why a door does not open, or had to close. What may pass by itself (a broker that is down, an API that is busy) is
/// no such error: it is said in [`DoorCounts::trouble`] and tried again.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("{door}: {why}")]
    Config { door: &'static str, why: String },
    #[error("{door}: cannot listen on {address}: {error}; does another program use the port?")]
    Listen { door: &'static str, address: String, error: std::io::Error },
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error("{door}: {why}")]
    Peer { door: &'static str, why: String },
}

impl DoorError {
    pub(crate) fn config(door: &'static str, why: impl Into<String>) -> DoorError {
        DoorError::Config { door, why: why.into() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, why: impl ToString) -> DoorError {
        DoorError::File { path: path.into(), why: why.to_string() }
    }
}

/// The most that is kept of a record that became a dead letter.
pub(crate) const DEAD_BYTES: usize = 64 << 10;

/// A source that was let in at one door.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) door: &'static str,
    pub(crate) origin: Origin,
    pub(crate) limits: Arc<Limits>,
    pub(crate) counts: Arc<DoorCounts>,
}

impl Source {
    pub(crate) fn new(context: &DoorContext, door: &'static str, admitted: Admitted) -> Source {
        let counts = context.counters.of(door, &admitted.origin);
        Source { door, origin: admitted.origin, limits: admitted.limits, counts }
    }

    /// Keeps what is no record apart, and counts it.
    pub(crate) async fn dead(&self, intake: &Intake, reason: impl Into<String>, head: &[u8]) {
        DoorCounts::add(&self.counts.received, 1);
        DoorCounts::add(&self.counts.dead, 1);
        DoorCounts::add(&self.counts.bytes, head.len());
        let bytes = head.get(..DEAD_BYTES).unwrap_or(head).to_vec();
        let letter =
            DeadLetter { origin: self.origin.clone(), door: self.door, reason: reason.into(), bytes };
        intake.dead(letter).await;
    }
}

/// The counts of peers that are nobody's: turned away, and what was lost before anybody knew whose it was.
pub(crate) fn stranger(context: &DoorContext, door: &'static str) -> Arc<DoorCounts> {
    context.counters.of(door, &Origin::new("unknown"))
}

/// Waits between tries, longer each time.
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    pub(crate) fn new() -> Backoff {
        Backoff { next: Self::FIRST }
    }

    /// Ends early where the service ends.
    pub(crate) async fn pause(&mut self, shutdown: &CancellationToken) {
        let pause = self.next;
        self.next = (self.next * 2).min(Self::LONGEST);
        shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}
