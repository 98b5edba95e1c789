//! The newest of what came one after the other, at most so many; clones share all but the last few.
//!
//! A live service keeps several states of the engine to go back to. What an address tried a hundred times would be in each
//! of them whole, and would be copied with every address that goes on after a state was kept.

use std::collections::VecDeque;
use std::sync::Arc;

/// So many are sealed together, and a clone copies at most so many.
const CHUNK: usize = 16;

/// At most `N` items, oldest first.
#[derive(Clone, Debug)]
pub struct Trail<T, const N: usize> {
    /// Each of `CHUNK` items, which never change.
    sealed: VecDeque<Arc<[T]>>,
    open: Vec<T>,
    /// Items of the first chunk that are dropped.
    gone: usize,
}

impl<T, const N: usize> Default for Trail<T, N> {
    fn default() -> Self {
        Trail { sealed: VecDeque::new(), open: Vec::new(), gone: 0 }
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Trail<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<T, const N: usize> Trail<T, N> {
    const WHOLE: () = assert!(N >= CHUNK, "fewer than a chunk");

    pub fn len(&self) -> usize {
        self.sealed.len() * CHUNK - self.gone + self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No more can be kept: whatever came before the first is forgotten, or soon will be.
    pub fn is_full(&self) -> bool {
        self.len() == N
    }

    pub fn first(&self) -> Option<&T> {
        self.iter().next()
    }

    pub fn last(&self) -> Option<&T> {
        // Nothing is sealed but for something that comes after it.
        self.open.last()
    }

    /// Adds the newest; true where the oldest was dropped for it.
    pub fn push(&mut self, item: T) -> bool {
        let () = Self::WHOLE;
        let full = self.is_full();
        if full {
            self.gone += 1;
            if self.gone == CHUNK {
                self.sealed.pop_front();
                self.gone = 0;
            }
        }
        if self.open.len() == CHUNK {
            self.sealed.push_back(Arc::from(std::mem::take(&mut self.open)));
        }
        if self.open.capacity() == self.open.len() {
            // Most never see a second one.
            self.open.reserve_exact(match self.open.len() {
                0 => 1,
                1 => 3,
                known => CHUNK - known,
            });
        }
        self.open.push(item);
        full
    }

    /// From the oldest to the newest.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.sealed.iter().flat_map(|chunk| chunk.iter()).chain(&self.open).skip(self.gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn it_holds_what_a_bounded_queue_holds() {
        let mut trail: Trail<u32, 48> = Trail::default();
        let mut queue: VecDeque<u32> = VecDeque::new();
        assert!(trail.is_empty());
        for n in 0..500 {
            let before = trail.clone();
            let dropped = trail.push(n);
            assert_eq!(dropped, queue.len() == 48);
            // What was remembered stays as it was.
            assert!(before.iter().eq(queue.iter()));
            if queue.len() == 48 {
                queue.pop_front();
            }
            queue.push_back(n);
            assert!(trail.iter().eq(queue.iter()), "{n}");
            assert_eq!(
                (trail.len(), trail.first(), trail.last()),
                (queue.len(), queue.front(), queue.back())
            );
            assert_eq!(trail.is_full(), queue.len() == 48);
            assert_ne!(before, trail);
        }
    }

    #[test]
    fn a_clone_shares_what_is_sealed() {
        let mut trail: Trail<u64, 192> = Trail::default();
        (0..100).for_each(|n| {
            trail.push(n);
        });
        let kept = trail.clone();
        trail.push(100);
        assert!(kept.sealed.iter().zip(&trail.sealed).all(|(a, b)| Arc::ptr_eq(a, b)));
        assert!(kept.open.len() <= CHUNK);
    }
}
