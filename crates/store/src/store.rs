//! The store as the service holds it: the database, the directory of evidence, and the audit entries on their way.

use crate::audit::NewEntry;
use crate::audit_queue::Queue;
use crate::db::{Database, Location, Micros, Tx, WriteTx};
use crate::error::Result;
use crate::evidence::Files;
use crate::{backup, dump, idempotency, login, migrate, outbox};
use std::path::Path;
use std::sync::Arc;

#[derive(Clone)]
pub struct Store {
    // Dropped first, so that what waits is written while the database is still there.
    audit: Arc<Queue>,
    db: Database,
    files: Files,
}

/// How it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// `sqlite` or `postgresql`.
    pub database: &'static str,
    pub version: String,
    pub schema: i64,
    pub bytes: i64,
    /// Audit entries that are not written yet, and why if it does not go on.
    pub audit_waiting: usize,
    pub audit_error: Option<String>,
}

/// How long finished things stay.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Logins that nobody used since then end.
    pub logins_idle_since: Micros,
    /// Deliveries that were heard before then go.
    pub deliveries_since: Micros,
}

/// What housekeeping deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tidied {
    pub logins: u64,
    pub deliveries: u64,
    pub idempotency_keys: u64,
}

impl Store {
    /// Opens it and brings its schema up to date. `evidence` is the directory of the files of evidence; every node
    /// has to see the same one.
    pub fn open(location: &Location, evidence: &Path, now: Micros) -> Result<Store> {
        let db = Database::connect(location)?;
        migrate::up_to(&db, migrate::NEWEST, now)?;
        let audit = Arc::new(Queue::start(db.clone())?);
        Ok(Store { audit, db, files: Files::new(evidence) })
    }

    /// Reads at one moment. The closure may run again if the connection broke.
    pub fn read<T>(&self, f: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.read(f)
    }

    /// Changes all or nothing; when this returns it is on the disk. The closure may run again if the connection broke
    /// before its changes could have been kept.
    pub fn write<T>(&self, f: impl FnMut(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(f)
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// An audit entry that need not be written before the answer: that somebody read something. It is written within
    /// half a second, with the others that came, and before the store closes. Refused while the audit cannot be
    /// written and too many wait: what cannot be recorded is not shown.
    pub fn audit_soon(&self, entry: NewEntry) -> Result<()> {
        self.audit.push(entry)
    }

    /// Writes the audit entries that wait, now.
    pub fn flush_audit(&self) -> Result<()> {
        self.audit.flush()
    }

    /// Writes what waits, and leaves the database in order. Dropping the last clone does the same, but cannot say
    /// that it failed.
    pub fn close(self) -> Result<()> {
        self.audit.flush()?;
        if let Some(pool) = self.db.sqlite() {
            pool.writer().execute_batch("pragma optimize; pragma wal_checkpoint(truncate)")?;
        }
        Ok(())
    }

    pub fn health(&self) -> Result<Health> {
        let (audit_waiting, audit_error) = self.audit.standing();
        let sqlite = self.db.is_sqlite();
        let (version, bytes) = if sqlite {
            (
                "select sqlite_version()",
                "select page_count * page_size from pragma_page_count(), pragma_page_size()",
            )
        } else {
            ("select current_setting('server_version')", "select pg_database_size(current_database())")
        };
        self.read(|tx| {
            Ok(Health {
                database: if sqlite { "sqlite" } else { "postgresql" },
                version: tx.one(version, &[], |r| r.text())?.unwrap_or_default(),
                schema: migrate::version(tx)?,
                bytes: tx.number(bytes, &[])?,
                audit_waiting,
                audit_error: audit_error.clone(),
            })
        })
    }

    /// Deletes what has run out. For once an hour or so.
    pub fn tidy(&self, now: Micros, keep: &Keep) -> Result<Tidied> {
        let tidied = self.write(|tx| {
            Ok(Tidied {
                logins: login::tidy(tx, now, keep.logins_idle_since)?,
                deliveries: outbox::tidy(tx, keep.deliveries_since)?,
                idempotency_keys: idempotency::tidy(tx, now)?,
            })
        })?;
        if let Some(pool) = self.db.sqlite() {
            pool.writer().execute_batch("pragma optimize")?;
        }
        Ok(tidied)
    }

    /// Copies an SQLite database into one new file while it is in use, and checks the copy. The directory of evidence
    /// is copied as it is.
    pub fn backup(&self, to: &Path) -> Result<()> {
        backup::of(&self.db, to)
    }

    /// Writes everything as lines of JSON, compressed: `restore` puts them into either database.
    pub fn dump(&self, to: &Path, now: Micros) -> Result<u64> {
        dump::to_file(&self.db, to, now)
    }

    /// Faults that the database finds in itself. PostgreSQL tells them as errors, while every row is read.
    pub fn check(&self) -> Result<Vec<String>> {
        match self.db.sqlite() {
            Some(pool) => backup::faults(&pool.writer()),
            None => self.read(|tx| {
                tx.takes_long()?;
                for table in migrate::TABLES {
                    tx.each(&format!("select * from {}", table.name), &[], &mut |_| Ok(()))?;
                }
                Ok(Vec::new())
            }),
        }
    }

    /// The database, for who has only that to do.
    pub fn database(&self) -> &Database {
        &self.db
    }
}
