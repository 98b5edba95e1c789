//! Nothing is lost uncounted: every record of every input and source ends in exactly one of five counts.

use crate::course::Course;
use crate::guard::Days;
use crate::received::Received;
use portreeve_model::EventTime;
use portreeve_model::case::{InputReport, ReadCounts, SourceReport};
use portreeve_sources::{Clash, Parsed};
use std::collections::{BTreeMap, BTreeSet};

/// Counts of one source within one input or run.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceAccount {
    pub(crate) counts: ReadCounts,
    pub(crate) events: u64,
    pub(crate) first: Option<EventTime>,
    pub(crate) last: Option<EventTime>,
    pub(crate) reasons: BTreeMap<&'static str, u64>,
    pub(crate) broken: BTreeMap<String, u64>,
    pub(crate) course: Course,
    pub(crate) received: Received,
}

impl SourceAccount {
    /// Counts a record that was read after an event of this day.
    pub(crate) fn take(&mut self, parsed: &Parsed, day: i32) {
        self.counts.records += 1;
        self.course.record(day, parsed);
        match parsed {
            Parsed::Events => self.counts.understood += 1,
            Parsed::Fragment(_) => self.counts.fragments += 1,
            Parsed::Irrelevant(kind) => {
                self.counts.irrelevant += 1;
                *self.reasons.entry(kind.name()).or_default() += 1;
            }
            Parsed::NotMine => self.counts.unknown += 1,
            Parsed::Broken(why) => {
                self.counts.broken += 1;
                *self.broken.entry(why.text()).or_default() += 1;
            }
        }
    }

    pub(crate) fn span(&mut self, time: EventTime) {
        self.events += 1;
        self.course.event(time);
        self.first = Some(self.first.map_or(time, |f| f.min(time)));
        self.last = Some(self.last.map_or(time, |l| l.max(time)));
    }

    pub(crate) fn add(&mut self, other: &SourceAccount) {
        self.counts.add(&other.counts);
        self.events += other.events;
        self.course.add(&other.course);
        for time in [other.first, other.last].into_iter().flatten() {
            self.first = Some(self.first.map_or(time, |f| f.min(time)));
            self.last = Some(self.last.map_or(time, |l| l.max(time)));
        }
        for (k, n) in &other.reasons {
            *self.reasons.entry(k).or_default() += n;
        }
        for (k, n) in &other.broken {
            *self.broken.entry(k.clone()).or_default() += n;
        }
    }

    /// Adds what the next part of the same input gave.
    pub(crate) fn go_on(&mut self, next: &SourceAccount) {
        self.add(next);
        self.received.add(&next.received);
    }

    pub(crate) fn report(&self, source: &str) -> SourceReport {
        let mut reasons: Vec<(String, u64)> =
            self.reasons.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
        reasons.extend(self.broken.iter().map(|(k, n)| (format!("not understood: {k}"), *n)));
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        SourceReport {
            source: source.to_owned(),
            counts: self.counts.clone(),
            events: self.events,
            first: self.first,
            last: self.last,
            reasons,
            gaps: self.course.gaps(),
        }
    }
}

/// Everything that reading one input gave besides its events.
#[derive(Clone, Default)]
pub(crate) struct InputAccount {
    pub(crate) sources: BTreeMap<&'static str, SourceAccount>,
    pub(crate) report: InputReport,
    pub(crate) days: Days,
    /// Sources that claimed the same record.
    pub(crate) clashes: BTreeSet<Clash>,
    /// Day of the last event.
    pub(crate) day: i32,
}

/// Samples kept of records that nothing understood, and their longest length.
const SAMPLES: usize = 3;
const SAMPLE_BYTES: usize = 300;

impl InputAccount {
    pub(crate) fn sample(&mut self, line: u32, record: &[u8]) {
        if self.report.samples.len() < SAMPLES {
            let text = String::from_utf8_lossy(&record[..record.len().min(SAMPLE_BYTES)]).into_owned();
            self.report.samples.push((line, text.into()));
        }
    }

    /// Records that came before the first event of this part belong to the day before it.
    pub(crate) fn carry(&mut self, day: i32) {
        self.sources.values_mut().for_each(|s| s.course.carry(day));
    }

    /// Adds what the next part of the same input gave.
    pub(crate) fn absorb(&mut self, next: InputAccount) {
        for (name, account) in &next.sources {
            self.sources.entry(name).or_default().go_on(account);
        }
        let room = SAMPLES.saturating_sub(self.report.samples.len());
        self.report.samples.extend(next.report.samples.into_iter().take(room));
        self.days.add(next.days);
        self.clashes.extend(next.clashes);
    }

    /// Sums the sources up into the input's own report.
    pub(crate) fn close(&mut self) {
        let mut total = SourceAccount::default();
        for account in self.sources.values() {
            total.add(account);
        }
        self.report.clocks = self.sources.iter().filter_map(|(name, a)| a.received.off(name)).collect();
        self.report.counts = total.counts;
        (self.report.first, self.report.last) = (total.first, total.last);
        self.report.gaps = total.course.gaps();
        let mut names: Vec<(u64, &str)> =
            self.sources.iter().filter(|(n, _)| !n.is_empty()).map(|(n, a)| (a.counts.records, *n)).collect();
        names.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        self.report.sources = names.into_iter().map(|(_, n)| n.to_owned()).collect();
    }
}
