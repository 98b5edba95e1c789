//! Passkeys: in a real browser over the service's pages, and what the API refuses.

use super::browser::{Browser, signed_in};
use super::site::{acme, config, start};
use serde_json::json;

const GOOD: &str = "seven herons over the lake";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_and_a_passkey_come_in() {
    assert!(std::path::Path::new("/usr/bin/chromium").exists(), "needs the Debian package chromium");
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let link = service.first_run().expect("a link while there is nobody");
    let token = link.split_once("token=").expect("a token").1.to_owned();
    // Keys know names, not addresses.
    let base = format!("http://localhost:{}", service.address().port());
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let out = tokio::task::spawn_blocking(move || {
        std::process::Command::new("timeout")
            .args(["600", &python, "-c", include_str!("passkeys.py"), &base, &token, GOOD])
            .output()
            .expect("needs the Debian packages coreutils and python3")
    })
    .await
    .expect("no panic");
    let said = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).join("\n");
    assert!(!said.contains("ModuleNotFoundError"), "needs playwright of .ci/pip.txt\n{said}");
    assert!(out.status.success(), "{said}");
    let mut auditor = signed_in(&service, "auditor", &["auditor"]);
    let audit = auditor.get("/audit").text;
    assert!(audit.contains("passkey added") && audit.contains("password passkey"), "{audit}");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_good_once_and_for_one_person() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let (mut anna, mut bert) = (signed_in(&service, "anna", &["l1"]), signed_in(&service, "bert", &["l1"]));
    let offer = anna.post("/me/passkeys/offer", json!({})).json();
    assert_eq!(offer["options"]["rp"]["id"], "localhost");
    assert_eq!(offer["options"]["attestation"], "none");
    let add = |browser: &mut Browser| {
        browser.post("/me/passkeys", json!({ "ticket": offer["ticket"], "name": "n", "answer": {} }))
    };
    assert_eq!(add(&mut bert).status, 422, "another's question");
    let first = add(&mut anna);
    assert_eq!((first.status, first.kind()), (403, "elsewhere".to_owned()), "{}", first.text);
    let again = add(&mut anna);
    assert_eq!((again.status, again.kind()), (422, "invalid".to_owned()), "used up by a wrong answer, too");
    let other = anna.post("/me/passkeys/offer", json!({})).json();
    assert_ne!(offer["options"]["challenge"], other["options"]["challenge"]);
    assert_eq!(offer["options"]["user"]["id"], other["options"]["user"]["id"]);
    let hers = bert.post("/me/passkeys/offer", json!({})).json();
    assert_ne!(offer["options"]["user"]["id"], hers["options"]["user"]["id"]);

    let mut nobody = Browser::new(&service);
    let asked = nobody.post("/session/passkey/offer", json!({})).json();
    assert_eq!(asked["options"]["userVerification"], "required");
    assert_eq!(asked["options"]["allowCredentials"], json!([]), "nobody learns who has keys");
    let second = nobody.post("/session/passkey/offer", json!({ "second": true }));
    assert_eq!(second.status, 401, "no password was shown: {}", second.text);
    let unknown = json!({ "id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {
        "clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": "AAAA" } });
    let refused = nobody.post("/session/passkey", json!({ "ticket": asked["ticket"], "answer": unknown }));
    assert_eq!((refused.status, refused.kind()), (403, "elsewhere".to_owned()), "{}", refused.text);
    let again = nobody.post("/session/passkey", json!({ "ticket": asked["ticket"], "answer": unknown }));
    assert_eq!(again.status, 422, "{}", again.text);
    let mut foreign = nobody.clone();
    foreign.origin = Some("https://evil.example".to_owned());
    assert_eq!(foreign.post("/session/passkey/offer", json!({})).kind(), "foreign-page");
    service.close().await;
}
