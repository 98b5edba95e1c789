//! How the reading of a source went over time: when it was silent, and since when its records are not understood.

use portreeve_model::EventTime;
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_sources::{Kind, Parsed};
use std::collections::{BTreeMap, BTreeSet};

/// A silence of so many hours is a gap …
const LONG_GAP_H: i64 = 36;
/// … and so many where the source otherwise speaks in nearly every hour of its days.
const SHORT_GAP_H: i64 = 4;
/// In so many of a hundred hours.
const STEADY_PERCENT: i64 = 90;
/// Gaps that are told, the longest first.
const GAPS: usize = 5;
/// Hours that one source may have; ten years. Later ones are not noted.
const HOURS: usize = 10 * 366 * 24;

/// Records of a day before its share says something.
const FEW: u64 = 50;
/// The share that is not understood rose by this much of a hundred.
const RISE_PERCENT: u64 = 20;

/// Of records that were read before any event.
pub(crate) const NO_DAY: i32 = i32::MIN;

/// Hours with events and days with records, of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    hours: BTreeSet<i64>,
    last_hour: i64,
    /// Records by day, and those of them that were not understood: broken, or a message that is not known.
    days: BTreeMap<i32, (u64, u64)>,
    today: (i32, u64, u64),
}

impl Course {
    pub(crate) fn record(&mut self, day: i32, parsed: &Parsed) {
        if day != self.today.0 {
            self.settle();
            self.today.0 = day;
        }
        self.today.1 += 1;
        let lost =
            matches!(parsed, Parsed::Broken(_) | Parsed::NotMine | Parsed::Irrelevant(Kind::OtherMessage));
        self.today.2 += u64::from(lost);
    }

    pub(crate) fn event(&mut self, time: EventTime) {
        let hour = time.0.div_euclid(HOUR_US);
        if hour != self.last_hour && self.hours.len() < HOURS {
            self.hours.insert(hour);
            self.last_hour = hour;
        }
    }

    fn settle(&mut self) {
        let (day, records, lost) = std::mem::take(&mut self.today);
        if records > 0 {
            let sum = self.days.entry(day).or_default();
            (sum.0, sum.1) = (sum.0 + records, sum.1 + lost);
        }
    }

    /// Records of no day belong to this one.
    pub(crate) fn carry(&mut self, day: i32) {
        self.settle();
        if let Some((records, lost)) = self.days.remove(&NO_DAY) {
            let sum = self.days.entry(day).or_default();
            (sum.0, sum.1) = (sum.0 + records, sum.1 + lost);
        }
    }

    pub(crate) fn add(&mut self, other: &Course) {
        self.hours.extend(other.hours.iter().copied());
        let (day, records, lost) = other.today;
        for (day, (records, lost)) in other.days.iter().map(|(d, n)| (*d, *n)).chain([(day, (records, lost))])
        {
            if records > 0 {
                let sum = self.days.entry(day).or_default();
                (sum.0, sum.1) = (sum.0 + records, sum.1 + lost);
            }
        }
    }

    /// When it was silent although it speaks at other times: from, to.
    pub(crate) fn gaps(&self) -> Vec<(EventTime, EventTime)> {
        let (Some(first), Some(last)) = (self.hours.first(), self.hours.last()) else { return Vec::new() };
        let span = last - first + 1;
        let steady = i64::try_from(self.hours.len()).unwrap_or(0) * 100 >= span * STEADY_PERCENT;
        let least = if steady && span >= 48 { SHORT_GAP_H } else { LONG_GAP_H };
        let mut found: Vec<(i64, i64)> = self
            .hours
            .iter()
            .zip(self.hours.iter().skip(1))
            .filter(|(a, b)| *b - *a > least)
            .map(|(a, b)| (*a + 1, *b))
            .collect();
        // More silence than speech: what speaks now and then has no gaps.
        if found.len() * 3 > self.hours.len() {
            return Vec::new();
        }
        found.sort_by_key(|(a, b)| (a - b, *a));
        found.truncate(GAPS);
        found.sort_unstable();
        found.into_iter().map(|(a, b)| (EventTime(a * HOUR_US), EventTime(b * HOUR_US))).collect()
    }

    /// The day from which on much less is understood than before, and the shares before and since, in percent.
    pub(crate) fn decline(&self) -> Option<(EventTime, u64, u64)> {
        let mut days = self.days.clone();
        if self.today.1 > 0 {
            let sum = days.entry(self.today.0).or_default();
            (sum.0, sum.1) = (sum.0 + self.today.1, sum.1 + self.today.2);
        }
        let all: Vec<(i32, u64, u64)> =
            days.into_iter().filter(|(d, _)| *d != NO_DAY).map(|(d, (n, lost))| (d, n, lost)).collect();
        let share = |part: &[(i32, u64, u64)]| {
            let (n, lost) = part.iter().fold((0, 0), |(n, l), d| (n + d.1, l + d.2));
            (n >= FEW).then(|| lost * 100 / n)
        };
        (1..all.len())
            .filter_map(|at| {
                let (before, since) = all.split_at(at);
                let (was, is) = (share(before)?, share(since)?);
                let day = since.first()?.0;
                (is >= was + RISE_PERCENT).then_some((is - was, day, was, is))
            })
            .max_by_key(|(rise, day, ..)| (*rise, std::cmp::Reverse(*day)))
            .map(|(_, day, was, is)| (EventTime(i64::from(day) * DAY_US), 100 - was, 100 - is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_hours(hours: impl Iterator<Item = i64>) -> Course {
        let mut course = Course::default();
        hours.for_each(|h| course.event(EventTime((400_000 + h) * HOUR_US)));
        course
    }

    #[test]
    fn silence_of_a_steady_source_is_a_gap_sooner() {
        let gap =
            |course: Course| course.gaps().iter().map(|(a, b)| (b.0 - a.0) / HOUR_US).collect::<Vec<i64>>();
        assert_eq!(gap(of_hours((0..200).filter(|h| !(50..55).contains(h)))), [5]);
        assert_eq!(gap(of_hours((0..200).filter(|h| !(50..53).contains(h)))), [0i64; 0]);
        // Office hours: nights and a weekend are no gaps, four days are.
        let office = |h: &i64| (8..18).contains(&(h % 24));
        assert_eq!(gap(of_hours((0..480).filter(office))), [0i64; 0]);
        assert_eq!(gap(of_hours((0..480).filter(office).filter(|h| !(240..336).contains(h)))), [110]);
        assert_eq!(gap(of_hours([0, 100, 200, 300].into_iter())), [0i64; 0]);
    }

    #[test]
    fn a_changed_format_shows_as_a_decline() {
        let mut course = Course::default();
        for day in 0..10 {
            for n in 0..100 {
                let known = Parsed::Irrelevant(Kind::Housekeeping);
                let strange = Parsed::Irrelevant(Kind::OtherMessage);
                course.record(day, if day < 6 || n < 10 { &known } else { &strange });
            }
        }
        assert_eq!(course.decline(), Some((EventTime(6 * DAY_US), 100, 10)));
        let mut halves = Course::default();
        halves.add(&course);
        assert_eq!(halves.decline(), course.decline());
        let mut even = Course::default();
        (0..10).for_each(|day| (0..100).for_each(|_| even.record(day, &Parsed::NotMine)));
        assert_eq!(even.decline(), None);
    }
}
