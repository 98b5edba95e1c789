//! One run: read, order, fold, judge, answer, attach evidence.

use crate::account::SourceAccount;
use crate::discover::{Input, discover};
use crate::evidence;
use crate::read::{self, Readings};
use crate::runs::Merge;
use crate::state_dir::{StateDir, StateError};
use jiff::tz::TimeZone;
use portreeve_content::Content;
use portreeve_context::Tables;
use portreeve_engine::Engine;
use portreeve_model::answer::Decision;
use portreeve_model::case::{Case, RunReport};
use portreeve_model::facts::Context;
use portreeve_model::{EventTime, SymbolTable};
use portreeve_playbook::triage;
use portreeve_sources::{Catalog, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Hears how far a run is; called from worker threads.
pub trait Progress: Sync {
    /// Bytes of this many more were read, of about this many in all.
    fn read(&self, bytes: u64, of: u64);
    fn stage(&self, what: &str);
}

pub struct Options<'a> {
    pub paths: Vec<PathBuf>,
    pub since: Option<EventTime>,
    pub until: Option<EventTime>,
    /// Zone of files that declare none.
    pub zone: Option<TimeZone>,
    pub year: Option<i16>,
    pub threads: usize,
    /// Read everything as this source instead of recognising it.
    pub source: Option<&'static Source>,
    /// The log sources that are known.
    pub catalog: &'static Catalog,
    /// Show samples of records that were not understood with their names and numbers masked.
    pub mask: bool,
    pub state: Option<PathBuf>,
    pub progress: Option<&'a dyn Progress>,
}

pub struct Outcome {
    /// Escalations first, then by score.
    pub cases: Vec<Case>,
    pub report: RunReport,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Unreadable(String),
    #[error("cannot write temporary files for sorting: {0}; free space in the temporary directory (TMPDIR)")]
    Spill(#[source] io::Error),
    #[error(transparent)]
    State(#[from] StateError),
}

/// What was read, in order and folded; what comes next judges it.
pub(crate) struct Folded<'c> {
    pub(crate) engine: Engine<'c>,
    pub(crate) report: RunReport,
    pub(crate) inputs: Vec<Input>,
    /// Names of inputs, by the numbers that records carry.
    pub(crate) shown: Vec<String>,
    state: Option<StateDir>,
    /// Evidence opens its records again, which standard input does not allow: it is put aside for as long as the run.
    _kept: Option<tempfile::NamedTempFile>,
}

/// Hears every event with the name of its input: in total order, each once.
pub type See<'a> = dyn FnMut(&portreeve_model::Event, &str) + 'a;

/// Runs the whole line over the paths.
pub fn run(
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
    content: &Content,
) -> Result<Outcome, RunError> {
    run_seen(options, tables, names, content, &mut |_, _| {})
}

/// The same, while `see` hears every event that is judged.
pub fn run_seen(
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
    content: &Content,
    see: &mut See<'_>,
) -> Result<Outcome, RunError> {
    let Folded { engine, mut report, inputs, shown, state, _kept } =
        read_and_fold(options, tables, names, see)?;
    let rules = content.rules();
    let drafts = engine.judge(&rules, options.threads);
    let mut cases = triage(&engine, &rules, &content.playbook, &drafts);
    close(&engine, tables, &cases, &mut report);
    stage(options, "collecting evidence");
    evidence::attach(&mut cases, &shown, &inputs, options, &mut report);
    if let Some(state) = state {
        state.commit(names)?;
    }
    Ok(Outcome { cases, report })
}

/// Reads the paths as [`run`] does, and gives every event to `see` with the name of its input: in total order, each
/// once. Nothing is judged.
pub fn events(
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
    mut see: impl FnMut(&portreeve_model::Event, &str),
) -> Result<RunReport, RunError> {
    let Read { readings, mut report, shown, .. } = read_all(options, tables, names)?;
    fold(options, readings, None, &mut |event| see(event, input_of(event, &shown)), &mut report)?;
    Ok(report)
}

fn input_of<'s>(event: &portreeve_model::Event, shown: &'s [String]) -> &'s str {
    let input = usize::try_from(event.raw.input).ok().and_then(|n| shown.get(n));
    input.map_or("", String::as_str)
}

/// What was read, before it is put in order.
struct Read {
    readings: Readings,
    report: RunReport,
    inputs: Vec<Input>,
    shown: Vec<String>,
    state: Option<StateDir>,
    kept: Option<tempfile::NamedTempFile>,
}

/// Reads the paths and takes what they tell into an engine.
pub(crate) fn read_and_fold<'c>(
    options: &Options<'_>,
    tables: &'c Tables,
    names: &Arc<SymbolTable>,
    see: &mut See<'_>,
) -> Result<Folded<'c>, RunError> {
    let Read { readings, mut report, inputs, shown, mut state, kept } = read_all(options, tables, names)?;
    stage(options, "judging");
    let mut engine = Engine::new(tables, names.clone());
    let mut sink = |event: &portreeve_model::Event| {
        see(event, input_of(event, &shown));
        engine.push(event);
    };
    fold(options, readings, state.as_mut(), &mut sink, &mut report)?;
    Ok(Folded { engine, report, inputs, shown, state, _kept: kept })
}

/// Reads the paths and counts what was read.
fn read_all(options: &Options<'_>, tables: &Tables, names: &Arc<SymbolTable>) -> Result<Read, RunError> {
    let (mut inputs, problems) = discover(&options.paths);
    if inputs.is_empty() && !problems.is_empty() {
        return Err(RunError::Unreadable(problems.join("\n")));
    }
    let kept = keep_stdin(&mut inputs).map_err(RunError::Spill)?;
    let mut state = match &options.state {
        Some(dir) => Some(StateDir::open(dir, names)?),
        None => None,
    };
    stage(options, "reading");
    let mut readings = read::all(&inputs, options, tables, names).map_err(RunError::Spill)?;
    let mut report = RunReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        warnings: problems,
        ..RunReport::default()
    };
    report.warnings.extend(tables.warnings().iter().cloned());
    account(&mut readings, &mut report);
    if options.mask {
        crate::mask::samples(&mut report);
    }
    let shown: Vec<String> = match state.as_mut() {
        Some(state) => state.take_inputs(&inputs),
        None => inputs.iter().map(|i| i.shown.clone()).collect(),
    };
    Ok(Read { readings, report, inputs, shown, state, kept })
}

/// Copies standard input to a file that goes with the returned handle.
fn keep_stdin(inputs: &mut [Input]) -> io::Result<Option<tempfile::NamedTempFile>> {
    let Some(input) = inputs.iter_mut().find(|i| i.stdin) else { return Ok(None) };
    let mut kept = tempfile::NamedTempFile::new()?;
    input.bytes = io::copy(&mut io::stdin().lock(), &mut kept)?;
    input.path = kept.path().to_owned();
    input.stdin = false;
    Ok(Some(kept))
}

pub(crate) fn stage(options: &Options<'_>, what: &str) {
    if let Some(progress) = options.progress {
        progress.stage(what);
    }
}

/// Sums up what was read.
fn account(readings: &mut Readings, report: &mut RunReport) {
    let mut by_source: BTreeMap<&'static str, SourceAccount> = BTreeMap::new();
    let mut clashes = BTreeSet::new();
    for input in &readings.inputs {
        for (name, counts) in &input.sources {
            by_source.entry(name).or_default().add(counts);
        }
        clashes.extend(input.clashes.iter().copied());
    }
    for (name, counts) in &by_source {
        report.totals.add(&counts.counts);
        report.sources.push(counts.report(name));
        if let Some((since, was, is)) = counts.course.decline() {
            let what = if name.is_empty() { "all records" } else { name };
            let day = since.to_string();
            report.warnings.push(format!(
                "{what}: from {} on {is} % are understood, before it was {was} %; did a product change its format?",
                day.get(..10).unwrap_or(&day)
            ));
        }
    }
    for clash in clashes {
        report.warnings.push(format!(
            "ambiguous: records that look like {} and like {}; read as the first; --source NAME reads everything as one product",
            clash.read_by, clash.also
        ));
    }
    report
        .sources
        .sort_by(|a, b| b.counts.records.cmp(&a.counts.records).then_with(|| a.source.cmp(&b.source)));
    report.inputs = readings.inputs.drain(..).map(|i| i.report).collect();
    report.days = readings.days.number();
}

/// Gives every event that counts to `sink`, in total order, each once.
fn fold(
    options: &Options<'_>,
    mut readings: Readings,
    mut state: Option<&mut StateDir>,
    sink: &mut dyn FnMut(&portreeve_model::Event),
    report: &mut RunReport,
) -> Result<(), RunError> {
    let (first, last) = readings.days.bounds();
    let known = match state.as_deref_mut() {
        Some(state) => state.events()?,
        None => Vec::new().into_iter(),
    };
    let mut known = known.peekable();
    let mut last_key = None;
    let mut give = |event: &portreeve_model::Event, report: &mut RunReport| {
        // The same record, by whichever path and however often it came, is one event.
        let key = (event.order(), event.user, event.src_ip);
        if last_key == Some(key) {
            report.duplicates += 1;
            return false;
        }
        last_key = Some(key);
        sink(event);
        true
    };
    let merged = readings.runs.merge().map_err(RunError::Spill)?;
    let mut take = |event: io::Result<portreeve_model::Event>| -> Result<(), RunError> {
        let mut event = event.map_err(RunError::Spill)?;
        if let Some(state) = state.as_deref() {
            event.raw.input = state.number(event.raw.input);
        }
        if event.time > last {
            report.far_future += 1;
            return Ok(());
        }
        if event.time < first
            || options.since.is_some_and(|t| event.time < t)
            || options.until.is_some_and(|t| event.time > t)
        {
            report.out_of_range += 1;
            return Ok(());
        }
        while known.peek().is_some_and(|k| crate::runs::order(k, &event).is_lt()) {
            if let Some(k) = known.next() {
                give(&k, report);
            }
        }
        report.first = Some(report.first.map_or(event.time, |t| t.min(event.time)));
        report.last = Some(report.last.map_or(event.time, |t| t.max(event.time)));
        report.events += 1;
        if give(&event, report)
            && let Some(state) = state.as_deref_mut()
        {
            state.keep(&event);
        }
        Ok(())
    };
    ahead(merged, options.threads, &mut take)?;
    for k in known {
        give(&k, report);
    }
    Ok(())
}

/// Events that one thread merges and decodes while another folds them.
const AHEAD: usize = 2_048;

/// Gives the merged events to `take`, decoded ahead of it where there is a thread to spare.
fn ahead(
    mut merged: Merge,
    threads: usize,
    take: &mut dyn FnMut(io::Result<portreeve_model::Event>) -> Result<(), RunError>,
) -> Result<(), RunError> {
    if threads < 2 {
        return merged.try_for_each(take);
    }
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel(8);
        scope.spawn(move || {
            loop {
                let some: Vec<_> = merged.by_ref().take(AHEAD).collect();
                // Nobody listens any more where folding failed.
                if some.is_empty() || send.send(some).is_err() {
                    return;
                }
            }
        });
        receive.into_iter().flatten().try_for_each(take)
    })
}

pub(crate) fn close(engine: &Engine<'_>, tables: &Tables, cases: &[Case], report: &mut RunReport) {
    let (principals, sessions) = engine.counts();
    (report.principals, report.sessions) = (principals, sessions);
    report.evicted =
        engine.evicted().into_iter().filter(|(_, n)| *n > 0).map(|(k, n)| (k.to_owned(), n)).collect();
    report.pressure = engine.pressure();
    report.clocks = engine.clocks_off();
    for case in cases {
        match case.decision {
            Decision::Escalate => report.escalate += 1,
            Decision::Investigate => report.investigate += 1,
            Decision::Close => report.close += 1,
        }
    }
    let coverage = tables.coverage();
    let lacks = [
        (coverage.geo, "geo: no city database given (--geo); places are unknown"),
        (coverage.asn, "asn: no network database given (--asn); networks are unknown"),
        (coverage.intel, "intel: no threat-intelligence lists given (--intel)"),
        (coverage.directory, "directory: no users.csv; roles, homes and standing of accounts are unknown"),
        (
            coverage.mfa_policy,
            "mfa_policy.csv: not given; what should have asked for a second factor is unknown",
        ),
        (coverage.vpn_pools, "vpn_pools.csv: not given; tunnel addresses are known from assignments alone"),
        (coverage.assets, "assets.csv: not given; which hosts are critical is unknown"),
    ];
    report.missing.extend(lacks.into_iter().filter(|(given, _)| !given).map(|(_, text)| text.to_owned()));
}
