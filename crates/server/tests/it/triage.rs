//! An evening of an analyst, in Chromium, over a service that has read the sample and fifty cases more with hostile names:
//! sign-in, triage by keyboard alone, benign with its preview, zones, colours, and every page held by axe.

use super::browser::{chromium, code, enrolled};
use super::pages::read_with;
use portreeve_model::answer::Decision;
use portreeve_server::App;
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{Risk, document, engine, entity};

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

#[tokio::test(flavor = "multi_thread")]
async fn fifty_cases_are_triaged_by_keyboard_and_nothing_of_a_log_is_obeyed() {
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody hears it: what was told waits, for the page to show.
    let hook = "[[webhook]]\nname = \"chat\"\nurl = \"http://127.0.0.1:9/in\"\ntemplate = \"plain\"\n";
    let service = read_with(dir.path(), hook).await;
    fifty(&service.app);
    let secret = enrolled(&service.app, dir.path(), ("anna", PASSWORD), &["l1", "t2", "responder-admin"]);
    let base = format!("http://{}", service.address());
    let script = include_str!("triage.py");
    tokio::task::spawn_blocking(move || chromium(script, &[&base, PASSWORD], |_| code(&secret, 0)))
        .await
        .expect("no panic");
    let closed = service.app.store.read(|tx| {
        use portreeve_store::case::list::{Query, Standing, count};
        count(tx, &Query { standing: Standing::Closed, ..Query::default() })
    });
    let closed = usize::try_from(closed.expect("a count")).expect("a number");
    assert!(closed >= CASES, "{closed}");
    service.close().await;
}
