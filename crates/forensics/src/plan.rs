//! What a collection was asked to do. Kept in the journal, so that it can be resumed without saying it again.

use crate::catalog::Choice;
use crate::host::ssh::SshTarget;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub choice: Choice,
    /// `/`, or a tree that is read as if it were a host.
    pub root: PathBuf,
    pub ssh: Option<SshTarget>,
    /// Beginning of the span of logs and recent files, Unix seconds.
    pub since: i64,
    /// Wall-clock seconds of one run.
    pub max_seconds: u64,
    /// Bytes of the package.
    pub max_bytes: u64,
    /// Load a core above which the collection stands back.
    pub max_load: f32,
    /// Leave password hashes and private keys as they are.
    pub with_secrets: bool,
    /// age recipients of the archive.
    pub recipients: Vec<String>,
}
