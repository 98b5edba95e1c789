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
mod judge;
mod keeper;
mod reader;

pub(crate) use book::Book;
pub(crate) use judge::Judge;
pub use judge::{Grounds, Pulse};
pub(crate) use keeper::Keeper;
pub use reader::{Health, OriginHealth};
pub(crate) use reader::{Reader, RulesOf, Told};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far each part of the line is; read by metrics, health pages and the parts themselves.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records in the journal, read, judged; by their numbers.
    pub kept: AtomicU64,
    pub read: AtomicU64,
    pub judged: AtomicU64,
    /// Bytes of the journal that are not yet read.
    pub backlog_bytes: AtomicU64,
    /// The keeper holds the doors back.
    pub held_back: AtomicBool,
    /// Records refused because of it.
    pub refused: AtomicU64,
    /// What stands on disk and could not be read, in records or bytes, as far as it is known.
    pub damaged: AtomicU64,
    /// Everything that was there at the start is folded and judged.
    pub ready: AtomicBool,
    /// From the arrival of a record to the verdict that knows it, of the last round; microseconds.
    pub latency_us: AtomicU64,
}

impl Progress {
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
