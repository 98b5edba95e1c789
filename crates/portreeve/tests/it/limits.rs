//! A folder as it comes: archives, truncation, noise. Counted, never fatal.

use crate::company::{company, files, portreeve};
use std::fs;
use std::io::Write;
use tempfile::TempDir;

fn run_json(dir: &std::path::Path, expect: i32) -> serde_json::Value {
    let out = TempDir::new().expect("temporary directory");
    portreeve().arg("hunt").arg(dir).arg("--out").arg(out.path()).assert().code(expect);
    serde_json::from_slice(&fs::read(out.path().join("run.json")).expect("run.json")).expect("JSON")
}

#[test]
fn every_record_of_a_mixed_folder_is_counted_once() {
    let dir = TempDir::new().expect("temporary directory");
    for (n, path) in files(&company().join("logs")).into_iter().enumerate() {
        let name = format!("{n}-{}", path.file_name().expect("a name").to_string_lossy());
        fs::copy(&path, dir.path().join(name)).expect("copied");
    }
    // One truncated archive, one unknown file, one with a very long line, NULs and no end.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..2_000 {
        writeln!(gz, "2026-03-04T10:{:02}:{:02}Z gw1 sshd[{n}]: Failed password for root from 203.0.113.7 port 1{n} ssh2", n / 60 % 60, n % 60).expect("in memory");
    }
    let gz = gz.finish().expect("in memory");
    fs::write(dir.path().join("cut.gz"), &gz[..gz.len() / 2]).expect("written");
    fs::write(dir.path().join("recipes.txt"), "eggs\nflour\n\nbake at 180\n").expect("written");
    let mut odd = vec![b'x'; 2 << 20];
    odd.extend_from_slice(
        b"\n\0\0\0\nMar  4 10:00:00 gw1 sshd[9]: Failed password for root from 203.0.113.7 port 22 ss",
    );
    fs::write(dir.path().join("odd.log"), odd).expect("written");

    let run = run_json(dir.path(), 0);
    let sum = |c: &serde_json::Value| {
        ["understood", "fragments", "irrelevant", "unknown", "broken"]
            .iter()
            .map(|k| c[k].as_u64().expect("a count"))
            .sum::<u64>()
    };
    let totals = &run["totals"];
    assert_eq!(totals["records"].as_u64().expect("a count"), sum(totals));
    let inputs = run["inputs"].as_array().expect("inputs");
    let mut all = 0;
    for input in inputs {
        assert_eq!(
            input["counts"]["records"].as_u64().expect("a count"),
            sum(&input["counts"]),
            "{}",
            input["file"]
        );
        all += sum(&input["counts"]);
    }
    assert_eq!(all, sum(totals));
    let input = |name: &str| {
        inputs.iter().find(|i| i["file"].as_str().is_some_and(|f| f.ends_with(name))).expect("listed")
    };
    assert!(
        !input("cut.gz")["problems"].as_array().expect("a list").is_empty(),
        "a truncated archive is named"
    );
    assert!(input("cut.gz")["counts"]["understood"].as_u64() > Some(0), "what could be read of it was");
    assert!(input("recipes.txt")["counts"]["unknown"].as_u64() >= Some(3));
    assert!(input("odd.log")["counts"]["broken"].as_u64() >= Some(1), "the long line is counted");
}

#[test]
fn nothing_understood_is_status_65_and_says_so() {
    let dir = TempDir::new().expect("temporary directory");
    fs::write(dir.path().join("recipes.txt"), "eggs\nflour\nbake at 180\n").expect("written");
    let assert = portreeve().arg("hunt").arg(dir.path()).assert().code(65);
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(error.contains("3 of 3 records were not understood"), "{error}");
}
