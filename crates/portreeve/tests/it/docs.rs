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
    generated("docs/sources.md", &sources());
}

fn sources() -> String {
    let mut text = String::from("# Log sources\n\nGenerated from the declarations in `crates/sources`.\n");
    let mut row = "";
    for s in portreeve_sources::all() {
        if s.row.folder() != row {
            row = s.row.folder();
            text.push_str(&format!("\n## {row}\n\n| source | product | tells | never tells | how to turn it on |\n|---|---|---|---|---|\n"));
        }
        let gives: Vec<&str> = s.gives.iter().map(|a| a.name()).collect();
        let lacks: Vec<&str> = s.lacks.iter().map(|f| f.name()).collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            s.name,
            s.title,
            gives.join(", "),
            lacks.join(", "),
            s.enable.replace('|', "\\|")
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
