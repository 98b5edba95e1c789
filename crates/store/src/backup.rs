//! A copy of the whole database in one file, checked; and back.

use crate::db::{Database, Location, Micros, SqlitePool};
use crate::error::{Error, Result};
use crate::{dump, migrate};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub(crate) fn of(db: &Database, to: &Path) -> Result<()> {
    match db.sqlite() {
        Some(pool) => copy(pool, to),
        None => Err(Error::NotNow(
            "a copy in one file is SQLite's; of PostgreSQL make a dump, or use its own tools".into(),
        )),
    }
}

/// The copy has its name only once it is whole.
pub(crate) fn copy(pool: &SqlitePool, to: &Path) -> Result<()> {
    into_place(to, |half| {
        pool.copy_to(half)?;
        let copy = Connection::open_with_flags(half, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        sound(&copy, half)
    })
}

/// Makes a file beside its place, lets it reach the disk, and gives it its name. What has that name already stays.
pub(crate) fn into_place(to: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if to.exists() {
        return Err(Error::taken("file", to.display()));
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A directory of our own: what SQLite puts beside a file is gone with it, and nobody else may read it.
    let room =
        tempfile::Builder::new().prefix(".portreeve-").tempdir_in(parent).map_err(Error::file(parent))?;
    let half = room.path().join("half");
    make(&half)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&half, std::fs::Permissions::from_mode(0o600))
            .map_err(Error::file(&half))?;
    }
    File::open(&half).and_then(|f| f.sync_all()).map_err(Error::file(&half))?;
    // A link fails where the name was taken meanwhile, which a renaming would not.
    std::fs::hard_link(&half, to).or_else(|_no_links| std::fs::rename(&half, to)).map_err(Error::file(to))?;
    File::open(parent).and_then(|d| d.sync_all()).map_err(Error::file(parent))
}

/// Copies a database while another process has it open, and changes nothing of it, its schema neither. SQLite becomes one
/// file that is checked, PostgreSQL a dump; `restore` takes either.
pub fn copy_of(from: &Location, to: &Path, now: Micros) -> Result<()> {
    match from {
        Location::Sqlite(from) => copy_of_file(from, to),
        Location::Postgres(_) => dump::to_file(&Database::connect(from)?, to, now).map(drop),
    }
}

/// As [`copy_of`], for any file of SQLite.
pub fn copy_of_file(from: &Path, to: &Path) -> Result<()> {
    into_place(to, |half| {
        copy_checked(from, half)?;
        sound(&Connection::open_with_flags(half, OpenFlags::SQLITE_OPEN_READ_ONLY)?, half)
    })
}

/// What SQLite finds wrong.
pub(crate) fn faults(connection: &Connection) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut check = connection.prepare("pragma integrity_check(20)")?;
    for line in check.query_map([], |r| r.get::<_, String>(0))? {
        faults.push(line?);
    }
    faults.retain(|f| f != "ok");
    let mut check = connection.prepare("pragma foreign_key_check")?;
    for row in check.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, Option<i64>>(1)?)))? {
        let (table, row) = row?;
        faults.push(format!("{table}, row {}: refers to what is not there", row.unwrap_or(0)));
    }
    Ok(faults)
}

fn sound(connection: &Connection, path: &Path) -> Result<()> {
    match faults(connection)?.first() {
        None => Ok(()),
        Some(fault) => Err(Error::Damaged(format!("{}: {fault}", path.display()))),
    }
}

/// Puts a backup or a dump into a database that does not exist yet, or is empty. A file of SQLite and a dump each go
/// into either database. A backup of an older schema is brought up to date.
pub fn restore(from: &Path, into: &Location, now: Micros) -> Result<()> {
    let mut head = [0_u8; 16];
    let mut file = File::open(from).map_err(Error::file(from))?;
    let n = file.read(&mut head).map_err(Error::file(from))?;
    drop(file);
    match (&head[..n] == b"SQLite format 3\0", into) {
        (true, Location::Sqlite(to)) => restore_file(from, to, now),
        (true, Location::Postgres(_)) => {
            let db = opened_copy(from)?;
            let between = db.room.path().join("dump");
            dump::to_file(&db.db, &between, now)?;
            dump::from_file(&between, into, now)
        }
        (false, _) => dump::from_file(from, into, now),
    }
}

fn restore_file(from: &Path, to: &Path, now: Micros) -> Result<()> {
    into_place(to, |half| copy_checked(from, half))?;
    for end in ["-wal", "-shm"] {
        // Of a database that had this name before: SQLite would take it for this one's.
        let mut beside = to.as_os_str().to_owned();
        beside.push(end);
        let beside = PathBuf::from(beside);
        if beside.exists() {
            std::fs::remove_file(&beside).map_err(Error::file(&beside))?;
        }
    }
    let db = Database::connect(&Location::sqlite(to))?;
    migrate::up_to(&db, migrate::NEWEST, now)
}

/// Through SQLite and not as bytes, so that what still stands in a log beside the file comes along.
fn copy_checked(from: &Path, to: &Path) -> Result<()> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    sound(&source, from)?;
    let to = to.to_str().ok_or_else(|| Error::invalid("path", "must be UTF-8"))?;
    source.execute("vacuum into ?1", [to])?;
    Ok(())
}

struct Opened {
    db: Database,
    room: tempfile::TempDir,
}

/// A backup is not to be changed by being read.
fn opened_copy(from: &Path) -> Result<Opened> {
    let room = tempfile::tempdir().map_err(Error::file(std::env::temp_dir()))?;
    let copy = room.path().join("copy.db");
    copy_checked(from, &copy)?;
    let db = Database::connect(&Location::sqlite(&copy))?;
    Ok(Opened { db, room })
}
