//! `portreeve doctor`: is the context fit to judge with?

use crate::{ContextArgs, Failure, SourceArgs, say, usage};
use clap::Args;
use portreeve_context::{Level, Tables};
use portreeve_model::{EventTime, SymbolTable};
use std::fmt::Write;

/// Check the context: syntax, age of geo databases and lists, gaps, clock
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    own: SourceArgs,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let catalog = self.own.catalog(self.context.context.as_deref())?;
        let tables = Tables::load(&self.context.options(catalog), SymbolTable::new()).map_err(usage)?;
        let now = EventTime(jiff::Timestamp::now().as_microsecond());
        let mut text = format!("clock: {now}\n");
        let mut worst = 0;
        for finding in tables.doctor(now) {
            let (word, level) = match finding.level {
                Level::Ok => ("ok     ", 0),
                Level::Warn => ("warning", 0),
                Level::Error => ("error  ", 1),
            };
            worst = worst.max(level);
            writeln!(text, "{word} {}", portreeve_model::untrusted::escape_for_terminal(&finding.what))
                .map_err(crate::internal)?;
            if !finding.remedy.is_empty() {
                writeln!(
                    text,
                    "        {}",
                    portreeve_model::untrusted::escape_for_terminal(&finding.remedy)
                )
                .map_err(crate::internal)?;
            }
        }
        say(&text)?;
        Ok(worst)
    }
}
