//! Containment by way of the API and the page: a real firewall in a network namespace of the test's own, people with
//! their tiers, and a ledger whose every word is signed.

use super::browser::{Browser, now, signed_in};
use super::edge::Edge;
use super::sample::{ANNA, document};
use super::site::{acme, config, start};
use portreeve_respond::ledger::{Kind, Ledger};
use portreeve_respond::operator::{Operator, PublicKey, Tier};
use portreeve_server::Service;
use portreeve_server::config::Config;
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{By, Pap, Risk, Tlp, clock, entity, get, work};
use portreeve_store::{CaseId, people};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub(crate) const BAD: &str = "203.0.113.77";

/// A site with the firewall, and a help desk that is told what to do.
pub(crate) fn site(dir: &Path, edge: &Edge) -> Config {
    let text = format!(
        "ledger: ledger.db\noperators: []\nconnectors:\n{}  \
         - name: desk\n    kind: manual\n    acts: [reset_password]\n    settings:\n      who: the help desk\n      acts:\n        \
         reset_password: {{what: set a new one, how_to_verify: try the old one}}\n",
        edge.connector()
    );
    let path = dir.join("respond.yml");
    std::fs::write(&path, text).expect("written");
    config(
        &acme().join("context"),
        &format!("[respond]\nconfig = {:?}\nevery_s = 5\n", path.display().to_string()),
    )
}

/// A case that proposes to block an address and to reset a password.
fn found(service: &Service) -> CaseId {
    proposing(
        service,
        &[("block_ip", json!({"address": BAD})), ("reset_password", json!({"account": "zoe"}))],
    )
}

/// A case that proposes these acts, of which people have said that they may be done.
pub(crate) fn proposing(service: &Service, acts: &[(&str, Value)]) -> CaseId {
    let mut case = document(&ANNA);
    let action = |(order, (id, subject)): (usize, &(&str, Value))| {
        json!({"order": order + 1, "id": id, "title": id, "target": "t", "subject": subject, "because": "seen",
            "leaves_open": "", "blast_radius": "", "caution": ""})
    };
    case["containment"] = acts.iter().enumerate().map(action).collect();
    let entities = [entity::Entity::new(entity::Kind::Address, BAD)];
    let said = EngineCase {
        engine_id: ANNA.id,
        supersedes: &[],
        as_of: now(),
        title: "Login of anna",
        principal: "anna",
        decision: portreeve_model::answer::Decision::Escalate,
        risk: Risk::from_points(70.0),
        first_seen: now(),
        last_seen: now(),
        detected_at: now(),
        verdict: "v",
        why: "because",
        changed: "{}",
        late: false,
        brief: "{}",
        search: &[],
        entities: &entities,
        document: &case.to_string(),
    };
    let store = &service.app.store;
    let id = store.write(|tx| take(tx, &said, now())).expect("a case").case();
    store
        .write(|tx| {
            // What the engine finds may not be acted upon before a person says so.
            let revision = get(tx, id)?.revision;
            let by = By { actor: "person:0 test", at: now() };
            work::set_sharing(tx, id, revision, Tlp::Amber, Pap::Green, by)?;
            clock::start(tx, id, clock::Kind::Contain, now(), now() + 3_600_000_000)
        })
        .expect("a clock");
    id
}

pub(crate) fn plans(number: i64) -> String {
    format!("/cases/{number}/containment/plans")
}

/// A plan of these acts; its digest.
pub(crate) fn planned(who: &mut Browser, number: i64, only: &str) -> String {
    let made = who.post(&plans(number), json!({ "only": [only], "reason": "it is needed" }));
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(
        (made.json()["standing"].as_str(), made.json()["steps"].as_array().map(Vec::len)),
        (Some("proposed"), Some(1))
    );
    made.json()["digest"].as_str().expect("a digest").to_owned()
}

/// One plan, once it stands so.
pub(crate) fn standing(who: &mut Browser, number: i64, digest: &str, wanted: &str) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let state = who.get(&format!("/cases/{number}/containment")).json();
        let all = state["plans"].as_array().expect("plans").clone();
        let plan = all.into_iter().find(|p| p["digest"] == digest).expect("the plan");
        if plan["standing"] == wanted {
            return plan;
        }
        assert!(begun.elapsed() < Duration::from_secs(240), "not {wanted}: {plan:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Somebody comes in from the address all the same, and it is told.
async fn got_in(service: &Service, number: i64) {
    let mut admin = signed_in(service, "admin", &["responder-admin"]);
    let made = admin.post("/sources", json!({ "name": "gw", "zone": "UTC" }));
    let secret = made.json()["secret"].as_str().expect("a token").to_owned();
    // After the proof, by the log's own time.
    let at = jiff::Timestamp::from_microsecond(now() + 1_000_000).expect("a time");
    let time = at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let line = format!("{time} gw sshd[77]: Accepted password for anna from {BAD} port 40001 ssh2");
    let body = json!({ "event": line }).to_string();
    let mut shipper = Browser::new(service).with("Authorization", &format!("Splunk {secret}"));
    let sent = shipper.send("POST", "/services/collector/event", Some(("application/json", &body)));
    assert_eq!(sent.status, 200, "{}", sent.text);
    let mut reader = signed_in(service, "vera", &["viewer"]);
    let begun = std::time::Instant::now();
    loop {
        let told = reader.get(&format!("/cases/{number}/timeline")).text;
        if told.contains(&format!("containment ineffective: {BAD}")) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(240), "{told}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let clocks = service.app.store.read(|tx| clock::of_case(tx, CaseId(number))).expect("clocks");
    assert!(clocks.iter().all(|c| c.met_at.is_none()), "it has to be contained again");
    let state = reader.get(&format!("/cases/{number}/containment")).json();
    assert_eq!(state["aftermath"]["sightings"][0]["got_in"], true, "{state:#}");
}

pub(crate) fn why(reason: &str) -> Value {
    json!({ "reason": reason })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_proposes_another_approves_and_it_is_proven_and_taken_back() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), site(dir.path(), &edge)).await;
    let number = found(&service).0;
    let mut lena = signed_in(&service, "lena", &["l1"]);
    let mut tom = signed_in(&service, "tom", &["t2"]);
    let mut tess = signed_in(&service, "tess", &["t2"]);
    assert_eq!(tom.get(&format!("/cases/{number}/containment")).json()["configured"], true);

    let digest = planned(&mut tom, number, "block_address");
    let at = format!("{}/{digest}", plans(number));
    assert!(!edge.rules().contains(BAD), "planning changes nothing");
    // Nobody alone, nobody too low, and nothing before its time.
    let own = tom.post(&format!("{at}/approve"), why("looks right"));
    assert!(own.status == 403 && own.text.contains("who proposes does not approve"), "{}", own.text);
    let low = lena.post(&format!("{at}/approve"), why("looks right"));
    assert_eq!((low.status, low.kind()), (403, "not-allowed".to_owned()));
    let early = tess.post(&format!("{at}/apply"), why("now"));
    assert!(early.status == 403 && early.text.contains("not approved"), "{}", early.text);
    // Another digest is another plan, and there is none.
    let other = format!(
        "{}/{}",
        plans(number),
        digest.replace(&digest[..1], if digest.starts_with('0') { "1" } else { "0" })
    );
    assert_eq!(tess.post(&format!("{other}/approve"), why("looks right")).status, 404);
    let unsaid = tess.post(&format!("{at}/approve"), why(" "));
    assert_eq!(unsaid.status, 409, "a reason is required: {}", unsaid.text);
    assert!(!edge.rules().contains(BAD));

    let mut once = tess.with("Idempotency-Key", "a-1");
    let approved = once.post(&format!("{at}/approve"), why("seen the case"));
    assert_eq!(
        (approved.status, approved.json()["standing"].as_str()),
        (200, Some("approved")),
        "{}",
        approved.text
    );
    once.post(&format!("{at}/approve"), why("seen the case"));
    let begun = tess.post(&format!("{at}/apply"), why("contain"));
    assert_eq!(begun.status, 200, "{}", begun.text);
    let done = standing(&mut tess, number, &digest, "in_force");
    assert_eq!(done["steps"][0]["state"], "verified", "{done:#}");
    assert!(edge.rules().contains(BAD), "{}", edge.rules());
    let met = service.app.store.read(|tx| clock::of_case(tx, CaseId(number))).expect("clocks");
    assert!(met[0].met_at.is_some(), "the case is contained");
    // Again: nothing is sent twice.
    assert_eq!(tess.post(&format!("{at}/apply"), why("again")).status, 200);
    standing(&mut tess, number, &digest, "in_force");
    let second = tess.post(&plans(number), json!({ "only": ["block_address"] }));
    assert!(second.status == 409 && second.text.contains("in force already"), "{}", second.text);

    // The page says the same, and its forms lead where they should.
    let page = tess.get_page(&format!("/cases/{number}"));
    assert!(
        page.text.contains(&format!("action=\"/cases/{number}/plans/{digest}/roll-back\"")),
        "{}",
        page.text
    );

    got_in(&service, number).await;
    let back = lena.post(&format!("{at}/roll-back"), why("was a false alarm"));
    assert_eq!(back.status, 403);
    let form = format!(
        "csrf_token={}&back=%2Fcases%2F{number}&reason=was+a+false+alarm",
        tom.csrf.clone().expect("a token")
    );
    let sent = tom.send(
        "POST",
        &format!("/cases/{number}/plans/{digest}/roll-back"),
        Some(("application/x-www-form-urlencoded", &form)),
    );
    assert_eq!(sent.status, 303, "{}", sent.text);
    standing(&mut tom, number, &digest, "taken_back");
    assert!(!edge.rules().contains(BAD), "{}", edge.rules());

    // What the audit and the ledger have of it.
    let mut carl = signed_in(&service, "carl", &["auditor"]);
    let entries = carl.get("/audit?limit=1000").json()["entries"].clone();
    for (name, verb, outcome) in [
        ("tom", "containment.propose", "done"),
        ("tom", "containment.approve", "denied"),
        ("lena", "containment.approve", "denied"),
        ("tess", "containment.approve", "done"),
        ("tess", "containment.apply", "done"),
        ("tom", "containment.undo", "done"),
    ] {
        let fits = |e: &Value| {
            e["actor"].as_str().is_some_and(|a| a.ends_with(name))
                && e["verb"] == verb
                && e["outcome"] == outcome
        };
        assert!(
            entries.as_array().expect("entries").iter().any(fits),
            "{name} {verb} {outcome}: {entries:#}"
        );
    }
    let operators: Vec<Operator> = carl
        .get("/containment/operators")
        .json()
        .as_array()
        .expect("operators")
        .iter()
        .map(|o| Operator {
            name: o["name"].as_str().expect("a name").to_owned(),
            tier: Tier::T2,
            public_key: PublicKey::try_from(o["public_key"].as_str().expect("a key").to_owned())
                .expect("a key"),
            accounts: Vec::new(),
            addresses: Vec::new(),
        })
        .collect();
    let ledger = Ledger::open(&dir.path().join("ledger.db")).expect("the ledger");
    let audit = ledger.audit(&operators, None, &[]).expect("read");
    assert_eq!(audit.faults, Vec::<String>::new());
    let of = |kind: Kind| ledger.of_plan(&digest).expect("entries").iter().filter(|e| e.kind == kind).count();
    assert_eq!((of(Kind::Sent), of(Kind::RolledBack)), (1, 1));
    let approvals = ledger.words(&digest).expect("words").into_iter();
    assert_eq!(
        approvals.filter(|w| w.purpose.name() == "approve").count(),
        1,
        "the second request was the first"
    );
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_takes_t3_and_a_person_attests_what_cannot_be_read() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), site(dir.path(), &edge)).await;
    let number = found(&service).0;
    let mut lena = signed_in(&service, "lena", &["l1"]);
    let mut tom = signed_in(&service, "tom", &["t2"]);
    let mut theo = signed_in(&service, "theo", &["t3"]);
    let digest = planned(&mut lena, number, "reset_password");
    let at = format!("{}/{digest}", plans(number));
    for (who, said) in [(&mut lena, "takes one of"), (&mut tom, "that takes T3")] {
        let answer = who.post(&format!("{at}/approve"), why("looks right"));
        assert!(answer.status == 403 && answer.text.contains(said), "{}", answer.text);
    }
    // A case that may not be acted upon is not, whoever approves.
    let sharing = |pap: &str| json!({ "pap": pap });
    let at_revision = |browser: &mut Browser| {
        let revision = browser.get(&format!("/cases/{number}")).json()["case"]["revision"].clone();
        browser.with("If-Match", &format!("\"{revision}\""))
    };
    assert_eq!(at_revision(&mut theo).post(&format!("/cases/{number}/sharing"), sharing("red")).status, 200);
    let red = theo.post(&format!("{at}/approve"), why("seen"));
    assert!(red.status == 403 && red.text.contains("PAP:RED"), "{}", red.text);
    assert_eq!(
        at_revision(&mut theo).post(&format!("/cases/{number}/sharing"), sharing("clear")).status,
        200
    );
    assert_eq!(theo.post(&format!("{at}/approve"), why("seen")).status, 200);
    let begun = theo.post(&format!("{at}/apply"), why("contain"));
    assert_eq!(begun.status, 200, "{}", begun.text);
    let plan = standing(&mut theo, number, &digest, "in_force");
    assert_eq!(plan["steps"][0]["state"], "unknown", "an instruction proves nothing: {plan:#}");
    let page = theo.get_page(&format!("/cases/{number}"));
    assert!(page.text.contains("/attest\""), "{}", page.text);
    let seen = json!({ "number": 1, "effective": true, "reason": "the old one is refused" });
    assert_eq!(lena.post(&format!("{at}/attest"), seen.clone()).status, 403);
    let attested = theo.post(&format!("{at}/attest"), seen.clone());
    assert_eq!(attested.json()["steps"][0]["state"], "verified", "{}", attested.text);
    assert_eq!(theo.post(&format!("{at}/attest"), seen).status, 409, "it is known now");

    // Who is no longer T3 approves nothing, not even what was approved a minute ago.
    let again = planned(&mut lena, number, "block_address");
    let at = format!("{}/{again}", plans(number));
    assert_eq!(tom.post(&format!("{at}/approve"), why("seen")).status, 200);
    let store = &service.app.store;
    store
        .write(|tx| {
            let person = people::by_name(tx, "tom")?.expect("tom");
            let change = people::Change { disabled: Some(true), ..people::Change::default() };
            people::change(tx, person.id, person.revision, &change, now())
        })
        .expect("changed");
    let late = theo.post(&format!("{at}/apply"), why("contain"));
    assert!(late.status == 403 && late.text.contains("not approved"), "{}", late.text);
    // In an emergency one person alone, and it says so.
    let glass = theo.post(&format!("{at}/break-glass"), why("nobody else is awake"));
    assert_eq!((glass.status, glass.json()["standing"].as_str()), (200, Some("approved")), "{}", glass.text);
    assert_eq!(theo.post(&format!("{at}/apply"), why("contain")).status, 200);
    standing(&mut theo, number, &again, "in_force");
    let state = theo.get(&format!("/cases/{number}/containment")).json();
    let taken = state["aftermath"]["actions"].as_array().expect("actions").clone();
    assert!(taken.iter().any(|t| t["emergency"] == true && t["state"] == "verified"), "{state:#}");
    let timeline = theo.get(&format!("/cases/{number}/timeline")).text;
    assert!(timeline.contains("EMERGENCY: allowed alone"), "{timeline}");
    // What somebody takes away at the device is put back.
    edge.flush();
    let begun = std::time::Instant::now();
    while !edge.rules().contains(BAD) {
        assert!(begun.elapsed() < Duration::from_secs(240), "it is not put back: {}", edge.rules());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_configuration_it_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let number = found(&service).0;
    let mut lena = signed_in(&service, "lena", &["l1"]);
    assert_eq!(lena.get(&format!("/cases/{number}/containment")).json()["configured"], false);
    let refused = lena.post(&plans(number), json!({}));
    assert!(refused.status == 409 && refused.text.contains("[respond]"), "{}", refused.text);
    assert!(lena.get_page(&format!("/cases/{number}")).text.contains("No device is configured"));
    service.close().await;
}
