//! Getting in, and staying out.

use super::browser::{Browser, code};
use super::site::{acme, config, start};
use serde_json::json;

const GOOD: &str = "seven herons over the lake";

fn first(browser: &mut Browser, link: &str) -> (String, Vec<String>) {
    let token = link.split_once("token=").expect("a token").1;
    let made = browser.post(
        "/first-run",
        json!({ "token": token, "name": "anna", "password": GOOD, "zone": "Europe/Berlin" }),
    );
    assert_eq!(made.status, 200, "{}", made.text);
    assert!(
        made.cookies.iter().any(|c| c.contains("HttpOnly") && c.contains("SameSite=Strict")),
        "{:?}",
        made.cookies
    );
    browser.look();
    let blocked = browser.get("/cases");
    assert_eq!((blocked.status, blocked.kind()), (403, "must-enrol".to_owned()));
    let offer = browser.post("/me/totp", json!({})).json();
    let secret = offer["secret"].as_str().expect("a secret").to_owned();
    let wrong = browser.post("/me/totp/confirm", json!({ "ticket": offer["ticket"], "code": "000000x" }));
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let before = browser.clone();
    let done =
        browser.post("/me/totp/confirm", json!({ "ticket": offer["ticket"], "code": code(&secret, 0) }));
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(before.clone().get("/session").status, 401, "the cookie of before is of no more use");
    browser.look();
    let codes = done.json()["recovery_codes"].as_array().expect("codes").clone();
    (secret, codes.iter().map(|c| c.as_str().expect("text").to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_person_comes_in_once_and_then_by_password_and_code() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let link = service.first_run().expect("a link while there is nobody");
    let mut browser = Browser::new(&service);
    let token = link.split_once("token=").expect("a token").1;
    let weak = browser.post("/first-run", json!({ "token": token, "name": "anna", "password": "portreeve" }));
    assert_eq!(weak.status, 422, "{}", weak.text);
    let wrong = browser.post("/first-run", json!({ "token": "prt_set_x", "name": "anna", "password": GOOD }));
    assert_eq!(wrong.status, 409);
    let (secret, codes) = first(&mut browser, &link);
    assert_eq!(browser.get("/cases").status, 200);
    let again = browser.post("/first-run", json!({ "token": token, "name": "bert", "password": GOOD }));
    assert_eq!(again.status, 409);

    // Password, then code, in two steps.
    let mut other = Browser::new(&service);
    let half = other.post("/session", json!({ "name": "Anna", "password": GOOD }));
    assert_eq!((half.status, half.kind()), (401, "second-factor".to_owned()));
    assert_eq!(other.get("/session").status, 401, "half the way in is not in");
    let used = other.post("/session/second", json!({ "code": code(&secret, 0) }));
    assert_eq!((used.status, used.kind()), (401, "wrong-secret".to_owned()), "used when it was enrolled");
    let entered = other.post("/session/second", json!({ "code": code(&secret, 1) }));
    assert_eq!(entered.status, 200, "{}", entered.text);
    // A recovery code, once, in one step.
    let by_recovery = json!({ "name": "anna", "password": GOOD, "code": codes[0] });
    assert_eq!(Browser::new(&service).post("/session", by_recovery.clone()).status, 200);
    assert_eq!(Browser::new(&service).post("/session", by_recovery).status, 401);
    // A cookie that somebody planted is not the one that counts.
    let mut planted = Browser::new(&service);
    let stranger = "A".repeat(43);
    planted.cookies.insert("portreeve".to_owned(), stranger.clone());
    let entered = planted.post("/session", json!({ "name": "anna", "password": GOOD, "code": codes[1] }));
    assert_eq!(entered.status, 200, "{}", entered.text);
    assert_ne!(planted.cookies["portreeve"], stranger);
    // Out is out.
    planted.look();
    assert_eq!(planted.clone().post("/session/end", json!({})).status, 200);
    assert_eq!(planted.get("/session").status, 401);
    // A new password ends the other logins.
    other.look();
    let changed =
        browser.post("/me/password", json!({ "password": GOOD, "new": "eight herons over the lake" }));
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(other.get("/session").status, 401);
    assert_eq!(browser.get("/session").status, 200);
    service.close().await;
    // Nobody is asked a second time.
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    assert!(service.first_run().is_none());
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_slowed_down_and_learns_nothing_of_names() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let link = service.first_run().expect("a link");
    let mut browser = Browser::new(&service);
    first(&mut browser, &link);
    let guess = |name: &str| {
        Browser::new(&service).post("/session", json!({ "name": name, "password": "wrong, wrong" }))
    };
    let (known, unknown) = (guess("anna"), guess("nobody at all"));
    assert_eq!((known.status, &known.text), (401, &unknown.text));
    let answers: Vec<u16> = (0..6).map(|_| guess("anna").status).collect();
    assert!(answers.ends_with(&[429, 429]), "{answers:?}");
    let locked = guess("ANNA");
    assert_eq!(locked.status, 429);
    assert!(locked.headers["retry-after"].parse::<u32>().expect("seconds") > 0);
    let right = Browser::new(&service).post("/session", json!({ "name": "anna", "password": GOOD }));
    assert_eq!(right.status, 429, "also with the right one");
    assert_eq!(browser.get("/session").status, 200, "who is in stays in");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_come_in_by_the_pages_and_not_by_the_api() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let link = service.first_run().expect("a link");
    let token = link.split_once("token=").expect("a token").1.to_owned();
    let mut browser = Browser::new(&service);
    let kind = "application/x-www-form-urlencoded";
    let password = "seven+herons+over+the+lake";
    let first = format!("token={token}&name=anna&password={password}");
    let answer = browser.send("POST", "/api/v1/first-run", Some((kind, &first)));
    assert_eq!((answer.status, answer.kind()), (415, "media-type".to_owned()));
    let form = format!("{first}&again={password}");
    let mut foreign = browser.clone();
    foreign.origin = Some("https://evil.example".to_owned());
    assert_eq!(foreign.send("POST", "/first-run", Some((kind, &form))).status, 403);
    let answer = browser.send("POST", "/first-run", Some((kind, &form)));
    assert_eq!((answer.status, answer.headers["location"].as_str()), (303, "/"));
    browser.look();
    // Not even with the second token, which a page's form has in a field and the API in a header.
    let csrf = browser.csrf.take().expect("a token");
    let fields = format!("csrf={csrf}&csrf_token={csrf}&back=%2Fqueue");
    let refused = browser.send("POST", "/api/v1/session/end", Some((kind, &fields)));
    assert_eq!((refused.status, refused.kind()), (403, "foreign-page".to_owned()));
    browser.csrf = Some(csrf.clone());
    let refused = browser.send("POST", "/api/v1/session/end", Some((kind, &fields)));
    assert_eq!((refused.status, refused.kind()), (415, "media-type".to_owned()));
    browser.csrf = None;
    assert_eq!(browser.send("POST", "/sign-out", Some((kind, "back=%2F"))).status, 403);
    let answer = browser.send("POST", "/sign-out", Some((kind, &fields)));
    assert_eq!((answer.status, answer.headers["location"].as_str()), (303, "/sign-in"));
    assert!(!browser.cookies.contains_key("portreeve"));
    // A form without script goes on to a page of ours and to no other.
    for (back, to) in [("%2F%2Fevil.example", "/"), ("%2Faccount", "/account")] {
        let form = format!("name=anna&password={password}&back={back}");
        let answer = browser.send("POST", "/sign-in", Some((kind, &form)));
        assert_eq!((answer.status, answer.headers["location"].as_str()), (303, to));
    }
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_kept_at_the_cost_of_now() {
    use portreeve_access::password::{Cost, Passwords};
    use portreeve_store::people::{self, NewPerson};
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let cheap = Passwords::new(Cost { memory_kib: 64, passes: 1, lanes: 1 }).expect("a cost");
    let hash = cheap.hash("anna", GOOD).expect("a hash");
    let roles = ["l1".to_owned()].into_iter().collect();
    let new = NewPerson {
        name: "anna",
        display: "",
        zone: "UTC",
        roles: &roles,
        password_hash: Some(&hash),
        oidc: None,
    };
    let made = service.app.store.write(|tx| people::create(tx, &new, super::browser::now())).expect("anna");
    let kept = || service.app.store.read(|tx| people::get(tx, made.id)).expect("anna");
    let enter = |password: &str| {
        Browser::new(&service).post("/session", json!({ "name": "anna", "password": password })).status
    };
    assert_eq!(enter("another one entirely"), 401);
    assert_eq!(kept().password_hash.as_deref(), Some(hash.as_str()), "a wrong password changes nothing");
    assert_eq!(enter(GOOD), 200);
    let now = kept();
    assert!(now.password_hash.as_deref().is_some_and(|h| h.contains("m=19456,t=2,p=1")));
    assert_eq!(now.revision, made.revision, "nobody's change is refused for it");
    assert_eq!(enter(GOOD), 200);
    assert_eq!(kept().password_hash, now.password_hash);
    service.close().await;
}
