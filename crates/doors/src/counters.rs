//! What went through each door: nothing is lost uncounted.

use crate::intake::Origin;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts of one origin at one door. `received` is the sum of the three that follow it, once all is answered. A request
/// that is too large or too damaged to be cut into records counts as one.
#[derive(Debug, Default)]
pub struct DoorCounts {
    pub received: AtomicU64,
    pub stored: AtomicU64,
    pub refused: AtomicU64,
    pub dead: AtomicU64,
    pub bytes: AtomicU64,
    /// That were let in; over HTTP, requests.
    pub connections: AtomicU64,
    /// Requests with a wrong token, certificate or address.
    pub turned_away: AtomicU64,
    /// Datagrams that the kernel threw away because nobody read them in time. They were never received.
    pub lost: AtomicU64,
    /// What keeps the door from working now, in words for its operator.
    trouble: Mutex<Option<String>>,
}

impl DoorCounts {
    pub fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Says what is wrong now; `None` once it works again.
    pub fn says(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counts of all doors.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    all: Arc<Mutex<ByDoor>>,
}

type ByDoor = BTreeMap<(&'static str, Origin), Arc<DoorCounts>>;

impl Counters {
    pub fn of(&self, door: &'static str, origin: &Origin) -> Arc<DoorCounts> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((door, origin.clone())).or_default().clone()
    }

    pub fn each(&self, mut see: impl FnMut(&'static str, &Origin, &DoorCounts)) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|((door, origin), counts)| see(door, origin, counts));
    }
}
