//! `respond watch`: does the contained user, address, device or session show up in newer logs?

use super::SiteArgs;
use super::desk::{Desk, now};
use crate::reading::Reading;
use crate::{Failure, usage};
use clap::Args;
use portreeve_model::Outcome;
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_respond::watch::{Sighting, Tally, Watch};

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
        let watch = Watch::new(&desk.ledger).map_err(crate::internal)?;
        if watch.is_empty() {
            return crate::say("nothing is under watch: no step was proven yet").map(|_| 0);
        }
        let (options, tables, names) = self.reading.open(&site.context)?;
        let since = watch.since().unwrap_or(i64::MIN);
        let mut tally = Tally::default();
        let report = portreeve_pipeline::events(&options, &tables, &names, |event, input| {
            if event.time.0 <= since {
                return;
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
                evidence: format!("{input}:{}", event.raw.line),
            };
            watch.see(&sighting).into_iter().for_each(|alarm| tally.add(alarm));
        })
        .map_err(usage)?;
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
