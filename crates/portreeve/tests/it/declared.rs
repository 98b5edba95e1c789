//! What `log_sources.csv` declares, and what records tell of clocks and zones that nobody declared.

use assert_cmd::Command;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn portreeve() -> Command {
    Command::cargo_bin("portreeve").expect("built")
}

/// A source of a site's own; two of them with other names claim the same records.
fn gate(name: &str) -> String {
    format!(
        r#"
name: {name}
title: Our {name}
row: remote
enable: always on
format: text
claim: {{program: gate, contains: [" entered from "]}}
rules:
  - pattern: "{{user>}} entered from {{source_ip}}"
    act: session_start
    set: {{outcome: success, service: vpn}}
tests:
  - line: "<38>Mar  6 09:12:09 gw1 gate: anna entered from 192.0.2.1"
    gives: "2026-03-06T09:12:09Z session_start success service=vpn user=anna src=192.0.2.1 observer=gw1 time=year and zone assumed"
"#
    )
}

fn run_json(dir: &Path, arguments: &[&str]) -> Value {
    portreeve()
        .current_dir(dir)
        .args(["hunt", "--year", "2026", "--out", "out"])
        .args(arguments)
        .assert()
        .success();
    serde_json::from_str(&fs::read_to_string(dir.join("out/run.json")).expect("run.json")).expect("JSON")
}

#[test]
fn the_named_product_reads_what_several_claim() {
    let dir = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
    fs::create_dir_all(dir.path().join("context/sources.d")).expect("a folder");
    for name in ["gate", "door"] {
        file(&format!("context/sources.d/{name}.yml"), &gate(name));
    }
    let lines = "<38>Mar  6 09:12:09 gw1 gate: anna entered from 192.0.2.1\n".repeat(3)
        + "<38>Mar  6 09:13:09 gw1 sshd[9]: Accepted password for anna from 192.0.2.1 port 22 ssh2\n"
        + "<38>Mar  6 09:14:09 gw1 gate: bruno entered from 192.0.2.2\n"
        + "neither\n";
    file("a.log", &lines);
    // More than one thread reads it together.
    file("b.log", &lines.repeat(6_000));
    let run = |context: &[&str]| {
        run_json(dir.path(), &[&["a.log", "b.log", "--context", "context"], context].concat())
    };
    let warned = |run: &Value| run["warnings"].to_string().contains("ambiguous");

    let before = run(&[]);
    assert!(warned(&before), "{before}");
    let by_default = before["inputs"][0]["sources"][0].as_str().expect("a source").to_owned();
    let other = if by_default == "gate" { "door" } else { "gate" };

    file("context/log_sources.csv", &format!("file,source\n*.log,{other}\n"));
    for threads in ["1", "3"] {
        let after = run(&["--threads", threads]);
        assert!(!warned(&after), "{after}");
        for (input, times) in [(0, 1), (1, 6_000)] {
            let read = &after["inputs"][input];
            assert_eq!(read["sources"], json!([other, "openssh"]), "{read}");
            assert_eq!(read["counts"]["records"], 6 * times, "{read}");
            assert_eq!(read["counts"]["understood"], 5 * times, "{read}");
            assert_eq!(read["counts"]["unknown"], times, "{read}");
        }
        let counts = |name: &str| {
            let all = after["sources"].as_array().expect("sources");
            all.iter().find(|s| s["source"] == name).map(|s| s["counts"]["records"].clone())
        };
        assert_eq!(counts(other), Some(json!(4 * 6_001)));
        assert_eq!(counts("openssh"), Some(json!(6_001)));
        assert_eq!(counts(&by_default), None);
    }
}

#[test]
fn a_product_that_is_nearly_known_is_told_and_own_words_are_no_mistake() {
    let dir = TempDir::new().expect("a folder");
    fs::write(
        dir.path().join("log_sources.csv"),
        "file,source\na.log,openssh\nb.log,open-ssh\nc.log,\nd.log,win\n",
    )
    .expect("written");
    let done = portreeve().current_dir(dir.path()).args(["doctor", "--context", "."]).assert();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(text.contains("log_sources.csv:3: ") && text.contains("did you mean openssh?"), "{text}");
    assert!(!text.contains(".csv:2:") && !text.contains(".csv:4:") && !text.contains(".csv:5:"), "{text}");
}

/// A relay's own time around stamps that name no zone.
#[test]
fn whole_hours_between_device_and_collector_are_a_zone() {
    let dir = TempDir::new().expect("a folder");
    let lines: String = (0..30)
        .map(|n| {
            let message =
                format!("Mar  4 12:{n:02}:00 gw1 sshd[9]: Accepted password for anna from 192.0.2.1 port 22 ssh2");
            json!({"@timestamp": format!("2026-03-04T10:{n:02}:03Z"), "message": message, "host": {"name": "relay"}})
                .to_string()
                + "\n"
        })
        .collect();
    fs::write(dir.path().join("a.ndjson"), lines).expect("written");
    let clocks = |run: &Value| run["inputs"][0]["clocks"].clone();
    let run = run_json(dir.path(), &["a.ndjson"]);
    assert_eq!(clocks(&run), json!([{"source": "openssh", "fast_by_s": 7197, "records": 30, "zone": true}]));
    assert_eq!(clocks(&run_json(dir.path(), &["a.ndjson", "--tz", "Etc/GMT-2"])), json!([]));
    // A declared zone that is the wrong one is told as a clock.
    let run = run_json(dir.path(), &["a.ndjson", "--tz", "UTC"]);
    assert_eq!(clocks(&run)[0]["zone"], json!(false));
    let table =
        portreeve().current_dir(dir.path()).args(["hunt", "--year", "2026", "a.ndjson"]).assert().success();
    let table = String::from_utf8_lossy(&table.get_output().stdout).replace("\n ", "");
    assert!(table.contains("openssh writes local time"), "{table}");
}
