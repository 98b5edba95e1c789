//! The schema: numbered steps that only go forward, each in one transaction, written once for both databases.
//!
//! The files in `migrations/` are SQL as both databases speak it, with four words of our own: `INT`, `TEXT`, `BYTES`
//! for the three types of column, `STRICT` where SQLite is to hold on to them. What cannot be said in one way stands
//! behind a line `--@sqlite` or `--@postgres`, until `--@both`. A file that was part of a release is never changed.

use crate::db::value::values;
use crate::db::{Database, Micros, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::hex;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// The version is the place in this list, from 1.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "people", sql: include_str!("migrations/0001_people.sql") },
    Migration { name: "cases", sql: include_str!("migrations/0002_cases.sql") },
    Migration { name: "casework", sql: include_str!("migrations/0003_casework.sql") },
    Migration { name: "service", sql: include_str!("migrations/0004_service.sql") },
    Migration { name: "benign", sql: include_str!("migrations/0005_benign.sql") },
    Migration { name: "scopes", sql: include_str!("migrations/0006_scopes.sql") },
];

/// The newest schema that this program knows.
pub const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Every table with the columns of its primary key, in an order in which rows can be written: what is referred to
/// comes first. `since` is the schema that brought it.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) since: i64,
}

pub(crate) const TABLES: &[Table] = &[
    Table { name: "counters", key: "name", since: 1 },
    Table { name: "people", key: "id", since: 1 },
    Table { name: "person_roles", key: "person_id, role", since: 1 },
    Table { name: "passkeys", key: "credential", since: 1 },
    Table { name: "logins", key: "token", since: 1 },
    Table { name: "sources", key: "id", since: 1 },
    Table { name: "source_certificates", key: "sha256", since: 1 },
    Table { name: "tokens", key: "id", since: 1 },
    Table { name: "first_run", key: "id", since: 1 },
    Table { name: "cases", key: "id", since: 2 },
    Table { name: "case_members", key: "case_id, person_id", since: 2 },
    Table { name: "documents", key: "id", since: 2 },
    Table { name: "case_parts", key: "id", since: 2 },
    Table { name: "case_entities", key: "part_id, kind, value_key", since: 2 },
    Table { name: "verdicts", key: "case_id, number", since: 2 },
    Table { name: "snapshots", key: "id", since: 2 },
    Table { name: "snapshot_documents", key: "snapshot_id, engine_id", since: 2 },
    Table { name: "timeline", key: "id", since: 2 },
    Table { name: "notes", key: "id", since: 3 },
    Table { name: "note_revisions", key: "note_id, revision", since: 3 },
    Table { name: "tasks", key: "case_id, step", since: 3 },
    Table { name: "overrides", key: "id", since: 3 },
    Table { name: "clocks", key: "case_id, kind", since: 3 },
    Table { name: "evidence", key: "id", since: 3 },
    Table { name: "custody", key: "evidence_id, number", since: 3 },
    Table { name: "suppressions", key: "id", since: 3 },
    Table { name: "asks", key: "id", since: 3 },
    Table { name: "audit", key: "seq", since: 4 },
    Table { name: "outbox", key: "id", since: 4 },
    Table { name: "idempotency", key: "actor, key", since: 4 },
    Table { name: "settings", key: "name", since: 4 },
    Table { name: "suppression_hits", key: "suppression_id, case_id, verdict", since: 5 },
];

/// Brings the schema up to this version and no further; `NEWEST` but for the restoring of older dumps.
pub(crate) fn up_to(db: &Database, wanted: i64, now: Micros) -> Result<()> {
    let found = db.read(version)?;
    if found > NEWEST {
        return Err(Error::TooNew { found, known: NEWEST });
    }
    if found > 0 && found < wanted {
        keep_a_copy(db, found)?;
    }
    loop {
        // One that another node has done meanwhile is seen under the writer's lock and not done again.
        let more = db.write(|tx| {
            let at = version(tx)?;
            if at > NEWEST {
                return Err(Error::TooNew { found: at, known: NEWEST });
            }
            check(tx, at)?;
            if at >= wanted {
                return Ok(false);
            }
            step(tx, at + 1, now)?;
            Ok(at + 1 < wanted)
        })?;
        if !more {
            return Ok(());
        }
    }
}

/// 0 for an empty database.
pub(crate) fn version(tx: &mut Tx<'_>) -> Result<i64> {
    let there = if tx.is_sqlite() {
        tx.number("select count(*) from sqlite_schema where name = 'schema_versions'", &[])?
    } else {
        // Not `to_regclass`: that answers from what this connection remembers, and another node may just have made it.
        tx.number(
            "select count(*) from pg_catalog.pg_class
             where relname = 'schema_versions' and pg_catalog.pg_table_is_visible(oid)",
            &[],
        )?
    };
    if there == 0 {
        return Ok(0);
    }
    tx.number("select max(version) from schema_versions", &[])
}

/// That each step of this database is the one which this program has under its number.
fn check(tx: &mut Tx<'_>, at: i64) -> Result<()> {
    if at == 0 {
        return Ok(());
    }
    let done = tx.all("select version, name, sha256 from schema_versions order by version", &[], |r| {
        Ok((r.int()?, r.text()?, r.text()?))
    })?;
    for ((version, name, sha256), wanted) in done.iter().zip(1..) {
        let migration = usize::try_from(*version - 1).ok().and_then(|n| MIGRATIONS.get(n));
        let Some(migration) = migration.filter(|_| *version == wanted) else {
            return Err(Error::OtherSchema { version: *version, why: format!("step {wanted} is missing") });
        };
        if *sha256 != digest(migration) {
            let why = format!("it is called {name:?} and differs from {:?}", migration.name);
            return Err(Error::OtherSchema { version: *version, why });
        }
    }
    Ok(())
}

fn step(tx: &mut WriteTx<'_>, version: i64, now: Micros) -> Result<()> {
    let migration = usize::try_from(version - 1)
        .ok()
        .and_then(|n| MIGRATIONS.get(n))
        .ok_or(Error::TooNew { found: version, known: NEWEST })?;
    let sqlite = tx.is_sqlite();
    if version == 1 {
        if sqlite {
            tx.batch(&format!("pragma application_id = {}", crate::db::APPLICATION))?;
        }
        tx.batch(&dialect(
            "create table schema_versions (version INT primary key, name TEXT not null, sha256 TEXT not null,
                applied_at INT not null, program TEXT not null) STRICT;",
            sqlite,
        ))?;
    }
    tx.batch(&dialect(migration.sql, sqlite))?;
    tx.execute(
        "insert into schema_versions (version, name, sha256, applied_at, program) values ($1, $2, $3, $4, $5)",
        values![version, migration.name, digest(migration), now, env!("CARGO_PKG_VERSION")],
    )?;
    Ok(())
}

/// A step of the schema cannot be taken back, so an SQLite database is copied before the first one.
fn keep_a_copy(db: &Database, found: i64) -> Result<()> {
    let Some(pool) = db.sqlite() else { return Ok(()) };
    let mut name = pool.path().as_os_str().to_owned();
    name.push(format!(".schema-{found}"));
    let copy = PathBuf::from(name);
    if copy.exists() {
        return Ok(());
    }
    crate::backup::copy(pool, &copy)
}

/// Of the words alone: comments and spaces may be put right later.
fn digest(migration: &Migration) -> String {
    let words: Vec<&str> = lines(migration.sql).flat_map(str::split_whitespace).collect();
    hex(&Sha256::digest(words.join(" ").as_bytes()))
}

/// Lines without comments; the marks of dialects stay.
fn lines(sql: &str) -> impl Iterator<Item = &str> {
    sql.lines().map(|l| if l.starts_with("--@") { l } else { l.split("--").next().unwrap_or(l) })
}

/// SQL as one of the two speaks it.
fn dialect(sql: &str, sqlite: bool) -> String {
    let mut out = String::with_capacity(sql.len() + 512);
    let mut ours = true;
    for line in lines(sql) {
        if let Some(mark) = line.strip_prefix("--@") {
            ours = match mark.trim() {
                "sqlite" => sqlite,
                "postgres" => !sqlite,
                _ => true,
            };
            continue;
        }
        if !ours {
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            out.push_str(&rest[..start]);
            let word = &rest[start..];
            let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
            out.push_str(match (&word[..end], sqlite) {
                ("INT", true) => "integer",
                ("INT", false) => "bigint",
                ("TEXT", true) => "text",
                // In the order of its bytes, as SQLite orders it.
                ("TEXT", false) => "text collate \"C\"",
                ("BYTES", true) => "blob",
                ("BYTES", false) => "bytea",
                ("STRICT", true) => "strict",
                ("STRICT", false) => "",
                (other, _) => other,
            });
            rest = &word[end..];
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_our_own_become_those_of_each_database() {
        let sql = "create table a (id INT primary key, INTERVAL TEXT, -- INT\n b BYTES) STRICT;\n--@sqlite\nx\n--@both\ny";
        let words = |sqlite| dialect(sql, sqlite).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(true), "create table a (id integer primary key, INTERVAL text, b blob) strict; x y");
        assert_eq!(
            words(false),
            "create table a (id bigint primary key, INTERVAL text collate \"C\", b bytea) ; y"
        );
    }

    #[test]
    fn every_table_of_the_schema_is_in_the_list() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            let made: Vec<&str> = migration
                .sql
                .lines()
                .filter_map(|l| l.strip_prefix("create table ")?.split_whitespace().next())
                .collect();
            let listed: Vec<&str> = TABLES.iter().filter(|t| t.since == version).map(|t| t.name).collect();
            assert_eq!(made, listed, "schema {version}");
        }
    }
}
