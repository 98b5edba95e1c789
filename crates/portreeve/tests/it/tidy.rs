//! The house keeps its shape.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The table of ARCHITECTURE.md: what each crate may import.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut table = BTreeMap::new();
    for line in text
        .lines()
        .skip_while(|l| !l.starts_with("## Who may import whom"))
        .take_while(|l| !l.starts_with("## What is absent"))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, name, _, imports, _] = cells.as_slice()
            && let Some(name) = name.strip_prefix('`').and_then(|n| n.strip_suffix('`'))
        {
            table.insert(name.to_owned(), imports.split(", ").map(str::to_owned).collect());
        }
    }
    table
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let table = allowed();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo");
    let doc: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for package in doc["packages"].as_array().expect("packages") {
        let short = |n: &str| n.strip_prefix("portreeve-").unwrap_or(n).to_owned();
        let name = short(package["name"].as_str().expect("a name"));
        let may = table.get(&name).unwrap_or_else(|| panic!("ARCHITECTURE.md does not list {name}"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let other = dependency["name"].as_str().expect("a name");
            if other.starts_with("portreeve") && dependency["kind"].is_null() {
                assert!(
                    may.iter().any(|m| *m == short(other) || m == "all"),
                    "{name} may not import {other}"
                );
            }
        }
    }
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_rooms_and_not_halls() {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    assert!(files.len() > 50);
    for path in files {
        let text = fs::read_to_string(&path).expect("text");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            !["utils.rs", "common.rs", "helpers.rs", "types.rs"].contains(&name.as_str()),
            "{}",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= 900, "{} has {lines} lines: what else lives in it?", path.display());
        if name != "main.rs" {
            assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
        }
    }
}
