//! The test lines inside a source's file, told to the source itself.

use super::Mapping;
use crate::decode::clock::Clock;
use crate::decode::frame;
use crate::emit::Emit;
use crate::notation;
use crate::source::{Parsed, Reader, Source};
use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, RawRef, SymbolTable};

/// A test line that gave something else.
#[derive(Debug)]
pub struct Failed {
    /// Number of the test, from 1.
    pub number: usize,
    pub line: String,
    pub wanted: String,
    pub got: String,
}

/// Tests of a source's file that fail; none for a source of code, whose tests are fixtures.
pub fn failures(source: &Source) -> Vec<Failed> {
    let Reader::Mapping(mapping) = &source.reader else { return Vec::new() };
    let mut failed = Vec::new();
    for (n, test) in mapping.tests.iter().enumerate() {
        let got = told(source, mapping, test.line.as_bytes());
        if got != test.gives.trim() {
            failed.push(Failed {
                number: n + 1,
                line: test.line.clone(),
                wanted: test.gives.trim().to_owned(),
                got,
            });
        }
    }
    failed
}

/// The lines that a source's file is tested with.
pub fn test_lines(source: &Source) -> Vec<&str> {
    match &source.reader {
        Reader::Mapping(mapping) => mapping.tests.iter().map(|t| t.line.as_str()).collect(),
        Reader::Code { .. } => Vec::new(),
    }
}

fn told(source: &Source, mapping: &Mapping, line: &[u8]) -> String {
    let clock = Clock::utc()
        .near(EventTime::from_civil(2026, 1, 1, 0, 0, 0, 0), EventTime::from_civil(2026, 12, 31, 0, 0, 0, 0));
    let names = SymbolTable::new();
    let (mut interner, mut events, mut scratch) = (Interner::new(names.clone()), Vec::new(), Vec::new());
    let level = frame::level(line, &clock, &mut scratch, &mut |r| mapping.claims(r));
    let record = frame::within(line, RawRef::default(), &clock, &mut scratch, level);
    if !mapping.claims(&record) {
        return "(not mine)".to_owned();
    }
    match mapping.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record)) {
        Parsed::Irrelevant(kind) => format!("({})", kind.name()),
        Parsed::Broken(why) => format!("(broken: {})", why.text()),
        Parsed::NotMine | Parsed::Fragment(_) => "(not mine)".to_owned(),
        Parsed::Events => {
            let lines: Vec<String> = events.iter().map(|e| notation::line(e, &names)).collect();
            lines.join("; ")
        }
    }
}
