//! A process is killed while it writes and merges; what it had told is there, once, and nothing half is.

use crate::children;
use crate::sample::{self, MONDAY, Rng, all_pages, lake};
use portreeve_lake::{Block, Fault, Lake, Query};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;

/// The rows of a number are always the same.
fn block(from: u64, to: u64) -> Block {
    let mut block = Block::new();
    for seq in from..to {
        block.push_row(&sample::row(&mut Rng(seq), seq, 0, 3 * DAY_US));
    }
    block
}

/// Not a test of its own: what the next one kills.
#[test]
fn child_that_writes_and_merges() {
    let Some(dir) = children::dir() else { return };
    let lake = lake(&dir);
    loop {
        let next = lake.through() + 1;
        lake.push(block(next, next + 20));
        lake.push(block(next + 20, next + 50));
        lake.flush(next + 49).expect("flushed");
        children::tell(next + 49);
        if next % 200 == 1 {
            lake.compact(EventTime(MONDAY + 30 * DAY_US)).expect("merged");
        }
    }
}

#[test]
fn what_was_flushed_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut known = 0;
    let mut rng = Rng(std::process::id().into());
    for _ in 0..8 {
        let mut child = children::start("crash::child_that_writes_and_merges", dir.path());
        for _ in 0..1 + rng.below(9) {
            known = child.number().expect("the child goes on");
        }
        // Somewhere within the next write or merge.
        std::thread::sleep(std::time::Duration::from_micros(rng.below(40_000)));
        known = child.kill(known);
        let lake = lake(dir.path());
        let through = lake.through();
        assert!(through >= known, "{known} were acknowledged, and {through} are here");
        let query = Query { limit: 1_000, newest_first: false, ..Query::default() };
        let mut found = all_pages(&query, |q| lake.search(q).expect("readable"));
        assert_eq!(lake.view().rows(), found.len(), "a row is stored twice");
        found.sort_by_key(|r| r.seq);
        assert_eq!(found.len() as u64, through);
        for (row, seq) in found.iter().zip(1..) {
            assert_eq!(*row, sample::row(&mut Rng(seq), seq, 0, 3 * DAY_US));
        }
        // Nothing lies about that nobody knows.
        let on_disk = std::fs::read_dir(dir.path().join("work/staging")).expect("a folder").count();
        assert_eq!(on_disk, 0);
        let mut files = Vec::new();
        walk(&dir.path().join("events"), &mut files);
        assert_eq!(files.len(), lake.view().manifest().files.len());
    }
}

fn walk(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

#[test]
fn a_lost_manifest_does_not_cost_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = lake(dir.path());
    assert!(matches!(Lake::local(dir.path()), Err(Fault::Locked(_))));
    one.push(block(1, 20));
    one.flush(19).expect("flushed");
    drop(one);
    std::fs::rename(dir.path().join("manifest"), dir.path().join("elsewhere")).expect("moved");
    let refused = Lake::local(dir.path());
    assert!(matches!(refused, Err(Fault::Manifest(_))));
    drop(refused);
    std::fs::rename(dir.path().join("elsewhere"), dir.path().join("manifest")).expect("moved back");
    assert_eq!(Lake::local(dir.path()).expect("a lake").view().rows(), 19);
}
