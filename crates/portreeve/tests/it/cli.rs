//! The command line: statuses, help, errors that name what to do.

use crate::company::{company, portreeve};
use std::fs;
use tempfile::TempDir;

#[test]
fn help_teaches() {
    let out = portreeve().arg("hunt").arg("--help").assert().success();
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    for word in ["--context", "--fail-on", "--state", "Examples:"] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn usage_errors_are_status_64() {
    for args in [
        &["hunt"][..],
        &["hunt", "x", "--since", "yesterday"],
        &["hunt", "x", "--tz", "Mars/Base"],
        &["hunt", "/no/such/place"],
        &["parse", "--source", "nope", "-"],
    ] {
        portreeve().args(args).assert().code(64);
    }
}

#[test]
fn fail_on_gives_status_1() {
    portreeve()
        .arg("hunt")
        .arg(company().join("logs"))
        .arg("--context")
        .arg(company().join("context"))
        .args(["--fail-on", "escalate"])
        .assert()
        .code(1);
}

#[test]
fn a_bad_context_names_file_and_line() {
    let dir = TempDir::new().expect("temporary directory");
    fs::write(
        dir.path().join("travel.csv"),
        "user,from,to,country,city\nanna,2026-03-02,2026-02-27,FR,Paris\n",
    )
    .expect("written");
    let assert = portreeve()
        .arg("hunt")
        .arg(company().join("logs"))
        .arg("--context")
        .arg(dir.path())
        .assert()
        .code(64);
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(error.contains("travel.csv:2:"), "{error}");
}

#[test]
fn explain_shows_the_reasoning_of_a_case() {
    let out = TempDir::new().expect("temporary directory");
    portreeve()
        .arg("hunt")
        .arg(company().join("logs"))
        .arg("--context")
        .arg(company().join("context"))
        .arg("--out")
        .arg(out.path())
        .assert()
        .success();
    let doc: serde_json::Value =
        serde_json::from_slice(&fs::read(out.path().join("cases.json")).expect("written")).expect("JSON");
    let case = &doc["cases"][0];
    let id = case["case_id"].as_str().expect("an id");
    let text = portreeve().args(["explain", id, "--in"]).arg(out.path()).assert().success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert!(text.contains(id));
    let indicator = case["indicators"][0]["id"].as_str().expect("an indicator");
    assert!(text.contains(indicator), "{indicator} is missing in\n{text}");
    portreeve().args(["explain", "zzz", "--in"]).arg(out.path()).assert().code(64);
}

#[test]
fn evidence_opens_the_line_it_names() {
    let output = portreeve()
        .current_dir(company())
        .args(["hunt", "logs", "--context", "context", "--format", "json"])
        .output()
        .expect("runs");
    let doc: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut checked = 0;
    for case in doc["cases"].as_array().expect("cases") {
        for evidence in case["indicators"]
            .as_array()
            .expect("indicators")
            .iter()
            .flat_map(|i| i["evidence"].as_array().expect("evidence"))
        {
            let file = evidence["file"].as_str().expect("a file");
            let raw = evidence["raw"].as_str().expect("a raw record");
            assert!(!raw.is_empty(), "{evidence}");
            if let Ok(text) = fs::read_to_string(company().join(file))
                && file.ends_with(".log")
            {
                let line = evidence["line"].as_u64().expect("a line") as usize;
                assert!(
                    text.lines().nth(line - 1).is_some_and(|l| l.contains(raw.trim_end())),
                    "{file}:{line}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn one_object_per_line() {
    let input = "Mar  4 10:00:00 gw1 sshd[9]: Accepted password for anna from 203.0.113.7 port 22 ssh2\nnonsense\n{\"id\":3,\"message\":\"<38>Mar  4 10:00:00 gw1 sshd[9]: Accepted password for bob from 203.0.113.8 port 22 ssh2\"}\n";
    let out = portreeve()
        .args(["parse", "--to", "ecs", "--one-per-line", "--year", "2026", "-"])
        .write_stdin(input)
        .assert()
        .success();
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["user"]["name"], "anna");
    assert_eq!(lines[0]["@timestamp"], "2026-03-04T10:00:00Z");
    assert_eq!(lines[1], serde_json::json!({}));
    assert_eq!(lines[2]["source"]["ip"], "203.0.113.8");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("portreeve"))
        .args(["sources"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let status = child.wait().expect("ends");
    assert!(status.success(), "{status}");
}

#[test]
fn detections_are_tested_by_their_examples() {
    let out = portreeve().args(["detections", "--test"]).assert().success();
    assert!(String::from_utf8_lossy(&out.get_output().stdout).contains("examples expect"));
    let dir = TempDir::new().expect("a directory");
    let (family, scoring) = (dir.path().join("detections/mine"), dir.path().join("scoring"));
    fs::create_dir_all(&family).expect("directories");
    fs::create_dir_all(&scoring).expect("directories");
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/scoring/groups.yml");
    fs::copy(shipped, scoring.join("groups.yml")).expect("copied");
    let mine = r#"
id: mine.lisbon
title: In from elsewhere
technique: [T1133]
row: indicators.unfamiliar_place
group: place
points: 3
needs: [source_ip]
when: [{entered: true}, {place_novelty: {min: new_network}}]
because: elsewhere
examples:
  - fires: from Lisbon
    story: [anna works 10d vpn from home, 0 anna enters vpn from lisbon]
  - silent: at home
    story: [anna works 10d vpn from home, 0 anna enters vpn from PLACE]
"#;
    let test = |place: &str, code: i32| {
        fs::write(family.join("lisbon.yml"), mine.replace("PLACE", place)).expect("written");
        let out = portreeve().args(["detections", "--test", "--content"]).arg(dir.path()).assert().code(code);
        String::from_utf8_lossy(&out.get_output().stderr).into_owned()
    };
    test("home", 0);
    let fires = test("hamburg", 65);
    assert!(fires.contains("mine.lisbon: \"at home\" fires"), "{fires}");
    let typo = test("hoem", 64);
    assert!(typo.contains("detections/mine/lisbon.yml: example 2: ") && typo.contains("`hoem`"), "{typo}");
}

#[test]
fn evidence_of_standard_input_has_its_text() {
    let line = |second: u32, what: &str| {
        format!(
            "2026-03-04T10:00:{second:02}Z gw1 sshd[9]: {what} password for anna from 203.0.113.7 port 22 ssh2\n"
        )
    };
    let mut input: String = (0..40).map(|n| line(n, "Failed")).collect();
    input.push_str(&line(59, "Accepted"));
    let out = portreeve().args(["hunt", "-", "--format", "json"]).write_stdin(input).assert().success();
    let doc: serde_json::Value = serde_json::from_slice(&out.get_output().stdout).expect("JSON");
    let evidence = doc["cases"][0]["indicators"][0]["evidence"].as_array().expect("evidence");
    for e in evidence {
        assert_eq!(e["file"], "-");
        assert!(e["raw"].as_str().expect("text").contains("password for anna"), "{e}");
    }
    assert!(!evidence.is_empty());
}

/// A product that changes the wording of its messages shows in the run, with the day.
#[test]
fn a_changed_format_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut lines = String::new();
    for (day, word) in [(1, "Accepted"), (2, "Accepted"), (3, "Let in by"), (4, "Let in by")] {
        // One message that stays tells the day.
        lines.push_str(&format!("<38>Mar  {day} 08:00:00 gw1 sshd[1]: Accepted password for bruno from 192.0.2.9 port 40000 ssh2\n"));
        for n in 0..100 {
            lines.push_str(&format!(
                "<38>Mar  {day} 09:{:02}:09 gw1 sshd[{n}]: {word} password for anna from 192.0.2.1 port 4{n:04} ssh2\n",
                n % 60
            ));
        }
    }
    std::fs::write(dir.path().join("auth.log"), lines).expect("written");
    let out = dir.path().join("out");
    portreeve()
        .args(["hunt", "--year", "2026", "--out"])
        .args([&out, &dir.path().join("auth.log")])
        .assert()
        .success();
    let run = std::fs::read_to_string(out.join("run.json")).expect("run.json");
    assert!(run.contains("openssh: from 2026-03-03 on 1 % are understood, before it was 100 %"), "{run}");
}
