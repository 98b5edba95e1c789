//! The line: what doors hand over becomes durable, then events, then cases. Four threads, each with its own work and a
//! bounded way to the next.
//!
//! ```text
//! doors ─▶ keeper ─▶ journal          acknowledged when it is on disk
//!             └───▶ reader ─▶ lake    records to events; rows for searches
//!                      └───▶ judge ─▶ store, hub    folds, verdicts, cases
//!          flusher ─▶ lake's files, journal let go
//! ```
//!
//! The keeper never waits for those after it: where they fall behind, they read the journal instead of their channel, and
//! only a backlog that grows beyond its bound holds the doors back.

mod book;
mod duties;
mod flusher;
mod held;
mod judge;
mod keeper;
mod reader;

pub(crate) use book::Book;
pub(crate) use flusher::Flusher;
pub(crate) use judge::Judge;
pub use judge::{Grounds, Pulse};
pub(crate) use keeper::Keeper;
pub use reader::{Health, OriginHealth};
pub(crate) use reader::{Look, Reader, RulesOf, Told};

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far each part of the line is; read by metrics, health pages and the parts themselves.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records in the journal, read, judged; by their numbers.
    pub kept: AtomicU64,
    pub read: AtomicU64,
    pub judged: AtomicU64,
    /// Bytes of records that were kept, and of them those that were read, since the start.
    pub kept_bytes: AtomicU64,
    pub read_bytes: AtomicU64,
    /// The keeper holds the doors back.
    pub held_back: AtomicBool,
    /// Records refused because of it.
    pub refused: AtomicU64,
    /// Records in the journal that could not be read.
    pub damaged: AtomicU64,
    /// Why a part of the line does not go on, if one does not.
    pub stopped: OnceLock<String>,
    /// Everything that was there at the start is folded and judged.
    pub ready: AtomicBool,
    /// From the arrival of a record to the verdict that knows it, of the last round; microseconds.
    pub latency_us: AtomicU64,
    /// Names that were held when everything was folded last.
    pub names_folded: AtomicU64,
    /// Events were forgotten on disk that the engine still holds.
    pub forgot: AtomicBool,
}

impl Progress {
    /// Bytes of records that wait to be read.
    pub fn backlog_bytes(&self) -> u64 {
        Progress::get(&self.kept_bytes).saturating_sub(Progress::get(&self.read_bytes))
    }

    pub(crate) fn stop(&self, why: String) {
        tracing::error!(
            why,
            "the line stops; what it has not judged is in the journal, and is judged after a restart"
        );
        self.ready.store(false, Ordering::Release);
        self.stopped.set(why).ok();
    }

    pub(crate) fn set(counter: &AtomicU64, n: u64) {
        counter.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// The wall clock, as arrivals are stamped with it.
pub(crate) fn now() -> portreeve_model::EventTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    portreeve_model::EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
