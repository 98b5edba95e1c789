//! Folder, list and fixtures agree: a forgotten line is a red test.

use crate::fixtures::{entries, folders, root};
use portreeve_model::RawRef;
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::{Clash, MAPPINGS, Reader, Recogniser, Record, SOURCES, all, mapping};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_file_is_listed_and_every_source_has_fixtures() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rows: BTreeSet<&str> = BTreeSet::new();
    let mut names = BTreeSet::new();
    for source in all() {
        rows.insert(source.row.folder());
        assert!(names.insert(source.name), "{} is there twice", source.name);
        assert!(
            (!source.gives.is_empty() || source.name == "windows_other")
                && !source.enable.is_empty()
                && !source.title.is_empty(),
            "{}",
            source.name
        );
        if matches!(source.reader, Reader::Mapping(_)) {
            continue;
        }
        let folder = root().join(source.row.folder()).join(source.name);
        assert!(folder.is_dir(), "{} has no fixtures", source.name);
        for trap in source.traps {
            let found =
                entries(&folder).iter().any(|p| p.file_stem().is_some_and(|s| s.to_string_lossy() == **trap));
            assert!(found, "{} names the trap {trap} and has no fixture for it", source.name);
        }
    }
    for row in rows {
        let files = entries(&src.join(row))
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "rs") && !p.ends_with("mod.rs"))
            .count();
        let listed = SOURCES.iter().flat_map(|r| r.iter()).filter(|s| s.row.folder() == row).count();
        assert_eq!(files, listed, "{row}: a file is not in its list");
    }
    assert_eq!(SOURCES.iter().map(|r| r.len()).sum::<usize>() + MAPPINGS.len(), names.len());
    for (row, source, _) in folders() {
        assert!(
            all().any(|s| s.name == source && s.row.folder() == row),
            "fixtures of {row}/{source}, which nobody reads"
        );
    }
}

/// Each text file of a product is read, lies where its row and name say, and gives what its own tests say; no other
/// source claims its lines.
#[test]
fn sources_without_code() {
    let clock = Clock::utc();
    for (path, text) in MAPPINGS {
        let source = mapping::source(text).unwrap_or_else(|e| panic!("content/sources/{path}:\n{e}"));
        assert_eq!(*path, format!("{}/{}.yml", source.row.folder(), source.name));
        let failed = mapping::failures(source);
        assert!(failed.is_empty(), "content/sources/{path}: {failed:#?}");
        for line in mapping::test_lines(source) {
            let (mut recogniser, mut scratch) = (Recogniser::default(), Vec::new());
            let mut claimed = |r: &Record<'_>| all().any(|s| s.claims(r));
            let level = frame::level(line.as_bytes(), &clock, &mut scratch, &mut claimed);
            let record = frame::within(line.as_bytes(), RawRef::default(), &clock, &mut scratch, level);
            let found = recogniser.recognise(&record).map(|s| s.name);
            let clashes: BTreeSet<Clash> = recogniser.clashes();
            let taken = found == Some(source.name) && clashes.is_empty();
            assert!(taken || !source.claims(&record), "{path}: {found:?} {clashes:?}: {line}");
        }
    }
}
