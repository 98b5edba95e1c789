//! Check Point as its Management API and `fw sam` describe it: two gateways, tasks that take a while, tables in hex.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use base64::Engine as _;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::checkpoint::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

const KEY: &str = "cp-secret-api-key";

#[derive(Default)]
struct Site {
    /// Gateway and address, with the seconds.
    sam: BTreeMap<(&'static str, Ipv4Addr), u64>,
    /// What each task said, and how often it was asked for.
    tasks: Vec<(String, u32)>,
    logged_in: bool,
    /// A gateway that takes commands and does nothing.
    deaf: Option<&'static str>,
}

const GATEWAYS: [&str; 2] = ["gw-a", "gw-b"];

impl Site {
    fn script(&mut self, gateway: &'static str, script: &str) -> String {
        let words: Vec<&str> = script.split(' ').collect();
        let deaf = self.deaf == Some(gateway);
        match words.as_slice() {
            ["fw", "tab", "-t", "sam_blocked_ips", "-u"] => {
                let mut text = "localhost:\n-------- sam_blocked_ips --------\n".to_owned();
                for ((_, ip), seconds) in self.sam.iter().filter(|((g, _), _)| *g == gateway) {
                    let ip = u32::from(*ip);
                    text.push_str(&format!(
                        "<{ip:08x}; 00000002, 00000002, 00000009; {seconds}/{seconds}>\n"
                    ));
                }
                text
            }
            ["fw", "sam", "-t", seconds, "-J", "src", ip] if !deaf => {
                self.sam.insert((gateway, ip.parse().unwrap()), seconds.parse().unwrap());
                "sam: request acknowledged".into()
            }
            ["fw", "sam", "-C", "-J", "src", ip] if !deaf => {
                self.sam.remove(&(gateway, ip.parse().unwrap()));
                "sam: request acknowledged".into()
            }
            ["fw", "sam", ..] if deaf => "sam: request acknowledged".into(),
            _ => panic!("an unknown command reached the gateway: {script}"),
        }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let body = request.json();
        if request.path() == "/web_api/login" {
            if body["api-key"] != KEY {
                return Reply::json(
                    400,
                    json!({"code": "err_login_failed", "message": "Authentication failed."}),
                );
            }
            self.logged_in = true;
            return Reply::json(200, json!({"sid": "s1d", "api-server-version": "1.9"}));
        }
        if !self.logged_in || request.header("x-chkp-sid") != Some("s1d") {
            return Reply::json(401, json!({"code": "generic_err_wrong_session_id"}));
        }
        match request.path() {
            "/web_api/run-script" => {
                let script = body["script"].as_str().unwrap().to_owned();
                let mut tasks = Vec::new();
                for target in body["targets"].as_array().unwrap() {
                    let Some(gateway) = GATEWAYS.into_iter().find(|g| target == g) else {
                        return Reply::json(404, json!({"code": "generic_err_object_not_found"}));
                    };
                    let said = self.script(gateway, &script);
                    self.tasks.push((said, 0));
                    tasks.push(json!({"target": target, "task-id": format!("t{}", self.tasks.len() - 1)}));
                }
                Reply::json(200, json!({"tasks": tasks}))
            }
            "/web_api/show-task" => {
                let id = body["task-id"].as_str().and_then(|t| t.strip_prefix('t')).unwrap();
                let (said, asked) = &mut self.tasks[id.parse::<usize>().unwrap()];
                *asked += 1;
                if *asked < 2 {
                    return Reply::json(
                        200,
                        json!({"tasks": [{"status": "in progress", "task-details": []}]}),
                    );
                }
                let said = base64::engine::general_purpose::STANDARD.encode(said);
                Reply::json(
                    200,
                    json!({"tasks": [{"status": "succeeded", "task-details": [{"responseMessage": said}]}]}),
                )
            }
            "/web_api/logout" => {
                self.logged_in = false;
                Reply::json(200, json!({"message": "OK"}))
            }
            other => panic!("{other} is never called: nothing is published"),
        }
    }
}

fn start(site: Arc<Mutex<Site>>) -> Stub {
    let hollow = Reply::json(200, json!({"tasks": []}));
    Stub::start_as(|r| r.body.contains("fw sam"), hollow, move |r| site.lock().unwrap().answer(r))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "gateways": GATEWAYS})
}

fn opened(site: Site) -> (Box<dyn Control>, Arc<Mutex<Site>>, Stub, tempfile::TempDir) {
    let site = Arc::new(Mutex::new(site));
    let stub = start(site.clone());
    let dir = tempfile::tempdir().unwrap();
    let key = lab::secret_file(dir.path(), "key", KEY);
    (lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &key)]), site, stub, dir)
}

fn order(ip: &str) -> portreeve_respond::connector::Order {
    lab::order(Act::BlockAddress, Target::address(ip.parse().unwrap()))
}

#[test]
fn an_address_is_blocked_on_every_gateway() {
    contract::life(&Life {
        connector: &CONNECTOR,
        act: Act::BlockAddress,
        target: Target::address("192.0.2.7".parse().unwrap()),
        device: &|| contract::unmarked(start(Arc::default()), fields),
        secret: KEY,
        absent: &[],
        ambiguous: &[],
    });
}

#[test]
fn one_deaf_gateway_is_told_and_another_hands_rule_is_left() {
    let (mut api, site, _stub, _dir) = opened(Site { deaf: Some("gw-b"), ..Site::default() });
    let one = order("192.0.2.7");
    let known = Known { seen: api.read(&one).unwrap(), ack: None };
    api.apply(&one, &known.seen).unwrap();
    let Effect::NotEffective(why) = api.verify(&one, &known) else { panic!() };
    assert!(why.contains("gw-b") && !why.contains("gw-a"), "{why}");
    // The one that does not expire in time.
    site.lock().unwrap().deaf = None;
    site.lock().unwrap().sam.insert(("gw-b", "192.0.2.7".parse().unwrap()), 60);
    let Effect::NotEffective(why) = api.verify(&one, &known) else { panic!() };
    assert!(why.contains("too early"), "{why}");
    let two = order("192.0.2.7");
    let known = Known { seen: api.read(&two).unwrap(), ack: None };
    assert!(known.seen.in_force);
    assert!(matches!(api.undo(&two, &known), Err(Fault::Refused(_))));
    assert!(matches!(api.read(&order("2001:db8::7")), Err(Fault::Unsupported(_))));
    assert!(matches!(api.read(&order("192.0.2.0/24")), Err(Fault::Unsupported(_))));
    assert!(!site.lock().unwrap().logged_in, "no session is left behind");
    assert_eq!(api.present().unwrap().unwrap().len(), 1);
}
