//! `portreeve detections`: what is looked for, and what it needs.

use crate::{Failure, hunt, say};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// List the detections with their technique, weight and required fields
#[derive(Args)]
pub(crate) struct Detections {
    /// Write an ATT&CK Navigator layer instead
    #[arg(long)]
    navigator: bool,
    /// Detections from here instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    content: Option<PathBuf>,
}

impl Detections {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let content = hunt::content(self.content.as_deref())?;
        if self.navigator {
            return say(&content.navigator());
        }
        let mut text = String::new();
        for d in &content.detections {
            writeln!(
                text,
                "{:44} {:>5} dB  {:10}  {}",
                d.id,
                d.points.db(),
                d.group.name(),
                d.technique.join(" ")
            )
            .map_err(crate::internal)?;
            writeln!(text, "    {}; needs {}", d.title, d.needs.join(", ")).map_err(crate::internal)?;
        }
        say(&text)
    }
}
