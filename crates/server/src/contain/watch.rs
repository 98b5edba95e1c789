//! Re-entry: holds events against what is contained. `respond watch` and `hunt` ask this of files, the live service of
//! what it reads.

use portreeve_model::{Event, Ip, Outcome, Sym, SymbolTable};
use portreeve_respond::ledger::{Ledger, LedgerError};
use portreeve_respond::watch::{Sighting, Tally, Watch};
use std::collections::HashMap;
use std::sync::Arc;

/// Hears events and keeps what they mean for what is contained.
pub struct Lookout {
    watch: Watch,
    since: i64,
    names: Arc<SymbolTable>,
    /// Whether a name is watched, by its number; most events are of nobody who is.
    users: HashMap<Sym, bool>,
    devices: HashMap<Sym, bool>,
    addresses: HashMap<Ip, bool>,
    pub tally: Tally,
}

/// Addresses that are remembered as watched or not; a spray comes from more.
const MOST_ADDRESSES: usize = 1 << 20;

impl Lookout {
    /// `None`: nothing is under watch.
    pub fn new(ledger: &Ledger, names: &Arc<SymbolTable>) -> Result<Option<Lookout>, LedgerError> {
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

    /// Names of events that follow are of this table.
    pub fn named_by(&mut self, names: &Arc<SymbolTable>) {
        if !Arc::ptr_eq(&self.names, names) {
            (self.names, self.users, self.devices) = (names.clone(), HashMap::new(), HashMap::new());
        }
    }

    pub fn hear(&mut self, event: &Event, input: &str) {
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
