//! The ids of documents that are stored, for a while: a shipper that repeats a request is told of each document that it
//! is there already.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// 128 bits, keyed anew at each start: nobody can choose two ids that meet.
pub(super) type Key = u128;

pub(super) struct Seen {
    hashers: [RandomState; 2],
    /// The younger half, and the older one, which is dropped when the younger is full.
    halves: Mutex<[HashSet<Key>; 2]>,
    half: usize,
}

impl Seen {
    /// Remembers at least half as many ids as this, and at most this many.
    pub(super) fn new(ids: usize) -> Seen {
        let hashers = [RandomState::new(), RandomState::new()];
        Seen { hashers, halves: Mutex::default(), half: ids.div_ceil(2) }
    }

    pub(super) fn key(&self, origin: &[u8], index: &[u8], id: &[u8]) -> Key {
        let all = (origin, index, id);
        let [high, low] = self.hashers.each_ref().map(|h| Key::from(h.hash_one(all)));
        high << 64 | low
    }

    pub(super) fn has(&self, key: Key) -> bool {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.iter().any(|half| half.contains(&key))
    }

    /// Called when the documents are stored.
    pub(super) fn remember(&self, keys: &[Key]) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *halves;
        for key in keys.iter().take(self.half) {
            if young.len() >= self.half {
                std::mem::swap(young, old);
                young.clear();
            }
            young.insert(*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_youngest_and_no_more_than_it_may() {
        let seen = Seen::new(10);
        let key = |n: u8| seen.key(b"edge", b"logs", &[n]);
        for n in 0..100 {
            seen.remember(&[key(n)]);
            assert!(seen.has(key(n)));
            assert!(seen.halves.lock().expect("no panic").iter().map(HashSet::len).sum::<usize>() <= 10);
        }
        assert!((95..100).all(|n| seen.has(key(n))));
        assert!((0..90).all(|n| !seen.has(key(n))));
        assert_ne!(seen.key(b"edge", b"logs", b"1"), seen.key(b"lab", b"logs", b"1"));
        assert_ne!(seen.key(b"edge", b"logs", b"1"), seen.key(b"edge", b"log", b"s1"));
    }
}
