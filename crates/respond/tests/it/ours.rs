//! What the ledger knows as ours: steps that stand at a device already, proposals that were refused, and the cases
//! that a re-entry concerns.

use crate::site::*;
use portreeve_model::action::ActionKind;
use portreeve_respond::act::Act;
use portreeve_respond::automation::{Automation, When};
use portreeve_respond::connector::{Ability, Ack, Control, Effect, Known, Order, Present, Seen};
use portreeve_respond::fault::Fault;
use portreeve_respond::held::Held;
use portreeve_respond::ledger::Kind;
use portreeve_respond::operator::Purpose;
use portreeve_respond::target::Target;
use portreeve_respond::watch::{About, Reentries, Sighting, Tally, Watch};

#[test]
fn re_entry_is_found_for_the_case_it_concerns() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.7"), account(ActionKind::QuarantineAccount, "anna")]);
    site.apply(&digest).unwrap();
    let watch = Watch::new(&site.ledger()).unwrap();
    let now = site.clock.get();
    let mut tally = Tally::default();
    for (hours, user, ip, succeeded) in [
        (1, "CORP\\Anna", "203.0.113.5", true),
        (2, "bert", "198.51.100.7", true),
        (3, "", "198.51.100.7", true),
        (4, "anna", "203.0.113.5", false),
    ] {
        let sighting = Sighting {
            at: now + hours * HOUR,
            user: user.into(),
            address: ip.parse().ok(),
            succeeded,
            what: format!("login {hours}"),
            ..Sighting::default()
        };
        watch.see(&sighting).into_iter().for_each(|a| tally.add(a));
    }
    let found = Reentries::of(&tally);
    let of = |case: &str, users: &[&str], addresses: &[&str], hours: (i64, i64)| -> Vec<String> {
        let addresses: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let about = About {
            case,
            users,
            addresses: &addresses,
            first: now + hours.0 * HOUR,
            last: now + hours.1 * HOUR,
        };
        found.concerning(&about).iter().map(|a| format!("{} {} {}", a.what, a.act, a.device)).collect()
    };
    // The contained case itself, whenever it was: all that got in, and nothing that was kept out.
    assert_eq!(
        of("case-1", &[], &[], (-9, -8)),
        ["login 1 disable_account dev", "login 2 block_address dev", "login 3 block_address dev"]
    );
    // Another case, of the same person under another spelling, within its time.
    assert_eq!(of("later", &["anna@corp.example"], &[], (0, 2)), ["login 1 disable_account dev"]);
    assert_eq!(of("later", &["anna"], &[], (2, 9)), Vec::<String>::new());
    // By address where nobody is named; a named stranger's sighting is not this case's.
    assert_eq!(of("later", &["carl"], &["198.51.100.7"], (0, 9)), ["login 3 block_address dev"]);
    assert_eq!(of("later", &["bert", "anna"], &["198.51.100.7"], (0, 9)).len(), 3);
}

#[test]
fn what_an_earlier_step_of_ours_does_already_is_called_ours() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.0/28"), account(ActionKind::QuarantineAccount, "anna")]);
    site.apply(&digest).unwrap();
    let why = |of: &[portreeve_respond::plan::Proposal]| {
        let plan = site.plan(of);
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        plan.left_out.into_iter().map(|l| l.why).collect::<Vec<_>>().join("; ")
    };
    site.clock.set(site.clock.get() + 60_000_000);
    let ours = why(&[account(ActionKind::QuarantineAccount, "anna")]);
    let named = format!("of plan {} (case case-1, verified since 2026-02-02T02:40:00Z)", &digest[..12]);
    assert!(ours.contains("in force already by step ") && ours.contains(&named), "{ours}");
    assert!(!ours.contains("another hand"), "{ours}");
    // A device where somebody else did it, by the mark that stands there.
    let file = File { path: dir.path().join("device.json"), mood: Mood::Well, acted: false };
    let mut inside = file.load();
    inside.in_force.insert("block_address 203.0.113.1".into(), "by hand".into());
    inside.in_force.insert("disable_account account anna".into(), "portreeve-0123456789ab".into());
    file.store(&inside);
    assert!(why(&[block("203.0.113.1")]).contains("in force already by another hand"));
    // Taken back, it is nobody's of ours any more, whatever the device says.
    let back = site.word("tom", Purpose::RollBack, &digest);
    site.with(|e| e.roll_back(&digest, &[], &back)).unwrap();
    let mut inside = file.load();
    inside.in_force.insert("block_address 198.51.100.0/28".into(), "portreeve-0123456789ab".into());
    file.store(&inside);
    assert!(why(&[block("198.51.100.0/28")]).contains("in force already by another hand"));
}

#[test]
fn a_mark_at_the_device_is_believed_before_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let digest = site.approved(&[block("198.51.100.0/28")]);
    site.apply(&digest).unwrap();
    let plan = site.ledger().plan(&digest).unwrap();
    let held = Held::of(&site.ledger()).unwrap();
    let ours = plan.steps[0].order.clone();
    assert_eq!(held.by_mark("dev", &ours.mark).map(|h| h.step), Some(1));
    assert_eq!(held.by_mark("other", &ours.mark), None);
    let inner = Order { target: Target::address("198.51.100.7".parse().unwrap()), ..ours.clone() };
    let wider = Order { target: Target::address("198.51.100.0/24".parse().unwrap()), ..ours.clone() };
    let seen = Seen::default();
    assert!(held.by_target("dev", &inner, &seen).is_some(), "its range is blocked");
    assert!(held.by_target("dev", &wider, &seen).is_none());
    assert!(held.by_target("other", &ours, &seen).is_none());
    let asked =
        |present: Option<Vec<Present>>| held.holder("dev", &inner, &seen, &mut Listed(present)).is_some();
    let there =
        |mark: &str| Some(vec![Present { what: "198.51.100.0/28".into(), mark: Some(mark.to_owned()) }]);
    assert!(asked(None), "a product that cannot be listed or keeps no mark leaves the ledger's word");
    assert!(asked(Some(Vec::new())));
    assert!(asked(there(&ours.mark)));
    assert!(!asked(there("portreeve-0123456789ab")), "another Portreeve's");
}

/// A device of which only the list is asked.
struct Listed(Option<Vec<Present>>);

impl Control for Listed {
    fn read(&mut self, _: &Order) -> Result<Seen, Fault> {
        unreachable!("only the list is asked")
    }
    fn preview(&self, _: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        unreachable!("only the list is asked")
    }
    fn apply(&mut self, _: &Order, _: &Seen) -> Result<Ack, Fault> {
        unreachable!("only the list is asked")
    }
    fn verify(&mut self, _: &Order, _: &Known) -> Effect {
        unreachable!("only the list is asked")
    }
    fn undo(&mut self, _: &Order, _: &Known) -> Result<Ack, Fault> {
        unreachable!("only the list is asked")
    }
    fn verify_undone(&mut self, _: &Order, _: &Known) -> Effect {
        unreachable!("only the list is asked")
    }
    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        Ok(self.0.clone())
    }
    fn doctor(&mut self) -> Vec<Ability> {
        Vec::new()
    }
}

#[test]
fn a_refused_proposal_leaves_the_refusal_and_no_plan() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let plan = site.plan(&[block("198.51.100.7")]);
    let digest = plan.digest();
    let mut forged = site.word("tom", Purpose::Propose, &digest);
    forged.by = "lena".into();
    let words = [
        forged,
        site.word("tom", Purpose::Propose, &digest),
        site.word("lena", Purpose::Approve, &digest),
        site.word("lena", Purpose::Propose, "another plan"),
    ];
    for word in &words {
        assert!(site.with(|e| e.propose(&plan, word)).is_err(), "{word:?}");
    }
    let entries = site.ledger().since(i64::MIN).unwrap();
    assert!(entries.iter().all(|e| e.kind == Kind::Refused), "{entries:?}");
    assert_eq!(entries.len(), words.len());
    assert_eq!(entries[0].json()["case"], "case-1");
    assert_eq!(entries[0].json()["digest"], serde_json::json!(digest));
    assert!(site.ledger().plans().unwrap().is_empty());
    // The right word, and plan and word are there together.
    let right = site.word("lena", Purpose::Propose, &digest);
    assert_eq!(site.with(|e| e.propose(&plan, &right)).unwrap(), digest);
    let kinds: Vec<Kind> = site.ledger().of_plan(&digest).unwrap().iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [Kind::Planned, Kind::Word]);
    let audit = site.ledger().audit(&site.operators, None, &[]).unwrap();
    assert_eq!((audit.faults.len(), audit.refused.len(), audit.plans), (0, words.len(), 1), "{audit:?}");
}

#[test]
fn an_automation_that_may_not_leaves_no_plan_and_is_refused_once() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let mut automation = Automation {
        name: "listed".into(),
        when: When { criteria: vec![], risk: 1 },
        acts: vec![Act::BlockAddress],
        hours: 4,
        until: "2999-12-31".into(),
        signed: vec![],
    };
    let mut plan = site.plan(&[block("198.51.100.7")]);
    assert!(site.with(|e| e.propose_automated(&plan, &automation)).is_err(), "a person's plan");
    plan.made_by = automation.actor();
    for _ in 0..3 {
        plan.made_at += 60_000_000;
        assert!(site.with(|e| e.propose_automated(&plan, &automation)).is_err());
    }
    let refusals = site.ledger().since(i64::MIN).unwrap();
    assert_eq!(refusals.iter().map(|e| e.kind).collect::<Vec<_>>(), [Kind::Refused, Kind::Refused]);
    assert!(site.ledger().plans().unwrap().is_empty());
    let signed = ["tom", "theo"].map(|who| site.word(who, Purpose::Automate, &automation.digest()));
    automation.signed = signed.to_vec();
    assert!(!automation.fired(&site.ledger(), "case-1").unwrap(), "signed anew it is another");
    let digest = site.with(|e| e.propose_automated(&plan, &automation)).unwrap();
    assert!(automation.fired(&site.ledger(), "case-1").unwrap());
    assert!(!automation.fired(&site.ledger(), "case-2").unwrap());
    assert!(site.with(|e| e.apply_automated(&digest, &automation)).unwrap().is_contained());
}
