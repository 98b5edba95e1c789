//! Who may write, and how much.

use crate::intake::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one source may send.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one record; longer ones become dead letters.
    pub record_bytes: usize,
    /// Bytes of one request or frame as it is sent.
    pub request_bytes: usize,
    /// Bytes of one request once it is unpacked.
    pub unpacked_bytes: usize,
    /// Records per second, averaged over ten; no limit where nothing is said.
    pub records_per_s: Option<u32>,
    /// Connections at one time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_bytes: 1 << 20,
            request_bytes: 32 << 20,
            unpacked_bytes: 256 << 20,
            records_per_s: None,
            connections: 1_024,
        }
    }
}

/// A source that showed what it was asked for.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub origin: Origin,
    pub limits: Arc<Limits>,
}

/// Knows the sources. Answers from memory: it is asked for every request, also those with a wrong token.
pub trait Gate: Send + Sync {
    /// The source that this token is of, if it may use that door.
    fn token(&self, door: &'static str, token: &[u8]) -> Option<Admitted>;

    /// The source whose client certificate has this SHA-256, if it may use that door.
    fn certificate(&self, door: &'static str, sha256: &[u8; 32]) -> Option<Admitted>;
}
