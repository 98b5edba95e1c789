//! Containment by the live service as a program: killed while a plan is approved and carried out, it goes on, and does
//! nothing twice.

use crate::edge::Edge;
use crate::live::Running;
use portreeve_access::session::Session;
use portreeve_respond::ledger::{Kind, Ledger};
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{By, Pap, Risk, Tlp, get, work};
use portreeve_store::login::{self, Login};
use portreeve_store::people::{self, NewPerson};
use portreeve_store::{Location, Store};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Somebody who has signed in; their cookie outlives the service.
#[derive(Clone)]
struct Person {
    cookie: String,
}

impl Person {
    fn new(store: &Store, name: &str, role: &str) -> Person {
        let roles = [role.to_owned()].into();
        let new =
            NewPerson { name, display: "", zone: "UTC", roles: &roles, password_hash: None, oidc: None };
        let now = now();
        let person = store.write(|tx| people::create(tx, &new, now)).expect("a person").id;
        let (token, session) = Session::begin(now).expect("randomness");
        let login = Login {
            token_hash: *session.digest.as_bytes(),
            person,
            csrf: Vec::new(),
            created_at: now,
            rotated_at: now,
            last_used: now,
            expires_at: now + 3_600_000_000,
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
            factors: "password totp".to_owned(),
        };
        store.write(|tx| login::begin(tx, &login)).expect("a login");
        Person { cookie: token.expose().to_owned() }
    }

    /// Status and body; an error where the connection broke.
    fn ask(&self, at: &str, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<(u16, Value)> {
        let csrf = match body {
            Some(_) => {
                let view = self.ask(at, "GET", "/session", None)?.1;
                view["csrf"].as_str().unwrap_or_default().to_owned()
            }
            None => String::new(),
        };
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nCookie: portreeve={}\r\n\
             X-CSRF-Token: {csrf}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.cookie,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || std::io::Error::other(format!("the answer is {answer:?}"));
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(broken)?;
        let text = answer.split_once("\r\n\r\n").ok_or_else(broken)?.1;
        Ok((status, serde_json::from_str(text).map_err(|_| broken())?))
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_micros()).expect("before the year 294,000")
}

/// A case that proposes to block an address.
fn found(store: &Store, id: &str, address: &str) -> i64 {
    let person = json!({"name": "anna", "aliases": [], "department": "", "role": "", "status": "active",
        "privileged": false, "listed": true});
    let document = json!({
        "case_id": id, "title": "Login of anna", "principal": person, "principals": [],
        "first_seen": "2026-03-03T08:12:00Z", "last_seen": "2026-03-03T09:00:00Z",
        "detected_at": "2026-03-03T08:30:00Z", "decision": "escalate", "reason": "",
        "risk_score": 70.0, "prior_db": 0.0, "score_db": 0.0, "groups": [], "criteria": [], "questions": [],
        "indicators": [], "source_ips": [address], "sources": [], "sessions": [], "l1_steps": [], "t2_actions": [],
        "containment": [{"order": 1, "id": "block_ip", "title": "Block", "target": address,
            "subject": {"address": address}, "because": "seen", "leaves_open": "", "blast_radius": "", "caution": ""}],
        "timeline": [], "coverage": {"sources": [], "missing": [], "history_days": 0, "history_sessions": 0},
        "related": [], "campaign": null, "revised": null,
    });
    let said = EngineCase {
        engine_id: id,
        supersedes: &[],
        as_of: 1,
        title: "Login of anna",
        principal: "anna",
        decision: portreeve_model::answer::Decision::Escalate,
        risk: Risk::from_points(70.0),
        // Of a time of which the engine knows nothing, so that it does not withdraw it.
        first_seen: 1,
        last_seen: 1,
        detected_at: 1,
        verdict: "v",
        why: "because",
        changed: "{}",
        late: false,
        brief: "{}",
        search: &[],
        entities: &[],
        document: &document.to_string(),
    };
    let id = store.write(|tx| take(tx, &said, now())).expect("a case").case();
    store
        .write(|tx| {
            // What the engine finds may not be acted upon before a person says so.
            let revision = get(tx, id)?.revision;
            let by = By { actor: "person:0 test", at: now() };
            work::set_sharing(tx, id, revision, Tlp::Amber, Pap::Green, by)
        })
        .expect("changed");
    id.0
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

#[test]
fn killed_while_it_contains_it_goes_on_and_does_nothing_twice() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let site = format!("ledger: ledger.db\noperators: []\nconnectors:\n{}", edge.connector());
    std::fs::write(dir.path().join("respond.yml"), site).expect("written");
    std::fs::write(dir.path().join("portreeve.toml"), "[respond]\nconfig = \"respond.yml\"\nevery_s = 5\n")
        .expect("written");
    let mut running = Running::start(dir.path());
    let location = Location::sqlite(dir.path().join("data/store.db"));
    let store = Store::open(&location, &dir.path().join("data/evidence"), now()).expect("the store");
    let (tom, tess) = (Person::new(&store, "tom", "t2"), Person::new(&store, "tess", "t2"));
    let mut random = Random(7);
    let mut broken = 0;
    for round in 0..6 {
        let address = format!("203.0.113.{}", 10 + round);
        let number = found(&store, &format!("c{round}"), &address);
        let plans = format!("/cases/{number}/containment/plans");
        let why = json!({ "reason": "contain" });
        let (status, made) = tom.ask(&running.address, "POST", &plans, Some(&json!({}))).expect("an answer");
        assert_eq!(status, 200, "{made:#}");
        let digest = made["digest"].as_str().expect("a digest").to_owned();
        let at = format!("{plans}/{digest}");
        // Killed somewhere between the first request and the proof.
        let poster = {
            let (tess, address, at, why) = (tess.clone(), running.address.clone(), at.clone(), why.clone());
            std::thread::spawn(move || {
                let approved = tess.ask(&address, "POST", &format!("{at}/approve"), Some(&why)).ok()?;
                assert_eq!(approved.0, 200, "{:#}", approved.1);
                tess.ask(&address, "POST", &format!("{at}/apply"), Some(&why)).ok()
            })
        };
        std::thread::sleep(Duration::from_millis(random.below(250)));
        running.kill();
        broken += u32::from(poster.join().expect("no panic").is_none());
        running = Running::start(dir.path());
        // What is not done yet is asked for again, as a person would.
        let begun = Instant::now();
        loop {
            let path = format!("/cases/{number}/containment");
            let (status, state) = tess.ask(&running.address, "GET", &path, None).expect("an answer");
            assert_eq!(status, 200, "{state:#}");
            let all = state["plans"].as_array().expect("plans");
            let plan = all.iter().find(|p| p["digest"] == digest.as_str()).expect("the plan");
            let step = plan["steps"][0]["state"].as_str().expect("a state");
            let what = match plan["standing"].as_str().expect("a standing") {
                "in_force" if step == "verified" => break,
                "proposed" => "approve",
                "approved" | "interrupted" | "in_force" => "apply",
                _ => "",
            };
            if !what.is_empty() {
                // It may have begun again by itself meanwhile: then it says so.
                let (status, said) = tess
                    .ask(&running.address, "POST", &format!("{at}/{what}"), Some(&why))
                    .expect("an answer");
                assert!(matches!(status, 200 | 403 | 409), "{status}: {said:#}");
            }
            let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(240), "{plan:#}: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        let rules = edge.rules();
        assert_eq!(rules.matches(&format!("{address} ")).count(), 1, "{rules}");
        // Sent once; again only after a reading had shown that it was not there.
        let ledger = Ledger::open(&dir.path().join("ledger.db")).expect("the ledger");
        let kinds: Vec<Kind> = ledger
            .of_plan(&digest)
            .expect("entries")
            .into_iter()
            .filter(|e| e.step == Some(1))
            .map(|e| e.kind)
            .collect();
        let mut may_send = true;
        for kind in &kinds {
            match kind {
                Kind::Sent => assert!(std::mem::take(&mut may_send), "{kinds:?}"),
                Kind::NotEffective | Kind::Failed => may_send = true,
                _ => {}
            }
        }
        assert!(kinds.contains(&Kind::Verified), "{kinds:?}");
    }
    assert!(broken > 1, "{broken} of 6 were broken off");
    let told = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    assert!(!told.contains("a defect of this program"), "{told}");
}
