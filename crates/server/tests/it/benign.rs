//! What is found benign is silenced within its scope, counted, and comes back; and is said before it is made.

use super::browser::{Answer, Browser, signed_in};
use super::line::{follow, records};
use super::pages::{field, page, send};
use super::sample::{ANNA, Sample, found};
use super::site::{acme, config, hunted, judged, start, stored};
use portreeve_server::Service;
use portreeve_store::case::{self, By, Disposition, list, timeline, work};
use portreeve_store::suppression::{self, Scope};
use portreeve_store::{CaseId, SuppressionId};
use serde_json::{Value, json};

fn close(service: &Service, id: CaseId, disposition: Disposition) {
    let closing = work::Closing { disposition, reason: "seen", leave_tasks: true };
    let by = By { actor: "person:99 bert", at: super::browser::now() };
    service
        .app
        .store
        .write(|tx| {
            let revision = case::get(tx, id)?.revision;
            work::close(tx, id, revision, &closing, by)
        })
        .expect("closed");
}

fn revision(browser: &mut Browser, number: i64) -> Value {
    browser.get(&format!("/cases/{number}")).json()["case"]["revision"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_was_real_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let this = found(&service.app, &ANNA).0;
    let real = found(&service.app, &Sample { id: "c2", ip: "192.0.2.9", ..ANNA });
    close(&service, real, Disposition::TruePositiveImpact);
    let other_network = Sample { id: "c3", ip: "198.51.100.1", asn: 64_501, ..ANNA };
    let worse = Sample { id: "c4", met: &["E2", "E3"], ..ANNA };
    let waiting = Sample { id: "c5", ip: "192.0.2.11", ..ANNA };
    let other_user = Sample { id: "c6", user: "bert", ..ANNA };
    let [_, _, waiting, _] = [other_network, worse, waiting, other_user].map(|s| found(&service.app, &s));
    let mut anna = signed_in(&service, "lina", &["l1"]);
    let path = format!("/cases/{this}/benign");
    let asked = anna.get(&format!("{path}?scope=user-network&days=14"));
    assert_eq!(asked.status, 200, "{}", asked.text);
    let seen = asked.json();
    let counts =
        ["would", "real", "waiting", "looked_at", "days"].map(|k| seen[k].as_i64().expect("a count"));
    assert_eq!(counts, [2, 1, 1, 5, 90], "{seen:#}");
    assert_eq!(seen["cases"][0]["number"], real.0, "what was real stands first");
    assert_eq!((&seen["criteria"], &seen["outside"]), (&json!(["E2"]), &json!([])));
    assert_eq!((&seen["whole"], &seen["for_everybody"]), (&json!(true), &json!(false)));
    assert_eq!(anna.get("/suppressions?standing=all").json()["suppressions"], json!([]), "nothing was made");
    let wide = anna.get(&format!("{path}?scope=given&asn=64500&days=14")).json();
    assert_eq!((wide["would"].as_i64(), &wide["for_everybody"]), (Some(3), &json!(true)));
    for (wrong, field) in [
        ("scope=user-network", "days"),
        ("scope=user-network&days=400", "until"),
        ("scope=given&user=bert&days=3", "scope"),
        ("scope=given&place=FR&days=3", "scope"),
        ("scope=given&network=10.0.0.0/7&days=3", "network"),
        ("scope=none&days=3", "scope"),
        ("scope=user-network&until=2020-01-01T00:00:00Z", "until"),
    ] {
        let answer = anna.get(&format!("{path}?{wrong}"));
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.text);
        assert!(answer.json()["detail"].as_str().is_some_and(|d| d.starts_with(field)), "{}", answer.text);
    }
    let mut viewer = signed_in(&service, "vera", &["viewer"]);
    assert_eq!(viewer.get(&format!("{path}?scope=user-network&days=14")).status, 403);

    let revision = revision(&mut anna, this);
    let mut input = json!({ "reason": "on a trip", "scope": "user-network", "days": 14, "waiting": true,
        "revision": revision });
    let refused = anna.post(&path, input.clone());
    assert_eq!((refused.status, refused.kind()), (409, "conflict".to_owned()), "{}", refused.text);
    assert!(refused.text.contains("turned out to be real"), "{}", refused.text);
    input["despite"] = json!(true);
    input["reason"] = json!(" ");
    assert_eq!(anna.post(&path, input.clone()).status, 422, "a reason is said");
    input["reason"] = json!("on a trip");
    let made = anna.post(&path, input.clone());
    assert_eq!(made.status, 200, "{}", made.text);
    let made = made.json();
    assert_eq!(made["silenced"], json!([waiting.0]));
    assert_eq!(
        (&made["case"]["status"], &made["case"]["disposition"]),
        (&json!("closed"), &json!("benign_positive"))
    );
    assert_eq!(
        made["suppression"]["scope"],
        json!([{"what": "user", "is": "anna"}, {"what": "AS", "is": "64500"}])
    );
    assert_eq!(anna.post(&path, input).status, 409, "the case was changed meanwhile");
    let listed = anna.get("/suppressions").json()["suppressions"][0].clone();
    assert_eq!(
        (&listed["hits"], &listed["silenced"], &listed["state"]),
        (&json!(1), &json!(1), &json!("in_force"))
    );
    let silenced = anna.get("/cases?standing=suppressed").json()["cases"].clone();
    assert_eq!((&silenced[0]["number"], &silenced[0]["suppressed"]), (&json!(waiting.0), &json!(1)));

    let counted = |browser: &mut Browser| {
        let text = browser.get_page("/metrics").text;
        let value = text.lines().find_map(|l| l.strip_prefix("portreeve_suppressed_cases "));
        value.map(str::to_owned)
    };
    assert_eq!(counted(&mut anna).as_deref(), Some("1"));

    // Its author does not review it, another does; its author may end it, and what it hid is there again.
    let one = format!("/suppressions/{}", listed["id"]);
    let mut senior = signed_in(&service, "sven", &["t2"]);
    let prolong = json!({ "days": 30, "revision": listed["revision"] });
    assert_eq!(anna.post(&format!("{one}/review"), prolong.clone()).status, 403, "L1 does not review");
    let kept = senior.post(&format!("{one}/review"), prolong.clone());
    assert_eq!(kept.status, 200, "{}", kept.text);
    assert_eq!(senior.post(&format!("{one}/review"), prolong).status, 409);
    let end = json!({ "reason": "the trip is over", "revision": kept.json()["revision"] });
    let ended = anna.post(&format!("{one}/end"), end);
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert_eq!(
        (&ended.json()["back"], &ended.json()["suppression"]["state"]),
        (&json!([waiting.0]), &json!("ended"))
    );
    assert_eq!(counted(&mut anna).as_deref(), Some("0"));
    let whole = anna.get(&one).json();
    assert_eq!(
        (&whole["cases"][0]["number"], &whole["cases"][0]["silenced"]),
        (&json!(waiting.0), &json!(false))
    );
    assert_eq!(anna.get("/suppressions").json()["suppressions"], json!([]));
    service.close().await;
}

/// A case in which somebody found a user benign in a network, and two that are silenced by it.
async fn silenced_two(dir: &std::path::Path) -> (Service, Browser, String, [i64; 2]) {
    let service = start(dir, config(&acme().join("context"), "")).await;
    let this = found(&service.app, &ANNA).0;
    let near = found(&service.app, &Sample { id: "c2", ip: "192.0.2.9", ..ANNA }).0;
    let far = found(&service.app, &Sample { id: "c3", ip: "192.0.2.200", ..ANNA }).0;
    let mut lina = signed_in(&service, "lina", &["l1"]);
    let input = json!({ "reason": "on a trip", "user": "anna", "network": "192.0.2.0/24", "days": 14,
        "waiting": true, "revision": revision(&mut lina, this) });
    let made = lina.post(&format!("/cases/{this}/benign"), input);
    assert_eq!((made.status, made.json()["silenced"].clone()), (200, json!([far, near])), "{}", made.text);
    let at = format!("/suppressions/{}", made.json()["suppression"]["id"]);
    (service, lina, at, [near, far])
}

fn put(browser: &mut Browser, path: &str, body: &Value) -> Answer {
    browser.send("PUT", &format!("/api/v1{path}"), Some(("application/json", &body.to_string())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_scope_lets_back_what_falls_out_of_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (service, mut lina, at, [near, far]) = silenced_two(dir.path()).await;
    let scope = format!("{at}/scope");
    let narrow = "user=anna&network=192.0.2.0%2F28";
    let seen = lina.get(&format!("{scope}?{narrow}"));
    assert_eq!(seen.status, 200, "{}", seen.text);
    let seen = seen.json();
    assert_eq!((&seen["narrower"], &seen["back"]), (&json!(true), &json!([far])), "{seen:#}");
    assert_eq!((&seen["silences"]["would"], &seen["silences"]["for_everybody"]), (&json!(1), &json!(false)));
    let before = lina.get(&at).json();
    assert_eq!(
        (&before["suppression"]["silenced"], &before["suppression"]["scope_by"]),
        (&json!(2), &json!(null)),
        "a preview changes nothing"
    );
    for wrong in ["user=anna&network=192.0.2.0%2F24", "place=FR", "network=nowhere", "user=bert", "size=1"] {
        assert_eq!(lina.get(&format!("{scope}?{wrong}")).status, 422, "{wrong}");
    }

    let mut change = json!({ "user": "anna", "network": "192.0.2.0/28", "reason": "that room alone" });
    assert_eq!(put(&mut lina, &scope, &change).kind(), "no-revision");
    change["revision"] = json!(99);
    assert_eq!(put(&mut lina, &scope, &change).kind(), "conflict", "somebody was quicker");
    change["revision"] = before["suppression"]["revision"].clone();
    let mut unsaid = change.clone();
    unsaid["reason"] = json!(" ");
    assert_eq!(put(&mut lina, &scope, &unsaid).status, 422, "a reason is said");
    let mut kurt = signed_in(&service, "kurt", &["l1"]);
    assert_eq!(put(&mut kurt, &scope, &change).status, 403, "another of L1 lets nothing back");
    let mut vera = signed_in(&service, "vera", &["viewer"]);
    assert_eq!(put(&mut vera, &scope, &change).status, 403);
    assert_eq!(vera.get(&format!("{scope}?{narrow}")).status, 403);
    let done = put(&mut lina, &scope, &change);
    assert_eq!(done.status, 200, "{}", done.text);
    let done = done.json();
    assert_eq!((&done["back"], &done["silenced"]), (&json!([far]), &json!([])));
    assert_eq!(
        done["suppression"]["scope"],
        json!([{"what": "user", "is": "anna"}, {"what": "network", "is": "192.0.2.0/28"}])
    );
    assert_eq!(
        (&done["suppression"]["silenced"], &done["suppression"]["criteria"]),
        (&json!(1), &json!(["E2"]))
    );
    let queued = lina.get("/cases").json()["cases"].clone();
    assert_eq!((queued.as_array().map(Vec::len), &queued[0]["number"]), (Some(1), &json!(far)));
    let told = lina.get(&format!("/cases/{far}/timeline")).text;
    assert!(told.contains("the scope of suppression") && told.contains("that room alone"), "{told}");
    assert_eq!(put(&mut lina, &scope, &change).status, 422, "it is so already");
    assert_eq!(
        put(&mut lina, &scope, &{
            let mut again = change.clone();
            again["network"] = json!("192.0.2.8/29");
            again
        })
        .kind(),
        "conflict",
        "the revision was another's"
    );

    let mut dora = signed_in(&service, "dora", &["auditor"]);
    let audit = dora.get("/audit?limit=1000").json()["entries"].clone();
    let entry = audit
        .as_array()
        .expect("entries")
        .iter()
        .find(|e| e["outcome"] == "done" && e["detail"].to_string().contains("that room alone"));
    let entry = entry.unwrap_or_else(|| panic!("not in the audit: {audit:#}"));
    assert!(entry["detail"].to_string().contains("192.0.2.0/24"), "and what it was before: {entry}");
    assert!(
        audit
            .as_array()
            .expect("entries")
            .iter()
            .any(|e| e["outcome"] == "denied" && e["object"] == at.replace("/suppressions/", "suppression:")),
        "a refusal as well"
    );
    assert!(!lina.get(&format!("/cases/{near}")).json()["case"]["suppressed"].is_null());
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_scope_asks_what_a_new_one_asks_and_takes_nothing_that_waits() {
    let dir = tempfile::tempdir().expect("a folder");
    let (service, mut lina, at, _) = silenced_two(dir.path()).await;
    let scope = format!("{at}/scope");
    let real = found(&service.app, &Sample { id: "c4", ip: "198.51.100.9", asn: 64_501, ..ANNA });
    close(&service, real, Disposition::TruePositiveImpact);
    let waits = found(&service.app, &Sample { id: "c5", ip: "198.51.100.10", asn: 64_501, ..ANNA }).0;
    let revision = lina.get(&at).json()["suppression"]["revision"].clone();
    let mut wide = json!({ "user": "anna", "reason": "wherever she is", "revision": revision });
    let seen = lina.get(&format!("{scope}?user=anna")).json();
    assert_eq!(
        (&seen["narrower"], &seen["back"], &seen["silences"]["real"], &seen["silences"]["waiting"]),
        (&json!(false), &json!([]), &json!(1), &json!(1)),
        "{seen:#}"
    );
    let refused = put(&mut lina, &scope, &wide);
    assert!(refused.status == 409 && refused.text.contains("turned out to be real"), "{}", refused.text);
    let elsewhere = json!({ "user": "bert", "reason": "him too", "revision": revision });
    assert_eq!(put(&mut lina, &scope, &elsewhere).status, 422, "it has nothing to do with the case");
    wide["despite"] = json!(true);
    // Who works on cases could make such a one anew; who changed it does not review it.
    let mut senior = signed_in(&service, "sven", &["t2"]);
    let done = put(&mut senior, &scope, &wide);
    assert_eq!(done.status, 200, "{}", done.text);
    let done = done.json()["suppression"].clone();
    assert!(
        done["scope_by"].as_str().is_some_and(|b| b.ends_with("sven")) && done["author"] != done["scope_by"]
    );
    assert_eq!(lina.get("/cases").json()["cases"][0]["number"], json!(waits), "what waited stays");
    let review = json!({ "revision": done["revision"] });
    assert_eq!(senior.post(&format!("{at}/review"), review.clone()).status, 403);
    let mut other = signed_in(&service, "tina", &["t2"]);
    assert_eq!(other.post(&format!("{at}/review"), review).status, 200);
    // What waits is silenced where somebody says so.
    let revision = lina.get(&at).json()["suppression"]["revision"].clone();
    let more = json!({ "user": "anna", "network": "198.51.100.0/24", "reason": "there", "waiting": true,
        "leave_silenced": true, "revision": revision });
    let done = put(&mut lina, &scope, &more).json();
    assert_eq!((&done["back"], &done["silenced"]), (&json!([]), &json!([waits])), "{done:#}");
    assert_eq!(lina.get("/cases").json()["cases"], json!([]));
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_changed_on_its_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let (service, mut lina, at, [_, far]) = silenced_two(dir.path()).await;
    let shown = page(&mut lina, &at).text;
    let form = format!("{at}/scope");
    let stands = |text: &str, network: &str| {
        let form = &text[text.find(&format!("action=\"{form}\"")).expect("the form")..];
        form.contains("name=\"user\" value=\"anna\"") && form.contains(&format!("value=\"{network}\""))
    };
    assert!(stands(&shown, "192.0.2.0/24"), "as it is: {shown}");
    let revision = field(&shown, &form, "revision");
    let with = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![("revision", revision.as_str()), ("user", "anna"), ("network", "192.0.2.0/28")];
        all.extend_from_slice(more);
        all
    };
    let seen = send(&mut lina, &form, &with(&[("preview", "1")]));
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(
        seen.text.contains("It is narrower than now") && seen.text.contains(&format!("/cases/{far}\"")),
        "{}",
        seen.text
    );
    let unsaid = send(&mut lina, &form, &with(&[]));
    assert_eq!(unsaid.status, 422, "{}", unsaid.text);
    assert!(stands(&unsaid.text, "192.0.2.0/28"), "what was written is kept: {}", unsaid.text);
    let wrong = send(&mut lina, &form, &[("revision", &revision), ("network", "nowhere"), ("preview", "1")]);
    assert!(wrong.status == 422 && wrong.text.contains("role=\"alert\""), "{}", wrong.text);
    let done = send(&mut lina, &form, &with(&[("reason", "that room alone")]));
    assert_eq!((done.status, done.headers["location"].as_str()), (303, at.as_str()), "{}", done.text);
    let shown = page(&mut lina, &at).text;
    assert!(shown.contains("1 case in the queue again") && shown.contains("192.0.2.0/28"), "{shown}");
    assert!(shown.contains(&format!("action=\"{at}/end\"")), "its author may end it");
    let stale = send(&mut lina, &form, &[("revision", &revision), ("user", "anna"), ("reason", "x")]);
    assert_eq!(stale.status, 409, "{}", stale.text);
    let mut vera = signed_in(&service, "vera", &["viewer"]);
    let looked = page(&mut vera, &at).text;
    assert!(!looked.contains("/scope\"") && !looked.contains("/end\""), "{looked}");
    assert_eq!(send(&mut vera, &form, &with(&[("reason", "x")])).status, 403);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_asks_suppressions_and_the_engine_says_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, logs) = (dir.path().join("data"), acme().join("logs"));
    let context = acme().join("context");
    let hunted = hunted(std::slice::from_ref(&logs), &context);
    let mut found: Vec<&Value> = hunted.values().filter(|c| c["decision"] == "escalate").collect();
    found.sort_by_key(|c| c["principals"].as_array().map_or(0, Vec::len));
    let [covered, known] = [found[0], found[1]];
    let name = |c: &Value| c["principal"]["name"].as_str().expect("a name").to_owned();
    assert_ne!(name(covered), name(known), "two people");
    let met = |c: &Value| -> Vec<String> {
        let all = c["criteria"].as_array().expect("criteria").iter();
        let met = all.filter(|x| x["state"] == "true");
        met.map(|x| x["number"].as_str().expect("a number").to_owned()).collect()
    };
    assert!(!met(known).is_empty());
    let scope = |c: &Value, criteria| Scope { principal: Some(name(c)), criteria, ..Scope::default() };
    let (all, none) = (scope(covered, met(covered)), scope(known, Vec::new()));
    // Made before the logs are read, and before their time.
    let service = start(&data, config(&context, "")).await;
    let by = By { actor: "person:99 bert", at: 1_700_000_000_000_000 };
    let [all, _] = [all, none].map(|s| {
        let end = super::browser::now() + 86_400_000_000;
        service.app.store.write(|tx| suppression::create(tx, &s, "known", end, None, by)).expect("made").id
    });
    service.close().await;

    let service = start(&data, config(&context, &follow(&logs))).await;
    let app = service.app.clone();
    judged(&app, records(&logs)).await;
    service.close().await;
    assert_eq!(stored(&app).len(), hunted.len());
    for (id, case) in &stored(&app) {
        assert_eq!(case, &hunted[id], "what the engine says is not touched");
    }
    let case_of = |c: &Value| {
        let id = c["case_id"].as_str().expect("an id");
        app.store
            .read(|tx| {
                let case = case::engine::case_of(tx, id)?.expect("a case");
                Ok((case::get(tx, case)?, timeline::of_case(tx, case, None, 200)?))
            })
            .expect("a case")
    };
    let (silenced, said) = case_of(covered);
    assert_eq!(silenced.suppressed, Some(all), "{:?}", said.iter().map(|e| &e.said).collect::<Vec<_>>());
    assert!(said.iter().any(|e| e.said.contains("silenced by suppression")));
    let (there, _) = case_of(known);
    assert_eq!(there.suppressed, None, "it meets a criterion that nobody knew of");
    let read = |id: SuppressionId| app.store.read(|tx| suppression::get(tx, id)).expect("there");
    assert!(read(all).hits > 0);
    let queued = app
        .store
        .read(|tx| {
            list::page(tx, &list::Query { standing: list::Standing::Queued, ..Default::default() }, None, 500)
        })
        .expect("a page");
    assert!(
        queued.cases.iter().all(|c| c.id != silenced.id) && queued.cases.iter().any(|c| c.id == there.id)
    );
}
