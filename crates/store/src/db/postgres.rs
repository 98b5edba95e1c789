//! PostgreSQL: a pool of connections that are made anew when the server was away.

use super::location::PostgresLocation;
use super::value::{Row, Value, escaped, restored};
use super::{On, Tx, WriteTx, tls};
use crate::error::{Error, Result};
use bytes::BytesMut;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Statement};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a call waits for a server that is away, and for a free connection.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// A call whose connection broke is made again so often.
const TRIES: usize = 3;
const STATEMENTS: usize = 256;

/// A statement that hangs is worse than one that fails; who waits for the writer's lock is told in time; a node that
/// stands still in the middle of a change must not stop the others. What the location sets itself stays.
const SESSION: &str = "
    select set_config('statement_timeout', '60s', false) where current_setting('statement_timeout') = '0';
    select set_config('lock_timeout', '20s', false) where current_setting('lock_timeout') = '0';
    select set_config('idle_in_transaction_session_timeout', '60s', false)
        where current_setting('idle_in_transaction_session_timeout') = '0';
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

/// READ COMMITTED: every statement after the lock sees all that was done before it. The number is `portreev`.
const BEGIN_WRITE: &str = "begin; select pg_advisory_xact_lock(8101820099123832182)";
const BEGIN_READ: &str = "begin isolation level repeatable read read only";

pub(crate) struct Pool {
    location: PostgresLocation,
    tls: MakeRustlsConnect,
    sessions: Mutex<Sessions>,
    back: Condvar,
}

struct Sessions {
    idle: Vec<Session>,
    out: usize,
}

/// One connection with what it has prepared.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Pool {
    pub(crate) fn open(location: &PostgresLocation) -> Result<Pool> {
        let mut location = location.clone();
        let config = &mut location.config;
        if config.get_application_name().is_none() {
            config.application_name("portreeve");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(30));
        let tls = tls::connector(&location)?;
        let sessions = Mutex::new(Sessions { idle: Vec::new(), out: 0 });
        let pool = Pool { location, tls, sessions, back: Condvar::new() };
        let encoding: String = pool.take()?.session().client.query_one("show server_encoding", &[])?.get(0);
        if encoding != "UTF8" {
            let why = format!("its encoding is {encoding}; create it with encoding 'UTF8'");
            return Err(Error::Open { at: pool.location.name(), why });
        }
        Ok(pool)
    }

    pub(crate) fn read<T>(&self, f: &mut dyn FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.again(|held| {
            held.session().batch(BEGIN_READ)?;
            let value = f(&mut Tx::on(On::Postgres(held.session())))?;
            held.session().batch("commit")?;
            Ok(value)
        })
    }

    pub(crate) fn write<T>(&self, f: &mut dyn FnMut(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        self.again(|held| {
            held.session().batch(BEGIN_WRITE)?;
            let mut tx = WriteTx::on(On::Postgres(held.session()));
            let value = f(&mut tx)?;
            if tx.failed() {
                return Err(Error::Failed);
            }
            match held.session().batch("commit") {
                Ok(()) => Ok(value),
                // Whether the server heard it before the connection broke, nobody here can know.
                Err(Error::Unreachable(_)) => Err(Error::Unsure),
                Err(e) => Err(e),
            }
        })
    }

    /// Once more where the connection broke, which it does for every idle one when the server was restarted.
    fn again<T>(&self, mut call: impl FnMut(&mut Held<'_>) -> Result<T>) -> Result<T> {
        let mut tries = 1;
        loop {
            let mut held = self.take()?;
            let result = call(&mut held);
            match result {
                Ok(value) => {
                    held.fit = true;
                    return Ok(value);
                }
                Err(Error::Unreachable(_)) if tries < TRIES => {
                    tries += 1;
                    self.forget_idle();
                }
                Err(e) => {
                    held.fit = !held.session().client.is_closed() && held.session().batch("rollback").is_ok();
                    if !held.fit {
                        self.forget_idle();
                    }
                    return Err(e);
                }
            }
        }
    }

    fn take(&self) -> Result<Held<'_>> {
        let until = Instant::now() + PATIENCE;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        while sessions.out >= self.location.connections {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Busy(format!("all {} connections are in use", self.location.connections)));
            }
            sessions = self.back.wait_timeout(sessions, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        sessions.out += 1;
        let mut held = Held { pool: self, session: None, fit: false };
        while let Some(session) = sessions.idle.pop() {
            if !session.client.is_closed() {
                held.session = Some(session);
                break;
            }
        }
        drop(sessions);
        while held.session.is_none() {
            match self.connect() {
                Ok(session) => held.session = Some(session),
                Err(Error::Unreachable(_)) if Instant::now() < until => std::thread::sleep(BETWEEN_TRIES),
                Err(e) => return Err(e),
            }
        }
        Ok(held)
    }

    fn connect(&self) -> Result<Session> {
        let client = self.location.config.connect(self.tls.clone()).map_err(|e| match Error::from(e) {
            Error::Postgres(e) => {
                Error::Open { at: self.location.name(), why: Error::Postgres(e).to_string() }
            }
            other => other,
        })?;
        let mut session = Session { client, statements: HashMap::new() };
        session.batch(SESSION)?;
        Ok(session)
    }

    fn forget_idle(&self) {
        let idle = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut sessions.idle)
        };
        drop(idle);
    }
}

/// A session on loan.
struct Held<'a> {
    pool: &'a Pool,
    session: Option<Session>,
    /// Outside of any transaction. One that is not is thrown away, and the server with it rolls back.
    fit: bool,
}

impl Held<'_> {
    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("`take` hands out none without, and only `drop` takes it out")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let session = self.session.take().filter(|_| self.fit);
        let mut sessions = self.pool.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.out -= 1;
        sessions.idle.extend(session);
        drop(sessions);
        self.pool.back.notify_one();
    }
}

impl Session {
    pub(crate) fn batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql)?)
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        f: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let statement = self.prepared(sql)?;
        let columns = statement.columns().len();
        let mut rows = self.client.query_raw(&statement, values.iter().map(|v| v as &(dyn ToSql + Sync)))?;
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(columns);
            for n in 0..columns {
                cells.push(row.try_get::<_, Cell>(n)?.0);
            }
            f(Row::new(cells))?;
        }
        Ok(())
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let statement = self.prepared(sql)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
        Ok(self.client.execute(&statement, &values)?)
    }

    pub(crate) fn columns(&mut self, sql: &str) -> Result<Vec<String>> {
        Ok(self.prepared(sql)?.columns().iter().map(|c| c.name().to_owned()).collect())
    }

    pub(crate) fn takes_long(&mut self) -> Result<()> {
        self.batch("set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0")
    }
}

struct Cell(Value<'static>);

type Wrong = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Cell, Wrong> {
        Ok(Cell(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Value::Bytes(Cow::Owned(raw.to_vec())),
            _ => Value::Text(Cow::Owned(restored(String::from_sql(ty, raw)?))),
        }))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Cell, Wrong> {
        Ok(Cell(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA) || <String as FromSql>::accepts(ty)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Wrong> {
        let fits = match (self, ty) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Int(v), &Type::INT8) => return v.to_sql(ty, out),
            (Value::Int(v), &Type::INT4) => return i32::try_from(*v)?.to_sql(ty, out),
            (Value::Text(v), _) if <&str as ToSql>::accepts(ty) => {
                return escaped(v).as_ref().to_sql(ty, out);
            }
            (Value::Bytes(v), &Type::BYTEA) => return v.as_ref().to_sql(ty, out),
            (Value::Int(_), _) => "a number",
            (Value::Text(_), _) => "a text",
            (Value::Bytes(_), _) => "bytes",
        };
        Err(format!("the statement was given {fits} where {ty} belongs").into())
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
