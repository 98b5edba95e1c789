//! What an intruder writes into a log arrives nowhere as anything but text.

use crate::company::portreeve;
use std::fs;
use tempfile::TempDir;

/// Names that are markup, escapes, formulas or tricks of direction somewhere.
pub(crate) const NAMES: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "\u{1b}[31mred\u{1b}[0m\u{7}",
    "=cmd|'/c calc'!A1",
    "| a | b |\\| `code` [x](javascript:alert(1))",
    "\u{202e}gnp.exe",
    "{{7*7}}${7*7}",
    "'; DROP TABLE users; --",
];

/// A folder in which each of the names guesses long and gets in.
pub(crate) fn logs() -> TempDir {
    let dir = TempDir::new().expect("temporary directory");
    let mut text = String::new();
    for (n, name) in NAMES.iter().enumerate() {
        for second in 0..40 {
            text.push_str(&format!(
                "2026-03-04T0{n}:00:{second:02}Z bastion sshd[9]: Failed password for {name} from 203.0.113.{n} port 22 ssh2\n"
            ));
        }
        text.push_str(&format!(
            "2026-03-04T0{n}:01:00Z bastion sshd[9]: Accepted password for {name} from 203.0.113.{n} port 22 ssh2\n"
        ));
    }
    fs::write(dir.path().join("auth.log"), text).expect("written");
    dir
}

fn run(args: &[&str], dir: &TempDir) -> String {
    let out = portreeve().current_dir(dir.path()).args(args).output().expect("the binary runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// No character that a terminal, an editor or a browser obeys.
pub(crate) fn only_text(format: &str, text: &str) {
    for c in text.chars() {
        let obeyed = c.is_control() && c != '\n' && c != '\t'
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c);
        assert!(!obeyed, "{format} holds U+{:04X}", u32::from(c));
    }
}

#[test]
fn in_no_format_is_a_name_more_than_text() {
    let dir = logs();
    let table = run(&["hunt", "."], &dir);
    only_text("table", &table);
    run(&["hunt", ".", "--out", "out"], &dir);
    let read = |name: &str| fs::read_to_string(dir.path().join("out").join(name)).expect("written");
    let cases: serde_json::Value = serde_json::from_str(&read("cases.json")).expect("JSON");
    let found = cases["cases"].as_array().expect("cases");
    assert!(found.len() >= NAMES.len(), "{} cases", found.len());
    for line in read("cases.ndjson").lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
    for name in ["cases.json", "cases.ndjson", "report.md", "report.html"] {
        only_text(name, &read(name));
    }
    let html = read("report.html");
    assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "the name is shown");
    for active in ["<script", "<img", "javascript:alert(1)\"", "onerror=alert(1)>\n"] {
        assert!(!html.contains(active), "report.html holds {active}");
    }
    let markdown = read("report.md");
    for active in ["<script", "<img", "[x](javascript"] {
        assert!(!markdown.contains(active), "report.md holds {active}");
    }
    for case in found {
        let id = case["case_id"].as_str().expect("an id");
        only_text("explain", &run(&["explain", id, "--in", "out"], &dir));
        for format in ["stix", "misp", "timesketch", "cacao", "handover"] {
            let text = run(&["respond", "export", id, "--in", "out", "--to", format], &dir);
            only_text(format, &text);
            match format {
                "handover" => assert!(!text.contains("<script") && !text.contains("[x](javascript")),
                "timesketch" => text.lines().for_each(|l| drop(json(l))),
                _ => drop(json(&text)),
            }
        }
    }
    for format in ["ecs", "ocsf", "json"] {
        let events = run(&["parse", "--to", format, "auth.log"], &dir);
        only_text(format, &events);
        for line in events.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        }
    }
}
