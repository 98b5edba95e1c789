//! What was collected on a Windows host is hunted: event logs made here, in the forms in which KAPE, Velociraptor and a
//! plain copy bring them, must give the case that an analyst expects, with evidence that names where it lies.

use super::windows::{archive, import};
use crate::company::portreeve;
use portreeve_sim::{LoggedEvent, event_log};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const INTRUDER: &str = "45.155.205.233";
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

/// A gateway's log of the same night, which no collection of the host holds.
const VPN: &str = "2026-11-27T02:05:11+00:00 gw1 sshd[812]: Failed password for anna from 45.155.205.233 port 4711 ssh2\n\
                   2026-11-27T02:06:40+00:00 gw1 sshd[815]: Accepted password for anna from 45.155.205.233 port 4712 ssh2\n";

fn hunt(paths: &[&Path]) -> Value {
    let output = portreeve().arg("hunt").args(paths).args(["--format", "json"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_is_imported_is_hunted() {
    let (security, system) = night();
    let dir = TempDir::new().expect("a folder");
    let zip =
        archive(dir.path(), &[(&format!("C/{SECURITY}"), &security), (&format!("C/{SYSTEM}"), &system)]);
    let package = import(&zip, &dir.path().join("out"), &[]);
    let found = hunt(&[&package.join("logs")]);
    eprintln!("{found:#}");
    panic!("look");
}
