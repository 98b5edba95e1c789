//! `portreeve sources`: which products are read, and what each can tell.

use crate::{Failure, say, usage};
use clap::Args;
use std::fmt::Write;

/// List the log sources: what each tells, what it never tells, how to turn it on
#[derive(Args)]
pub(crate) struct Sources {
    /// One source in full
    name: Option<String>,
}

impl Sources {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let mut text = String::new();
        if let Some(name) = &self.name {
            let s = portreeve_sources::by_name(name)
                .ok_or_else(|| usage(format!("no source is called `{name}`")))?;
            let gives: Vec<&str> = s.gives.iter().map(|a| a.name()).collect();
            let lacks: Vec<&str> = s.lacks.iter().map(|f| f.name()).collect();
            let none = |v: Vec<&str>| if v.is_empty() { "nothing".to_owned() } else { v.join(", ") };
            write!(
                text,
                "{} ({})\n  row          {}\n  tells        {}\n  never tells  {}\n  turn on      {}\n",
                s.title,
                s.name,
                s.row.folder(),
                none(gives),
                none(lacks),
                s.enable
            )
            .map_err(crate::internal)?;
            return say(&text);
        }
        let mut row = "";
        for s in portreeve_sources::all() {
            if s.row.folder() != row {
                row = s.row.folder();
                writeln!(text, "{row}").map_err(crate::internal)?;
            }
            let lacks: Vec<&str> = s.lacks.iter().map(|f| f.name()).collect();
            let lacks = if lacks.is_empty() {
                String::new()
            } else {
                format!("  (never tells {})", lacks.join(", "))
            };
            writeln!(text, "  {:22} {}{lacks}", s.name, s.title).map_err(crate::internal)?;
        }
        say(&text)
    }
}
