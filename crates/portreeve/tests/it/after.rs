//! Exports of a case, from the sample company to what other tools take, without a ledger and with one.

use crate::company::portreeve;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const FORMATS: [(&str, &str); 5] = [
    ("stix", "case.stix.json"),
    ("misp", "case.misp.json"),
    ("timesketch", "case.jsonl"),
    ("cacao", "case.cacao.json"),
    ("handover", "case.md"),
];

/// The sample company's report, and its first case that escalates.
fn hunted(dir: &Path) -> (PathBuf, Value) {
    let acme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme");
    let report = dir.join("report");
    let hunt = portreeve()
        .args(["hunt", &format!("{acme}/logs"), "--context", &format!("{acme}/context"), "--out"])
        .arg(&report)
        .output()
        .expect("the binary runs");
    assert!(hunt.status.success());
    let text = std::fs::read(report.join("cases.json")).expect("cases.json");
    let file: Value = serde_json::from_slice(&text).expect("JSON");
    let case = file["cases"].as_array().expect("cases").iter().find(|c| c["decision"] == "escalate");
    (report, case.expect("a case that escalates").clone())
}

fn export(report: &Path, case: &Value, format: &str, out: &Path, more: &[&str]) -> String {
    let ran = portreeve()
        .args(["respond", "export", case["case_id"].as_str().expect("an id"), "--to", format, "--in"])
        .arg(report)
        .arg("--out")
        .arg(out)
        .args(more)
        .env_remove("PORTREEVE_RESPOND")
        .env_remove("PORTREEVE_CONTEXT")
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{format}: {said}");
    said
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON")
}

/// Lets the tool's own library judge; `false` where it is not installed.
fn judged(module: &str, script: &str, file: &Path) -> bool {
    let has = Command::new("python3").args(["-c", &format!("import {module}")]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        assert!(!required(module), "CI lacks the Python module {module}");
        eprintln!("NOT SHOWN: python3 has no {module}");
        return false;
    }
    let out = Command::new("python3").args(["-c", script]).arg(file).output().expect("python3");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{module} does not take {}: {text}", file.display());
    true
}

/// In CI, what `.ci/pip.txt` lists must be there where CI installs it.
fn required(module: &str) -> bool {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/pip.txt");
    let package = if module == "stix2validator" { "stix2-validator" } else { module };
    std::env::var_os("CI").is_some()
        && std::fs::read_to_string(list).is_ok_and(|t| t.lines().any(|l| l.trim() == package))
}

const STIX: &str = "
import sys
from stix2validator import ValidationOptions, validate_file
found = validate_file(sys.argv[1], ValidationOptions(version='2.1'))
errors = [str(e) for r in found.object_results for e in (r.errors or [])]
sys.exit(0 if found.is_valid else '\\n'.join(errors) or 'not valid')
";

const MISP: &str = "
import sys
from pymisp import MISPEvent
event = MISPEvent()
event.load_file(sys.argv[1], validate=False)
assert event.attributes and event.info and event.uuid, 'empty'
assert any(t.name == 'tlp:amber' for t in event.tags), 'no TLP'
assert event.to_json(), 'cannot be written again'
";

#[test]
fn other_tools_take_what_is_exported() {
    let dir = TempDir::new().expect("a directory");
    let (report, case) = hunted(dir.path());
    let address = case["source_ips"][0].as_str().expect("an address");
    for (format, name) in FORMATS {
        let path = dir.path().join(name);
        let said = export(&report, &case, format, &path, &[]);
        assert!(said.contains("no actions are known"), "{format}: {said}");
        let text = std::fs::read_to_string(&path).expect("written");
        assert!(text.contains(address), "{format} does not tell {address}");
        let again = dir.path().join("again");
        export(&report, &case, format, &again, &[]);
        assert_eq!(text, std::fs::read_to_string(&again).expect("written"), "{format} differs");
    }
    judged("stix2validator", STIX, &dir.path().join("case.stix.json"));
    judged("pymisp", MISP, &dir.path().join("case.misp.json"));

    let lines = std::fs::read_to_string(dir.path().join("case.jsonl")).expect("written");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        for key in ["message", "datetime", "timestamp_desc"] {
            assert!(line[key].as_str().is_some_and(|t| !t.is_empty()), "{key} is missing in {line}");
        }
    }
    assert!(lines.lines().count() > case["sessions"].as_array().expect("sessions").len());

    let playbook = json(&dir.path().join("case.cacao.json"));
    let start = playbook["workflow_start"].as_str().expect("a start");
    assert_eq!(playbook["workflow"][start]["type"], "start");

    let note = std::fs::read_to_string(dir.path().join("case.md")).expect("written");
    for heading in ["## Decision", "## Open questions", "## Actions", "## Gaps", "## Lessons"] {
        assert!(note.contains(heading), "{heading} is missing");
    }
}

/// A ledger with one proven block of `address`, made for `case` and verified a minute after `at`, which leaves the
/// account out. Gives its plan's digest; a configuration lies beside it.
fn ledger(dir: &Path, case: &str, address: &str, at: i64) -> String {
    use portreeve_respond::act::Act;
    use portreeve_respond::connector::{Order, Seen};
    use portreeve_respond::ledger::{Draft, Kind, Ledger};
    use portreeve_respond::plan::{LeftOut, Plan, Step};
    use portreeve_respond::target::Target;

    let order = Order {
        act: Act::BlockAddress,
        target: Target::address(address.parse().expect("a network")),
        until: Some(at + 3_600_000_000),
        mark: "portreeve-0".into(),
        case: case.into(),
    };
    let step = Step {
        number: 1,
        device: "edge".into(),
        connector: "nftables".into(),
        proof: "proven".into(),
        order,
        because: "it is the source".into(),
        seen: Seen::default(),
        requests: vec!["nft -f -".into()],
        effect: "packets from it are dropped".into(),
        leaves_open: "its other addresses".into(),
        undo: "the element is deleted".into(),
        is_final: false,
        blast_radius: String::new(),
        weights: Vec::new(),
        caution: String::new(),
        need: Default::default(),
    };
    let plan = Plan {
        schema: "portreeve/plan/v1".into(),
        case: case.into(),
        title: "a title".into(),
        made_by: "lena".into(),
        made_at: at,
        steps: vec![step],
        left_out: vec![LeftOut {
            act: Act::DisableAccount.id().into(),
            target: "account someone".into(),
            device: String::new(),
            why: "no connector can".into(),
        }],
        watch_hours: 72,
        need: Default::default(),
    };
    let mut ledger = Ledger::open(&dir.join("ledger.db")).expect("a ledger");
    let digest = ledger.store(&plan).expect("stored");
    let mut append = |kind: Kind, step: Option<u16>, body: Value| {
        let draft = Draft { at: at + 60_000_000, actor: "tom", plan: &digest, step, kind, body };
        ledger.append(&draft).expect("appended");
    };
    append(Kind::Begun, None, serde_json::json!({"approved_by": ["tess"]}));
    append(Kind::Sent, Some(1), serde_json::json!({}));
    append(Kind::Verified, Some(1), serde_json::json!({"why": "the set holds it"}));
    std::fs::write(dir.join("respond.yml"), "ledger: ledger.db\noperators: []\nconnectors: []\n")
        .expect("written");
    digest
}

#[test]
fn a_ledger_says_what_was_done_and_what_was_not() {
    use portreeve_respond::ledger::Ledger;
    use portreeve_respond::watch::{Alarm, Tally};

    let dir = TempDir::new().expect("a directory");
    let (report, case) = hunted(dir.path());
    let id = case["case_id"].as_str().expect("an id");
    let address = case["source_ips"][0].as_str().expect("an address");
    let at = 1_773_200_000_000_000; // 2026-03-11T03:33:20Z
    let digest = ledger(dir.path(), id, address, at);
    let alarm = Alarm {
        case: id.into(),
        plan: digest,
        step: 1,
        act: "block_address".into(),
        device: "edge".into(),
        target: address.into(),
        at: at + 120_000_000,
        ineffective: true,
        user: String::new(),
        address: address.parse().ok(),
        what: "auth at gw1".into(),
        evidence: "later.log:1".into(),
    };
    let mut tally = Tally::default();
    tally.add(alarm);
    let mut book = Ledger::open(&dir.path().join("ledger.db")).expect("a ledger");
    tally.record(&mut book, at + 180_000_000).expect("recorded");
    drop(book);
    let config = dir.path().join("respond.yml");
    let config = config.to_str().expect("a path");

    for (format, name) in FORMATS {
        let path = dir.path().join(name);
        let said = export(&report, &case, format, &path, &["--config", config]);
        assert!(!said.contains("no actions are known"), "{format}: {said}");
    }
    let note = std::fs::read_to_string(dir.path().join("case.md")).expect("written");
    for text in [
        "**in force**",
        "the set holds it",
        "approved by: tess",
        "**overdue**",
        "its other addresses",
        "account someone: left out: no connector can",
        "**got in**",
        "**CONTAINMENT INEFFECTIVE**",
    ] {
        assert!(note.contains(text), "{text} is missing in\n{note}");
    }
    let bundle = json(&dir.path().join("case.stix.json"));
    let objects = bundle["objects"].as_array().expect("objects");
    let courses: Vec<&Value> = objects.iter().filter(|o| o["type"] == "course-of-action").collect();
    let [course] = courses.as_slice() else { panic!("{courses:?}") };
    let indicator =
        objects.iter().find(|o| o["type"] == "indicator" && o["pattern"].to_string().contains(address));
    let indicator = indicator.expect("an indicator");
    assert!(objects.iter().any(|o| {
        o["relationship_type"] == "mitigates"
            && o["source_ref"] == course["id"]
            && o["target_ref"] == indicator["id"]
    }));
    judged("stix2validator", STIX, &dir.path().join("case.stix.json"));
    judged("pymisp", MISP, &dir.path().join("case.misp.json"));
    let playbook = json(&dir.path().join("case.cacao.json"));
    assert_eq!(playbook["labels"][1], "done");
    let lines = std::fs::read_to_string(dir.path().join("case.jsonl")).expect("written");
    assert!(lines.contains("CONTAINMENT INEFFECTIVE") && lines.contains("\"verified\""));
}

fn explain(report: &Path, id: &str, more: &[&str]) -> (Option<i32>, String) {
    let out =
        portreeve().args(["explain", id, "--in"]).arg(report).args(more).output().expect("the binary runs");
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn explain_tells_what_was_done_where_a_ledger_is_found() {
    let dir = TempDir::new().expect("a directory");
    let (report, case) = hunted(dir.path());
    let id = case["case_id"].as_str().expect("an id");
    let address = case["source_ips"][0].as_str().expect("an address");
    let (_, nothing) = explain(&report, id, &[]);
    assert!(!nothing.contains("What was done") && !nothing.contains("ledger"), "{nothing}");
    ledger(dir.path(), id, address, 1_773_200_000_000_000);
    let given = dir.path().join("respond.yml");
    for more in
        [["--config", given.to_str().expect("a path")], ["--context", dir.path().to_str().expect("a path")]]
    {
        let (code, text) = explain(&report, id, &more);
        assert_eq!(code, Some(0), "{text}");
        for said in [
            "What was done",
            "in force Block the address",
            "proof: the set holds it",
            "connector: nftables (proven)",
            "allowed: approved by tess",
            "(overdue)",
            "left out: no connector can",
        ] {
            assert!(text.contains(said), "{more:?}: {said} is missing in {text}");
        }
    }
    // Asked for and not there: said in a line. Found and not there: nothing is said.
    std::fs::remove_file(dir.path().join("ledger.db")).expect("removed");
    let (code, text) = explain(&report, id, &["--config", given.to_str().expect("a path")]);
    assert!(code == Some(0) && text.contains("What was done is not known: there is no ledger"), "{text}");
    let (_, text) = explain(&report, id, &["--context", dir.path().to_str().expect("a path")]);
    assert!(!text.contains("What was done"), "{text}");
    assert!(!dir.path().join("ledger.db").exists(), "to look for a ledger makes none");
    let (code, _) = explain(&report, id, &["--config", "nowhere.yml"]);
    assert_eq!(code, Some(64));
}

#[test]
fn a_hunt_with_a_ledger_marks_who_got_in_after_containment() {
    let dir = TempDir::new().expect("a directory");
    let (_, case) = hunted(dir.path());
    let id = case["case_id"].as_str().expect("an id");
    let address = case["source_ips"][0].as_str().expect("an address");
    let first: jiff::Timestamp = case["first_seen"].as_str().expect("a time").parse().expect("a time");
    // Another case blocked the address ten minutes before this case begins.
    let digest = ledger(dir.path(), "20260101-000000", address, first.as_microsecond() - 600_000_000);
    let acme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme");
    let context = format!("{acme}/context");
    let config = dir.path().join("respond.yml");
    let out = dir.path().join("again");
    let hunt = || {
        let ran = portreeve()
            .args(["hunt", &format!("{acme}/logs"), "--context", &context, "--out"])
            .arg(&out)
            .arg("--config")
            .arg(&config)
            .env("COLUMNS", "160")
            .output()
            .expect("the binary runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8")
    };
    let table = hunt();
    let step = format!("step 1 of plan {} (Block the address: {address} at edge)", &digest[..12]);
    // Once above the cases, once in the case.
    assert!(table.matches("CONTAINMENT INEFFECTIVE").count() >= 2, "{table}");
    assert!(table.matches(&step).count() >= 2, "{step} is missing in {table}");
    let cases = json(&out.join("cases.json"));
    let all = &cases["containment_ineffective"];
    assert_eq!((&all[0]["step"], &all[0]["case_id"]), (&Value::from(1), &Value::from("20260101-000000")));
    let marked = cases["cases"].as_array().expect("cases").iter().find(|c| c["case_id"] == id).expect("it");
    let mark = &marked["containment_ineffective"][0];
    assert_eq!((&mark["plan"], &mark["device"]), (&Value::from(&digest[..12]), &Value::from("edge")));
    assert!(
        mark["times"].as_u64().expect("a number") > 0
            && mark["evidence"].as_str().expect("text").contains(':')
    );
    // Its own ledger holds nothing of this case, and that is said.
    assert_eq!(marked["aftermath"]["ledger_read"], Value::from(true));
    assert_eq!(marked["aftermath"]["actions"], serde_json::json!([]));
    let unmarked =
        cases["cases"].as_array().expect("cases").iter().filter(|c| c["containment_ineffective"].is_null());
    assert!(unmarked.count() > 0, "cases of others are not marked");
    let page = std::fs::read_to_string(out.join("report.html")).expect("written");
    assert!(page.contains("Containment that did not hold") && page.contains("What was done"));
    let note = std::fs::read_to_string(out.join("report.md")).expect("written");
    assert!(note.contains("**CONTAINMENT INEFFECTIVE** step 1 of plan"));

    // The ledger knows it now: read again nothing is new, here or by `respond watch`.
    let entries = || {
        let ledger =
            portreeve_respond::ledger::Ledger::open(&dir.path().join("ledger.db")).expect("a ledger");
        ledger.since(i64::MIN).expect("read").len()
    };
    let before = entries();
    assert!(hunt().contains(&step));
    assert_eq!(entries(), before);
    let watch = portreeve()
        .args(["respond", "watch", &format!("{acme}/logs"), "--context", &context, "--config"])
        .arg(&config)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&watch.stdout).into_owned();
    assert_eq!(watch.status.code(), Some(1), "{text}");
    assert!(text.contains("; 0 told for the first time"), "{text}");

    // What the hunt read is shown by `explain` without the ledger.
    let (_, text) = explain(&out, id, &[]);
    assert!(text.contains("CONTAINMENT INEFFECTIVE") && text.contains("of case 20260101-000000"), "{text}");
}

#[test]
fn without_a_ledger_a_hunt_says_nothing_of_containment_and_a_broken_configuration_stops_none() {
    let dir = TempDir::new().expect("a directory");
    let acme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme");
    let (report, case) = hunted(dir.path());
    assert!(case.get("aftermath").is_none() && case.get("containment_ineffective").is_none());
    let page = std::fs::read_to_string(report.join("report.html")).expect("written");
    assert!(!page.contains("What was done") && !page.contains("did not hold"));
    let context = dir.path().join("context");
    std::fs::create_dir(&context).expect("made");
    std::fs::write(context.join("respond.yml"), "ledger: [\n").expect("written");
    let hunt = |more: &[&str]| {
        let out = portreeve()
            .args(["hunt", &format!("{acme}/logs"), "--context"])
            .arg(&context)
            .args(more)
            .output()
            .expect("the binary runs");
        (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (code, text) = hunt(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("what was done about cases is not shown"), "{text}");
    let given = context.join("respond.yml");
    let (code, text) = hunt(&["--config", given.to_str().expect("a path")]);
    assert_eq!(code, Some(64), "{text}");
}

#[test]
fn an_unknown_format_or_case_is_a_wrong_call() {
    let dir = TempDir::new().expect("a directory");
    let (report, case) = hunted(dir.path());
    for (case, format) in [(case["case_id"].as_str().expect("an id"), "pdf"), ("no-such-case", "stix")] {
        let out = portreeve()
            .args(["respond", "export", case, "--to", format, "--in"])
            .arg(&report)
            .output()
            .expect("the binary runs");
        assert_eq!(out.status.code(), Some(64), "{case} {format}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(out.stdout.is_empty());
    }
}
