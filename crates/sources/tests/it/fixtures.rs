//! One walk over `fixtures/<row>/<source>/*`: each record is framed, recognised without being told, parsed, and put
//! into a snapshot beside it: one short line per event with only what is set, and the five counts at the end.

use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, RawRef, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::join::Joiner;
use portreeve_sources::decode::reader::{Limits, read};
use portreeve_sources::{Emit, Parsed, Recogniser, notation};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub(crate) fn folders() -> Vec<(String, String, PathBuf)> {
    let mut found = Vec::new();
    for row in entries(&root()) {
        for source in entries(&row) {
            let name = |p: &Path| p.file_name().expect("a name").to_string_lossy().into_owned();
            found.push((name(&row), name(&source), source));
        }
    }
    found
}

pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").path()).collect();
    all.sort();
    all
}

/// Text of a snapshot.
fn snapshot(path: &Path, wanted: &str, wrong: &mut Vec<String>) -> String {
    let clock = Clock::utc()
        .near(EventTime::from_civil(2026, 1, 1, 0, 0, 0, 0), EventTime::from_civil(2026, 12, 31, 0, 0, 0, 0));
    let names = SymbolTable::new();
    let mut interner = Interner::new(names.clone());
    let (mut text, mut events) = (String::new(), Vec::new());
    let mut counts = [0u32; 5];
    let mut recogniser = Recogniser::default();
    let mut joiner = Joiner::default();
    let (mut scratch, mut wholes) = (Vec::new(), Vec::new());
    let bytes = std::fs::read(path).expect("readable");
    read(&mut &bytes[..], Some(bytes.len() as u64), 0, &Limits::default(), &mut |raw| {
        let line = raw.at.line;
        let mut most = u8::MAX;
        let parsed = loop {
            let record = frame::within(raw.bytes, raw.at, &clock, &mut scratch, most);
            // Each record is looked up afresh, so that every pair of claims is held against every record.
            recogniser = {
                let found = recogniser.clashes();
                wrong.extend(found.iter().map(|c| format!("{}: {c:?}", path.display())));
                Recogniser::default()
            };
            let source = recogniser.recognise(&record);
            let parsed = match source {
                Some(source) => {
                    source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record))
                }
                None => Parsed::NotMine,
            };
            if let Parsed::Fragment(fragment) = parsed {
                wholes.extend(source.and_then(|s| joiner.take(s, fragment, record.raw, raw.at)));
            }
            // What was inside an envelope and is nobody's may be somebody's with it.
            if parsed != Parsed::NotMine || record.depth == 0 {
                break parsed;
            }
            most = record.depth - 1;
        };
        match parsed {
            Parsed::Events => counts[0] += 1,
            Parsed::Fragment(_) => counts[1] += 1,
            Parsed::Irrelevant(kind) => {
                counts[2] += 1;
                writeln!(text, "{line}: ({})", kind.name()).expect("memory");
            }
            Parsed::NotMine => {
                counts[3] += 1;
                writeln!(text, "{line}: (nobody's)").expect("memory");
            }
            Parsed::Broken(why) => {
                counts[4] += 1;
                writeln!(text, "{line}: (broken: {})", why.text()).expect("memory");
            }
        }
        for event in events.drain(..) {
            let by = names.text(event.source);
            if &*by != wanted {
                wrong.push(format!("{}:{line} is read by {by}", path.display()));
            }
            writeln!(text, "{line}: {}", notation::line(&event, &names)).expect("memory");
        }
        true
    });
    // Two products with one look must be told apart by their claims, not by whom is asked first.
    wrong.extend(recogniser.clashes().iter().map(|c| format!("{}: {c:?}", path.display())));
    wholes.extend(joiner.finish());
    for whole in wholes {
        let mut scratch = Vec::new();
        let mut record = frame::frame(&whole.bytes, whole.at, &clock, &mut scratch);
        record.joined = true;
        whole.source.read(&record, &mut Emit::new(&mut interner, &mut events, whole.source, &record));
        for event in events.drain(..) {
            writeln!(text, "{} joined: {}", whole.at.line, notation::line(&event, &names)).expect("memory");
        }
    }
    let [understood, pieces, irrelevant, unknown, broken] = counts;
    writeln!(text, "understood {understood}, pieces {pieces}, irrelevant {irrelevant}, unknown {unknown}, broken {broken}").expect("memory");
    text
}

#[test]
fn fixtures() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for (_, source, folder) in folders() {
        for path in
            entries(&folder).into_iter().filter(|p| p.extension().is_some_and(|e| e != "snap" && e != "new"))
        {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = snapshot(&path, &source, &mut wrong);
            insta::with_settings!({snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true}, {
                insta::assert_snapshot!(name, text);
            });
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 40, "{checked}");
}

#[test]
fn a_bare_raw_ref_points_at_the_first_input() {
    assert_eq!(RawRef::default().input, 0);
}
