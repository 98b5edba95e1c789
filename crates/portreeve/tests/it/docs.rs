//! The documents tell the truth.

use crate::company::portreeve;
use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Writes a generated document where UPDATE=1, else holds the one in the tree to it.
fn generated(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(&path, text).expect("written");
    }
    assert!(read(name) == text, "{name} is stale: run UPDATE=1 cargo test -p portreeve --test it docs");
}

#[test]
fn generated_documents_are_current() {
    let content = portreeve_content::Content::embedded().expect("content");
    generated("docs/detections.md", &content.detections_markdown());
    generated("docs/playbook.md", &content.playbook_markdown());
    generated("docs/cases.v1.json", &portreeve_report::json::schema());
    generated("docs/mfa-audit.v1.json", &portreeve_report::mfa_audit::schema());
    generated("docs/source.v1.json", &portreeve_sources::mapping::schema());
    generated("docs/sources.md", &sources());
    generated("docs/config-schema.json", &portreeve_server::config::schema());
    generated("docs/configuration.md", &portreeve_server::config::markdown());
    generated("docs/doors.md", &portreeve_doors::declaration::markdown());
    for s in portreeve_sources::all() {
        generated(&format!("docs/sources/{}.md", s.name), &s.markdown());
    }
    let connectors = portreeve_respond::connectors::CONNECTORS;
    generated("docs/connectors/README.md", &portreeve_respond::page::index(connectors));
    for c in connectors {
        generated(&format!("docs/connectors/{}.md", c.name), &portreeve_respond::page::markdown(c));
    }
}

/// No page is left of a source that is gone.
#[test]
fn every_page_has_its_source() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources");
    let mut pages: Vec<String> = fs::read_dir(dir)
        .expect("docs/sources")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    let mut wanted: Vec<String> = portreeve_sources::all().map(|s| format!("{}.md", s.name)).collect();
    wanted.sort();
    assert_eq!(pages, wanted);
}

fn sources() -> String {
    let all: Vec<_> = portreeve_sources::all().collect();
    let mut text = format!(
        "# Log sources\n\nGenerated from the declarations of {} sources. `IP`, `tunnel`, `end`, `MFA` and `device` say whether a source tells\nwhere somebody came from, which tunnel address the session got, when it ended, whether a second factor was passed and\nwhich device was used. A format of your own: [own-sources.md](own-sources.md).\n",
        all.len()
    );
    let mut row = "";
    for s in all {
        if s.row.folder() != row {
            row = s.row.folder();
            text.push_str(&format!("\n## {row}\n\n| source | product | events | IP | tunnel | end | MFA | device |\n|---|---|---|---|---|---|---|---|\n"));
        }
        let gives: Vec<&str> = s.gives.iter().map(|a| a.name()).collect();
        let t = s.tells();
        let mark = |told: bool| if told { "yes" } else { "" };
        text.push_str(&format!(
            "| [`{0}`](sources/{0}.md) | {1} | {2} | {3} | {4} | {5} | {6} | {7} |\n",
            s.name,
            s.title.replace('|', "\\|"),
            gives.join(", "),
            mark(t.source_ip),
            mark(t.tunnel_ip),
            mark(t.session_end),
            mark(t.mfa),
            mark(t.device)
        ));
    }
    text
}

/// The playbook names each folder of log sources, and no other.
#[test]
fn log_sources_are_the_rows_of_the_playbook() {
    let content = portreeve_content::Content::embedded().expect("content");
    let mut read: Vec<&str> = portreeve_sources::all().map(|s| s.row.folder()).collect();
    read.dedup();
    let written: Vec<&str> = content.playbook.log_sources.rows.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(read, written);
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = read("README.md");
    let mut checked = 0;
    for line in readme.lines().filter_map(|l| l.trim().strip_prefix("portreeve ")) {
        let command = line.split_whitespace().next().expect("a word");
        portreeve().args([command, "--help"]).assert().success();
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}

/// The example of docs/own-sources.md is a source that passes its own tests.
#[test]
fn the_example_of_own_sources_works() {
    let page = read("docs/own-sources.md");
    let text = page.split("```yaml\n").nth(1).and_then(|t| t.split("```").next()).expect("a YAML block");
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("gate.yml"), text).expect("written");
    let dir = dir.path().to_str().expect("a path");
    portreeve().args(["sources", "--sources", dir, "--test"]).assert().success();
    let line = "<38>Mar  6 09:12:09 gw1 gate: x from 192.0.2.9 entered from 192.0.2.1 with card and pin";
    let out = portreeve().args(["parse", "--sources", dir, "--explain", line]).output().expect("runs");
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.contains("source_ip              192.0.2.1"), "{out}");
}

/// What stands between back ticks.
fn spans(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

/// docs/security.md names tests as proof: each is there, and so is each file that is said to hold a promise.
#[test]
fn every_test_that_is_named_exists() {
    let page = read("docs/security.md");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut tests, mut files) = (0, 0);
    for span in spans(&page) {
        match span.split_once(".rs ") {
            Some((file, test)) => {
                let text = read(&format!("crates/{file}.rs"));
                assert!(text.contains(&format!("fn {test}(")), "{file}.rs has no {test}");
                tests += 1;
            }
            None if span.contains("/src/") || span.contains("/tests/") => {
                assert!(crates.join(span).exists(), "crates/{span} is not there");
                files += 1;
            }
            None => {}
        }
    }
    assert!(tests > 150 && files > 50, "{tests} tests, {files} files");
}

/// Each address in docs/api.md is one of the API, with that method.
#[test]
fn every_route_of_the_api_page_exists() {
    let document: serde_json::Value = serde_json::from_str(&read("docs/api/openapi.json")).expect("JSON");
    let there = |method: &str, path: &str| {
        let path = path.split(['?', '"', ' ']).next().expect("a path");
        let named = ["handover", "stix", "misp", "timesketch", "cacao"];
        let part = |p| match p {
            p if named.contains(&p) => "{format}",
            p if p.parse::<u32>().is_ok() => "{number}",
            p => p,
        };
        let path = path.split('/').map(part).collect::<Vec<_>>().join("/");
        let found = &document["paths"][path.as_str()];
        assert!(found.is_object(), "there is no {path}");
        assert!(method.is_empty() || found[method.to_lowercase()].is_object(), "{path} has no {method}");
    };
    let page = read("docs/api.md");
    let mut checked = 0;
    for path in page.split("\"$URL").skip(1) {
        there("", path);
        checked += 1;
    }
    for span in spans(&page) {
        if let Some((method @ ("GET" | "POST" | "PUT" | "DELETE"), path)) = span.split_once(' ') {
            there(method, path);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
