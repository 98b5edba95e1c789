//! Work on cases by way of the API: once, on the revision that was read, with its line in the audit.

use super::browser::{Browser, case, signed_in};
use super::site::{acme, config, start};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\"'&; DROP TABLE";

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_through_its_life() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let number = case(&service.app, "c1", HOSTILE).0;
    let path = format!("/cases/{number}");
    let mut anna = signed_in(&service, "anna", &["l1"]);
    let whole = anna.get(&path);
    assert_eq!(whole.headers["content-type"], "application/json");
    assert_eq!(whole.json()["case"]["title"], HOSTILE);
    assert_eq!(anna.get("/cases?q=drop+table").json()["cases"].as_array().map(Vec::len), Some(1));
    let revision = whole.json()["case"]["revision"].as_i64().expect("a revision");
    let unsaid = anna.post(&format!("{path}/assign"), json!({ "owner": "me" }));
    assert_eq!((unsaid.status, unsaid.kind()), (428, "no-revision".to_owned()));
    let mut at = anna.with("If-Match", &format!("\"{revision}\""));
    let taken = at.post(&format!("{path}/assign"), json!({ "owner": "me" }));
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert_eq!(
        (taken.json()["owner"]["name"].as_str(), taken.json()["status"].as_str()),
        (Some("anna"), Some("open"))
    );
    let again = at.post(&format!("{path}/assign"), json!({ "owner": "nobody" }));
    assert_eq!((again.status, again.kind()), (409, "conflict".to_owned()));
    // Twice the same request, done once.
    let mut once = anna.with("Idempotency-Key", "n-1");
    let (first, second) = (
        once.post(&format!("{path}/notes"), json!({ "body": HOSTILE })),
        once.post(&format!("{path}/notes"), json!({ "body": HOSTILE })),
    );
    assert_eq!((first.status, &first.text), (200, &second.text));
    assert_eq!(once.post(&format!("{path}/notes"), json!({ "body": "other" })).kind(), "other-request");
    let notes = anna.get(&format!("{path}/notes")).json();
    assert_eq!(notes.as_array().map(Vec::len), Some(1));
    assert_eq!(notes[0]["body"], HOSTILE);
    let revision = taken.json()["revision"].clone();
    let up = anna.post(
        &format!("{path}/escalate"),
        json!({ "tier": "t2", "reason": "needs more", "revision": revision }),
    );
    assert_eq!(up.status, 200, "{}", up.text);
    let close =
        json!({ "disposition": "benign_positive", "reason": "known", "revision": up.json()["revision"] });
    let late = anna.post(&format!("{path}/close"), close.clone());
    assert_eq!((late.status, late.kind()), (403, "not-allowed".to_owned()), "it has left L1");
    let mut bert = signed_in(&service, "bert", &["t2"]);
    let decided = bert.post(
        &format!("{path}/decide"),
        json!({ "decision": "close", "reason": "seen", "revision": up.json()["revision"] }),
    );
    assert_eq!((decided.status, decided.json()["decision"].as_str()), (200, Some("close")));
    let close = json!({ "disposition": "benign_positive", "reason": "known", "revision": decided.json()["revision"] });
    assert_eq!(bert.post(&format!("{path}/close"), close).json()["status"], "closed");
    assert_eq!(bert.get("/cases").json()["cases"], json!([]));
    assert_eq!(bert.get("/cases?standing=closed").json()["cases"][0]["number"], number);
    let since = bert.get(&path).json()["case"]["updated_at"].as_str().expect("a time").to_owned();
    assert_eq!(
        bert.get(&format!("/cases?standing=all&order=updated&updated_since={since}")).json()["cases"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(bert.get("/cases?updated_since=yesterday").status, 422);
    assert_eq!(bert.get("/cases?after=%00").status, 422);
    let said: Vec<String> = bert.get(&format!("{path}/timeline")).json()["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|e| e["said"].as_str().expect("text").to_owned())
        .collect();
    assert!(said.iter().any(|s| s.starts_with("closed as benign_positive")), "{said:?}");

    let mut auditor = signed_in(&service, "carl", &["auditor"]);
    let entries = auditor.get("/audit?limit=1000").json()["entries"].clone();
    let has = |actor: &str, verb: &str, outcome: &str| {
        entries.as_array().expect("entries").iter().any(|e| {
            e["actor"].as_str().is_some_and(|a| a.ends_with(actor))
                && e["verb"] == verb
                && e["outcome"] == outcome
                && e["object"] == format!("case:{number}")
        })
    };
    assert!(
        has("anna", "case.read", "done")
            && has("anna", "case.assign", "done")
            && has("anna", "case.note", "done")
    );
    assert!(has("anna", "case.close", "denied") && has("bert", "case.close", "done"), "{entries:#}");
    assert_eq!(auditor.get("/audit/verify").json()["faults"], json!([]));
    let first = auditor.get("/audit?limit=2").json();
    let next = auditor.get(&format!("/audit?limit=2&after={}", first["next"].as_str().expect("more"))).json();
    assert!(next["entries"][0]["seq"].as_i64() < first["entries"][1]["seq"].as_i64());
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_cases_go_on_where_the_last_ended() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let mut wanted: Vec<i64> =
        (0..7).map(|n| case(&service.app, &format!("c{n}"), &format!("case {n}")).0).collect();
    let mut anna = signed_in(&service, "anna", &["viewer"]);
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = anna.get(&format!("/cases?limit=3&order=created&after={after}")).json();
        found.extend(
            page["cases"].as_array().expect("cases").iter().map(|c| c["number"].as_i64().expect("a number")),
        );
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    wanted.reverse();
    assert_eq!(found, wanted);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_made_and_writes_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    let mut once = admin.with("Idempotency-Key", "s-1");
    let made = once.post("/sources", json!({ "name": "edge", "zone": "Europe/Berlin" }));
    assert_eq!(made.status, 200, "{}", made.text);
    let twice = once.post("/sources", json!({ "name": "edge", "zone": "Europe/Berlin" }));
    assert_eq!(twice.status, 409, "the secret is not kept: {}", twice.text);
    let secret = made.json()["secret"].as_str().expect("a token").to_owned();
    let mut shipper = Browser::new(&service).with("Authorization", &format!("Splunk {secret}"));
    let sent = shipper.send(
        "POST",
        "/services/collector/event",
        Some(("application/json", "{\"event\":\"hello\"}")),
    );
    assert_eq!(sent.status, 200, "{}", sent.text);
    let listed = admin.get("/sources").json();
    let edge = listed.as_array().expect("sources").iter().find(|s| s["name"] == "edge").expect("edge");
    assert_eq!(edge["doors"][0]["stored"], 1, "{edge:#}");
    assert!(!admin.get("/sources").text.contains(&secret));
    let mut reader = Browser::new(&service).with("Authorization", &format!("Bearer {secret}"));
    assert_eq!(reader.get("/cases").status, 401, "a shipper's token opens no case");
    assert_eq!(admin.post("/sources", json!({ "name": "x", "zone": "Mars" })).status, 422);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_told_to_open_pages() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let number = case(&service.app, "c1", "anna").0;
    let mut anna = signed_in(&service, "anna", &["l1"]);
    let mut stream = TcpStream::connect(service.address()).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("set");
    let cookie = &anna.cookies["portreeve"];
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nCookie: portreeve={cookie}\r\nLast-Event-ID: 7\r\n\r\n",
        service.address()
    )
    .expect("written");
    let mut lines = BufReader::new(stream).lines().map(|l| l.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    assert!(lines.any(|l| l == ": listening"));
    let written = anna.post(&format!("/cases/{number}/notes"), json!({ "body": "seen" }));
    assert_eq!(written.status, 200, "{}", written.text);
    assert!(lines.any(|l| l.starts_with("data: ") && l.contains(&format!("\"number\":{number}"))));
    // The stream does not keep the service from ending.
    tokio::time::timeout(Duration::from_secs(120), service.close()).await.expect("closed");
    assert!(!lines.any(|l| l.starts_with("data: ")), "and ends with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_changes_goes_on_from_the_newest_and_the_folder_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let service = start(&data, config(&acme().join("context"), "")).await;
    let mode = std::fs::metadata(&data).expect("its folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let first = case(&service.app, "c1", "first").0;
    case(&service.app, "c2", "second");
    let mut anna = signed_in(&service, "anna", &["l1"]);
    let all = anna.get("/cases?order=change&standing=all").json();
    assert_eq!(all["cases"].as_array().map(Vec::len), Some(2));
    let next = all["next"].as_str().expect("a place to go on from").to_owned();
    let later = anna.get(&format!("/cases?order=change&standing=all&after={next}")).json();
    assert_eq!(
        (later["cases"].as_array().map(Vec::len), later["next"].as_str()),
        (Some(0), Some(next.as_str()))
    );
    let taken = anna.post(&format!("/cases/{first}/notes"), json!({ "body": "seen" }));
    assert_eq!(taken.status, 200, "{}", taken.text);
    let later = anna.get(&format!("/cases?order=change&standing=all&after={next}")).json();
    let numbers: Vec<i64> =
        later["cases"].as_array().expect("cases").iter().filter_map(|c| c["number"].as_i64()).collect();
    assert_eq!(numbers, [first]);
    // What was searched for is in the audit.
    assert_eq!(anna.get("/search?user=mallory").status, 200);
    let mut dora = signed_in(&service, "dora", &["auditor"]);
    let audit = dora.get("/audit");
    assert!(audit.text.contains("mallory"), "{}", audit.text);
    service.close().await;
}
