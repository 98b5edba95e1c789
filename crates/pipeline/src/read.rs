//! Files to events, on several threads: decode, frame, recognise, parse, count.

use crate::account::InputAccount;
use crate::discover::Input;
use crate::guard::Days;
use crate::one::One;
use crate::run::Options;
use crate::runs::{RUN, Runs};
use crate::share::{Back, Batch, Part, Pool, Rules, Slot};
use jiff::tz::TimeZone;
use portreeve_context::Tables;
use portreeve_model::intern::Interner;
use portreeve_model::time::Certainty;
use portreeve_model::{Event, EventTime, SymbolTable};
use portreeve_sources::Catalog;
use portreeve_sources::Source;
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::join::Open;
use portreeve_sources::decode::reader::{Limits, RawRecord, read};
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

/// What reading one input gave besides its events: its account, and records that may go on in another input.
type OneRead = (InputAccount, Vec<Open>);

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
    let done: Mutex<Vec<(usize, OneRead)>> = Mutex::new(Vec::with_capacity(inputs.len()));
    let next = AtomicUsize::new(0);
    let broken: Mutex<Option<io::Error>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let total: u64 = inputs.iter().map(|i| i.bytes).sum();
    // The largest first, so that no thread is left with the longest job at the end.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(inputs[*i].bytes), *i));
    let threads = options.threads.max(1);
    let pool = Pool::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = Worker::new(names, options, &runs);
                worker.pool = (threads > 1).then_some(&pool);
                while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let input = &inputs[*at];
                    let rules = Arc::new(Rules {
                        clock: clock(input, options, tables, near),
                        named: named(input, options, tables),
                    });
                    let account = worker.input(u32::try_from(*at).unwrap_or(u32::MAX), input, &rules);
                    if let Some(progress) = options.progress {
                        progress.read(input.bytes, total);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((*at, account));
                }
                // No file left: help those who still read one.
                pool.done_reading();
                while let Some(batch) = pool.take() {
                    worker.part(batch);
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
    let (mut accounts, mut open) = (Vec::with_capacity(done.len()), Vec::new());
    for (_, (mut account, left)) in done {
        days.add(std::mem::take(&mut account.days).without_strays());
        accounts.push(account);
        open.extend(left);
    }
    if !open.is_empty() {
        let mut clock_of = |input: u32| {
            inputs.get(input as usize).map_or_else(Clock::utc, |input| clock(input, options, tables, near))
        };
        let mut worker = Worker::new(names, options, &runs);
        let mut one = One::new(options.catalog, options.source);
        one.unfinished(open, &mut clock_of, &mut worker.names, &mut worker.events);
        worker.flush()?;
        let mut rest = one.account;
        days.add(std::mem::take(&mut rest.days));
        if let Some(first) = accounts.first_mut() {
            first.absorb(rest);
        }
    }
    Ok(Readings { runs, inputs: accounts, days })
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

/// The product that `log_sources.csv` names for a file.
fn named(input: &Input, options: &Options<'_>, tables: &Tables) -> Option<&'static Source> {
    let declared = tables.log_sources().lookup(&input.relative)?;
    options.catalog.by_name(&declared.source)
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
        let rules = Rules { clock, named: named(input, options, tables) };
        worker.sample(u32::try_from(n).unwrap_or(0), input, &rules, DATED_SAMPLE);
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
    catalog: &'static Catalog,
    limits: Limits,
    failed: Option<io::Error>,
    /// Where other threads wait for work, if there are others.
    pool: Option<&'w Pool>,
}

/// Inputs shorter than this are read by one thread.
const SHARED: u64 = 1 << 20;

impl<'w> Worker<'w> {
    fn new(names: &Arc<SymbolTable>, options: &Options<'_>, runs: &'w Runs) -> Self {
        Worker {
            names: Interner::new(names.clone()),
            events: Vec::with_capacity(RUN + 64),
            runs,
            only: options.source,
            catalog: options.catalog,
            limits: Limits::default(),
            failed: None,
            pool: None,
        }
    }

    /// Hands the events over once there are enough; false where there is no room for them.
    fn keep(&mut self) -> bool {
        if self.events.len() >= RUN
            && let Err(error) = self.runs.add(&mut self.events)
        {
            self.failed.get_or_insert(error);
        }
        self.failed.is_none()
    }

    /// Reads a part of somebody's input.
    fn part(&mut self, batch: Batch) {
        // A part comes back even from a thread that dies over it, so that nobody waits for ever.
        let mut back = Back { slot: batch.slot.clone(), number: batch.number, part: Part::default() };
        let mut one = One::part(self.catalog, self.only).named(batch.rules.named);
        for (bytes, at, too_long) in batch.records() {
            let raw = RawRecord { bytes, shown: bytes, at, too_long };
            one.record(raw, &batch.rules.clock, &mut self.names, &mut self.events);
            self.keep();
        }
        back.part = one.into_part();
    }

    /// Reads an input together with whoever has nothing to read. What parts give is put together in their order.
    fn shared(
        &mut self,
        pool: &Pool,
        number: u32,
        input: &Input,
        rules: &Arc<Rules>,
        one: &mut One,
    ) -> io::Result<Vec<String>> {
        let mut from = open(input)?;
        let mut counted = Counted { inner: &mut *from, bytes: 0 };
        let size = (!input.stdin).then_some(input.bytes);
        let slot = Arc::new(Slot::default());
        let mut batch = Batch::new(slot.clone(), rules.clone(), 0);
        let clock = &rules.clock;
        let mut absorbed = 0;
        let limits = self.limits.clone();
        let outcome = read(&mut counted, size, number, &limits, &mut |record| {
            batch.push(&record);
            if batch.is_full() {
                let next = Batch::new(slot.clone(), rules.clone(), batch.number + 1);
                if let Some(own) = pool.offer(std::mem::replace(&mut batch, next)) {
                    self.part(own);
                }
                while let Some(part) = slot.get(absorbed) {
                    one.absorb(part, clock, &mut self.names, &mut self.events);
                    absorbed += 1;
                }
            }
            self.keep()
        });
        let parts = batch.number + 1;
        self.part(batch);
        while absorbed < parts {
            if let Some(part) = slot.get(absorbed) {
                one.absorb(part, clock, &mut self.names, &mut self.events);
                absorbed += 1;
            } else if let Some(batch) = pool.try_take() {
                self.part(batch);
            } else {
                slot.wait(absorbed);
            }
        }
        self.keep();
        one.account.report.bytes = counted.bytes;
        Ok(outcome.problems)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.runs.add(&mut self.events)
    }

    fn input(&mut self, number: u32, input: &Input, rules: &Arc<Rules>) -> OneRead {
        let mut one = One::new(self.catalog, self.only).named(rules.named);
        one.account.report.file = input.shown.clone().into();
        let problems = match self.pool.filter(|_| input.stdin || input.bytes >= SHARED) {
            Some(pool) => self.shared(pool, number, input, rules, &mut one),
            None => self.alone(number, input, &rules.clock, &mut one),
        };
        match problems {
            Ok(problems) => one.account.report.problems.extend(problems),
            Err(error) => one.account.report.problems.push(error.to_string()),
        }
        let left = one.finish(&rules.clock, &mut self.names, &mut self.events);
        one.account.close();
        (one.account, left)
    }

    fn alone(&mut self, number: u32, input: &Input, clock: &Clock, one: &mut One) -> io::Result<Vec<String>> {
        let mut from = open(input)?;
        let mut counted = Counted { inner: &mut *from, bytes: 0 };
        let size = (!input.stdin).then_some(input.bytes);
        let limits = self.limits.clone();
        let outcome = read(&mut counted, size, number, &limits, &mut |record| {
            one.record(record, clock, &mut self.names, &mut self.events);
            self.keep()
        });
        one.account.report.bytes = counted.bytes;
        Ok(outcome.problems)
    }

    fn sample(&mut self, number: u32, input: &Input, rules: &Rules, most: usize) {
        let mut one = One::new(self.catalog, self.only).named(rules.named);
        let Ok(mut from) = open(input) else { return };
        let mut left = most;
        read(&mut *from, Some(input.bytes), number, &self.limits, &mut |record| {
            one.record(record, &rules.clock, &mut self.names, &mut self.events);
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
