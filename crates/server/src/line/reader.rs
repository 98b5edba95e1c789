//! Records to events: each origin has its own reading; rows go to the lake, events to the judge.

use super::flusher;
use super::keeper::Kept;
use super::{Progress, now};
use crate::app::App;
use portreeve_lake::journal::{Entry, Journal, Replayed};
use portreeve_lake::{Block, Lake, Recorded};
use portreeve_model::{Event, EventTime, SymbolTable};
use portreeve_pipeline::live::{Of, OriginRules, Reading, Stays};
use portreeve_report::wire;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Rows handed to the lake at once, at most.
const BLOCK_ROWS: usize = 16_384;
/// How often it looks whether there is room for rows: counting what waits costs something for each batch of it.
const FULL: Duration = Duration::from_millis(20);
/// How often records in pieces and open rows are looked after, where nothing arrives.
const IDLE: Duration = Duration::from_millis(200);

/// What the judge is told.
pub(crate) enum Told {
    Read(Read),
    /// Context or content changed: everything is folded and judged anew.
    Renewed(Arc<super::judge::Grounds>),
    /// Somebody looks at a person, an address, a device or a gateway.
    Asked(Look),
}

/// What somebody wants to see of what the engine holds. Who does not wait any more gets no answer.
pub(crate) struct Look {
    pub(crate) of: Of,
    pub(crate) since: EventTime,
    pub(crate) most: usize,
    pub(crate) answer: SyncSender<Stays>,
}

/// Events, and how far they reach.
pub(crate) struct Read {
    pub(crate) events: Vec<Event>,
    /// What their names are numbered by.
    pub(crate) names: Arc<SymbolTable>,
    /// Every record before this number was read, and no piece of one is open.
    pub(crate) upto: u64,
    /// The last record of them.
    pub(crate) last: u64,
    /// When the first of them arrived.
    pub(crate) arrival: Option<EventTime>,
}

/// Gives an origin its number, the same for ever.
pub(crate) type Numbers = Box<dyn FnMut(&str) -> u32 + Send>;

/// What is declared of origins.
pub(crate) type RulesOf = Box<dyn Fn(&str) -> OriginRules + Send>;

/// One origin as it is shown: what was read of it, and when it last spoke.
#[derive(Clone, Default)]
pub struct OriginHealth {
    pub door: String,
    pub last_arrival: Option<EventTime>,
    pub read: Option<Arc<wire::InputRead>>,
}

/// All origins by name.
pub type Health = Arc<RwLock<BTreeMap<String, OriginHealth>>>;

struct Origin {
    reading: Reading,
    door: Arc<str>,
    last_arrival: EventTime,
    /// Its report is older than its records.
    stale: bool,
}

pub(crate) struct Reader {
    pub(crate) from: Receiver<Kept>,
    pub(crate) to: SyncSender<Told>,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) lake: Arc<Lake>,
    pub(crate) app: Arc<App>,
    /// Those of the grounds in force, as of the last look.
    pub(crate) names: Arc<SymbolTable>,
    pub(crate) numbers: Numbers,
    pub(crate) rules: RulesOf,
    pub(crate) progress: Arc<Progress>,
    pub(crate) health: Health,
    /// The next record to be read.
    pub(crate) next: u64,
    /// Rows of records before this number are in the lake.
    pub(crate) stored: u64,
    /// When it was looked last whether there is room for rows.
    pub(crate) looked: Instant,
    /// The first record that was kept since the start.
    pub(crate) begun: u64,
}

/// What is on its way to the lake and the judge.
#[derive(Default)]
struct Open {
    events: Vec<Event>,
    block: Block,
    arrival: Option<EventTime>,
    /// Stamps of the last event, for rows of records that have none.
    time: Option<EventTime>,
}

impl Reader {
    /// Until the keeper has gone, and all it kept is read.
    pub(crate) fn run(mut self) {
        let mut origins: BTreeMap<Arc<str>, Origin> = BTreeMap::new();
        let mut open = Open::default();
        let mut reported = Instant::now();
        self.catch_up(u64::MAX, &mut origins, &mut open);
        loop {
            self.look_at_names(&mut origins, &mut open);
            match self.from.recv_timeout(IDLE) {
                Ok(entries) => {
                    for entry in entries {
                        if entry.seq > self.next {
                            self.catch_up(entry.seq, &mut origins, &mut open);
                        }
                        self.entry(&entry, &mut origins, &mut open);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if Progress::get(&self.progress.kept) >= self.next {
                        self.catch_up(u64::MAX, &mut origins, &mut open);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.catch_up(u64::MAX, &mut origins, &mut open);
                    self.hand_over(&mut origins, &mut open);
                    self.report(&mut origins);
                    return;
                }
            }
            for (name, origin) in origins.iter_mut().filter(|(_, o)| o.reading.open_since().is_some()) {
                let from = open.events.len();
                origin.reading.pass(now(), &mut open.events);
                self.watch(open.events.get(from..).unwrap_or_default(), name);
            }
            self.hand_over(&mut origins, &mut open);
            if reported.elapsed() >= Duration::from_secs(2) {
                self.report(&mut origins);
                reported = Instant::now();
            }
        }
    }

    /// Reads what the journal holds from the next record up to a number.
    fn catch_up(&mut self, before: u64, origins: &mut BTreeMap<Arc<str>, Origin>, open: &mut Open) {
        let replay = self.journal.lock().unwrap_or_else(PoisonError::into_inner).read_from(self.next);
        for replayed in replay {
            match replayed {
                Ok(Replayed::Batch(entry)) if entry.seq >= before => return,
                Ok(Replayed::Batch(entry)) => {
                    self.entry(&entry, origins, open);
                    if open.block.len() >= BLOCK_ROWS {
                        self.hand_over(origins, open);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be read; it is tried again");
                    return;
                }
                Ok(Replayed::Damage(damage)) => {
                    tracing::error!(%damage, "the journal is damaged; what follows is read");
                }
            }
        }
    }

    fn entry(&mut self, entry: &Entry, origins: &mut BTreeMap<Arc<str>, Origin>, open: &mut Open) {
        if entry.seq + entry.len() as u64 <= self.next {
            // It was found in the journal before it came here.
            return;
        }
        if entry.seq > self.next {
            let lost = entry.seq - self.next;
            tracing::error!(from = self.next, lost, "records of the journal could not be read");
            self.progress.damaged.fetch_add(lost, Ordering::Relaxed);
        }
        let origin = origins.entry(entry.origin.clone()).or_insert_with(|| Origin {
            reading: Reading::new(
                (self.numbers)(&entry.origin),
                &entry.origin,
                &self.app.grounds().tables,
                self.app.catalog,
                &(self.rules)(&entry.origin),
                &self.names,
            ),
            door: entry.door.clone(),
            last_arrival: entry.arrival,
            stale: true,
        });
        origin.reading.arrived(entry.arrival);
        (origin.last_arrival, origin.stale) = (entry.arrival, true);
        open.arrival.get_or_insert(entry.arrival);
        for (seq, raw, place) in entry.records() {
            if seq < self.next {
                continue;
            }
            let from = open.events.len();
            let heard = origin.reading.record(raw, seq, place.map(|p| (p.line, p.offset)), &mut open.events);
            self.watch(open.events.get(from..).unwrap_or_default(), &entry.origin);
            self.next = seq + 1;
            if seq < self.stored {
                continue;
            }
            let at = origin.reading.place(seq, place.map(|p| (p.line, p.offset)));
            let mut recorded = Recorded {
                seq,
                part: 0,
                arrival: entry.arrival,
                origin: &entry.origin,
                line: at.line,
                offset: at.offset,
                raw,
                account: "",
            };
            let fresh = open.events.get(from..).unwrap_or_default();
            if let Some(event) = fresh.last() {
                open.time = Some(event.time);
            }
            match &heard.without {
                // A whole that this record completed has a place of its own; the row is the record's.
                Some(why) => {
                    let time = open.time.unwrap_or(entry.arrival);
                    open.block.push_silent(time, heard.source, why, &recorded);
                }
                None => {
                    for event in fresh {
                        open.block.push_event(event, &self.names, &recorded);
                        recorded.part += 1;
                    }
                }
            }
        }
        if entry.seq >= self.begun {
            self.progress.read_bytes.fetch_add(entry.bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// A new table of names came into force: from here on it is used. What was read goes on by the old one.
    fn look_at_names(&mut self, origins: &mut BTreeMap<Arc<str>, Origin>, open: &mut Open) {
        let names = self.app.grounds().names.clone();
        if !Arc::ptr_eq(&names, &self.names) {
            self.hand_over(origins, open);
            origins.values_mut().for_each(|o| o.reading.rename(&names));
            self.names = names;
        }
    }

    /// Is somebody among them who is contained?
    fn watch(&self, events: &[Event], origin: &str) {
        if let Some(contain) = &self.app.contain {
            contain.hear(events, &self.names, origin);
        }
    }

    /// Gives what was read to the lake and the judge.
    fn hand_over(&mut self, origins: &mut BTreeMap<Arc<str>, Origin>, open: &mut Open) {
        // Whoever closes the service waits for nobody: what is in no file stays in the journal.
        if self.looked.elapsed() >= FULL {
            while flusher::is_full(&self.lake) && !self.app.closing.is_cancelled() {
                std::thread::sleep(FULL);
            }
            self.looked = Instant::now();
        }
        self.lake.push(std::mem::take(&mut open.block));
        let oldest = origins.values().filter_map(|o| o.reading.open_since()).min();
        let upto = oldest.unwrap_or(self.next).min(self.next);
        let last = self.next.saturating_sub(1);
        Progress::set(&self.progress.read, last);
        let events = std::mem::take(&mut open.events);
        if !events.is_empty() || open.arrival.is_some() {
            let read = Read { events, names: self.names.clone(), upto, last, arrival: open.arrival.take() };
            if self.to.send(Told::Read(read)).is_err() {
                tracing::warn!("the judge has ended");
            }
        }
    }

    fn report(&self, origins: &mut BTreeMap<Arc<str>, Origin>) {
        let mut health = self.health.write().unwrap_or_else(PoisonError::into_inner);
        for (name, origin) in origins.iter_mut().filter(|(_, o)| o.stale) {
            let (report, _) = origin.reading.report();
            origin.stale = false;
            health.insert(
                name.to_string(),
                OriginHealth {
                    door: origin.door.to_string(),
                    last_arrival: Some(origin.last_arrival),
                    read: Some(Arc::new(wire::InputRead::from(&report))),
                },
            );
        }
    }
}
