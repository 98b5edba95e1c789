//! How much each source sends: records a second, and requests at one time.

use crate::gate::Admitted;
use crate::intake::Origin;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds that a rate is averaged over.
const WINDOW_S: f64 = 10.0;

/// Why a source has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// It sent more than its records a second; by then there is room again.
    Rate(Duration),
    /// As many of its requests are under way as it may have.
    Crowded,
}

/// The sources that sent something; as many as the gate knows. Cheap to clone, and shared by all listeners, so that a
/// source has one rate and not one a listener.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    all: Arc<Mutex<HashMap<Origin, Arc<Source>>>>,
}

#[derive(Debug)]
struct Source {
    under_way: AtomicUsize,
    bucket: Mutex<Bucket>,
}

/// May be in debt: one large request passes, and the next one waits for it.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A request or connection of a source while it lasts.
#[derive(Debug)]
pub(crate) struct UnderWay {
    source: Arc<Source>,
    per_s: Option<u32>,
}

impl Rates {
    /// Lets one more request or connection of this source begin.
    pub(crate) fn begin(&self, admitted: &Admitted) -> Result<UnderWay, Slow> {
        let source = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(admitted.origin.clone()).or_insert_with(|| Arc::new(Source::new())).clone()
        };
        let most = admitted.limits.connections;
        let more = |now: usize| (now < most).then_some(now + 1);
        if source.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(Slow::Crowded);
        }
        Ok(UnderWay { source, per_s: admitted.limits.records_per_s })
    }
}

impl Source {
    fn new() -> Source {
        let bucket = Bucket { left: f64::INFINITY, at: Instant::now() };
        Source { under_way: AtomicUsize::new(0), bucket: Mutex::new(bucket) }
    }
}

impl UnderWay {
    /// Whether the source may send now.
    pub(crate) fn may_send(&self) -> Result<(), Slow> {
        self.may_send_at(Instant::now())
    }

    /// Counts records that were taken.
    pub(crate) fn spend(&self, records: usize) {
        self.left_at(Instant::now(), records);
    }

    fn may_send_at(&self, now: Instant) -> Result<(), Slow> {
        match (self.per_s, self.left_at(now, 0)) {
            (Some(per_s), left) if left < 1.0 => {
                let wait_s = (1.0 - left) / f64::from(per_s.max(1));
                Err(Slow::Rate(Duration::from_secs_f64(wait_s.clamp(0.001, 3_600.0))))
            }
            _ => Ok(()),
        }
    }

    /// What is left of the rate once this many records are taken.
    fn left_at(&self, now: Instant, records: usize) -> f64 {
        let Some(per_s) = self.per_s.map(f64::from) else { return f64::INFINITY };
        let mut bucket = self.source.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since_s = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since_s * per_s).min(per_s * WINDOW_S) - records as f64;
        bucket.at = now;
        bucket.left
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.source.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Limits;

    fn source(connections: usize, per_s: Option<u32>) -> Admitted {
        let limits = Limits { connections, records_per_s: per_s, ..Limits::default() };
        Admitted { origin: Origin::new("edge"), limits: Arc::new(limits) }
    }

    #[test]
    fn no_more_requests_at_one_time_than_allowed() {
        let (rates, edge) = (Rates::default(), source(2, None));
        let first = rates.begin(&edge).expect("one");
        let _second = rates.begin(&edge).expect("two");
        assert_eq!(rates.begin(&edge).err(), Some(Slow::Crowded));
        drop(first);
        assert!(rates.begin(&edge).is_ok());
    }

    #[test]
    fn a_rate_is_averaged_over_ten_seconds_and_a_debt_is_waited_for() {
        let visit = Rates::default().begin(&source(1, Some(100))).expect("one");
        let start = Instant::now();
        visit.left_at(start, 999);
        assert_eq!(visit.may_send_at(start), Ok(()));
        visit.left_at(start, 501);
        let Err(Slow::Rate(wait)) = visit.may_send_at(start) else { panic!("in debt") };
        assert!(wait >= Duration::from_secs(5) && wait < Duration::from_millis(5_100), "{wait:?}");
        assert_eq!(visit.may_send_at(start + Duration::from_secs(6)), Ok(()));
    }
}
