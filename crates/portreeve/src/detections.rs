//! `portreeve detections`: what is looked for, and what it needs.

use crate::{Failure, NOT_UNDERSTOOD, hunt, say};
use clap::Args;
use portreeve_content::Content;
use std::fmt::Write;
use std::path::PathBuf;

/// List the detections with their technique, weight and required fields
#[derive(Args)]
pub(crate) struct Detections {
    /// Write an ATT&CK Navigator layer instead
    #[arg(long)]
    navigator: bool,
    /// Tell each detection its own examples and look-alikes, and see that it says what it should
    #[arg(long, conflicts_with = "navigator")]
    test: bool,
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
        if self.test {
            return test(&content);
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

fn test(content: &Content) -> Result<u8, Failure> {
    let problems = portreeve_pipeline::examples::check(content);
    if problems.is_empty() {
        return say(&format!(
            "{} detections say what their {} examples expect\n",
            content.detections.len(),
            content.examples.len()
        ));
    }
    Err(Failure { code: NOT_UNDERSTOOD, text: problems.join("\n") })
}
