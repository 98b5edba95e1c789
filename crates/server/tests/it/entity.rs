//! What is known of a user, an address, a device or a gateway, from a live line over the sample's logs.

use super::browser::{Browser, person, signed_in};
use super::line::{follow, records};
use super::sample::{ANNA, found};
use super::site::{acme, config, hunted, judged, start, until};
use portreeve_server::Service;
use portreeve_server::ui::link::encode;
use portreeve_store::case::{self, By, work};
use portreeve_store::{CaseId, PersonId};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn list<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key}: {value:#}"))
}

fn names(value: &Value, key: &str) -> Vec<String> {
    list(value, key).iter().map(|u| u["name"].as_str().expect("a name").to_owned()).collect()
}

fn restrict(service: &Service, id: CaseId, to: PersonId) {
    let by = By { actor: "person:99 bert", at: super::browser::now() };
    let done = service.app.store.write(|tx| {
        let revision = case::get(tx, id)?.revision;
        work::restrict(tx, id, revision, Some(&[to]), by)
    });
    done.expect("restricted");
}

/// The whole of the sample's time.
fn asked(case: &Value) -> String {
    let last: jiff::Timestamp = case["last_seen"].as_str().expect("a time").parse().expect("RFC 3339");
    let to = last + jiff::SignedDuration::from_hours(24 * 30);
    format!("?days=400&to={to}&zone=Europe/Paris")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_what_the_engine_and_the_cases_know() {
    let dir = tempfile::tempdir().expect("a folder");
    let (logs, context) = (acme().join("logs"), acme().join("context"));
    let hunted = hunted(std::slice::from_ref(&logs), &context);
    let data = dir.path().join("data");
    let service = start(&data, config(&context, &follow(&logs))).await;
    judged(&service.app, records(&logs)).await;
    service.close().await;
    // Anew: what came late waits to be folded, and here the engine shall hold all of it from the first look on.
    let service = start(&data, config(&context, "")).await;
    let app = service.app.clone();
    until("all of it is folded", || app.progress.ready.load(Ordering::Acquire)).await;
    let engines = hunted.values().find(|c| {
        let sessions = list(c, "sessions");
        c["decision"] == "escalate"
            && sessions.iter().any(|s| s["suspect"] == true && s["device"] != "" && s["gateway"] != "")
            && sessions.iter().any(|s| s["suspect"] == false)
    });
    let case = engines.expect("an escalated case with other sessions beside");
    let who = case["principal"]["name"].as_str().expect("a name");
    let suspect =
        list(case, "sessions").iter().find(|s| s["suspect"] == true && s["device"] != "").expect("one");
    let mut vera = signed_in(&service, "vera", &["viewer"]);
    let query = asked(case);
    let get = |browser: &mut Browser, kind: &str, name: &str| {
        let answer = browser.get(&format!("/{kind}/{}{query}", encode(name)));
        assert_eq!(answer.status, 200, "{kind} {name}: {}", answer.text);
        answer.json()
    };
    let user = get(&mut vera, "users", &who.to_uppercase());
    assert_eq!(user["missing"], json!([]), "the engine answers");
    let sessions = list(&user, "sessions");
    let are = |suspect: bool| sessions.iter().filter(|s| s["suspect"] == suspect).count();
    assert!(are(true) > 0 && are(false) > 0, "{} and {}", are(true), are(false));
    assert!(sessions.iter().all(|s| s["principal"] == who && s["evidence"] == json!([])));
    let in_week: u64 = list(&user, "rhythm")
        .iter()
        .flat_map(|d| d.as_array().expect("hours"))
        .map(|n| n.as_u64().expect("a number"))
        .sum();
    assert_eq!(in_week, sessions.len() as u64, "each session has its hour");
    assert!(!list(&user, "marked").is_empty() && !list(&user, "places").is_empty());
    assert_eq!(user["rhythm_zone"], "Europe/Paris");
    assert!(list(&user, "cases").iter().any(|c| c["title"] == case["title"]), "{user:#}");
    let facts = list(&user, "facts");
    assert!(
        facts.iter().any(|f| f["what"] == "looked at") && facts.iter().any(|f| f["what"] == "department")
    );
    // The others lead back to the user.
    let ip = suspect["public_ips"][0].as_str().expect("an address");
    let (device, gateway) =
        (suspect["device"].as_str().expect("text"), suspect["gateway"].as_str().expect("text"));
    for (kind, name) in [("addresses", ip), ("devices", device), ("gateways", gateway)] {
        let page = get(&mut vera, kind, name);
        assert!(names(&page, "users").iter().any(|u| u == who), "{kind} {name}: {page:#}");
    }
    let address = get(&mut vera, "addresses", ip);
    assert!(list(&address, "facts").iter().any(|f| f["what"] == "network"), "{address:#}");
    // Failures at a gateway become no sessions, and are found in its records.
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let failed = lina.get("/search?outcome=failure&events_only=true&limit=1000").json();
    let newest = list(&failed, "rows").iter().find(|r| r["observer"].is_string()).expect("a failure at one");
    let gateway = newest["observer"].as_str().expect("a name");
    let at: jiff::Timestamp = newest["time"].as_str().expect("a time").parse().expect("RFC 3339");
    let there = lina.get(&format!("/search?gateway={}&limit=1000", encode(gateway))).json();
    assert!(list(&there, "rows").iter().all(|r| r["observer"] == gateway), "of that one alone");
    let to = at + jiff::SignedDuration::from_secs(1);
    let page = lina.get(&format!("/gateways/{}?days=30&to={to}", encode(gateway))).json();
    let says = |what: &str| {
        let found = list(&page, "facts").iter().find(|f| f["what"] == what);
        found.and_then(|f| f["is"].as_str()).unwrap_or_default().to_owned()
    };
    assert!(!says("failures").is_empty() && !says("failures").starts_with("0 "), "{page:#}");
    assert!(says("last failure").starts_with(&format!("{at:.6}")), "{page:#}");
    // Nothing of a case that is restricted to others.
    let id = list(&user, "cases")[0]["number"].as_i64().expect("a number");
    let mia = person(&app, "mia", &["l1"]);
    for c in list(&user, "cases") {
        restrict(&service, CaseId(c["number"].as_i64().expect("a number")), mia);
    }
    let hidden = get(&mut vera, "users", who);
    assert!(list(&hidden, "cases").iter().all(|c| c["number"] != id));
    assert!(list(&hidden, "marked").is_empty(), "{:#}", hidden["marked"]);
    assert_eq!(list(&hidden, "sessions").len(), sessions.len());
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_benign_is_cleared_and_odd_names_are_names() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let id = found(&service.app, &ANNA);
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let path = "/users/anna?days=60&to=2026-04-01T00:00:00Z";
    let before = lina.get(path).json();
    let standing = |v: &Value| -> Vec<(bool, String)> {
        let one = |s: &Value| (s["suspect"] == true, s["standing"].as_str().expect("text").to_owned());
        list(v, "sessions").iter().map(one).collect()
    };
    assert_eq!(
        standing(&before),
        [(false, "cleared".to_owned()), (true, "tainted".to_owned())],
        "from the case"
    );
    assert_eq!(before["marked"], json!([[1, 8]]), "a Tuesday, at eight");
    let revision = lina.get(&format!("/cases/{id}")).json()["case"]["revision"].clone();
    let benign = json!({ "reason": "a trip", "scope": "none", "revision": revision });
    assert_eq!(lina.post(&format!("/cases/{id}/benign"), benign).status, 200);
    let after = lina.get(path).json();
    assert_eq!(standing(&after)[1], (false, format!("cleared by case {id}")));
    assert_eq!(after["marked"], json!([]));
    assert_eq!(lina.get("/users/anna?days=3").json()["sessions"], json!([]), "outside of the time asked for");

    for name in ["..", "a/../b", "<script>", "%00", "\u{202e}x", "O'Brien"] {
        let answer = lina.get(&format!("/users/{}", encode(name)));
        assert_eq!(
            (answer.status, answer.json()["cases"].clone()),
            (200, json!([])),
            "{name:?}: {}",
            answer.text
        );
    }
    assert_eq!(lina.get("/addresses/nowhere").status, 422);
    assert_eq!(lina.get("/addresses/::ffff:192.0.2.7").json()["name"], "192.0.2.7");
    assert_eq!(lina.get("/users/anna?days=0").status, 422);
    assert_eq!(lina.get("/users/anna?zone=Mars").status, 422);
    let mut shipper = signed_in(&service, "adam", &["responder-admin"]);
    assert_eq!(shipper.get("/users/anna").status, 403);
    service.close().await;
}
