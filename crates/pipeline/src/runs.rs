//! Events into total order within bounded memory: sorted runs, spilled beyond a budget, merged at the end.

use crate::codec::{self, Bytes};
use portreeve_model::{Event, EventTime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Events of one run: about 4 MiB in memory.
pub(crate) const RUN: usize = 16_384;
/// Runs kept in memory before they go to disk: about 24 MiB.
const RUNS_IN_MEMORY: usize = 6;
/// What one spilled run reads ahead while merging.
const READ_AHEAD: usize = 32 * 1_024;
/// Runs merged at once; more are merged in passes, so that read-ahead stays within a few megabytes.
const FAN_IN: usize = 128;

/// Collects runs of all workers.
pub(crate) struct Runs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    memory: Vec<Vec<Event>>,
    spill: Option<Spill>,
}

struct Spill {
    file: File,
    end: u64,
    runs: Vec<(u64, u64)>,
}

impl Default for Runs {
    fn default() -> Self {
        Runs { state: Mutex::new(State::default()) }
    }
}

impl Runs {
    /// Takes a run in any order and leaves the vector empty with its room.
    pub(crate) fn add(&self, events: &mut Vec<Event>) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        // Keys are sorted and not events: one is an eighth of the other.
        let mut keys: Vec<_> = events.iter().zip(0u32..).map(|(e, n)| (e.order(), e.raw, n)).collect();
        keys.sort_unstable();
        let sorted = keys.iter().filter_map(|(_, _, n)| events.get(*n as usize));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.memory.len() < RUNS_IN_MEMORY {
            state.memory.push(sorted.cloned().collect());
            events.clear();
            return Ok(());
        }
        drop(state);
        let bytes = encode(sorted, keys.len());
        events.clear();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.spill.is_none() {
            state.spill = Some(Spill { file: tempfile::tempfile()?, end: 0, runs: Vec::new() });
        }
        let Some(spill) = state.spill.as_mut() else { return Ok(()) };
        spill.append(&bytes)
    }

    /// Every event in total order. Duplicates are still in it, side by side.
    pub(crate) fn merge(self) -> io::Result<Merge> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut sources: Vec<Source> =
            state.memory.into_iter().map(|run| Source::Memory(run.into_iter())).collect();
        if let Some(mut spill) = state.spill {
            while spill.runs.len() > FAN_IN {
                spill.merge_pass()?;
            }
            for (from, to) in spill.runs {
                sources.push(Source::spilled(spill.file.try_clone()?, from, to));
            }
        }
        Merge::new(sources)
    }
}

fn encode<'e>(events: impl Iterator<Item = &'e Event>, number: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(number * 72);
    let mut before = EventTime(0);
    for e in events {
        codec::put(&mut bytes, e, before);
        before = e.time;
    }
    bytes
}

/// Total order, then where the record stands, so that equal records stay in one order too.
pub(crate) fn order(a: &Event, b: &Event) -> std::cmp::Ordering {
    a.order().cmp(&b.order()).then_with(|| a.raw.cmp(&b.raw))
}

impl Spill {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        let from = self.end;
        self.end += bytes.len() as u64;
        self.runs.push((from, self.end));
        Ok(())
    }

    /// Merges groups of runs into longer ones.
    fn merge_pass(&mut self) -> io::Result<()> {
        let mut next = Spill { file: tempfile::tempfile()?, end: 0, runs: Vec::new() };
        for group in std::mem::take(&mut self.runs).chunks(FAN_IN) {
            let mut sources = Vec::new();
            for (from, to) in group {
                sources.push(Source::spilled(self.file.try_clone()?, *from, *to));
            }
            let from = next.end;
            let mut out = BufWriter::with_capacity(1 << 20, &mut next.file);
            let (mut bytes, mut before) = (Vec::new(), EventTime(0));
            for event in Merge::new(sources)? {
                let event = event?;
                bytes.clear();
                codec::put(&mut bytes, &event, before);
                before = event.time;
                out.write_all(&bytes)?;
                next.end += bytes.len() as u64;
            }
            out.flush()?;
            drop(out);
            next.runs.push((from, next.end));
        }
        *self = next;
        Ok(())
    }
}

pub(crate) enum Source {
    Stored(Box<crate::history::Reader>),
    Memory(std::vec::IntoIter<Event>),
    Spilled { file: File, at: u64, to: u64, buffer: Vec<u8>, used: usize, before: EventTime },
}

impl Source {
    fn spilled(file: File, from: u64, to: u64) -> Source {
        Source::Spilled { file, at: from, to, buffer: Vec::new(), used: 0, before: EventTime(0) }
    }

    fn next(&mut self) -> io::Result<Option<Event>> {
        match self {
            Source::Stored(reader) => reader.next(),
            Source::Memory(events) => Ok(events.next()),
            Source::Spilled { file, at, to, buffer, used, before } => {
                // The longest event is far below a kilobyte.
                if buffer.len() - *used < 1_024 && *at < *to {
                    buffer.drain(..*used);
                    *used = 0;
                    let want = usize::try_from(*to - *at).unwrap_or(usize::MAX).min(READ_AHEAD);
                    let from = buffer.len();
                    buffer.resize(from + want, 0);
                    file.seek(SeekFrom::Start(*at))?;
                    file.read_exact(&mut buffer[from..])?;
                    *at += want as u64;
                }
                if *used == buffer.len() {
                    return Ok(None);
                }
                let mut bytes = Bytes(&buffer[*used..]);
                let event = codec::get(&mut bytes, *before).map_err(io::Error::other)?;
                *used = buffer.len() - bytes.0.len();
                *before = event.time;
                Ok(Some(event))
            }
        }
    }
}

struct Head {
    event: Event,
    source: usize,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        order(&self.event, &other.event).then(self.source.cmp(&other.source))
    }
}

/// Iterates over all runs in total order.
pub(crate) struct Merge {
    sources: Vec<Source>,
    heap: BinaryHeap<Reverse<Head>>,
}

impl Merge {
    pub(crate) fn new(mut sources: Vec<Source>) -> io::Result<Merge> {
        let mut heap = BinaryHeap::with_capacity(sources.len());
        for (n, source) in sources.iter_mut().enumerate() {
            if let Some(event) = source.next()? {
                heap.push(Reverse(Head { event, source: n }));
            }
        }
        Ok(Merge { sources, heap })
    }
}

impl Iterator for Merge {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<io::Result<Event>> {
        let mut top = self.heap.peek_mut()?;
        let source = top.0.source;
        match self.sources[source].next() {
            // Replacing the head costs one sift instead of two.
            Ok(Some(event)) => Some(Ok(std::mem::replace(&mut top.0.event, event))),
            Ok(None) => Some(Ok(std::collections::binary_heap::PeekMut::pop(top).0.event)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_arrival_gives_one_order(times in proptest::collection::vec(0i64..50, 1..400), chunk in 1usize..40) {
            let event = |(n, t): (usize, &i64)| Event { time: EventTime(*t), key: n as u64 % 7, ..Event::default() };
            let mut wanted: Vec<Event> = times.iter().enumerate().map(event).collect();
            let runs = Runs::default();
            for part in wanted.chunks(chunk) {
                runs.add(&mut part.to_vec()).expect("temporary file");
            }
            wanted.sort_by(order);
            let got: Vec<Event> = runs.merge().expect("merge").map(|e| e.expect("read back")).collect();
            prop_assert_eq!(got, wanted);
        }
    }
}
