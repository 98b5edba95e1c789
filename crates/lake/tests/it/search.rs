//! A search gives what a plain filter over the same rows gives.

use crate::sample::{self, MONDAY, Rng, all_pages, block, key, lake, naive, rows};
use portreeve_lake::search::Hours;
use portreeve_lake::{Col, Cursor, Evidence, Fault, Query, Row};
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip};
use proptest::prelude::*;

fn maybe<T: Clone + std::fmt::Debug + 'static>(of: Vec<T>) -> impl Strategy<Value = Option<T>> {
    prop_oneof![3 => Just(None), 1 => prop::sample::select(of).prop_map(Some)]
}

fn word(of: &[&str]) -> impl Strategy<Value = Option<String>> + use<> {
    maybe(of.iter().map(|t| (*t).to_owned()).collect())
}

pub(crate) fn queries() -> impl Strategy<Value = Query> {
    let quarter = |n: i64| EventTime(MONDAY + n * HOUR_US / 4 + n % 2);
    let time = prop_oneof![1 => Just(None), 1 => (-4i64..300).prop_map(move |n| Some(quarter(n)))];
    let addresses: Vec<Ip> = ["203.0.113.1", "10.8.0.2", "2001:db8::1", "198.51.100.1"]
        .iter()
        .map(|a| Ip::parse(a.as_bytes()))
        .collect();
    let who = (
        word(&["Anna", "acme\\ANNA", "bob", "carol", "nobody", "dave@elsewhere.example"]),
        maybe(addresses),
        word(&["fw1", "fw2", "fw9"]),
        word(&["vpn1", "vpn9"]),
        word(&["laptop1", "laptop9"]),
        word(&["s1", "s2", "s9"]),
    );
    let what = (
        word(&["okta", "cisco_asa"]),
        word(&["edge", "/var/log/auth.log"]),
        word(&["auth", "flow", "exec"]),
        word(&["failure"]),
        word(&["failed", "ACCEPTED", "by bob", "nothing", "äö", "7"]),
        any::<bool>(),
    );
    (time.clone(), time, who, what, 1usize..50, any::<bool>()).prop_map(
        |(from, to, who, what, limit, newest_first)| {
            let (user, address, host, observer, device, session) = who;
            let (source, origin, act, outcome, text, events_only) = what;
            Query {
                from,
                to,
                user,
                address,
                host,
                observer,
                device,
                session,
                source,
                origin,
                act,
                outcome,
                text,
                events_only,
                limit,
                cursor: None,
                newest_first,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn search_equals_a_plain_filter(seed in any::<u64>(), merged in any::<bool>(), queries in prop::collection::vec(queries(), 12)) {
        let dir = tempfile::tempdir().expect("a directory");
        let lake = lake(dir.path());
        let rows = rows(seed, 500);
        // Some in files, some of them merged, some in memory.
        let parts: Vec<&[Row]> = rows.chunks(rows.len() / 5 + 1).collect();
        for (n, part) in parts.iter().enumerate() {
            lake.push(block(part));
            if n < 4 {
                lake.flush(part.last().expect("rows").seq).expect("flushed");
            }
            if n == 2 && merged {
                lake.compact(EventTime(MONDAY + 30 * DAY_US)).expect("merged");
            }
        }
        let view = lake.view();
        for query in &queries {
            let expected = naive(query, &rows);
            let found = all_pages(query, |q| view.search(q).expect("an answer"));
            prop_assert_eq!(found.iter().map(key).collect::<Vec<_>>(), expected.iter().map(key).collect::<Vec<_>>());
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(view.count(query).expect("a number"), expected.len() as u64);
            let by = view.count_by(Col::Host, query, 2).expect("counts");
            prop_assert_eq!(by.rows, expected.len() as u64);
            prop_assert_eq!(by.others + by.values.iter().map(|v| v.1).sum::<u64>(), by.rows);
            for (host, n) in by.values {
                prop_assert_eq!(n, expected.iter().filter(|r| r.host == host).count() as u64);
            }
            let mut hours = [0u64; 168];
            expected.iter().for_each(|r| hours[usize::from(r.time.hour_of_week())] += 1);
            prop_assert_eq!(view.hours(query).expect("hours"), Hours(hours));
        }
    }
}

#[test]
fn evidence_is_fetched_as_it_was_received() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let rows = rows(5, 600);
    let (stored, waiting) = rows.split_at(500);
    lake.push(block(stored));
    lake.flush(400).expect("flushed");
    lake.push(block(waiting));
    let name = |r: &Row| Evidence { origin: r.origin.clone(), line: r.line, offset: r.offset, time: r.time };
    let mut wanted: Vec<Evidence> = rows.iter().filter(|r| r.part == 0).map(name).collect();
    let records: Vec<&Vec<u8>> = rows.iter().filter(|r| r.part == 0).map(|r| &r.raw).collect();
    // Rows of one record share its place, and differ here in their time.
    let mut odd = wanted[3].clone();
    odd.origin = "elsewhere".into();
    wanted.push(odd);
    let found = lake.view().fetch(&wanted).expect("fetched");
    assert_eq!(found.last(), Some(&None));
    for ((found, record), evidence) in found.iter().zip(records).zip(&wanted) {
        let twice = rows.iter().filter(|r| name(r) == *evidence).count() > 1;
        assert!(twice || found.as_ref() == Some(record), "{evidence:?}");
    }
    assert!(found.iter().flatten().any(|r| std::str::from_utf8(r).is_err()));
}

#[test]
fn row_groups_are_refused_without_reading_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let mut rng = Rng(1);
    let mut rows: Vec<Row> = (1..=2_000).map(|seq| sample::row(&mut rng, seq, 0, DAY_US)).collect();
    rows.sort_by_key(key);
    rows[777].user_key = "rarely".into();
    lake.push(block(&rows));
    lake.flush(2_000).expect("flushed");
    let all = Query { limit: 10, ..Query::default() };
    let rare = lake.search(&Query { user: Some("rarely".into()), ..all.clone() }).expect("found");
    assert_eq!(rare.rows.len(), 1);
    // A Bloom filter errs now and then, and not often.
    assert!(rare.looked.groups >= 31 && rare.looked.groups - rare.looked.refused <= 3, "{:?}", rare.looked);
    let newest = lake.search(&all).expect("found");
    assert!(newest.looked.groups <= 4, "{:?}", newest.looked);
    let hour = Query { from: Some(rows[1_000].time), to: Some(rows[1_000].time.plus(1)), ..all };
    let looked = lake.search(&hour).expect("found").looked;
    assert!(looked.groups <= 2 && looked.rows <= 128, "{looked:?}");
}

#[test]
fn pages_go_on_behind_rows_that_come_in_between() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let rows = rows(9, 300);
    let (early, late) = rows.split_at(150);
    lake.push(block(early));
    lake.flush(100).expect("flushed");
    let query = Query { limit: 20, ..Query::default() };
    let first = lake.search(&query).expect("a page");
    lake.push(block(late));
    lake.flush(300).expect("flushed");
    lake.compact(EventTime(MONDAY + 30 * DAY_US)).expect("merged");
    let rest = all_pages(&Query { cursor: first.next, ..query }, |q| lake.search(q).expect("a page"));
    let mut seen: Vec<_> = first.rows.iter().chain(&rest).map(key).collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "a row came twice");
    assert!(early.iter().all(|r| seen.binary_search(&key(r)).is_ok()), "a row was left out");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    assert!(lake.search(&Query::default()).expect("nothing").rows.is_empty());
    assert!(matches!(lake.search(&Query { limit: 0, ..Query::default() }), Err(Fault::Query(_))));
    assert!(matches!(lake.view().count_by(Col::Seq, &Query::default(), 5), Err(Fault::Query(_))));
    assert!(
        "1.2".parse::<Cursor>().is_err()
            && "1.2.x".parse::<Cursor>().is_err()
            && "1.2.3.4".parse::<Cursor>().is_err()
    );
}
