//! A small simulated company, made once per test run, and how to hunt in it.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

pub(crate) fn portreeve() -> Command {
    let mut command = Command::cargo_bin("portreeve").expect("the binary is built with its tests");
    command.env("NO_COLOR", "1").env_remove("PORTREEVE_CONTEXT").env_remove("PORTREEVE_RESPOND");
    command
}

/// Simulated company of 30 people over 8 days.
pub(crate) fn company() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = TempDir::new().expect("temporary directory");
        let out = dir.path().to_str().expect("plain path");
        portreeve()
            .args(["simulate", "--users", "30", "--days", "8", "--seed", "7", "--out", out])
            .assert()
            .success();
        dir
    });
    dir.path()
}

/// Cases of a hunt, without what names files and positions.
pub(crate) fn verdicts(logs: &Path, extra: &[&str]) -> Vec<String> {
    let context = company().join("context");
    let mut command = portreeve();
    command.arg("hunt").arg(logs).arg("--context").arg(&context).args(["--format", "json"]).args(extra);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let doc: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let cases = doc["cases"].as_array().expect("cases");
    cases.iter().map(verdict).collect()
}

fn verdict(case: &serde_json::Value) -> String {
    let pick = |list: &str, id: &str, value: &str| {
        let all = case[list].as_array().expect("a list");
        all.iter().map(|x| format!("{}={}", x[id], x[value])).collect::<Vec<_>>().join(" ")
    };
    format!(
        "{} {} {} {} | {} | {} | {}",
        case["case_id"],
        case["decision"],
        case["risk_score"],
        case["source_ips"],
        pick("criteria", "id", "state"),
        pick("questions", "id", "answer"),
        pick("indicators", "id", "points"),
    )
}

/// Copies the company's logs, each file changed by `change` (given its lines). Archives are copied as they are.
pub(crate) fn changed_logs(change: impl Fn(&Path, Vec<String>) -> Vec<String>) -> TempDir {
    let to = TempDir::new().expect("temporary directory");
    let from = company().join("logs");
    for path in files(&from) {
        let target = to.path().join(path.strip_prefix(&from).expect("below"));
        fs::create_dir_all(target.parent().expect("a parent")).expect("directory");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let lines = change(&path, text.lines().map(str::to_owned).collect());
                fs::write(target, lines.join("\n") + "\n").expect("written");
            }
            Err(_) => drop(fs::copy(&path, target).expect("copied")),
        }
    }
    to
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
