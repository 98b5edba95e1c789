//! The audit chain: any edit is found, nothing that waits is lost.

use crate::lab::{Lab, both, until};
use portreeve_store::audit::{self, Head, NewEntry, Outcome, Query};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

both!(
    a_chain_that_nobody_touched_is_whole,
    the_database_itself_refuses_changes,
    any_single_edit_is_found,
    an_end_that_was_cut_off_is_found,
    a_chain_written_anew_is_found_by_a_kept_head,
    what_waits_is_written_when_the_store_closes,
    what_waits_is_written_soon,
    lists_are_filtered,
);

fn entry(n: i64) -> NewEntry {
    NewEntry {
        at: 1_000 + n,
        actor: format!("person:{} \0\u{202E}", n % 3),
        verb: "case.read".into(),
        object: format!("case:{n}"),
        address: "192.0.2.1".into(),
        outcome: if n % 2 == 0 { Outcome::Done } else { Outcome::Denied },
        detail: "{\"why\":\"\"}".into(),
    }
}

fn fill(lab: &Lab, entries: i64) -> Head {
    let all: Vec<NewEntry> = (1..=entries).map(entry).collect();
    lab.store.write(|tx| audit::append_all(tx, &all)).unwrap()
}

fn faults(lab: &Lab, kept: Option<&Head>) -> Vec<String> {
    lab.store.read(|tx| audit::verify(tx, kept)).unwrap().faults
}

fn a_chain_that_nobody_touched_is_whole(lab: &Lab) {
    assert_eq!(faults(lab, None), [""; 0]);
    let first = fill(lab, 3);
    let head = lab.store.write(|tx| audit::append(tx, &entry(4))).unwrap();
    let verified = lab.store.read(|tx| audit::verify(tx, Some(&first))).unwrap();
    assert_eq!((verified.entries, verified.head, verified.faults.len()), (4, head, 0));
    assert_eq!(lab.store.read(audit::head).unwrap(), head);
}

fn the_database_itself_refuses_changes(lab: &Lab) {
    fill(lab, 2);
    for sql in ["update audit set actor = 'x'", "delete from audit", "delete from audit where seq = 2"] {
        assert!(lab.plain(sql).unwrap_err().contains("never changed"), "{sql}");
    }
}

/// One edit of one row: a column changed, the row taken out, or one put in.
fn edit() -> impl Strategy<Value = (&'static str, i64, i64)> {
    let columns =
        ["at", "actor", "verb", "object", "address", "outcome", "detail", "prev", "hash", "delete", "insert"];
    (proptest::sample::select(columns.to_vec()), 1..=12_i64, 1..1_000_i64)
}

fn statement(what: &str, seq: i64, n: i64) -> String {
    let to = match what {
        "delete" => return format!("delete from audit where seq = {seq};"),
        "insert" => {
            let columns = "at, actor, verb, object, address, outcome, detail, prev, hash";
            return format!(
                "insert into audit (seq, {columns}) select {}, {columns} from audit where seq = {seq};",
                12 + n
            );
        }
        "at" => format!("at + {n}"),
        "outcome" => "case when outcome = 'done' then 'denied' else 'done' end".into(),
        "prev" => "(select a.hash from audit a where a.seq = audit.seq)".into(),
        "hash" => "prev".into(),
        column => format!("{column} || '{n}'"),
    };
    format!("update audit set {what} = {to} where seq = {seq};")
}

fn any_single_edit_is_found(lab: &Lab) {
    fill(lab, 12);
    let save = "create table kept as select * from audit;";
    let back = "delete from audit; insert into audit select * from kept;";
    lab.tamper("audit", save);
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&edit(), |(what, seq, n)| {
        lab.tamper("audit", &statement(what, seq, n));
        let found = faults(lab, None);
        prop_assert!(!found.is_empty(), "{} of {}", what, seq);
        lab.tamper("audit", back);
        prop_assert_eq!(faults(lab, None), Vec::<String>::new());
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

fn an_end_that_was_cut_off_is_found(lab: &Lab) {
    let head = fill(lab, 5);
    lab.tamper("audit", "delete from audit where seq >= 4;");
    assert!(faults(lab, None).iter().any(|f| f.contains("its end was changed")));
    // Who cuts and counts anew is found by who kept the head.
    lab.tamper("audit", "update counters set value = 3 where name = 'audit';");
    assert_eq!(faults(lab, None), [""; 0]);
    assert!(faults(lab, Some(&head)).iter().any(|f| f.contains("cut off")), "{:?}", faults(lab, Some(&head)));
}

fn a_chain_written_anew_is_found_by_a_kept_head(lab: &Lab) {
    let head = fill(lab, 5);
    lab.tamper("audit", "delete from audit; delete from counters where name = 'audit';");
    let others: Vec<NewEntry> = (11..=18).map(entry).collect();
    lab.store.write(|tx| audit::append_all(tx, &others)).unwrap();
    assert_eq!(faults(lab, None), [""; 0]);
    assert!(faults(lab, Some(&head)).iter().any(|f| f.contains("written anew")));
}

fn what_waits_is_written_when_the_store_closes(lab: &Lab) {
    let node = lab.node();
    for n in 1..=1_200 {
        node.audit_soon(entry(n)).unwrap();
    }
    // Nobody asked it to flush.
    drop(node);
    let verified = lab.store.read(|tx| audit::verify(tx, None)).unwrap();
    assert_eq!((verified.entries, verified.faults.len()), (1_200, 0));
    let objects: Vec<String> = lab
        .store
        .read(|tx| audit::list(tx, &Query::default(), 3))
        .unwrap()
        .into_iter()
        .map(|e| e.entry.object)
        .collect();
    assert_eq!(objects, ["case:1200", "case:1199", "case:1198"], "in the order in which they came");
    let node = lab.node();
    node.audit_soon(entry(1_201)).unwrap();
    node.close().unwrap();
    assert_eq!(lab.store.read(audit::head).unwrap().seq, 1_201);
}

fn what_waits_is_written_soon(lab: &Lab) {
    lab.store.audit_soon(entry(1)).unwrap();
    until("the entry is written", || lab.store.read(audit::head).unwrap().seq == 1);
    until("nothing waits", || lab.store.health().unwrap().audit_waiting == 0);
}

fn lists_are_filtered(lab: &Lab) {
    fill(lab, 9);
    let list = |query: Query<'_>| {
        let found = lab.store.read(|tx| audit::list(tx, &query, 100)).unwrap();
        found.into_iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(list(Query { actor: Some("person:0 \0\u{202E}"), ..Query::default() }), [9, 6, 3]);
    assert_eq!(list(Query { object: Some("case:4"), ..Query::default() }), [4]);
    assert_eq!(list(Query { from: Some(1_003), to: Some(1_006), ..Query::default() }), [5, 4, 3]);
    assert_eq!(list(Query { before: Some(3), ..Query::default() }), [2, 1]);
}

/// What cannot be recorded is not shown: who asks is refused before entries are lost.
#[test]
fn an_audit_that_cannot_be_written_says_so_and_goes_on_later() {
    let lab = Lab::sqlite();
    lab.tamper("audit", "alter table audit rename to away;");
    let mut taken = 0;
    let error = loop {
        match lab.store.audit_soon(entry(taken + 1)) {
            Ok(()) => taken += 1,
            Err(e) => break e,
        }
        assert!(taken < 1_000_000, "it fills up");
    };
    assert!(error.may_try_again(), "{error}");
    until("health says it", || lab.store.health().unwrap().audit_error.is_some());
    assert!(lab.store.flush_audit().is_err());
    lab.tamper("audit", "alter table away rename to audit;");
    lab.store.flush_audit().unwrap();
    let verified = lab.store.read(|tx| audit::verify(tx, None)).unwrap();
    assert_eq!((verified.entries, verified.faults.len()), (taken, 0));
    assert_eq!(lab.store.health().unwrap().audit_error, None);
}
