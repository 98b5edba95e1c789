//! IAM at moto. What moto does not enforce is not claimed: it goes on serving an inactive key, and it denies a role's
//! sessions without looking at the date.

use crate::contract::{self, Life};
use crate::lab;
use crate::moto::{self, ALLOW, Cloud, Moto};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::aws::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::secret::Secret;
use portreeve_respond::target::Target;
use portreeve_respond::transport::aws::{Aws, EC2, IAM, Keys, STS};
use portreeve_respond::value::{KeyId, UserName};
use serde_json::json;

const HOSTILE: &str = "a&Action=DeleteUser&x='\"<*)\\../";

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn account(text: &str) -> Target {
    Target::account(name(text))
}

struct Company {
    alice: Keys,
    ir: Keys,
}

/// alice with a key, and `ir`, in whose name Portreeve acts; whatever else an act needs.
fn company(moto: &Moto, acts: &[Act]) -> Company {
    moto.reset();
    let (ir, alice) = (moto.user("ir"), moto.user("alice"));
    let iam = moto.root(IAM);
    if acts.contains(&Act::ResetPassword) {
        iam.change("CreateLoginProfile", &[("UserName", "alice"), ("Password", "xxYY11!!aa")]).unwrap();
    }
    if acts.contains(&Act::RevokeTokens) {
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        for (role, path) in [("ops", "/"), ("linked", "/aws-service-role/x.amazonaws.com/")] {
            let params = [("RoleName", role), ("Path", path), ("AssumeRolePolicyDocument", trust)];
            iam.change("CreateRole", &params).unwrap();
        }
        let all = [("RoleName", "ops"), ("PolicyName", "all"), ("PolicyDocument", ALLOW)];
        iam.change("PutRolePolicy", &all).unwrap();
        iam.change("CreateInstanceProfile", &[("InstanceProfileName", "web")]).unwrap();
        let joined = [("InstanceProfileName", "web"), ("RoleName", "ops")];
        iam.change("AddRoleToInstanceProfile", &joined).unwrap();
    }
    moto.guard();
    Company { alice, ir }
}

fn works(aws: &Aws) -> bool {
    match aws.ask("DescribeVpcs", &[]) {
        Ok(_) => true,
        Err(failed) if matches!(failed.fault, Fault::Credential(_)) => false,
        Err(failed) => panic!("{failed:?}"),
    }
}

fn device(moto: &Moto, marks: bool) -> Cloud {
    Cloud { stub: moto.stub(), fields: json!({}), marks }
}

#[test]
fn keys_users_roles_and_passwords_through_their_lives() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let Company { alice, ir } = company(&moto, &[Act::ResetPassword, Act::RevokeTokens]);
    let secret = moto::credential(&ir);
    let key =
        |owner: Option<&str>, id: &str| Target::Key { owner: owner.map(name), id: KeyId::new(id).unwrap() };
    let lives: [(Act, Target, Vec<Target>); 4] = [
        (
            Act::RevokeKey,
            key(Some("alice"), &alice.id),
            vec![key(Some("alice"), &ir.id), key(Some("nobody"), &alice.id), key(None, "AKIAABSENT")],
        ),
        (Act::DisableAccount, account("alice"), vec![account("nobody"), account("Alice"), account(HOSTILE)]),
        (
            Act::RevokeTokens,
            Target::Role { name: name("ops") },
            vec![Target::Role { name: name("nobody") }, Target::Role { name: name(HOSTILE) }],
        ),
        (Act::ResetPassword, account("alice"), vec![account("nobody")]),
    ];
    for (act, target, absent) in lives {
        contract::life(&Life {
            connector: &CONNECTOR,
            act,
            target,
            device: &|| {
                let again = company(&moto, &[act]);
                assert_eq!(again.ir.id, ir.id, "moto makes the same ids after a reset");
                Box::new(device(&moto, act != Act::RevokeKey))
            },
            secret: &secret,
            absent: &absent,
            ambiguous: &[],
        });
    }
    // Whose key it is need not be known.
    company(&moto, &[]);
    let cloud = device(&moto, false);
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &secret);
    let mut aws = lab::open(&CONNECTOR, contract::Device::fields(&cloud), &[("default", &file)]);
    let seen = aws.read(&lab::order(Act::RevokeKey, key(None, &alice.id))).unwrap();
    assert_eq!(seen.before, json!({"owner": "alice", "status": "Active"}));
}

#[test]
fn a_denied_user_is_out_and_comes_back_after_undo() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let Company { alice, ir } = company(&moto, &[Act::ResetPassword, Act::RevokeTokens]);
    let attacker = moto.client(EC2, alice.clone());
    assert!(works(&attacker));
    let forged = Keys { secret: Secret::new("guessed"), ..alice.clone() };
    assert!(!works(&moto.client(EC2, forged)), "moto checks signatures");
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &moto::credential(&ir));
    let cloud = device(&moto, true);
    let fields = contract::Device::fields(&cloud);
    let mut aws = lab::open(&CONNECTOR, fields, &[("default", &file)]);

    // Setting the key inactive does not touch the session of a role that began with it.
    let session = assume(&moto, &alice);
    assert!(works(&moto.client(EC2, session.clone())));
    let order = lab::order(
        Act::RevokeKey,
        Target::Key { owner: Some(name("alice")), id: KeyId::new(alice.id.as_str()).unwrap() },
    );
    let known = Known { seen: aws.read(&order).unwrap(), ack: None };
    aws.apply(&order, &known.seen).unwrap();
    assert!(matches!(aws.verify(&order, &known), Effect::Effective(_)));
    assert!(works(&moto.client(EC2, session.clone())), "a key's end is not the end of its sessions");
    aws.undo(&order, &known).unwrap();

    let order = lab::order(Act::DisableAccount, account("alice"));
    let known = Known { seen: aws.read(&order).unwrap(), ack: None };
    assert!(known.seen.says.contains("1 active keys, a console password"), "{}", known.seen.says);
    aws.apply(&order, &known.seen).unwrap();
    assert!(matches!(aws.verify(&order, &known), Effect::Effective(_)));
    assert!(!works(&attacker));
    // A new key of the same user does not help.
    let admin = moto.client(IAM, ir.clone());
    let made = admin.change("CreateAccessKey", &[("UserName", "alice")]).unwrap();
    let second = moto::keys(made.at("CreateAccessKeyResult/AccessKey").unwrap());
    assert!(!works(&moto.client(EC2, second)));
    // For another step it is in force by another hand, and is left by its undo.
    let other = lab::order(Act::DisableAccount, account("alice"));
    assert!(aws.read(&other).unwrap().in_force);
    assert!(matches!(aws.apply(&other, &known.seen), Err(Fault::Refused(_))));
    assert!(matches!(aws.undo(&other, &known), Err(Fault::Refused(_))));
    aws.undo(&order, &known).unwrap();
    assert!(matches!(aws.verify_undone(&order, &known), Effect::Effective(_)));
    assert!(works(&attacker));
}

fn assume(moto: &Moto, who: &Keys) -> Keys {
    let answer = moto
        .client(STS, who.clone())
        .ask("AssumeRole", &[("RoleArn", "arn:aws:iam::123456789012:role/ops"), ("RoleSessionName", "s")])
        .unwrap();
    moto::keys(answer.at("AssumeRoleResult/Credentials").unwrap())
}

#[test]
fn sessions_of_a_role_are_denied_and_who_else_is_hit_is_told() {
    if !lab::can(&["moto_server"], false) {
        return;
    }
    let moto = Moto::start();
    let Company { alice, ir } = company(&moto, &[Act::ResetPassword, Act::RevokeTokens]);
    let session = moto.client(EC2, assume(&moto, &alice));
    assert!(works(&session));
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "ir", &moto::credential(&ir));
    let cloud = device(&moto, true);
    let mut aws = lab::open(&CONNECTOR, contract::Device::fields(&cloud), &[("default", &file)]);
    let order = lab::order(Act::RevokeTokens, Target::Role { name: name("ops") });
    let seen = aws.read(&order).unwrap();
    for who in ["every session of the role", "may use the role: *", "profile web"] {
        assert!(seen.also_hits.iter().any(|h| h.contains(who)), "{who}: {:?}", seen.also_hits);
    }
    let ack = aws.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(matches!(aws.verify(&order, &known), Effect::Effective(_)));
    assert!(!works(&session), "moto denies the session (it does not look at the date)");
    assert!(works(&moto.client(EC2, alice)), "the user of the session is another matter");

    // A second revocation is a new one: an old time says nothing about sessions that began since.
    let again = lab::order(Act::RevokeTokens, Target::Role { name: name("ops") });
    assert!(!aws.read(&again).unwrap().in_force);

    // Somebody weakens the policy: seen, and not overwritten.
    let admin = moto.client(IAM, ir);
    admin
        .change(
            "PutRolePolicy",
            &[("RoleName", "ops"), ("PolicyName", "PortreeveRevokeOlderSessions"), ("PolicyDocument", ALLOW)],
        )
        .unwrap();
    assert!(matches!(aws.verify(&order, &known), Effect::NotEffective(_)));
    assert!(matches!(aws.read(&order), Err(Fault::Refused(_))));
    assert!(matches!(aws.apply(&order, &known.seen), Err(Fault::Refused(_))));

    let linked = lab::order(Act::RevokeTokens, Target::Role { name: name("linked") });
    assert!(matches!(aws.read(&linked), Err(Fault::Unsupported(_))), "service-linked");
    for root in ["root", "<root_account>"] {
        let order = lab::order(Act::DisableAccount, account(root));
        assert!(matches!(aws.read(&order), Err(Fault::Unsupported(_))), "{root}");
    }
    let temporary = lab::order(
        Act::RevokeKey,
        Target::Key { owner: Some(name("alice")), id: KeyId::new("ASIAEXAMPLE").unwrap() },
    );
    assert!(matches!(aws.read(&temporary), Err(Fault::Unsupported(_))));
    assert!(cloud.stub.lines().len() > 3);
}
