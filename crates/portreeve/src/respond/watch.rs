//! Re-entry: does the contained user, address, device or session show up in newer logs? `respond watch` asks this of
//! logs; `hunt` asks it beside judging them.

use super::SiteArgs;
use super::desk::{Desk, now};
use crate::reading::Reading;
use crate::{Failure, usage};
use clap::Args;
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_model::{Event, Ip, Outcome, Sym, SymbolTable};
use portreeve_respond::ledger::{Ledger, LedgerError};
use portreeve_respond::watch::{Sighting, Tally, Watch};
use std::collections::HashMap;
use std::sync::Arc;

/// Look for contained users, addresses, devices and sessions in newer logs; what got in is raised
#[derive(Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    reading: Reading,
    #[arg(long)]
    json: bool,
}

/// Hears events and keeps what they mean for what is contained.
pub(crate) struct Lookout {
    watch: Watch,
    since: i64,
    names: Arc<SymbolTable>,
    /// Whether a name is watched, by its number; most events are of nobody who is.
    users: HashMap<Sym, bool>,
    devices: HashMap<Sym, bool>,
    addresses: HashMap<Ip, bool>,
    pub(crate) tally: Tally,
}

/// Addresses that are remembered as watched or not; a spray comes from more.
const MOST_ADDRESSES: usize = 1 << 20;

impl Lookout {
    /// `None`: nothing is under watch.
    pub(crate) fn new(ledger: &Ledger, names: &Arc<SymbolTable>) -> Result<Option<Lookout>, LedgerError> {
        let watch = Watch::new(ledger)?;
        Ok(watch.since().map(|since| Lookout {
            watch,
            since,
            names: names.clone(),
            users: HashMap::new(),
            devices: HashMap::new(),
            addresses: HashMap::new(),
            tally: Tally::default(),
        }))
    }

    pub(crate) fn hear(&mut self, event: &Event, input: &str) {
        if event.time.0 <= self.since {
            return;
        }
        let (watch, names) = (&self.watch, &self.names);
        let user = *self.users.entry(event.user).or_insert_with(|| watch.knows_user(&names.text(event.user)));
        let device = *self
            .devices
            .entry(event.device)
            .or_insert_with(|| watch.knows_device(&names.text(event.device)));
        if self.addresses.len() > MOST_ADDRESSES {
            self.addresses.clear();
        }
        let address = *self
            .addresses
            .entry(event.src_ip)
            .or_insert_with(|| event.src_ip.some().is_some_and(|ip| watch.knows_address(ip.to_std())));
        if !(user || device || address || watch.knows_session(&names.text(event.sid))) {
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
        for alarm in watch.see(&sighting) {
            self.tally.add(alarm);
        }
    }
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
