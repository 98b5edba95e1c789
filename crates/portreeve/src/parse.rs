//! `portreeve parse`: records in, normalised events out.

use crate::{Failure, SourceArgs, stamp, usage};
use clap::{Args, ValueEnum};
use portreeve_model::SymbolTable;
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_pipeline::ParseOptions;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Print the normalised events of log records
#[derive(Args)]
#[command(
    after_help = "Examples:\n  portreeve parse asa.log\n  tail -f auth.log | portreeve parse --to ecs -\n  portreeve parse --explain '<38>Mar  6 09:12:09 gw1 sshd[77]: Accepted password for anna from 192.0.2.1 port 4711 ssh2'\n  portreeve parse --to ocsf --one-per-line export.ndjson    # {} where not understood"
)]
pub(crate) struct Parse {
    /// File, or - for standard input
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    #[command(flatten)]
    own: SourceArgs,
    /// Explain one line instead: how it is recognised, split and mapped, and why a field is unknown
    #[arg(long, value_name = "LINE", conflicts_with = "path", required_unless_present = "path")]
    explain: Option<String>,
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
        if let Some(line) = &self.explain {
            return self.explain(catalog, line);
        }
        let Some(path) = self.path.clone() else { return Err(usage("give a file, or - for standard input")) };
        let zone = self.tz.as_deref().map(stamp::zone).transpose().map_err(usage)?;
        let names = SymbolTable::new();
        let options =
            ParseOptions { path, source, catalog, zone, year: self.year, one_per_line: self.one_per_line };
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

    fn explain(&self, catalog: &'static portreeve_sources::Catalog, line: &str) -> Result<u8, Failure> {
        let year = self.year.or_else(|| i16::try_from(stamp::now().civil().0).ok());
        let mut clock = portreeve_sources::decode::clock::Clock::utc().with_year(year);
        if let Some(zone) = self.tz.as_deref().map(stamp::zone).transpose().map_err(usage)? {
            clock = clock.with_zone(zone, true);
        }
        let mut text = String::new();
        for part in portreeve_sources::explain::explain(catalog, line.as_bytes(), &clock) {
            text.push_str(part.title);
            text.push('\n');
            for (key, value) in &part.lines {
                let (key, value) = (escape_for_terminal(key), escape_for_terminal(value));
                text.push_str(&format!("  {key:22} {value}\n"));
            }
        }
        crate::say(&text)
    }
}
