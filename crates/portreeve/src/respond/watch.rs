//! Re-entry: does the contained user, address, device or session show up in newer logs? `respond watch` asks this of
//! logs; `hunt` asks it beside judging them.

use super::SiteArgs;
use super::desk::{Desk, now};
use crate::reading::Reading;
use crate::{Failure, usage};
use clap::Args;
use portreeve_model::untrusted::escape_for_terminal;
pub(crate) use portreeve_server::contain::watch::Lookout;

/// Look for contained users, addresses, devices and sessions in newer logs; what got in is raised
#[derive(Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    reading: Reading,
    #[arg(long)]
    json: bool,
}

impl WatchArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let mut desk = Desk::open(site)?;
        let (options, tables, names) = self.reading.open(&site.context)?;
        let Some(mut lookout) = Lookout::new(&desk.ledger, &names).map_err(crate::internal)? else {
            return crate::say("nothing is under watch: no step was proven yet").map(|_| 0);
        };
        let report = portreeve_pipeline::events(&options, &tables, &names, |event, input| {
            lookout.hear(event, input);
        })
        .map_err(usage)?;
        let tally = lookout.tally;
        let new = tally.record(&mut desk.ledger, now()).map_err(crate::internal)?;
        for alarm in &new {
            if self.json {
                crate::say(&serde_json::to_string(alarm).map_err(crate::internal)?)?;
                continue;
            }
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
        if !self.json {
            for (count, first) in tally.tried() {
                crate::say(&format!("{} was kept out {count} times", first.target))?;
            }
            let t = &report.totals;
            crate::say(&format!(
                "{} records, {} not understood, {} broken, {} delivered twice, {} far in the future; {} got in after containment, {} were kept out; {} told for the first time",
                t.records,
                t.unknown,
                t.broken,
                report.duplicates,
                report.far_future,
                tally.got_in,
                tally.kept_out,
                new.len()
            ))?;
        }
        Ok(u8::from(tally.got_in > 0))
    }
}
