//! Audit entries on their way: of things that were only read, written together and not one by one.

use crate::audit::{self, NewEntry};
use crate::db::Database;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// More do not wait; then something is wrong with the database.
const MOST: usize = 20_000;
/// In one change.
const TOGETHER: usize = 500;
const SOON: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_secs(2);

pub(crate) struct Queue {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    db: Database,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Held while entries are written, so that they stay in order.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<NewEntry>,
    error: Option<String>,
    closing: bool,
}

impl Queue {
    pub(crate) fn start(db: Database) -> Result<Queue> {
        let shared =
            Arc::new(Shared { db, waiting: Mutex::default(), wake: Condvar::new(), writing: Mutex::new(()) });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("audit".into())
                .spawn(move || shared.run())
                .map_err(Error::file("thread of the audit"))?
        };
        Ok(Queue { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn push(&self, entry: NewEntry) -> Result<()> {
        let mut waiting = self.shared.waiting();
        if waiting.entries.len() >= MOST {
            let why = waiting.error.clone().unwrap_or_else(|| "it is too slow".into());
            return Err(Error::Busy(format!("the audit cannot be written: {why}")));
        }
        waiting.entries.push_back(entry);
        drop(waiting);
        self.shared.wake.notify_one();
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    pub(crate) fn standing(&self) -> (usize, Option<String>) {
        let waiting = self.shared.waiting();
        (waiting.entries.len(), waiting.error.clone())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.waiting().closing = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread writes what is left; if it panicked there is nobody to tell.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut waiting = self.waiting();
            while waiting.entries.is_empty() && !waiting.closing {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let (closing, pause) = (waiting.closing, if waiting.error.is_some() { AGAIN } else { SOON });
            if closing {
                drop(waiting);
                let _failed = self.flush();
                return;
            }
            // Others that come in this time are written with it.
            let until = std::time::Instant::now() + pause;
            while !waiting.closing {
                let left = until.saturating_duration_since(std::time::Instant::now());
                if left.is_zero() {
                    break;
                }
                waiting = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            drop(waiting);
            let _again = self.flush();
        }
    }

    fn flush(&self) -> Result<()> {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let batch: Vec<NewEntry> = self.waiting().entries.iter().take(TOGETHER).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            let written = self.db.write(|tx| audit::append_all(tx, &batch));
            let mut waiting = self.waiting();
            match written {
                Ok(_) => {
                    waiting.entries.drain(..batch.len());
                    waiting.error = None;
                }
                // They stay, in order, and are tried again. Where the answer was lost they may be there twice, which
                // is better than not at all.
                Err(e) => {
                    waiting.error = Some(e.to_string());
                    return Err(e);
                }
            }
        }
    }
}
