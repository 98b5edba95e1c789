//! A person as the device: nothing is said to be effective that nobody has read.

use crate::lab;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::manual::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;

fn fields() -> serde_json::Value {
    serde_json::json!({"who": "network team, +49 30 0000", "acts": {
        "block_address": {"what": "add to the edge list", "how_to_verify": "ping from outside", "undo": "remove it"},
        "disable_account": {"what": "lock in the old portal", "how_to_verify": "sign in with the test card"},
        "reset_password": {"what": "set a new one", "how_to_verify": "ask the owner"},
    }})
}

fn person() -> Box<dyn Control> {
    lab::open(&CONNECTOR, fields(), &[])
}

#[test]
fn an_instruction_is_given_and_its_effect_stays_unknown() {
    let mut person = person();
    let order = lab::order(Act::BlockAddress, Target::address("192.0.2.7".parse().unwrap()));
    let known = Known { seen: person.read(&order).unwrap(), ack: None };
    assert!(!known.seen.in_force);
    let told = "network team, +49 30 0000: add to the edge list; target: \"192.0.2.7\"";
    assert_eq!(person.preview(&order, &known.seen).unwrap(), [told]);
    assert_eq!(person.apply(&order, &known.seen).unwrap().says, told);
    match person.verify(&order, &known) {
        Effect::Unknown(why) => assert!(why.contains("ping from outside"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(person.undo(&order, &known).unwrap().says.contains("remove it"));
    assert!(matches!(person.verify_undone(&order, &known), Effect::Unknown(_)));
    assert!(person.doctor().iter().all(|a| a.able.is_none()));

    let account = Target::account(UserName::new("anna\"; target: \"bert").unwrap());
    let order = lab::order(Act::DisableAccount, account.clone());
    let says = person.apply(&order, &known.seen).unwrap().says;
    assert!(says.ends_with(r#"; target: "account anna\"; target: \"bert""#), "{says}");
    assert!(person.undo(&order, &known).unwrap().says.contains("lock in the old portal"));
    let reset = lab::order(Act::ResetPassword, account.clone());
    assert!(matches!(person.undo(&reset, &known), Err(Fault::Unsupported(_))));
    // What the site wrote no instruction for, nobody is told to do.
    let other = lab::order(Act::ResetFactors, account);
    assert!(matches!(person.read(&other), Err(Fault::Unsupported(_))));
    assert!(matches!(person.apply(&other, &known.seen), Err(Fault::Unsupported(_))));
}

#[test]
fn a_configuration_that_says_nothing_is_refused() {
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut fields = fields();
        change(&mut fields);
        matches!((CONNECTOR.open)(&lab::settings(fields, &[])), Err(Fault::Config(_)))
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|f| f["who"] = " ".into()));
    assert!(refused(&|f| f["acts"] = serde_json::json!({})));
    assert!(refused(&|f| f["acts"]["block_address"]["what"] = "".into()));
    assert!(refused(&|f| f["acts"]["block_address"]["what"] = "a\u{1b}[2J".into()));
    assert!(refused(&|f| f["acts"]["block_adress"] = serde_json::json!({"what": "a", "how_to_verify": "b"})));
    assert!(refused(&|f| f["acts"]["block_address"]["when"] = "now".into()));
    assert_eq!(CONNECTOR.can.len(), Act::ALL.len());
    assert!(Act::ALL.iter().all(|act| CONNECTOR.can.iter().any(|c| c.act == *act)));
}
