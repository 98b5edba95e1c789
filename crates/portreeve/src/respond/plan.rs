//! `respond plan`: a case's proposals become orders.

use super::desk::{Desk, now};
use super::{SiteArgs, show};
use crate::{Failure, usage};
use clap::Args;
use portreeve_report::wire;
use portreeve_respond::act::Act;
use portreeve_respond::operator::Purpose;
use portreeve_respond::plan::Plan;
use portreeve_server::contain::proposals::{self, Asked, Scene};
use std::path::{Path, PathBuf};

/// Turn a case's proposed containment into a plan; reads every device, changes nothing
#[derive(Args)]
pub(crate) struct PlanArgs {
    /// Case id, or the beginning of one
    case: String,
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
    /// How long blocks last
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    hours: u32,
    /// Only these acts (block_address, disable_account, terminate_session …)
    #[arg(long, value_name = "ACT", value_delimiter = ',')]
    only: Vec<String>,
    /// Heavier acts as well: isolate_device, reset_factors
    #[arg(long, value_name = "ACT", value_delimiter = ',')]
    with: Vec<String>,
    #[arg(long)]
    json: bool,
}

fn acts(names: &[String]) -> Result<Vec<Act>, Failure> {
    proposals::acts(names).map_err(usage)
}

impl PlanArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let (only, with) = (acts(&self.only)?, acts(&self.with)?);
        let mut desk = Desk::open(site)?;
        let by = desk.who()?;
        if self.hours == 0 || self.hours > desk.config.policy.max_hours {
            return Err(usage(format!(
                "--hours {}: the policy allows 1 to {}",
                self.hours, desk.config.policy.max_hours
            )));
        }
        let file = cases(&self.dir)?;
        let case = the_case(&file, &self.case, &self.dir)?;
        let plan = make(&mut desk, case, &by, self.hours, &only, &with);
        let digest = if plan.steps.is_empty() { plan.digest() } else { propose(&mut desk, &plan)? };
        if self.json {
            let whole = serde_json::json!({"digest": digest, "plan": plan});
            crate::say(&serde_json::to_string_pretty(&whole).map_err(crate::internal)?)?;
        } else {
            show::plan(&plan, &digest, &mut std::io::stdout().lock())?;
        }
        Ok(u8::from(plan.steps.is_empty()))
    }
}

/// What `hunt --out` wrote into a directory.
pub(crate) fn cases(dir: &Path) -> Result<wire::CasesFile, Failure> {
    let path = dir.join("cases.json");
    let text = std::fs::read_to_string(&path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
    portreeve_report::json::read_cases(&text).map_err(|e| usage(format!("{}: {e}", path.display())))
}

/// The one case that begins so.
pub(crate) fn the_case<'f>(
    file: &'f wire::CasesFile,
    prefix: &str,
    dir: &Path,
) -> Result<&'f wire::Case, Failure> {
    let found: Vec<&wire::Case> = file.cases.iter().filter(|c| c.case_id.starts_with(prefix)).collect();
    match found.as_slice() {
        [case] => Ok(case),
        several => Err(usage(format!(
            "{} cases of {} begin with `{prefix}`",
            several.len(),
            dir.join("cases.json").display()
        ))),
    }
}

/// Stores the plan with its proposer's signed word: who proposes cannot be another than who approves in name alone.
fn propose(desk: &mut Desk, plan: &Plan) -> Result<String, Failure> {
    let word = desk.word(Purpose::Propose, &plan.digest(), &format!("proposed for case {}", plan.case))?;
    desk.with(|e| e.propose(plan, &word)).map_err(super::refused)
}

/// Reads every device and writes the plan of a case; nothing is stored or sent.
pub(crate) fn make(
    desk: &mut Desk,
    case: &wire::Case,
    by: &str,
    hours: u32,
    only: &[Act],
    with: &[Act],
) -> Plan {
    let asked = Asked { by, now: now(), hours, only, with };
    let mut scene = Scene {
        tables: desk.tables.as_ref(),
        guard: &mut desk.guard,
        devices: &mut desk.devices,
        ledger: &desk.ledger,
        policy: &desk.config.policy,
    };
    proposals::plan(case, &asked, &mut scene)
}
