//! Endpoint products as their API references describe them: a device by its exact name, an act on its one id, and a
//! status that lags behind.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub, decode};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Connector, Control, Effect, Known};
use portreeve_respond::connectors::{crowdstrike, defender, sentinelone};
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Device, Target};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SECRET: &str = "edr-secret-value";

/// A device of any of the three, and what it is asked to become.
#[derive(Clone, Default)]
struct Host {
    id: &'static str,
    name: &'static str,
    isolated: bool,
    /// Reads until the sensor has done what was asked.
    lag: u32,
}

#[derive(Default)]
struct Cloud {
    hosts: Vec<Host>,
    /// Defender's actions: machine, isolates, status, comment.
    actions: Vec<(String, bool, &'static str, String)>,
}

fn hosts() -> Vec<Host> {
    let host = |id, name| Host { id, name, ..Host::default() };
    vec![
        host("aaaa0001", "laptop-7.corp.example"),
        host("aaaa0002", "laptop-77.corp.example"),
        host("aaaa0003", "twin.corp.example"),
        host("aaaa0004", "TWIN.corp.example"),
    ]
}

fn form(request: &Request, name: &str) -> Option<String> {
    request.body.split('&').find_map(|pair| {
        let (n, v) = pair.split_once('=')?;
        (n == name).then(|| decode(v))
    })
}

fn token(request: &Request, status: u16) -> Reply {
    if form(request, "client_secret").as_deref() == Some(SECRET) && form(request, "client_id").is_some() {
        Reply::json(status, json!({"access_token": "t0ken", "expires_in": 1799, "token_type": "bearer"}))
    } else {
        Reply::json(400, json!({"error": "invalid_client"}))
    }
}

impl Cloud {
    /// One read of a host's state; the sensor comes nearer to what was asked.
    fn state(&mut self, id: &str) -> Option<(Host, bool)> {
        let host = self.hosts.iter_mut().find(|h| h.id == id)?;
        let pending = host.lag > 0;
        host.lag = host.lag.saturating_sub(1);
        Some((host.clone(), pending))
    }

    fn falcon(&mut self, request: &Request) -> Reply {
        if request.path() == "/oauth2/token" {
            return token(request, 201);
        }
        if request.header("authorization") != Some("Bearer t0ken") {
            return Reply::json(401, json!({"errors": [{"code": 401, "message": "access denied"}]}));
        }
        match (request.method.as_str(), request.path()) {
            ("GET", "/devices/queries/devices/v1") => {
                let filter = request.query("filter");
                let name = filter.as_deref().and_then(|f| f.strip_prefix("hostname:'")?.strip_suffix('\''));
                let name = name.map(str::to_ascii_lowercase);
                let ids: Vec<&str> = self
                    .hosts
                    .iter()
                    .filter(|h| name.as_deref().is_none_or(|n| h.name.to_ascii_lowercase().contains(n)))
                    .map(|h| h.id)
                    .collect();
                Reply::json(200, json!({"resources": ids, "errors": []}))
            }
            ("GET", "/devices/entities/devices/v2") => {
                let query = request.target.split_once('?').map_or("", |(_, q)| q).to_owned();
                let ids: Vec<String> =
                    query.split('&').filter_map(|p| p.strip_prefix("ids=")).map(decode).collect();
                let mut rows = Vec::new();
                for id in ids {
                    let Some((host, pending)) = self.state(&id) else { continue };
                    let status = match (host.isolated, pending) {
                        (true, true) => "containment_pending",
                        (true, false) => "contained",
                        (false, true) => "lift_containment_pending",
                        (false, false) => "normal",
                    };
                    rows.push(json!({"device_id": host.id, "hostname": host.name, "status": status}));
                }
                Reply::json(200, json!({"resources": rows, "errors": []}))
            }
            ("POST", "/devices/entities/devices-actions/v2") => {
                let isolate = match request.query("action_name").as_deref() {
                    Some("contain") => true,
                    Some("lift_containment") => false,
                    _ => {
                        return Reply::json(
                            400,
                            json!({"errors": [{"code": 400, "message": "invalid action"}]}),
                        );
                    }
                };
                self.set(&request.json()["ids"], isolate);
                Reply::json(202, json!({"resources": [], "errors": []}))
            }
            _ => Reply::empty(404),
        }
    }

    fn set(&mut self, ids: &Value, isolate: bool) -> usize {
        let ids: Vec<&str> = ids.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(ids.len(), 1, "one device");
        let mut changed = 0;
        for host in self.hosts.iter_mut().filter(|h| ids.contains(&h.id)) {
            (host.isolated, host.lag) = (isolate, 2);
            changed += 1;
        }
        changed
    }

    fn sentinel(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some(&format!("ApiToken {SECRET}")) {
            return Reply::json(
                401,
                json!({"errors": [{"code": 4010010, "title": "Authentication Failed"}]}),
            );
        }
        match (request.method.as_str(), request.path()) {
            ("GET", "/web/api/v2.1/agents") => {
                let (ids, name) = (request.query("ids"), request.query("computerName"));
                assert!(ids.is_some() || name.is_some(), "never the fleet");
                let found: Vec<&'static str> = self
                    .hosts
                    .iter()
                    .filter(|h| ids.as_deref().is_none_or(|i| i == h.id))
                    .filter(|h| name.as_deref().is_none_or(|n| n.eq_ignore_ascii_case(h.name)))
                    .map(|h| h.id)
                    .collect();
                // One agent a page.
                let at: usize = request.query("cursor").and_then(|c| c.parse().ok()).unwrap_or(0);
                let mut rows = Vec::new();
                if let Some((host, pending)) = found.get(at).and_then(|id| self.state(id)) {
                    let status = match (host.isolated, pending) {
                        (true, true) => "disconnecting",
                        (true, false) => "disconnected",
                        (false, true) => "connecting",
                        (false, false) => "connected",
                    };
                    rows.push(json!({"id": host.id, "computerName": host.name, "networkStatus": status,
                                     "isDecommissioned": false}));
                }
                let next = (at + 1 < found.len()).then(|| (at + 1).to_string());
                Reply::json(200, json!({"data": rows, "pagination": {"nextCursor": next}}))
            }
            ("POST", "/web/api/v2.1/agents/actions/disconnect" | "/web/api/v2.1/agents/actions/connect") => {
                let body = request.json();
                let filter = body["filter"].as_object().unwrap();
                assert_eq!(filter.keys().collect::<Vec<_>>(), ["ids"], "a filter of ids alone");
                let affected = self.set(&filter["ids"], request.path().ends_with("disconnect"));
                Reply::json(200, json!({"data": {"affected": affected}}))
            }
            _ => Reply::empty(404),
        }
    }

    fn defender(&mut self, request: &Request) -> Reply {
        if request.path() == "/tenant-1/oauth2/v2.0/token" {
            return token(request, 200);
        }
        if request.header("authorization") != Some("Bearer t0ken") {
            return Reply::json(401, json!({"error": {"code": "Unauthorized"}}));
        }
        let machine = |h: &Host| {
            json!({"id": h.id, "computerDnsName": h.name, "healthStatus": "Active", "aadDeviceId": "other",
                   "mergedIntoMachineId": null})
        };
        let skip: usize = request.query("$skip").and_then(|s| s.parse().ok()).unwrap_or(0);
        let filter = request.query("$filter").unwrap_or_default();
        let words: Vec<&str> = request.path().trim_matches('/').split('/').collect();
        match (request.method.as_str(), words.as_slice()) {
            ("GET", ["api", "machines"]) => {
                let name = filter.strip_prefix("computerDnsName eq '").and_then(|n| n.strip_suffix('\''));
                let rows: Vec<Value> = self
                    .hosts
                    .iter()
                    .filter(|h| name.is_none_or(|n| n.eq_ignore_ascii_case(h.name)))
                    .map(machine)
                    .skip(skip)
                    .collect();
                Reply::json(200, json!({"value": rows}))
            }
            ("GET", ["api", "machines", id]) => match self.hosts.iter().find(|h| h.id == *id) {
                Some(host) => Reply::json(200, machine(host)),
                None => Reply::json(404, json!({"error": {"code": "ResourceNotFound"}})),
            },
            ("GET", ["api", "machineactions"]) => {
                let id =
                    filter.strip_prefix("machineId eq '").and_then(|f| f.split('\'').next()).unwrap_or("");
                let done = self.state(id).is_some_and(|(_, pending)| !pending);
                for action in self.actions.iter_mut().filter(|a| done && a.0 == id && a.2 == "Pending") {
                    action.2 = "Succeeded";
                }
                let row = |(n, (machine, isolates, status, comment)): (
                    usize,
                    &(String, bool, &str, String),
                )| {
                    json!({"id": format!("act-{n}"), "type": if *isolates { "Isolate" } else { "Unisolate" },
                           "status": status, "machineId": machine, "requestorComment": comment,
                           "creationDateTimeUtc": format!("2026-11-27T10:{:02}:{:02}.1234567Z", n / 60, n % 60)})
                };
                let all = self.actions.iter().enumerate().filter(|(_, a)| a.0 == id);
                let rows: Vec<Value> = all.map(row).skip(skip).take(100).collect();
                Reply::json(200, json!({"value": rows}))
            }
            ("POST", ["api", "machines", id, verb @ ("isolate" | "unisolate")]) => {
                let body = request.json();
                let isolates = *verb == "isolate";
                let Some(comment) = body["Comment"].as_str() else {
                    return Reply::json(400, json!({"error": {"code": "InvalidRequestBody"}}));
                };
                if isolates && body["IsolationType"] != "Full" {
                    return Reply::json(400, json!({"error": {"code": "InvalidRequestBody"}}));
                }
                if self.actions.iter().any(|a| a.0 == *id && a.2 == "Pending") {
                    return Reply::json(400, json!({"error": {"code": "ActiveRequestAlreadyExists"}}));
                }
                self.actions.push(((*id).to_owned(), isolates, "Pending", comment.to_owned()));
                self.set(&json!([id]), isolates);
                let made = format!("act-{}", self.actions.len() - 1);
                Reply::json(201, json!({"id": made, "status": "Pending"}))
            }
            ("POST", ["api", "machineactions", action, "cancel"]) => {
                let n = action.strip_prefix("act-").and_then(|n| n.parse::<usize>().ok()).unwrap();
                self.actions[n].2 = "Cancelled";
                Reply::json(200, json!({"id": action, "status": "Cancelled"}))
            }
            _ => Reply::empty(404),
        }
    }
}

type Answer = fn(&mut Cloud, &Request) -> Reply;

/// Product, its stand-in, its fields, what it answers when it does nothing.
struct Product {
    connector: &'static Connector,
    answer: Answer,
    fields: fn(&str) -> Value,
    hollow: Value,
    marks: bool,
}

fn products() -> [Product; 3] {
    [
        Product {
            connector: &crowdstrike::CONNECTOR,
            answer: Cloud::falcon,
            fields: |url| json!({"endpoint": {"url": url}, "client_id": "c1"}),
            hollow: json!({"resources": [], "errors": []}),
            marks: false,
        },
        Product {
            connector: &sentinelone::CONNECTOR,
            answer: Cloud::sentinel,
            fields: |url| json!({"endpoint": {"url": url}}),
            hollow: json!({"data": {"affected": 1}}),
            marks: false,
        },
        Product {
            connector: &defender::CONNECTOR,
            answer: Cloud::defender,
            fields: |url| json!({"endpoint": {"url": url}, "login": {"url": url}, "tenant": "tenant-1", "client_id": "c1"}),
            hollow: json!({"id": "act-99", "status": "Pending"}),
            marks: true,
        },
    ]
}

fn changes(request: &Request) -> bool {
    request.method == "POST" && !request.path().ends_with("/token")
}

impl Product {
    fn start(&self, cloud: Arc<Mutex<Cloud>>) -> Stub {
        let answer = self.answer;
        Stub::start_as(changes, Reply::json(200, self.hollow.clone()), move |r| {
            answer(&mut cloud.lock().unwrap(), r)
        })
    }

    fn opened(&self) -> (Box<dyn Control>, Arc<Mutex<Cloud>>, Stub, tempfile::TempDir) {
        let cloud = Arc::new(Mutex::new(Cloud { hosts: hosts(), ..Cloud::default() }));
        let stub = self.start(cloud.clone());
        let dir = tempfile::tempdir().unwrap();
        let secret = lab::secret_file(dir.path(), "secret", SECRET);
        let control = lab::open(self.connector, (self.fields)(&stub.url()), &[("default", &secret)]);
        (control, cloud, stub, dir)
    }
}

fn host(name: &str) -> Target {
    Target::Device(Device { host: Some(name.to_owned().try_into().unwrap()), ..Device::default() })
}

fn by_id(id: &str) -> Target {
    Target::Device(Device { id: Some(id.to_owned().try_into().unwrap()), ..Device::default() })
}

fn life(product: &Product) {
    contract::life(&Life {
        connector: product.connector,
        act: Act::IsolateDevice,
        target: host("laptop-7.corp.example"),
        device: &|| {
            let stub = product.start(Arc::new(Mutex::new(Cloud { hosts: hosts(), ..Cloud::default() })));
            if product.marks {
                contract::over(stub, product.fields)
            } else {
                contract::unmarked(stub, product.fields)
            }
        },
        secret: SECRET,
        absent: &[
            host("laptop"),
            host("laptop-7"),
            host("corp.example"),
            by_id("aaaa9999"),
            by_id("a'or'1'eq'1"),
        ],
        ambiguous: &[host("twin.corp.example")],
    });
}

#[test]
fn falcon_contains_one_host() {
    life(&products()[0]);
}

#[test]
fn sentinelone_disconnects_one_agent() {
    life(&products()[1]);
}

#[test]
fn defender_isolates_one_machine() {
    life(&products()[2]);
}

#[test]
fn a_queued_isolation_is_not_yet_one_and_another_hands_is_left() {
    for product in products() {
        let (mut edr, cloud, stub, _dir) = product.opened();
        let order = lab::order(Act::IsolateDevice, by_id("aaaa0001"));
        let known = Known { seen: edr.read(&order).unwrap(), ack: None };
        edr.apply(&order, &known.seen).unwrap();
        let Effect::NotEffective(why) = edr.verify(&order, &known) else {
            panic!("{}", product.connector.name)
        };
        assert!(["ending", "ing", "Pending"].iter().any(|w| why.contains(w)), "{why}");
        assert!(lab::until(std::time::Duration::from_secs(5), || {
            matches!(edr.verify(&order, &known), Effect::Effective(_))
        }));
        let other = lab::order(Act::IsolateDevice, by_id("aaaa0001"));
        let seen = edr.read(&other).unwrap();
        assert!(seen.in_force, "{}", product.connector.name);
        let theirs = Known { seen, ack: None };
        assert!(matches!(edr.undo(&other, &theirs), Err(Fault::Refused(_))), "{}", product.connector.name);
        assert_eq!(stub.changes().len(), 1);
        assert_eq!(cloud.lock().unwrap().hosts.iter().filter(|h| h.isolated).count(), 1);
        let nobody = lab::order(Act::IsolateDevice, Target::Device(Device::default()));
        assert!(matches!(edr.read(&nobody), Err(Fault::Refused(_))));
        assert!(matches!(edr.apply(&nobody, &known.seen), Err(Fault::Refused(_))));
        assert!(stub.lines().iter().all(|l| !l.contains(SECRET)));
    }
}

#[test]
fn defender_tells_its_own_queued_action_from_anothers_and_cancels_it() {
    let product = &products()[2];
    let (mut edr, cloud, stub, _dir) = product.opened();
    // A hundred actions of before, so that the last are on the second page.
    for n in 0..120 {
        let isolates = n % 2 == 0;
        cloud.lock().unwrap().actions.push(("aaaa0001".into(), isolates, "Succeeded", "by hand".into()));
    }
    let order = lab::order(Act::IsolateDevice, by_id("aaaa0001"));
    let known = Known { seen: edr.read(&order).unwrap(), ack: None };
    assert!(!known.seen.in_force, "the last was a release");
    edr.apply(&order, &known.seen).unwrap();
    cloud.lock().unwrap().hosts[0].lag = 1000;
    // Sent again after a crash: the queued action is known by its comment.
    assert!(edr.apply(&order, &known.seen).unwrap().says.contains("already"));
    let other = lab::order(Act::IsolateDevice, by_id("aaaa0001"));
    assert!(matches!(edr.apply(&other, &known.seen), Err(Fault::Refused(_))));
    edr.undo(&order, &known).unwrap();
    assert_eq!(cloud.lock().unwrap().actions[120].2, "Cancelled");
    assert!(matches!(edr.verify_undone(&order, &known), Effect::Effective(_)));
    assert_eq!(stub.changes().len(), 4);
}
