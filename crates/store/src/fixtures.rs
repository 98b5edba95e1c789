//! A database of each older schema, as a dump, and the way forward from there. A fixture is written when its schema is
//! new, and never again: it is what people have on their disks.

use crate::db::value::values;
use crate::db::{Database, Location, Value, WriteTx};
use crate::error::Result;
use crate::{audit, backup, case, dump, migrate, people};
use std::path::{Path, PathBuf};

fn fixture(schema: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema-{schema}.ndjson"))
}

/// A row for every table of one schema, in its own words: the functions of today may not fit the tables of then.
fn fill(tx: &mut WriteTx<'_>, schema: i64) -> Result<()> {
    let mut row = |table: &str, values: &[Value<'_>]| {
        let marks: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
        tx.execute(&format!("insert into {table} values ({})", marks.join(", ")), values)
    };
    let null = || Value::Null;
    for (name, value) in [("person", 1), ("source", 1), ("token", 1), ("sources", 2)] {
        row("counters", values![name, value as i64])?;
    }
    row(
        "people",
        values![
            1,
            "Anna",
            "anna",
            "Anna Berg",
            "Europe/Berlin",
            "$argon2id$none",
            vec![0_u8, 1],
            7,
            "[\"h\"]",
            "https://id.example",
            "anna-7",
            null(),
            2,
            null(),
            1_000,
            2_000,
            3,
        ],
    )?;
    row("person_roles", values![1, "t2"])?;
    row("passkeys", values![vec![9_u8, 0, 9], 1, "key", "{\"counter\":1}", 1_000, null()])?;
    row(
        "logins",
        values![
            vec![1_u8; 32],
            1,
            vec![2_u8; 32],
            1_000,
            1_000,
            1_500,
            9_000,
            "192.0.2.1",
            "a\0gent",
            "password",
        ],
    )?;
    row("sources", values![1, "edge", "edge", "[\"hec\"]", "{}", "UTC", "", 1_000, null(), 1])?;
    row("source_certificates", values![vec![3_u8; 32], 1])?;
    row(
        "tokens",
        values![
            1,
            vec![4_u8; 32],
            "edge",
            null(),
            1,
            "[]",
            "[\"hec\"]",
            "anna",
            1_000,
            null(),
            null(),
            null()
        ],
    )?;
    row("first_run", values![1, vec![5_u8; 32], 900, 1_100, 950])?;
    if schema < 2 {
        return Ok(());
    }
    for (name, value) in
        [("case", 2), ("part", 2), ("document", 3), ("entry", 1), ("snapshot", 1), ("change", 9)]
    {
        row("counters", values![name, value as i64])?;
    }
    let text = |t: &str| zstd::bulk::compress(t.as_bytes(), 3).unwrap();
    for id in [1_i64, 2] {
        let into = if id == 1 { Value::Int(2) } else { null() };
        row(
            "cases",
            values![
                id,
                "Login of anna\0",
                "anna\0",
                "anna\0",
                2,
                91_500,
                100,
                200,
                150,
                "{}",
                "login of anna\0\nanna\0\n",
                1,
                1_200,
                "open",
                1,
                "t2",
                null(),
                null(),
                null(),
                "amber",
                "green",
                1,
                1,
                into,
                1_000,
                1_300,
                4,
                8 + id,
                0,
                1,
                id - 1,
                i64::MAX,
            ],
        )?;
    }
    row("case_members", values![1, 1])?;
    for (id, document) in [(1_i64, "{\"a\":\"\\u0000\"}"), (2, "{\"b\":2}"), (3, "{\"old\":1}")] {
        let sha256 = case::document::hash(document);
        row("documents", values![id, &sha256, document.len() as i64, text(document)])?;
    }
    for id in [1_i64, 2] {
        row(
            "case_parts",
            values![
                id,
                format!("c-{id}"),
                2,
                id,
                "Login of anna\0",
                "anna\0",
                2,
                91_500,
                100,
                200,
                150,
                "{}",
                "anna\0\n",
                "E1",
                5,
                id,
                null(),
                1_000,
            ],
        )?;
        row("case_entities", values![id, "address", "192.0.2.9", "192.0.2.9"])?;
    }
    row("verdicts", values![1, 1, "c-1", "raised", 1, "late", "{}", 1_200, 1, 2, 60_000, 91_500, 3])?;
    row("snapshots", values![1, 1, 1_250, "person:1", "to T2", "{}"])?;
    row("snapshot_documents", values![1, "c-1", 3, &case::document::hash("{\"old\":1}")])?;
    row("timeline", values![1, 1, "log", 120, "exact", 1_000, "engine", "a login\0", "{}", "e-1"])?;
    if schema < 3 {
        return Ok(());
    }
    for name in ["note", "override", "evidence", "suppression", "ask"] {
        row("counters", values![name, 1])?;
    }
    row("notes", values![1, 1, 2, "n\0ote", "n\0ote", "anna", 1_000, 1_100, null()])?;
    row("note_revisions", values![1, 1, "first", "anna", 1_000])?;
    row("note_revisions", values![1, 2, "n\0ote", "anna", 1_100])?;
    row("tasks", values![1, "l1", "Legitimate?", 1, "done", 1, 5_000, "yes", "anna", 1_200, 2])?;
    row("overrides", values![1, 1, 2, 1, "known", "anna", 1_300, null(), null()])?;
    row("clocks", values![1, "contain", 1_000, 9_000, null(), null()])?;
    row(
        "evidence",
        values![1, 1, vec![6_u8; 32], 10, "mem", "application/octet-stream", "f", 1, "H", "c", "anna", 2],
    )?;
    row("custody", values![1, 1, 2, "anna", "added", "whole"])?;
    row(
        "suppressions",
        values![
            1,
            "anna",
            "192.0.2.0/24",
            64_500,
            "FR",
            null(),
            null(),
            "trip",
            "anna",
            1,
            1_000,
            9_000,
            3,
            1_500,
            null(),
            null(),
            null(),
            null(),
            1,
        ],
    )?;
    row(
        "asks",
        values![
            1,
            vec![7_u8; 32],
            1,
            "anna",
            "You?",
            "bob",
            1_000,
            2_000,
            1_500,
            "no",
            "",
            "phone",
            "b",
            "192.0.2.2",
            null(),
        ],
    )?;
    if schema < 4 {
        return Ok(());
    }
    row("outbox", values![1, "hook", "case", "1", "{}", 1_000, 0, 1_000, "waiting", null(), null(), null()])?;
    row("settings", values!["a", vec![1_u8], 1, 1_000])?;
    Ok(())
}

/// The newest schema whose tables `fill` writes from nothing. Later ones alter tables: the rows are there before, as they are
/// on people's disks.
const FILLED: i64 = 4;

/// What the schemas after that have besides.
fn fill_altered(tx: &mut WriteTx<'_>, schema: i64) -> Result<()> {
    if schema >= 5 {
        tx.execute("update suppressions set criteria = 'E2 E3' where id = 1", &[])?;
        tx.execute("insert into suppression_hits values (1, 2, 0, 1500)", &[])?;
        tx.execute("update asks set strength = 'weak' where id = 1", &[])?;
    }
    Ok(())
}

fn of_schema(schema: i64, path: &Path) -> Database {
    let db = Database::connect(&Location::sqlite(path)).unwrap();
    let first = schema.min(FILLED);
    migrate::up_to(&db, first, 1).unwrap();
    db.write(|tx| fill(tx, first)).unwrap();
    if schema > first {
        migrate::up_to(&db, schema, 1).unwrap();
        db.write(|tx| fill_altered(tx, schema)).unwrap();
    }
    db
}

/// For a new schema: fill its tables above, then
/// `cargo test -p portreeve-store writes_fixtures_of_schemas_that_are_new -- --ignored`.
#[test]
#[ignore = "writes the fixtures of schemas that have none: cargo test -p portreeve-store writes_fixtures -- --ignored"]
fn writes_fixtures_of_schemas_that_are_new() {
    for schema in (1..migrate::NEWEST).filter(|s| !fixture(*s).exists()) {
        let dir = tempfile::tempdir().unwrap();
        let db = of_schema(schema, &dir.path().join("store.db"));
        dump::plain(&db, &fixture(schema), 1).unwrap();
    }
}

/// What any schema holds must still be found, read by the functions of today.
fn holds(db: &Database, schema: i64) {
    db.read(|tx| {
        let anna = people::by_name(tx, "anna")?.unwrap();
        assert_eq!((anna.display.as_str(), anna.totp, anna.roles.len()), ("Anna Berg", Some(vec![0, 1]), 1));
        if schema >= 2 {
            let case = case::get(tx, crate::CaseId(2))?;
            assert_eq!((case.principal.as_str(), case.risk.points()), ("anna\0", 91.5));
            assert_eq!(case::document::of_case(tx, case.id)?.len(), 2);
            assert_eq!(case::merge::merged(tx, case.id)?, [crate::CaseId(1)]);
        }
        if schema >= 3 {
            assert_eq!(case::note::of_case(tx, crate::CaseId(2))?[0].body, "n\0ote");
            assert_eq!(case::get(tx, crate::CaseId(2))?.suppressed, None);
            let trip = crate::suppression::get(tx, crate::SuppressionId(1))?;
            let criteria = if schema >= 5 { 2 } else { 0 };
            assert_eq!((trip.hits, trip.scope.criteria.len()), (3, criteria));
            assert_eq!((trip.scope_at, trip.since()), (None, trip.created_at));
            let ask = crate::ask::get(tx, crate::AskId(1))?;
            let strength = if schema >= 5 { "weak" } else { "" };
            assert_eq!(ask.answered.map(|a| (a.strength, a.confirmed)), Some((strength.to_owned(), None)));
        }
        Ok(())
    })
    .unwrap();
    // And it goes on: numbers that were given are not given again.
    db.write(|tx| {
        audit::append(
            tx,
            &audit::NewEntry {
                at: 1,
                actor: "a".into(),
                verb: "b".into(),
                object: "c".into(),
                address: String::new(),
                outcome: audit::Outcome::Done,
                detail: String::new(),
            },
        )?;
        assert_eq!(tx.next("person")?, 2);
        Ok(())
    })
    .unwrap();
}

#[test]
fn every_older_schema_goes_forward_where_it_stands() {
    for schema in 1..migrate::NEWEST {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        drop(of_schema(schema, &path));
        let db = Database::connect(&Location::sqlite(&path)).unwrap();
        migrate::up_to(&db, migrate::NEWEST, 2).unwrap();
        assert_eq!(db.read(migrate::version).unwrap(), migrate::NEWEST);
        holds(&db, schema);
        // The copy that was made before, in case the way forward was wrong.
        let copy = dir.path().join(format!("store.db.schema-{schema}"));
        let before = Database::connect(&Location::sqlite(&copy)).unwrap();
        assert_eq!(before.read(migrate::version).unwrap(), schema);
    }
}

#[test]
fn every_fixture_is_restored_and_goes_forward() {
    for schema in 1..migrate::NEWEST {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        backup::restore(&fixture(schema), &Location::sqlite(&path), 2).unwrap();
        holds(&Database::connect(&Location::sqlite(&path)).unwrap(), schema);
    }
}

#[test]
fn a_schema_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let db = of_schema(1, &path);
    db.write(|tx| tx.execute("insert into schema_versions values (99, 'x', 'y', 1, 'z')", &[])).unwrap();
    let error = migrate::up_to(&db, migrate::NEWEST, 2).unwrap_err();
    assert!(matches!(error, crate::Error::TooNew { found: 99, known: migrate::NEWEST }), "{error}");
    db.write(|tx| tx.execute("delete from schema_versions where version = 99", &[])).unwrap();
    db.write(|tx| tx.execute("update schema_versions set sha256 = 'other'", &[])).unwrap();
    let error = migrate::up_to(&db, migrate::NEWEST, 2).unwrap_err();
    assert!(matches!(error, crate::Error::OtherSchema { version: 1, .. }), "{error}");
}

#[test]
fn a_file_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("create table t (a)").unwrap();
    let error = Database::connect(&Location::sqlite(&path)).err().unwrap();
    assert!(matches!(error, crate::Error::NotOurs { .. }), "{error}");
    let path = dir.path().join("text");
    std::fs::write(&path, "not a database at all, but longer than a header of one hundred bytes ".repeat(9))
        .unwrap();
    let error = Database::connect(&Location::sqlite(&path)).err().unwrap();
    assert!(matches!(error, crate::Error::Damaged(_)), "{error}");
}
