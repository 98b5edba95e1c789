//! Opens the raw records that cases point at: each file is read once more, and only as far as needed.

use crate::discover::Input;
use crate::read::open;
use crate::run::Options;
use portreeve_model::case::{Case, EvidenceLine, RunReport};
use portreeve_model::{EventTime, RawRef};
use portreeve_sources::Recogniser;
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::fetch::{Fetched, TEXT, fetch};
use portreeve_sources::decode::frame;
use portreeve_sources::decode::reader::{Limits, RawRecord};
use std::collections::{BTreeMap, BTreeSet};

/// Visits every piece of evidence that something holds.
type Each<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&mut EvidenceLine));

/// Fills file, text and source of every piece of evidence of the cases.
pub(crate) fn attach(
    cases: &mut [Case],
    shown: &[String],
    inputs: &[Input],
    options: &Options<'_>,
    report: &mut RunReport,
) {
    fill(&mut |with| cases.iter_mut().for_each(|c| each(c, with)), shown, inputs, options, report);
    for case in cases.iter_mut() {
        let mut sources: BTreeSet<String> = case.coverage.sources.iter().cloned().collect();
        each(case, &mut |line| {
            if !line.source.is_empty() {
                sources.insert(line.source.clone());
            }
        });
        case.coverage.sources = sources.into_iter().collect();
    }
}

/// Fills file, text and source of every piece of evidence that `visit` shows.
pub(crate) fn fill(
    visit: Each<'_>,
    shown: &[String],
    inputs: &[Input],
    options: &Options<'_>,
    report: &mut RunReport,
) {
    let mut wanted: BTreeMap<u32, BTreeSet<RawRef>> = BTreeMap::new();
    visit(&mut |line| {
        wanted.entry(line.raw.input).or_default().insert(line.raw);
    });
    let mut products = Products::new(options.source.map_or_else(Recogniser::default, Recogniser::only));
    let mut texts: BTreeMap<RawRef, Fetched<&'static str>> = BTreeMap::new();
    let mut entries: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (input, wanted) in &wanted {
        let Some(name) = shown.get(*input as usize) else { continue };
        let earlier =
            Input { path: name.into(), shown: name.clone(), relative: String::new(), bytes: 0, stdin: false };
        // A file of an earlier run is opened again if it is still there.
        let source = inputs.iter().find(|i| i.shown == *name).unwrap_or(&earlier);
        if source.stdin {
            continue;
        }
        let size = std::fs::metadata(&source.path).map(|m| m.len()).ok();
        match open(source) {
            Ok(mut from) => {
                let list: Vec<RawRef> = wanted.iter().copied().collect();
                let mut product = |raw: &RawRecord<'_>| products.of(raw.bytes, raw.at);
                let (found, names) = fetch(&mut *from, size, *input, &list, &Limits::default(), &mut product);
                texts.extend(found);
                entries.insert(*input, names);
            }
            Err(error) => report.warnings.push(format!("{name}: evidence cannot be opened again: {error}")),
        }
    }
    visit(&mut |line| {
        let name = shown.get(line.raw.input as usize).cloned().unwrap_or_default();
        let entry =
            usize::from(line.raw.entry()).checked_sub(1).and_then(|n| entries.get(&line.raw.input)?.get(n));
        line.file = entry.map_or(name.clone(), |e| format!("{name}!{e}")).into();
        if let Some(found) = texts.get(&line.raw) {
            line.text = found.text.clone().into();
            line.source = found.told.to_owned();
        }
    });
}

/// Says which product wrote a record.
pub struct Products {
    recogniser: Recogniser,
    clock: Clock,
    scratch: Vec<u8>,
}

impl Default for Products {
    fn default() -> Products {
        Products::new(Recogniser::default())
    }
}

impl Products {
    fn new(recogniser: Recogniser) -> Products {
        // Only the product's name is wanted of these records, so the rules for their years do not matter.
        let clock = Clock::utc().near(EventTime(0), EventTime(0));
        Products { recogniser, clock, scratch: Vec::new() }
    }

    /// The name of its log source; empty where none claims it.
    pub fn of(&mut self, bytes: &[u8], at: RawRef) -> &'static str {
        let mut most = u8::MAX;
        loop {
            let record = frame::within(bytes, at, &self.clock, &mut self.scratch, most);
            match self.recogniser.recognise(&record) {
                Some(source) => return source.name,
                None if record.depth == 0 => return "",
                None => most = record.depth - 1,
            }
        }
    }
}

/// A record as evidence shows it.
pub fn shown(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(..TEXT).unwrap_or(record)).trim_end().to_owned()
}

/// Every piece of evidence of a case.
pub fn each(case: &mut Case, with: &mut dyn FnMut(&mut EvidenceLine)) {
    let lists = case
        .questions
        .iter_mut()
        .map(|q| &mut q.evidence)
        .chain(case.indicators.iter_mut().map(|i| &mut i.evidence))
        .chain(case.sessions.iter_mut().map(|s| &mut s.evidence))
        .chain(case.l1_steps.iter_mut().map(|s| &mut s.evidence))
        .chain(case.t2_actions.iter_mut().map(|s| &mut s.evidence));
    for list in lists {
        list.iter_mut().for_each(&mut *with);
    }
    case.timeline.iter_mut().filter_map(|t| t.evidence.as_mut()).for_each(with);
}
