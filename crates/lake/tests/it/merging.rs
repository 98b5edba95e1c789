//! Small files become large ones while others read.

use crate::sample::{MONDAY, all_pages, block, key, lake, naive, rows};
use portreeve_lake::{Query, Row};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const LATER: EventTime = EventTime(MONDAY + 30 * DAY_US);

fn files(dir: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        count += if path.is_dir() { files(&path) } else { 1 };
    }
    count
}

#[test]
fn readers_see_the_same_rows_before_while_and_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let rows = rows(3, 1_200);
    for part in rows.chunks(100) {
        lake.push(block(part));
        lake.flush(part[part.len() - 1].seq).expect("flushed");
    }
    let query = Query { user: Some("bob".into()), limit: 40, ..Query::default() };
    let expected: Vec<_> = naive(&query, &rows).iter().map(key).collect();
    let old = lake.view();
    let before = old.manifest().files.len();
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !over.load(Ordering::Acquire) || rounds.load(Ordering::Acquire) < 4 {
                    let found = all_pages(&query, |q| lake.search(q).expect("an answer"));
                    assert_eq!(found.iter().map(key).collect::<Vec<_>>(), expected);
                    rounds.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        let done = lake.compact(LATER).expect("merged");
        assert_eq!(done.duplicates, 0);
        assert!(done.merges > 0 && done.rows >= rows.len());
        over.store(true, Ordering::Release);
    });
    let events = dir.path().join("events");
    assert_eq!(lake.view().manifest().files.len(), 3);
    // Who holds the old view still reads the old files; they go when it has gone.
    assert!(files(&events) >= before);
    let found = all_pages(&query, |q| old.search(q).expect("an answer"));
    assert_eq!(found.iter().map(key).collect::<Vec<_>>(), expected);
    drop(old);
    lake.sweep().expect("swept");
    assert_eq!(files(&events), 3);
    let found =
        all_pages(&Query { limit: 1_000, ..Query::default() }, |q| lake.search(q).expect("an answer"));
    assert_eq!(found, naive(&Query::default(), &rows));
    assert_eq!(lake.compact(LATER).expect("nothing left").merges, 0);
}

#[test]
fn what_was_written_twice_is_found_once_and_merged_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let rows = rows(4, 120);
    // As after a crash between writing and noting how far: the journal is read again.
    for part in [&rows[..], &rows[50..], &rows[..80]] {
        lake.push(block(part));
        lake.flush(0).expect("flushed");
    }
    lake.push(block(&rows[10..60]));
    lake.push(block(&rows[10..60]));
    let find = || all_pages(&Query { limit: 1, ..Query::default() }, |q| lake.search(q).expect("an answer"));
    let expected = naive(&Query::default(), &rows);
    assert_eq!(find(), expected);
    // Rows that wait twice are written once.
    let before = lake.view().rows();
    lake.flush(300).expect("flushed");
    assert_eq!(lake.view().rows(), before - 50);
    let before = lake.view().rows();
    let done = lake.compact(LATER).expect("merged");
    assert_eq!(done.duplicates, before - rows.len());
    assert_eq!(lake.view().rows(), rows.len());
    assert_eq!(find(), expected);
}

#[test]
fn files_lie_by_hour_where_there_are_many_rows_and_by_day_where_there_are_few() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let mut rows = rows(6, 200);
    lake.push(block(&rows));
    lake.flush(200).expect("flushed");
    let paths = |lake: &portreeve_lake::Lake| -> Vec<String> {
        lake.view().manifest().files.iter().map(|f| f.entry.path.clone()).collect()
    };
    assert!(paths(&lake).iter().all(|p| p.starts_with("events/date=2026-11-2") && !p.contains("hour=")));
    // A moment's rows go to their hour, and a day that is over is one file again.
    rows.iter_mut().for_each(|r: &mut Row| {
        r.time = EventTime(MONDAY + 5);
        r.seq += 1_000;
    });
    lake.push(block(&rows));
    lake.flush(1_200).expect("flushed");
    assert!(paths(&lake).iter().any(|p| p.starts_with("events/date=2026-11-23/hour=00/")));
    lake.compact(EventTime(MONDAY + DAY_US / 2)).expect("nothing is over yet");
    assert_eq!(paths(&lake).len(), 4);
    lake.compact(LATER).expect("merged");
    assert_eq!(paths(&lake).len(), 3);
    // Neither a time before the calendar nor one far behind it is lost.
    for (n, time) in [i64::MIN, -1, i64::MAX].into_iter().enumerate() {
        rows[n].time = EventTime(time);
        rows[n].seq = 5_000 + n as u64;
    }
    lake.push(block(&rows[..3]));
    lake.flush(6_000).expect("flushed");
    lake.compact(LATER).expect("merged");
    let found = lake.search(&Query { newest_first: false, limit: 1, ..Query::default() }).expect("found");
    assert_eq!(found.rows[0].time, EventTime::MIN);
    let found = lake.search(&Query { limit: 1, ..Query::default() }).expect("found");
    assert_eq!(found.rows[0].time, EventTime::MAX);
}
