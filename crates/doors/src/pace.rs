//! How many records a second a source may send, averaged over ten seconds.

use std::time::Duration;
use tokio::time::Instant;

/// Records that may come at once are those of ten seconds.
const BURST_S: f64 = 10.0;

pub(crate) struct Pace {
    per_s: f64,
    /// What may still come now; negative after more came than was allowed.
    left: f64,
    at: Instant,
}

impl Pace {
    pub(crate) fn new(records_per_s: Option<u32>) -> Option<Pace> {
        let per_s = f64::from(records_per_s?.max(1));
        Some(Pace { per_s, left: per_s * BURST_S, at: Instant::now() })
    }

    /// Counts records that came, and says until when no more should be read.
    pub(crate) fn took(&mut self, records: usize) -> Option<Instant> {
        let now = Instant::now();
        self.left = (self.left + (now - self.at).as_secs_f64() * self.per_s).min(self.per_s * BURST_S);
        self.at = now;
        self.left -= records as f64;
        (self.left < 0.0).then(|| now + Duration::from_secs_f64(-self.left / self.per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_at_once_and_then_the_rate() {
        let mut pace = Pace::new(Some(100)).expect("a rate");
        assert_eq!(pace.took(1_000), None);
        let until = pace.took(50).expect("too many");
        assert_eq!(until - Instant::now(), Duration::from_millis(500));
        tokio::time::sleep_until(until).await;
        assert_eq!(pace.took(0), None);
        assert!(pace.took(1).is_some());
        assert!(Pace::new(None).is_none());
    }
}
