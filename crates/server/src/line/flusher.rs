//! Writes the lake's rows to files, lets the journal go, merges files, and deletes what is too old.

use super::Progress;
use portreeve_lake::{Journal, Lake};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows in memory, and their bytes, that make a flush due before its time.
const FLUSH_ROWS: usize = 400_000;
const FLUSH_BYTES: usize = 256 << 20;
/// So many times as much may wait, what is being written included, before no more is read.
const WAITING: usize = 3;
const FLUSH_EVERY: Duration = Duration::from_secs(15);
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

pub(crate) struct Flusher {
    pub(crate) lake: Arc<Lake>,
    pub(crate) journal: Arc<Mutex<Journal>>,
    /// Records before this number are in the history.
    pub(crate) saved: Arc<AtomicU64>,
    pub(crate) progress: Arc<Progress>,
    /// Records are kept for so many days; 0 for ever.
    pub(crate) days: u32,
}

/// Files are not written as fast as records are read: the reader waits, and records in the journal.
pub(super) fn is_full(lake: &Lake) -> bool {
    let (rows, bytes) = lake.waiting();
    rows > FLUSH_ROWS * WAITING || bytes > FLUSH_BYTES * WAITING
}

impl Flusher {
    /// Until the other end of `over` is gone; then once more.
    pub(crate) fn run(self, over: &Receiver<()>) {
        let flush = |through: u64| {
            let rows = self.lake.waiting().0;
            let _span = (rows > 0).then(|| tracing::info_span!("flush", rows).entered());
            if let Err(error) = self.lake.flush(through) {
                tracing::error!(%error, "rows cannot be written; they stay in memory and in the journal");
                return;
            }
            let done = self.lake.through().min(self.saved.load(Ordering::Acquire).saturating_sub(1));
            let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = journal.release(done) {
                tracing::error!(%error, "old segments of the journal cannot be deleted");
            }
        };
        let (mut flushed, mut tidied) = (Instant::now(), Instant::now());
        loop {
            let ended =
                !matches!(over.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
            let (rows, bytes) = self.lake.waiting();
            if ended || flushed.elapsed() >= FLUSH_EVERY || rows >= FLUSH_ROWS || bytes >= FLUSH_BYTES {
                flush(self.progress.read.load(Ordering::Acquire).max(self.lake.through()));
                flushed = Instant::now();
            }
            if ended {
                return;
            }
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                if let Err(error) = self.lake.compact(super::now()) {
                    tracing::error!(%error, "files of records cannot be merged");
                }
                if self.days > 0 {
                    match self.lake.retain(super::now(), self.days) {
                        Ok(gone) => tracing::info!(?gone, "records past their time are deleted"),
                        Err(error) => tracing::error!(%error, "old records cannot be deleted"),
                    }
                }
            }
        }
    }
}
