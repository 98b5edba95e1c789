//! What the engine says and what people make of it, side by side.

use crate::lab::{ANNA, Lab, Said, anna, both};
use portreeve_model::answer::Decision;
use portreeve_store::case::engine::{self, Taken, Turn};
use portreeve_store::case::entity::{self, Entity, Kind};
use portreeve_store::case::merge;
use portreeve_store::case::work::{self, Closing};
use portreeve_store::case::{self, Disposition, Status, Tier, Viewer, document, snapshot, timeline};
use portreeve_store::people::{self, NewPerson};
use portreeve_store::{CaseId, Error, PersonId};
use std::collections::BTreeSet;

both!(
    the_same_thing_twice_is_nothing_new,
    evidence_is_added_without_a_new_revision,
    a_verdict_that_changes_is_kept,
    the_engine_leaves_the_analysts_alone,
    a_closed_case_comes_up_again,
    what_is_withdrawn_says_so_and_may_come_back,
    an_older_reading_is_not_taken,
    one_case_takes_over_others,
    two_who_change_a_case_at_once,
    closing_asks_what_it_was,
    escalation_freezes_what_was_known,
    merging_is_undone_in_any_order,
    related_cases_say_why,
    hostile_names_are_kept_as_they_are,
    documents_come_back_byte_for_byte,
    restricting_names_who_may_see,
);

fn person(lab: &Lab, name: &str) -> PersonId {
    let roles = BTreeSet::from(["l1".to_owned()]);
    let new = NewPerson { name, display: name, zone: "UTC", roles: &roles, password_hash: None, oidc: None };
    lab.store.write(|tx| people::create(tx, &new, 1)).unwrap().id
}

fn get(lab: &Lab, id: CaseId) -> case::Case {
    lab.store.read(|tx| case::get(tx, id)).unwrap()
}

fn told(lab: &Lab, id: CaseId) -> Vec<String> {
    let entries = lab.store.read(|tx| timeline::of_case(tx, id, None, 100)).unwrap();
    entries.into_iter().map(|e| e.said).collect()
}

fn close(lab: &Lab, id: CaseId, at: i64) -> case::Case {
    let revision = get(lab, id).revision;
    let closing =
        Closing { disposition: Disposition::BenignPositive, reason: "a known trip", leave_tasks: false };
    lab.store.write(|tx| work::close(tx, id, revision, &closing, anna(at))).unwrap()
}

fn the_same_thing_twice_is_nothing_new(lab: &Lab) {
    let said = Said::new(1);
    let id = said.create(&lab.store);
    assert_eq!(id, CaseId(1), "numbers begin at one");
    let before = get(lab, id);
    assert_eq!(said.take(&lab.store, 2_000), Taken::Unchanged(id));
    assert_eq!(get(lab, id), before);
    assert_eq!(told(lab, id), ["investigate: a login from a new place"]);
    assert_eq!((before.status, before.tier, before.revision), (Status::New, Tier::L1, 1));
}

fn evidence_is_added_without_a_new_revision(lab: &Lab) {
    let mut said = Said::new(1);
    let id = said.create(&lab.store);
    let before = get(lab, id);
    said.document = "{\"more\":1}".into();
    said.last_seen = 900;
    said.entities.push(Entity::new(Kind::Host, "FILE01"));
    assert_eq!(said.take(&lab.store, 2_000), Taken::Refreshed(id));
    let after = get(lab, id);
    assert_eq!((after.revision, after.verdicts), (before.revision, 0));
    assert_eq!((after.last_seen, after.updated_at), (900, 2_000));
    assert!(after.change > before.change);
    let documents = lab.store.read(|tx| document::of_case(tx, id)).unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].text, said.document);
    let found = lab.store.read(|tx| entity::cases_with(tx, Kind::Host, "file01", Viewer::All, 9)).unwrap();
    assert_eq!(found, [id]);
    // What an entity no longer says is no longer found.
    said.entities.pop();
    assert_eq!(said.take(&lab.store, 3_000), Taken::Refreshed(id));
    assert!(
        lab.store.read(|tx| entity::cases_with(tx, Kind::Host, "file01", Viewer::All, 9)).unwrap().is_empty()
    );
}

fn a_verdict_that_changes_is_kept(lab: &Lab) {
    let mut said = Said::new(1);
    let id = said.create(&lab.store);
    let first = said.document.clone();
    let turns = [
        (Decision::Escalate, "E1 E3", false, Turn::Raised),
        (Decision::Escalate, "E1 E2 E3", false, Turn::Changed),
        (Decision::Escalate, "E3", true, Turn::Late),
        (Decision::Investigate, "E3", true, Turn::Lowered),
    ];
    for ((decision, verdict, late, turn), n) in turns.into_iter().zip(1_i64..) {
        said.decision = decision;
        said.verdict = verdict.into();
        said.late = late;
        said.why = format!("reason {n}");
        said.document = format!("{{\"n\":{n}}}");
        assert_eq!(said.take(&lab.store, 2_000 + n), Taken::Revised(id, turn, n));
        let case = get(lab, id);
        assert_eq!((case.verdicts, case.verdict_at, case.revision), (n, 2_000 + n, 1 + n));
        assert_eq!(case.decision, decision);
    }
    let verdicts = lab.store.read(|tx| engine::verdicts(tx, id)).unwrap();
    assert_eq!(verdicts.iter().map(|v| v.turn).collect::<Vec<_>>(), turns.map(|t| t.3));
    assert_eq!(verdicts.iter().map(|v| v.late).collect::<Vec<_>>(), turns.map(|t| t.2));
    assert_eq!(
        (verdicts[0].decision_before, verdicts[0].decision_after),
        (Decision::Investigate, Decision::Escalate)
    );
    let olds: Vec<String> =
        verdicts.iter().map(|v| lab.store.read(|tx| document::text(tx, v.before)).unwrap()).collect();
    assert_eq!(olds, [first.as_str(), "{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
    assert!(told(lab, id).contains(&"raised from investigate to escalate: reason 1".to_owned()));
}

fn the_engine_leaves_the_analysts_alone(lab: &Lab) {
    let mut said = Said::new(1);
    let id = said.create(&lab.store);
    let owner = person(lab, "anna");
    let mut case = lab.store.write(|tx| work::assign(tx, id, 1, Some(owner), ANNA)).unwrap();
    assert_eq!(case.status, Status::Open, "who takes a case has opened it");
    case = lab.store.write(|tx| work::set_status(tx, id, case.revision, Status::Waiting, ANNA)).unwrap();
    case = lab
        .store
        .write(|tx| {
            let (tlp, pap) = (case::Tlp::Red, case::Pap::Green);
            work::set_sharing(tx, id, case.revision, tlp, pap, ANNA)
        })
        .unwrap();
    said.decision = Decision::Escalate;
    said.verdict = "E2".into();
    said.take(&lab.store, 5_000);
    let after = get(lab, id);
    let people = |c: &case::Case| (c.status, c.owner, c.tier, c.tlp, c.pap, c.disposition, c.restricted);
    assert_eq!(people(&after), people(&case));
    assert_eq!(after.decision, Decision::Escalate);
}

fn a_closed_case_comes_up_again(lab: &Lab) {
    let mut said = Said::new(1);
    let id = said.create(&lab.store);
    close(lab, id, 2_000);
    said.document = "{}".into();
    said.take(&lab.store, 3_000);
    assert!(!get(lab, id).queued(), "more of the same does not bring it back");
    said.verdict = "none".into();
    said.decision = Decision::Close;
    said.take(&lab.store, 3_500);
    assert!(!get(lab, id).queued(), "less does not either");
    said.verdict = "E4".into();
    said.decision = Decision::Escalate;
    said.take(&lab.store, 4_000);
    let case = get(lab, id);
    assert_eq!((case.status, case.resurfaced, case.queued()), (Status::Closed, true, true));
    assert_eq!(case.disposition, Some(Disposition::BenignPositive), "what people said stays");
    let case =
        lab.store.write(|tx| work::stays_closed(tx, id, case.revision, "looked at it", anna(5_000))).unwrap();
    assert!(!case.queued());
    let error =
        lab.store.write(|tx| work::stays_closed(tx, id, case.revision, "again", anna(5_000))).unwrap_err();
    assert!(matches!(error, Error::NotNow(_)), "{error}");
}

fn what_is_withdrawn_says_so_and_may_come_back(lab: &Lab) {
    let said = Said::new(1);
    let id = said.create(&lab.store);
    let withdraw =
        || lab.store.write(|tx| engine::withdraw(tx, "c-1", "an approved trip", true, 2_000)).unwrap();
    assert_eq!(withdraw(), Some(Taken::Revised(id, Turn::Withdrawn, 1)));
    assert_eq!(withdraw(), Some(Taken::Unchanged(id)));
    let case = get(lab, id);
    assert_eq!(
        (case.decision, case.risk.points(), case.title.as_str()),
        (Decision::Close, 0.0, "Case of user1")
    );
    assert_eq!(case.status, Status::New, "closing it is for people");
    assert_eq!(lab.store.write(|tx| engine::withdraw(tx, "c-99", "x", false, 1)).unwrap(), None);
    assert_eq!(said.take(&lab.store, 3_000), Taken::Revised(id, Turn::Raised, 2));
}

fn an_older_reading_is_not_taken(lab: &Lab) {
    let mut said = Said::new(1);
    said.as_of = 10;
    let id = said.create(&lab.store);
    said.as_of = 9;
    said.title = "old".into();
    assert_eq!(said.take(&lab.store, 2_000), Taken::Stale(id));
    assert_eq!(get(lab, id).title, "Case of user1");
}

fn one_case_takes_over_others(lab: &Lab) {
    let (first, second) = (Said::new(1), Said::new(2));
    let (one, two) = (first.create(&lab.store), second.create(&lab.store));
    let mut joined = Said::new(3);
    joined.supersedes = vec!["c-2".into(), "c-1".into()];
    assert_eq!(
        joined.take(&lab.store, 2_000),
        Taken::Refreshed(one),
        "the oldest goes on; its verdict is the same"
    );
    let documents = lab.store.read(|tx| document::of_case(tx, one)).unwrap();
    assert_eq!(documents[0].engine_id, "c-3");
    assert_eq!(lab.store.read(|tx| case::of_engine(tx, "c-3")).unwrap(), Some(one));
    let verdicts = lab.store.read(|tx| engine::verdicts(tx, two)).unwrap();
    assert_eq!(verdicts.len(), 1);
    assert_eq!((verdicts[0].turn, verdicts[0].why.as_str()), (Turn::Withdrawn, "it is part of case 1 now"));
    assert_eq!(get(lab, two).decision, Decision::Close);
    joined.verdict = "E9".into();
    assert_eq!(joined.take(&lab.store, 2_500), Taken::Revised(one, Turn::Changed, 1));
}

fn two_who_change_a_case_at_once(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let read = get(lab, id).revision;
    lab.store.write(|tx| work::set_status(tx, id, read, Status::Open, ANNA)).unwrap();
    let late = lab.store.write(|tx| work::set_status(tx, id, read, Status::Waiting, ANNA)).unwrap_err();
    assert!(matches!(&late, Error::Conflict { what: "case", now: 2, .. }), "{late}");
    assert_eq!(get(lab, id).status, Status::Open);
    // Nobody closes a case on a verdict that they have not seen.
    let mut said = Said::new(1);
    said.verdict = "E2".into();
    said.take(&lab.store, 2_000);
    let closing = Closing { disposition: Disposition::Undetermined, reason: "old", leave_tasks: false };
    let late = lab.store.write(|tx| work::close(tx, id, 2, &closing, ANNA)).unwrap_err();
    assert!(matches!(&late, Error::Conflict { now: 3, .. }), "{late}");
    let missing = lab.store.write(|tx| work::set_status(tx, CaseId(9), 1, Status::Open, ANNA)).unwrap_err();
    assert!(matches!(&missing, Error::NotFound { .. }), "{missing}");
}

fn closing_asks_what_it_was(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let closing =
        |reason| Closing { disposition: Disposition::FalsePositiveLogic, reason, leave_tasks: false };
    let silent = lab.store.write(|tx| work::close(tx, id, 1, &closing("  "), ANNA)).unwrap_err();
    assert!(matches!(&silent, Error::Invalid { .. }), "{silent}");
    let by_status = lab.store.write(|tx| work::set_status(tx, id, 1, Status::Closed, ANNA)).unwrap_err();
    assert!(matches!(&by_status, Error::Invalid { .. }), "{by_status}");
    assert_eq!(get(lab, id).revision, 1, "what failed left nothing");
    let case = lab.store.write(|tx| work::close(tx, id, 1, &closing("wrong"), anna(3_000))).unwrap();
    assert_eq!((case.status, case.closed_at), (Status::Closed, Some(3_000)));
    assert_eq!(case.closing_reason.as_deref(), Some("wrong"));
    for refused in [
        lab.store.write(|tx| work::close(tx, id, 2, &closing("twice"), ANNA)),
        lab.store.write(|tx| work::assign(tx, id, 2, None, ANNA)),
    ] {
        assert!(matches!(refused, Err(Error::NotNow(_))), "{refused:?}");
    }
    let case = lab.store.write(|tx| work::reopen(tx, id, 2, "not so", ANNA)).unwrap();
    assert_eq!((case.status, case.disposition, case.closing_reason), (Status::Open, None, None));
    assert!(
        told(lab, id).contains(&"closed as false_positive_logic: wrong".to_owned()),
        "what was said stays"
    );
}

fn escalation_freezes_what_was_known(lab: &Lab) {
    let mut said = Said::new(1);
    let id = said.create(&lab.store);
    let known = said.document.clone();
    let (case, frozen) =
        lab.store.write(|tx| work::escalate(tx, id, 1, Tier::T2, "lateral movement", ANNA)).unwrap();
    assert_eq!((case.tier, case.status, case.revision), (Tier::T2, Status::Open, 2));
    said.document = "{\"later\":true}".into();
    said.take(&lab.store, 2_000);
    said.document = "{\"later\":2}".into();
    said.take(&lab.store, 3_000);
    let kept = lab.store.read(|tx| snapshot::documents(tx, frozen)).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].text, known);
    let snapshots = lab.store.read(|tx| snapshot::of_case(tx, id)).unwrap();
    assert_eq!(snapshots[0].reason, "lateral movement");
    assert!(snapshots[0].state.contains("\"tier\":\"l1\""), "{}", snapshots[0].state);
    let down = lab.store.write(|tx| work::escalate(tx, id, 2, Tier::T2, "again", ANNA)).unwrap_err();
    assert!(matches!(down, Error::NotNow(_)), "{down}");
    assert_eq!(
        lab.store.read(|tx| snapshot::of_case(tx, id)).unwrap().len(),
        1,
        "a refused one freezes nothing"
    );
    let case = lab.store.write(|tx| work::hand_back(tx, id, 2, Tier::L1, "no sign of it", ANNA)).unwrap();
    assert_eq!(case.tier, Tier::L1);
    // Somebody who has the database in hand.
    lab.tamper(
        "documents",
        "update documents set sha256 = (select sha256 from documents order by id desc limit 1)",
    );
    let error = lab.store.read(|tx| snapshot::documents(tx, frozen)).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

fn merging_is_undone_in_any_order(lab: &Lab) {
    let mut strong = Said::new(3);
    strong.decision = Decision::Escalate;
    strong.risk = 90.0;
    let ids = [Said::new(1).create(&lab.store), Said::new(2).create(&lab.store), strong.create(&lab.store)];
    let [a, b, c] = ids;
    let before = ids.map(|id| get(lab, id));
    let at = |id| (id, get(lab, id).revision);
    let merged = lab.store.write(|tx| merge::merge(tx, at(a), at(b), "one attacker", ANNA)).unwrap();
    assert_eq!(merged.decision, Decision::Investigate);
    let merged = lab.store.write(|tx| merge::merge(tx, at(c), at(a), "him too", ANNA)).unwrap();
    assert_eq!((merged.decision, merged.risk.points()), (Decision::Escalate, 90.0));
    assert_eq!(lab.store.read(|tx| merge::merged(tx, c)).unwrap(), [a, b]);
    assert_eq!(lab.store.read(|tx| document::of_case(tx, c)).unwrap().len(), 3);
    assert!(!get(lab, a).queued() && !get(lab, b).queued());
    // The engine goes on: what it says belongs to the case that goes on.
    let mut more = Said::new(2);
    more.risk = 99.0;
    assert_eq!(more.take(&lab.store, 3_000), Taken::Refreshed(c));
    assert_eq!(get(lab, c).risk.points(), 99.0);
    let again = lab.store.write(|tx| merge::merge(tx, at(c), at(b), "twice", ANNA)).unwrap_err();
    assert!(matches!(again, Error::NotNow(_)), "{again}");
    let itself = lab.store.write(|tx| merge::merge(tx, at(c), at(c), "itself", ANNA)).unwrap_err();
    assert!(matches!(itself, Error::Invalid { .. }), "{itself}");
    let refused = lab.store.write(|tx| work::assign(tx, a, at(a).1, None, ANNA)).unwrap_err();
    assert!(matches!(refused, Error::NotNow(_)), "{refused}");
    assert_eq!(told(lab, c).iter().filter(|t| t.contains("a login from a new place")).count(), 3);

    let out = lab.store.write(|tx| merge::unmerge(tx, b, at(b).1, "another one", ANNA)).unwrap();
    assert_eq!((out.risk.points(), out.merged_into), (99.0, None));
    assert_eq!(get(lab, c).risk.points(), 90.0);
    lab.store.write(|tx| merge::unmerge(tx, a, at(a).1, "and he", ANNA)).unwrap();
    for (was, id) in before.iter().zip(ids) {
        let now = get(lab, id);
        let engine =
            |c: &case::Case| (c.title.clone(), c.decision, c.first_seen, c.status, c.owner, c.queued());
        assert_eq!(engine(&now), engine(was));
    }
}

fn related_cases_say_why(lab: &Lab) {
    let mut said: Vec<Said> = (1..=4).map(Said::new).collect();
    for s in &mut said {
        s.entities.push(Entity::new(Kind::Gateway, "vpn1"));
    }
    said[0].entities.push(Entity::new(Kind::Address, "2001:DB8::0007"));
    said[1].entities.push(Entity::new(Kind::Address, "2001:db8::7"));
    for n in [0, 1, 2] {
        said[n].entities.push(Entity::new(Kind::Device, "LAPTOP-7"));
    }
    let ids: Vec<CaseId> = said.iter().map(|s| s.create(&lab.store)).collect();
    let related = lab.store.read(|tx| entity::related(tx, ids[0], Viewer::All, 10)).unwrap();
    assert_eq!(
        related.iter().map(|r| r.case).collect::<Vec<_>>(),
        [ids[1], ids[2]],
        "a gateway relates nobody"
    );
    let shared: Vec<(Kind, usize)> = related[0].shared.iter().map(|(e, n)| (e.kind, *n)).collect();
    assert_eq!(shared, [(Kind::Address, 2), (Kind::Device, 3)]);
    let found =
        lab.store.read(|tx| entity::cases_with(tx, Kind::Address, "2001:db8:0::7", Viewer::All, 10)).unwrap();
    assert_eq!(found, [ids[1], ids[0]]);
}

fn hostile_names_are_kept_as_they_are(lab: &Lab) {
    let names = [
        "nul \0 in the middle",
        "\u{10FFFF}0 looks like ours",
        "'; drop table cases; --",
        "\u{202E}gnp.exe\u{1b}[2J<script>",
        "100%_\\",
        &"x".repeat(20_000),
        &"\u{1F480}".repeat(2_000),
    ];
    for (name, n) in names.iter().zip(1..) {
        let mut said = Said::new(n);
        said.principal = (*name).into();
        said.title = format!("Case of {name}");
        said.entities = vec![Entity::new(Kind::Principal, *name), Entity::new(Kind::Device, *name)];
        let id = said.create(&lab.store);
        let case = get(lab, id);
        assert_eq!(case.principal, *name);
        assert_eq!(case.title, said.title);
        let found = lab.store.read(|tx| entity::cases_with(tx, Kind::Device, name, Viewer::All, 9)).unwrap();
        assert_eq!(found, [id]);
        let entities = lab.store.read(|tx| entity::of_case(tx, id)).unwrap();
        assert!(entities.iter().all(|e| e.value == *name));
        let query = case::list::Query { text: Some(&name[..name.len().min(16)]), ..Default::default() };
        let page = lab.store.read(|tx| case::list::page(tx, &query, None, 10)).unwrap();
        let found = page.cases.iter().any(|c| c.id == id);
        // Words longer than what is searched are found by nothing else than their entities.
        assert!(found || name.len() > 8_000, "{n}");
    }
}

fn documents_come_back_byte_for_byte(lab: &Lab) {
    let mut said = Said::new(1);
    said.document = format!(
        "{{ \"b\" : 1,\n\t\"a\":\"\\u0000\\ud83d\\ude00é\", \"long\": \"{}\" }}",
        "ab".repeat(200_000)
    );
    let id = said.create(&lab.store);
    let documents = lab.store.read(|tx| document::of_case(tx, id)).unwrap();
    assert!(documents[0].text == said.document);
}

fn restricting_names_who_may_see(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let (a, b) = (person(lab, "a"), person(lab, "b"));
    let case = lab.store.write(|tx| work::restrict(tx, id, 1, Some(&[a, b]), ANNA)).unwrap();
    assert!(case.restricted);
    assert_eq!(lab.store.read(|tx| case::members(tx, id)).unwrap(), [a, b]);
    lab.store.write(|tx| work::restrict(tx, id, 2, Some(&[b]), ANNA)).unwrap();
    assert_eq!(lab.store.read(|tx| case::members(tx, id)).unwrap(), [b]);
    let nobody = lab.store.write(|tx| work::restrict(tx, id, 3, Some(&[PersonId(99)]), ANNA)).unwrap_err();
    assert!(matches!(nobody, Error::NotFound { .. }), "{nobody}");
    assert_eq!(lab.store.read(|tx| case::members(tx, id)).unwrap(), [b], "all or nothing");
}
