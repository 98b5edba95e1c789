//! `portreeve evaluate`: a hunt's cases against the truth.

use crate::{Failure, say, usage};
use clap::Args;
use std::path::PathBuf;

/// Score a hunt against the labels of a simulated company
#[derive(Args)]
pub(crate) struct Evaluate {
    /// Directory that `simulate` wrote, or its labels.json
    labels: PathBuf,
    /// cases.json of the hunt
    cases: PathBuf,
    /// Figures as JSON
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let evaluation = portreeve_sim::evaluate(&self.labels, &self.cases).map_err(usage)?;
        if self.json {
            let text = serde_json::to_string_pretty(&evaluation).map_err(crate::internal)?;
            return say(&text);
        }
        say(&evaluation.to_text())
    }
}
