//! Old days go, held rows stay, and the counts add up.

use crate::sample::{self, MONDAY, Rng, all_pages, block, lake, naive};
use portreeve_lake::{Hold, Query, Row};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;

#[test]
fn old_days_go_except_what_is_held() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let mut rng = Rng(8);
    let rows: Vec<Row> = (1..=1_000).map(|seq| sample::row(&mut rng, seq, 0, 10 * DAY_US)).collect();
    lake.push(block(&rows));
    lake.flush(1_000).expect("flushed");
    let day = |n: i64| MONDAY + n * DAY_US;
    let hold = |id: &str| Hold { id: id.into(), case: "case 7".into(), by: "anna".into(), ..Hold::default() };
    let person =
        Hold { users: ["ACME\\Bob".into()].into(), from: Some(day(1)), to: Some(day(4)), ..hold("person") };
    let address = Hold { addresses: ["::ffff:10.8.0.2".into()].into(), to: Some(day(2)), ..hold("address") };
    let range = Hold { from: Some(day(5)), to: Some(day(5) + DAY_US / 2), ..hold("range") };
    let cited =
        rows.iter().find(|r| (day(6)..day(7)).contains(&r.time.0)).expect("a row of that day").clone();
    let evidence =
        Hold { records: [(cited.origin.clone(), cited.line, cited.offset)].into(), ..hold("evidence") };
    for h in [&person, &address, &range, &evidence] {
        lake.hold(h.clone()).expect("held");
    }
    let is_held = |r: &Row| {
        (r.user_key == "bob" && (day(1)..day(4)).contains(&r.time.0))
            || ([&r.src_ip, &r.tun_ip, &r.dst_ip].iter().any(|a| *a == "10.8.0.2") && r.time.0 < day(2))
            || (day(5)..day(5) + DAY_US / 2).contains(&r.time.0)
            || r.seq == cited.seq
    };
    // On day 10, with three days kept: days 0 to 6 go.
    let now = EventTime(day(10) + 5);
    let old: Vec<&Row> = rows.iter().filter(|r| r.time.0 < day(7)).collect();
    let kept = old.iter().filter(|r| is_held(r)).count();
    let done = lake.retain(now, 3).expect("retained");
    assert_eq!((done.rows_held, done.rows_deleted), (kept, old.len() - kept));
    assert!(done.files_rewritten > 0 && done.files_deleted > 0);
    let left: Vec<Row> = rows.iter().filter(|r| r.time.0 >= day(7) || is_held(r)).cloned().collect();
    let find = |lake: &portreeve_lake::Lake| {
        all_pages(&Query { limit: 100, ..Query::default() }, |q| lake.search(q).expect("found"))
    };
    assert_eq!(find(&lake), naive(&Query::default(), &left));
    // Merging does not make anybody look at held rows again.
    lake.compact(now).expect("merged");
    let again = lake.retain(now, 3).expect("retained");
    assert_eq!((again.rows_held, again.rows_deleted, again.files_rewritten), (kept, 0, 0));
    // Holds are durable; lifted, they let go.
    drop(lake);
    let lake = sample::lake(dir.path());
    assert_eq!(lake.holds().len(), 4);
    assert!(lake.lift("person").expect("lifted") && !lake.lift("person").expect("gone already"));
    let left: Vec<Row> = left
        .into_iter()
        .filter(|r| {
            r.user_key != "bob" || r.time.0 >= day(7) || r.time.0 < day(1) || {
                let mut other = r.clone();
                other.user_key.clear();
                is_held(&other)
            }
        })
        .collect();
    let third = lake.retain(now, 3).expect("retained");
    assert_eq!(third.rows_held, left.iter().filter(|r| r.time.0 < day(7)).count());
    assert_eq!(third.rows_held + third.rows_deleted, kept);
    assert_eq!(find(&lake), naive(&Query::default(), &left));
    assert!(lake.hold(Hold::default()).is_err());
}
