//! `portreeve simulate`: a labelled company to try, demonstrate and test with.

use crate::{Failure, say, usage};
use clap::Args;
use portreeve_sim::{Plan, simulate};
use std::path::PathBuf;

/// Write a labelled company: logs with attacks and look-alikes, its context, and the truth
#[derive(Args)]
pub(crate) struct Simulate {
    /// People
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    users: u32,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(5..=400))]
    days: u32,
    /// The same seed gives the same company, byte for byte
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First day
    #[arg(long, value_name = "DATE", default_value = "2026-03-02")]
    start: String,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Simulate {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let start = self.start.parse().map_err(|e| usage(format!("--start {}: {e}", self.start)))?;
        let plan = Plan { users: self.users, days: self.days, seed: self.seed, start };
        let summary = simulate(&plan, &self.out).map_err(usage)?;
        say(&summary.to_string())
    }
}
