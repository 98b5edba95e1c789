//! Network ACLs at moto, which keeps entries and passes no packets.

use crate::contract::{self, Device, Life};
use crate::lab;
use crate::moto::{self, Cloud, Moto};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::aws_nacl::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::transport::aws::{Aws, EC2, Keys, get, items};
use serde_json::json;

fn address(text: &str) -> Target {
    Target::address(text.parse().unwrap())
}

/// The default VPC's ACL, with an entry of somebody else before its allow, and one that guards no subnet.
fn network(moto: &Moto) -> (Keys, String, String) {
    moto.reset();
    let ir = moto.user("ir");
    let ec2 = moto.root(EC2);
    let vpcs = ec2.ask("DescribeVpcs", &[]).unwrap();
    let vpc = get(items(&vpcs, "vpcSet").next().unwrap(), "vpcId").unwrap().to_owned();
    let acls = ec2.ask("DescribeNetworkAcls", &[]).unwrap();
    let acl = get(items(&acls, "networkAclSet").next().unwrap(), "networkAclId").unwrap().to_owned();
    entry(&ec2, &acl, "99", "198.51.100.1/32");
    let made = ec2.change("CreateNetworkAcl", &[("VpcId", &vpc)]).unwrap();
    let idle = get(&made, "networkAcl/networkAclId").unwrap().to_owned();
    moto.guard();
    (ir, acl, idle)
}

fn entry(ec2: &Aws, acl: &str, number: &str, cidr: &str) {
    let params = [
        ("NetworkAclId", acl),
        ("RuleNumber", number),
        ("Protocol", "-1"),
        ("RuleAction", "deny"),
        ("Egress", "false"),
        ("CidrBlock", cidr),
    ];
    ec2.change("CreateNetworkAclEntry", &params).unwrap();
}

#[test]
fn an_address_is_denied_before_every_allow_and_let_in_again() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let secret = moto::credential(&network(&moto).0);
    let device = || -> Box<dyn Device> {
        let (_, acl, _) = network(&moto);
        Box::new(Cloud { stub: moto.stub(), fields: json!({"network_acls": [acl]}), marks: false })
    };
    let life = |target| Life {
        connector: &CONNECTOR,
        act: Act::BlockAddress,
        target,
        device: &device,
        secret: &secret,
        absent: &[],
        ambiguous: &[],
    };
    contract::life(&life(address("203.0.113.7")));
    contract::whole(&life(address("2001:db8:7::/48")));

    let (ir, acl, idle) = network(&moto);
    let secret = moto::credential(&ir);
    let cloud = Cloud { stub: moto.stub(), fields: json!({"network_acls": [acl]}), marks: false };
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &secret);
    let mut nacl = lab::open(&CONNECTOR, cloud.fields(), &[("default", &file)]);
    let order = lab::order(Act::BlockAddress, address("203.0.113.7"));
    let known = Known { seen: nacl.read(&order).unwrap(), ack: None };
    let preview = nacl.preview(&order, &known.seen).unwrap().join("\n");
    assert!(
        preview.contains("RuleNumber=98&Protocol=-1&RuleAction=deny&Egress=false&CidrBlock=203.0.113.7%2F32")
    );
    assert!(preview.contains("RuleNumber=99&Protocol=-1&RuleAction=deny&Egress=true"), "{preview}");
    nacl.apply(&order, &known.seen).unwrap();
    assert!(nacl.read(&order).unwrap().in_force);

    // The naive way: an entry behind the allow is there, and blocks nothing.
    let behind = lab::order(Act::BlockAddress, address("203.0.113.8"));
    let admin = moto.client(EC2, ir.clone());
    entry(&admin, &acl, "101", "203.0.113.8/32");
    let nothing = Known { seen: nacl.read(&behind).unwrap(), ack: None };
    assert!(!nothing.seen.in_force);
    assert!(matches!(nacl.verify(&behind, &nothing), Effect::NotEffective(_)));
    assert_eq!(nacl.present().unwrap().unwrap().len(), 3);

    // Undo takes ours and nobody else's; what somebody made of ours is left.
    let replace = |action| {
        let params = [
            ("NetworkAclId", acl.as_str()),
            ("RuleNumber", "98"),
            ("Protocol", "-1"),
            ("RuleAction", action),
            ("Egress", "false"),
            ("CidrBlock", "203.0.113.7/32"),
        ];
        admin.change("ReplaceNetworkAclEntry", &params).unwrap();
    };
    replace("allow");
    assert!(matches!(nacl.verify(&order, &known), Effect::NotEffective(_)));
    assert!(matches!(nacl.undo(&order, &known), Err(Fault::Refused(_))));
    replace("deny");
    nacl.undo(&order, &known).unwrap();
    assert!(matches!(nacl.verify_undone(&order, &known), Effect::Effective(_)));
    let left: Vec<String> = nacl.present().unwrap().unwrap().into_iter().map(|p| p.what).collect();
    assert_eq!(left, ["198.51.100.1", "203.0.113.8"]);

    // An ACL that guards no subnet blocks nothing, whatever is in it.
    let fields = json!({"region": "us-east-1", "endpoint": cloud.stub.url(), "network_acls": [idle]});
    let mut unused = lab::open(&CONNECTOR, fields, &[("default", &file)]);
    let known = Known { seen: unused.read(&order).unwrap(), ack: None };
    unused.apply(&order, &known.seen).unwrap();
    let Effect::NotEffective(why) = unused.verify(&order, &known) else { panic!("no subnet, no effect") };
    assert!(why.contains("no subnet"), "{why}");

    let everything = lab::order(Act::BlockAddress, address("0.0.0.0/0"));
    assert!(matches!(nacl.read(&everything), Err(Fault::Unsupported(_))));
    let fields = json!({"region": "us-east-1", "endpoint": cloud.stub.url(), "network_acls": ["acl-0"]});
    let mut absent = lab::open(&CONNECTOR, fields, &[("default", &file)]);
    assert!(matches!(absent.read(&order), Err(Fault::NotFound(_))));
}

#[test]
fn a_full_front_is_told_before_anything_is_sent() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let (ir, _, idle) = network(&moto);
    let admin = moto.client(EC2, ir.clone());
    let first = [
        ("NetworkAclId", idle.as_str()),
        ("RuleNumber", "1"),
        ("Protocol", "-1"),
        ("RuleAction", "allow"),
        ("Egress", "false"),
        ("CidrBlock", "0.0.0.0/0"),
    ];
    admin.change("CreateNetworkAclEntry", &first).unwrap();
    let cloud = Cloud { stub: moto.stub(), fields: json!({"network_acls": [idle]}), marks: false };
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &moto::credential(&ir));
    let mut nacl = lab::open(&CONNECTOR, cloud.fields(), &[("default", &file)]);
    let fault = nacl.read(&lab::order(Act::BlockAddress, address("203.0.113.7"))).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("no number is free")), "{fault}");
    assert!(cloud.stub.changes().is_empty());
}
