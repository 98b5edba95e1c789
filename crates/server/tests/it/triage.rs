//! An evening of an analyst, in Chromium, over a service that has read the sample and fifty cases more with hostile names:
//! sign-in, triage by keyboard alone, benign with its preview, zones, colours, and every page held by axe.

use super::browser::{code, person};
use super::pages::read_with;
use portreeve_access::password::{Cost, Passwords};
use portreeve_access::totp::TotpSecret;
use portreeve_model::answer::Decision;
use portreeve_server::App;
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{Risk, document, engine, entity};
use portreeve_store::people::{self, Change};

/// Cases that are triaged.
const CASES: usize = 50;
const PASSWORD: &str = "seven herons over the lake";
const HOSTILE: &str = "<script>window.bad=1</script><img src=x onerror=window.bad=1>\u{202e}\"'";

/// Cases as the engine wrote one, each of somebody else, with a hostile name in every place that has one.
fn fifty(app: &App) {
    let known = app
        .store
        .read(|tx| {
            let id = engine::standing(tx, i64::MIN)?.first().cloned().expect("a case of the sample");
            let case = engine::case_of(tx, &id)?.expect("its case");
            Ok(document::of_case(tx, case)?.remove(0).text)
        })
        .expect("the store");
    let mut whole: serde_json::Value = serde_json::from_str(&known).expect("JSON");
    let now = super::browser::now();
    for n in 0..CASES {
        let (id, name) = (format!("20260301-{n:06x}"), format!("user{n} {HOSTILE}"));
        whole["case_id"] = id.clone().into();
        whole["title"] = format!("{name}: a login").into();
        whole["reason"] = HOSTILE.into();
        whole["principal"]["name"] = name.clone().into();
        for session in whole["sessions"].as_array_mut().expect("sessions") {
            session["device"] = HOSTILE.into();
            session["gateway"] = HOSTILE.into();
            session["principal"] = name.clone().into();
        }
        let text = whole.to_string();
        let brief = serde_json::json!({ "case_id": id, "department": HOSTILE, "gateway": HOSTILE,
            "differs": [HOSTILE], "from": [{ "ip": "192.0.2.7", "city": HOSTILE }], "addresses": 1 });
        let said = EngineCase {
            engine_id: &id,
            supersedes: &[],
            as_of: 1,
            title: &format!("{name}: a login"),
            principal: &name,
            decision: Decision::Investigate,
            risk: Risk::from_points(40.0),
            first_seen: now,
            last_seen: now,
            detected_at: now,
            verdict: "v",
            why: HOSTILE,
            changed: "{}",
            late: false,
            brief: &brief.to_string(),
            search: &[],
            entities: &[entity::Entity::new(entity::Kind::Principal, &name)],
            document: &text,
        };
        app.store.write(|tx| take(tx, &said, now)).expect("a case");
    }
}

/// Somebody with a password and an authenticator app; its secret.
fn anna(app: &App, seal: impl Fn(i64, &[u8]) -> Vec<u8>) -> String {
    let id = person(app, "anna", &["l1", "t2", "responder-admin"]);
    let secret = TotpSecret::generate().expect("randomness");
    let hash = Passwords::new(Cost::default()).expect("a cost").hash("anna", PASSWORD).expect("a hash");
    let sealed = seal(id.0, secret.as_bytes());
    let revision = app.store.read(|tx| people::get(tx, id)).expect("anna").revision;
    let change = Change {
        password_hash: Some(Some(&hash)),
        totp: Some(Some(&sealed)),
        zone: Some("Europe/Berlin"),
        ..Change::default()
    };
    app.store.write(|tx| people::change(tx, id, revision, &change, super::browser::now())).expect("changed");
    secret.to_base32().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_cases_are_triaged_by_keyboard_and_nothing_of_a_log_is_obeyed() {
    assert!(std::path::Path::new("/usr/bin/chromium").exists(), "needs the Debian package chromium");
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody hears it: what was told waits, for the page to show.
    let hook = "[[webhook]]\nname = \"chat\"\nurl = \"http://127.0.0.1:9/in\"\ntemplate = \"plain\"\n";
    let service = read_with(dir.path(), hook).await;
    fifty(&service.app);
    let key = std::fs::read(dir.path().join("master.key")).expect("the key");
    let master = portreeve_access::keys::MasterKey::from_bytes(key.try_into().expect("32 bytes"));
    let seal = master.key(portreeve_access::keys::Purpose::Seal);
    let secret = anna(&service.app, |id, plain| seal.seal(&format!("person:{id}"), plain).expect("sealed"));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let base = format!("http://{}", service.address());
    let out = tokio::task::spawn_blocking(move || {
        std::process::Command::new("timeout")
            .args(["900", &python, "-c", include_str!("triage.py"), &base, PASSWORD])
            .arg(code(&secret, 0))
            // Where pictures are to go, for who wants to look.
            .arg(std::env::var("PICTURES").unwrap_or_default())
            .output()
            .expect("needs the Debian packages coreutils and python3")
    })
    .await
    .expect("no panic");
    let said = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).join("\n");
    let hint = "needs playwright and axe-playwright-python of .ci/pip.txt";
    assert!(!said.contains("ModuleNotFoundError"), "{hint}\n{said}");
    assert!(out.status.success(), "{said}");
    let closed = service.app.store.read(|tx| {
        use portreeve_store::case::list::{Query, Standing, count};
        count(tx, &Query { standing: Standing::Closed, ..Query::default() })
    });
    let closed = usize::try_from(closed.expect("a count")).expect("a number");
    assert!(closed >= CASES, "{closed}");
    service.close().await;
}
