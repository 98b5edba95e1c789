//! `respond export`: one case with what was done about it, as other tools read it.

use super::desk::now;
use super::show::{short, time};
use super::{SiteArgs, plan};
use crate::{Failure, usage};
use clap::Args;
use clap::builder::PossibleValuesParser;
use portreeve_report::EXPORTS;
use portreeve_report::actions::{self, Aftermath, LeftOut, Moment, Taken};
use portreeve_respond::act::Act;
use portreeve_respond::config::Config;
use portreeve_respond::ledger::{Entry, Kind, Ledger, step_record};
use portreeve_respond::plan::{Plan, Step};
use portreeve_respond::target::Target;
use portreeve_respond::watch::Alarm;
use std::collections::BTreeSet;
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
        let after = match site.config_path() {
            Some(path) => {
                let config = Config::read(&path).map_err(usage)?;
                // To export makes no ledger where there is none.
                if config.ledger.is_file() {
                    let ledger = Ledger::open(&config.ledger).map_err(usage)?;
                    aftermath(&ledger, &case.case_id)?
                } else {
                    none(&case.case_id, &format!("{} is not there", config.ledger.display()))
                }
            }
            None => none(&case.case_id, "no configuration of containment: give --config FILE"),
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

/// What the ledger holds about a case.
fn aftermath(ledger: &Ledger, case: &str) -> Result<Aftermath, Failure> {
    let (mut actions, mut gaps, mut sightings) = (Vec::new(), Vec::new(), Vec::new());
    let mut planned = BTreeSet::new();
    for (digest, _) in ledger.plans().map_err(crate::internal)? {
        let plan = ledger.plan(&digest).map_err(crate::internal)?;
        if plan.case != case {
            continue;
        }
        let entries = ledger.of_plan(&digest).map_err(crate::internal)?;
        let allowed = Allowed::of(&entries);
        for step in &plan.steps {
            actions.push(taken(&plan, &digest, step, &entries, &allowed));
            planned.insert((
                step.order.act.id().to_owned(),
                step.order.target.to_string(),
                step.device.clone(),
            ));
        }
        gaps.extend(plan.left_out.iter().map(|l| LeftOut {
            act: l.act.clone(),
            proposal: Act::by_id(&l.act).map_or("", proposal).to_owned(),
            target: l.target.clone(),
            device: l.device.clone(),
            why: l.why.clone(),
        }));
        for entry in entries.iter().filter(|e| e.kind == Kind::Reentry) {
            let Ok(alarm) = serde_json::from_str::<Alarm>(&entry.body) else { continue };
            sightings.push(actions::Sighting {
                at: time(alarm.at),
                plan: short(&digest).to_owned(),
                step: alarm.step,
                target: alarm.target,
                got_in: alarm.ineffective,
                what: alarm.what,
                evidence: alarm.evidence,
            });
        }
    }
    // What one plan left out, another may hold; what several left out is told once.
    let mut told = BTreeSet::new();
    gaps.retain(|gap: &LeftOut| {
        let key = (gap.act.clone(), gap.target.clone(), gap.device.clone());
        !planned.contains(&key) && told.insert(key)
    });
    Ok(Aftermath::new(case, &time(now()), actions, gaps, sightings))
}

/// Who let a plan be carried out, as the entry says with which execution began.
#[derive(Default)]
struct Allowed {
    by: Vec<String>,
    emergency: bool,
}

impl Allowed {
    fn of(entries: &[Entry]) -> Allowed {
        let Some(begun) = entries.iter().rev().find(|e| e.kind == Kind::Begun) else {
            return Allowed::default();
        };
        let body = begun.json();
        if let Some(by) = body.get("break_glass").and_then(|b| b.as_str()) {
            return Allowed { by: vec![by.to_owned()], emergency: true };
        }
        // An automation is allowed by the people who signed it.
        let people = body.get("approved_by").or_else(|| body.get("signed_by")).and_then(|p| p.as_array());
        let names = people.into_iter().flatten().filter_map(|n| n.as_str()).map(str::to_owned);
        Allowed { by: names.collect(), emergency: false }
    }
}

fn taken(plan: &Plan, digest: &str, step: &Step, entries: &[Entry], allowed: &Allowed) -> Taken {
    let record = step_record(entries, step.number);
    let hours = i64::from(plan.watch_hours) * 3_600_000_000;
    let why = |entry: &Entry| entry.json().get("why").and_then(|w| w.as_str()).unwrap_or_default().to_owned();
    let history = entries
        .iter()
        .filter(|e| e.step == Some(step.number) && !matches!(e.kind, Kind::Reentry | Kind::Word))
        .map(|e| Moment {
            at: time(e.at),
            state: e.kind.id().to_owned(),
            actor: e.actor.clone(),
            why: why(e),
        });
    Taken {
        plan: short(digest).to_owned(),
        step: step.number,
        act: step.order.act.id().to_owned(),
        title: step.order.act.title().to_owned(),
        proposal: proposal(step.order.act).to_owned(),
        d3fend: step.order.act.d3fend().to_owned(),
        target: target(&step.order.target),
        device: step.device.clone(),
        connector: step.connector.clone(),
        tested: step.proof.clone(),
        state: record.state.name().replace(' ', "_"),
        proof: record.why,
        since: time(if record.at == 0 { plan.made_at } else { record.at }),
        verified_at: record.verified_at.map(time),
        until: step.order.until.map(time),
        watched_until: record.verified_at.map(|at| time(at.saturating_add(hours))),
        effect: step.effect.clone(),
        leaves_open: step.leaves_open.clone(),
        undo: step.undo.clone(),
        is_final: step.is_final,
        requests: step.requests.clone(),
        approved_by: allowed.by.clone(),
        emergency: allowed.emergency,
        history: history.collect(),
    }
}

fn target(target: &Target) -> actions::Target {
    let value = match target {
        Target::Address { net } if net.is_host() => net.net().addr().to_string(),
        Target::Account { name } | Target::Role { name } | Target::Service { name } => name.raw().to_owned(),
        other => other.to_string(),
    };
    actions::Target { kind: target.kind().name().to_owned(), value }
}

/// The proposal of the playbook that an act carries out.
fn proposal(act: Act) -> &'static str {
    use portreeve_model::action::ActionKind;
    ActionKind::ALL.into_iter().find(|k| Act::of(*k).contains(&act)).map_or("", ActionKind::id)
}
