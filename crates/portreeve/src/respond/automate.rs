//! `respond automate` and `respond sign-automation`.

use super::desk::{Desk, now};
use super::{SiteArgs, plan, refused, show};
use crate::{Failure, say, usage};
use clap::Args;
use portreeve_model::untrusted::escape_for_terminal as safe;
use portreeve_respond::automation::{Automation, Facts};
use portreeve_respond::operator::Purpose;
use std::path::PathBuf;

/// Fire the signed automations of the configuration for the cases of a hunt; heavier plans wait for people
#[derive(Args)]
pub(crate) struct AutomateArgs {
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
    /// Plan and show, send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Sign an automation as it stands; needs the tier of what it does
#[derive(Args)]
pub(crate) struct SignArgs {
    /// The automation, as the configuration names it
    name: String,
    #[arg(long)]
    reason: String,
}

impl SignArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let desk = Desk::open(site)?;
        let automation =
            desk.config.automations.iter().find(|a| a.name == self.name).ok_or_else(|| {
                usage(format!("no automation of the configuration is called {}", self.name))
            })?;
        let word = desk.word(Purpose::Automate, &automation.digest(), &self.reason)?;
        let line = serde_json::to_string(&word).map_err(crate::internal)?;
        say(&format!("under `signed:` of the automation {}:\n\n      - {line}", safe(&automation.name)))
    }
}

impl AutomateArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let mut desk = Desk::open(site)?;
        let file = plan::cases(&self.dir)?;
        let mut troubled = false;
        let mut fired = 0;
        for case in &file.cases {
            let criteria: Vec<String> =
                case.criteria.iter().filter(|c| c.state == "true").map(|c| c.id.clone()).collect();
            let facts =
                Facts { escalated: case.decision == "escalate", risk: case.risk_score, criteria: &criteria };
            let firing: Vec<Automation> =
                desk.config.automations.iter().filter(|a| a.fires(facts)).cloned().collect();
            for automation in firing {
                if automation.fired(&desk.ledger, &case.case_id).map_err(crate::internal)? {
                    continue;
                }
                fired += 1;
                let made =
                    plan::make(&mut desk, case, &automation.actor(), automation.hours, &automation.acts, &[]);
                if made.steps.is_empty() || self.dry_run {
                    show::plan(&made, &made.digest(), &mut std::io::stdout().lock())?;
                    continue;
                }
                let done = desk.with(|e| {
                    let digest = e.propose_automated(&made, &automation)?;
                    e.apply_automated(&digest, &automation)
                });
                match done {
                    Ok(report) => {
                        troubled |= !report.is_contained();
                        show::report(&made, &report)?;
                    }
                    Err(error) => {
                        troubled = true;
                        let why = refused(error).text;
                        say(&format!("case {}: {}", safe(&case.case_id), safe(&why)))?;
                    }
                }
            }
        }
        say(&format!("{fired} fired for {} cases at {}", file.cases.len(), show::time(now())))?;
        Ok(u8::from(troubled))
    }
}
