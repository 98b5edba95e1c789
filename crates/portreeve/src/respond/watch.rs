//! `respond watch`: does the contained user, address, device or session show up in newer logs?

use super::SiteArgs;
use super::desk::{Desk, now};
use crate::{Failure, SourceArgs, usage};
use clap::Args;
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_model::{Outcome, SymbolTable};
use portreeve_pipeline::ParseOptions;
use portreeve_respond::watch::{Sighting, Watch, record};
use std::path::PathBuf;

/// Look for contained users, addresses, devices and sessions in newer logs; what got in is raised
#[derive(Args)]
pub(crate) struct WatchArgs {
    /// Log files, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    own: SourceArgs,
    #[arg(long)]
    json: bool,
}

impl WatchArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let mut desk = Desk::open(site)?;
        let watch = Watch::new(&desk.ledger).map_err(crate::internal)?;
        if watch.is_empty() {
            return crate::say("nothing is under watch: no step was proven yet").map(|_| 0);
        }
        let catalog = self.own.catalog(site.context.context.as_deref())?;
        let mut alarms = Vec::new();
        let mut read = 0_u64;
        for path in &self.paths {
            let names = SymbolTable::new();
            let options = ParseOptions {
                path: path.clone(),
                source: None,
                catalog,
                zone: None,
                year: None,
                one_per_line: false,
            };
            let see = |event: Option<&portreeve_model::Event>| {
                let Some(event) = event else { return true };
                read += 1;
                if watch.since().is_some_and(|since| event.time.0 <= since) {
                    return true;
                }
                let text = |sym| names.text(sym).to_string();
                let sighting = Sighting {
                    at: event.time.0,
                    user: text(event.user),
                    address: event.src_ip.some().map(|ip| ip.to_std()),
                    device: text(event.device),
                    session: text(event.sid),
                    succeeded: event.outcome == Outcome::Success,
                    what: format!("{} at {}", event.act.name(), text(event.observer)),
                    evidence: format!("{}:{}", path.display(), event.raw.line),
                };
                alarms.extend(watch.see(&sighting));
                true
            };
            portreeve_pipeline::parse(&options, &names, see).map_err(usage)?;
        }
        let inside = alarms.iter().filter(|a| a.ineffective).count();
        let tried = alarms.len() - inside;
        let new = record(&mut desk.ledger, alarms, now()).map_err(crate::internal)?;
        if self.json {
            for alarm in &new {
                crate::say(&serde_json::to_string(alarm).map_err(crate::internal)?)?;
            }
        } else {
            for alarm in &new {
                let word = if alarm.ineffective { "CONTAINMENT INEFFECTIVE" } else { "tried, kept out" };
                crate::say(&format!(
                    "{word}  {}  {}  {} ({})  case {}",
                    super::show::time(alarm.at),
                    alarm.target,
                    escape_for_terminal(&alarm.what),
                    escape_for_terminal(&alarm.evidence),
                    escape_for_terminal(&alarm.case)
                ))?;
            }
            crate::say(&format!(
                "{read} events read; {inside} got in after containment, {tried} were kept out; {} of them new",
                new.len()
            ))?;
        }
        Ok(u8::from(inside > 0))
    }
}
