//! The table held to what it is for, by examples and by properties.

use super::*;
use proptest::prelude::*;

fn roles(list: &[Role]) -> Roles {
    list.iter().copied().collect()
}

fn person(list: &[Role]) -> Actor {
    Actor::person("anna", roles(list), true)
}

/// An object of the kind about which every condition that an object can fulfil is fulfilled for anna.
fn kind_object(verb: Verb) -> Object<'static> {
    match verb.kind() {
        Kind::Service => Object::Service,
        Kind::Case => Object::Case(Case::default()),
        Kind::Plan => Object::Plan(Plan { proposer: "bert", approved: true, ..Plan::default() }),
        Kind::Change => Object::Change { by: "bert" },
        Kind::Suppression => Object::Suppression { by: "bert" },
        Kind::Person if verb == Verb::SelfManage => Object::Person { id: "anna" },
        Kind::Person => Object::Person { id: "bert" },
        Kind::Token if verb == Verb::TokenOwn => Object::Token { of: "anna" },
        Kind::Token => Object::Token { of: "shipper-1" },
        Kind::Source => Object::Source { id: "vpn" },
    }
}

fn why(actor: &Actor, verb: Verb, object: Object<'_>) -> Option<Why> {
    allows(actor, verb, &object).or_err().err()
}

#[test]
fn every_verb_has_a_row_and_only_the_rows_roles() {
    for verb in Verb::ALL {
        assert_eq!(Verb::by_id(verb.id()), Some(*verb));
        assert!(table::rules(*verb).count() > 0, "{verb} is nobody's");
        for role in Role::ALL {
            let listed = table::rules(*verb).any(|r| r.roles.contains(&role));
            let mut actor = person(&[role]);
            if *verb == Verb::IngestWrite {
                actor = Actor { roles: roles(&[role]), ..Actor::shipper("shipper-1", "vpn") };
            }
            let allowed = allows(&actor, *verb, &kind_object(*verb)).is_allowed();
            assert_eq!(allowed, listed, "{verb} for {role}");
        }
        assert!(!allows(&person(&[]), *verb, &kind_object(*verb)).is_allowed(), "{verb} for nobody");
    }
}

/// Said apart from the table, so that a slip in it is seen.
#[test]
fn what_each_role_is_for() {
    let may = |role: Role| -> Vec<&str> {
        Verb::ALL
            .iter()
            .filter(|v| allows(&person(&[role]), **v, &kind_object(**v)).is_allowed())
            .map(|v| v.id())
            .collect()
    };
    assert_eq!(
        may(Role::Viewer),
        [
            "case.list",
            "case.read",
            "suppression.read",
            "entity.read",
            "content.read",
            "self.manage",
            "token.own",
            "source.read",
            "health.read",
            "metrics.read"
        ]
    );
    assert_eq!(
        may(Role::Auditor),
        [
            "case.list",
            "case.read",
            "suppression.read",
            "evidence.read",
            "search.run",
            "entity.read",
            "content.read",
            "export.make",
            "connector.read",
            "user.read",
            "self.manage",
            "token.read",
            "token.own",
            "source.read",
            "audit.read",
            "audit.verify",
            "health.read",
            "metrics.read",
            "config.read"
        ]
    );
    assert_eq!(
        may(Role::ResponderAdmin),
        [
            "content.read",
            "connector.read",
            "connector.configure",
            "connector.approve",
            "webhook.manage",
            "user.read",
            "user.manage",
            "self.manage",
            "token.read",
            "token.manage",
            "token.own",
            "source.read",
            "source.manage",
            "health.read",
            "metrics.read",
            "config.read",
            "config.reload"
        ]
    );
    let l1 = may(Role::L1);
    let t2 = may(Role::T2);
    let t3 = may(Role::T3);
    let more = |a: &[&'static str], b: &[&'static str]| -> Vec<&'static str> {
        a.iter().filter(|v| !b.contains(v)).copied().collect()
    };
    assert_eq!(
        more(&t2, &l1),
        [
            "case.restrict",
            "suppression.review",
            "containment.approve",
            "containment.break_glass",
            "containment.apply",
            "containment.undo"
        ]
    );
    assert_eq!(more(&t3, &t2), ["evidence.collect"]);
    assert!(more(&l1, &t2).is_empty() && more(&t2, &t3).is_empty());
}

#[test]
fn ingest_writes_for_its_own_source_and_does_nothing_else() {
    let shipper = Actor::shipper("shipper-1", "vpn");
    for verb in Verb::ALL {
        let allowed = allows(&shipper, *verb, &kind_object(*verb)).is_allowed();
        assert_eq!(allowed, *verb == Verb::IngestWrite, "{verb}");
        // Even with every scope and as a person: the role itself does nothing else.
        let wide = Actor::token("shipper-1", roles(&[Role::Ingest]), Verb::ALL.iter().copied().collect());
        assert!(!allows(&wide, *verb, &kind_object(*verb)).is_allowed(), "{verb}");
        assert!(!allows(&person(&[Role::Ingest]), *verb, &kind_object(*verb)).is_allowed(), "{verb}");
    }
    assert_eq!(why(&shipper, Verb::IngestWrite, Object::Source { id: "dns" }), Some(Why::OtherSource));
}

#[test]
fn an_auditor_changes_nothing_but_the_own_account() {
    for verb in Verb::ALL {
        if allows(&person(&[Role::Auditor]), *verb, &kind_object(*verb)).is_allowed() {
            let own = matches!(verb, Verb::SelfManage | Verb::TokenOwn);
            assert!(verb.reads() || own, "{verb} changes something");
        }
    }
}

#[test]
fn nobody_approves_what_he_proposed() {
    for role in [Role::T2, Role::T3] {
        let plan = Plan { proposer: "anna", ..Plan::default() };
        assert_eq!(
            why(&person(&[role]), Verb::ContainmentApprove, Object::Plan(plan)),
            Some(Why::OwnProposal)
        );
    }
    let own = Object::Change { by: "anna" };
    assert_eq!(why(&person(&[Role::ResponderAdmin]), Verb::ConnectorApprove, own), Some(Why::OwnWork));
    let own = Object::Suppression { by: "anna" };
    assert_eq!(why(&person(&[Role::T3]), Verb::SuppressionReview, own), Some(Why::OwnWork));
    let changed = ["anna".to_owned()];
    let plan = Plan { proposer: "bert", connectors_changed_by: &changed, ..Plan::default() };
    let both = person(&[Role::T3, Role::ResponderAdmin]);
    assert_eq!(why(&both, Verb::ContainmentApprove, Object::Plan(plan)), Some(Why::OwnConnector));
}

#[test]
fn what_cannot_be_undone_takes_t3() {
    let plan = Plan { proposer: "bert", takes_t3: true, ..Plan::default() };
    let approve = |list: &[Role]| why(&person(list), Verb::ContainmentApprove, Object::Plan(plan));
    assert_eq!(approve(&[Role::T2]), Some(Why::TakesT3));
    assert_eq!(approve(&[Role::T3]), None);
    assert_eq!(approve(&[Role::T2, Role::T3]), None);
    assert!(matches!(approve(&[Role::L1]), Some(Why::Role { .. })));
    let undone = Plan { approved: false, ..plan };
    assert_eq!(
        why(&person(&[Role::T3]), Verb::ContainmentApply, Object::Plan(undone)),
        Some(Why::NotApproved)
    );
}

#[test]
fn a_restricted_case_is_there_for_its_members_alone() {
    let members = ["bert".to_owned()];
    let restricted = Case { members: &members, ..Case::default() };
    for verb in Verb::ALL.iter().filter(|v| v.kind() == Kind::Case) {
        let denied = why(&person(&[Role::T3]), *verb, Object::Case(restricted)).unwrap();
        assert!(denied.hides(), "{verb}: {denied}");
        let bert = Actor { id: "bert".into(), ..person(&[Role::T3]) };
        assert!(allows(&bert, *verb, &Object::Case(restricted)).is_allowed(), "{verb}");
        let auditor = person(&[Role::Auditor]);
        let seen = allows(&auditor, *verb, &Object::Case(restricted)).is_allowed();
        assert_eq!(seen, allows(&auditor, *verb, &Object::Case(Case::default())).is_allowed(), "{verb}");
    }
    let plan = Plan { case: restricted, proposer: "bert", approved: true, ..Plan::default() };
    for verb in Verb::ALL.iter().filter(|v| v.kind() == Kind::Plan) {
        assert_eq!(why(&person(&[Role::T3]), *verb, Object::Plan(plan)), Some(Why::NotMember), "{verb}");
    }
    // Who has no role is told so, and not whether there is such a case.
    let stranger = why(&person(&[Role::ResponderAdmin]), Verb::CaseRead, Object::Case(restricted));
    assert_eq!(stranger, why(&person(&[Role::ResponderAdmin]), Verb::CaseRead, kind_object(Verb::CaseRead)));
    // An auditor who is also an analyst reads it and does not write in it.
    let both = person(&[Role::Auditor, Role::L1]);
    assert!(allows(&both, Verb::CaseRead, &Object::Case(restricted)).is_allowed());
    assert_eq!(why(&both, Verb::CaseNote, Object::Case(restricted)), Some(Why::NotMember));
}

#[test]
fn markings_bind() {
    let red = Case { tlp: Tlp::Red, ..Case::default() };
    assert_eq!(why(&person(&[Role::T2]), Verb::CaseRead, Object::Case(red)), Some(Why::NotMember));
    assert_eq!(why(&person(&[Role::T3]), Verb::CaseRestrict, Object::Case(red)), None, "who names members");
    let members = ["anna".to_owned()];
    let named = Case { members: &members, ..red };
    assert_eq!(why(&person(&[Role::L1]), Verb::CaseRead, Object::Case(named)), None);
    assert_eq!(why(&person(&[Role::L1]), Verb::ExportMake, Object::Case(named)), Some(Why::TlpRed));
    for pap in Pap::ALL {
        let case = Case { pap, ..Case::default() };
        let acts = pap <= Pap::Green;
        let plan = Object::Plan(Plan { case, proposer: "bert", approved: true, ..Plan::default() });
        let t3 = person(&[Role::T3]);
        for verb in [Verb::ContainmentApprove, Verb::ContainmentApply, Verb::ContainmentBreakGlass] {
            assert_eq!(allows(&t3, verb, &plan).is_allowed(), acts, "{verb} {pap}");
        }
        assert_eq!(allows(&t3, Verb::AskCreate, &Object::Case(case)).is_allowed(), acts);
        assert!(allows(&t3, Verb::ContainmentUndo, &plan).is_allowed(), "what was done can be taken back");
    }
}

#[test]
fn tokens_do_what_scope_and_owner_allow_and_never_what_people_decide() {
    let scope = Verbs::of(&[Verb::CaseRead, Verb::CaseNote]);
    let token = Actor::token("anna", roles(&[Role::Viewer]), scope);
    assert!(allows(&token, Verb::CaseRead, &kind_object(Verb::CaseRead)).is_allowed());
    assert_eq!(
        why(&token, Verb::CaseNote, kind_object(Verb::CaseNote)),
        Some(Why::Role { verb: Verb::CaseNote })
    );
    assert_eq!(why(&token, Verb::CaseList, Object::Service), Some(Why::Scope(Verb::CaseList)));

    let all = Actor::token("anna", roles(&Role::ALL), Verb::ALL.iter().copied().collect());
    for verb in [
        Verb::ContainmentApprove,
        Verb::ContainmentBreakGlass,
        Verb::ConnectorConfigure,
        Verb::UserManage,
        Verb::TokenManage,
        Verb::TokenOwn,
        Verb::SelfManage,
    ] {
        assert_eq!(why(&all, verb, kind_object(verb)), Some(Why::PersonOnly(verb)));
    }
    // A person's token is the person.
    let own = Object::Suppression { by: "anna" };
    assert_eq!(why(&all, Verb::SuppressionReview, own), Some(Why::OwnWork));
}

#[test]
fn a_password_alone_contains_nothing() {
    let weak = Actor::person("anna", roles(&[Role::T3, Role::ResponderAdmin]), false);
    for verb in [
        Verb::ContainmentApprove,
        Verb::ContainmentApply,
        Verb::ContainmentUndo,
        Verb::EvidenceCollect,
        Verb::UserManage,
        Verb::ConnectorConfigure,
    ] {
        assert_eq!(why(&weak, verb, kind_object(verb)), Some(Why::SecondFactor(verb)));
    }
    assert_eq!(why(&weak, Verb::ContainmentPropose, kind_object(Verb::ContainmentPropose)), None);
    assert_eq!(
        why(&weak, Verb::SelfManage, Object::Person { id: "anna" }),
        None,
        "or nobody could add a factor"
    );
}

#[test]
fn accounts_of_others_and_ones_own() {
    let admin = person(&[Role::ResponderAdmin]);
    assert_eq!(why(&admin, Verb::UserManage, Object::Person { id: "anna" }), Some(Why::Oneself));
    assert_eq!(why(&admin, Verb::SelfManage, Object::Person { id: "bert" }), Some(Why::Another));
    assert_eq!(why(&admin, Verb::TokenOwn, Object::Token { of: "bert" }), Some(Why::Another));
}

#[test]
fn l1_closes_until_the_case_is_handed_on() {
    let case = Object::Case(Case { escalated: true, ..Case::default() });
    assert_eq!(why(&person(&[Role::L1]), Verb::CaseClose, case), Some(Why::Escalated));
    assert_eq!(why(&person(&[Role::L1, Role::T2]), Verb::CaseClose, case), None);
}

#[test]
fn an_automation_has_what_both_have() {
    let plan = Object::Plan(Plan { proposer: "bert", approved: true, ..Plan::default() });
    let author = person(&[Role::T2]);
    let mut approver = Actor { id: "bert".into(), ..person(&[Role::T3]) };
    assert!(allows_both(&author, &approver, Verb::ContainmentApply, &plan).is_allowed());
    approver.roles = Roles::NONE;
    assert!(!allows_both(&author, &approver, Verb::ContainmentApply, &plan).is_allowed());
    assert!(!allows_both(&approver, &author, Verb::ContainmentApply, &plan).is_allowed());
}

#[test]
fn the_wrong_object_is_refused_and_reasons_name_what_helps() {
    let t3 = person(&[Role::T3]);
    assert!(matches!(why(&t3, Verb::ContainmentApprove, Object::Service), Some(Why::Kind { .. })));
    let denied = why(&person(&[Role::Viewer]), Verb::CaseClose, kind_object(Verb::CaseClose)).unwrap();
    assert_eq!(denied.to_string(), "case.close takes one of: L1, T2, T3");
}

#[test]
fn lists_are_made_of_what_is_seen() {
    assert_eq!(cases_seen(&person(&[Role::ResponderAdmin])), CasesSeen::None);
    assert_eq!(cases_seen(&person(&[Role::Auditor])), CasesSeen::All);
    let seen = cases_seen(&person(&[Role::L1]));
    assert_eq!(seen, CasesSeen::OpenAndOwn { id: "anna".into(), red_without_members: false });
}

/// `UPDATE=1 cargo test -p portreeve-access` writes the page anew.
#[test]
fn the_page_is_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/roles.md");
    let page = format!(
        "# Roles\n\nMade from the table in `crates/access/src/permit/table.rs`: \
         `UPDATE=1 cargo test -p portreeve-access` renews it.\n\n{}",
        markdown()
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/roles.md is stale: UPDATE=1 cargo test -p portreeve-access");
}

fn any_roles() -> impl Strategy<Value = Roles> {
    proptest::sample::subsequence(Role::ALL.to_vec(), 0..=7).prop_map(|r| r.into_iter().collect())
}

fn any_actor() -> impl Strategy<Value = Actor> {
    let by = prop_oneof![
        any::<bool>().prop_map(|second_factor| By::Session { second_factor }),
        (
            proptest::sample::subsequence(Verb::ALL.to_vec(), 0..=Verb::ALL.len()),
            proptest::option::of(proptest::sample::select(vec!["vpn".to_owned(), "dns".to_owned()]))
        )
            .prop_map(|(verbs, source)| By::Token { scope: verbs.into_iter().collect(), source }),
    ];
    let id = proptest::sample::select(vec!["anna".to_owned(), "bert".to_owned(), "carl".to_owned()]);
    (id, any_roles(), by).prop_map(|(id, roles, by)| Actor { id, roles, by })
}

prop_compose! {
    fn any_facts()(
        members in proptest::sample::subsequence(vec!["anna".to_owned(), "bert".to_owned()], 0..=2),
        changed in proptest::sample::subsequence(vec!["anna".to_owned(), "bert".to_owned()], 0..=2),
        tlp in proptest::sample::select(Tlp::ALL.to_vec()),
        pap in proptest::sample::select(Pap::ALL.to_vec()),
        bits in any::<[bool; 3]>(),
        author in proptest::sample::select(vec!["anna", "bert"]),
    ) -> (Vec<String>, Vec<String>, Tlp, Pap, [bool; 3], &'static str) {
        (members, changed, tlp, pap, bits, author)
    }
}

proptest! {
    #[test]
    fn no_role_takes_a_right_away(
        actor in any_actor(),
        facts in any_facts(),
        verb in proptest::sample::select(Verb::ALL.to_vec()),
        more in proptest::sample::select(Role::ALL.to_vec()),
    ) {
        let (members, changed, tlp, pap, [escalated, takes_t3, approved], author) = facts;
        let case = Case { members: &members, tlp, pap, escalated };
        let plan = Plan { case, proposer: author, takes_t3, approved, connectors_changed_by: &changed };
        let object = match verb.kind() {
            Kind::Service => Object::Service,
            Kind::Case => Object::Case(case),
            Kind::Plan => Object::Plan(plan),
            Kind::Change => Object::Change { by: author },
            Kind::Suppression => Object::Suppression { by: author },
            Kind::Person => Object::Person { id: author },
            Kind::Token => Object::Token { of: author },
            Kind::Source => Object::Source { id: "vpn" },
        };
        let now = allows(&actor, verb, &object).is_allowed();
        let wider = Actor { roles: actor.roles.with(more), ..actor.clone() };
        prop_assert!(!now || allows(&wider, verb, &object).is_allowed(), "{:?} loses {} by {}", actor, verb, more);
        // What holds for a token's scope holds for a session as well, save that a session needs its second factor.
        if now && verb != Verb::IngestWrite {
            let person = Actor::person(actor.id.clone(), actor.roles, true);
            prop_assert!(allows(&person, verb, &object).is_allowed());
        }
        // Invariants, whatever the roles.
        if now && verb == Verb::ContainmentApprove {
            prop_assert!(author != actor.id && !changed.contains(&actor.id) && pap <= Pap::Green);
        }
        if now && !verb.reads() && object.case().is_some() && !members.is_empty() {
            prop_assert!(members.contains(&actor.id));
        }
        // The list says what the single question says.
        if verb == Verb::CaseRead && matches!(actor.by, By::Session { .. }) {
            let listed = match cases_seen(&actor) {
                CasesSeen::None => false,
                CasesSeen::All => true,
                CasesSeen::OpenAndOwn { id, red_without_members } => {
                    if members.is_empty() { tlp != Tlp::Red || red_without_members } else { members.contains(&id) }
                }
            };
            prop_assert_eq!(now, listed);
        }
    }
}
