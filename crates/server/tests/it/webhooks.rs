//! Webhooks out, against a receiver that answers as receivers do: late, never, elsewhere, or not at all.

use super::browser::{Browser, case, now, signed_in};
use super::pages::{page, send};
use super::receiver::{Receiver, Says};
use super::site::{self, acme, config, start, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use portreeve_server::{App, Service};
use portreeve_store::outbox;
use serde_json::json;
use std::path::Path;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn hook(receiver: &Receiver, dir: &Path, name: &str, more: &str) -> String {
    let secret = dir.join("signing");
    site::secret(&secret, SECRET);
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"{}/in?t=1\"\nretry_s = 1\ntimeout_s = 2\n\
         signing = {{ file = {secret:?} }}\n{more}\n",
        receiver.url()
    )
}

async fn service(dir: &Path, hooks: &str) -> Service {
    start(&dir.join("data"), config(&acme().join("context"), hooks)).await
}

fn escalate(browser: &mut Browser, number: i64, tier: &str) {
    let revision = browser.get(&format!("/cases/{number}")).json()["case"]["revision"].clone();
    let done = browser.post(
        &format!("/cases/{number}/escalate"),
        json!({ "tier": tier, "reason": "look", "revision": revision }),
    );
    assert_eq!(done.status, 200, "{}", done.text);
}

/// What the figures say of a webhook: heard, failed attempts, waiting, given up, lost.
fn figures(browser: &mut Browser, name: &str) -> [u64; 5] {
    let text = browser.get_page("/metrics").text;
    ["sent_total", "failed_total", "waiting", "given_up", "lost"].map(|figure| {
        let line = format!("portreeve_webhook_{figure}{{webhook=\"{name}\"}} ");
        let value = text.lines().find_map(|l| l.strip_prefix(&line));
        value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no {line}: {text}"))
    })
}

fn waiting(app: &App, name: &str) -> i64 {
    app.store.read(|tx| outbox::waiting(tx, name)).expect("the outbox")
}

#[tokio::test(flavor = "multi_thread")]
async fn told_once_signed_in_order_and_until_it_was_heard() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start();
    receiver.then([
        Says::Status(503, ""),
        Says::Nothing,
        Says::Status(302, "location: http://127.0.0.1:9/elsewhere"),
        Says::Status(429, "retry-after: 2"),
    ]);
    let hooks = hook(&receiver, dir.path(), "soar", "template = \"plain\"");
    let service = service(dir.path(), &hooks).await;
    let number = case(&service.app, "c1", "anna\u{202e}<b>").0;
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    escalate(&mut anna, number, "t2");
    escalate(&mut anna, number, "t3");
    until("both were heard", || waiting(&service.app, "soar") == 0).await;
    let heard = receiver.heard();
    let told: Vec<(String, String)> = heard
        .iter()
        .map(|h| {
            (
                h.headers["webhook-id"].clone(),
                h.json()["data"]["case"]["tier"].as_str().expect("a tier").to_owned(),
            )
        })
        .collect();
    assert_eq!(
        told.iter().map(|(_, t)| t.as_str()).collect::<Vec<_>>(),
        ["t2", "t2", "t2", "t2", "t2", "t3"]
    );
    assert!(told[..5].iter().all(|(id, _)| *id == told[0].0), "the same message has the same id: {told:?}");
    assert_ne!(told[5].0, told[0].0);
    let stamps: Vec<i64> =
        heard.iter().map(|h| h.headers["webhook-timestamp"].parse().expect("seconds")).collect();
    assert!(stamps[4] - stamps[3] >= 2, "what the receiver asked for: {stamps:?}");
    for h in &heard {
        assert_eq!((h.method.as_str(), h.path.as_str()), ("POST", "/in?t=1"));
        let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("base64");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any key");
        mac.update(
            format!("{}.{}.{}", h.headers["webhook-id"], h.headers["webhook-timestamp"], h.body).as_bytes(),
        );
        let signed = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(h.headers["webhook-signature"], signed);
        assert!(
            (now() / 1_000_000 - h.headers["webhook-timestamp"].parse::<i64>().expect("a time")).abs() < 300
        );
        assert!(!h.body.contains('\u{202e}'));
        assert_eq!(h.json()["type"], "case.escalated");
    }
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_heard_is_shown_and_tried_again_when_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start();
    receiver.then([
        Says::Status(500, ""),
        Says::Status(500, ""),
        Says::With(400, "", "bad\u{1b}[2J".to_owned()),
    ]);
    let hooks = hook(&receiver, dir.path(), "soar", "template = \"plain\"\nattempts = 2\nqueue = 1");
    let service = service(dir.path(), &hooks).await;
    let (one, two) = (case(&service.app, "c1", "anna").0, case(&service.app, "c2", "bert").0);
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    let view = |admin: &mut Browser| admin.get("/webhooks").json()[0].clone();
    escalate(&mut anna, one, "t2");
    until("two attempts are enough", || view(&mut admin)["dead"] == 1).await;
    escalate(&mut anna, two, "t2");
    until("a 400 is for good", || view(&mut admin)["dead"] == 2).await;
    let shown = view(&mut admin);
    assert_eq!((&shown["host"], &shown["waiting"]), (&json!("127.0.0.1"), &json!(0)));
    assert!(shown["last_error"].as_str().is_some_and(|e| e.contains("bad\\u{1b}")), "{shown}");
    assert!(!shown.to_string().contains("t=1"), "the address stays a secret: {shown}");
    // What was given up, with the reasons; the case for who may read it.
    let listed = |browser: &mut Browser, more: &str| {
        let answer = browser.get(&format!("/webhooks/soar/deliveries{more}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["deliveries"].as_array().expect("deliveries").clone()
    };
    let given_up = listed(&mut admin, "");
    let of = |k: &str| given_up.iter().map(|d| d[k].clone()).collect::<Vec<_>>();
    assert_eq!((of("state"), of("attempts")), (vec![json!("dead"); 2], vec![json!(1), json!(2)]));
    assert!(given_up[0]["last_error"].as_str().is_some_and(|e| e.contains("bad\\u{1b}")), "{given_up:?}");
    assert!(given_up[1]["last_error"].as_str().is_some_and(|e| e.contains("500")), "{given_up:?}");
    assert_eq!(of("case"), [json!(null), json!(null)], "an administrator reads no cases");
    let mut auditor = signed_in(&service, "dora", &["auditor"]);
    let cases: Vec<_> = listed(&mut auditor, "").iter().map(|d| d["case"].clone()).collect();
    assert_eq!(cases, [json!(two), json!(one)]);
    assert_eq!(anna.get("/webhooks/soar/deliveries").status, 403);
    assert_eq!(admin.get("/webhooks/none/deliveries").status, 404);
    assert_eq!(admin.get("/webhooks/soar/deliveries?standing=some").status, 422);
    let all = page(&mut admin, "/webhooks").text;
    assert!(all.contains("href=\"/webhooks/soar\"") && all.contains("Send again"), "{all}");
    let shown = page(&mut admin, "/webhooks/soar").text;
    assert!(shown.contains("given up") && shown.contains("bad") && !shown.contains('\u{1b}'), "{shown}");
    assert!(!all.contains("t=1") && !shown.contains("t=1"), "the address stays a secret");
    let looked = page(&mut auditor, "/webhooks/soar").text;
    assert!(looked.contains(&format!("/cases/{one}")) && !looked.contains("Send again"), "{looked}");
    assert_eq!(send(&mut auditor, "/webhooks/soar/revive", &[]).status, 403);
    assert_eq!(page(&mut anna, "/webhooks").status, 403);
    assert!(!page(&mut anna, "/queue").text.contains("href=\"/webhooks\""), "it leads nobody astray");
    assert_eq!(page(&mut admin, "/webhooks/none").status, 404);
    let problem = |browser: &mut Browser| {
        let all = browser.get("/health").json()["problems"].clone();
        let all = all.as_array().expect("problems").clone();
        all.into_iter().find(|p| p["part"] == "webhook").map(|p| format!("{}: {}", p["name"], p["why"]))
    };
    let mut shown = None;
    until("everybody sees it", || {
        shown = problem(&mut anna);
        shown.as_deref().is_some_and(|s| s.contains('2'))
    })
    .await;
    assert_eq!(shown.as_deref(), Some("\"soar\": \"2 messages were given up\""));
    assert_eq!(figures(&mut anna, "soar"), [0, 3, 0, 2, 0]);
    let again = send(&mut admin, "/webhooks/soar/revive", &[]);
    assert_eq!(again.status, 303, "{}", again.text);
    assert!(page(&mut admin, "/webhooks").text.contains("2 messages are tried again for soar"));
    until("now they were heard", || waiting(&service.app, "soar") == 0).await;
    assert_eq!(receiver.heard().len(), 5);
    assert_eq!(problem(&mut anna), None);
    assert_eq!(figures(&mut anna, "soar"), [2, 3, 0, 0, 0]);
    assert!(view(&mut admin)["last_heard"].is_string());
    assert_eq!((listed(&mut admin, "").len(), listed(&mut admin, "?standing=all").len()), (0, 2));
    assert!(page(&mut admin, "/webhooks/soar").text.contains("Everything was heard."));
    assert_eq!(send(&mut admin, "/webhooks/soar/test", &[]).status, 303);
    assert!(page(&mut admin, "/webhooks").text.contains("The test arrived at soar"));
    receiver.then([Says::Status(410, "")]);
    assert_eq!(send(&mut admin, "/webhooks/soar/test", &[]).status, 303);
    let shown = page(&mut admin, "/webhooks").text;
    assert!(shown.contains("The test did not arrive at soar") && shown.contains("410"), "{shown}");
    assert_eq!(figures(&mut anna, "soar"), [2, 3, 0, 0, 0], "tests are no messages");
    // What does not fit into the queue is counted.
    receiver.then(vec![Says::Nothing; 2]);
    escalate(&mut anna, one, "t3");
    escalate(&mut anna, two, "t3");
    assert_eq!(view(&mut admin)["untold"], 1);
    until("it is shown", || problem(&mut anna).is_some_and(|p| p.contains("did not fit"))).await;
    // Who may not set up webhooks may not try them either.
    assert_eq!(anna.post("/webhooks/soar/test", json!({})).status, 403);
    assert_eq!(admin.post("/webhooks/none/test", json!({})).status, 404);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restricted_stays_inside_unless_said_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let (outside, inside) = (Receiver::start(), Receiver::start());
    let hooks = hook(&outside, dir.path(), "outside", "template = \"plain\"")
        + &hook(&inside, dir.path(), "inside", "template = \"plain\"\ntlp = \"red\"\nrestricted = true");
    // The first attempts fail, and the case becomes a secret before the next.
    outside.then([Says::Status(503, "retry-after: 3")]);
    let service = service(dir.path(), &hooks).await;
    let number = case(&service.app, "c1", "anna").0;
    let mut anna = signed_in(&service, "anna", &["l1", "t2", "t3"]);
    escalate(&mut anna, number, "t2");
    until("the first attempt was made", || outside.heard().len() == 1).await;
    let revision = anna.get(&format!("/cases/{number}")).json()["case"]["revision"].clone();
    let red = anna.post(&format!("/cases/{number}/sharing"), json!({ "tlp": "red", "revision": revision }));
    assert_eq!(red.status, 200, "{}", red.text);
    escalate(&mut anna, number, "t3");
    until("nothing waits", || waiting(&service.app, "outside") + waiting(&service.app, "inside") == 0).await;
    assert_eq!(outside.heard().len(), 1, "what waited was not sent, what came later not even written down");
    let tiers: Vec<_> = inside.heard().iter().map(|h| h.json()["data"]["case"]["tier"].clone()).collect();
    assert_eq!(tiers, [json!("t2"), json!("t3")]);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_asked_before_something_new_is_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let credential = dir.path().join("credential");
    site::secret(&credential, "soc@example.org:t0ken\n");
    let receiver = Receiver::start();
    let hooks = format!(
        "[[webhook]]\nname = \"tickets\"\nurl = \"{}/jira\"\ntemplate = \"jira\"\nproject = \"SOC\"\nretry_s = 1\n\
         credential = {{ file = {credential:?} }}\n",
        receiver.url()
    );
    receiver.at("POST /jira/rest/api/3/search/jql", r#"{"issues":[]}"#);
    receiver.at("POST /jira/rest/api/3/issue", r#"{"key":"SOC-7"}"#);
    let service = service(dir.path(), &hooks).await;
    let number = case(&service.app, "c1", "anna").0;
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    escalate(&mut anna, number, "t2");
    until("an issue is made", || waiting(&service.app, "tickets") == 0).await;
    receiver.at("POST /jira/rest/api/3/search/jql", r#"{"issues":[{"key":"SOC-7"}]}"#);
    receiver.at("POST /jira/rest/api/3/issue/SOC-7/comment", "{}");
    escalate(&mut anna, number, "t3");
    until("a comment is made", || waiting(&service.app, "tickets") == 0).await;
    let heard = receiver.heard();
    let paths: Vec<&str> = heard.iter().map(|h| h.path.as_str()).collect();
    let search = "/jira/rest/api/3/search/jql";
    assert_eq!(paths, [search, "/jira/rest/api/3/issue", search, "/jira/rest/api/3/issue/SOC-7/comment"]);
    let basic = format!("Basic {}", STANDARD.encode("soc@example.org:t0ken"));
    assert!(heard.iter().all(|h| h.headers["authorization"] == basic));
    assert!(
        heard[1].json()["fields"]["labels"][1]
            .as_str()
            .is_some_and(|l| l.ends_with(&format!("-case-{number}")))
    );

    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    receiver.at("POST /jira/rest/api/3/search/jql", r#"{"issues":[]}"#);
    let tested = admin.post("/webhooks/tickets/test", json!({}));
    assert_eq!((tested.status, tested.json()["arrived"].clone()), (200, json!(true)), "{}", tested.text);
    receiver.at("POST /jira/rest/api/3/search/jql", "<html>");
    let tested = admin.post("/webhooks/tickets/test", json!({}));
    assert!(tested.json()["why"].as_str().is_some_and(|w| w.contains("no JSON")), "{}", tested.text);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_outlives_the_service() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start();
    let hooks = hook(&receiver, dir.path(), "soar", "template = \"plain\"");
    receiver.then([Says::Status(503, "retry-after: 1")]);
    let service = self::service(dir.path(), &hooks).await;
    let number = case(&service.app, "c1", "anna").0;
    escalate(&mut signed_in(&service, "anna", &["l1", "t2"]), number, "t2");
    until("it was tried", || !receiver.heard().is_empty()).await;
    service.close().await;
    let service = self::service(dir.path(), &hooks).await;
    until("it was heard", || waiting(&service.app, "soar") == 0).await;
    let heard = receiver.heard();
    assert!(
        heard.len() >= 2 && heard.iter().all(|h| h.headers["webhook-id"] == heard[0].headers["webhook-id"])
    );
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_is_told_to_another() {
    let dir = tempfile::tempdir().expect("a folder");
    let (broken, pager) = (Receiver::start(), Receiver::start());
    broken.then([Says::Status(400, "")]);
    let hooks = hook(&broken, dir.path(), "broken", "template = \"plain\"")
        + &hook(&pager, dir.path(), "pager", "template = \"plain\"\non = [\"health\"]");
    let service = service(dir.path(), &hooks).await;
    let number = case(&service.app, "c1", "anna").0;
    escalate(&mut signed_in(&service, "anna", &["l1", "t2"]), number, "t2");
    until("it is told", || !pager.heard().is_empty()).await;
    let said = pager.heard()[0].json();
    assert_eq!((&said["type"], &said["data"]["subject"]), (&json!("health"), &json!("webhook broken")));
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    assert_eq!(admin.post("/webhooks/broken/revive", json!({})).json(), json!(1));
    until("that it is over is told", || pager.heard().len() == 2).await;
    let said = pager.heard()[1].json()["data"]["said"].as_str().unwrap_or_default().to_owned();
    assert!(said.starts_with("over: webhook broken: 1 message"), "{said}");
    service.close().await;
}

const CHILD: &str = "PORTREEVE_TEST_WEBHOOK_CHILD";

/// Not a test: the service that `a_killed_service_loses_nothing` kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child that the kill test starts and kills: cargo test -p portreeve-server --test it a_killed_service"]
async fn a_child_to_be_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let dir = Path::new(&dir);
    let hooks = std::fs::read_to_string(dir.join("hooks")).expect("hooks");
    let service = service(dir, &hooks).await;
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    for n in 0..5 {
        let number = case(&service.app, &format!("c{n}"), "anna").0;
        escalate(&mut anna, number, "t2");
        escalate(&mut anna, number, "t3");
    }
    std::fs::write(dir.join("ready"), "").expect("written");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start();
    let hooks = hook(&receiver, dir.path(), "soar", "template = \"plain\"");
    std::fs::write(dir.path().join("hooks"), &hooks).expect("written");
    receiver.then([Says::Status(204, ""), Says::Nothing]);
    let mut child = std::process::Command::new(std::env::current_exe().expect("ourselves"))
        .args(["--exact", "webhooks::a_child_to_be_killed", "--ignored"])
        .env(CHILD, dir.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a child");
    // One was heard, one is on its way, the others wait.
    let ready = dir.path().join("ready");
    until("the child has written everything", || ready.exists() && receiver.heard().len() >= 2).await;
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    let service = service(dir.path(), &hooks).await;
    until("all was heard", || waiting(&service.app, "soar") == 0).await;
    let mut first: Vec<(i64, String)> = Vec::new();
    for heard in receiver.heard() {
        let case = &heard.json()["data"]["case"];
        let told =
            (case["number"].as_i64().expect("a number"), case["tier"].as_str().expect("a tier").to_owned());
        if !first.contains(&told) {
            first.push(told);
        }
    }
    assert_eq!(first.len(), 10, "{first:?}");
    for n in 1..=5 {
        let tiers: Vec<&str> = first.iter().filter(|(c, _)| *c == n).map(|(_, t)| t.as_str()).collect();
        assert_eq!(tiers, ["t2", "t3"], "in the order of the case");
    }
    service.close().await;
}
