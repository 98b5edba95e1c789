//! What every door is given, and what can keep it from opening.

use crate::counters::Counters;
use crate::gate::Gate;
use crate::intake::Intake;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a door works with. When `shutdown` is cancelled a door reads no more, waits for the answers to what it handed
/// over, writes down how far it came, and ends; so the other end of the intake must be served until the doors have
/// ended, or be dropped.
#[derive(Clone)]
pub struct DoorContext {
    pub intake: Intake,
    pub gate: Arc<dyn Gate>,
    pub counters: Counters,
    /// Where doors keep how far they have read.
    pub state_dir: PathBuf,
    pub shutdown: CancellationToken,
}

/// Why a door does not open, or had to close.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("{door}: {why}")]
    Config { door: &'static str, why: String },
    #[error("{door}: cannot listen on {address}: {error}; does another program use the port?")]
    Listen { door: &'static str, address: String, error: std::io::Error },
}

/// The most that is kept of a record that became a dead letter.
pub(crate) const DEAD_BYTES: usize = 64 << 10;
