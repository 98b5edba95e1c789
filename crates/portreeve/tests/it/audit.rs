//! `portreeve audit mfa` as a user runs it.

use crate::company::{changed_logs, company, portreeve};
use crate::hostile;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn acme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/acme")
}

/// What it prints, and its status.
fn audit(dir: &Path, args: &[&str]) -> (String, i32) {
    let out =
        portreeve().current_dir(dir).args(["audit", "mfa"]).args(args).output().expect("the binary runs");
    let code = out.status.code().expect("an end of its own");
    assert!(code < 2, "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    (String::from_utf8(out.stdout).expect("UTF-8"), code)
}

fn json(dir: &Path, args: &[&str]) -> Value {
    let (text, _) = audit(dir, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn service<'v>(doc: &'v Value, gateway: &str) -> &'v Value {
    let all = doc["services"].as_array().expect("services");
    all.iter().find(|s| s["gateway"] == gateway).unwrap_or_else(|| panic!("{gateway} in {doc}"))
}

/// One console login of AWS per name: with a second factor or without.
fn console(logins: &[(&str, bool)]) -> TempDir {
    let dir = TempDir::new().expect("temporary directory");
    let mut text = String::new();
    for (n, (name, with)) in logins.iter().enumerate() {
        let login = serde_json::json!({
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "IAMUser", "principalId": format!("AIDA{n}"), "accountId": "123456789012",
                "arn": format!("arn:aws:iam::123456789012:user/{name}"), "userName": name
            },
            "eventTime": format!("2026-03-04T10:{n:02}:00Z"),
            "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "awsRegion": "eu-west-1",
            "sourceIPAddress": "203.0.113.7", "userAgent": "Mozilla/5.0",
            "responseElements": {"ConsoleLogin": "Success"},
            "additionalEventData": {"MFAUsed": if *with { "Yes" } else { "No" }, "MobileVersion": "No"},
            "eventID": format!("11111111-2222-3333-4444-{n:012}"), "eventType": "AwsConsoleSignIn",
            "recipientAccountId": "123456789012"
        });
        text.push_str(&format!("{login}\n"));
    }
    fs::write(dir.path().join("trail.json"), text).expect("written");
    dir
}

/// The page of documentation shows what the command prints over the sample company.
#[test]
fn the_example_of_the_page_is_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = root.join("docs/mfa-audit.md");
    let out = portreeve()
        .current_dir(&root)
        .env("COLUMNS", "100")
        .args(["audit", "mfa", "examples/acme/logs", "--context", "examples/acme/context"])
        .output()
        .expect("runs");
    let printed = String::from_utf8(out.stdout).expect("UTF-8");
    let text = fs::read_to_string(&page).expect("docs/mfa-audit.md");
    let (before, rest) = text.split_once("```text\n").expect("a block of text");
    let (shown, after) = rest.split_once("```").expect("its end");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, format!("{before}```text\n{printed}```{after}")).expect("written");
    } else {
        assert!(
            shown == printed,
            "docs/mfa-audit.md is stale: run UPDATE=1 cargo test -p portreeve --test it audit\n{printed}"
        );
    }
}

#[test]
fn every_login_of_the_sample_company_is_of_one_kind() {
    let doc = json(&acme(), &["logs", "--context", "context"]);
    let adds_up = |c: &Value| {
        let n = |k: &str| c[k].as_u64().expect("a number");
        let kinds = ["with", "remembered", "claimed", "delegated", "without", "unknown"];
        assert_eq!(n("logins"), kinds.iter().map(|k| n(k)).sum::<u64>(), "{c}");
        assert!(n("with") >= n("phishing_resistant") + n("phishable"), "{c}");
        n("logins")
    };
    let total = adds_up(&doc["totals"]);
    let sum =
        |list: &Value| list.as_array().expect("a list").iter().map(|x| adds_up(&x["counts"])).sum::<u64>();
    assert_eq!(total, sum(&doc["services"]));
    let groups: u64 = doc["services"].as_array().expect("services").iter().map(|s| sum(&s["groups"])).sum();
    assert_eq!(total, groups);
    let accounts = ["users", "service_accounts", "break_glass"];
    assert_eq!(total, accounts.iter().map(|k| sum(&doc[k])).sum::<u64>());
    // The exceptions of mfa_policy.csv, and a record behind each.
    let legacy = service(&doc, "asa-opo-01")["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .find(|g| g["group"] == "GroupPolicy_Legacy")
        .expect("the group of the exception");
    let reason = &legacy["reasons"][0];
    assert_eq!((&reason["kind"], &reason["id"]), (&"without".into(), &"policy_exception".into()));
    let evidence = &reason["evidence"][0];
    assert!(evidence["raw"].as_str().expect("a record").contains("asa-opo-01"), "{evidence}");
    assert!(evidence["line"].as_u64().expect("a line") > 0);
}

/// OpenVPN does not log a factor; nothing else is here. That is neither yes nor no.
#[test]
fn a_vpn_without_mfa_logs_is_unknown_and_says_what_would_tell() {
    let dir = TempDir::new().expect("temporary directory");
    let mut text = String::new();
    for (n, name) in ["anna", "bruno", "carla"].iter().enumerate() {
        let peer = format!("203.0.113.{n}:4000{n}");
        text.push_str(&format!(
            "2026-03-04 08:0{n}:00 {peer} TLS: Username/Password authentication succeeded for username '{name}'\n\
             2026-03-04 08:0{n}:00 {peer} [{name}] Peer Connection Initiated with [AF_INET]{peer}\n\
             2026-03-04 08:0{n}:01 {name}/{peer} MULTI: Learn: 10.8.0.{n} -> {name}/{peer}\n"
        ));
    }
    fs::write(dir.path().join("openvpn.log"), text).expect("written");
    let doc = json(dir.path(), &["openvpn.log"]);
    let counts = &doc["totals"];
    assert_eq!((counts["logins"].as_u64(), counts["unknown"].as_u64()), (Some(3), Some(3)), "{counts}");
    assert_eq!(service(&doc, "openvpn")["standing"], "not shown");
    assert!(doc["enforce_next"].as_array().expect("a list").is_empty());
    let logging = &doc["logging"][0];
    assert_eq!((&logging["source"], &logging["logins"]), (&"openvpn".into(), &3.into()));
    assert!(!logging["how"].as_str().expect("text").is_empty());
    let (table, _) = audit(dir.path(), &["openvpn.log"]);
    assert!(table.contains("Fully enforced: 0 of 1 services") && table.contains("mfa_policy.csv"), "{table}");
    let fails = |on: &str| audit(dir.path(), &["openvpn.log", "--fail-on", on]).1;
    assert_eq!((fails("without"), fails("unknown")), (0, 1));
}

#[test]
fn a_pipeline_learns_from_the_status() {
    let (good, bad) = (console(&[("anna", true)]), console(&[("anna", true), ("bruno", false)]));
    let status = |dir: &TempDir, on: &str| audit(dir.path(), &["trail.json", "--fail-on", on]).1;
    assert_eq!((status(&good, "without"), status(&good, "unknown")), (0, 0));
    assert_eq!((status(&bad, "without"), status(&bad, "unknown")), (1, 1));
    assert_eq!(audit(bad.path(), &["trail.json"]).1, 0);
    // Where no login is, nothing is shown.
    let none = ["trail.json", "--since", "2027-01-01", "--fail-on"];
    assert_eq!(audit(good.path(), &[&none[..], &["without"]].concat()).1, 0);
    assert_eq!(audit(good.path(), &[&none[..], &["unknown"]].concat()).1, 1);
}

#[test]
fn full_enforcement_is_shown_by_the_difference() {
    let before = console(&[("anna", true), ("bruno", false), ("carla", true), ("dora", false)]);
    let now = console(&[("anna", true), ("bruno", true), ("carla", false), ("emil", true)]);
    let gone = console(&[("anna", true), ("bruno", true)]);
    let file = before.path().join("before.json");
    audit(before.path(), &["trail.json", "--out", "before.json"]);
    let against = |dir: &TempDir| {
        let path = file.to_str().expect("plain path");
        let doc = json(dir.path(), &["trail.json", "--before", path]);
        let of = |list: &Value, key: &str| -> Vec<String> {
            let all = list.as_array().expect("a list").iter();
            all.map(|c| format!("{} {}", c["change"].as_str().expect("text"), c[key].as_str().expect("text")))
                .collect()
        };
        (of(&doc["difference"]["services"], "gateway"), of(&doc["difference"]["users"], "name"))
    };
    let (services, users) = against(&now);
    assert_eq!(services, ["better cloudtrail"]);
    assert_eq!(users, ["worse carla", "better bruno", "new emil", "gone dora"]);
    assert_eq!(against(&before), (vec![], vec![]));
    let path = file.to_str().expect("plain path");
    let (table, _) = audit(gone.path(), &["trail.json", "--before", path]);
    assert!(table.contains("better cloud_console cloudtrail, not enforced → fully enforced"), "{table}");
    let (page, _) = audit(gone.path(), &["trail.json", "--before", path, "--format", "html"]);
    assert!(page.contains("fully enforced") && page.contains("Against "), "{page}");
}

#[test]
fn what_is_wrong_is_named_with_status_64() {
    let dir = console(&[("anna", true)]);
    fs::write(dir.path().join("old.json"), "{\"schema\": 1}").expect("written");
    for (args, word) in [
        (&["trail.json", "--before", "old.json"][..], "old.json: "),
        (&["trail.json", "--before", "none.json"], "none.json: "),
        (&["none.log"], "none.log"),
        (&["trail.json", "--since", "2026-03-05", "--until", "2026-03-04"], "is before --since"),
        (&["trail.json", "--out", "no/such/folder/x.json"], "no/such/folder/x.json: "),
    ] {
        let out = portreeve().current_dir(dir.path()).args(["audit", "mfa"]).args(args).assert().code(64);
        let error = String::from_utf8_lossy(&out.get_output().stderr).into_owned();
        assert!(error.contains(word), "{args:?}: {error}");
    }
}

#[test]
fn the_format_follows_the_ending_of_the_file() {
    let dir = console(&[("anna", true)]);
    for (name, begins) in [("a.json", "{"), ("a.html", "<!DOCTYPE html>"), ("a.txt", "MFA on remote access")]
    {
        audit(dir.path(), &["trail.json", "--out", name]);
        let text = fs::read_to_string(dir.path().join(name)).expect("written");
        assert!(text.starts_with(begins), "{name}: {text}");
    }
    audit(dir.path(), &["trail.json", "--out", "b.json", "--format", "html"]);
    assert!(fs::read_to_string(dir.path().join("b.json")).expect("written").starts_with("<!DOCTYPE html>"));
}

/// Names that are markup, escapes, formulas or tricks of direction, in logs and in an earlier file.
#[test]
fn in_no_format_is_a_name_more_than_text() {
    let dir = hostile::logs();
    let before = dir.path().join("before.json");
    audit(dir.path(), &["auth.log", "--out", "before.json"]);
    // Every name of the earlier file is gone, and every one of the logs is new.
    let mut old: Value = serde_json::from_str(&fs::read_to_string(&before).expect("written")).expect("JSON");
    for (list, key) in [("users", "name"), ("services", "gateway"), ("services", "standing")] {
        for row in old[list].as_array_mut().expect("a list") {
            let hostile = format!("{}<script>\u{1b}[31m\u{202e}", row[key].as_str().expect("text"));
            row[key] = hostile.into();
        }
    }
    fs::write(&before, old.to_string()).expect("written");
    let before = before.to_str().expect("plain path");
    for format in ["table", "json", "html"] {
        let (text, _) = audit(dir.path(), &["auth.log", "--before", before, "--format", format]);
        hostile::only_text(format, &text);
        match format {
            "json" => {
                let doc: Value = serde_json::from_str(&text).expect("JSON");
                assert!(doc["users"].as_array().expect("users").len() >= hostile::NAMES.len());
                assert!(!doc["difference"]["users"].as_array().expect("users").is_empty());
            }
            "html" => {
                assert!(
                    text.contains("&#60;script&#62;") || text.contains("&lt;script&gt;"),
                    "the name is shown"
                );
                for active in ["<script", "<img", "javascript:alert(1)\"", "onerror=alert(1)>\n"] {
                    assert!(!text.contains(active), "the page holds {active}");
                }
            }
            _ => assert!(text.contains("gone"), "{text}"),
        }
    }
}

/// The answer depends on the set of records: not on their order, their repetition or the threads.
#[test]
fn the_order_of_arrival_changes_nothing() {
    let context = company().join("context");
    let context = context.to_str().expect("plain path");
    let numbers = |logs: &Path, extra: &[&str]| {
        let mut doc = json(logs, &[&[".", "--context", context], extra].concat());
        fn strip(value: &mut Value) {
            match value {
                Value::Object(map) => {
                    map.remove("evidence");
                    map.remove("read");
                    map.values_mut().for_each(strip);
                }
                Value::Array(all) => all.iter_mut().for_each(strip),
                _ => {}
            }
        }
        strip(&mut doc);
        doc
    };
    let whole = numbers(&company().join("logs"), &["--threads", "1"]);
    assert!(whole["totals"]["logins"].as_u64().expect("a number") > 100, "{}", whole["totals"]);
    assert!(whole["totals"]["without"].as_u64().expect("a number") > 0, "{}", whole["totals"]);
    assert!(whole == numbers(&company().join("logs"), &["--threads", "3"]));
    let moved = changed_logs(|path, mut lines| {
        // CSV files with a header keep it in front.
        let fixed = usize::from(
            !path.to_string_lossy().ends_with("json") && lines.first().is_some_and(|l| l.starts_with("ID,")),
        );
        lines[fixed..].reverse();
        let again: Vec<String> = lines[fixed..].to_vec();
        lines.into_iter().chain(again).collect()
    });
    assert!(whole == numbers(moved.path(), &[]));
}
