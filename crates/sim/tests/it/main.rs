//! Whole companies: the same twice, labels that point at real lines, and context that parses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use jiff::civil::Date;
use portreeve_sim::{Labels, Plan, Summary, evaluate, read_labels, simulate};

fn small(seed: u64) -> Plan {
    Plan { users: 40, days: 10, seed, start: Date::constant(2026, 3, 2) }
}

fn written(plan: &Plan) -> (tempfile::TempDir, Summary) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let summary = simulate(plan, folder.path()).expect("simulates");
    (folder, summary)
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let short = path.strip_prefix(root).expect("inside").to_path_buf();
                all.insert(short, fs::read(&path).expect("readable"));
            }
        }
    }
    all
}

fn unpacked(root: &Path, file: &str) -> String {
    let bytes = fs::read(root.join("logs").join(file)).expect("the file a label names exists");
    if !file.ends_with(".gz") {
        return String::from_utf8(bytes).expect("UTF-8");
    }
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("gzip");
    text
}

/// The record at a label's spot.
fn record(root: &Path, file: &str, line: usize) -> Option<String> {
    let text = unpacked(root, file);
    if file.starts_with("cloudtrail") {
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        return value["Records"].get(line - 1).map(ToString::to_string);
    }
    text.lines().nth(line - 1).map(str::to_owned)
}

fn labels(root: &Path) -> Labels {
    read_labels(root).expect("labels")
}

#[test]
fn one_seed_one_company() {
    let (first, _) = written(&small(7));
    let (again, _) = written(&small(7));
    let (other, _) = written(&small(8));
    let (first, again, other) = (files(first.path()), files(again.path()), files(other.path()));
    assert_eq!(first.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    for (path, bytes) in &first {
        assert!(again.get(path) == Some(bytes), "{} differs", path.display());
    }
    assert!(first.values().ne(other.values()));
}

#[test]
fn a_small_company_has_enough_to_judge() {
    for seed in [1, 2, 3] {
        let (_folder, summary) = written(&small(seed));
        assert!(summary.attacks >= 6 && summary.lookalikes >= 5, "{seed}: {summary:?}");
    }
}

#[test]
fn evidence_stands_where_the_labels_say() {
    let (folder, _) = written(&small(11));
    let truth = labels(folder.path());
    let mut looked = 0;
    for label in truth.incidents.iter().chain(&truth.lookalikes) {
        let mut names: Vec<String> = label.aliases.values().flatten().map(|n| n.to_lowercase()).collect();
        names.extend(label.attacker_ips.iter().chain(&label.ips).chain(&label.tunnel_ips).cloned());
        // A named spot is about the incident: among a source's spots at least one names an account or an address.
        for (source, spots) in &label.evidence {
            let texts: Vec<String> = spots
                .iter()
                .map(|s| record(folder.path(), &s.file, s.line).expect("the line exists").to_lowercase())
                .collect();
            looked += texts.len();
            let about = texts
                .iter()
                .any(|t| names.iter().any(|n| t.contains(&n.replace('\\', "\\\\")) || t.contains(n)));
            let layer2 = ["cisco_ios", "isc_dhcp", "fortigate", "cisco_asa"].contains(&source.as_str());
            assert!(about || layer2, "{} {source}: {texts:?}", label.id);
        }
    }
    assert!(looked > 100);
}

#[test]
fn history_comes_first_and_answers_are_complete() {
    let plan = small(5);
    let (folder, _) = written(&plan);
    let truth = labels(folder.path());
    for attack in &truth.incidents {
        assert!(attack.start.as_str() >= "2026-03-06", "{} starts {}", attack.id, attack.start);
        assert_eq!(attack.expected_answers.len(), 7);
        assert_eq!(attack.expected_criteria.len(), 4);
        assert!(attack.stages.contains_key("first_success"), "{}", attack.id);
        assert!(attack.start <= attack.end);
    }
}

#[test]
fn a_file_without_redelivery_is_in_time_order() {
    let (folder, _) = written(&small(5));
    let text = unpacked(folder.path(), "k8s-audit.ndjson");
    let mut last = String::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let at = value["requestReceivedTimestamp"].as_str().expect("a time").to_owned();
        assert!(at >= last, "{at} after {last}");
        last = at;
    }
    assert!(!last.is_empty());
}

#[test]
fn some_records_are_delivered_twice_and_the_last_is_torn() {
    let (folder, _) = written(&Plan { users: 120, ..small(5) });
    let text = unpacked(folder.path(), "okta-system-log.ndjson");
    let distinct: std::collections::BTreeSet<&str> = text.lines().collect();
    assert!(distinct.len() < text.lines().count(), "no record came twice");
    let text = unpacked(folder.path(), "openvpn-ovpn-01.log");
    assert!(!text.ends_with('\n') && !text.is_empty());
}

#[test]
fn an_empty_hunt_finds_nothing_and_raises_nothing() {
    let (folder, summary) = written(&small(5));
    let cases = folder.path().join("cases.json");
    fs::write(&cases, "[]").expect("writable");
    let evaluation = evaluate(folder.path(), &cases).expect("scores");
    assert_eq!((evaluation.attacks, evaluation.attacks_escalated), (summary.attacks, 0));
    assert_eq!(evaluation.missed.len(), summary.attacks);
    assert_eq!(evaluation.false_escalations, 0);
}

#[test]
fn a_perfect_hunt_scores_full_marks() {
    let (folder, summary) = written(&small(5));
    let truth = labels(folder.path());
    let cases: Vec<serde_json::Value> = truth
        .incidents
        .iter()
        .map(|l| {
            serde_json::json!({"id": l.id, "principals": l.principals, "source_ips": l.attacker_ips, "decision": "escalate",
                "risk_score": 90, "first_seen": l.start, "last_seen": l.end,
                "questions": l.expected_answers, "criteria": l.expected_criteria})
        })
        .collect();
    let path = folder.path().join("cases.json");
    fs::write(&path, serde_json::json!({"cases": cases}).to_string()).expect("writable");
    let evaluation = evaluate(&folder.path().join("labels/labels.json"), &path).expect("scores");
    assert_eq!((evaluation.attacks_escalated, evaluation.false_escalations), (summary.attacks, 0));
    assert_eq!(
        evaluation.answers_together.right, evaluation.answers_together.counted,
        "{:?}",
        evaluation.wrong
    );
    assert!(evaluation.answers_together.counted > 20);
}

#[test]
fn plans_out_of_bounds_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan { users: 3, ..small(1) };
    let error = simulate(&plan, folder.path()).expect_err("three users are no company").to_string();
    assert!(error.contains("3") && error.contains("10 to 20000"), "{error}");
}

#[test]
fn every_scenario_finds_its_cast_in_a_company_of_400() {
    let plan = Plan { users: 400, days: 12, seed: 3, start: Date::constant(2026, 3, 2) };
    let (folder, summary) = written(&plan);
    assert_eq!((summary.attacks, summary.lookalikes), (22, 15));
    let truth = labels(folder.path());
    let mut named: Vec<&str> =
        truth.incidents.iter().chain(&truth.lookalikes).map(|l| l.scenario.as_str()).collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), 37, "each scenario once");
    for label in truth.incidents.iter().chain(&truth.lookalikes) {
        for (expected, acceptable) in [
            (&label.expected_answers, &label.acceptable_answers),
            (&label.expected_criteria, &label.acceptable_criteria),
        ] {
            for (id, fine) in acceptable {
                assert!(
                    fine.contains(&expected[id]),
                    "{} {id}: {fine:?} lacks {}",
                    label.scenario,
                    expected[id]
                );
            }
        }
    }
    for label in &truth.incidents {
        let listed = label.expected_answers["known_malicious_ip"] == "yes";
        assert_eq!(listed, label.scenario == "listed_address", "{}", label.scenario);
    }
    // Nobody's account is in two attacks, or an answer could not be told apart.
    let mut principals: Vec<&String> = truth.incidents.iter().flat_map(|l| &l.principals).collect();
    let all = principals.len();
    principals.sort_unstable();
    principals.dedup();
    assert_eq!(principals.len(), all);
}
