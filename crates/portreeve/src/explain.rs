//! `portreeve explain`: the full reasoning of one case.

use crate::respond::{Found, desk, read_ledger, record};
use crate::{Failure, say, usage};
use clap::Args;
use portreeve_report::actions::Aftermath;
use portreeve_report::json::WireCase;
use std::path::PathBuf;

/// Print the full reasoning of one case: evidence, points, answers, decision, and what was done about it
#[derive(Args)]
pub(crate) struct Explain {
    /// Case id, or the beginning of one
    case: String,
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
    /// Configuration of containment, whose ledger tells what was done (default: respond.yml in the context folder)
    #[arg(long, value_name = "FILE", env = "PORTREEVE_RESPOND")]
    config: Option<PathBuf>,
    /// Context folder, in which respond.yml is looked for
    #[arg(long, value_name = "DIR", env = "PORTREEVE_CONTEXT")]
    context: Option<PathBuf>,
}

impl Explain {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let path = self.dir.join("cases.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            usage(format!(
                "{}: {e}; write it with `portreeve hunt … --out {}`",
                path.display(),
                self.dir.display()
            ))
        })?;
        let mut file = portreeve_report::json::read_cases(&text)
            .map_err(|e| usage(format!("{}: {e}", path.display())))?;
        let mut found: Vec<_> = file.cases.iter_mut().filter(|c| c.case_id.starts_with(&self.case)).collect();
        match found.as_mut_slice() {
            [case] => {
                let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
                let style = portreeve_report::terminal::Style { colour, width: crate::hunt::width() };
                let (after, why) = self.done(case)?;
                // Without a ledger, what the hunt read of one, as of then.
                let after = after.as_ref().or(case.aftermath.as_ref());
                let text = portreeve_report::terminal::explain(case, after, style);
                say(&match why {
                    Some(why) => {
                        format!("{text}\n{}\n", portreeve_model::untrusted::escape_for_terminal(&why))
                    }
                    None => text,
                })
            }
            [] => {
                let ids: Vec<&str> = file.cases.iter().map(|c| c.case_id.as_str()).take(20).collect();
                Err(usage(format!("no case begins with `{}`; there are: {}", self.case, ids.join(", "))))
            }
            several => {
                Err(usage(format!("{} cases begin with `{}`: give more of the id", several.len(), self.case)))
            }
        }
    }

    /// What the ledger holds about the case. A ledger that was asked for and is not there is said.
    fn done(&self, case: &mut WireCase) -> Result<(Option<Aftermath>, Option<String>), Failure> {
        Ok(match read_ledger(self.config.as_deref(), self.context.as_deref())? {
            Found::Ledger(ledger) => {
                let id = &case.case_id;
                let after = record::aftermath(&ledger, id, desk::now()).map_err(crate::internal)?;
                // The ledger knows more of the case's own steps than the hunt did.
                let own = record::reentries(&ledger, id).map_err(crate::internal)?;
                case.containment_ineffective.retain(|r| r.case_id != *id);
                case.containment_ineffective.extend(own);
                (Some(after), None)
            }
            Found::NoLedger(path) if self.config.is_some() => {
                (None, Some(format!("What was done is not known: there is no ledger {}.", path.display())))
            }
            Found::NoLedger(_) | Found::NoConfiguration => (None, None),
        })
    }
}
