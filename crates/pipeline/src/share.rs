//! Threads that have no file left help those that still read one.
//!
//! Splitting a stream into records is quick and cannot be divided; framing, recognising and parsing them is most of the
//! work and can. The reader hands batches of records over where somebody waits for them, and parses them itself where
//! nobody does. What batches give comes back by number, so that the account of an input is the same on any number of
//! threads.

use crate::account::InputAccount;
use crate::one::Piece;
use portreeve_model::RawRef;
use portreeve_sources::Source;
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::reader::RawRecord;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of records in one batch.
const BATCH: usize = 256 * 1_024;
/// Batches that may wait for each thread that helps.
const WAITING: usize = 2;

/// What is known of an input beforehand.
pub(crate) struct Rules {
    pub(crate) clock: Clock,
    /// The product that it is declared to hold.
    pub(crate) named: Option<&'static Source>,
}

/// Records of one input that follow each other.
pub(crate) struct Batch {
    pub(crate) slot: Arc<Slot>,
    pub(crate) rules: Arc<Rules>,
    /// Which of its input, from 0.
    pub(crate) number: usize,
    bytes: Vec<u8>,
    /// End in `bytes`, place in the input, cut.
    ends: Vec<(usize, RawRef, bool)>,
}

impl Batch {
    pub(crate) fn new(slot: Arc<Slot>, rules: Arc<Rules>, number: usize) -> Batch {
        Batch { slot, rules, number, bytes: Vec::with_capacity(BATCH + BATCH / 8), ends: Vec::new() }
    }

    pub(crate) fn push(&mut self, record: &RawRecord<'_>) {
        self.bytes.extend_from_slice(record.bytes);
        self.ends.push((self.bytes.len(), record.at, record.too_long));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (&[u8], RawRef, bool)> {
        let mut from = 0;
        self.ends.iter().map(move |(end, at, too_long)| {
            let bytes = self.bytes.get(from..*end).unwrap_or_default();
            from = *end;
            (bytes, *at, *too_long)
        })
    }
}

/// What a batch gave besides its events.
pub(crate) type Part = (InputAccount, Vec<Piece>);

/// Puts a part back when it goes out of scope.
pub(crate) struct Back {
    pub(crate) slot: Arc<Slot>,
    pub(crate) number: usize,
    pub(crate) part: Part,
}

impl Drop for Back {
    fn drop(&mut self) {
        self.slot.put(self.number, std::mem::take(&mut self.part));
    }
}

/// Where the parts of one input come back.
#[derive(Default)]
pub(crate) struct Slot {
    parts: Mutex<BTreeMap<usize, Part>>,
    more: Condvar,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, number: usize, part: Part) {
        self.lock().insert(number, part);
        self.more.notify_one();
    }

    pub(crate) fn get(&self, number: usize) -> Option<Part> {
        self.lock().remove(&number)
    }

    /// Until that part is there.
    pub(crate) fn wait(&self, number: usize) {
        let mut parts = self.lock();
        while !parts.contains_key(&number) {
            parts = self.more.wait(parts).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Batch>,
    /// Threads that read a file or will.
    readers: usize,
    helpers: usize,
}

/// Batches that wait for a thread.
pub(crate) struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Pool {
        Pool { state: Mutex::new(State { readers: threads, ..State::default() }), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread has no file left.
    pub(crate) fn done_reading(&self) {
        let mut state = self.lock();
        state.readers = state.readers.saturating_sub(1);
        state.helpers += 1;
        drop(state);
        self.wake.notify_all();
    }

    /// Hands a batch over, or back where nobody waits for one.
    pub(crate) fn offer(&self, batch: Batch) -> Option<Batch> {
        let mut state = self.lock();
        if state.queue.len() >= state.helpers * WAITING {
            return Some(batch);
        }
        state.queue.push_back(batch);
        drop(state);
        self.wake.notify_one();
        None
    }

    pub(crate) fn try_take(&self) -> Option<Batch> {
        self.lock().queue.pop_front()
    }

    /// The next batch, once there is one; `None` when nobody reads any more.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.queue.pop_front() {
                return Some(batch);
            }
            if state.readers == 0 {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
