//! What goes in comes out: live and batch give the same cases, over any door, across stops and crashes.

use super::site::{acme, config, hunted, judged, start, stored};
use std::path::{Path, PathBuf};

fn copied(to: &Path) {
    fn walk(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("the sample") {
            let path = entry.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                walk(&path, &target);
            } else {
                std::fs::copy(&path, &target).expect("copied");
            }
        }
    }
    walk(&acme().join("logs"), to);
}

/// Records in all files.
fn records(logs: &Path) -> u64 {
    let mut number = 0;
    for entry in std::fs::read_dir(logs).expect("the sample") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            number += records(&path);
        } else {
            let count = &mut |_: &[u8], _: u32, _: u64| {
                number += 1;
                true
            };
            assert!(portreeve_pipeline::live::split(&path, count).expect("a file").is_empty());
        }
    }
    number
}

/// Files that are no lines: handed over whole.
const WHOLE: &str = "whole = [\"LOGS/cloudtrail/**/*\"]\n";

fn follow(logs: &Path) -> String {
    let whole = WHOLE.replace("LOGS", &logs.display().to_string());
    let all = format!("{}/**/*", logs.display());
    format!("[[doors.follow]]\npaths = [{all:?}]\n{whole}once = true\n")
}

fn compared(live: &std::collections::BTreeMap<String, serde_json::Value>, logs: &[PathBuf]) {
    let batch = hunted(logs);
    assert!(!batch.is_empty());
    assert_eq!(live.keys().collect::<Vec<_>>(), batch.keys().collect::<Vec<_>>());
    for (id, case) in &batch {
        let (live, batch) = (
            serde_json::to_string_pretty(&live[id]).expect("JSON"),
            serde_json::to_string_pretty(case).expect("JSON"),
        );
        for (n, (a, b)) in live.lines().zip(batch.lines()).enumerate() {
            assert_eq!(a, b, "{id}: line {n}");
        }
        assert_eq!(live, batch, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_followed_give_byte_for_byte_the_cases_of_a_hunt() {
    let dir = tempfile::tempdir().expect("a folder");
    let logs = dir.path().join("logs");
    copied(&logs);
    let service = start(&dir.path().join("data"), config(&follow(&logs))).await;
    let app = service.app.clone();
    judged(&app, records(&logs)).await;
    service.close().await;
    compared(&stored(&app), &[logs]);
    let counts = app.pulse.read().expect("a pulse").counts;
    assert_eq!(counts.far_future, 0);
}
