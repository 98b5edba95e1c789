//! What was collected on a Windows host is hunted: event logs made here, in the forms in which KAPE, Velociraptor and a
//! plain copy bring them, must give the case that an analyst expects, with evidence that names where it lies.

use super::manifest;
use super::windows::{archive, import};
use crate::company::portreeve;
use portreeve_sim::{LoggedEvent, event_log};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const INTRUDER: &str = "45.155.205.233";
const FAILURES: &str = "24 failures within 7 min from 45.155.205.233";
const HOST: &str = "RDS1.corp.example";
const SECURITY: &str = "Windows/System32/winevt/Logs/Security.evtx";
const SYSTEM: &str = "Windows/System32/winevt/Logs/System.evtx";

fn security(time: &str, id: u32, data: Vec<(&'static str, &'static str)>) -> (String, LoggedEvent<'static>) {
    let event = LoggedEvent {
        provider: if id == 1102 {
            "Microsoft-Windows-Eventlog"
        } else {
            "Microsoft-Windows-Security-Auditing"
        },
        channel: "Security",
        computer: HOST,
        id,
        time: "",
        user_data: (id == 1102).then_some("LogFileCleared"),
        data,
    };
    (format!("2026-11-{time}Z"), event)
}

fn log(events: &[(String, LoggedEvent<'static>)]) -> Vec<u8> {
    let events: Vec<LoggedEvent<'_>> =
        events.iter().map(|(time, e)| LoggedEvent { time, data: e.data.clone(), ..*e }).collect();
    event_log(&events)
}

fn logon(time: &str, ip: &'static str, session: &'static str) -> (String, LoggedEvent<'static>) {
    let data = vec![
        ("SubjectUserName", "RDS1$"),
        ("SubjectDomainName", "CORP"),
        ("TargetUserSid", "S-1-5-21-1-2-3-1104"),
        ("TargetUserName", "anna"),
        ("TargetDomainName", "CORP"),
        ("TargetLogonId", session),
        ("LogonType", "10"),
        ("AuthenticationPackageName", "Negotiate"),
        ("WorkstationName", "RDS1"),
        ("IpAddress", ip),
    ];
    security(time, 4624, data)
}

fn by_anna(time: &str, id: u32, more: &[(&'static str, &'static str)]) -> (String, LoggedEvent<'static>) {
    let mut data = vec![
        ("SubjectUserSid", "S-1-5-21-1-2-3-1104"),
        ("SubjectUserName", "anna"),
        ("SubjectDomainName", "CORP"),
        ("SubjectLogonId", "0x9001"),
    ];
    data.extend_from_slice(more);
    security(time, id, data)
}

/// Three weeks of work from within, then a night: a password that is guessed from outside, an account that is made and
/// raised, a service, a log that is cleared.
fn night() -> (Vec<u8>, Vec<u8>) {
    let mut events = Vec::new();
    for day in (2..27).filter(|d| !matches!(d % 7, 0 | 1)) {
        events.push(logon(&format!("{day:02}T08:0{}:00.000", day % 10), "10.0.5.20", "0x7001"));
        let off = vec![("TargetUserName", "anna"), ("TargetDomainName", "CORP"), ("TargetLogonId", "0x7001")];
        events.push(security(&format!("{day:02}T16:3{}:00.000", day % 10), 4634, off));
    }
    for n in 0..24 {
        let data = vec![
            ("TargetUserName", "anna"),
            ("TargetDomainName", "CORP"),
            ("Status", "0xc000006d"),
            ("SubStatus", "0xc000006a"),
            ("LogonType", "10"),
            ("IpAddress", INTRUDER),
        ];
        events.push(security(&format!("27T02:{:02}:{:02}.000", 10 + n / 4, 15 * (n % 4)), 4625, data));
    }
    events.push(logon("27T02:17:03.000", INTRUDER, "0x9001"));
    events.push(by_anna("27T02:17:03.100", 4672, &[("PrivilegeList", "SeDebugPrivilege")]));
    events.push(by_anna(
        "27T02:25:00.000",
        4720,
        &[("TargetUserName", "support9"), ("TargetDomainName", "RDS1")],
    ));
    let group =
        [("TargetUserName", "Administrators"), ("MemberName", "-"), ("MemberSid", "S-1-5-21-9-9-9-1005")];
    events.push(by_anna("27T02:26:00.000", 4732, &group));
    events.push(by_anna("27T02:40:00.000", 1102, &[]));
    let service = LoggedEvent {
        provider: "Service Control Manager",
        channel: "System",
        computer: HOST,
        id: 7045,
        time: "2026-11-27T02:30:00.000Z",
        user_data: None,
        data: vec![("ServiceName", "AnyDesk"), ("ImagePath", "C:\\ProgramData\\AnyDesk.exe --service")],
    };
    (log(&events), event_log(&[service]))
}

/// A gateway's log, which no collection of the host holds: work from home, and the door that was tried first that night.
fn gateway() -> String {
    let mut text = String::new();
    for day in (2..27).filter(|d| !matches!(d % 7, 0 | 1)) {
        text.push_str(&format!(
            "2026-11-{day:02}T07:1{}:00+00:00 gw1 sshd[{}]: Accepted password for anna from 62.96.14.7 port 4711 ssh2\n",
            day % 10,
            500 + day
        ));
    }
    for (time, said) in [("05:11", "Failed"), ("06:40", "Accepted")] {
        text.push_str(&format!(
            "2026-11-27T02:{time}+00:00 gw1 sshd[812]: {said} password for anna from {INTRUDER} port 4711 ssh2\n"
        ));
    }
    text
}

fn hunt(paths: &[&Path]) -> Value {
    let output = portreeve().arg("hunt").args(paths).args(["--format", "json"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The one case, held to what an analyst who reads the log by hand would write down.
fn expected(found: &Value, failures: &str) -> Value {
    let totals = &found["run"]["totals"];
    assert_eq!(totals["records"], totals["understood"], "{totals}");
    let cases = found["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 1, "{found:#}");
    let case = &cases[0];
    assert_eq!(case["principal"]["name"], "anna");
    assert_eq!(case["decision"], "escalate", "{}", case["reason"]);
    assert_eq!(case["source_ips"][0], INTRUDER, "{}", case["source_ips"]);
    for (id, words) in [
        ("credential.failures_then_success_new_place", failures),
        ("exposed.rdp_from_internet", "rds1 let anna in over RDP straight from 45.155.205.233"),
        ("post_access.privilege_against_role", "Administrators"),
        ("gateway.logging_or_policy_changed", "logging stopped in the session"),
    ] {
        let all = case["indicators"].as_array().expect("indicators");
        let one = all.iter().find(|i| i["id"] == id).unwrap_or_else(|| panic!("{id}: {all:?}"));
        assert!(one.to_string().contains(words), "{one}");
        assert!(one["evidence"].as_array().is_some_and(|e| !e.is_empty()), "{one}");
    }
    let answer = |id: &str| {
        let all = case["questions"].as_array().expect("questions");
        all.iter().find(|q| q["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
    };
    assert_eq!(answer("mfa_bypassed_or_absent")["answer"], "yes");
    assert_eq!(answer("privilege_inconsistent_with_role")["answer"], "yes");
    // Four deeds on the host itself are not nothing.
    let lateral = answer("lateral_movement").to_string();
    assert!(lateral.contains("changes or commands of the session are on record"), "{lateral}");
    case.clone()
}

/// Where evidence lies, each place once.
fn places(case: &Value) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let (Some(file), true) = (fields.get("file"), fields.contains_key("raw")) {
                    found.push(file.as_str().expect("a name").to_owned());
                }
                fields.values().for_each(|v| walk(v, found));
            }
            Value::Array(all) => all.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(case, &mut found);
    found.sort();
    found.dedup();
    found
}

/// Case, decision, indicators with their points: what may not depend on how the logs came.
fn verdict(case: &Value) -> String {
    let points = |i: &Value| format!("{}={}", i["id"], i["points"]);
    let all: Vec<String> = case["indicators"].as_array().expect("indicators").iter().map(points).collect();
    format!("{} {} {} {}", case["case_id"], case["decision"], case["risk_score"], all.join(" "))
}

/// A folder as KAPE writes it, with the same names as in the archive.
fn folder(dir: &Path, files: &[(String, &[u8])]) -> PathBuf {
    for (name, bytes) in files {
        let path = dir.join("folder").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("written");
    }
    dir.join("folder")
}

#[test]
fn what_is_imported_is_hunted() {
    let (security, system) = night();
    let copies = format!(
        "CopiedTimestamp,SourceFile,DestinationFile,FileSize,SourceFileSha1,DeferredCopy,CreatedOnUtc,ModifiedOnUtc\n\
         x,C:\\Windows\\System32\\winevt\\Logs\\Security.evtx,D:\\x,{},{},False,x,2026-11-27 03:00:00.5\n",
        security.len(),
        sha1(&security)
    );
    let kape = [
        (format!("C/{SECURITY}"), security.as_slice()),
        (format!("C/{SYSTEM}"), system.as_slice()),
        ("C/Users/anna/NTUSER.DAT".to_owned(), b"regf"),
        ("2026-11-27T10_00_00_CopyLog.csv".to_owned(), copies.as_bytes()),
    ];
    let velociraptor = [
        (format!("uploads/auto/C%3A/{SECURITY}"), security.as_slice()),
        (format!("uploads/auto/C%3A/{SYSTEM}"), system.as_slice()),
        ("uploads.json".to_owned(), b"{}\n"),
        ("client_info.json".to_owned(), br#"{"Hostname":"RDS1"}"#),
        ("results/Windows.KapeFiles.Targets.json".to_owned(), b"{}\n"),
    ];
    let plain = [("Security.evtx".to_owned(), security.as_slice()), ("System.evtx".to_owned(), &system)];
    let zip = |dir: &Path, files: &[(String, &[u8])]| {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), *b)).collect();
        archive(dir, &files)
    };
    let mut verdicts = Vec::new();
    for (name, files, zipped, log) in [
        ("kape", &kape[..], true, format!("logs/C/{SECURITY}")),
        ("kape", &kape[..], false, format!("logs/C/{SECURITY}")),
        ("velociraptor", &velociraptor[..], true, format!("logs/C/{SECURITY}")),
        ("event-logs", &plain[..], false, "logs/Security.evtx".to_owned()),
    ] {
        let dir = TempDir::new().expect("a folder");
        let from = if zipped { zip(dir.path(), files) } else { folder(dir.path(), files) };
        let package = import(&from, &dir.path().join("out"), &[]);
        let manifest = manifest(&package);
        assert_eq!((&manifest["kind"], &manifest["case"]), (&name.into(), &"2026-114".into()));
        // The copy log agrees with what was copied, and nothing was refused.
        let artifacts = manifest["artifacts"].as_array().expect("artifacts");
        assert!(artifacts.iter().all(|a| a["state"] == "done" || a["files"] == 0), "{artifacts:#?}");
        let case = expected(&hunt(&[&package.join("logs")]), FAILURES);
        assert_eq!(places(&case), [package.join(&log).display().to_string()]);
        verdicts.push(verdict(&case));
        let packed = package.with_file_name("ws1.tar.zst");
        let case = expected(&hunt(&[&packed]), FAILURES);
        let places = places(&case);
        assert_eq!(places.len(), 1, "{places:?}");
        assert!(
            places[0].contains("ws1.tar.zst") && places[0].ends_with(&format!("ws1/{log}")),
            "{places:?}"
        );
        verdicts.push(verdict(&case));
    }
    assert!(verdicts.iter().all(|v| *v == verdicts[0]), "{verdicts:#?}");
}

#[test]
fn a_collection_and_a_gateway_make_one_case() {
    let (security, _) = night();
    let dir = TempDir::new().expect("a folder");
    let zip = archive(dir.path(), &[(&format!("C/{SECURITY}"), &security)]);
    let package = import(&zip, &dir.path().join("out"), &[]);
    let gateway = dir.path().join("gateway.log");
    fs::write(&gateway, self::gateway()).expect("written");
    let case = expected(
        &hunt(&[&gateway, &package.with_file_name("ws1.tar.zst")]),
        "25 failures within 11 min from 45.155.205.233",
    );
    let places = places(&case);
    assert!(places.iter().any(|p| p.ends_with("gateway.log")), "{places:?}");
    assert!(places.iter().any(|p| p.ends_with("Security.evtx")), "{places:?}");
}

fn sha1(bytes: &[u8]) -> String {
    let out = std::process::Command::new("sha1sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), bytes)?;
            child.wait_with_output()
        })
        .expect("sha1sum of the Debian package coreutils");
    String::from_utf8(out.stdout).expect("text").split(' ').next().expect("a sum").to_owned()
}
