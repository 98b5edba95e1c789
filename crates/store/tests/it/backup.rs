//! Backup and restore: from each database into each, whole or not at all.

use crate::lab::{ANNA, Lab, Said, anna, both};
use portreeve_model::answer::Decision;
use portreeve_store::audit::{self, NewEntry, Outcome};
use portreeve_store::case::clock;
use portreeve_store::case::work;
use portreeve_store::case::{self, list, merge, note, task};
use portreeve_store::people::{self, NewPerson};
use portreeve_store::{CaseId, Error, Location, Store, copy_of, outbox, restore, setting};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

both!(
    a_dump_goes_into_both_databases_and_comes_out_the_same,
    fixtures_of_older_schemas_go_forward,
    a_database_with_something_in_it_is_not_overwritten,
    a_damaged_dump_leaves_nothing,
    a_dump_of_a_newer_schema_is_refused,
    a_backup_is_of_one_moment_while_others_write,
);

/// Something of everything.
fn fill(store: &Store) {
    let roles = BTreeSet::from(["l1".to_owned()]);
    let new = NewPerson {
        name: "Ä\0",
        display: "a \u{10FFFF}",
        zone: "UTC",
        roles: &roles,
        password_hash: Some("$h"),
        oidc: None,
    };
    let person = store.write(|tx| people::create(tx, &new, 1)).unwrap().id;
    for n in 1..=8 {
        let mut said = Said::new(n);
        said.principal = format!("user {n} \0 \u{1F480}");
        let id = said.create(store);
        said.decision = Decision::Escalate;
        said.document = format!("{{\"\\u0000\":{n}}}");
        said.take(store, 2_000);
        store
            .write(|tx| {
                note::write(tx, id, "note", ANNA)?;
                task::ensure(tx, id, &[("b", "B"), ("a", "A")])?;
                clock::start(tx, id, clock::Kind::Resolve, 1, 5_000)?;
                work::assign(tx, id, 2, Some(person), ANNA)?;
                work::restrict(tx, id, 3, Some(&[person]), ANNA)?;
                work::escalate(tx, id, 4, case::Tier::T2, "x", ANNA)?;
                outbox::put(tx, "t", "e", &n.to_string(), "{}", 5)?;
                setting::set(tx, &format!("s{n}"), &[0, 255, 7], None, 5)?;
                audit::append(
                    tx,
                    &NewEntry {
                        at: 1,
                        actor: "a\0".into(),
                        verb: "v".into(),
                        object: format!("case:{n}"),
                        address: String::new(),
                        outcome: Outcome::Done,
                        detail: String::new(),
                    },
                )
            })
            .unwrap();
    }
    // The lower number merged into the higher: a row that refers to a later one.
    let at = |n| (CaseId(n), store.read(|tx| case::get(tx, CaseId(n))).unwrap().revision);
    store.write(|tx| merge::merge(tx, at(8), at(1), "x", anna(9))).unwrap();
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn open(location: &Location) -> Store {
    Store::open(location, Path::new("/nonexistent"), 9).unwrap()
}

fn a_dump_goes_into_both_databases_and_comes_out_the_same(lab: &Lab) {
    fill(&lab.store);
    let file = |name: &str| lab.room.path().join(name);
    let rows = lab.store.dump(&file("first"), 77).unwrap();
    assert!(rows > 100, "{rows}");
    let first = unpacked(&file("first"));
    let (sqlite, postgres) = (Lab::sqlite(), Lab::postgres());
    for (target, n) in [sqlite.another(), postgres.another()].iter().zip(1..) {
        restore(&file("first"), target, 9).unwrap();
        let store = open(target);
        store.dump(&file(&format!("again{n}")), 77).unwrap();
        let again = unpacked(&file(&format!("again{n}")));
        for (a, b) in first.lines().zip(again.lines()) {
            assert_eq!(a, b);
        }
        assert_eq!(first.len(), again.len());
        assert_eq!(store.read(|tx| audit::verify(tx, None)).unwrap().faults, [""; 0]);
        assert_eq!(Said::new(99).create(&store).0, 9, "numbers go on");
    }
}

fn fixtures_of_older_schemas_go_forward(lab: &Lab) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for schema in 1..portreeve_store::SCHEMA {
        let target = lab.another();
        restore(&dir.join(format!("schema-{schema}.ndjson")), &target, 9).unwrap();
        let store = open(&target);
        assert_eq!(store.health().unwrap().schema, portreeve_store::SCHEMA);
        assert!(store.read(|tx| people::by_name(tx, "ANNA")).unwrap().is_some());
        if schema >= 2 {
            let case = store.read(|tx| case::get(tx, CaseId(2))).unwrap();
            let query = list::Query { address: Some("192.0.2.9"), ..Default::default() };
            let page = store.read(|tx| list::page(tx, &query, None, 9)).unwrap();
            assert_eq!(page.cases, [case]);
        }
    }
}

fn a_database_with_something_in_it_is_not_overwritten(lab: &Lab) {
    Said::new(1).create(&lab.store);
    let dump = lab.room.path().join("dump");
    lab.store.dump(&dump, 1).unwrap();
    let error = restore(&dump, &lab.location, 9).unwrap_err();
    assert!(matches!(error, Error::NotNow(_)), "{error}");
    assert!(matches!(lab.store.dump(&dump, 1), Err(Error::Taken { .. })), "nor is a file");
    assert!(matches!(lab.store.backup(&dump), Err(Error::Taken { .. } | Error::NotNow(_))));
}

fn a_damaged_dump_leaves_nothing(lab: &Lab) {
    fill(&lab.store);
    let dump = lab.room.path().join("dump");
    lab.store.dump(&dump, 1).unwrap();
    let text = unpacked(&dump);
    let lines: Vec<&str> = text.lines().collect();
    let with = |lines: &[&str]| format!("{}\n", lines.join("\n"));
    let without = |n: usize| {
        let mut left = lines.clone();
        left.remove(n);
        with(&left)
    };
    let row = lines.iter().position(|l| l.starts_with('[')).unwrap();
    let damaged = [
        with(&lines[..lines.len() - 1]),
        with(&lines[..row + 2]),
        text[..text.len() - 1].to_owned(),
        text[..text.len() / 2].to_owned(),
        without(row),
        without(0),
        text.replace("user 3", "user 4"),
        text.replacen("\"columns\":[", "\"columns\":[\"x; drop table cases\",", 1),
        "{\"portreeve_dump\":1,\"schema\":1}\n".to_owned(),
        "not a dump".to_owned(),
        String::new(),
    ];
    for (text, n) in damaged.iter().zip(0..) {
        let path = lab.room.path().join(format!("damaged{n}"));
        std::fs::write(&path, text).unwrap();
        let target = lab.another();
        let error = restore(&path, &target, 9).unwrap_err();
        assert!(matches!(error, Error::Dump { .. }), "{n}: {error}");
        assert_eq!(open(&target).read(people::all).unwrap(), [], "{n}");
    }
    let packed = std::fs::read(&dump).unwrap();
    let path = lab.room.path().join("cut");
    std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
    assert!(restore(&path, &lab.another(), 9).is_err());
}

fn a_dump_of_a_newer_schema_is_refused(lab: &Lab) {
    let path = lab.room.path().join("newer");
    std::fs::write(&path, "{\"portreeve_dump\":1,\"schema\":999}\n").unwrap();
    let error = restore(&path, &lab.another(), 9).unwrap_err();
    assert!(matches!(error, Error::TooNew { found: 999, .. }), "{error}");
    lab.tamper("schema_versions", "insert into schema_versions values (999, 'x', 'y', 1, 'z');");
    let error = Store::open(&lab.location, Path::new("/nonexistent"), 9).err().unwrap();
    assert!(matches!(error, Error::TooNew { found: 999, .. }), "{error}");
    assert!(error.to_string().contains("newer Portreeve"), "{error}");
}

/// Two settings that change together are equal in every copy.
fn a_backup_is_of_one_moment_while_others_write(lab: &Lab) {
    fill(&lab.store);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0_u64;
            while !stop.load(order) {
                n += 1;
                let set = |tx: &mut portreeve_store::WriteTx<'_>| {
                    setting::set(tx, "a", &n.to_le_bytes(), None, 1)?;
                    setting::set(tx, "b", &n.to_le_bytes(), None, 1)
                };
                lab.store.write(set).unwrap();
            }
            n
        });
        for n in 0..3 {
            let file = lab.room.path().join(format!("copy{n}"));
            let target = lab.another();
            if lab.is_sqlite() && n < 2 {
                lab.store.backup(&file).unwrap();
                if n == 0 {
                    // A file of SQLite goes into PostgreSQL too.
                    restore(&file, &Lab::postgres().another(), 9).unwrap();
                }
            } else if n < 2 {
                lab.store.dump(&file, 1).unwrap();
            } else {
                // As another program does it, which has not opened the store.
                copy_of(&lab.location, &file, 1).unwrap();
            }
            restore(&file, &target, 9).unwrap();
            let store = open(&target);
            let value = |name| store.read(|tx| setting::get(tx, name)).unwrap().map(|s| s.value);
            assert_eq!(value("a"), value("b"));
            let count = |store: &Store| store.read(|tx| list::count(tx, &list::Query::default())).unwrap();
            assert_eq!(count(&store), count(&lab.store));
            assert_eq!(store.check().unwrap(), [""; 0]);
        }
        stop.store(true, order);
        assert!(writer.join().unwrap() > 0);
    });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(lab.room.path().join("copy0")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a copy is for its owner alone");
    }
}

#[test]
fn a_damaged_file_of_sqlite_is_not_restored() {
    let lab = Lab::sqlite();
    fill(&lab.store);
    let file = lab.room.path().join("copy");
    lab.store.backup(&file).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    // Pages in the middle.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xAA);
    let damaged = lab.room.path().join("damaged");
    std::fs::write(&damaged, bytes).unwrap();
    let target = lab.room.path().join("new.db");
    let error = restore(&damaged, &Location::sqlite(&target), 9).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    assert!(!target.exists());
    let names: Vec<String> = std::fs::read_dir(lab.room.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with(".portreeve"))
        .collect();
    assert_eq!(names, [""; 0], "nothing half is left behind");
}
