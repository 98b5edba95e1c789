//! What can go wrong with the store, and what to do about it.

use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{text:?} names no database: {why}; write a path, `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
    Location { text: String, why: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the database {at} cannot be opened: {why}")]
    Open { at: String, why: String },
    #[error("the database {at} holds tables of another program; give Portreeve one of its own")]
    NotOurs { at: String },
    #[error(
        "the database has schema {found}, this program knows up to {known}: it was written by a newer Portreeve; \
         start that version, or restore a backup from before the upgrade"
    )]
    TooNew { found: i64, known: i64 },
    #[error("schema {version} of the database is not the one that this program has under that number: {why}")]
    OtherSchema { version: i64, why: String },
    #[error("the database: {0}")]
    Sqlite(rusqlite::Error),
    #[error("the database: {}", in_full(.0))]
    Postgres(postgres::Error),
    /// Nothing was changed. It may be tried again.
    #[error("the database is busy: {0}; try again")]
    Busy(String),
    /// Nothing was changed. It may be tried again.
    #[error("the database does not answer: {0}; try again once it does")]
    Unreachable(String),
    #[error(
        "the connection broke while the change was being confirmed; read whether it is there before doing it again"
    )]
    Unsure,
    #[error("the disk of the database is full; make room, nothing was changed")]
    Full,
    #[error("the database is damaged: {0}; restore a backup")]
    Damaged(String),
    #[error("a change was asked for inside another change")]
    Nested,
    #[error("a statement of this change failed before; nothing of it is kept")]
    Failed,
    /// Somebody else changed it since it was read.
    #[error("{what} {id} was changed meanwhile (it is at revision {now}); read it again")]
    Conflict { what: &'static str, id: String, now: i64 },
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// Something with this name or key exists.
    #[error("{what} {id} exists already")]
    Taken { what: &'static str, id: String },
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
    /// It exists, and its state does not allow this.
    #[error("{0}")]
    NotNow(String),
    #[error("line {line} of the dump: {why}")]
    Dump { line: u64, why: String },
    #[error("{}: not what its name says; it was changed or damaged", path.display())]
    OtherContent { path: PathBuf },
    #[error("a column holds {found} where a {wanted} belongs: the database was changed by something else")]
    Column { wanted: &'static str, found: String },
    /// The caller took the change back; for errors that the store does not know.
    #[error(transparent)]
    Caller(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Error {
        Error::Invalid { field, why: why.into() }
    }

    /// Nothing was changed, and it may work later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Error::Busy(_) | Error::Unreachable(_) | Error::Unsure | Error::Full)
    }

    pub fn not_found(what: &'static str, id: impl ToString) -> Error {
        Error::NotFound { what, id: id.to_string() }
    }

    pub fn taken(what: &'static str, id: impl ToString) -> Error {
        Error::Taken { what, id: id.to_string() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        |source| Error::File { path, source }
    }

    /// Nothing was changed and the same may work in a moment.
    pub fn may_try_again(&self) -> bool {
        matches!(self, Error::Busy(_) | Error::Unreachable(_))
    }
}

/// The driver's own words are "db error"; what the server said stands behind them.
fn in_full(e: &postgres::Error) -> String {
    let mut text = e.to_string();
    let mut next = std::error::Error::source(e);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        match e.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                Error::Busy("another process is writing to it".into())
            }
            Some(Code::DiskFull) => Error::Full,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Error::Damaged(e.to_string()),
            _ => Error::Sqlite(e),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(e: postgres::Error) -> Error {
        use postgres::error::SqlState as S;
        if e.is_closed() {
            return Error::Unreachable(in_full(&e));
        }
        match e.code() {
            Some(
                &S::T_R_SERIALIZATION_FAILURE
                | &S::T_R_DEADLOCK_DETECTED
                | &S::LOCK_NOT_AVAILABLE
                | &S::QUERY_CANCELED
                | &S::TOO_MANY_CONNECTIONS,
            ) => Error::Busy(in_full(&e)),
            Some(
                &S::ADMIN_SHUTDOWN
                | &S::CRASH_SHUTDOWN
                | &S::CANNOT_CONNECT_NOW
                | &S::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ) => Error::Unreachable(in_full(&e)),
            Some(&S::DISK_FULL) => Error::Full,
            Some(&S::DATA_CORRUPTED | &S::INDEX_CORRUPTED) => Error::Damaged(in_full(&e)),
            None if has_io(&e) => Error::Unreachable(in_full(&e)),
            _ => Error::Postgres(e),
        }
    }
}

fn has_io(e: &postgres::Error) -> bool {
    let mut next = std::error::Error::source(e);
    while let Some(cause) = next {
        if cause.is::<std::io::Error>() {
            return true;
        }
        next = cause.source();
    }
    false
}
