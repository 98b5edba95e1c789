//! NetworkPolicies at an API server on loopback, after the API reference: pages of one, locks by resourceVersion,
//! preconditions of a deletion, and what the documentation refuses in an `ipBlock`.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Connector, Control, Effect, Known, Order, Present, Settings};
use portreeve_respond::connectors::kubernetes::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::secret::Vault;
use portreeve_respond::target::Target;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "hunter2.bearer.token";
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/ingress/networkpolicies";

fn address(text: &str) -> Target {
    Target::address(text.parse().unwrap())
}

#[derive(Clone)]
struct Cluster {
    policies: Vec<Value>,
    pods: Vec<Value>,
    services: Vec<Value>,
    next: u64,
    /// So many writes are met by somebody else's change first.
    disturb: usize,
}

fn pod(name: &str, labels: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "ingress", "labels": labels}, "spec": {}, "status": {"phase": "Running"}})
}

fn cluster() -> Cluster {
    let mut done = pod("gateway-old", json!({"app": "gateway"}));
    done["status"]["phase"] = "Succeeded".into();
    done["spec"]["hostNetwork"] = true.into();
    let other = json!({
        "metadata": {"name": "database", "uid": "uid-db", "resourceVersion": "1"},
        "spec": {"podSelector": {"matchLabels": {"app": "database"}}, "policyTypes": ["Ingress"], "ingress": [{}]},
    });
    let out = json!({
        "metadata": {"name": "outward", "uid": "uid-out", "resourceVersion": "1"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    });
    Cluster {
        policies: vec![other, out],
        pods: vec![
            pod("gateway-1", json!({"app": "gateway", "tier": "edge"})),
            pod("gateway-2", json!({"app": "gateway"})),
            done,
            pod("database-1", json!({"app": "database"})),
        ],
        services: vec![
            json!({"metadata": {"name": "front"}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "gateway"}}}),
            json!({"metadata": {"name": "inner"}, "spec": {"type": "ClusterIP", "selector": {"app": "gateway"}}}),
        ],
        next: 2,
        disturb: 0,
    }
}

fn status(code: u16, reason: &str) -> Reply {
    Reply::json(code, json!({"kind": "Status", "code": code, "reason": reason}))
}

fn page(request: &Request, all: &[Value]) -> Reply {
    let at: usize = request.query("continue").map_or(0, |c| c.parse().unwrap());
    let next = if at + 1 < all.len() { (at + 1).to_string() } else { String::new() };
    let items: Vec<&Value> = all.get(at).into_iter().collect();
    Reply::json(200, json!({"metadata": {"continue": next}, "items": items}))
}

/// What the API server validates of an `ipBlock`: `except` lies strictly within `cidr`.
fn is_valid(policy: &Value) -> bool {
    let blocks = policy.pointer("/spec/ingress/0/from").and_then(Value::as_array).into_iter().flatten();
    blocks.filter_map(|p| p.get("ipBlock")).all(|block| {
        let cidr: ipnet::IpNet = block["cidr"].as_str().unwrap().parse().unwrap();
        block["except"].as_array().into_iter().flatten().all(|e| {
            let out: Result<ipnet::IpNet, _> = e.as_str().unwrap().parse();
            out.is_ok_and(|out| cidr.contains(&out) && out.prefix_len() > cidr.prefix_len())
        })
    })
}

fn answer(cluster: &mut Cluster, request: &Request) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return status(401, "Unauthorized");
    }
    match (request.method.as_str(), request.path()) {
        ("GET", "/api/v1/namespaces/ingress/pods") => {
            let wanted = request.query("labelSelector").unwrap();
            let pairs: Vec<(&str, &str)> = wanted.split(',').map(|p| p.split_once('=').unwrap()).collect();
            let fits = |p: &&Value| pairs.iter().all(|(k, v)| p["metadata"]["labels"][*k] == *v);
            page(request, &cluster.pods.iter().filter(fits).cloned().collect::<Vec<_>>())
        }
        ("GET", "/api/v1/namespaces/ingress/services") => page(request, &cluster.services),
        ("GET", POLICIES) => page(request, &cluster.policies),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") => {
            Reply::json(201, json!({"status": {"allowed": true}}))
        }
        ("POST", POLICIES) => {
            let mut made = request.json();
            if cluster.policies.iter().any(|p| p["metadata"]["name"] == made["metadata"]["name"]) {
                return status(409, "AlreadyExists");
            }
            assert!(is_valid(&made), "{made}");
            cluster.next += 1;
            made["metadata"]["uid"] = format!("uid-{}", cluster.next).into();
            made["metadata"]["resourceVersion"] = cluster.next.to_string().into();
            cluster.policies.push(made.clone());
            Reply::json(201, made)
        }
        (method, path) => one(cluster, method, path.rsplit('/').next().unwrap_or(""), request),
    }
}

fn one(cluster: &mut Cluster, method: &str, name: &str, request: &Request) -> Reply {
    let Some(at) = cluster.policies.iter().position(|p| p["metadata"]["name"] == name) else {
        return status(404, "NotFound");
    };
    if method == "GET" {
        return Reply::json(200, cluster.policies[at].clone());
    }
    cluster.next += 1;
    let now = &mut cluster.policies[at];
    if cluster.disturb > 0 {
        cluster.disturb -= 1;
        now["metadata"]["resourceVersion"] = cluster.next.to_string().into();
        let mark = format!("portreeve-00000000000{}", cluster.disturb);
        let newcomer = format!("198.51.100.{}", cluster.disturb);
        now["metadata"]["annotations"][mark] = format!("{newcomer} open, case-x").into();
        let block = &mut now["spec"]["ingress"][0]["from"][1]["ipBlock"];
        if block["except"].is_null() {
            block["except"] = json!([]);
        }
        block["except"].as_array_mut().unwrap().push(format!("{newcomer}/32").into());
    }
    let body = request.json();
    let version = now["metadata"]["resourceVersion"].clone();
    match method {
        "PUT" => {
            if body["metadata"]["resourceVersion"] != version {
                return status(409, "Conflict");
            }
            assert!(is_valid(&body), "{body}");
            *now = body.clone();
            now["metadata"]["resourceVersion"] = cluster.next.to_string().into();
            Reply::json(200, body)
        }
        "DELETE" => {
            let lock = &body["preconditions"];
            if lock["resourceVersion"] != version || lock["uid"] != now["metadata"]["uid"] {
                return status(409, "Conflict");
            }
            cluster.policies.remove(at);
            status(200, "Deleted")
        }
        _ => status(405, "MethodNotAllowed"),
    }
}

/// The stand-in, and its state for a look and for the hands of others.
fn of(cluster: Cluster) -> (Stub, Arc<Mutex<Cluster>>) {
    let state = Arc::new(Mutex::new(cluster));
    let inner = state.clone();
    let stub = Stub::start_as(
        |r| r.method != "GET" && !r.path().ends_with("reviews"),
        Reply::json(200, json!({})),
        move |request| answer(&mut inner.lock().unwrap(), request),
    );
    (stub, state)
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}, "enforced": true,
           "exposed": [{"namespace": "ingress", "pods": {"app": "gateway"}}]})
}

fn opened(fields: Value) -> (tempfile::TempDir, Box<dyn Control>) {
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let control = lab::open(&CONNECTOR, fields, &[("default", &file)]);
    (dir, control)
}

fn order(text: &str, mark: &str) -> Order {
    Order { mark: format!("portreeve-{mark}"), ..lab::order(Act::BlockAddress, address(text)) }
}

/// The one policy of ours.
fn ours(state: &Mutex<Cluster>) -> Option<Value> {
    let state = state.lock().unwrap();
    let all: Vec<&Value> = state
        .policies
        .iter()
        .filter(|p| p["metadata"]["name"].as_str().unwrap().starts_with("portreeve-block-"))
        .collect();
    assert!(all.len() <= 1, "two policies would allow each other's address: {all:?}");
    all.first().map(|p| (*p).clone())
}

fn excepts(policy: &Value) -> Vec<&str> {
    let from = policy["spec"]["ingress"][0]["from"].as_array().unwrap();
    from.iter()
        .flat_map(|p| p["ipBlock"]["except"].as_array().into_iter().flatten())
        .map(|e| e.as_str().unwrap())
        .collect()
}

#[test]
fn an_address_is_kept_from_exposed_pods_and_let_back() {
    for target in ["203.0.113.7", "2001:db8::7", "203.0.113.0/24"] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::BlockAddress,
            target: address(target),
            device: &|| contract::over(of(cluster()).0, fields),
            secret: TOKEN,
            absent: &[],
            ambiguous: &[],
        });
    }
}

#[test]
fn two_addresses_are_in_one_policy_and_leave_it_one_by_one() {
    let (stub, state) = of(cluster());
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let orders = [order("203.0.113.7", "aaaaaaaaaaaa"), order("2001:db8::7", "bbbbbbbbbbbb")];
    let mut known = Vec::new();
    for order in &orders {
        let seen = kubernetes.read(order).unwrap();
        kubernetes.apply(order, &seen).unwrap();
        known.push(Known { seen, ack: None });
    }
    let policy = ours(&state).unwrap();
    assert_eq!(
        policy["spec"],
        json!({
            "podSelector": {"matchLabels": {"app": "gateway"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [
                {"namespaceSelector": {}},
                {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.7/32"]}},
                {"ipBlock": {"cidr": "::/0", "except": ["2001:db8::7/128"]}},
            ]}],
        })
    );
    for (order, known) in orders.iter().zip(&known) {
        assert!(matches!(kubernetes.verify(order, known), Effect::Effective(_)));
    }
    let present =
        |what: &str, mark: &str| Present { what: what.into(), mark: Some(format!("portreeve-{mark}")) };
    assert_eq!(
        kubernetes.present().unwrap().unwrap(),
        [present("2001:db8::7", "bbbbbbbbbbbb"), present("203.0.113.7", "aaaaaaaaaaaa")]
    );
    // The same address by another step is in force already, and stays until both are gone.
    let again = order("203.0.113.7", "cccccccccccc");
    assert!(kubernetes.read(&again).unwrap().in_force);
    kubernetes.apply(&again, &known[0].seen).unwrap();
    kubernetes.undo(&orders[0], &known[0]).unwrap();
    let Effect::Effective(why) = kubernetes.verify_undone(&orders[0], &known[0]) else {
        panic!("it is gone")
    };
    assert!(why.contains("another step"), "{why}");
    assert!(matches!(kubernetes.verify(&again, &known[0]), Effect::Effective(_)));
    kubernetes.undo(&again, &known[0]).unwrap();
    assert_eq!(excepts(&ours(&state).unwrap()), ["2001:db8::7/128"]);
    assert!(matches!(kubernetes.verify(&orders[1], &known[1]), Effect::Effective(_)));
    kubernetes.undo(&orders[1], &known[1]).unwrap();
    assert!(ours(&state).is_none(), "an empty policy does not stay");
    assert_eq!(state.lock().unwrap().policies, cluster().policies, "what was there is as it was");
}

#[test]
fn another_policy_is_neither_outvoted_nor_opened() {
    let policy = |selector: Value, ingress: Value| {
        let mut cluster = cluster();
        cluster.policies.push(json!({
            "metadata": {"name": "theirs", "uid": "u", "resourceVersion": "1"},
            "spec": {"podSelector": selector, "ingress": ingress},
        }));
        of(cluster)
    };
    let everybody = json!([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}]);
    let office = json!([{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]);
    let some = json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]});
    // One that allows the address makes ours void; one that selects some of the pods would be opened by ours.
    for (selector, ingress) in [(json!({}), &everybody), (some, &office)] {
        let (stub, _state) = policy(selector, ingress.clone());
        let (_dir, mut kubernetes) = opened(fields(&stub.url()));
        let fault = kubernetes.read(&order("203.0.113.7", "aaaaaaaaaaaa")).unwrap_err();
        assert!(
            matches!(&fault, Fault::Refused(why) if why.contains("ingress/theirs selects them")),
            "{fault}"
        );
        assert!(stub.changes().is_empty());
    }
    // One that lets only others in: nothing to do, and nothing is opened.
    let (stub, _state) = policy(json!({"matchLabels": {"app": "gateway"}}), office);
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let seen = kubernetes.read(&order("203.0.113.7", "aaaaaaaaaaaa")).unwrap();
    assert!(seen.in_force, "{seen:?}");
}

#[test]
fn what_others_do_later_is_seen() {
    let (stub, state) = of(cluster());
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let order = order("203.0.113.7", "aaaaaaaaaaaa");
    let known = Known { seen: kubernetes.read(&order).unwrap(), ack: None };
    kubernetes.apply(&order, &known.seen).unwrap();
    assert!(matches!(kubernetes.verify(&order, &known), Effect::Effective(_)));
    // A second policy that allows the address.
    let theirs = json!({"metadata": {"name": "theirs"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    state.lock().unwrap().policies.push(theirs);
    let Effect::NotEffective(why) = kubernetes.verify(&order, &known) else { panic!("theirs lets it in") };
    assert!(why.contains("ingress/theirs allows 203.0.113.7"), "{why}");
    state.lock().unwrap().policies.pop();
    // Our policy, made to say something else: not written over, and not deleted.
    state.lock().unwrap().policies.last_mut().unwrap()["spec"]["ingress"][0]["ports"] =
        json!([{"port": 443}]);
    let count = stub.changes().len();
    let second = self::order("203.0.113.8", "bbbbbbbbbbbb");
    for fault in [
        kubernetes.read(&second).unwrap_err(),
        kubernetes.apply(&second, &known.seen).unwrap_err(),
        kubernetes.undo(&order, &known).unwrap_err(),
    ] {
        assert!(matches!(&fault, Fault::Refused(why) if why.contains("does not say what")), "{fault}");
    }
    assert_eq!(stub.changes().len(), count);
    // The annotation taken away: whose the address is cannot be told, so it is left.
    state.lock().unwrap().policies.last_mut().unwrap()["spec"]["ingress"][0]
        .as_object_mut()
        .unwrap()
        .remove("ports");
    state.lock().unwrap().policies.last_mut().unwrap()["metadata"]["annotations"] = Value::Null;
    let fault = kubernetes.undo(&order, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("annotation")), "{fault}");
    // Deleted: no longer in force, and undone by that.
    state.lock().unwrap().policies.pop();
    assert!(matches!(kubernetes.verify(&order, &known), Effect::NotEffective(_)));
    kubernetes.undo(&order, &known).unwrap();
    assert!(matches!(kubernetes.verify_undone(&order, &known), Effect::Effective(_)));
}

#[test]
fn changes_of_others_meanwhile_are_kept() {
    let (stub, state) = of(cluster());
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let first = order("203.0.113.7", "aaaaaaaaaaaa");
    let known = Known { seen: kubernetes.read(&first).unwrap(), ack: None };
    kubernetes.apply(&first, &known.seen).unwrap();
    state.lock().unwrap().disturb = 2;
    let second = order("203.0.113.8", "bbbbbbbbbbbb");
    kubernetes.apply(&second, &known.seen).unwrap();
    assert_eq!(
        excepts(&ours(&state).unwrap()),
        ["198.51.100.0/32", "198.51.100.1/32", "203.0.113.7/32", "203.0.113.8/32"]
    );
    // Who keeps changing it is not outrun for ever.
    state.lock().unwrap().disturb = 100;
    let fault = kubernetes.undo(&second, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("changed by others")), "{fault}");
    state.lock().unwrap().disturb = 0;
    // Deleting the last one is under the same lock.
    let mut only = cluster();
    only.disturb = 0;
    let (stub, state) = of(only);
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    kubernetes.apply(&first, &known.seen).unwrap();
    state.lock().unwrap().disturb = 1;
    kubernetes.undo(&first, &known).unwrap();
    assert_eq!(excepts(&ours(&state).unwrap()), ["198.51.100.0/32"], "a newcomer's block outlives ours");
}

#[test]
fn what_a_policy_cannot_do_is_said() {
    let order = order("203.0.113.7", "aaaaaaaaaaaa");
    // Nobody said that policies are enforced: configured is not effective.
    let mut open = cluster();
    open.services[0]["spec"]["externalTrafficPolicy"] = "Cluster".into();
    let (stub, _state) = of(open);
    let mut unsaid = fields(&stub.url());
    unsaid.as_object_mut().unwrap().remove("enforced");
    let (_dir, mut kubernetes) = opened(unsaid);
    let known = Known { seen: kubernetes.read(&order).unwrap(), ack: None };
    assert!(known.seen.says.contains("through ingress/front they may see a node's address"), "{known:?}");
    assert!(matches!(kubernetes.verify(&order, &known), Effect::NotEffective(_)));
    kubernetes.apply(&order, &known.seen).unwrap();
    let Effect::Unknown(why) = kubernetes.verify(&order, &known) else { panic!("nothing proves it") };
    assert!(why.contains("does not tell whether") && why.contains("ingress/front"), "{why}");
    // Pods in the network of their node.
    let mut host = cluster();
    host.pods[1]["spec"]["hostNetwork"] = true.into();
    let (stub, _state) = of(host);
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let fault = kubernetes.read(&order).unwrap_err();
    assert!(
        matches!(&fault, Fault::Refused(why) if why.contains("gateway-2 is in the network of its node")),
        "{fault}"
    );
    // No such pods; no pods named at all.
    let mut none = fields(&stub.url());
    none["exposed"][0]["pods"]["app"] = "gatewya".into();
    let (_dir, mut kubernetes) = opened(none.clone());
    assert!(matches!(kubernetes.read(&order), Err(Fault::NotFound(_))));
    none.as_object_mut().unwrap().remove("exposed");
    let (_dir, mut kubernetes) = opened(none.clone());
    assert!(matches!(kubernetes.read(&order), Err(Fault::Config(_))));
    assert_eq!(kubernetes.present().unwrap(), None);
    none["exposed"] = json!([{"namespace": "ingress", "pods": {}}]);
    assert!(matches!(refused(&CONNECTOR, none), Fault::Config(why) if why.contains("every pod")));
}

fn refused(connector: &'static Connector, fields: Value) -> Fault {
    let settings =
        Settings { name: "cluster".into(), fields, credentials: Default::default(), vault: Vault::default() };
    match (connector.open)(&settings) {
        Err(fault) => fault,
        Ok(_) => panic!("it is taken"),
    }
}
