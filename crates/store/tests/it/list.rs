//! Lists: in order, filtered, page by page while others write.

use crate::lab::{ANNA, Lab, Said, anna, both};
use portreeve_model::answer::Decision;
use portreeve_store::case::entity::{Entity, Kind};
use portreeve_store::case::list::{self, Cursor, Order, Owner, Query, Standing};
use portreeve_store::case::work::{self, Closing};
use portreeve_store::case::{self, Disposition, Status, Tier, Viewer, clock, decision, entity, note};
use portreeve_store::people::{self, NewPerson};
use portreeve_store::{CaseId, Error, PersonId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

both!(
    the_queue_is_in_order,
    filters_leave_out_what_does_not_fit,
    words_are_found_where_they_stand,
    restricted_cases_are_seen_by_their_members,
    followers_hear_every_change_once,
    paging_gives_every_row_once_while_others_come,
    a_cursor_of_another_list_is_refused,
);

fn page(lab: &Lab, query: &Query<'_>) -> Vec<i64> {
    let page = lab.store.read(|tx| list::page(tx, query, None, 100)).unwrap();
    assert_eq!(lab.store.read(|tx| list::count(tx, query)).unwrap(), page.cases.len() as i64);
    page.cases.iter().map(|c| c.id.0).collect()
}

fn made(lab: &Lab, n: usize, decision: Decision, risk: f64, last_seen: i64) -> CaseId {
    let mut said = Said::new(n);
    (said.decision, said.risk, said.last_seen) = (decision, risk, last_seen);
    said.create(&lab.store)
}

fn person(lab: &Lab, name: &str) -> PersonId {
    let roles = BTreeSet::new();
    let new = NewPerson { name, display: name, zone: "UTC", roles: &roles, password_hash: None, oidc: None };
    lab.store.write(|tx| people::create(tx, &new, 1)).unwrap().id
}

fn revision(lab: &Lab, id: CaseId) -> i64 {
    lab.store.read(|tx| case::get(tx, id)).unwrap().revision
}

fn the_queue_is_in_order(lab: &Lab) {
    made(lab, 1, Decision::Investigate, 99.0, 500);
    made(lab, 2, Decision::Escalate, 60.0, 500);
    made(lab, 3, Decision::Escalate, 60.0, 900);
    made(lab, 4, Decision::Escalate, 60.0, 900);
    made(lab, 5, Decision::Escalate, 60.001, 200);
    assert_eq!(page(lab, &Query::default()), [5, 4, 3, 2, 1]);
    assert_eq!(page(lab, &Query { queue: Some(Decision::Investigate), ..Query::default() }), [1]);
    // What people decide counts.
    lab.store.write(|tx| decision::decide(tx, CaseId(1), 1, Decision::Escalate, "I know him", ANNA)).unwrap();
    assert_eq!(page(lab, &Query::default()), [1, 5, 4, 3, 2]);
    let due =
        |n, at| lab.store.write(|tx| clock::start(tx, CaseId(n), clock::Kind::Acknowledge, 1, at)).unwrap();
    due(3, 7_000);
    due(2, 6_000);
    assert_eq!(page(lab, &Query { order: Order::Due, ..Query::default() }), [2, 3, 1, 4, 5]);
    assert_eq!(page(lab, &Query { due_before: Some(6_500), ..Query::default() }), [2]);
    let counts = lab.store.read(|tx| list::counts(tx, Viewer::All)).unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!((counts[0].queue, counts[0].tier, counts[0].cases), (Decision::Escalate, Tier::L1, 5));
}

fn filters_leave_out_what_does_not_fit(lab: &Lab) {
    for n in 1..=4 {
        made(lab, n, Decision::Escalate, 50.0, 1_000 - n as i64);
    }
    let owner = person(lab, "anna");
    lab.store.write(|tx| work::assign(tx, CaseId(2), 1, Some(owner), anna(5_000))).unwrap();
    lab.store.write(|tx| work::escalate(tx, CaseId(3), 1, Tier::T2, "x", anna(6_000))).unwrap();
    let closing = Closing { disposition: Disposition::BenignPositive, reason: "x", leave_tasks: false };
    lab.store.write(|tx| work::close(tx, CaseId(4), 1, &closing, anna(7_000))).unwrap();
    let all = Query { standing: Standing::All, ..Query::default() };
    let with = |query: Query<'_>| page(lab, &query);
    assert_eq!(with(all.clone()), [1, 2, 3, 4]);
    assert_eq!(with(Query::default()), [1, 2, 3]);
    assert_eq!(with(Query { standing: Standing::Closed, ..all.clone() }), [4]);
    assert_eq!(with(Query { owner: Owner::Is(owner), ..all.clone() }), [2]);
    assert_eq!(with(Query { owner: Owner::Nobody, ..all.clone() }), [1, 3, 4]);
    assert_eq!(with(Query { tier: Some(Tier::T2), ..all.clone() }), [3]);
    assert_eq!(with(Query { status: Some(Status::New), ..all.clone() }), [1]);
    assert_eq!(with(Query { disposition: Some(Disposition::BenignPositive), ..all.clone() }), [4]);
    assert_eq!(with(Query { principal: Some("USER3"), ..all.clone() }), [3]);
    assert_eq!(with(Query { address: Some("::ffff:198.51.100.2"), ..all.clone() }), [2]);
    assert_eq!(with(Query { entity: Some((Kind::Principal, "user4")), ..all.clone() }), [4]);
    assert_eq!(with(Query { entity: Some((Kind::Host, "user4")), ..all.clone() }), [0; 0]);
    assert_eq!(with(Query { updated_since: Some(6_000), ..all.clone() }), [3, 4]);
    assert_eq!(with(Query { order: Order::Updated, ..all.clone() }), [4, 3, 2, 1]);
    assert_eq!(with(Query { order: Order::Created, ..all.clone() }), [4, 3, 2, 1]);
    assert_eq!(with(Query { resurfaced: true, ..all }), [0; 0]);
}

fn words_are_found_where_they_stand(lab: &Lab) {
    let mut said = Said::new(1);
    said.title = "VPN login of Jörg Müller, 100%_sure".into();
    said.entities.push(Entity::new(Kind::Host, "FILE\0SERVER"));
    said.create(&lab.store);
    made(lab, 2, Decision::Escalate, 1.0, 200);
    let text = |text: &str| page(lab, &Query { text: Some(text), ..Query::default() });
    assert_eq!(text("MÜLLER"), [1]);
    assert_eq!(text("100%_"), [1]);
    assert_eq!(text("1_0"), [0; 0], "signs of patterns are plain");
    assert_eq!(text("file\0s"), [1]);
    assert_eq!(text("#2"), [2]);
    assert_eq!(text("198.51.100.2"), [2]);
    lab.store.write(|tx| note::write(tx, CaseId(2), "called Ingrid", ANNA)).unwrap();
    assert_eq!(text("ingrid"), [2]);
    lab.store.write(|tx| note::delete(tx, portreeve_store::NoteId(1), 1, ANNA)).unwrap();
    assert_eq!(text("ingrid"), [0; 0]);
}

fn restricted_cases_are_seen_by_their_members(lab: &Lab) {
    for n in 1..=3 {
        made(lab, n, Decision::Escalate, 50.0, 1_000 - n as i64);
    }
    let [owner, member, other] = ["o", "m", "x"].map(|name| person(lab, name));
    lab.store.write(|tx| work::assign(tx, CaseId(2), 1, Some(owner), ANNA)).unwrap();
    lab.store.write(|tx| work::restrict(tx, CaseId(2), 2, Some(&[member]), ANNA)).unwrap();
    let seen = |viewer| page(lab, &Query { viewer, ..Query::default() });
    assert_eq!(seen(Viewer::All), [1, 2, 3]);
    assert_eq!(seen(Viewer::Person(owner)), [1, 2, 3]);
    assert_eq!(seen(Viewer::Person(member)), [1, 2, 3]);
    assert_eq!(seen(Viewer::Person(other)), [1, 3]);
    for (viewer, sees) in [
        (Viewer::All, true),
        (Viewer::Person(owner), true),
        (Viewer::Person(member), true),
        (Viewer::Person(other), false),
    ] {
        assert_eq!(lab.store.read(|tx| case::is_visible(tx, CaseId(2), viewer)).unwrap(), sees);
        assert!(!lab.store.read(|tx| case::is_visible(tx, CaseId(9), viewer)).unwrap());
        let find = |tx: &mut portreeve_store::Tx<'_>| {
            entity::cases_with(tx, Kind::Address, "198.51.100.2", viewer, 9)
        };
        assert_eq!(lab.store.read(find).unwrap().len(), usize::from(sees));
    }
    let counted = lab.store.read(|tx| list::counts(tx, Viewer::Person(other))).unwrap();
    assert_eq!(counted.iter().map(|c| c.cases).sum::<i64>(), 2);
}

/// Whatever the clocks of the nodes say.
fn followers_hear_every_change_once(lab: &Lab) {
    for n in 1..=3 {
        Said::new(n).take(&lab.store, 9_000 - n as i64);
    }
    let query = Query { order: Order::Change, standing: Standing::All, ..Query::default() };
    let after = |change| {
        let page =
            lab.store.read(|tx| list::page(tx, &query, Some(&list::after_change(change)), 100)).unwrap();
        page.cases.iter().map(|c| c.id.0).collect::<Vec<_>>()
    };
    assert_eq!(after(0), [1, 2, 3]);
    let mut last = lab.store.read(list::last_change).unwrap();
    assert_eq!(after(last), [0; 0]);
    type Doing = fn(&Lab);
    let doings: [(Doing, i64); 5] = [
        (|lab| drop(lab.store.write(|tx| note::write(tx, CaseId(2), "n", anna(5))).unwrap()), 2),
        (|lab| drop(lab.store.write(|tx| work::set_status(tx, CaseId(1), 1, Status::Open, anna(4)))), 1),
        (|lab| drop(lab.store.write(|tx| clock::start(tx, CaseId(3), clock::Kind::Contain, 1, 9))), 3),
        (
            |lab| {
                let mut said = Said::new(3);
                said.document = "{}".into();
                said.take(&lab.store, 3);
            },
            3,
        ),
        (
            |lab| {
                let at = |n| (CaseId(n), revision(lab, CaseId(n)));
                lab.store.write(|tx| case::merge::merge(tx, at(1), at(2), "x", anna(2))).unwrap();
            },
            2,
        ),
    ];
    for (doing, case) in doings {
        doing(lab);
        assert!(after(last).contains(&case), "{case}");
        last = lab.store.read(list::last_change).unwrap();
    }
}

fn a_cursor_of_another_list_is_refused(lab: &Lab) {
    let cursor: Cursor = "due.5.1".parse().unwrap();
    let error = lab.store.read(|tx| list::page(tx, &Query::default(), Some(&cursor), 10)).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

#[derive(Clone, Debug)]
struct Row {
    escalate: bool,
    risk: u8,
    last_seen: i64,
    due: Option<i64>,
}

fn row() -> impl Strategy<Value = Row> {
    // Few values, so that many rows are equal but for their number.
    (any::<bool>(), 0..3_u8, 100..103_i64, proptest::option::of(1..3_i64))
        .prop_map(|(escalate, risk, last_seen, due)| Row { escalate, risk, last_seen, due })
}

fn paging_gives_every_row_once_while_others_come(lab: &Lab) {
    static RUN: AtomicUsize = AtomicUsize::new(0);
    let orders = [Order::Priority, Order::Due, Order::Created, Order::Updated, Order::Change];
    let strategy = (
        proptest::collection::vec(row(), 1..14),
        proptest::collection::vec(proptest::collection::vec(row(), 0..4), 0..8),
        1..6_usize,
        0..orders.len(),
        any::<bool>(),
    );
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |(first, later, size, order, one_queue)| {
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let (principal, mut made) = (format!("run{run}"), 0);
        let mut put = |row: &Row| {
            made += 1;
            let mut said = Said::new(made);
            said.engine_id = format!("{principal}-{made}");
            said.principal.clone_from(&principal);
            said.decision = if row.escalate { Decision::Escalate } else { Decision::Investigate };
            (said.risk, said.last_seen) = (f64::from(row.risk), row.last_seen + 1_000);
            let id = said.create(&lab.store);
            if let Some(due) = row.due {
                let kind = clock::Kind::Resolve;
                lab.store.write(|tx| clock::start(tx, id, kind, 1, due)).unwrap();
            }
            id
        };
        let fits = |row: &Row| !one_queue || row.escalate;
        let wanted: BTreeSet<CaseId> = first
            .iter()
            .map(|row| (put(row), fits(row)))
            .filter(|(_, fits)| *fits)
            .map(|(id, _)| id)
            .collect();
        let queue = one_queue.then_some(Decision::Escalate);
        let query = Query { principal: Some(&principal), order: orders[order], queue, ..Query::default() };
        let (mut seen, mut cursor, mut later) = (BTreeMap::new(), None, later.iter());
        for _ in 0..200 {
            let page = lab.store.read(|tx| list::page(tx, &query, cursor.as_ref(), size)).unwrap();
            prop_assert!(page.cases.len() <= size);
            for case in &page.cases {
                *seen.entry(case.id).or_insert(0) += 1;
            }
            // Through its text, as a browser hands it back.
            cursor = page.next.map(|c| c.to_string().parse().unwrap());
            if cursor.is_none() {
                break;
            }
            for row in later.next().into_iter().flatten() {
                put(row);
            }
        }
        prop_assert!(cursor.is_none(), "the list ends");
        prop_assert!(seen.values().all(|n| *n == 1), "{:?}", seen);
        prop_assert!(wanted.iter().all(|id| seen.contains_key(id)), "{:?} of {:?}", seen, wanted);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
