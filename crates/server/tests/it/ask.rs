//! "Was this you?": a link that is good once, a page for strangers, and an answer that clears nothing.

use super::browser::{Browser, signed_in};
use super::sample::{ANNA, Sample, found};
use super::site::{acme, config, start};
use portreeve_server::Service;
use portreeve_store::CaseId;
use serde_json::json;

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}'\"";

async fn service(dir: &std::path::Path) -> Service {
    let mut config = config(&acme().join("context"), "");
    config.web.public_url = Some("http://127.0.0.1:9".to_owned());
    start(dir, config).await
}

/// PAP:GREEN: asking may be noticed.
fn may_be_asked(service: &Service, id: CaseId) {
    use portreeve_store::case::{By, Pap, Tlp, get, work};
    let by = By { actor: "person:99 bert", at: super::browser::now() };
    let set = |tx: &mut portreeve_store::WriteTx<'_>| {
        let revision = get(tx, id)?.revision;
        work::set_sharing(tx, id, revision, Tlp::Amber, Pap::Green, by)
    };
    service.app.store.write(set).expect("set");
}

fn stranger(service: &Service) -> Browser {
    let mut browser = Browser::new(service);
    browser.origin = None;
    browser
}

fn path(link: &serde_json::Value) -> String {
    link.as_str().and_then(|l| l.strip_prefix("http://127.0.0.1:9")).expect("a link of ours").to_owned()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_answers_once_and_clears_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(dir.path()).await;
    let id = found(&service.app, &Sample { device: HOSTILE, ..ANNA });
    let asks = format!("/cases/{id}/asks");
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let revision = lina.get(&format!("/cases/{id}")).json()["case"]["revision"].clone();
    let mut senior = signed_in(&service, "rosa", &["t2"]);
    let amber = json!({ "pap": "amber", "revision": revision });
    assert_eq!(senior.post(&format!("/cases/{id}/sharing"), amber).status, 200);
    let refused = lina.post(&asks, json!({}));
    assert_eq!(
        (refused.status, refused.kind()),
        (403, "not-allowed".to_owned()),
        "PAP:AMBER: nothing noticeable"
    );
    may_be_asked(&service, id);
    let made = lina.post(&asks, json!({ "zone": "Europe/Berlin", "text": "The help desk of Example asks:" }));
    assert_eq!(made.status, 200, "{}", made.text);
    let link = path(&made.json()["link"]);
    let listed = lina.get(&asks);
    assert!(
        listed.json()[0]["state"] == "open" && !listed.text.contains(&link[5..]),
        "the link is shown once"
    );

    // A scanner of mails opens it, twice and by HEAD; nothing is used up.
    let mut them = stranger(&service);
    let looked = them.get_page(&link);
    assert_eq!(looked.status, 200, "{}", looked.text);
    let text = &looked.text;
    for wanted in
        ["The help desk of Example asks:", "Tuesday, 3 March 2026, 09:12 (Europe/Berlin)", "Lyon", "anna"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    for inside in ["internal", "<script>alert", "\u{202e}", "escalate", "192.0.2.7", "10.8.0.5", "case"] {
        assert!(!text.contains(inside), "{inside}: {text}");
    }
    // The link goes to no other site; `no-referrer` would take the origin from the form's own answer.
    assert_eq!(looked.headers["referrer-policy"], "same-origin");
    assert_eq!(looked.headers["cache-control"], "no-store");
    assert!(looked.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert_eq!(them.send("HEAD", &link, None).status, 200);
    assert_eq!(them.get_page(&link).status, 200);
    assert_eq!(them.send("POST", &link, Some((FORM, "answer=perhaps"))).status, 422);

    let body = format!("answer=yes&remark={}", portreeve_server::ui::link::encode(HOSTILE));
    let agent = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0";
    let answered = them.with("User-Agent", agent).send("POST", &link, Some((FORM, &body)));
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.text.contains("Thank you"));
    let again = them.send("POST", &link, Some((FORM, "answer=no")));
    assert_eq!(again.status, 404);
    let forged = format!("{}{}", &link[..link.len() - 3], if link.ends_with("AAA") { "BBB" } else { "AAA" });
    let gone = [them.get_page(&link).text, them.get_page(&forged).text, them.get_page("/ask/x").text];
    assert!(gone.iter().all(|t| *t == gone[0]) && gone[0].contains("not good any more"), "{gone:?}");

    let told = lina.get(&asks).json()[0].clone();
    assert_eq!((&told["answer"], &told["device"]), (&json!("yes"), &json!("Windows, Firefox")));
    assert_eq!((&told["remark"], &told["address"]), (&json!(HOSTILE), &json!("127.0.0.1")));
    assert!(told["strength"].as_str().is_some_and(|s| s.starts_with("weak")), "{told}");
    let whole = lina.get(&format!("/cases/{id}")).json()["case"].clone();
    assert_eq!(
        (&whole["status"], &whole["decision"]),
        (&json!("new"), &json!("escalate")),
        "it clears nothing"
    );
    let entries = lina.get(&format!("/cases/{id}/timeline")).json()["entries"].clone();
    let answer =
        entries.as_array().expect("entries").iter().find(|e| e["kind"] == "answer").expect("an answer");
    assert!(answer["said"].as_str().is_some_and(|s| s.contains("answered yes (weak")), "{answer}");

    let confirm = format!("{asks}/{}/confirm", told["id"]);
    assert_eq!(lina.post(&confirm, json!({ "how": "" })).status, 422);
    let confirmed = lina.post(&confirm, json!({ "how": "called the number of the directory" }));
    assert_eq!(confirmed.status, 200, "{}", confirmed.text);
    assert!(confirmed.json()["confirmed_by"].as_str().is_some_and(|b| b.ends_with("lina")));
    let mut carl = signed_in(&service, "carl", &["auditor"]);
    let audit = carl.get("/audit?limit=1000").json()["entries"].clone();
    let has = |verb: &str| audit.as_array().expect("entries").iter().any(|e| e["verb"] == verb);
    assert!(has("ask.create") && has("ask.answer"));
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_puts_the_case_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(dir.path()).await;
    let id = found(&service.app, &ANNA);
    may_be_asked(&service, id);
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let [first, second] = [(); 2].map(|()| lina.post(&format!("/cases/{id}/asks"), json!({})).json());
    let revision = lina.get(&format!("/cases/{id}")).json()["case"]["revision"].clone();
    let benign = json!({ "reason": "on a trip", "scope": "user-network", "days": 14, "revision": revision });
    assert_eq!(lina.post(&format!("/cases/{id}/benign"), benign).status, 200);
    assert_eq!(lina.get("/cases").json()["cases"], json!([]));
    let mut them = stranger(&service);
    // Taken back, a link is like one that never was.
    let taken = lina.post(&format!("/cases/{id}/asks/{}/revoke", first["ask"]["id"]), json!({}));
    assert_eq!(taken.json()["state"], "revoked", "{}", taken.text);
    assert_eq!(them.send("POST", &path(&first["link"]), Some((FORM, "answer=no"))).status, 404);
    assert_eq!(lina.get("/cases").json()["cases"], json!([]));
    let answered = them.send("POST", &path(&second["link"]), Some((FORM, "answer=no")));
    assert!(answered.status == 200 && answered.text.contains("help desk"), "{}", answered.text);
    let up = lina.get("/cases").json()["cases"][0].clone();
    assert_eq!(
        (&up["number"], &up["resurfaced"], &up["status"]),
        (&json!(id.0), &json!(true), &json!("closed"))
    );
    assert!(up["next_due"].is_string(), "it is to be contained soon: {up}");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_links_is_slow_and_other_pages_answer_for_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = service(dir.path()).await;
    let id = found(&service.app, &ANNA);
    may_be_asked(&service, id);
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let link = path(&lina.post(&format!("/cases/{id}/asks"), json!({})).json()["link"]);
    let mut foreign = stranger(&service);
    foreign.origin = Some("https://evil.example".to_owned());
    assert_eq!(foreign.send("POST", &link, Some((FORM, "answer=yes"))).status, 403);
    let mut them = stranger(&service);
    assert_eq!(them.get_page(&link).status, 200);
    let tried: Vec<u16> = (0..40).map(|n| them.get_page(&format!("/ask/{n}")).status).collect();
    assert!(tried[0] == 404 && tried[39] == 429, "{tried:?}");
    assert_eq!(lina.get("/cases").status, 200, "signing in is counted apart");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_name_there_is_no_link() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let id = found(&service.app, &ANNA);
    may_be_asked(&service, id);
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let refused = lina.post(&format!("/cases/{id}/asks"), json!({}));
    assert!(refused.status == 409 && refused.text.contains("web.public_url"), "{}", refused.text);
    service.close().await;
}
