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
    /// Something was given of it: nothing is lost if no more comes.
    told: bool,
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
            told: false,
            at,
            source,
        });
        open.at = open.at.min(at);
        let so_far = fragment.parts == Fragment::SO_FAR;
        if so_far {
            open.told = true;
        } else if fragment.parts > 0 {
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
        if so_far {
            return so_far_with(open, fragment.part, raw);
        }
        let complete = open.wanted > 0 && open.parts.len() >= open.wanted as usize;
        if !complete {
            return None;
        }
        self.open.remove(&id).and_then(join)
    }

    fn give_up_oldest(&mut self) {
        while let Some(id) = self.order.pop_front() {
            if let Some(open) = self.open.remove(&id) {
                self.evicted += u64::from(!open.told);
                return;
            }
        }
    }

    /// What is still open, as far as it came, in the order in which it began.
    pub fn finish(&mut self) -> Vec<Joined> {
        let mut rest: Vec<Open> = self.open.drain().map(|(_, open)| open).filter(|o| !o.told).collect();
        rest.sort_by_key(|o| o.at);
        self.order.clear();
        rest.into_iter().filter_map(join).collect()
    }
}

/// The pieces of a whole that stays open, the one that just came at the end.
fn so_far_with(open: &Open, part: u32, raw: &[u8]) -> Option<Joined> {
    let put = open.source.join()?;
    let before = open.parts.iter().filter(|(n, _)| **n != part).map(|(n, b)| (*n, b.as_slice()));
    let parts: Vec<(u32, &[u8])> = before.chain([(part, raw)]).collect();
    let mut bytes = Vec::with_capacity(open.bytes);
    put(&parts, &mut bytes);
    Some(Joined { bytes, at: open.at, source: open.source })
}

fn join(open: Open) -> Option<Joined> {
    let put = open.source.join()?;
    let parts: Vec<(u32, &[u8])> = open.parts.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    let mut bytes = Vec::with_capacity(open.bytes);
    put(&parts, &mut bytes);
    Some(Joined { bytes, at: open.at, source: open.source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Reader, Row};

    static LINES: Source = Source {
        name: "lines",
        title: "",
        row: Row::Vpn,
        gives: &[],
        lacks: &[],
        traps: &[],
        manual: "",
        enable: "",
        general: false,
        marks: &[],
        reader: Reader::Code {
            claim: |_| true,
            parse: |_, _| crate::source::Parsed::NotMine,
            join: Some(|parts, out| {
                for (_, part) in parts {
                    out.extend_from_slice(part);
                }
            }),
        },
    };

    fn take(joiner: &mut Joiner, key: u64, part: u32, parts: u32, last: bool, raw: &[u8]) -> Option<String> {
        let joined = joiner.take(&LINES, Fragment { key, part, parts, last }, raw, RawRef::default())?;
        Some(String::from_utf8_lossy(&joined.bytes).into_owned())
    }

    #[test]
    fn what_there_is_so_far_is_given_and_stays_open() {
        let mut j = Joiner::default();
        assert_eq!(take(&mut j, 1, 5, 0, false, b"b"), None);
        assert_eq!(take(&mut j, 1, 9, Fragment::SO_FAR, false, b"d").as_deref(), Some("bd"));
        assert_eq!(take(&mut j, 1, 3, Fragment::SO_FAR, false, b"a").as_deref(), Some("bda"));
        assert_eq!(take(&mut j, 1, 7, 0, false, b"c"), None);
        assert_eq!(take(&mut j, 1, 10, 0, true, b"e").as_deref(), Some("abcde"));
        assert_eq!(take(&mut j, 2, 1, Fragment::SO_FAR, false, b"x").as_deref(), Some("x"));
        assert_eq!(take(&mut j, 3, 1, 0, false, b"y"), None);
        let rest: Vec<_> = j.finish().into_iter().map(|w| w.bytes).collect();
        assert_eq!(rest, [b"y".to_vec()]);
    }
}
