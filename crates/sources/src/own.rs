//! A site's own sources: the text files of a `sources.d`.

use crate::catalog::Catalog;
use crate::mapping;
use crate::source::Source;
use std::path::{Path, PathBuf};

/// Everything that is wrong with a folder of sources, each with its file.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct OwnError {
    pub problems: Vec<String>,
}

/// The built-in sources and those of `dir`, whose files are checked against their own test lines first.
pub fn catalog(dir: &Path) -> Result<&'static Catalog, OwnError> {
    let own = load(dir)?;
    Ok(Box::leak(Box::new(Catalog::with(own))))
}

fn load(dir: &Path) -> Result<Vec<&'static Source>, OwnError> {
    let shown = dir.display();
    let entries = std::fs::read_dir(dir).map_err(|e| OwnError { problems: vec![format!("{shown}: {e}")] })?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "yml" || e == "yaml"))
        .collect();
    files.sort();
    let (mut own, mut problems): (Vec<&'static Source>, Vec<String>) = Default::default();
    if files.is_empty() {
        problems.push(format!("{shown}: holds no *.yml; see docs/own-sources.md"));
    }
    for file in files {
        let shown = file.display();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) => {
                problems.push(format!("{shown}: {e}"));
                continue;
            }
        };
        match mapping::source(&text) {
            Err(error) => problems.extend(error.problems.iter().map(|p| format!("{shown}: {p}"))),
            Ok(source) => {
                problems.extend(mapping::failures(source).iter().map(|f| {
                    format!(
                        "{shown}: tests[{}]: gives\n    {}\n  and not\n    {}\n  for\n    {}",
                        f.number - 1,
                        f.got,
                        f.wanted,
                        f.line
                    )
                }));
                if own.iter().any(|s| s.name == source.name) {
                    problems
                        .push(format!("{shown}: name: another file here is called `{}` too", source.name));
                }
                own.push(source);
            }
        }
    }
    if problems.is_empty() { Ok(own) } else { Err(OwnError { problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: &str = r#"
name: gate
title: Our gate
row: remote
enable: always on
format: text
claim: {contains: ["gate: "]}
rules:
  - pattern: "gate: {user>} entered from {source_ip}"
    act: session_start
    set: {outcome: success, service: vpn}
tests:
  - line: "<38>Mar  6 09:12:09 gw1 gate: anna entered from 192.0.2.1"
    gives: "2026-03-06T09:12:09Z session_start success service=vpn user=anna src=192.0.2.1 observer=gw1 time=year and zone assumed"
"#;

    fn problems(files: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let found = load(dir.path()).map_or_else(|e| e.to_string(), |own| format!("{} read", own.len()));
        found.replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn a_good_file_is_read_and_a_bad_one_says_what_is_wrong() {
        let text =
            GATE.replace("gate: \"]}", "gate: \"], program: gate}").replace("gate: {user>}", "{user>}");
        assert_eq!(problems(&[("gate.yml", &text)]), "1 read", "{text}");
        assert!(problems(&[]).contains("holds no *.yml"));
        let wrong = text.replace("success, service", "succes, service");
        let said = problems(&[("gate.yml", &wrong)]);
        assert!(
            said.starts_with("gate.yml: rules[0]: outcome: outcome: `succes` is none of unknown, success"),
            "{said}"
        );
        let said = problems(&[("gate.yml", &text.replace("user=anna", "user=bruno"))]);
        assert!(
            said.starts_with("gate.yml: tests[0]: gives\n    2026-03-06T09:12:09Z session_start"),
            "{said}"
        );
        let said = problems(&[("gate.yml", &text.replace("act: session_start", "act: enter"))]);
        assert!(said.contains("act: `enter` is none of lease, nac"), "{said}");
        let said = problems(&[("gate.yml", &text.replace("    set:", "    sets:"))]);
        assert!(said.contains("unknown field `sets`") && said.contains("line"), "{said}");
        assert!(problems(&[("a.yml", &text), ("b.yml", &text)]).contains("another file here"));
    }

    #[test]
    fn a_sites_own_source_wins_over_a_built_in_one_of_its_name() {
        let text = GATE.replace("name: gate", "name: openssh");
        let own = mapping::source(&text).expect("a source");
        let catalog = Catalog::with(vec![own]);
        assert_eq!(catalog.by_name("openssh").map(|s| s.title), Some("Our gate"));
        assert_eq!(catalog.all().filter(|s| s.name == "openssh").count(), 1);
    }
}
