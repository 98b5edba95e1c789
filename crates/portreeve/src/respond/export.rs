//! `respond export`: one case with what was done about it, as other tools read it.

use super::desk::now;
use super::{Found, SiteArgs, plan, record};
use crate::{Failure, usage};
use clap::Args;
use clap::builder::PossibleValuesParser;
use portreeve_report::EXPORTS;
use portreeve_report::actions::Aftermath;
use std::io::Write;
use std::path::PathBuf;

/// Hand a case on: STIX, MISP, Timesketch, a CACAO playbook of what was done, or a note for whoever takes over
#[derive(Args)]
pub(crate) struct ExportArgs {
    /// Case id, or the beginning of one
    case: String,
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
    /// What to write
    #[arg(long = "to", value_name = "FORMAT", value_parser = PossibleValuesParser::new(EXPORTS.iter().map(|e| e.name)))]
    format: String,
    /// Where to; without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ExportArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let export = EXPORTS
            .iter()
            .find(|e| e.name == self.format)
            .ok_or_else(|| usage(format!("--to: `{}` is no format", self.format)))?;
        let file = plan::cases(&self.dir)?;
        let case = plan::the_case(&file, &self.case, &self.dir)?;
        let after = match super::read_ledger(site.config.as_deref(), site.context.context.as_deref())? {
            Found::Ledger(ledger) => {
                record::aftermath(&ledger, &case.case_id, now()).map_err(crate::internal)?
            }
            Found::NoLedger(path) => none(&case.case_id, &format!("{} is not there", path.display())),
            Found::NoConfiguration => {
                none(&case.case_id, "no configuration of containment: give --config FILE")
            }
        };
        let mut text = Vec::new();
        (export.write)(case, &after, &mut text).map_err(usage)?;
        match &self.out {
            Some(path) => {
                std::fs::write(path, &text).map_err(|e| usage(format!("{}: {e}", path.display())))?;
            }
            None => std::io::stdout().lock().write_all(&text)?,
        }
        Ok(0)
    }
}

fn none(case: &str, why: &str) -> Aftermath {
    // Beside the export, so that it can be piped; a closed error output is no error.
    drop(writeln!(std::io::stderr(), "no ledger is read, so no actions are known: {why}"));
    Aftermath::unknown(case)
}
