//! Several at once: threads, nodes on one database, and a server that goes away.

use crate::lab::{Cluster, Lab, Said, anna, both, until};
use portreeve_store::case::engine::Taken;
use portreeve_store::case::work;
use portreeve_store::case::{self, Status, list};
use portreeve_store::{CaseId, Error, Store, setting};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

both!(
    nodes_that_start_together_make_the_schema_once,
    two_nodes_tell_the_same_and_lose_nothing,
    of_those_who_change_at_once_one_wins,
    readers_see_one_moment,
);

fn nodes_that_start_together_make_the_schema_once(lab: &Lab) {
    let location = lab.another();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let location = &location;
            scope.spawn(move || {
                let store = Store::open(location, Path::new("/nonexistent"), 1).unwrap();
                assert_eq!(store.health().unwrap().schema, portreeve_store::SCHEMA);
            });
        }
    });
}

fn two_nodes_tell_the_same_and_lose_nothing(lab: &Lab) {
    let nodes = [lab.store.clone(), lab.node(), lab.node()];
    let created: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|store| {
                scope.spawn(move || {
                    (0..40).filter(|n| matches!(Said::new(*n).take(store, 5), Taken::Created(_))).count()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(created, 40, "each once, by one of them");
    let page = lab.store.read(|tx| list::page(tx, &list::Query::default(), None, 100)).unwrap();
    let ids: BTreeSet<i64> = page.cases.iter().map(|c| c.id.0).collect();
    assert_eq!(ids, (1..=40).collect::<BTreeSet<i64>>(), "numbers have no gaps");
    let changes: BTreeSet<i64> = page.cases.iter().map(|c| c.change).collect();
    assert_eq!(changes.len(), 40, "no two changes share a place");
}

fn of_those_who_change_at_once_one_wins(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let nodes = [lab.store.clone(), lab.node()];
    for round in 1..=10 {
        let outcomes: Vec<Result<_, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|n| {
                    let store = &nodes[n % 2];
                    scope.spawn(move || {
                        store.write(|tx| work::set_status(tx, id, round, Status::InProgress, anna(5)))
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let won = outcomes.iter().filter(|o| o.is_ok()).count();
        let lost = outcomes.iter().filter(|o| matches!(o, Err(Error::Conflict { .. }))).count();
        assert_eq!((won, lost), (1, 5), "{outcomes:?}");
    }
}

fn readers_see_one_moment(lab: &Lab) {
    let set = |store: &Store, n: u32| {
        store.write(|tx| {
            setting::set(tx, "a", &n.to_le_bytes(), None, 1)?;
            setting::set(tx, "b", &n.to_le_bytes(), None, 1)
        })
    };
    set(&lab.store, 0).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..=100).for_each(|n| assert!(set(&lab.store, n).unwrap() > 0)));
        let mut seen = BTreeSet::new();
        while !writer.is_finished() {
            let both = |name: &'static str| move |tx: &mut portreeve_store::Tx<'_>| setting::get(tx, name);
            let (a, b) = lab
                .store
                .read(|tx| {
                    let a = both("a")(tx)?;
                    std::thread::yield_now();
                    Ok((a, both("b")(tx)?))
                })
                .unwrap();
            assert_eq!(a.as_ref().map(|s| &s.value), b.as_ref().map(|s| &s.value));
            seen.insert(a.map(|s| s.value));
        }
        assert!(!seen.is_empty());
    });
}

fn signal(pid: i32, signal: &str) {
    let done = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill");
    assert!(done.success());
}

/// Every pooled connection is dead after this, and the next call works.
#[test]
fn a_server_that_was_restarted_is_found_again() {
    let cluster = Cluster::start(&["-c", "listen_addresses=", "-c", "fsync=off"]);
    let store = Store::open(&cluster.location(&cluster.database()), Path::new("/nonexistent"), 1).unwrap();
    // Several connections, all of which will be dead.
    std::thread::scope(|scope| {
        for n in 0..6 {
            let store = &store;
            scope.spawn(move || Said::new(n).create(store));
        }
    });
    for (how, n) in [("-INT", 10), ("-QUIT", 11)] {
        let before = cluster.pid();
        signal(before, how);
        until("the server is another", || cluster.pid() != before);
        let created = std::cell::Cell::new(None);
        until("a change goes through", || {
            match store.write(|tx| case::engine::take(tx, &Said::new(n).case(), 1)) {
                Ok(taken) => created.set(Some(taken)),
                Err(e) => assert!(e.may_try_again(), "{e}"),
            }
            created.get().is_some()
        });
        assert!(matches!(created.get(), Some(Taken::Created(_))));
    }
    assert_eq!(store.read(|tx| list::count(tx, &list::Query::default())).unwrap(), 8);
    assert!(store.read(|tx| case::get(tx, CaseId(8))).is_ok());
}

/// A node that stands still in the middle of a change does not stop the others for ever.
#[test]
fn a_call_says_that_another_holds_the_lock() {
    let cluster = Cluster::start(&["-c", "listen_addresses=", "-c", "fsync=off"]);
    let name = cluster.database();
    let text =
        format!("postgres://postgres@/{name}?host={}&options=-c%20lock_timeout%3D300", cluster.dir.display());
    let store = Store::open(&text.parse().unwrap(), Path::new("/nonexistent"), 1).unwrap();
    let mut other = cluster.client(&name);
    other.batch_execute("begin; select pg_advisory_xact_lock(8101820099123832182)").unwrap();
    let error = store.write(|_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Busy(_)) && error.may_try_again(), "{error}");
    other.batch_execute("rollback").unwrap();
    store.write(|_| Ok(())).unwrap();
}
