//! A new password that containment made: for who carried the plan out, once, whatever happens to the service meanwhile.

use super::browser::{Browser, signed_in};
use super::containment::{planned, plans, proposing, standing, why};
use super::receiver::Receiver;
use super::site::{acme, config, secret, start};
use portreeve_server::Service;
use portreeve_server::config::Config;
use serde_json::json;
use std::path::Path;

const LINK: &str = "https://org.okta.example/signin/reset-password/one-time";

/// As much of Okta as it takes to reset one password.
fn okta() -> Receiver {
    let okta = Receiver::start();
    let user = |status: &str| {
        json!({"id": "00u1", "status": status, "profile": {"login": "zoe@corp.example"},
            "credentials": {"provider": {"type": "OKTA"}}})
    };
    okta.at("GET /api/v1/users", &json!([user("ACTIVE")]).to_string());
    okta.at("GET /api/v1/users/00u1", &user("RECOVERY").to_string());
    let link = json!({ "resetPasswordUrl": LINK }).to_string();
    okta.at("POST /api/v1/users/00u1/lifecycle/reset_password", &link);
    okta
}

fn site(dir: &Path, okta: &Receiver) -> Config {
    let text = format!(
        "ledger: ledger.db\noperators: []\nconnectors:\n  - name: okta\n    kind: okta\n    settings:\n      \
         endpoint: {{url: \"{}\", timeout: 5}}\n      domain: corp.example\n    \
         credentials: {{default: !file token}}\n",
        okta.url()
    );
    let path = dir.join("respond.yml");
    std::fs::write(&path, text).expect("written");
    secret(&dir.join("token"), "00token");
    config(&acme().join("context"), &format!("[respond]\nconfig = {:?}\n", path.display().to_string()))
}

/// The same person, after the service has begun anew.
fn again(service: &Service, before: &Browser) -> Browser {
    let mut browser = Browser::new(service);
    browser.cookies = before.cookies.clone();
    browser.look();
    browser
}

/// Does any file of the service hold it as it is?
fn lies_open(dir: &Path) -> bool {
    std::fs::read_dir(dir).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        let found = || {
            let text = std::fs::read(&path).expect("a file");
            text.windows(LINK.len()).any(|w| w == LINK.as_bytes())
        };
        if path.is_dir() { lies_open(&path) } else { path.is_file() && found() }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_outlives_a_restart_and_is_read_once_by_who_made_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let okta = okta();
    let service = start(dir.path(), site(dir.path(), &okta)).await;
    let number = proposing(&service, &[("reset_password", json!({ "account": "zoe" }))]).0;
    let mut lena = signed_in(&service, "lena", &["l1"]);
    let mut theo = signed_in(&service, "theo", &["t3"]);
    let mut tess = signed_in(&service, "tess", &["t3"]);
    let digest = planned(&mut lena, number, "reset_password");
    let at = format!("{}/{digest}", plans(number));
    assert_eq!(tess.post(&format!("{at}/approve"), why("seen")).status, 200);
    let begun = theo.post(&format!("{at}/apply"), why("contain"));
    assert_eq!(begun.status, 200, "{}", begun.text);
    let done = standing(&mut theo, number, &digest, "in_force");
    assert_eq!(
        (&done["steps"][0]["state"], &done["hands_over"]),
        (&json!("verified"), &json!(true)),
        "{done:#}"
    );
    assert!(!begun.text.contains(LINK));
    service.close().await;
    assert!(!lies_open(dir.path()), "it is sealed");

    let service = start(dir.path(), site(dir.path(), &okta)).await;
    let (mut theo, mut tess) = (again(&service, &theo), again(&service, &tess));
    let (page, button) = (format!("/cases/{number}"), format!("/plans/{digest}/hand-over\""));
    assert!(theo.get_page(&page).text.contains(&button));
    assert!(!tess.get_page(&page).text.contains(&button));
    let hand_over = format!("{at}/hand-over");
    assert_eq!(tess.post(&hand_over, json!({})).json(), json!([]), "she approved, and did not carry out");
    let mut once = theo.with("Idempotency-Key", "a-1");
    let read = once.post(&hand_over, json!({}));
    assert_eq!(read.json(), json!([{ "step": 1, "secret": LINK }]));
    let twice = once.post(&hand_over, json!({}));
    assert!(twice.status == 409 && !twice.text.contains(LINK), "{}", twice.text);
    assert_eq!(theo.post(&hand_over, json!({})).json(), json!([]));
    assert_eq!(standing(&mut theo, number, &digest, "in_force")["hands_over"], false);

    let mut carl = signed_in(&service, "carl", &["auditor"]);
    let entries = carl.get("/audit?limit=1000").json()["entries"].as_array().expect("entries").clone();
    let readings: Vec<_> = entries.iter().filter(|e| e.to_string().contains("handed_over")).collect();
    assert!(
        readings.len() == 1 && readings[0]["actor"].as_str().is_some_and(|a| a.ends_with("theo")),
        "{readings:#?}"
    );
    assert!(!entries.iter().any(|e| e.to_string().contains(LINK)));
    service.close().await;
    assert!(!lies_open(dir.path()));
}
