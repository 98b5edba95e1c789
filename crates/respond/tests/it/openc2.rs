//! OpenC2: our producer against our consumer with nftables behind it, and the consumer against requests written by
//! hand from the profile's clauses.

use crate::lab::{self, Netns};
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::{nftables, openc2::CONNECTOR};
use portreeve_respond::fault::Fault;
use portreeve_respond::openc2::{
    Actuator, Ask, Blocker, No, Options, RuleState, Specifiers, TYPE, Told, rule_number, serve_openc2,
};
use portreeve_respond::secret::Secret;
use portreeve_respond::target::Target;
use portreeve_respond::transport::http::{Body, Endpoint, Http, Method, Path};
use portreeve_respond::transport::server::{Identity, Server};
use serde_json::{Value, json};
use std::path::Path as File;
use std::sync::{Arc, Mutex};

fn block(what: &str) -> Order {
    lab::order(Act::BlockAddress, Target::address(what.parse().unwrap()))
}

fn bearer(token: &str) -> Options {
    Options { bearer: Some(Secret::new(token)), rate_limit: 1000, ..Options::default() }
}

/// Nftables of a namespace; 10.9.9.0/24 is never touched.
fn filter(ns: &Netns) -> Actuator {
    let name = ns.name.clone();
    let mut blocker = Blocker::new(
        move || (nftables::CONNECTOR.open)(&lab::settings(json!({"via": {"netns": name}}), &[])),
        Box::new(|net| match net.overlaps("10.9.9.0/24".parse().unwrap()) {
            true => Err(format!("{net} is on the list of what is never touched")),
            false => Ok(()),
        }),
    );
    Box::new(move |ask, id| blocker.act(ask, id))
}

fn certificate(dir: &File) -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Identity { cert, key, client_ca: None }
}

#[test]
fn a_denied_address_is_out_until_its_rule_is_deleted() {
    if !lab::can(&["ip", "nft", "ping"], true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (gw, attacker) = (Netns::new("gw"), Netns::new("at"));
    Netns::cable(&gw, "10.99.4.1/24", &attacker, "10.99.4.2/24");
    let identity = certificate(dir.path());
    let options = Options { tls: Some(identity.clone()), ..bearer("t0ken") };
    let server = serve_openc2("127.0.0.1:0", options, filter(&gw)).unwrap();
    let url = format!("https://localhost:{}", server.address().port());
    let (good, bad) =
        (lab::secret_file(dir.path(), "good", "t0ken"), lab::secret_file(dir.path(), "bad", "other"));
    let open = |token| {
        lab::open(&CONNECTOR, json!({"endpoint": {"url": url, "ca": identity.cert}}), &[("default", token)])
    };
    let mut control = open(&good);
    assert!(control.doctor().iter().all(|a| a.able == Some(true)), "{:?}", control.doctor());
    assert!(attacker.pings("10.99.4.1"));

    let order = block("10.99.4.2");
    let seen = control.read(&order).unwrap();
    assert!(!seen.in_force);
    let shown = control.preview(&order, &seen).unwrap().join("");
    assert!(
        shown.contains("\"deny\"") && shown.contains("\"duration\":3") && !shown.contains("t0ken"),
        "{shown}"
    );
    let mut known = Known { seen, ack: None };
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));
    let ack = control.apply(&order, &known.seen).unwrap();
    assert!(ack.made["rule_number"].as_u64().is_some(), "{ack:?}");
    assert!(!attacker.pings("10.99.4.1"));
    // The answer was lost, and it is sent again: one rule, and its number is known without the answer.
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    control.apply(&order, &known.seen).unwrap();
    assert_eq!(control.present().unwrap().unwrap().len(), 1);
    known.ack = Some(ack);
    assert!(matches!(control.verify(&order, &known), Effect::Effective(why) if why.contains("all 6 rules")));
    // The set stands and its rules are gone: the consumer reads its device and says so.
    for chain in ["arriving", "leaving"] {
        gw.run(&["nft", "flush", "chain", "inet", "portreeve", chain]);
    }
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));
    assert!(attacker.pings("10.99.4.1"));
    // A restart of the consumer forgets nothing, because the number stands at the device.
    drop(server);
    let server =
        serve_openc2("127.0.0.1:0", Options { tls: Some(identity.clone()), ..bearer("t0ken") }, filter(&gw))
            .unwrap();
    let url = format!("https://localhost:{}", server.address().port());
    let open = |token| {
        lab::open(&CONNECTOR, json!({"endpoint": {"url": url, "ca": identity.cert}}), &[("default", token)])
    };
    let mut control = open(&good);
    control.apply(&order, &known.seen).unwrap();
    assert_eq!(control.present().unwrap().unwrap().len(), 1);
    assert!(!attacker.pings("10.99.4.1"));

    let other = block("10.99.4.2");
    assert!(control.read(&other).unwrap().in_force);
    control.undo(&other, &Known::default()).unwrap();
    assert!(!attacker.pings("10.99.4.1"), "another step's rule is left");
    assert!(
        matches!(control.verify_undone(&other, &Known::default()), Effect::NotEffective(why) if why.contains("another hand"))
    );
    control.undo(&order, &known).unwrap();
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    control.undo(&order, &known).unwrap();
    assert!(attacker.pings("10.99.4.1"));
    // The same step once more, both ways: nothing is answered from memory that was not done.
    control.apply(&order, &known.seen).unwrap();
    assert!(!attacker.pings("10.99.4.1"));
    control.undo(&order, &known).unwrap();
    assert!(attacker.pings("10.99.4.1"));

    let guarded = block("10.9.9.9");
    assert!(
        matches!(control.apply(&guarded, &known.seen), Err(Fault::Refused(why)) if why.contains("never touched"))
    );
    let mut stranger = open(&bad);
    assert!(matches!(stranger.apply(&order, &known.seen), Err(Fault::Credential(_))));
    assert!(matches!(stranger.verify(&order, &known), Effect::Unknown(_)));
}

/// A filter in memory.
fn memory() -> (Actuator, Arc<Mutex<Vec<RuleState>>>) {
    let rules: Arc<Mutex<Vec<RuleState>>> = Arc::default();
    let shared = rules.clone();
    let actuator: Actuator = Box::new(move |ask, id| {
        let mut rules = shared.lock().unwrap();
        match ask {
            Ask::Deny(w) | Ask::Allow(w) => {
                let rule_number = w.number.unwrap_or_else(|| rule_number(id));
                let used = rules.iter().find(|r| r.rule_number == rule_number);
                if used.is_some_and(|r| w.number.is_none() && r.net == w.net) {
                    return Ok(Told::Rule(rule_number));
                }
                if used.is_some() {
                    return Err(No::NumberInUse);
                }
                rules.push(RuleState { rule_number, net: w.net, effect: None, why: None });
                Ok(Told::Rule(rule_number))
            }
            Ask::Delete(n) => {
                let before = rules.len();
                rules.retain(|r| r.rule_number != *n);
                if before == rules.len() { Err(No::NotRemoved("none".into())) } else { Ok(Told::Deleted) }
            }
            Ask::Rules(_) => Ok(Told::Rules(rules.clone())),
            Ask::Features(_) => Err(No::CommandUnsupported),
        }
    });
    (actuator, rules)
}

/// Posts a command. Gives the HTTP status and the response.
fn post(server: &Server, id: Option<&str>, body: &str) -> (u16, Value) {
    let url = format!("http://{}", server.address());
    let endpoint = Endpoint { url, ca: None, client_cert: None, client_key: None, timeout: 5 };
    let http = Http::open(&endpoint).unwrap();
    let extra: Vec<_> = id.map(|id| ("x-request-id", id.to_owned())).into_iter().collect();
    let answer =
        http.send(Method::Post, &Path::new("/.well-known/openc2"), &Body::Text(TYPE, body), &extra).unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

#[test]
fn the_consumer_answers_as_the_clauses_say() {
    let (actuator, rules) = memory();
    let specifiers = Specifiers { asset_id: Some("30".into()), ..Specifiers::default() };
    let server =
        serve_openc2("127.0.0.1:0", Options { specifiers, rate_limit: 1000, ..Options::default() }, actuator)
            .unwrap();
    let mut n = 0;
    let mut ask = |command: Value| {
        n += 1;
        post(&server, Some(&format!("id-{n}")), &command.to_string())
    };
    let query = |features: Value| json!({"action": "query", "target": {"features": features}});
    // Clause 12, query features.
    assert_eq!(ask(query(json!([]))), (200, json!({"status": 200})));
    let all = ask(query(json!(["versions", "profiles", "pairs", "rate_limit"]))).1;
    assert_eq!(all["results"]["versions"], json!(["1.0"]));
    assert_eq!(all["results"]["profiles"][0], json!("slpf"));
    assert_eq!(all["results"]["rate_limit"], json!(1000));
    assert_eq!(all["results"]["pairs"]["delete"], json!(["slpf:rule_number"]));
    assert_eq!(ask(query(json!(["versions", "versions"]))).0, 400);
    assert_eq!(ask(query(json!(["colour"]))).0, 400);
    assert_eq!(ask(json!({"action": "query", "target": {"features": []}, "args": {"duration": 5}})).0, 400);

    // Clauses 15 and 16: nets, with and without a prefix; complete is the default.
    let deny = |target: Value, args: Value| json!({"action": "deny", "target": target, "args": args, "actuator": {"slpf": {}}});
    let (status, body) = ask(deny(json!({"ipv4_net": "192.0.2.0/24"}), json!({})));
    assert_eq!((status, &body["status"]), (200, &json!(200)));
    let rule = body["results"]["slpf"]["rule_number"].clone();
    assert!(rule.as_u64().is_some());
    assert_eq!(
        ask(deny(json!({"ipv6_net": "2001:db8::7"}), json!({"response_requested": "ack"}))),
        (200, json!({"status": 102}))
    );
    assert_eq!(
        ask(deny(json!({"ipv4_net": "198.51.100.1"}), json!({"response_requested": "status"}))),
        (200, json!({"status": 200}))
    );
    let count = || rules.lock().unwrap().len();
    assert_eq!(
        ask(deny(json!({"ipv4_net": "198.51.100.2"}), json!({"response_requested": "none"}))),
        (204, Value::Null)
    );
    assert_eq!(
        ask(deny(json!({"ipv4_net": "?"}), json!({"response_requested": "none"}))),
        (204, Value::Null)
    );
    assert_eq!(count(), 4, "no response is asked for, and it is carried out");
    assert_eq!(ask(json!({"action": "allow", "target": {"ipv4_net": "203.0.113.0/24"}})).0, 200);

    // What is not supported is never 200.
    let text = |answer: &(u16, Value)| answer.1["status_text"].as_str().unwrap_or("").to_owned();
    let connection = ask(deny(json!({"ipv4_connection": {"protocol": "tcp", "src_port": 21}}), json!({})));
    assert_eq!((connection.0, text(&connection).as_str()), (501, "Target type not supported"));
    let option = ask(deny(json!({"ipv4_net": "192.0.2.9"}), json!({"slpf": {"colour": 1}})));
    assert!(option.0 == 501 && text(&option).starts_with("Option not supported"), "{option:?}");
    assert_eq!(
        ask(deny(json!({"ipv4_net": "192.0.2.9"}), json!({"start_time": 4_102_444_800_000_i64}))).0,
        501
    );
    let update = ask(json!({"action": "update", "target": {"file": {"name": "x"}}}));
    assert_eq!((update.0, text(&update).as_str()), (501, "Command not supported"));
    assert_eq!(ask(json!({"action": "delete", "target": {"file": {"name": "x"}}})).0, 501);

    // What cannot be read is 400, and changes nothing.
    let before = count();
    for bad in [
        json!([]),
        json!({"action": "deny"}),
        json!({"action": "deny", "target": {"ipv4_net": "192.0.2.1", "ipv6_net": "::1"}}),
        deny(json!({"ipv4_net": "192.0.2.9/24"}), json!({})),
        deny(json!({"ipv4_net": "192.0.2.9\n"}), json!({})),
        deny(json!({"ipv4_net": "2001:db8::1"}), json!({})),
        deny(json!({"ipv6_net": "::ffff:192.0.2.1"}), json!({})),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"duration": 0})),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"duration": -1})),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"stop_time": 1})),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"start_time": 1, "stop_time": 2, "duration": 1})),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"response_requested": "all"})),
        deny(
            json!({"ipv4_net": "192.0.2.9"}),
            json!({"response_requested": "ack", "slpf": {"insert_rule": 5}}),
        ),
        deny(json!({"ipv4_net": "192.0.2.9"}), json!({"slpf": {"direction": "up"}})),
        json!({"action": "delete", "target": {"slpf:rule_number": "1"}}),
        json!({"action": "delete", "target": {"slpf:rule_number": 1}, "args": {"duration": 5}}),
        json!({"action": "deny", "target": {"ipv4_net": "192.0.2.9"}, "more": 1}),
    ] {
        let answer = ask(bad.clone());
        assert_eq!((answer.0, &answer.1["status"]), (400, &json!(400)), "{bad}");
    }
    assert_eq!(count(), before);

    // Rule numbers: given, in use, deleted, not there.
    let insert = |net: &str| {
        deny(
            json!({"ipv4_net": net}),
            json!({"response_requested": "complete", "slpf": {"insert_rule": 1234}}),
        )
    };
    assert_eq!(ask(insert("192.0.2.70")).1["results"]["slpf"]["rule_number"], json!(1234));
    let used = ask(insert("192.0.2.71"));
    assert_eq!((used.0, text(&used).as_str()), (501, "Rule number currently in use"));
    let delete = |n: &Value| json!({"action": "delete", "target": {"slpf:rule_number": n}, "args": {"response_requested": "complete"}});
    assert_eq!(ask(delete(&rule)), (200, json!({"status": 200})));
    let gone = ask(delete(&rule));
    assert!(gone.0 == 500 && text(&gone).starts_with("firewall rule not removed or updated"), "{gone:?}");

    // Which device is meant.
    let to = |actuator: Value| json!({"action": "deny", "target": {"ipv4_net": "192.0.2.80"}, "actuator": actuator});
    assert_eq!(ask(to(json!({"slpf": {"asset_id": "31"}}))).0, 404);
    assert_eq!(ask(to(json!({"slpf": {"hostname": "fw"}}))).0, 404);
    assert_eq!(ask(to(json!({"x-lock": {}}))).0, 501);
    assert_eq!(ask(to(json!({"slpf": {"asset_id": "30"}}))).0, 200);
}

#[test]
fn a_command_is_known_by_its_id_and_comes_in_a_message_or_bare() {
    let (actuator, rules) = memory();
    let server =
        serve_openc2("127.0.0.1:0", Options { rate_limit: 14, ..Options::default() }, actuator).unwrap();
    let request = |net: &str| json!({"action": "deny", "target": {"ipv4_net": net}});
    let message = |id: &str, net: &str| {
        json!({"headers": {"request_id": id, "created": 1}, "body": {"openc2": {"request": request(net)}}})
            .to_string()
    };
    let (status, first) = post(&server, Some("a"), &message("a", "192.0.2.1"));
    assert_eq!((status, &first["headers"]["request_id"]), (200, &json!("a")));
    let again = post(&server, None, &message("a", "192.0.2.1")).1;
    assert_eq!(again["body"], first["body"]);
    assert_eq!(rules.lock().unwrap().len(), 1, "the same command twice is one rule");
    assert_eq!(
        post(&server, Some("a"), &request("192.0.2.2").to_string()).0,
        400,
        "an id that was another's"
    );
    assert_eq!(post(&server, None, &request("192.0.2.2").to_string()).0, 400, "no id");
    assert_eq!(post(&server, Some("b"), &message("c", "192.0.2.2")).0, 400, "two ids");
    assert_eq!(post(&server, Some("d"), "{").0, 400);
    // A deletion that comes again is answered as it was, until the rule is made anew.
    let number = first["body"]["openc2"]["response"]["results"]["slpf"]["rule_number"].clone();
    let delete = json!({"action": "delete", "target": {"slpf:rule_number": number}}).to_string();
    assert_eq!(post(&server, Some("x"), &delete).0, 200);
    assert_eq!(post(&server, Some("x"), &delete).0, 200);
    assert!(rules.lock().unwrap().is_empty());
    assert_eq!(post(&server, Some("a"), &message("a", "192.0.2.1")).0, 200);
    assert_eq!(rules.lock().unwrap().len(), 1);
    assert_eq!(post(&server, Some("x"), &delete).0, 200);
    assert!(rules.lock().unwrap().is_empty());
    // Without a message's id, the header's is given back.
    let bare = json!({"body": {"openc2": {"request": request("192.0.2.3")}}}).to_string();
    assert_eq!(post(&server, Some("e"), &bare).1["headers"]["request_id"], json!("e"));
    let busy = |n| post(&server, Some(&format!("r{n}")), &request("192.0.2.3").to_string()).0 == 429;
    // Twice the limit and more, so that a minute that begins meanwhile does not matter.
    assert!((0..40).any(busy));
    assert!(
        matches!(serve_openc2("0.0.0.0:0", bearer("t"), memory().0), Err(Fault::Config(_))),
        "not without TLS"
    );
    let dir = tempfile::tempdir().unwrap();
    let open = Options { tls: Some(certificate(dir.path())), ..Options::default() };
    assert!(
        matches!(serve_openc2("0.0.0.0:0", open, memory().0), Err(Fault::Config(_))),
        "not for everybody"
    );
}

#[test]
fn a_producer_is_known_by_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap();
        (write(&format!("{name}.pem"), cert.pem()), rcgen::Issuer::new(params, key))
    };
    let leaf = |name: &str, issuer: &rcgen::Issuer<'_, rcgen::KeyPair>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, issuer).unwrap();
        (write(&format!("{name}.pem"), cert.pem()), write(&format!("{name}.key"), key.serialize_pem()))
    };
    let (ca, issuer) = authority("ca");
    let (_, stranger) = authority("stranger");
    let (cert, key) = leaf("consumer", &issuer);
    let identity = Identity { cert, key, client_ca: Some(ca.clone()) };
    let options = Options { tls: Some(identity), rate_limit: 1000, ..Options::default() };
    // Known by certificates, it may listen beyond loopback; here it does not.
    let server = serve_openc2("127.0.0.1:0", options, memory().0).unwrap();
    let url = format!("https://localhost:{}", server.address().port());
    let open = |client: Option<(std::path::PathBuf, std::path::PathBuf)>| {
        let mut endpoint = json!({"url": url, "ca": ca});
        if let Some((cert, key)) = client {
            endpoint["client_cert"] = json!(cert);
            endpoint["client_key"] = json!(key);
        }
        lab::open(&CONNECTOR, json!({"endpoint": endpoint}), &[])
    };
    let order = block("192.0.2.7");
    let mut known = open(Some(leaf("producer", &issuer)));
    let seen = known.read(&order).unwrap();
    known.apply(&order, &seen).unwrap();
    assert_eq!(known.present().unwrap().unwrap().len(), 1);
    for client in [None, Some(leaf("other", &stranger))] {
        let mut unknown = open(client);
        assert!(unknown.read(&order).is_err());
        assert!(unknown.doctor()[0].able == Some(false));
        assert!(matches!(unknown.verify(&order, &Known::default()), Effect::Unknown(_)));
    }
}

/// A consumer of another maker, as the profile has it: no reading of rules. `number`: does it give one?
fn other_consumer(number: bool) -> Stub {
    Stub::start(move |r: &Request| {
        let request = r.json()["body"]["openc2"]["request"].clone();
        let response = match request["action"].as_str() {
            Some("query") if request["target"]["features"].is_array() => json!({"status": 200, "results": {
                "versions": ["1.0"], "profiles": ["slpf"],
                "pairs": {"deny": ["ipv4_net"], "delete": ["slpf:rule_number"], "query": ["features"]}}}),
            Some("deny") if number => json!({"status": 200, "results": {"slpf": {"rule_number": 7}}}),
            Some("deny") => json!({"status": 200}),
            Some("delete") if request["target"]["slpf:rule_number"] == json!(7) => json!({"status": 200}),
            _ => json!({"status": 501}),
        };
        Reply::json(200, response).with("x-request-id", r.header("x-request-id").unwrap_or(""))
    })
}

#[test]
fn a_consumer_that_cannot_be_read_leaves_it_unknown_and_its_number_is_what_undo_names() {
    for number in [true, false] {
        let stub = other_consumer(number);
        let fields =
            json!({"endpoint": {"url": stub.url()}, "direction": "ingress", "actuator": {"asset_id": "30"}});
        let mut control: Box<dyn Control> = lab::open(&CONNECTOR, fields, &[]);
        let order = block("192.0.2.7");
        let seen = control.read(&order).unwrap();
        let ack = control.apply(&order, &seen).unwrap();
        let known = Known { seen, ack: Some(ack) };
        assert!(matches!(control.verify(&order, &known), Effect::Unknown(_)));
        let undone = control.undo(&order, &known);
        assert_eq!(undone.is_ok(), number, "{undone:?}");
        assert!(number || matches!(undone, Err(Fault::Unsupported(_))));
        assert!(matches!(control.verify_undone(&order, &known), Effect::Unknown(_)));
        assert_eq!(control.present().unwrap(), None);
        let sent: Vec<Value> = stub.changes().iter().map(Request::json).collect();
        let deny =
            sent.iter().map(|m| &m["body"]["openc2"]["request"]).find(|r| r["action"] == "deny").unwrap();
        assert_eq!(deny["args"]["slpf"]["direction"], json!("ingress"));
        assert_eq!(deny["actuator"]["slpf"]["asset_id"], json!("30"));
        assert_eq!(deny["args"]["response_requested"], json!("complete"));
    }
}
