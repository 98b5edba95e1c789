//! One way to speak to both databases: statements with `$1`, read and write transactions.
//!
//! One writer at a time, in both: SQLite has it so, and in PostgreSQL every change begins by taking one lock. What a
//! change has read cannot be changed by another before it is done, on however many nodes, so nothing above this has
//! to think of races, and numbers have no gaps.

mod location;
mod postgres;
mod sqlite;
mod tls;
pub(crate) mod value;

pub use location::{Location, PostgresLocation};
pub use value::Micros;
pub(crate) use value::{Row, Value};

use crate::error::{Error, Result};
use std::cell::Cell;
use std::sync::Arc;

/// SQLite or PostgreSQL, open and of our schema. Cheap to clone; all clones share the connections.
///
/// Calls block. Within an asynchronous program they belong on threads that may block: the PostgreSQL client brings
/// its own executor and panics inside another.
#[derive(Clone)]
pub struct Database {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Sqlite(Arc<sqlite::Pool>),
    Postgres(Arc<postgres::Pool>),
}

/// A transaction: all it reads is of one moment.
pub struct Tx<'a> {
    on: On<'a>,
    /// PostgreSQL ends a transaction at its first error and SQLite does not; here both do.
    failed: bool,
}

/// A transaction that may change things. All of it is kept or nothing.
pub struct WriteTx<'a> {
    tx: Tx<'a>,
}

enum On<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a mut postgres::Session),
}

thread_local! {
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// That this thread is inside a change: a second one would wait for itself for ever.
struct Writing;

impl Writing {
    fn begin() -> Result<Writing> {
        if WRITING.replace(true) { Err(Error::Nested) } else { Ok(Writing) }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(false);
    }
}

impl Database {
    /// Connects, and changes nothing: the schema is `migrate`'s.
    pub(crate) fn connect(location: &Location) -> Result<Database> {
        let kind = match location {
            Location::Sqlite(path) => Kind::Sqlite(Arc::new(sqlite::Pool::open(path)?)),
            Location::Postgres(location) => Kind::Postgres(Arc::new(postgres::Pool::open(location)?)),
        };
        Ok(Database { kind })
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(&self.kind, Kind::Sqlite(_))
    }

    /// Reads at one moment. The closure may run again if the connection broke.
    pub fn read<T>(&self, mut f: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match &self.kind {
            Kind::Sqlite(pool) => pool.read(&mut f),
            Kind::Postgres(pool) => pool.read(&mut f),
        }
    }

    /// Changes all or nothing; when this returns it is on the disk. The closure may run again if the connection broke
    /// before its changes could have been kept.
    pub fn write<T>(&self, mut f: impl FnMut(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        let _writing = Writing::begin()?;
        match &self.kind {
            Kind::Sqlite(pool) => pool.write(&mut f),
            Kind::Postgres(pool) => pool.write(&mut f),
        }
    }

    /// A copy of an SQLite database in one file, taken while others read and write.
    pub(crate) fn sqlite(&self) -> Option<&sqlite::Pool> {
        match &self.kind {
            Kind::Sqlite(pool) => Some(pool),
            Kind::Postgres(_) => None,
        }
    }
}

pub(crate) use sqlite::{APPLICATION, Pool as SqlitePool};

impl<'a> Tx<'a> {
    fn on(on: On<'a>) -> Tx<'a> {
        Tx { on, failed: false }
    }

    /// Every row, one after the other, so that a large table needs no large memory.
    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        f: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        if self.failed {
            return Err(Error::Failed);
        }
        let done = match &mut self.on {
            On::Sqlite(connection) => sqlite::each(connection, sql, values, f),
            On::Postgres(session) => session.each(sql, values, f),
        };
        self.failed = done.is_err();
        done
    }

    pub(crate) fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each(sql, values, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The only row, or the first.
    pub(crate) fn row(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// The rows as something.
    pub(crate) fn all<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&mut Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, values, &mut |mut row| {
            all.push(read(&mut row)?);
            Ok(())
        })?;
        Ok(all)
    }

    pub(crate) fn one<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&mut Row) -> Result<T>,
    ) -> Result<Option<T>> {
        self.row(sql, values)?.map(|mut row| read(&mut row)).transpose()
    }

    /// The number in the first column of the first row; 0 without one.
    pub(crate) fn number(&mut self, sql: &str, values: &[Value<'_>]) -> Result<i64> {
        Ok(self.one(sql, values, Row::maybe_int)?.flatten().unwrap_or(0))
    }

    /// The names of the columns that a statement gives.
    pub(crate) fn columns(&mut self, sql: &str) -> Result<Vec<String>> {
        match &mut self.on {
            On::Sqlite(connection) => sqlite::columns(connection, sql),
            On::Postgres(session) => session.columns(sql),
        }
    }

    /// For work that takes longer than a request may.
    pub(crate) fn takes_long(&mut self) -> Result<()> {
        match &mut self.on {
            On::Sqlite(_) => Ok(()),
            On::Postgres(session) => session.takes_long(),
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.on, On::Sqlite(_))
    }
}

impl<'a> WriteTx<'a> {
    fn on(on: On<'a>) -> WriteTx<'a> {
        WriteTx { tx: Tx::on(on) }
    }

    fn failed(&self) -> bool {
        self.tx.failed
    }

    /// How many rows were changed.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        if self.tx.failed {
            return Err(Error::Failed);
        }
        let done = match &mut self.tx.on {
            On::Sqlite(connection) => sqlite::execute(connection, sql, values),
            On::Postgres(session) => session.execute(sql, values),
        };
        self.tx.failed = done.is_err();
        done
    }

    /// Statements without values, one after the other: for the schema.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<()> {
        let done = match &mut self.tx.on {
            On::Sqlite(connection) => connection.execute_batch(sql).map_err(Error::from),
            On::Postgres(session) => session.batch(sql),
        };
        self.tx.failed = done.is_err();
        done
    }

    /// The next number of a sequence that has no gaps.
    pub(crate) fn next(&mut self, sequence: &'static str) -> Result<i64> {
        let sql = "insert into counters (name, value) values ($1, 1)
                   on conflict (name) do update set value = counters.value + 1 returning value";
        self.row(sql, value::values![sequence])?
            .map_or(Err(Error::not_found("sequence", sequence)), |mut row| row.int())
    }
}

impl<'a> std::ops::Deref for WriteTx<'a> {
    type Target = Tx<'a>;
    fn deref(&self) -> &Tx<'a> {
        &self.tx
    }
}

impl<'a> std::ops::DerefMut for WriteTx<'a> {
    fn deref_mut(&mut self) -> &mut Tx<'a> {
        &mut self.tx
    }
}
