//! `portreeve explain`: the full reasoning of one case.

use crate::{Failure, say, usage};
use clap::Args;
use std::path::PathBuf;

/// Print the full reasoning of one case: evidence, points, answers, decision
#[derive(Args)]
pub(crate) struct Explain {
    /// Case id, or the beginning of one
    case: String,
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
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
        let file = portreeve_report::json::read_cases(&text)
            .map_err(|e| usage(format!("{}: {e}", path.display())))?;
        let found: Vec<_> = file.cases.iter().filter(|c| c.case_id.starts_with(&self.case)).collect();
        match found.as_slice() {
            [case] => {
                let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
                let style = portreeve_report::terminal::Style { colour, width: crate::hunt::width() };
                say(&portreeve_report::terminal::explain(case, style))
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
}
