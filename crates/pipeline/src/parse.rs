//! Records to normalised events, in the order of the file: what `portreeve parse` prints.

use crate::discover::Input;
use crate::one::One;
use crate::read::open;
use crate::run::RunError;
use jiff::tz::TimeZone;
use portreeve_model::intern::Interner;
use portreeve_model::time::DAY_US;
use portreeve_model::{Event, EventTime, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::reader::{Limits, RawRecord, read};
use portreeve_sources::{Catalog, Source};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

pub struct ParseOptions {
    /// File, or `-`.
    pub path: PathBuf,
    pub source: Option<&'static Source>,
    /// The log sources that are known.
    pub catalog: &'static Catalog,
    pub zone: Option<TimeZone>,
    pub year: Option<i16>,
    /// Exactly one answer per line of the input.
    pub one_per_line: bool,
}

/// Gives every event to `write`, until it returns false. With `one_per_line`, exactly one call per line: the first
/// event of the line, or `None`.
pub fn parse(
    options: &ParseOptions,
    names: &Arc<SymbolTable>,
    mut write: impl FnMut(Option<&Event>) -> bool,
) -> Result<(), RunError> {
    let stdin = options.path.as_os_str() == "-";
    let shown = options.path.display().to_string();
    let bytes = std::fs::metadata(&options.path).map(|m| m.len()).unwrap_or(0);
    let input =
        Input { path: options.path.clone(), shown: shown.clone(), relative: shown.clone(), bytes, stdin };
    let mut from = open(&input).map_err(|e| RunError::Unreadable(format!("{shown}: {e}")))?;
    let mut clock = Clock::utc().with_year(options.year).keeping_untimed();
    if let Some(zone) = &options.zone {
        clock = clock.with_zone(zone.clone(), true);
    }
    let modified = std::fs::metadata(&options.path)
        .and_then(|m| m.modified())
        .unwrap_or_else(|_| std::time::SystemTime::now());
    if let Ok(since) = modified.duration_since(std::time::UNIX_EPOCH) {
        let at = EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        clock = clock.near(at.minus(366 * DAY_US), at);
    }
    let mut interner = Interner::new(names.clone());
    let mut events: Vec<Event> = Vec::new();
    if options.one_per_line {
        let mut lines = BufReader::with_capacity(1 << 18, from);
        let (mut line, mut number) = (Vec::new(), 0u32);
        loop {
            line.clear();
            let n = lines
                .read_until(b'\n', &mut line)
                .map_err(|e| RunError::Unreadable(format!("{shown}: {e}")))?;
            if n == 0 {
                return Ok(());
            }
            number = number.saturating_add(1);
            // Each line stands for itself: pieces of a record are read as far as one piece goes.
            let mut one = One::new(options.catalog, options.source);
            let at = portreeve_model::RawRef { line: number, ..Default::default() };
            one.record(
                RawRecord { bytes: line.trim_ascii(), shown: &line, at, too_long: false },
                &clock,
                &mut interner,
                &mut events,
            );
            let left = one.finish(&clock, &mut interner, &mut events);
            one.unfinished(left, &mut |_| clock.clone(), &mut interner, &mut events);
            if events.is_empty() && options.source.is_none() {
                one = One::new(options.catalog, Some(&portreeve_sources::PLAIN));
                one.record(
                    RawRecord { bytes: line.trim_ascii(), shown: &line, at, too_long: false },
                    &clock,
                    &mut interner,
                    &mut events,
                );
            }
            let first = events.drain(..).next();
            if !write(first.as_ref()) {
                return Ok(());
            }
        }
    }
    let mut one = One::new(options.catalog, options.source);
    let mut on = true;
    read(&mut *from, (!stdin).then_some(bytes), 0, &Limits::default(), &mut |record| {
        one.record(record, &clock, &mut interner, &mut events);
        for event in events.drain(..) {
            on = on && write(Some(&event));
        }
        on
    });
    if on {
        let left = one.finish(&clock, &mut interner, &mut events);
        one.unfinished(left, &mut |_| clock.clone(), &mut interner, &mut events);
        for event in events.drain(..) {
            if !write(Some(&event)) {
                break;
            }
        }
    }
    Ok(())
}
