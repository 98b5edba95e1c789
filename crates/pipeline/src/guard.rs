//! Days on which the logs really lie: a stray record far in the future or the past moves nothing.

use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use std::collections::BTreeMap;

/// In one file a group of days cut off from the rest by more than this …
const GAP_DAYS: [i32; 2] = [14, 30];
/// … and in the whole folder by more than this, in the future and in the past …
const WIDE_GAP_DAYS: [i32; 2] = [365, 3_650];
/// … and holding no more than this share of all events (or this many) is stray. A file of its own is no stray of its
/// neighbours before the gap is wide: somebody put it there.
const STRAY_PERMILLE: u64 = 1;
const STRAY_EVENTS: u64 = 3;

/// Events per day, UTC.
#[derive(Clone, Default, Debug)]
pub(crate) struct Days {
    counts: BTreeMap<i32, u64>,
    last: Option<(i32, u64)>,
}

impl Days {
    pub(crate) fn note(&mut self, time: EventTime) {
        let day = time.day();
        match &mut self.last {
            Some((d, n)) if *d == day => *n += 1,
            _ => {
                self.settle();
                self.last = Some((day, 1));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((day, n)) = self.last.take() {
            *self.counts.entry(day).or_default() += n;
        }
    }

    pub(crate) fn add(&mut self, mut other: Days) {
        other.settle();
        self.settle();
        for (day, n) in other.counts {
            *self.counts.entry(day).or_default() += n;
        }
    }

    /// First and last day of what is no stray.
    fn kept(&mut self, [future, past]: [i32; 2]) -> Option<(i32, i32)> {
        self.settle();
        let all: u64 = self.counts.values().sum();
        let stray = |n: u64| n <= STRAY_EVENTS.max(all * STRAY_PERMILLE / 1_000) && n * 2 < all;
        let days: Vec<(i32, u64)> = self.counts.iter().map(|(d, n)| (*d, *n)).collect();
        let (mut from, mut to) = (0, days.len());
        let mut cut = 0;
        for i in (1..days.len()).rev() {
            cut += days[i].1;
            if days[i].0 - days[i - 1].0 > future && stray(cut) {
                to = i;
            }
        }
        cut = 0;
        for i in 0..days.len().saturating_sub(1) {
            cut += days[i].1;
            if days[i + 1].0 - days[i].0 > past && stray(cut) && i + 1 < to {
                from = i + 1;
            }
        }
        Some((days.get(from)?.0, days.get(to.wrapping_sub(1))?.0))
    }

    /// Leaves out the strays of one file, before its days are added to the others'.
    pub(crate) fn without_strays(mut self) -> Days {
        if let Some((first, last)) = self.kept(GAP_DAYS) {
            self.counts.retain(|day, _| first <= *day && *day <= last);
        }
        self
    }

    /// First and last moment that count.
    pub(crate) fn bounds(&mut self) -> (EventTime, EventTime) {
        match self.kept(WIDE_GAP_DAYS) {
            Some((first, last)) => {
                (EventTime(i64::from(first) * DAY_US), EventTime((i64::from(last) + 1) * DAY_US - 1))
            }
            None => (EventTime::MIN, EventTime::MAX),
        }
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.settle();
        u32::try_from(self.counts.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(days: &[(i64, u64)]) -> Days {
        let mut d = Days::default();
        for (day, n) in days {
            for _ in 0..*n {
                d.note(EventTime(day * DAY_US));
            }
        }
        d
    }

    fn bounds(files: &[&[(i64, u64)]]) -> (i32, i32) {
        let mut all = Days::default();
        for days in files {
            all.add(file(days).without_strays());
        }
        let (from, to) = all.bounds();
        (from.day(), to.day())
    }

    #[test]
    fn strays_are_left_out() {
        assert_eq!(bounds(&[&[(100, 50), (101, 50), (5_000, 1)]]), (100, 101));
        assert_eq!(bounds(&[&[(0, 1), (100, 50), (101, 50), (5_000, 1)]]), (100, 101));
        // The first record after two weeks is no stray, however few there are.
        assert_eq!(bounds(&[&[(100, 500), (114, 1)]]), (100, 114));
        assert_eq!(bounds(&[&[(100, 500), (115, 1)]]), (100, 100));
        // A folder of two single records has no stray.
        assert_eq!(bounds(&[&[(100, 1), (500, 1)]]), (100, 500));
        assert_eq!(bounds(&[&[(100, 40), (200, 40)]]), (100, 200));
    }

    #[test]
    fn a_small_file_of_its_own_is_no_stray() {
        assert_eq!(bounds(&[&[(100, 5_000)], &[(300, 2)]]), (100, 300));
        assert_eq!(bounds(&[&[(100, 5_000)], &[(5_000, 2)]]), (100, 100));
    }
}
