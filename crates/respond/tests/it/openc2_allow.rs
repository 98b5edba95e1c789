//! OpenC2 `allow`: the undo of a denial that came by command, and of nothing else.

use portreeve_respond::connector::{Ability, Ack, Control, Effect, Known, Order, Present, Seen};
use portreeve_respond::fault::Fault;
use portreeve_respond::openc2::{Blocker, Options, TYPE, serve_openc2};
use portreeve_respond::transport::http::{Body, Endpoint, Http, Method, Path};
use portreeve_respond::transport::server::Server;
use portreeve_respond::value::Net;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A packet filter in memory: what is denied, with the mark of who denied it.
#[derive(Clone, Default)]
struct Wall(Arc<Mutex<BTreeMap<String, Option<String>>>>);

impl Wall {
    fn nets(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn put(&self, net: &str, mark: Option<&str>) {
        self.0.lock().unwrap().insert(net.to_owned(), mark.map(str::to_owned));
    }
}

fn net(order: &Order) -> String {
    order.target.net().unwrap().to_string()
}

impl Control for Wall {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let all = self.0.lock().unwrap();
        let holder = all.get(&net(order));
        Ok(Seen {
            in_force: holder.is_some_and(|m| m.as_deref() != Some(order.mark.as_str())),
            says: format!("{holder:?}"),
            ..Seen::default()
        })
    }

    fn preview(&self, _: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        self.put(&net(order), Some(&order.mark));
        Ok(Ack::default())
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        match self.0.lock().unwrap().contains_key(&net(order)) {
            true => Effect::Effective(String::new()),
            false => Effect::NotEffective(String::new()),
        }
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        self.0.lock().unwrap().remove(&net(order));
        Ok(Ack::default())
    }

    fn verify_undone(&mut self, _: &Order, _: &Known) -> Effect {
        Effect::Unknown(String::new())
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let all = self.0.lock().unwrap();
        Ok(Some(all.iter().map(|(n, m)| Present { what: n.clone(), mark: m.clone() }).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        Vec::new()
    }
}

const APPROVED: &str = "portreeve-00000000abcd";

fn consumer(wall: &Wall) -> Server {
    let device = wall.clone();
    let mut blocker =
        Blocker::new(move || Ok(Box::new(device.clone()) as Box<dyn Control>), Box::new(|_: Net| Ok(())))
            .beside(Box::new(|mark| {
                Ok((mark == APPROVED).then(|| "step 1 of plan 0a1b2c3d4e5f (case c)".to_owned()))
            }));
    let options = Options { rate_limit: 1000, ..Options::default() };
    serve_openc2("127.0.0.1:0", options, Box::new(move |ask, id| blocker.act(ask, id))).unwrap()
}

/// The status, and its text.
fn ask(server: &Server, id: &str, action: &str, target: Value, args: Value) -> (u16, String) {
    let command = json!({"action": action, "target": target, "args": args}).to_string();
    let url = format!("http://{}", server.address());
    let endpoint = Endpoint { url, ca: None, client_cert: None, client_key: None, timeout: 10 };
    let http = Http::open(&endpoint).unwrap();
    let id = [("x-request-id", id.to_owned())];
    let path = Path::new("/.well-known/openc2");
    let answer = http.send(Method::Post, &path, &Body::Text(TYPE, &command), &id).unwrap();
    let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    assert_eq!(body["status"], json!(answer.status), "{body}");
    (answer.status, body["status_text"].as_str().unwrap_or_default().to_owned())
}

fn v4(net: &str) -> Value {
    json!({"ipv4_net": net})
}

#[test]
fn what_a_command_denied_a_command_lets_in_again() {
    let wall = Wall::default();
    let server = consumer(&wall);
    assert_eq!(ask(&server, "d1", "deny", v4("192.0.2.7"), json!({})).0, 200);
    assert_eq!(ask(&server, "d2", "deny", json!({"ipv6_net": "2001:db8::/64"}), json!({})).0, 200);
    assert_eq!(wall.nets(), ["192.0.2.7", "2001:db8::/64"]);
    assert_eq!(ask(&server, "a1", "allow", v4("192.0.2.7/32"), json!({})), (200, String::new()));
    assert_eq!(ask(&server, "a2", "allow", json!({"ipv6_net": "2001:db8::/64"}), json!({})).0, 200);
    assert!(wall.nets().is_empty());
    // A command that comes again is answered as it was, and denied again it is denied.
    assert_eq!(ask(&server, "a1", "allow", v4("192.0.2.7/32"), json!({})).0, 200);
    assert_eq!(ask(&server, "d1", "deny", v4("192.0.2.7"), json!({})).0, 200);
    assert_eq!(wall.nets(), ["192.0.2.7"]);
    assert_eq!(ask(&server, "a1", "allow", v4("192.0.2.7/32"), json!({})).0, 200);
    assert!(wall.nets().is_empty(), "nothing is answered from memory that was not done");
    // A denial that names its number is not answered from memory either, once it was taken back.
    let numbered = json!({"response_requested": "complete", "slpf": {"insert_rule": 77}});
    assert_eq!(ask(&server, "d3", "deny", v4("192.0.2.8"), numbered.clone()).0, 200);
    assert_eq!(ask(&server, "a3", "allow", v4("192.0.2.8"), json!({})).0, 200);
    assert_eq!(ask(&server, "d3", "deny", v4("192.0.2.8"), numbered).0, 200);
    assert_eq!(wall.nets(), ["192.0.2.8"]);
}

#[test]
fn what_people_approved_or_nobody_denied_by_command_stays() {
    let wall = Wall::default();
    let server = consumer(&wall);
    wall.put("192.0.2.9", Some(APPROVED));
    wall.put("198.51.100.0/24", None);
    let before = wall.nets();
    let (status, text) = ask(&server, "a1", "allow", v4("192.0.2.9"), json!({}));
    assert_eq!(status, 403);
    assert!(text.contains("step 1 of plan 0a1b2c3d4e5f") && text.contains("rollback"), "{text}");
    let (status, text) = ask(&server, "x1", "delete", json!({"slpf:rule_number": 0xabcd}), json!({}));
    assert_eq!(status, 403, "{text}");
    let (status, text) = ask(&server, "a2", "allow", v4("203.0.113.5"), json!({}));
    assert!(status == 501 && text.starts_with("Rule not updated: no command denied 203.0.113.5"), "{text}");
    assert_eq!(ask(&server, "a3", "allow", v4("198.51.100.0/24"), json!({})).0, 501, "of another hand");
    assert_eq!(wall.nets(), before);
    // A wider denial is named, not cut.
    assert_eq!(ask(&server, "d1", "deny", v4("203.0.113.0/24"), json!({})).0, 200);
    let (status, text) = ask(&server, "a4", "allow", v4("203.0.113.5"), json!({}));
    assert!(status == 501 && text.contains("denies 203.0.113.0/24"), "{text}");
    // What stands at the device besides is told, though the command's own denial is gone.
    wall.put("203.0.113.5", None);
    let (status, text) = ask(&server, "a5", "allow", v4("203.0.113.0/24"), json!({}));
    assert!(status == 501 && text.contains("203.0.113.5 still stands"), "{text}");
    assert!(!wall.nets().contains(&"203.0.113.0/24".to_owned()));
}

#[test]
fn an_allow_that_asks_for_more_than_an_undo_is_refused() {
    let wall = Wall::default();
    let server = consumer(&wall);
    assert_eq!(ask(&server, "d1", "deny", v4("192.0.2.7"), json!({})).0, 200);
    for (n, (args, status)) in [
        (json!({"duration": 60_000}), 501),
        (json!({"slpf": {"direction": "ingress"}}), 501),
        (json!({"slpf": {"persistent": false}}), 501),
        (json!({"response_requested": "complete", "slpf": {"insert_rule": 5}}), 501),
        (json!({"slpf": {"drop_process": "reject"}}), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(&server, &format!("a{n}"), "allow", v4("192.0.2.7"), args.clone());
        assert_eq!(answer.0, status, "{args}: {}", answer.1);
        assert_eq!(wall.nets(), ["192.0.2.7"], "{args}");
    }
    assert_eq!(ask(&server, "b", "allow", json!({"ipv4_connection": {}}), json!({})).0, 501);
    assert_eq!(ask(&server, "c", "allow", v4("192.0.2.7"), json!({"slpf": {"persistent": true}})).0, 200);
}
