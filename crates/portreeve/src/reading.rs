//! Which logs are read, and how: the same for every command that reads a whole folder.

use crate::{ContextArgs, Failure, SourceArgs, stamp, usage};
use clap::Args;
use portreeve_context::Tables;
use portreeve_model::SymbolTable;
use portreeve_pipeline::Options;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub(crate) struct Reading {
    /// Files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    own: SourceArgs,
    /// Zone of records that name none (default UTC, and the case says so)
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Year of records that name none (default: from the dated records around them)
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1990..=2200))]
    year: Option<i16>,
    /// Threads that read (default: one per core)
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Read everything as this product instead of recognising it (see `portreeve sources`)
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

impl Reading {
    /// What is read and what it is held against, checked before anything is read.
    pub(crate) fn open<'a>(
        &self,
        context: &ContextArgs,
    ) -> Result<(Options<'a>, Tables, Arc<SymbolTable>), Failure> {
        let catalog = self.own.catalog(context.context.as_deref())?;
        let source = self.source.as_deref().map(|name| crate::named(catalog, name)).transpose()?;
        let zone = self.tz.as_deref().map(stamp::zone).transpose().map_err(usage)?;
        let names = SymbolTable::new();
        let tables = Tables::load(&context.options(catalog), names.clone()).map_err(usage)?;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let options = Options {
            paths: self.paths.clone(),
            since: None,
            until: None,
            zone,
            year: self.year,
            threads: self.threads.unwrap_or(cores).max(1),
            source,
            catalog,
            mask: false,
            state: None,
            progress: None,
        };
        Ok((options, tables, names))
    }
}
