//! The verdict depends on the set of records, not on how they arrive.

use crate::company::{changed_logs, company, portreeve, verdicts};
use std::fs;
use tempfile::TempDir;

fn whole() -> Vec<String> {
    verdicts(&company().join("logs"), &[])
}

#[test]
fn two_runs_are_byte_identical() {
    let run = || {
        let out = TempDir::new().expect("temporary directory");
        portreeve()
            .current_dir(company())
            .args(["hunt", "logs", "--context", "context", "--out"])
            .arg(out.path())
            .assert()
            .success();
        let read = |name: &str| fs::read(out.path().join(name)).expect("written");
        ["cases.json", "cases.ndjson", "report.html", "report.md", "run.json"].map(read)
    };
    assert!(run() == run());
}

#[test]
fn any_number_of_threads() {
    let one = verdicts(&company().join("logs"), &["--threads", "1"]);
    assert_eq!(one, verdicts(&company().join("logs"), &["--threads", "3"]));
    assert!(!one.is_empty());
}

#[test]
fn shuffled_lines() {
    let shuffled = changed_logs(|path, mut lines| {
        // CSV files with a header keep it in front.
        let fixed = usize::from(
            !path.to_string_lossy().ends_with("json") && lines.first().is_some_and(|l| l.starts_with("ID,")),
        );
        let mut seed = 0x9e37_79b9u64;
        for i in (fixed + 1..lines.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let j = fixed + (seed >> 33) as usize % (i - fixed + 1);
            lines.swap(i, j);
        }
        lines
    });
    assert_eq!(whole(), verdicts(shuffled.path(), &[]));
}

#[test]
fn every_line_twice() {
    let doubled = changed_logs(|_, lines| lines.iter().flat_map(|l| [l.clone(), l.clone()]).collect());
    assert_eq!(whole(), verdicts(doubled.path(), &[]));
}

#[test]
fn a_file_delivered_again() {
    let again = changed_logs(|_, lines| lines);
    let first = crate::company::files(again.path())
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "log"))
        .expect("a log");
    fs::copy(&first, first.with_extension("log.copy")).expect("copied");
    assert_eq!(whole(), verdicts(again.path(), &[]));
}

#[test]
fn one_record_far_in_the_future_and_one_far_in_the_past() {
    let strays = changed_logs(|_, lines| lines);
    fs::write(
        strays.path().join("stray.log"),
        "2093-01-01T00:00:00Z gw1 sshd[1]: Accepted password for anna from 203.0.113.9 port 5 ssh2\n\
         1999-01-01T00:00:00Z gw1 sshd[1]: Accepted password for anna from 203.0.113.9 port 5 ssh2\n",
    )
    .expect("written");
    assert_eq!(whole(), verdicts(strays.path(), &[]));
}

#[test]
fn day_by_day_with_state_is_the_same_as_at_once() {
    let state = TempDir::new().expect("temporary directory");
    let state_dir = state.path().to_str().expect("plain path");
    let mut last = Vec::new();
    for half in 0..2 {
        // Each file's first and second half, as a daily rotation would cut it; archives come whole in the first.
        let part = changed_logs(|_, lines| {
            let middle = lines.len() / 2;
            if half == 0 { lines[..middle].to_vec() } else { lines[middle..].to_vec() }
        });
        if half == 1 {
            for path in crate::company::files(part.path())
                .into_iter()
                .filter(|p| p.extension().is_some_and(|e| e == "gz"))
            {
                fs::remove_file(path).expect("removed");
            }
        }
        last = verdicts(part.path(), &["--state", state_dir]);
    }
    assert_eq!(whole(), last);
}

/// One big file is read by several threads in parts; messages in pieces cross the borders of the parts, and records
/// that nobody understands stand in each.
#[test]
fn one_big_file_on_any_number_of_threads() {
    const DISTANCE: usize = 2_500;
    let dir = TempDir::new().expect("temporary directory");
    let piece = |n: usize, part: usize| {
        let text = if part == 0 {
            format!(
                "2026-03-03 06:{:02}:{:02}.264 +00:00 {n:010} 5400 NOTICE Failed-Attempt: Authentication failed, ConfigVersionId=88, \
                 Device IP Address=10.20.250.9, UserName=user{}, NetworkDeviceName=asa-01, ",
                n / 60 % 60,
                n % 60,
                n % 90
            )
        } else {
            "Calling-Station-ID=198.51.100.23, NAS-Port-Type=Virtual, FailureReason=24408 wrong password"
                .to_owned()
        };
        format!("<181>Mar  3 06:00:00 ise-01 CISE_Failed_Attempts {n:010} 2 {part} {text}\n")
    };
    let mut text = String::new();
    for n in 0..12_000 {
        text.push_str(&piece(n, 0));
        if n >= DISTANCE {
            text.push_str(&piece(n - DISTANCE, 1));
        }
        if n % 1_000 == 7 {
            text.push_str(&format!("nobody's record number {n}\n"));
        }
    }
    let file = dir.path().join("ise.log");
    fs::write(&file, text).expect("written");
    let run = |threads: &str| {
        let output = portreeve()
            .args(["hunt", "--format", "json", "--threads", threads])
            .arg(&file)
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let one = run("1");
    let doc: serde_json::Value = serde_json::from_slice(&one).expect("JSON");
    assert_eq!(doc["run"]["totals"]["fragments"], 12_000 + 12_000 - DISTANCE);
    assert_eq!(doc["run"]["totals"]["unknown"], 12);
    assert_eq!(doc["run"]["events"], 12_000);
    for threads in ["2", "3", "5"] {
        assert!(one == run(threads), "{threads} threads");
    }
}
