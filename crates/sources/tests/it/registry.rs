//! Folder, list and fixtures agree: a forgotten line is a red test.

use crate::fixtures::{entries, folders, root};
use portreeve_sources::{SOURCES, all};
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
        let listed = all().filter(|s| s.row.folder() == row).count();
        assert_eq!(files, listed, "{row}: a file is not in its list");
    }
    assert_eq!(SOURCES.iter().map(|r| r.len()).sum::<usize>(), names.len());
    for (row, source, _) in folders() {
        assert!(
            all().any(|s| s.name == source && s.row.folder() == row),
            "fixtures of {row}/{source}, which nobody reads"
        );
    }
}
