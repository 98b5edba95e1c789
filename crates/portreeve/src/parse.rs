//! `portreeve parse`: records in, normalised events out.

use crate::{Failure, SourceArgs, stamp, usage};
use clap::{Args, ValueEnum};
use portreeve_model::SymbolTable;
use portreeve_pipeline::ParseOptions;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Print the normalised events of log records
#[derive(Args)]
#[command(
    after_help = "Examples:\n  portreeve parse asa.log\n  tail -f auth.log | portreeve parse --to ecs -\n  portreeve parse --to ocsf --one-per-line export.ndjson    # {} where not understood"
)]
pub(crate) struct Parse {
    /// File, or - for standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    own: SourceArgs,
    /// Shape of the events
    #[arg(long, value_enum, default_value = "json")]
    to: Shape,
    /// Read everything as this product instead of recognising it
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Exactly one object per input line, {} where a line gives no event
    #[arg(long)]
    one_per_line: bool,
    /// Zone of records that name none
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Year of records that name none
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1990..=2200))]
    year: Option<i16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Json,
    Ecs,
    Ocsf,
}

impl Parse {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let catalog = self.own.catalog(None)?;
        let source = self.source.as_deref().map(|name| crate::named(catalog, name)).transpose()?;
        let zone = self.tz.as_deref().map(stamp::zone).transpose().map_err(usage)?;
        let names = SymbolTable::new();
        let options = ParseOptions {
            path: self.path.clone(),
            source,
            catalog,
            zone,
            year: self.year,
            one_per_line: self.one_per_line,
        };
        let mut out = BufWriter::new(io::stdout().lock());
        let mut failed: Option<io::Error> = None;
        let write = |event: Option<&portreeve_model::Event>| {
            let written = match event {
                None => out.write_all(b"{}\n"),
                Some(event) => match self.to {
                    Shape::Json => portreeve_report::events::json(event, &names, &mut out),
                    Shape::Ecs => portreeve_report::events::ecs(event, &names, &mut out),
                    Shape::Ocsf => portreeve_report::events::ocsf(event, &names, &mut out),
                },
            };
            match written {
                Ok(()) => true,
                Err(error) => {
                    failed.get_or_insert(error);
                    false
                }
            }
        };
        portreeve_pipeline::parse(&options, &names, write).map_err(usage)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        out.flush()?;
        Ok(0)
    }
}
