//! SQLite: one connection that writes, several that read, and the write-ahead log between them.

use super::value::{Row, Value, escaped, restored};
use super::{On, Tx, WriteTx};
use crate::error::{Error, Result};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that read at one time.
const READERS: usize = 6;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(20);
const STATEMENTS: usize = 256;
/// `Prtv` in the header of the file.
pub(crate) const APPLICATION: i64 = 0x5072_7476;

pub(crate) struct Pool {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Readers>,
    back: Condvar,
}

struct Readers {
    idle: Vec<Connection>,
    out: usize,
}

impl Pool {
    pub(crate) fn open(path: &Path) -> Result<Pool> {
        let at = || path.display().to_string();
        private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |e: rusqlite::Error| match Error::from(e) {
            Error::Damaged(why) => Error::Damaged(format!("{}: {why}", path.display())),
            other => Error::Open { at: at(), why: other.to_string() },
        };
        let writer = Connection::open_with_flags(path, flags).map_err(open)?;
        writer.busy_timeout(BUSY)?;
        let application: i64 = writer.query_row("pragma application_id", [], |r| r.get(0)).map_err(open)?;
        let tables: i64 =
            writer.query_row("select count(*) from sqlite_schema", [], |r| r.get(0)).map_err(open)?;
        if application != APPLICATION && (application != 0 || tables != 0) {
            return Err(Error::NotOurs { at: at() });
        }
        let mode: String = writer.query_row("pragma journal_mode = wal", [], |r| r.get(0)).map_err(open)?;
        if mode != "wal" {
            let why = format!("its journal stays {mode}; a local disk is needed");
            return Err(Error::Open { at: at(), why });
        }
        // FULL: what is acknowledged is on the disk, not only in the hands of the operating system.
        writer.execute_batch(
            "pragma synchronous = full; pragma foreign_keys = on; pragma trusted_schema = off;
             pragma cell_size_check = on; pragma temp_store = memory; pragma cache_size = -32000;
             pragma journal_size_limit = 67108864;",
        )?;
        writer.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Pool {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::new(Readers { idle: Vec::new(), out: 0 }),
            back: Condvar::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read<T>(&self, f: &mut dyn FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let reader = self.reader()?;
        reader.connection().execute_batch("begin")?;
        f(&mut Tx::on(On::Sqlite(reader.connection())))
        // The transaction ends when the reader is handed back.
    }

    pub(crate) fn write<T>(&self, f: &mut dyn FnMut(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        let writer = self.writer();
        writer.execute_batch("begin immediate")?;
        let mut tx = WriteTx::on(On::Sqlite(&writer));
        let result = match f(&mut tx) {
            Ok(_) if tx.failed() => Err(Error::Failed),
            other => other,
        };
        let result = result.and_then(|value| {
            writer.execute_batch("commit")?;
            Ok(value)
        });
        if !writer.is_autocommit() {
            writer.execute_batch("rollback")?;
        }
        result
    }

    /// The whole database as it is now, in one new file.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<()> {
        let reader = self.reader()?;
        let to = to.to_str().ok_or_else(|| Error::invalid("backup", "a path must be UTF-8"))?;
        // `query_only` forbids even this; it writes to the other file alone.
        let connection = reader.connection();
        connection.execute_batch("pragma query_only = off")?;
        let done = connection.execute("vacuum into ?1", [to]);
        connection.execute_batch("pragma query_only = on")?;
        done?;
        Ok(())
    }

    /// The connection that writes, outside of any transaction.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !writer.is_autocommit() {
            // A change panicked before it was done.
            let _gone = writer.execute_batch("rollback");
        }
        writer
    }

    fn reader(&self) -> Result<Reader<'_>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.idle.is_empty() && readers.out >= READERS {
            readers = self.back.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        readers.out += 1;
        let idle = readers.idle.pop();
        drop(readers);
        // From here on its place is given back whatever happens.
        let mut reader = Reader { pool: self, connection: idle };
        if reader.connection.is_none() {
            reader.connection = Some(self.new_reader()?);
        }
        Ok(reader)
    }

    fn new_reader(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(
            "pragma query_only = on; pragma trusted_schema = off; pragma temp_store = memory;
             pragma cache_size = -8000;",
        )?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

struct Reader<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("only `drop` takes it out")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let fit = self.connection.take().filter(|c| c.is_autocommit() || c.execute_batch("rollback").is_ok());
        let mut readers = self.pool.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.out -= 1;
        readers.idle.extend(fit);
        drop(readers);
        self.pool.back.notify_one();
    }
}

/// Names of people and what was found about them: the file is for its owner alone, as are the log and the index that
/// SQLite puts beside it.
fn private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(Error::file(path))?;
    Ok(())
}

/// `$1` names a parameter in SQLite, numbered by its first appearance; `?1` is the number itself.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, values: &[Value<'_>]) -> Result<()> {
    for (value, n) in values.iter().zip(1..) {
        statement.raw_bind_parameter(n, value)?;
    }
    Ok(())
}

pub(crate) fn each(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
    f: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let columns = statement.column_count();
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(columns);
        for n in 0..columns {
            cells.push(cell(row.get_ref(n)?)?);
        }
        f(Row::new(cells))?;
    }
    Ok(())
}

fn cell(value: ValueRef<'_>) -> Result<Value<'static>> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(v) => Value::Int(v),
        ValueRef::Text(v) => {
            let text = String::from_utf8(v.to_vec())
                .map_err(|e| Error::Damaged(format!("a text is not UTF-8: {e}")))?;
            Value::Text(Cow::Owned(restored(text)))
        }
        ValueRef::Blob(v) => Value::Bytes(Cow::Owned(v.to_vec())),
        ValueRef::Real(v) => {
            return Err(Error::Column { wanted: "number without a point", found: v.to_string() });
        }
    })
}

pub(crate) fn execute(connection: &Connection, sql: &str, values: &[Value<'_>]) -> Result<u64> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

pub(crate) fn columns(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let statement = connection.prepare_cached(&numbered(sql))?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
            Value::Int(v) => ToSqlOutput::Owned(rusqlite::types::Value::Integer(*v)),
            Value::Text(v) => match escaped(v) {
                Cow::Borrowed(v) => ToSqlOutput::Borrowed(ValueRef::Text(v.as_bytes())),
                Cow::Owned(v) => ToSqlOutput::Owned(rusqlite::types::Value::Text(v)),
            },
            Value::Bytes(v) => ToSqlOutput::Borrowed(ValueRef::Blob(v)),
        })
    }
}
