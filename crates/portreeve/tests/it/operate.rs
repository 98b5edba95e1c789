//! Operating the service from the command line: its configuration, its signals, its log, copies of what it keeps.

use crate::company::portreeve;
use crate::live::{Running, post};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn source(name: &str, token: &str) -> String {
    let sum: String = Sha256::digest(token).iter().map(|b| format!("{b:02x}")).collect();
    format!("[sources.{name}]\ntoken_sha256 = [\"{sum}\"]\n")
}

fn signal(running: &Running, name: &str) {
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
}

/// Waits until the log says it.
fn said(dir: &Path, words: &str) -> String {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(dir.join("log")).expect("a log");
        if let Some(line) = log.lines().find(|l| l.contains(words)) {
            return line.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{words:?} is not said: {log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("portreeve.toml");
    let check = || {
        let out = portreeve().args(["config", "check"]).arg(&path).output().expect("it runs");
        (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let at = path.display();
    assert_eq!(check().0, Some(64), "a file that is not there");
    fs::write(&path, "").expect("written");
    assert_eq!(check(), (Some(0), format!("{at}: good\n")));
    fs::write(&path, "[web]\nlisten = \"127.0.0.1:0\"\n[engine]\n  threads = \"four\"\n").expect("written");
    let (code, text) = check();
    assert_eq!(code, Some(64));
    assert!(
        text.starts_with(&format!("portreeve: {at}:4:13: engine.threads: invalid type: string")),
        "{text}"
    );
    // What the named files hold is looked at as well.
    fs::create_dir(dir.path().join("context")).expect("made");
    fs::write(dir.path().join("context/travel.csv"), "user,from,to\nanna,2026-03-02,2026-02-27\n")
        .expect("written");
    fs::write(&path, "[context]\ndir = \"context\"\n").expect("written");
    let (code, text) = check();
    assert!(code == Some(64) && text.contains("travel.csv:2: "), "{text}");
    let schema = portreeve().args(["config", "schema"]).output().expect("it runs").stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).expect("JSON");
    assert_eq!(schema["properties"]["web"]["$ref"], "#/$defs/Web");
}

/// The file that the packages bring is one that works, and all that it has in comments as well.
#[test]
fn the_file_of_the_packages_is_good() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = include_str!("../../../../packaging/portreeve.toml");
    let whole: String = text
        .lines()
        .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(l))
        .map(|l| format!("{l}\n"))
        .collect();
    for dir_of in ["etc", "whole"] {
        fs::create_dir(dir.path().join(dir_of)).expect("made");
    }
    let (plain, whole_at) = (dir.path().join("etc/portreeve.toml"), dir.path().join("whole/portreeve.toml"));
    fs::write(&plain, text).expect("written");
    portreeve().args(["config", "check"]).arg(&plain).assert().success();
    // Its certificates are not there; that, and nothing else, is wrong.
    fs::write(&whole_at, &whole).expect("written");
    let out = portreeve().args(["config", "check"]).arg(&whole_at).output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.lines().count() == 5 && said.lines().all(|l| l.contains("No such file")), "{said}");
}

#[test]
fn a_hang_up_reads_everything_again_and_says_what_waits() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("portreeve.toml");
    fs::write(&path, source("edge", "first")).expect("written");
    let running = Running::start_with(dir.path(), &[]);
    assert_eq!(post(&running.address, "second", "{\"event\":\"x\"}"), Some(403));
    let both = format!("{}{}", source("edge", "first"), source("late", "second"));
    fs::write(&path, format!("[lake]\nretention_days = 30\n{both}")).expect("written");
    signal(&running, "-HUP");
    let line = said(dir.path(), "these count after a restart");
    assert!(line.contains("lake.retention_days"), "{line}");
    assert_eq!(post(&running.address, "second", "{\"event\":\"x\"}"), Some(200));
    fs::write(&path, "[lake\n").expect("written");
    signal(&running, "-HUP");
    let line = said(dir.path(), "stay as they were");
    assert!(line.contains("portreeve.toml:1:"), "{line}");
    assert_eq!(post(&running.address, "second", "{\"event\":\"x\"}"), Some(200));
    running.terminate();
}

#[test]
fn the_log_is_lines_of_json_and_holds_no_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        path.display().to_string()
    };
    let (okta, nats, entra) = (
        secret("okta", "oktaS3CRETtoken"),
        secret("nats", "natsS3CRETword"),
        secret("entra", "entraS3CRETkey"),
    );
    let config = format!(
        "{}\n[[doors.okta]]\nsource = \"okta\"\nurl = \"http://127.0.0.1:9\"\ntoken = {{ ssws = {{ file = {okta:?} }} }}\n\
         [[doors.nats]]\nsource = \"nats\"\nservers = [\"nats://127.0.0.1:9\"]\nstream = \"logs\"\n\
         login = {{ password = {{ user = \"u\", password = {{ file = {nats:?} }} }} }}\n\
         [[doors.entra]]\nsource = \"entra\"\ntenant = \"t\"\nclient_id = \"c\"\nclient_secret = {{ file = {entra:?} }}\n\
         cloud = {{ login = \"http://127.0.0.1:9\", graph = \"http://127.0.0.1:9\" }}\n",
        source("edge", "edgeS3CRETtoken")
    );
    fs::write(dir.path().join("portreeve.toml"), &config).expect("written");
    let running = Running::start_with(dir.path(), &["--log-format", "json"]);
    assert_eq!(post(&running.address, "edgeS3CRETtoken", "{\"event\":\"x\"}"), Some(200));
    assert_eq!(post(&running.address, "wrongS3CRETtoken", "{\"event\":\"x\"}"), Some(403));
    signal(&running, "-HUP");
    said(dir.path(), "were read anew");
    fs::write(dir.path().join("portreeve.toml"), format!("{config}[lake\n")).expect("written");
    signal(&running, "-HUP");
    said(dir.path(), "stay as they were");
    running.terminate();
    let log = fs::read_to_string(dir.path().join("log")).expect("a log");
    assert!(!log.contains("S3CRET"), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn records_are_searched_and_copied_while_the_service_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("portreeve.toml"), source("edge", "t")).expect("written");
    let running = Running::start_with(dir.path(), &[]);
    let line = "<38>Mar  6 09:12:09 gw1 sshd[4711]: Failed password for lena from 192.0.2.77 port 50022 ssh2";
    assert_eq!(post(&running.address, "t", &format!("{{\"event\":{line:?}}}")), Some(200));
    for sign in SIGNS {
        let line = format!("{sign}cmd|' /C calc'!A0;{sign}1,\"{sign}2 {MARK}");
        let event = serde_json::json!({ "event": line }).to_string();
        assert_eq!(post(&running.address, "t", &event), Some(200));
    }
    let data = dir.path().join("data");
    let searched = |place: &Path, what: [&str; 2], form: &str| {
        let out = portreeve()
            .arg("search")
            .args(what)
            .args(["--format", form, "--data"])
            .arg(place)
            .output()
            .expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let search = |place: &Path| searched(place, ["--address", "192.0.2.77"], "json");
    // Within a quarter of a minute it is in a file.
    let begun = Instant::now();
    let found = loop {
        let found = search(&data);
        if !found.is_empty() {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "it is not found");
        std::thread::sleep(Duration::from_millis(500));
    };
    let row: serde_json::Value =
        serde_json::from_str(found.trim()).unwrap_or_else(|e| panic!("{e}: {found}"));
    assert_eq!((&row["user"], &row["outcome"]), (&"lena".into(), &"failure".into()), "{row}");
    let table = loop {
        let table = cells(&searched(&data, ["--text", MARK], "csv"));
        if table.len() > SIGNS.len() {
            break table;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "they are not found: {table:?}");
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_eq!(table.len(), 1 + SIGNS.len(), "{table:?}");
    for row in &table {
        assert_eq!(row.len(), table[0].len(), "no text makes a cell more: {row:?}");
        assert!(row.iter().all(|cell| !cell.starts_with(SIGNS)), "a formula: {row:?}");
    }
    let kept = dir.path().join("kept");
    portreeve().arg("backup").arg(&kept).arg("--data").arg(&data).assert().success();
    running.terminate();
    let place = dir.path().join("place");
    portreeve().arg("restore").arg(&kept).arg("--data").arg(&place).assert().success();
    assert_eq!(search(&place), found);
    // Once more into the same place: it is not empty.
    portreeve().arg("restore").arg(&kept).arg("--data").arg(&place).assert().code(64);
    let out = portreeve().args(["query", "select 1", "--data"]).arg(&place).output().expect("it runs");
    if !cfg!(feature = "sql") {
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(64) && text.contains("--features sql"), "{text}");
    }
    #[cfg(feature = "sql")]
    asked_in_sql(&place);
}

/// With what a spreadsheet begins a formula.
const SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
const MARK: &str = "mark-4711";

/// As a spreadsheet reads them (RFC 4180).
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().expect("peeked at")),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    rows
}

#[cfg(feature = "sql")]
fn asked_in_sql(place: &Path) {
    let ask = |form: &str| {
        let sql = "select user, src_ip from events where outcome = 'failure'";
        let out = portreeve()
            .args(["query", sql, "--format", form, "--data"])
            .arg(place)
            .output()
            .expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    assert_eq!(ask("csv"), b"\"user\",\"src_ip\"\r\n\"lena\",\"192.0.2.77\"\r\n");
    let out = portreeve()
        .args(["query", &format!("select raw, 1 as \"=1\" from events where raw like '%{MARK}%'")])
        .args(["--format", "csv", "--data"])
        .arg(place)
        .output()
        .expect("it runs");
    let table = cells(&String::from_utf8_lossy(&out.stdout));
    assert_eq!(table.len(), 1 + SIGNS.len(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(table.iter().flatten().all(|cell| !cell.starts_with(SIGNS)), "a formula: {table:?}");
    assert_eq!(ask("json"), b"{\"user\":\"lena\",\"src_ip\":\"192.0.2.77\"}\n");
    let stream = ask("arrow");
    // A stream begins with the mark that a message follows; a file would begin with ARROW1.
    assert!(stream.starts_with(&[0xff; 4]) && stream.windows(10).any(|w| w == b"192.0.2.77"));
}

/// A collector, as far as it listens: what is posted to it.
fn collector() -> (String, std::sync::mpsc::Receiver<(String, serde_json::Value)>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its number"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a head");
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().expect("a number");
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                .expect("sent");
            if tell.send((head, serde_json::from_slice(&body).expect("JSON"))).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[test]
fn spans_reach_a_collector_and_say_no_secret() {
    use std::io::{Read, Write};
    let (address, told) = collector();
    let dir = tempfile::tempdir().expect("a folder");
    let config = format!("[telemetry]\notlp_endpoint = {address:?}\n{}", source("edge", "edgeS3CRETtoken"));
    fs::write(dir.path().join("portreeve.toml"), config).expect("written");
    let running = Running::start_with(dir.path(), &[]);
    assert_eq!(post(&running.address, "edgeS3CRETtoken", "{\"event\":\"x\"}"), Some(200));
    let mut stream = std::net::TcpStream::connect(&running.address).expect("a listener");
    write!(
        stream,
        "GET /api/v1/cases?after=pathS3CRET HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer headS3CRET\r\nConnection: close\r\n\r\n",
        running.address
    )
    .expect("sent");
    stream.read_to_string(&mut String::new()).expect("an answer");
    let begun = Instant::now();
    let mut seen = Vec::new();
    while !["request", "judge", "flush"]
        .iter()
        .all(|n| seen.iter().any(|s: &serde_json::Value| s["name"] == *n))
    {
        let left = Duration::from_secs(120).saturating_sub(begun.elapsed());
        let (head, body) = told.recv_timeout(left).unwrap_or_else(|_| panic!("not all came: {seen:#?}"));
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        assert!(!body.to_string().contains("S3CRET"), "{body}");
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "portreeve");
        seen.extend(resource["scopeSpans"][0]["spans"].as_array().expect("spans").clone());
    }
    running.terminate();
    let request = seen.iter().find(|s| s["name"] == "request").expect("a request");
    let attribute = |name: &str| {
        let all = request["attributes"].as_array().expect("attributes");
        all.iter().find(|a| a["key"] == name).map(|a| a["value"].clone()).unwrap_or_default()
    };
    assert_eq!(attribute("route")["stringValue"], "/api/v1/cases", "{request}");
    assert_eq!(attribute("status")["intValue"], "401", "{request}");
    assert_eq!(
        (request["traceId"].as_str().map(str::len), request["spanId"].as_str().map(str::len)),
        (Some(32), Some(16))
    );
}
