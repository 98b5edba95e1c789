//! FortiGate as its REST API describes it: a list of bans with ends, and SSL VPN sessions by index.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::fortigate::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "fg-secret-token";

#[derive(Default)]
struct Fortigate {
    bans: Vec<(String, i64)>,
    /// Index, user, inner address, login.
    sessions: Vec<(u64, &'static str, &'static str, i64)>,
}

fn good(results: Value) -> Reply {
    Reply::json(200, json!({"status": "success", "vdom": "edge", "results": results, "http_status": 200}))
}

fn only(body: &Value, names: &[&str]) -> bool {
    body.as_object().is_some_and(|o| o.keys().all(|k| names.contains(&k.as_str())))
}

impl Fortigate {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}"))
            || request.target.contains("token")
        {
            return Reply::text(401, "");
        }
        if request.query("vdom").as_deref() != Some("edge") {
            return Reply::text(403, "");
        }
        let body = request.json();
        let addresses: Vec<String> = body["ip_addresses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| a.as_str().map(str::to_owned))
            .collect();
        match (request.method.as_str(), request.path()) {
            ("GET", "/api/v2/monitor/user/banned") => good(
                self.bans
                    .iter()
                    .map(|(ip, ends)| json!({"ip_address": ip, "created": 1, "expires": ends, "source": "manual"}))
                    .collect(),
            ),
            ("POST", "/api/v2/monitor/user/banned/add_users")
                if !addresses.is_empty() && only(&body, &["ip_addresses", "expiry"]) =>
            {
                let expiry = body["expiry"].as_i64().unwrap();
                let now = jiff::Timestamp::now().as_second();
                for ip in addresses {
                    self.bans.retain(|(old, _)| *old != ip);
                    self.bans.push((ip, if expiry == 0 { 0 } else { now + expiry }));
                }
                good(json!({}))
            }
            ("POST", "/api/v2/monitor/user/banned/clear_users")
                if !addresses.is_empty() && only(&body, &["ip_addresses"]) =>
            {
                self.bans.retain(|(ip, _)| !addresses.contains(ip));
                good(json!({}))
            }
            ("GET", "/api/v2/monitor/vpn/ssl") => good(
                self.sessions
                    .iter()
                    .map(|(index, user, inner, login)| {
                        json!({"index": index, "user_name": user, "remote_host": "203.0.113.9",
                               "last_login_timestamp": login, "duration": jiff::Timestamp::now().as_millisecond(),
                               "subsessions": [{"index": 0, "parent": index, "mode": "Tunnel", "aip": inner}]})
                    })
                    .collect(),
            ),
            ("POST", "/api/v2/monitor/vpn/ssl/delete")
                if body["type"] == "websession" && only(&body, &["type", "index"]) =>
            {
                let before = self.sessions.len();
                self.sessions.retain(|(index, ..)| body["index"].as_u64() != Some(*index));
                if self.sessions.len() == before { Reply::json(404, json!({"status": "error"})) } else { good(json!({})) }
            }
            _ => Reply::json(400, json!({"status": "error", "error": -651})),
        }
    }
}

fn state() -> Fortigate {
    Fortigate {
        bans: vec![("198.51.100.1".into(), 0)],
        sessions: vec![
            (0, "joanna", "10.8.0.6", 100),
            (1, "anna", "10.8.0.5", 200),
            (2, "CORP\\twin", "10.8.0.7", 300),
            (3, "LAB\\twin", "10.8.0.8", 400),
            (4, "o'ne\"il<&*)", "10.8.0.10", 500),
        ],
    }
}

fn start(state: Arc<Mutex<Fortigate>>) -> Stub {
    Stub::start_as(|r| r.method != "GET", good(json!({})), move |r| state.lock().unwrap().answer(r))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "vdom": "edge"})
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

fn opened(state: Fortigate) -> (Stub, Box<dyn Control>, Arc<Mutex<Fortigate>>, tempfile::TempDir) {
    let state = Arc::new(Mutex::new(state));
    let stub = start(state.clone());
    let dir = tempfile::tempdir().unwrap();
    let token = lab::secret_file(dir.path(), "token", TOKEN);
    let control = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &token)]);
    (stub, control, state, dir)
}

#[test]
fn an_address_is_banned() {
    for target in ["192.0.2.7", "2001:db8::7"] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::BlockAddress,
            target: Target::address(target.parse().unwrap()),
            device: &|| contract::over(start(Arc::new(Mutex::new(state()))), fields),
            secret: TOKEN,
            absent: &[],
            ambiguous: &[],
        });
    }
}

#[test]
fn a_session_is_ended() {
    for user in ["anna", "o'ne\"il<&*)"] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::TerminateSession,
            target: of(user),
            device: &|| contract::over(start(Arc::new(Mutex::new(state()))), fields),
            secret: TOKEN,
            absent: &[of("ann"), of("an*"), of("anna\"}"), of("LAB\\anna")],
            ambiguous: &[of("twin")],
        });
    }
}

#[test]
fn an_index_that_went_to_another_user_is_left() {
    let (stub, mut fortigate, state, _dir) = opened(state());
    let order = lab::order(Act::TerminateSession, of("anna"));
    let known = Known { seen: fortigate.read(&order).unwrap(), ack: None };
    // Anna leaves, and the index is the next user's.
    state.lock().unwrap().sessions[1] = (1, "director", "10.8.0.5", 900);
    fortigate.apply(&order, &known.seen).unwrap();
    assert!(stub.changes().is_empty(), "the director stays");
    assert!(matches!(fortigate.verify(&order, &known), Effect::Effective(_)));
    // She comes back under another index.
    state.lock().unwrap().sessions.push((9, "anna", "10.8.0.9", 901));
    let Effect::NotEffective(why) = fortigate.verify(&order, &known) else { panic!() };
    assert!(why.contains("came back"), "{why}");
}

#[test]
fn bans_of_others_stay() {
    let (stub, mut fortigate, state, _dir) = opened(state());
    let order = lab::order(Act::BlockAddress, Target::address("198.51.100.1".parse().unwrap()));
    assert!(fortigate.read(&order).unwrap().in_force);
    assert!(matches!(fortigate.undo(&order, &Known::default()), Err(Fault::Refused(_))));
    // A ban that lets go too early is not what was asked for.
    let soon = jiff::Timestamp::now().as_second() + 300;
    state.lock().unwrap().bans.push(("192.0.2.7".into(), soon));
    let order = lab::order(Act::BlockAddress, Target::address("192.0.2.7".parse().unwrap()));
    let Effect::NotEffective(why) = fortigate.verify(&order, &Known::default()) else { panic!() };
    assert!(why.contains("too early"), "{why}");
    assert!(stub.changes().is_empty());
    assert_eq!(fortigate.present().unwrap().unwrap().len(), 2);
    let nobody = lab::order(Act::TerminateSession, Target::Session(Stay::default()));
    assert!(matches!(fortigate.read(&nobody), Err(Fault::Refused(_))));
    assert!(stub.lines().iter().all(|l| !l.contains(TOKEN)));
}
