//! Events of the last second wait for those that belong before them: clocks that count whole seconds and clocks that count
//! parts of them speak side by side, and what was folded too early has to be folded again. Order is not made here: what
//! comes later still is late, and the engine goes back for it.

use super::reader::Read;
use portreeve_model::{Event, EventTime};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Of the events' own time. A stamp in whole seconds is up to one too early.
const HELD_US: i64 = 1_200_000;
/// What nothing newer comes after for so long waits no more: neither where all is quiet nor while old records pour in.
const QUIET: Duration = Duration::from_millis(1_200);
/// Nothing waits longer, however slowly newer ones come.
const LONGEST: Duration = Duration::from_secs(5);

struct Batch {
    upto: u64,
    last: u64,
    arrival: Option<EventTime>,
    came: Instant,
    /// Events of it that still wait.
    open: usize,
}

pub(super) struct Held {
    /// With the number of the batch that each came in.
    events: Vec<(Event, u64)>,
    batches: VecDeque<Batch>,
    /// The number of the first batch.
    first: u64,
    /// The newest time, and never one that is still to come.
    newest: EventTime,
    /// When it became so.
    newer_at: Instant,
    /// Every record before this number was read, and its events were given on.
    pub(super) upto: u64,
    /// The last of them.
    pub(super) last: u64,
}

impl Held {
    pub(super) fn new(upto: u64) -> Held {
        Held {
            events: Vec::new(),
            batches: VecDeque::new(),
            first: 0,
            newest: EventTime(i64::MIN),
            newer_at: Instant::now(),
            upto,
            last: upto.saturating_sub(1),
        }
    }

    pub(super) fn add(&mut self, read: Read, now: EventTime) {
        let number = self.first + self.batches.len() as u64;
        let newest = read.events.iter().map(|e| e.time.min(now)).max();
        if let Some(newest) = newest.filter(|t| *t > self.newest) {
            (self.newest, self.newer_at) = (newest, Instant::now());
        }
        self.batches.push_back(Batch {
            upto: read.upto,
            last: read.last,
            arrival: read.arrival,
            came: Instant::now(),
            open: read.events.len(),
        });
        self.events.extend(read.events.into_iter().map(|e| (e, number)));
    }

    /// Gives on what has waited enough, or all; the arrival of the oldest record among it.
    pub(super) fn ripe(&mut self, all: bool, to: &mut Vec<Event>) -> Option<EventTime> {
        let by_now = Instant::now();
        let goes = all || by_now.duration_since(self.newer_at) >= QUIET;
        let stays = |batch: &Batch| !goes && by_now.duration_since(batch.came) < LONGEST;
        let until = EventTime(self.newest.0.saturating_sub(HELD_US));
        let mut oldest: Option<EventTime> = None;
        let mut older = |at: Option<EventTime>| {
            oldest = match (oldest, at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        };
        let waiting = std::mem::take(&mut self.events);
        for (event, number) in waiting {
            // A batch is dropped only once none of its events waits.
            if let Some(batch) = self.batches.get_mut((number - self.first) as usize) {
                // A clock that is ahead of ours waits for nobody, or it would wait until its time has come.
                if event.time > until && event.time <= self.newest && stays(batch) {
                    self.events.push((event, number));
                    continue;
                }
                batch.open -= 1;
                older(batch.arrival);
            }
            to.push(event);
        }
        while let Some(batch) = self.batches.front().filter(|b| b.open == 0) {
            older(batch.arrival);
            (self.upto, self.last) = (batch.upto, batch.last);
            self.batches.pop_front();
            self.first += 1;
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portreeve_model::SymbolTable;

    fn event(seconds: f64) -> Event {
        let time = EventTime((seconds * 1e6) as i64);
        Event { time, ..Event::default() }
    }

    fn read(upto: u64, times: &[f64]) -> Read {
        let events = times.iter().map(|t| event(*t)).collect();
        let names = SymbolTable::new();
        Read {
            events,
            names,
            upto,
            last: upto - 1,
            arrival: Some(EventTime(i64::try_from(upto).expect("small"))),
        }
    }

    fn times(events: &[Event]) -> Vec<f64> {
        events.iter().map(|e| e.time.0 as f64 / 1e6).collect()
    }

    #[test]
    fn what_belongs_before_is_waited_for_and_nothing_is_claimed_before_it_is_given_on() {
        let mut held = Held::new(1);
        let now = EventTime(1_000_000_000);
        let mut out = Vec::new();
        held.add(read(10, &[100.7]), now);
        assert_eq!((held.ripe(false, &mut out), out.len(), held.upto), (None, 0, 1));
        // In whole seconds, of the same moment.
        held.add(read(20, &[100.0]), now);
        held.add(read(30, &[101.5]), now);
        assert_eq!(held.ripe(false, &mut out), Some(EventTime(20)));
        // The second batch was given on, and the first was not: nothing may be forgotten yet.
        assert_eq!((times(&out), held.upto, held.last), (vec![100.0], 1, 0));
        held.add(read(40, &[102.0, 99.0]), now);
        out.clear();
        assert_eq!(held.ripe(false, &mut out), Some(EventTime(10)));
        assert_eq!((times(&out), held.upto), (vec![100.7, 99.0], 20));
        out.clear();
        assert_eq!(held.ripe(true, &mut out), Some(EventTime(30)));
        assert_eq!((times(&out), held.upto, held.last), (vec![101.5, 102.0], 40, 39));
        // A record without events, and a clock that is years ahead and holds nobody up.
        held.add(read(50, &[]), now);
        held.add(read(60, &[5_000.0]), now);
        out.clear();
        held.ripe(false, &mut out);
        assert_eq!((times(&out), held.upto), (vec![5_000.0], 60));
    }

    #[test]
    fn old_records_that_pour_in_hold_nobody_up() {
        let mut held = Held::new(1);
        let now = EventTime(1_000_000_000);
        let (mut out, begun, mut n) = (Vec::new(), Instant::now(), 20);
        held.add(read(10, &[100.0]), now);
        while held.upto < 10 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it waits while others come");
            held.add(read(n, &[50.0]), now);
            held.ripe(false, &mut out);
            n += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(times(&out).contains(&100.0));
    }
}
