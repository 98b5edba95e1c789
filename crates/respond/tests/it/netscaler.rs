//! NetScaler as the NITRO reference describes it: AAA sessions with keys, ICA connections beside them.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::netscaler::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "ns-secret-password";

#[derive(Default)]
struct Netscaler {
    /// User, key, inner address.
    aaa: Vec<(String, String, String)>,
    ica: Vec<&'static str>,
    /// A version that neither pages nor tells session keys.
    old: bool,
}

fn nitro(name: &str, rows: Vec<Value>) -> Reply {
    let mut body = json!({"errorcode": 0, "message": "Done", "severity": "NONE"});
    if !rows.is_empty() {
        body[name] = Value::Array(rows);
    }
    Reply::json(200, body)
}

fn refused(code: i64, why: &str) -> Reply {
    Reply::json(599, json!({"errorcode": code, "message": why, "severity": "ERROR"}))
}

impl Netscaler {
    fn answer(&mut self, request: &Request) -> Reply {
        let right = request.header("x-nitro-user") == Some("portreeve")
            && request.header("x-nitro-pass") == Some(PASSWORD);
        if !right {
            return Reply::json(401, json!({"errorcode": 354, "message": "Invalid username or password"}));
        }
        let old = self.old;
        let page = |name: &str, rows: Vec<Value>| {
            let number = |n: &str| request.query(n).and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
            let (size, page) =
                if old { (usize::MAX, 1) } else { (number("pagesize").max(1), number("pageno").max(1)) };
            nitro(name, rows.into_iter().skip((page - 1) * size).take(size).collect())
        };
        let body = request.json();
        match (request.method.as_str(), request.path()) {
            ("GET", "/nitro/v1/config/aaasession") => page(
                "aaasession",
                self.aaa
                    .iter()
                    .enumerate()
                    .map(|(n, (user, key, inner))| {
                        let mut row = json!({"username": user, "sessionkey": key, "publicip": "203.0.113.9",
                                             "publicport": 40000 + n, "intranetip": inner, "peid": 0});
                        if old {
                            row.as_object_mut().unwrap().remove("sessionkey");
                        }
                        row
                    })
                    .collect(),
            ),
            ("GET", "/nitro/v1/config/vpnicaconnection") => page(
                "vpnicaconnection",
                self.ica
                    .iter()
                    .map(|user| json!({"username": user, "domain": "", "srcip": "203.0.113.9", "srcport": 50000}))
                    .collect(),
            ),
            ("POST", "/nitro/v1/config/aaasession") if request.query("action").as_deref() == Some("kill") => {
                let filter = &body["aaasession"];
                assert!(filter.get("all").is_none(), "never all");
                let by_key = filter["sessionkey"].as_str();
                let by_user = filter["username"].as_str();
                // As the appliance has it: without a filter, everybody goes.
                self.aaa.retain(|(user, key, _)| {
                    !(by_key.is_none_or(|k| k == key) && by_user.is_none_or(|u| u == user))
                });
                Reply::empty(200)
            }
            ("POST", "/nitro/v1/config/vpnicaconnection") if request.query("action").as_deref() == Some("kill") => {
                let Some(user) = body["vpnicaconnection"]["username"].as_str() else {
                    return refused(1095, "Required argument missing");
                };
                self.ica.retain(|u| *u != user);
                Reply::empty(200)
            }
            _ => refused(278, "Invalid argument"),
        }
    }
}

fn row(user: &str, n: usize) -> (String, String, String) {
    (user.to_owned(), format!("k3y{n:08x}"), format!("10.8.{}.{}", n / 250, n % 250 + 1))
}

fn state() -> Netscaler {
    Netscaler {
        aaa: vec![
            row("joanna", 1),
            row("anna", 2),
            row("CORP\\twin", 3),
            row("LAB\\twin", 4),
            row("o'ne\"il<*", 5),
        ],
        ica: vec!["joanna"],
        old: false,
    }
}

fn start(state: Arc<Mutex<Netscaler>>) -> Stub {
    Stub::start_as(|r| r.method != "GET", Reply::empty(200), move |r| state.lock().unwrap().answer(r))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "user": "portreeve"})
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

#[test]
fn a_session_is_killed() {
    for (user, old) in [("anna", false), ("anna", true), ("o'ne\"il<*", false)] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::TerminateSession,
            target: of(user),
            device: &|| contract::over(start(Arc::new(Mutex::new(Netscaler { old, ..state() }))), fields),
            secret: PASSWORD,
            absent: &[of("ann"), of("*"), of("LAB\\anna")],
            ambiguous: &[of("twin")],
        });
    }
}

#[test]
fn the_desktop_ends_with_the_session_and_nobody_else_is_hit() {
    for old in [false, true] {
        desktop(old);
    }
}

fn desktop(old: bool) {
    let mut many = Netscaler { old, ..state() };
    many.aaa.extend((10..450).map(|n| row("crowd", n)));
    many.aaa.push(row("anna", 460));
    many.ica.push("anna");
    let state = Arc::new(Mutex::new(many));
    let stub = start(state.clone());
    let dir = tempfile::tempdir().unwrap();
    let password = lab::secret_file(dir.path(), "password", PASSWORD);
    let mut netscaler = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &password)]);
    let order = lab::order(Act::TerminateSession, of("anna"));
    let seen = netscaler.read(&order).unwrap();
    assert_eq!(seen.ids.len(), 3, "two pages on, and the ICA connection: {seen:?}");
    let plan = format!("{seen:?}{:?}", netscaler.preview(&order, &seen).unwrap());
    assert!(!plan.contains("k3y"), "a session key is no part of a plan: {plan}");
    let known = Known { seen, ack: None };
    netscaler.apply(&order, &known.seen).unwrap();
    assert!(matches!(netscaler.verify(&order, &known), Effect::Effective(_)));
    let left = state.lock().unwrap();
    assert_eq!((left.aaa.len(), left.ica.as_slice()), (444, ["joanna"].as_slice()));
    drop(left);
    let nobody = lab::order(Act::TerminateSession, Target::Session(Stay::default()));
    assert!(matches!(netscaler.apply(&nobody, &known.seen), Err(Fault::Refused(_))));
    assert_eq!(state.lock().unwrap().aaa.len(), 444);
}
