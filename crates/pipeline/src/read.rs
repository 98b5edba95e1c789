//! Files to events, on several threads: decode, frame, recognise, parse, count.

use crate::account::{InputAccount, SourceAccount};
use crate::discover::Input;
use crate::guard::Days;
use crate::run::Options;
use crate::runs::{RUN, Runs};
use jiff::tz::TimeZone;
use portreeve_context::Tables;
use portreeve_model::intern::Interner;
use portreeve_model::time::Certainty;
use portreeve_model::{Event, EventTime, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::join::{Joined, Joiner};
use portreeve_sources::decode::reader::{Limits, RawRecord, read};
use portreeve_sources::{Emit, Parsed, Recogniser, Record, Source, Why};
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What reading all inputs gave.
pub(crate) struct Readings {
    pub(crate) runs: Runs,
    /// In the order of the inputs.
    pub(crate) inputs: Vec<InputAccount>,
    pub(crate) days: Days,
}

/// Records looked at per file to learn in which years the logs lie.
const DATED_SAMPLE: usize = 60;

/// Reads every input. Fails only where sorting has no room on disk.
pub(crate) fn all(
    inputs: &[Input],
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
) -> io::Result<Readings> {
    let near = dated_span(inputs, options, tables, names);
    let runs = Runs::default();
    let done: Mutex<Vec<(usize, InputAccount)>> = Mutex::new(Vec::with_capacity(inputs.len()));
    let next = AtomicUsize::new(0);
    let broken: Mutex<Option<io::Error>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let total: u64 = inputs.iter().map(|i| i.bytes).sum();
    // The largest first, so that no thread is left with the longest job at the end.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(inputs[*i].bytes), *i));
    let threads = options.threads.min(inputs.len()).max(1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = Worker::new(names, options, &runs);
                while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let input = &inputs[*at];
                    let clock = clock(input, options, tables, near);
                    let account = worker.input(u32::try_from(*at).unwrap_or(u32::MAX), input, &clock);
                    if let Some(progress) = options.progress {
                        progress.read(input.bytes, total);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((*at, account));
                }
                if let Err(error) = worker.flush() {
                    stop.store(true, Ordering::Relaxed);
                    broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    let mut days = Days::default();
    let inputs = done
        .into_iter()
        .map(|(_, mut account)| {
            days.add(std::mem::take(&mut account.days).without_strays());
            account
        })
        .collect();
    Ok(Readings { runs, inputs, days })
}

/// Zone and year rules of one file.
fn clock(
    input: &Input,
    options: &Options<'_>,
    tables: &Tables,
    near: Option<(EventTime, EventTime)>,
) -> Clock {
    let mut clock = Clock::utc().with_year(options.year);
    let declared = tables
        .log_sources()
        .lookup(&input.relative)
        .and_then(|s| s.timezone.as_deref())
        .and_then(|z| TimeZone::get(z).ok());
    match (declared, &options.zone) {
        (Some(zone), _) => clock = clock.with_zone(zone, true),
        (None, Some(zone)) => clock = clock.with_zone(zone.clone(), true),
        (None, None) => {}
    }
    // Dated records of the run tell the year; without any, the file's own date does.
    let own = || {
        let modified = std::fs::metadata(&input.path).and_then(|m| m.modified()).ok()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
        let at = EventTime(i64::try_from(since.as_micros()).ok()?);
        Some((at.minus(366 * portreeve_model::time::DAY_US), at))
    };
    match near.or_else(own) {
        Some((first, last)) => clock.near(first, last),
        None => clock,
    }
}

/// In which span the records lie that say their year, from a sample of each file.
fn dated_span(
    inputs: &[Input],
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
) -> Option<(EventTime, EventTime)> {
    if options.year.is_some() {
        return None;
    }
    let runs = Runs::default();
    let mut worker = Worker::new(names, options, &runs);
    let mut stamps: Vec<EventTime> = Vec::new();
    // Many files of one kind say the same: a few hundred are enough, spread over all.
    let step = inputs.len().div_ceil(300).max(1);
    for (n, input) in inputs.iter().enumerate().step_by(step).filter(|(_, i)| !i.stdin) {
        let clock = clock(input, options, tables, Some((EventTime(0), EventTime(0))));
        worker.sample(u32::try_from(n).unwrap_or(0), input, &clock, DATED_SAMPLE);
        let dated = worker
            .events
            .drain(..)
            .filter(|e| matches!(e.certainty, Certainty::Exact | Certainty::ZoneAssumed));
        let mut own: Vec<EventTime> = dated.map(|e| e.time).collect();
        own.sort_unstable();
        stamps.extend(own.get(own.len() / 2));
    }
    stamps.sort_unstable();
    // The middle of the files: a stray one in another century moves nothing.
    let (low, high) = (stamps.len() / 10, stamps.len().saturating_sub(1 + stamps.len() / 10));
    Some((*stamps.get(low)?, *stamps.get(high)?))
}

struct Worker<'w> {
    names: Interner,
    events: Vec<Event>,
    runs: &'w Runs,
    only: Option<&'static Source>,
    limits: Limits,
    failed: Option<io::Error>,
}

impl<'w> Worker<'w> {
    fn new(names: &Arc<SymbolTable>, options: &Options<'_>, runs: &'w Runs) -> Self {
        Worker {
            names: Interner::new(names.clone()),
            events: Vec::with_capacity(RUN + 64),
            runs,
            only: options.source,
            limits: Limits::default(),
            failed: None,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.runs.add(&mut self.events)
    }

    fn input(&mut self, number: u32, input: &Input, clock: &Clock) -> InputAccount {
        let mut one = One::new(self.only);
        one.account.report.file = input.shown.clone().into();
        match open(input) {
            Err(error) => one.account.report.problems.push(error.to_string()),
            Ok(mut from) => {
                let mut counted = Counted { inner: &mut *from, bytes: 0 };
                let size = (!input.stdin).then_some(input.bytes);
                let outcome = read(&mut counted, size, number, &self.limits, &mut |record| {
                    one.record(record, clock, &mut self.names, &mut self.events);
                    if self.events.len() >= RUN
                        && let Err(error) = self.runs.add(&mut self.events)
                    {
                        self.failed.get_or_insert(error);
                        return false;
                    }
                    true
                });
                one.account.report.bytes = counted.bytes;
                one.account.report.problems.extend(outcome.problems);
            }
        }
        one.finish(clock, &mut self.names, &mut self.events);
        one.account.close();
        one.account
    }

    fn sample(&mut self, number: u32, input: &Input, clock: &Clock, most: usize) {
        let mut one = One::new(self.only);
        let Ok(mut from) = open(input) else { return };
        let mut left = most;
        read(&mut *from, Some(input.bytes), number, &self.limits, &mut |record| {
            one.record(record, clock, &mut self.names, &mut self.events);
            left = left.saturating_sub(1);
            left > 0
        });
    }
}

pub(crate) fn open(input: &Input) -> io::Result<Box<dyn Read>> {
    if input.stdin { Ok(Box::new(io::stdin().lock())) } else { Ok(Box::new(File::open(&input.path)?)) }
}

struct Counted<'r> {
    inner: &'r mut dyn Read,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(to)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

/// One input while it is read.
pub(crate) struct One {
    recogniser: Recogniser,
    joiner: Joiner,
    pub(crate) account: InputAccount,
    scratch: Vec<u8>,
    /// Records of the account that go on counting: the last source's, so that a run of one product looks it up once.
    last: Option<(&'static str, SourceAccount)>,
}

impl One {
    pub(crate) fn new(only: Option<&'static Source>) -> One {
        One {
            recogniser: only.map_or_else(Recogniser::default, Recogniser::only),
            joiner: Joiner::default(),
            account: InputAccount::default(),
            scratch: Vec::new(),
            last: None,
        }
    }

    fn count(&mut self, source: &'static str, parsed: &Parsed, events: &[Event]) {
        if self.last.as_ref().is_none_or(|(name, _)| *name != source) {
            self.settle();
            self.last = Some((source, SourceAccount::default()));
        }
        let Some((_, account)) = self.last.as_mut() else { return };
        account.take(parsed);
        for event in events {
            account.span(event.time);
            self.account.days.note(event.time);
        }
    }

    fn settle(&mut self) {
        if let Some((name, account)) = self.last.take() {
            self.account.sources.entry(name).or_default().add(&account);
        }
    }

    /// Reads one record: its events are appended, its fate is counted.
    pub(crate) fn record(
        &mut self,
        raw: RawRecord<'_>,
        clock: &Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) {
        if raw.too_long {
            self.count("", &Parsed::Broken(Why::TooLong), &[]);
            self.account.sample(raw.at.line, raw.bytes);
            return;
        }
        let from = events.len();
        let mut scratch = std::mem::take(&mut self.scratch);
        let record = frame::frame(raw.bytes, raw.at, clock, &mut scratch);
        let (mut source, mut parsed) = self.parse(&record, names, events);
        let fragment = match parsed {
            Parsed::Fragment(fragment) => {
                source.and_then(|s| self.joiner.take(s, fragment, record.raw, raw.at).map(|j| (j, s)))
            }
            _ => None,
        };
        // What was inside an envelope and is nobody's may be somebody's as a whole.
        if parsed == Parsed::NotMine && raw.bytes.trim_ascii().first() == Some(&b'{') {
            let whole = frame::bare(raw.bytes, raw.at, clock);
            (source, parsed) = self.parse(&whole, names, events);
        }
        if parsed == Parsed::NotMine {
            self.account.sample(raw.at.line, raw.bytes);
            source = None;
        }
        self.count(source.map_or("", |s| s.name), &parsed, &events[from..]);
        self.scratch = scratch;
        if let Some((joined, _)) = fragment {
            self.joined(joined, clock, names, events);
        }
    }

    fn parse(
        &mut self,
        record: &Record<'_>,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) -> (Option<&'static Source>, Parsed) {
        let Some(source) = self.recogniser.recognise(record) else { return (None, Parsed::NotMine) };
        let parsed = (source.parse)(record, &mut Emit::new(names, events, source, record));
        (Some(source), parsed)
    }

    /// A whole put together from fragments, which were counted one by one: only its events count here.
    fn joined(&mut self, joined: Joined, clock: &Clock, names: &mut Interner, events: &mut Vec<Event>) {
        let from = events.len();
        let mut scratch = Vec::new();
        let mut record = frame::frame(&joined.bytes, joined.at, clock, &mut scratch);
        record.joined = true;
        (joined.source.parse)(&record, &mut Emit::new(names, events, joined.source, &record));
        let account = self.account.sources.entry(joined.source.name).or_default();
        for event in &events[from..] {
            account.span(event.time);
            self.account.days.note(event.time);
        }
    }

    /// What was still open at the end, and the sums.
    pub(crate) fn finish(&mut self, clock: &Clock, names: &mut Interner, events: &mut Vec<Event>) {
        self.settle();
        for joined in self.joiner.finish() {
            self.joined(joined, clock, names, events);
        }
        if self.joiner.evicted > 0 {
            let text =
                format!("{} records in pieces were given up before they were complete", self.joiner.evicted);
            self.account.report.problems.push(text);
        }
    }
}
