//! Puts records together that come in pieces, in any order, within a bounded number of open wholes.

use crate::source::{Fragment, Source};
use portreeve_model::RawRef;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Wholes that may be open at once; the oldest is given up first, and counted.
const OPEN: usize = 20_000;
/// Pieces and bytes of one whole.
const PARTS: usize = 64;
const BYTES: usize = 256 * 1_024;

struct Open {
    parts: BTreeMap<u32, Vec<u8>>,
    bytes: usize,
    wanted: u32,
    at: RawRef,
    source: &'static Source,
}

/// Pieces by source and key.
#[derive(Default)]
pub struct Joiner {
    open: HashMap<(&'static str, u64), Open>,
    order: VecDeque<(&'static str, u64)>,
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
    /// Takes a piece; gives the whole once nothing is missing.
    pub fn take(
        &mut self,
        source: &'static Source,
        fragment: Fragment,
        raw: &[u8],
        at: RawRef,
    ) -> Option<Joined> {
        let id = (source.name, fragment.key);
        if !self.open.contains_key(&id) {
            self.order.push_back(id);
            if self.open.len() >= OPEN {
                self.give_up_oldest();
            }
        }
        let open = self.open.entry(id).or_insert_with(|| Open {
            parts: BTreeMap::new(),
            bytes: 0,
            wanted: 0,
            at,
            source,
        });
        open.at = open.at.min(at);
        if fragment.parts > 0 {
            open.wanted = fragment.parts;
        } else if fragment.last {
            open.wanted = u32::try_from(open.parts.len() + 1).unwrap_or(u32::MAX);
        }
        if open.parts.len() < PARTS
            && open.bytes + raw.len() <= BYTES
            && !open.parts.contains_key(&fragment.part)
        {
            open.bytes += raw.len();
            open.parts.insert(fragment.part, raw.to_vec());
        }
        let complete = open.wanted > 0 && open.parts.len() >= open.wanted as usize;
        if !complete {
            return None;
        }
        self.open.remove(&id).and_then(join)
    }

    fn give_up_oldest(&mut self) {
        while let Some(id) = self.order.pop_front() {
            if self.open.remove(&id).is_some() {
                self.evicted += 1;
                return;
            }
        }
    }

    /// What is still open, as far as it came, in the order in which it began.
    pub fn finish(&mut self) -> Vec<Joined> {
        let mut rest: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        rest.sort_by_key(|o| o.at);
        self.order.clear();
        rest.into_iter().filter_map(join).collect()
    }
}

fn join(open: Open) -> Option<Joined> {
    let put = open.source.join()?;
    let parts: Vec<(u32, &[u8])> = open.parts.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    let mut bytes = Vec::with_capacity(open.bytes);
    put(&parts, &mut bytes);
    Some(Joined { bytes, at: open.at, source: open.source })
}
