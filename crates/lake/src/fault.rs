//! What can go wrong between us and the disk or the object store, and what helps.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing of the call was kept; the journal goes on as soon as there is room.
    #[error("{}: no space left on the device; free some, and writing goes on", .0.display())]
    DiskFull(PathBuf),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: damaged at byte {offset}: {why}; restore the file from a copy, or remove it and lose what it held", path.display())]
    Damaged { path: PathBuf, offset: u64, why: String },
    #[error("a batch of {bytes} bytes is larger than a journal frame may be ({most}); send smaller batches")]
    TooLarge { bytes: usize, most: usize },
    #[error("{}: another process has it open; stop that one first", .0.display())]
    Locked(PathBuf),
    #[error(
        "manifest version {0} was written by another process; only one may write a lake: stop it, then open again"
    )]
    Conflict(u64),
    #[error("{0}: no such object; another process may have compacted it away: open the lake again")]
    NotFound(String),
    #[error("object store: {0}; check the endpoint, the bucket and the credential")]
    Store(String),
    #[error("{path}: not readable as Parquet: {error}; restore it from a copy, or remove it from the lake")]
    Parquet { path: String, error: String },
    #[error("manifest: {0}")]
    Manifest(String),
    #[error("query: {0}")]
    Query(String),
    #[error("a background thread of the lake broke down; this is a defect, please report it")]
    Thread,
}

impl Fault {
    pub(crate) fn io(path: &Path, error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull(path.to_owned()),
            _ => Fault::Io { path: path.to_owned(), error },
        }
    }

    pub(crate) fn parquet(path: &str, error: impl std::fmt::Display) -> Fault {
        Fault::Parquet { path: path.to_owned(), error: error.to_string() }
    }
}

pub type Result<T, E = Fault> = std::result::Result<T, E>;
