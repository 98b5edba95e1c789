//! Ivanti Connect Secure as its REST guide describes it: a key by login, 200 sessions unless more are asked for.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub, decode};
use base64::Engine as _;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::ivanti::CONNECTOR;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "ivanti-secret-password";
const KEY: &str = "K3y+with/base64=";

/// User, realm, id.
type Sessions = Vec<(String, &'static str, String)>;

fn answer(sessions: &mut Sessions, request: &Request) -> Reply {
    let authorization = |pair: String| {
        let value = base64::engine::general_purpose::STANDARD.encode(pair);
        request.header("authorization") == Some(&format!("Basic {value}"))
    };
    if request.path() == "/api/v1/auth" {
        return if authorization(format!("portreeve:{PASSWORD}")) {
            Reply::json(200, json!({"api_key": KEY}))
        } else {
            Reply::json(403, json!({"error": "Invalid credentials"}))
        };
    }
    if !authorization(format!("{KEY}:")) {
        return Reply::empty(401);
    }
    match (request.method.as_str(), request.path().strip_prefix("/api/v1/system/active-users")) {
        ("GET", Some("")) => {
            let number = request.query("number").and_then(|n| n.parse().ok()).unwrap_or(200);
            let rows: Vec<Value> = sessions
                .iter()
                .take(number)
                .map(|(user, realm, id)| {
                    json!({"active-user-name": user, "authentication-realm": realm, "session-id": id,
                           "network-connect-ip": null, "user-sign-in-time": "2026/11/27 10:00:00", "events": 0})
                })
                .collect();
            Reply::json(
                200,
                json!({"active-users": {"total-returned-record-number": rows.len(),
                       "total-matched-record-number": sessions.len(), "user-login-permission": true,
                       "active-user-records": {"active-user-record": rows}}}),
            )
        }
        ("DELETE", Some(rest)) => {
            let id = decode(rest.strip_prefix("/session/").filter(|id| !id.contains('/')).unwrap_or(""));
            let before = sessions.len();
            sessions.retain(|(_, _, sid)| *sid != id);
            if sessions.len() < before { Reply::empty(204) } else { Reply::empty(404) }
        }
        _ => Reply::empty(405),
    }
}

fn state() -> Sessions {
    let mut all =
        [("joanna", "staff", "1"), ("anna", "staff", "2"), ("twin", "staff", "3"), ("twin", "vendors", "4")]
            .map(|(user, realm, n)| (user.to_owned(), realm, format!("sidb03b1e97{n:0>8}")))
            .to_vec();
    // An id that would leave its place in a path.
    all.push(("o'ne\"il<&*)".to_owned(), "staff", "../../x?y=z#".to_owned()));
    all
}

fn start(state: Arc<Mutex<Sessions>>) -> Stub {
    Stub::start(move |request| answer(&mut state.lock().unwrap(), request))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "user": "portreeve"})
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

#[test]
fn a_session_is_deleted() {
    for target in [of("anna"), of("twin@vendors"), of("o'ne\"il<&*)")] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::TerminateSession,
            target,
            device: &|| contract::over(start(Arc::new(Mutex::new(state()))), fields),
            secret: PASSWORD,
            absent: &[of("ann"), of("*"), of("vendors\\anna"), of("../anna")],
            ambiguous: &[of("twin")],
        });
    }
}

#[test]
fn a_cut_list_is_read_again_in_full_and_the_key_is_in_no_url() {
    let mut many = state();
    many.extend((0..1500).map(|n| ("crowd".to_owned(), "staff", format!("sidc{n:08}"))));
    many.push(("anna".to_owned(), "staff", "sidlast".to_owned()));
    let state = Arc::new(Mutex::new(many));
    let stub = start(state.clone());
    let dir = tempfile::tempdir().unwrap();
    let password = lab::secret_file(dir.path(), "password", PASSWORD);
    let mut ivanti = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &password)]);
    let order = lab::order(Act::TerminateSession, of("anna"));
    let known = Known { seen: ivanti.read(&order).unwrap(), ack: None };
    assert_eq!(known.seen.ids.len(), 2);
    ivanti.apply(&order, &known.seen).unwrap();
    assert!(matches!(ivanti.verify(&order, &known), Effect::Effective(_)));
    assert_eq!(state.lock().unwrap().len(), 1504);
    assert!(stub.lines().iter().all(|l| !l.contains("K3y") && !l.contains(PASSWORD)));
}
