//! Puts records together that come in pieces, in any order, within a bounded number of open wholes.
//!
//! A whole whose number of pieces is known is given as soon as the last one is there. Where only the first and the last
//! piece are known as such, pieces between them may still come: it is given when its input has ended. What has no end by
//! then goes on into the next input, so that a record whose pieces lie in two files is one record.

use crate::source::{Fragment, Source};
use portreeve_model::RawRef;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Wholes that may be open at once; the oldest is given up first, as far as it came, and counted.
const OPEN: usize = 20_000;
/// Pieces and bytes of one whole.
const PARTS: usize = 64;
const BYTES: usize = 256 * 1_024;
/// Unfinished wholes of one input that wait for other inputs: those that began first and last in it.
const EDGE: usize = 1_000;

/// A whole that waits for its other pieces.
pub struct Open {
    parts: BTreeMap<u32, Vec<u8>>,
    bytes: usize,
    /// How many pieces there are; 0 where nobody said.
    wanted: u32,
    ended: bool,
    at: RawRef,
    source: &'static Source,
    key: u64,
    /// When its last piece came, by [`Joiner::at`].
    heard: u64,
}

impl Open {
    fn add(&mut self, part: u32, raw: Vec<u8>) {
        if self.parts.len() < PARTS && self.bytes + raw.len() <= BYTES && !self.parts.contains_key(&part) {
            self.bytes += raw.len();
            self.parts.insert(part, raw);
        }
    }

    fn all_there(&self) -> bool {
        self.wanted > 0 && self.parts.len() >= self.wanted as usize
    }

    fn has_both_ends(&self) -> bool {
        self.ended && self.parts.contains_key(&0)
    }

    fn join(self) -> Option<Joined> {
        let put = self.source.join()?;
        let parts: Vec<(u32, &[u8])> = self.parts.iter().map(|(n, b)| (*n, b.as_slice())).collect();
        let mut bytes = Vec::with_capacity(self.bytes);
        put(&parts, &mut bytes);
        Some(Joined { bytes, at: self.at, source: self.source })
    }
}

/// Pieces by source and key.
#[derive(Default)]
pub struct Joiner {
    open: HashMap<(&'static str, u64), Open>,
    order: VecDeque<(&'static str, u64)>,
    now: u64,
    /// Wholes given up before they were complete.
    pub evicted: u64,
}

/// A whole that was put together, or what there was of it.
pub struct Joined {
    pub bytes: Vec<u8>,
    pub at: RawRef,
    pub source: &'static Source,
}

impl Joiner {
    /// Takes a piece; gives its whole once nothing is missing, else perhaps one that was open for too long.
    pub fn take(
        &mut self,
        source: &'static Source,
        fragment: Fragment,
        raw: &[u8],
        at: RawRef,
    ) -> Option<Joined> {
        let id = (source.name, fragment.key);
        let room = self.room(id);
        let open = self.open.entry(id).or_insert_with(|| Open {
            parts: BTreeMap::new(),
            bytes: 0,
            wanted: 0,
            ended: false,
            at,
            source,
            key: fragment.key,
            heard: 0,
        });
        open.heard = self.now;
        open.at = open.at.min(at);
        open.wanted = open.wanted.max(fragment.parts);
        open.ended |= fragment.last;
        open.add(fragment.part, raw.to_vec());
        if open.all_there() { self.open.remove(&id).and_then(Open::join) } else { room }
    }

    /// Nothing waits for other pieces.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// It is now so late, in any unit: for an input that does not end.
    pub fn at(&mut self, now: u64) {
        self.now = now;
    }

    /// Wholes with both ends of which no piece came since `ended`, and all others of which none came since `any`, as far
    /// as they came.
    pub fn ripe(&mut self, ended: u64, any: u64) -> Vec<Joined> {
        let is_ripe = |o: &Open| o.heard < any || o.heard < ended && o.has_both_ends();
        let mut ripe: Vec<Open> = self.open.extract_if(|_, o| is_ripe(o)).map(|(_, o)| o).collect();
        if !ripe.is_empty() {
            self.order.retain(|id| self.open.contains_key(id));
        }
        self.evicted += ripe.iter().map(|o| u64::from(!o.has_both_ends())).sum::<u64>();
        ripe.sort_by_key(|o| (o.at, o.source.name, o.key));
        ripe.into_iter().filter_map(Open::join).collect()
    }

    /// Takes what another input left unfinished.
    pub fn go_on(&mut self, left: Open) -> Option<Joined> {
        let id = (left.source.name, left.key);
        let room = self.room(id);
        match self.open.get_mut(&id) {
            Some(open) => {
                open.at = open.at.min(left.at);
                open.wanted = open.wanted.max(left.wanted);
                open.ended |= left.ended;
                for (part, raw) in left.parts {
                    open.add(part, raw);
                }
            }
            None => {
                self.open.insert(id, left);
            }
        }
        room
    }

    /// Makes room for a new whole: the oldest is given as far as it came.
    fn room(&mut self, id: (&'static str, u64)) -> Option<Joined> {
        if self.open.contains_key(&id) {
            return None;
        }
        self.order.push_back(id);
        if self.open.len() < OPEN {
            return None;
        }
        while let Some(oldest) = self.order.pop_front() {
            if let Some(open) = self.open.remove(&oldest) {
                self.evicted += u64::from(!open.has_both_ends());
                return open.join();
            }
        }
        None
    }

    fn drain(&mut self) -> Vec<Open> {
        let mut rest: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        rest.sort_by_key(|o| (o.at, o.source.name, o.key));
        self.order.clear();
        rest
    }

    /// The input has ended: what is whole by now, and what may go on in another input.
    pub fn end_of_input(&mut self) -> (Vec<Joined>, Vec<Open>) {
        let (done, left): (Vec<Open>, Vec<Open>) = self.drain().into_iter().partition(Open::has_both_ends);
        let mut done: Vec<Joined> = done.into_iter().filter_map(Open::join).collect();
        let many = left.len();
        let mut waiting = Vec::new();
        for (n, open) in left.into_iter().enumerate() {
            if n < EDGE || n + EDGE >= many {
                waiting.push(open);
            } else {
                done.extend(open.join());
            }
        }
        (done, waiting)
    }

    /// What is still open, as far as it came, in the order in which it began.
    pub fn finish(&mut self) -> Vec<Joined> {
        self.drain().into_iter().filter_map(Open::join).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> &'static Source {
        crate::by_name("auditd").expect("a source that joins")
    }

    fn piece(key: u64, part: u32) -> Fragment {
        Fragment { key, part, parts: 0, last: part == 2 }
    }

    fn texts(all: Vec<Joined>) -> Vec<String> {
        all.into_iter().map(|j| String::from_utf8_lossy(&j.bytes).trim().to_owned()).collect()
    }

    #[test]
    fn any_order_within_an_input() {
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [2, 0, 1], [1, 0, 2], [1, 2, 0]] {
            let mut joiner = Joiner::default();
            for part in order {
                let text = format!("p{part}");
                let early = joiner.take(source(), piece(7, part), text.as_bytes(), RawRef::default());
                assert!(early.is_none());
            }
            let (done, left) = joiner.end_of_input();
            assert_eq!((texts(done), left.len()), (vec!["p0 p1 p2".to_owned()], 0), "{order:?}");
        }
    }

    #[test]
    fn pieces_in_two_inputs_are_one_whole_in_either_order() {
        for swap in [false, true] {
            let mut inputs: Vec<Vec<Open>> = Vec::new();
            for parts in [&[0, 1][..], &[2]] {
                let mut joiner = Joiner::default();
                for part in parts {
                    joiner.take(source(), piece(7, *part), format!("p{part}").as_bytes(), RawRef::default());
                }
                let (done, left) = joiner.end_of_input();
                assert!(done.is_empty());
                inputs.push(left);
            }
            if swap {
                inputs.reverse();
            }
            let mut all = Joiner::default();
            inputs.into_iter().flatten().for_each(|open| drop(all.go_on(open)));
            assert_eq!(texts(all.finish()), ["p0 p1 p2"]);
        }
    }

    #[test]
    fn a_known_number_of_pieces_is_given_at_once() {
        let mut joiner = Joiner::default();
        let of_two = |part| Fragment { key: 1, part, parts: 2, last: false };
        assert!(joiner.take(source(), of_two(1), b"b", RawRef::default()).is_none());
        let whole = joiner.take(source(), of_two(0), b"a", RawRef::default());
        assert_eq!(texts(whole.into_iter().collect()), ["a b"]);
    }

    #[test]
    fn too_many_open_wholes_are_given_as_far_as_they_came_and_counted() {
        let mut joiner = Joiner::default();
        let mut given = 0;
        for key in 0..(OPEN as u64 + 50) {
            given += u64::from(joiner.take(source(), piece(key, 0), b"p0", RawRef::default()).is_some());
        }
        assert_eq!((given, joiner.evicted), (50, 50));
        assert_eq!(joiner.finish().len(), OPEN);
    }
}
