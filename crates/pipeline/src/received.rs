//! Devices' clocks against the clock of who collected their records: both stand in a record that was relayed with its own
//! stamp kept.

use portreeve_model::EventTime;
use portreeve_model::case::ReceivedOff;
use portreeve_model::time::Certainty;
use portreeve_sources::{HeaderTime, Record};

/// Records of a product in a file that are compared; the first ones.
const MOST: usize = 1_000;
/// So many must be compared.
const LEAST: usize = 20;
/// What lies nearer is the way from the device to the collector.
const NEAREST_S: i32 = 120;
/// Half of the records differ from the median by no more.
const SPREAD_S: i32 = 30;
const HALF_HOUR_S: i32 = 1_800;

/// When a record was received, as who received it says: the envelope, else a header that names its zone.
pub(crate) fn received(record: &Record<'_>) -> Option<EventTime> {
    record.outer_time.or(match record.header.time {
        Some(HeaderTime::Absolute(time)) => Some(time),
        _ => None,
    })
}

/// Of one product in one file: the device's time less the collector's, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    apart: Vec<i32>,
    /// Of those, how many whose zone was assumed.
    assumed: usize,
}

impl Received {
    pub(crate) fn compare(&mut self, time: EventTime, certainty: Certainty, received: EventTime) {
        if self.apart.len() < MOST
            && let Ok(apart) = i32::try_from(time.since(received) / 1_000_000)
        {
            self.apart.push(apart);
            self.assumed +=
                usize::from(matches!(certainty, Certainty::ZoneAssumed | Certainty::YearAndZoneAssumed));
        }
    }

    pub(crate) fn add(&mut self, next: &Received) {
        let room = MOST.saturating_sub(self.apart.len());
        self.apart.extend(next.apart.iter().take(room));
        self.assumed += next.assumed;
    }

    /// By how much the device was off, where it was for most of the records and by the same.
    pub(crate) fn off(&self, source: &str) -> Option<ReceivedOff> {
        let mut apart = self.apart.clone();
        apart.sort_unstable();
        let median = *apart.get(apart.len() / 2)?;
        let near = apart.iter().filter(|a| (**a - median).abs() <= SPREAD_S).count();
        if apart.len() < LEAST || median.abs() < NEAREST_S || near * 2 < apart.len() {
            return None;
        }
        let halves = (median + HALF_HOUR_S / 2).div_euclid(HALF_HOUR_S);
        let whole = halves != 0 && (median - halves * HALF_HOUR_S).abs() <= NEAREST_S;
        Some(ReceivedOff {
            source: source.to_owned(),
            fast_by_s: i64::from(median),
            records: u64::try_from(apart.len()).unwrap_or(u64::MAX),
            zone: whole && self.assumed * 2 >= apart.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(apart: impl Iterator<Item = i64>, certainty: Certainty) -> Option<(i64, bool)> {
        let mut all = Received::default();
        let at = EventTime::from_civil(2026, 3, 4, 12, 0, 0, 0);
        apart.for_each(|s| all.compare(at.plus(s * 1_000_000), certainty, at));
        all.off("x").map(|o| (o.fast_by_s, o.zone))
    }

    #[test]
    fn only_what_is_far_and_steady() {
        let exact = |n: i64, f: fn(i64) -> i64| told((0..n).map(f), Certainty::Exact);
        assert_eq!(exact(20, |n| 600 + n % 5), Some((602, false)));
        assert_eq!(exact(19, |n| 600 + n % 5), None, "too few");
        assert_eq!(exact(20, |n| -119 - n % 2), None, "near");
        assert_eq!(exact(20, |n| -120 - n % 2), Some((-120, false)));
        // Half of them near the median, and one less.
        assert_eq!(exact(20, |n| if n < 10 { 600 - n * 100 } else { 600 }), Some((600, false)));
        assert_eq!(exact(20, |n| if n < 10 { 500 - n * 100 } else { 600 + (n / 19) * 100 }), None);
        assert_eq!(exact(40, |n| n * 60), None, "all over the place");
    }

    #[test]
    fn whole_hours_are_a_zone_where_none_was_said() {
        let summer = || (0..30).map(|n| 7_200 - n % 3);
        assert_eq!(told(summer(), Certainty::ZoneAssumed), Some((7_199, true)));
        assert_eq!(told(summer(), Certainty::Exact), Some((7_199, false)));
        assert_eq!(told((0..30).map(|_| 6_500), Certainty::ZoneAssumed), Some((6_500, false)));
    }
}
