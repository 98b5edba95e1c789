//! Every route with every role, and what keeps other pages out.

use super::browser::{Browser, case, person, signed_in};
use super::site::{acme, config, start};
use portreeve_access::permit::{RULES, Verb};
use portreeve_access::role::Role;
use serde_json::{Value, json};

/// A body that each route takes.
struct Walked {
    method: String,
    path: String,
    id: String,
    verb: Option<Verb>,
    body: Value,
}

/// The address with something in place of each part.
fn filled(path: &str, operation: &Value) -> String {
    let parts = operation["parameters"].as_array().expect("parameters").iter().filter(|p| p["in"] == "path");
    parts.fold(path.to_owned(), |path, part| {
        let with = if part["schema"]["type"] == "integer" { "9999" } else { "AAAA" };
        path.replace(&format!("{{{}}}", part["name"].as_str().expect("a name")), with)
    })
}

/// A body that can be read, as the document describes it.
fn body(document: &Value, operation: &Value) -> Value {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let Some(name) = schema.as_str().and_then(|r| r.rsplit('/').next()) else { return json!({}) };
    let schema = &document["components"]["schemas"][name];
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let value = |field: &str| match (field, schema["properties"][field]["type"].as_str()) {
        // Words that are looked at before anything else.
        ("tier", _) => json!("t2"),
        ("disposition", _) => json!("undetermined"),
        ("decision", _) => json!("close"),
        ("state", _) => json!("to_do"),
        ("status", _) => json!("open"),
        ("owner", _) => json!("nobody"),
        ("roles", _) => json!(["viewer"]),
        (_, Some("integer")) => json!(1),
        (_, Some("boolean")) => json!(true),
        (_, Some("array")) => json!([]),
        (_, Some("object")) | (_, None) => json!({}),
        _ => json!("new"),
    };
    let mut body: serde_json::Map<String, Value> = required.map(|f| (f.to_owned(), value(f))).collect();
    // What is not needed and yet asked for before the case is looked at.
    if schema["properties"]["roles"].is_object() && operation["operationId"] == "createToken" {
        body.insert("roles".to_owned(), json!(["viewer"]));
    }
    if schema["properties"]["reason"].is_object() {
        body.insert("reason".to_owned(), json!("because"));
    }
    if schema["properties"]["days"].is_object() && schema["properties"]["scope"].is_object() {
        body.insert("days".to_owned(), json!(1));
    }
    body.into()
}

fn routes() -> Vec<Walked> {
    let document = portreeve_server::openapi();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation["security"].as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            let verb = operation["x-portreeve-verb"].as_str();
            all.push(Walked {
                method: method.to_uppercase(),
                path: filled(path, operation),
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                verb: verb.map(|v| Verb::by_id(v).expect("a verb")),
                body: body(&document, operation),
            });
        }
    }
    all
}

fn sent(browser: &Browser, route: &Walked) -> u16 {
    let mut browser = browser.with("If-Match", "\"1\"");
    let path = format!("/api/v1{}", route.path);
    if route.method == "GET" {
        return browser.send("GET", &path, None).status;
    }
    if route.id == "deleteNote" {
        return browser.send("DELETE", &path, None).status;
    }
    browser.send(&route.method, &path, Some(("application/json", &route.body.to_string()))).status
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_the_table_for_every_role() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let routes = routes();
    assert!(routes.len() > 40, "{}", routes.len());
    let nobody = Browser::new(&service);
    for route in &routes {
        assert_eq!(sent(&nobody, route), 401, "{} {}", route.method, route.path);
    }
    let mut wrong = Vec::new();
    for role in Role::ALL.into_iter().filter(|r| *r != Role::Ingest) {
        for route in &routes {
            // A stream does not end; it has a test of its own. Signing out ends the walk.
            if ["streamEvents", "signOut", "endOtherLogins"].contains(&route.id.as_str()) {
                continue;
            }
            let name = format!("{} {}", role.id(), route.id);
            let browser = signed_in(&service, &name, &[role.id()]);
            let status = sent(&browser, route);
            let has = |v| RULES.iter().any(|r| r.verb == v && r.roles.contains(&role));
            // Its author may end a suppression as well.
            let author = route.path.ends_with("/end") && route.path.starts_with("/suppressions");
            let may = route.verb.is_none_or(has) || author && has(Verb::CaseSuppress);
            if may {
                if ![200, 401, 404, 409, 422].contains(&status) {
                    wrong.push(format!("{role} may {} {}: {status}", route.method, route.path));
                }
                // Only what asks for the password again says 401.
                assert!(status != 401 || route.id == "changePassword", "{role} {}", route.path);
            } else {
                if status != 403 {
                    wrong.push(format!("{role} may not {} {}: {status}", route.method, route.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_case_is_not_there_for_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let number = case(&service.app, "c1", "anna").0;
    let (mut inside, mut outside) =
        (signed_in(&service, "inside", &["t3"]), signed_in(&service, "outside", &["t3"]));
    let mut auditor = signed_in(&service, "auditor", &["auditor"]);
    let path = format!("/cases/{number}");
    let revision = outside.get(&path).json()["case"]["revision"].clone();
    let red = inside.post(&format!("{path}/sharing"), json!({ "tlp": "red", "revision": revision }));
    assert_eq!(red.status, 200, "{}", red.text);
    assert_eq!(red.json()["restricted"], true);
    for sub in ["", "/notes", "/timeline", "/related"] {
        assert_eq!(outside.get(&format!("{path}{sub}")).status, 404, "{sub}");
        assert_eq!(inside.get(&format!("{path}{sub}")).status, 200, "{sub}");
    }
    assert_eq!(
        outside.get(&path).text.replace(&number.to_string(), "N"),
        outside.get("/cases/424242").text.replace("424242", "N"),
        "nobody learns that it exists"
    );
    let written = outside.post(&format!("{path}/notes"), json!({ "body": "x" }));
    assert_eq!(written.status, 404);
    assert_eq!(outside.get("/cases").json()["cases"], json!([]));
    assert_eq!(inside.get("/cases").json()["cases"].as_array().map(Vec::len), Some(1));
    assert_eq!(auditor.get(&path).status, 200);
    let open = inside.post(&format!("{path}/restrict"), json!({ "revision": red.json()["revision"] }));
    assert_eq!(open.status, 409, "TLP:RED stays with its members: {}", open.text);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_and_other_names_stay_outside() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let number = case(&service.app, "c1", "anna").0;
    let notes = format!("/cases/{number}/notes");
    let mut browser = signed_in(&service, "anna", &["l1"]);
    let note = json!({ "body": "seen" });
    assert_eq!(browser.post(&notes, note.clone()).status, 200);
    let mut without = browser.clone();
    without.csrf = None;
    assert_eq!(without.post(&notes, note.clone()).kind(), "foreign-page");
    let mut other = signed_in(&service, "bert", &["l1"]);
    let mine = std::mem::replace(&mut other.csrf, browser.csrf.clone());
    assert_eq!(other.post(&notes, note.clone()).kind(), "foreign-page", "another session's token");
    other.csrf = mine;
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let mut foreign = browser.clone();
        foreign.origin = origin.map(str::to_owned);
        assert_eq!(foreign.post(&notes, note.clone()).kind(), "foreign-page", "{origin:?}");
    }
    let mut cross = browser.with("Sec-Fetch-Site", "cross-site");
    assert_eq!(cross.post(&notes, note.clone()).kind(), "foreign-page");
    assert_eq!(browser.get(&notes).json().as_array().map(Vec::len), Some(1));
    // A name that was made to point here.
    let rebound = browser.with("Host", "evil.example").get("/cases");
    assert_eq!((rebound.status, rebound.kind()), (421, "host".to_owned()));
    let answer = browser.get("/cases");
    let policy = &answer.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    // What is no route, no method, no body.
    assert_eq!(browser.get("/nothing").status, 404);
    assert_eq!(browser.get("/cases/x").status, 404);
    assert_eq!(browser.send("PATCH", "/api/v1/cases", None).status, 405);
    assert_eq!(browser.send("POST", &format!("/api/v1{notes}"), Some(("application/json", "{"))).status, 400);
    assert_eq!(browser.send("POST", &format!("/api/v1{notes}"), Some(("text/plain", "x"))).status, 415);
    let large = format!("{{\"body\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(
        browser.send("POST", &format!("/api/v1{notes}"), Some(("application/json", &large))).status,
        413
    );
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_taken_away_is_gone_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    let made = anna.post("/me/tokens", json!({ "name": "script", "scope": ["case.list"] }));
    assert_eq!(made.status, 200, "{}", made.text);
    let secret = made.json()["secret"].as_str().expect("a token").to_owned();
    let mut script = Browser::new(&service).with("Authorization", &format!("Bearer {secret}"));
    script.origin = None;
    assert_eq!(script.get("/cases").status, 200);
    assert_eq!(script.get("/sources").status, 403, "not in its scope");
    assert_eq!(script.post("/me/tokens", json!({ "name": "more" })).status, 403, "tokens make no tokens");
    let people = admin.get("/people").json();
    let hers = people.as_array().expect("people").iter().find(|p| p["name"] == "anna").expect("anna").clone();
    let path = format!("/api/v1/people/{}", hers["id"]);
    let change = json!({ "roles": ["responder-admin"], "revision": hers["revision"] }).to_string();
    let changed = admin.send("PUT", &path, Some(("application/json", &change)));
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(anna.get("/session").status, 401, "her logins ended");
    assert_eq!(script.get("/cases").status, 403, "her token has what she has");
    let own = person(&service.app, "other", &["viewer"]);
    assert!(own.0 > 0);
    service.close().await;
}
