//! How the sources are: when each last spoke, how late its records come, how much of them is understood, and which have
//! fallen silent.

use crate::app::App;
use crate::line::{OriginHealth, Progress};
use portreeve_model::EventTime;
use portreeve_report::wire;
use std::sync::PoisonError;

/// All sources together, and each.
#[derive(Default)]
pub(crate) struct Health {
    pub(crate) last_event: Option<EventTime>,
    /// From the arrival of a record to the verdict that knows it, of the last round.
    pub(crate) lag_us: Option<i64>,
    /// Percent of records understood or known to be of no concern.
    pub(crate) understood: Option<f64>,
    /// Sources with something to look at.
    pub(crate) unwell: usize,
    pub(crate) sources: Vec<Standing>,
}

pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) products: Vec<String>,
    pub(crate) door: String,
    pub(crate) last_event: Option<EventTime>,
    /// From the time of its last event to that event's arrival.
    pub(crate) lag_us: Option<i64>,
    pub(crate) records: u64,
    pub(crate) understood: Option<f64>,
    pub(crate) gaps: Vec<Silence>,
    pub(crate) problems: Vec<String>,
}

impl Standing {
    pub(crate) fn is_well(&self) -> bool {
        self.problems.is_empty() && self.gaps.iter().all(|g| g.to.is_some())
    }
}

pub(crate) struct Silence {
    pub(crate) from: EventTime,
    /// None: until now.
    pub(crate) to: Option<EventTime>,
}

/// Nobody is silent before an hour has passed, and before so many times its usual pause.
const SILENT_US: i64 = 3_600_000_000;
const SILENT_TIMES: i64 = 20;
/// Fewer records say nothing about a usual pause.
const SILENT_RECORDS: u64 = 100;

pub(crate) fn of(app: &App) -> Health {
    let now = crate::line::now();
    let mut all = Health {
        lag_us: i64::try_from(Progress::get(&app.progress.latency_us)).ok().filter(|l| *l > 0),
        ..Health::default()
    };
    let (mut known, mut records) = (0, 0);
    for (name, health) in app.health.read().unwrap_or_else(PoisonError::into_inner).iter() {
        let one = standing(name, health, now);
        if let Some(read) = &health.read {
            known += understood(&read.counts);
            records += read.counts.records;
        }
        all.last_event = all.last_event.max(one.last_event);
        all.unwell += usize::from(!one.is_well());
        all.sources.push(one);
    }
    all.understood = share(known, records);
    // What needs somebody comes first.
    all.sources.sort_by_key(Standing::is_well);
    all
}

fn understood(counts: &wire::Counts) -> u64 {
    counts.understood + counts.fragments + counts.irrelevant
}

fn share(known: u64, records: u64) -> Option<f64> {
    (records > 0).then(|| known as f64 * 100.0 / records as f64)
}

fn moment(text: Option<&String>) -> Option<EventTime> {
    let time = text?.parse::<jiff::Timestamp>().ok()?;
    Some(EventTime(time.as_microsecond()))
}

fn standing(name: &str, health: &OriginHealth, now: EventTime) -> Standing {
    let read = health.read.as_deref();
    let (first, last) =
        (moment(read.and_then(|r| r.first.as_ref())), moment(read.and_then(|r| r.last.as_ref())));
    let records = read.map_or(0, |r| r.counts.records);
    let mut one = Standing {
        name: name.to_owned(),
        products: read.map(|r| r.sources.clone()).unwrap_or_default(),
        door: health.door.clone(),
        last_event: last,
        lag_us: last.zip(health.last_arrival).map(|(event, arrival)| arrival.since(event).max(0)),
        records,
        understood: read.and_then(|r| share(understood(&r.counts), r.counts.records)),
        gaps: Vec::new(),
        problems: Vec::new(),
    };
    for gap in read.iter().flat_map(|r| &r.gaps) {
        if let (Some(from), to @ Some(_)) = (moment(Some(&gap.from)), moment(Some(&gap.to))) {
            one.gaps.push(Silence { from, to });
        }
    }
    if let (Some(first), Some(last), Some(arrival)) = (first, last, health.last_arrival) {
        let pause = last.since(first) / i64::try_from(records).unwrap_or(i64::MAX).max(1);
        if records >= SILENT_RECORDS && now.since(arrival) > SILENT_US.max(pause.saturating_mul(SILENT_TIMES))
        {
            one.gaps.push(Silence { from: arrival, to: None });
        }
    }
    if let Some(read) = read {
        one.problems.extend(read.problems.iter().cloned());
        one.problems.extend(read.clocks.iter().map(clock));
        one.problems.extend(match one.understood {
            Some(u) if u <= 0.0 => Some("none of its records is understood".to_owned()),
            Some(u) if u < 50.0 && records >= SILENT_RECORDS => {
                Some("less than half of its records are understood".to_owned())
            }
            _ => None,
        });
    }
    one
}

fn clock(off: &wire::ReceivedOff) -> String {
    let way = if off.fast_by_s < 0 { "behind" } else { "ahead" };
    let seconds = off.fast_by_s.unsigned_abs();
    let zone = if off.zone { "; its zone is set wrong, most likely" } else { "" };
    format!("{} is {seconds} s {way} of who collects its records{zone}", off.source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn spoke(records: u64, first: &str, last: &str, arrival: i64) -> OriginHealth {
        let read = serde_json::from_value(serde_json::json!({
            "file": "vpn", "bytes": 1, "sources": ["asa"], "first": first, "last": last, "problems": [], "samples": [],
            "gaps": [], "clocks": [],
            "counts": {"records": records, "understood": records / 2, "fragments": 0, "irrelevant": records / 4,
                "unknown": records / 4, "broken": 0},
        }));
        OriginHealth {
            door: "syslog".into(),
            last_arrival: Some(EventTime(arrival)),
            read: Some(Arc::new(read.expect("a reading"))),
        }
    }

    #[test]
    fn silent_is_who_pauses_for_longer_than_usual() {
        let last = "2026-03-04T10:00:00Z".parse::<jiff::Timestamp>().expect("a time").as_microsecond();
        let hour = 3_600_000_000;
        // A record every 36 s: an hour is the bound.
        let busy = spoke(100, "2026-03-04T09:00:00Z", "2026-03-04T10:00:00Z", last + 5_000_000);
        let at = |after: i64| standing("vpn", &busy, EventTime(last + after));
        assert!(at(hour).gaps.is_empty());
        let silent = at(hour + 6_000_000);
        assert!(silent.gaps.len() == 1 && silent.gaps[0].to.is_none());
        assert_eq!((silent.lag_us, silent.understood), (Some(5_000_000), Some(75.0)));
        // One every hour: a day is the bound. Few records: none.
        let calm = spoke(100, "2026-02-28T06:00:00Z", "2026-03-04T10:00:00Z", last);
        assert!(standing("vpn", &calm, EventTime(last + 19 * hour)).gaps.is_empty());
        assert_eq!(standing("vpn", &calm, EventTime(last + 21 * hour)).gaps.len(), 1);
        let few = spoke(99, "2026-03-04T09:00:00Z", "2026-03-04T10:00:00Z", last);
        assert!(standing("vpn", &few, EventTime(last + 90 * hour)).gaps.is_empty());
    }
}
