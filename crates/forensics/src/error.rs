//! What can stop a collection as a whole. What goes wrong with one artefact is recorded and stops nothing.

use std::io;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the user gave cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The package's own files.
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    /// The way to the host.
    #[error("{0}")]
    Host(String),
    /// The package is not what it says it is.
    #[error("{0}")]
    Package(String),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.display().to_string();
        move |source| Error::File { path, source }
    }

    pub(crate) fn usage(text: impl std::fmt::Display) -> Error {
        Error::Usage(text.to_string())
    }

    pub(crate) fn package(text: impl std::fmt::Display) -> Error {
        Error::Package(text.to_string())
    }
}

pub type Result<T> = std::result::Result<T, Error>;
