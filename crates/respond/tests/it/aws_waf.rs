//! IP sets of WAF at moto, which keeps sets and locks and serves no requests.

use crate::contract::{self, Device, Life};
use crate::lab;
use crate::moto::{self, Cloud, Moto};
use crate::stub::{Reply, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::aws_waf::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::transport::aws::{Keys, WAF};
use serde_json::{Value, json};

fn address(text: &str) -> Target {
    Target::address(text.parse().unwrap())
}

/// A set for each family; a web ACL blocks by the first.
fn walls(moto: &Moto) -> (Keys, Value) {
    moto.reset();
    let ir = moto.user("ir");
    let waf = moto.root(WAF);
    let set = |name: &str, version: &str, addresses: Value| {
        let made = waf
            .change_json(
                "CreateIPSet",
                &json!({"Name": name, "Scope": "REGIONAL", "IPAddressVersion": version, "Addresses": addresses,
                        "Description": "kept by the network team"}),
            )
            .unwrap();
        (
            json!({"name": name, "id": made["Summary"]["Id"]}),
            made["Summary"]["ARN"].as_str().unwrap().to_owned(),
        )
    };
    let (four, arn) = set("four", "IPV4", json!(["198.51.100.0/24", "192.0.2.1/32"]));
    let (six, _) = set("six", "IPV6", json!([]));
    let visible =
        json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "m"});
    waf.change_json(
        "CreateWebACL",
        &json!({"Name": "front", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "VisibilityConfig": visible,
                "Rules": [{"Name": "r", "Priority": 0, "Action": {"Block": {}}, "VisibilityConfig": visible,
                           "Statement": {"IPSetReferenceStatement": {"ARN": arn}}}]}),
    )
    .unwrap();
    moto.guard();
    (ir, json!({"scope": "REGIONAL", "ipv4": four, "ipv6": six}))
}

#[test]
fn an_address_joins_the_set_and_leaves_it_and_the_others_stay() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let (ir, fields) = walls(&moto);
    let secret = moto::credential(&ir);
    let four = json!({"scope": "REGIONAL", "ipv4": fields["ipv4"]});
    contract::life(&Life {
        connector: &CONNECTOR,
        act: Act::BlockAddress,
        target: address("203.0.113.7"),
        device: &|| {
            walls(&moto);
            Box::new(Cloud { stub: moto.stub(), fields: four.clone(), marks: false })
        },
        secret: &secret,
        absent: &[],
        ambiguous: &[],
    });

    walls(&moto);
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &secret);
    let cloud = Cloud { stub: moto.stub(), fields: fields.clone(), marks: false };
    let mut waf = lab::open(&CONNECTOR, cloud.fields(), &[("default", &file)]);
    let order = lab::order(Act::BlockAddress, address("203.0.113.7"));
    let known = Known { seen: waf.read(&order).unwrap(), ack: None };
    waf.apply(&order, &known.seen).unwrap();
    // A second time does not double it.
    waf.apply(&order, &known.seen).unwrap();
    let listed = |set: &Value| {
        let asked = json!({"Name": set["name"], "Id": set["id"], "Scope": "REGIONAL"});
        moto.client(WAF, ir.clone()).ask_json("GetIPSet", &asked).unwrap()["IPSet"].clone()
    };
    let set = listed(&fields["ipv4"]);
    assert_eq!(set["Addresses"], json!(["198.51.100.0/24", "192.0.2.1/32", "203.0.113.7/32"]));
    assert_eq!(set["Description"], "kept by the network team");
    waf.undo(&order, &known).unwrap();
    assert_eq!(listed(&fields["ipv4"])["Addresses"], json!(["198.51.100.0/24", "192.0.2.1/32"]));

    // What was there before, by itself or in a range, is another hand's.
    for (text, before) in [("192.0.2.1", true), ("198.51.100.9", false)] {
        let order = lab::order(Act::BlockAddress, address(text));
        let seen = waf.read(&order).unwrap();
        assert!(seen.in_force && seen.before == json!(before), "{text}: {seen:?}");
    }
    let order = lab::order(Act::BlockAddress, address("192.0.2.1"));
    let known = Known { seen: waf.read(&order).unwrap(), ack: None };
    assert!(matches!(waf.undo(&order, &known), Err(Fault::Refused(_))));

    // A set that no web ACL blocks by: taken, and without effect.
    let order = lab::order(Act::BlockAddress, address("2001:db8::7"));
    let known = Known { seen: waf.read(&order).unwrap(), ack: None };
    waf.apply(&order, &known.seen).unwrap();
    let Effect::NotEffective(why) = waf.verify(&order, &known) else { panic!("nobody blocks by the set") };
    assert!(why.contains("no web ACL"), "{why}");
    assert!(waf.doctor().iter().any(|a| a.what == "a web ACL blocks by it" && a.able == Some(false)));
}

#[test]
fn a_lock_that_others_took_is_read_anew_and_their_address_stays() {
    // Each reading is followed by somebody else's change, the first two times.
    let mut list = vec!["192.0.2.1/32".to_owned()];
    let (mut version, mut others) = (0, 2);
    let stub = Stub::start(move |request| {
        let body = request.json();
        if request.header("x-amz-target").unwrap_or("").ends_with(".GetIPSet") {
            let answer = json!({"IPSet": {"Id": "1", "ARN": "arn", "IPAddressVersion": "IPV4", "Addresses": list},
                                "LockToken": version.to_string()});
            if others > 0 {
                others -= 1;
                version += 1;
                list.push(format!("198.51.100.{version}/32"));
            }
            return Reply::json(200, answer);
        }
        if body["LockToken"] != json!(version.to_string()) {
            return Reply::json(400, json!({"__type": "WAFOptimisticLockException", "message": "stale"}));
        }
        version += 1;
        list = body["Addresses"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect();
        Reply::json(200, json!({"NextLockToken": version.to_string()}))
    });
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", r#"{"access_key_id":"A","secret_access_key":"s"}"#);
    let fields = json!({"region": "us-east-1", "scope": "REGIONAL", "endpoint": stub.url(),
                        "ipv4": {"name": "a\"b", "id": "1"}});
    let mut waf = lab::open(&CONNECTOR, fields, &[("default", &file)]);
    let order = lab::order(Act::BlockAddress, address("203.0.113.7"));
    waf.apply(&order, &Known::default().seen).unwrap();
    let last = contract::last_change(&stub).json();
    assert_eq!(
        last["Addresses"],
        json!(["192.0.2.1/32", "198.51.100.1/32", "198.51.100.2/32", "203.0.113.7/32"])
    );
}
