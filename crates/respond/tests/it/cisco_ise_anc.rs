//! Cisco ISE as its ERS reference describes it: a search gives ids, and each is read by itself.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use base64::Engine as _;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::cisco_ise_anc::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Device, Target};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "ise-secret-password";

#[derive(Default)]
struct Ise {
    endpoints: Vec<&'static str>,
    /// Address, policy.
    fenced: Vec<(String, String)>,
    /// A version that does not know the filter and gives everything.
    ignores_filter: bool,
}

fn error(status: u16, title: &str) -> Reply {
    Reply::json(status, json!({"ERSResponse": {"messages": [{"title": title, "type": "ERROR"}]}}))
}

impl Ise {
    fn search(&self, request: &Request, all: Vec<(String, String)>, field: &str) -> Reply {
        let filter = request.query("filter");
        let wanted = filter.as_deref().and_then(|f| f.strip_prefix(&format!("{field}.EQ.")));
        if filter.is_some() && wanted.is_none() {
            return error(400, "Illegal filter");
        }
        let found: Vec<(String, String)> = all
            .into_iter()
            .filter(|(_, mac)| self.ignores_filter || wanted.is_none_or(|w| w == mac.as_str()))
            .collect();
        let number = |n: &str| request.query(n).and_then(|v| v.parse::<usize>().ok()).unwrap_or(1);
        let (size, page) = (number("size").min(100), number("page"));
        let rows: Vec<Value> =
            found.iter().skip((page - 1) * size).take(size).map(|(id, _)| json!({"id": id})).collect();
        Reply::json(200, json!({"SearchResult": {"total": found.len(), "resources": rows}}))
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let right = base64::engine::general_purpose::STANDARD.encode(format!("portreeve:{PASSWORD}"));
        if request.header("authorization") != Some(&format!("Basic {right}")) {
            return Reply::empty(401);
        }
        if request.header("accept") != Some("application/json") {
            return Reply::empty(415);
        }
        let path = request.path().strip_prefix("/ers/config/").unwrap_or("").to_owned();
        match (request.method.as_str(), path.as_str()) {
            ("GET", "endpoint") => {
                let all = self.endpoints.iter().enumerate().map(|(n, m)| (format!("e{n}"), (*m).to_owned()));
                let all = all.collect();
                let plain = Ise { ignores_filter: false, ..Ise::default() };
                plain.search(request, all, "mac")
            }
            ("GET", "ancpolicy/name/Shut%20out") => {
                Reply::json(200, json!({"ErsAncPolicy": {"name": "Shut out", "actions": ["QUARANTINE"]}}))
            }
            ("GET", "ancendpoint") => {
                let all = self.fenced.iter().enumerate().map(|(n, (m, _))| (format!("a{n}"), m.clone()));
                self.search(request, all.collect(), "macAddress")
            }
            ("GET", one) if one.starts_with("ancendpoint/a") => {
                let n = one.strip_prefix("ancendpoint/a").and_then(|n| n.parse::<usize>().ok());
                match n.and_then(|n| self.fenced.get(n)) {
                    Some((mac, policy)) => Reply::json(
                        200,
                        json!({"ErsAncEndpoint": {"id": one, "macAddress": mac, "policyName": policy}}),
                    ),
                    None => Reply::empty(404),
                }
            }
            ("PUT", "ancendpoint/apply" | "ancendpoint/clear") => {
                let body = request.json();
                let data =
                    body["OperationAdditionalData"]["additionalData"].as_array().cloned().unwrap_or_default();
                let value = |name: &str| {
                    data.iter()
                        .find(|d| d["name"] == name)
                        .and_then(|d| d["value"].as_str())
                        .map(str::to_owned)
                };
                let (Some(mac), Some(policy)) = (value("macAddress"), value("policyName")) else {
                    return error(400, "mandatory field missing");
                };
                if !self.endpoints.contains(&mac.as_str()) {
                    return error(500, "mac address not found");
                }
                if path.ends_with("clear") {
                    self.fenced.retain(|(m, p)| *m != mac || *p != policy);
                } else if self.fenced.iter().any(|(m, _)| *m == mac) {
                    return error(500, "mac address is already associated with this policy");
                } else {
                    self.fenced.push((mac, policy));
                }
                Reply::empty(204)
            }
            _ => Reply::empty(404),
        }
    }
}

fn state() -> Ise {
    Ise {
        endpoints: vec!["AA:BB:CC:DD:EE:0F", "AA:BB:CC:DD:EE:10", "AA:BB:CC:DD:EE:10", "AA:BB:CC:DD:EE:11"],
        fenced: vec![("AA:BB:CC:DD:EE:11".into(), "Port bounce".into())],
        ignores_filter: false,
    }
}

fn start(state: Arc<Mutex<Ise>>) -> Stub {
    Stub::start_as(|r| r.method != "GET", Reply::empty(204), move |r| state.lock().unwrap().answer(r))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "user": "portreeve", "policy": "Shut out"})
}

fn mac(text: &str) -> Target {
    Target::Device(Device { mac: Some(text.parse().unwrap()), ..Device::default() })
}

fn opened(stub: &Stub, dir: &tempfile::TempDir) -> Box<dyn Control> {
    let password = lab::secret_file(dir.path(), "password", PASSWORD);
    lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &password)])
}

#[test]
fn a_device_is_put_under_the_policy() {
    for ignores_filter in [false, true] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::IsolateDevice,
            target: mac("aabb.ccdd.ee0f"),
            device: &|| {
                let state = Ise { ignores_filter, ..state() };
                contract::unmarked(start(Arc::new(Mutex::new(state))), fields)
            },
            secret: PASSWORD,
            absent: &[mac("aa:bb:cc:dd:ee:0e")],
            ambiguous: &[mac("aa:bb:cc:dd:ee:10")],
        });
    }
}

#[test]
fn another_policy_is_left_and_long_lists_are_read() {
    let mut many = state();
    many.fenced.extend((0..130).map(|n| (format!("02:00:00:00:00:{n:02X}"), "Shut out".to_owned())));
    many.ignores_filter = true;
    let state = Arc::new(Mutex::new(many));
    let stub = start(state.clone());
    let dir = tempfile::tempdir().unwrap();
    let mut ise = opened(&stub, &dir);
    assert_eq!(ise.present().unwrap().unwrap().len(), 130);
    let other = lab::order(Act::IsolateDevice, mac("aa:bb:cc:dd:ee:11"));
    let Err(Fault::Refused(why)) = ise.read(&other) else { panic!() };
    assert!(why.contains("Port bounce"), "{why}");
    let known = Known::default();
    assert!(matches!(ise.undo(&other, &known), Err(Fault::Refused(_))));
    assert!(matches!(ise.verify(&other, &known), Effect::NotEffective(_)));
    // Ours, which another hand replaced meanwhile.
    let order = lab::order(Act::IsolateDevice, mac("aa:bb:cc:dd:ee:0f"));
    let known = Known { seen: ise.read(&order).unwrap(), ack: None };
    ise.apply(&order, &known.seen).unwrap();
    state.lock().unwrap().fenced.last_mut().unwrap().1 = "Shut down".into();
    assert!(matches!(ise.undo(&order, &known), Err(Fault::Refused(_))));
    let named = Device { host: Some("laptop".to_owned().try_into().unwrap()), ..Device::default() };
    let named = lab::order(Act::IsolateDevice, Target::Device(named));
    assert!(matches!(ise.read(&named), Err(Fault::Unsupported(_))));
    assert_eq!(stub.changes().len(), 1);
}
