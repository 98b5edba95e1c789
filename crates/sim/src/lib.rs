//! A simulated company with labelled attacks and look-alikes, and the evaluation of a hunt against those labels.
//!
//! The writers follow the vendors' manuals and share no code with the readers: what a reader misunderstands shows.
//! One seed gives the same bytes on every machine.

#![recursion_limit = "256"] // `json!` of a whole Entra record

mod address_plan;
mod attacks;
mod book;
mod clock;
mod company;
mod context_files;
mod days;
mod evaluate;
mod event_log;
mod gazetteer;
mod incident;
mod labels;
mod lookalikes;
mod mmdb;
mod rng;
mod scene;
mod simulate;
mod stays;
mod writers;

use std::path::{Path, PathBuf};

pub use evaluate::{Evaluation, Mark, Missed, PerScenario, evaluate};
pub use event_log::{LoggedEvent, event_log};
pub use labels::{CRITERIA, Label, Labels, QUESTIONS, Spot, Window, read as read_labels};
pub use simulate::{Summary, simulate};

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Employees, 10 to 20 000; service accounts come on top.
    pub users: u32,
    /// Calendar days, 5 to 400.
    pub days: u32,
    pub seed: u64,
    /// First day, UTC.
    pub start: jiff::civil::Date,
}

/// Why a company could not be written or a hunt not be scored.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("cannot simulate {what}: {given}; choose {allowed}")]
    Plan { what: &'static str, given: u32, allowed: &'static str },
    #[error("{}: cannot write: {cause}; check the folder's rights and free space", path.display())]
    Write { path: PathBuf, cause: std::io::Error },
    #[error("{}: cannot read: {cause}; give the file or the folder that `simulate` wrote", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{}:{}: not a label file: {cause}; it should be the labels.json that `simulate` wrote", path.display(), cause.line())]
    Labels { path: PathBuf, cause: serde_json::Error },
    #[error("{}:{line}: not cases: {cause}; give the JSON that `hunt` wrote, an array, an object with `cases`, or one object a line", path.display())]
    Cases { path: PathBuf, line: usize, cause: String },
}

impl SimError {
    pub(crate) fn write(path: &Path, cause: std::io::Error) -> SimError {
        SimError::Write { path: path.to_path_buf(), cause }
    }
}
