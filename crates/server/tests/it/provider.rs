//! Signing in at a real provider (glewlwyd), from the browser's first click to the session and back out.

use super::browser::{Answer, Browser, code, signed_in};
use super::glewlwyd::{Glewlwyd, REDIRECT, SECRET, SigningKey};
use super::pages::{field, page, send};
use super::site::{self, acme, config, start};
use portreeve_access::password::{Cost, Passwords};
use portreeve_server::Service;
use portreeve_store::people::{self, NewPerson};
use serde_json::json;
use std::path::Path;

const GOOD: &str = "seven herons over the lake";

fn oidc(server: &Glewlwyd, dir: &Path, group: &str, more: &str) -> portreeve_server::config::Config {
    let secret = dir.join("client.secret");
    site::secret(&secret, &format!("{SECRET}\n"));
    let text = format!(
        "[oidc]\nname = \"Acme\"\nissuer = {:?}\nclient_id = \"portreeve\"\nclient_secret = {{ file = {secret:?} }}\n\
         redirect_uri = \"{REDIRECT}\"\nscopes = [\"soc-t2\"]\ngroups_claim = \"scope\"\n{more}\n\
         [oidc.roles]\n{group} = [\"t2\"]\n",
        server.issuer()
    );
    config(&acme().join("context"), &text)
}

/// To the provider, as anna, and back with this browser.
fn through(browser: &mut Browser, server: &Glewlwyd, back: &str) -> Answer {
    let query = away(browser, server, back);
    returned(browser, &query)
}

fn away(browser: &mut Browser, server: &Glewlwyd, back: &str) -> String {
    let sent = browser.send("GET", &format!("/sign-in/oidc?back={back}"), None);
    assert_eq!(sent.status, 303, "{}", sent.text);
    let cookie = sent.cookies.first().expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    server.browse(&sent.headers["location"])
}

fn returned(browser: &mut Browser, query: &str) -> Answer {
    browser.send("GET", &format!("/sign-in/oidc/callback?{query}"), None)
}

async fn service(dir: &Path, config: portreeve_server::config::Config) -> Service {
    start(&dir.join("data"), config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anna_comes_in_by_the_provider_and_shows_a_second_factor_here() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Glewlwyd::start(&SigningKey::ecdsa());
    let service = self::service(dir.path(), oidc(&server, dir.path(), "soc-t2", "")).await;
    let mut browser = Browser::new(&service);
    let query = away(&mut browser, &server, "/queue%3Fqueue=escalate");
    // Another browser has the address, and not what this one kept.
    let mut thief = Browser::new(&service);
    let stolen = returned(&mut thief, &query);
    assert_eq!((stolen.status, stolen.kind()), (403, "elsewhere".to_owned()));
    let as_page = returned(&mut thief.with("Accept", "text/html"), &query);
    assert_eq!(as_page.status, 403);
    assert!(
        as_page.text.contains("<h1>Not signed in</h1>") && as_page.text.contains("start again"),
        "{}",
        as_page.text
    );
    let kept = browser.clone();
    let entered = returned(&mut browser, &query);
    assert_eq!(entered.status, 200, "{}", entered.text);
    assert!(entered.text.contains("content=\"0;url=/queue?queue=escalate\""), "{}", entered.text);
    assert!(entered.cookies.iter().any(|c| c.contains("SameSite=Strict")), "{:?}", entered.cookies);
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["portreeve"]);
    // The same once more: the provider takes a code once.
    let again = returned(&mut kept.clone(), &query);
    assert_eq!(again.status, 403, "{}", again.text);
    browser.look();
    let me = browser.get("/session").json();
    assert_eq!((me["name"].as_str(), me["display"].as_str()), (Some("anna"), Some("Anna Berg")));
    assert_eq!((&me["roles"], &me["first"]), (&json!(["t2"]), &json!("enrol")));
    assert_eq!(browser.get("/cases").kind(), "must-enrol");
    let offer = browser.post("/me/totp", json!({})).json();
    let secret = offer["secret"].as_str().expect("a secret").to_owned();
    let on = browser.post("/me/totp/confirm", json!({ "ticket": offer["ticket"], "code": code(&secret, 0) }));
    assert_eq!(on.status, 200, "{}", on.text);
    assert_eq!(browser.get("/cases").status, 200);

    // The next time the code is asked for after the provider; the same account.
    let mut next = Browser::new(&service);
    let half = through(&mut next, &server, "//evil.example");
    assert_eq!((half.status, half.headers["location"].as_str()), (303, "/second-factor"));
    assert_eq!(next.get("/session").status, 401);
    let entered = next.post("/session/second", json!({ "code": code(&secret, 1) }));
    assert_eq!(entered.status, 200, "{}", entered.text);
    assert_eq!((&entered.json()["id"], &entered.json()["second_factor"]), (&me["id"], &json!(true)));
    next.look();
    let logins = next.get("/me/logins").json();
    assert!(logins.as_array().expect("logins").iter().any(|l| l["factors"] == "oidc totp"), "{logins}");
    // No password opens an account that has none.
    let guessed = Browser::new(&service).post("/session", json!({ "name": "anna", "password": GOOD }));
    assert_eq!(guessed.status, 401);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_factors_of_the_provider_count_anew_each_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Glewlwyd::start(&SigningKey::ecdsa());
    let factors = "second_factor = { amr = [\"pwd\", \"password\"], acr = [\"1\", \"0\"] }";
    let service = self::service(dir.path(), oidc(&server, dir.path(), "soc-t2", factors)).await;
    let mut browser = Browser::new(&service);
    let entered = through(&mut browser, &server, "//evil.example");
    assert!(entered.text.contains("content=\"0;url=/\""), "only to a page of ours: {}", entered.text);
    browser.look();
    let me = browser.get("/session").json();
    assert_eq!((&me["second_factor"], &me["first"]), (&json!(true), &json!(null)), "{me}");
    assert_eq!(browser.get("/cases").status, 200);
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    let mut set = |disabled: bool| {
        let people = admin.get("/people").json();
        let anna =
            people.as_array().expect("people").iter().find(|p| p["name"] == "anna").expect("anna").clone();
        let body = json!({ "disabled": disabled, "revision": anna["revision"] }).to_string();
        let path = format!("/api/v1/people/{}", anna["id"]);
        let changed = admin.send("PUT", &path, Some(("application/json", &body)));
        assert_eq!(changed.status, 200, "{}", changed.text);
    };
    set(true);
    assert_eq!(browser.get("/session").status, 401);
    let refused = through(&mut Browser::new(&service), &server, "/");
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("disabled"), "{}", refused.text);
    set(false);
    assert_eq!(through(&mut browser, &server, "/").status, 200);
    service.close().await;

    // Her group gives nothing any more: her logins end, and she stays outside.
    let service = self::service(dir.path(), oidc(&server, dir.path(), "soc-t3", factors)).await;
    let mut held = Browser::new(&service);
    held.cookies = browser.cookies.clone();
    assert_eq!(held.get("/session").status, 200, "her login outlived the service");
    let refused = through(&mut Browser::new(&service), &server, "/");
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("no group"), "{}", refused.text);
    assert_eq!(held.get("/session").status, 401);
    let mut auditor = signed_in(&service, "auditor", &["auditor"]);
    let audit = auditor.get("/audit").text;
    assert!(
        audit.contains("no group of your account") && audit.contains("provider http://127.0.0.1"),
        "{audit}"
    );
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_nobody_until_an_administrator_binds_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Glewlwyd::start(&SigningKey::ecdsa());
    let more = "local = \"admins\"\nsecond_factor = { amr = [\"pwd\", \"password\"], acr = [\"1\", \"0\"] }";
    let service = self::service(dir.path(), oidc(&server, dir.path(), "soc-t2", more)).await;
    let hash = Passwords::new(Cost::default()).expect("a cost").hash("anna", GOOD).expect("a hash");
    let make = |name: &str, role: &str| {
        let roles = [role.to_owned()].into_iter().collect();
        let new = NewPerson {
            name,
            display: "",
            zone: "UTC",
            roles: &roles,
            password_hash: Some(&hash),
            oidc: None,
        };
        service.app.store.write(|tx| people::create(tx, &new, super::browser::now())).expect("a person").id
    };
    let (anna, _) = (make("anna", "l1"), make("boss", "responder-admin"));
    let refused = through(&mut Browser::new(&service), &server, "/");
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("has to bind it"), "{}", refused.text);
    // Passwords open the accounts of administrators alone, and wrong ones say no more than elsewhere.
    let password = |name: &str, password: &str| {
        Browser::new(&service).post("/session", json!({ "name": name, "password": password })).kind()
    };
    assert_eq!(password("anna", GOOD), "elsewhere");
    assert_eq!(password("anna", "another one entirely"), "wrong-secret");
    let boss = Browser::new(&service).post("/session", json!({ "name": "boss", "password": GOOD }));
    assert_eq!(boss.status, 200, "{}", boss.text);

    let audit = signed_in(&service, "auditor", &["auditor"]).get("/audit").json();
    let subject = audit["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .find_map(|e| {
            let detail = match &e["detail"] {
                serde_json::Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                other => other.clone(),
            };
            Some(detail.get("subject")?.as_str()?.to_owned())
        })
        .expect("the refusal says who it was");
    let mut admin = signed_in(&service, "admin", &["responder-admin"]);
    let path = format!("/api/v1/people/{}/provider", anna.0);
    let bind = json!({ "subject": subject, "revision": 1 }).to_string();
    let bound = admin.send("PUT", &path, Some(("application/json", &bind)));
    assert_eq!(bound.status, 200, "{}", bound.text);
    let mut browser = Browser::new(&service);
    assert_eq!(through(&mut browser, &server, "/").status, 200);
    browser.look();
    let me = browser.get("/session").json();
    assert_eq!((&me["id"], &me["roles"]), (&json!(format!("person:{}", anna.0)), &json!(["t2"])));

    // The page shows it, takes it back, and binds again.
    let at = format!("/people/{}/provider", anna.0);
    let shown = page(&mut admin, "/people").text;
    assert!(shown.contains(&subject) && shown.contains("Unbind"), "{shown}");
    let stale = send(&mut admin, &at, &[("revision", "1"), ("unbind", "true")]);
    assert_eq!(stale.status, 409, "{}", stale.text);
    let revision = field(&shown, &at, "revision");
    let unsaid = send(&mut admin, &at, &[("revision", &revision), ("subject", " ")]);
    assert_eq!(unsaid.status, 422, "an empty field unbinds nobody: {}", unsaid.text);
    let unbound = send(&mut admin, &at, &[("revision", &revision), ("unbind", "true")]);
    assert_eq!(unbound.status, 303, "{}", unbound.text);
    assert_eq!(browser.get("/session").status, 401, "all logins end");
    assert_eq!(through(&mut Browser::new(&service), &server, "/").status, 403);
    let mut looks = signed_in(&service, "vera", &["auditor"]);
    assert!(!page(&mut looks, "/people").text.contains(&format!("action=\"{at}\"")));
    let refused = send(&mut looks, &at, &[("revision", &revision), ("subject", &subject)]);
    assert_eq!(refused.status, 403, "{}", refused.text);
    let shown = page(&mut admin, "/people").text;
    assert!(shown.contains("not bound") && shown.contains(&server.issuer()), "{shown}");
    let revision = field(&shown, &at, "revision");
    let bound = send(&mut admin, &at, &[("revision", &revision), ("subject", &subject)]);
    assert_eq!(bound.status, 303, "{}", bound.text);
    assert_eq!(through(&mut browser, &server, "/").status, 200);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_said_to_be() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Glewlwyd::start(&SigningKey::ecdsa());
    let config = oidc(&server, dir.path(), "soc-t2", "");
    drop(server);
    let service = self::service(dir.path(), config).await;
    let mut browser = Browser::new(&service);
    let answer = browser.send("GET", "/sign-in/oidc", None);
    assert_eq!((answer.status, answer.kind()), (503, "busy".to_owned()));
    assert!(browser.cookies.is_empty());
    assert_eq!(returned(&mut browser, "code=x&state=y").status, 403);
    service.close().await;
}
