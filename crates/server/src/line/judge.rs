//! Events to cases: folds what was read, judges what changed, and writes it into the book.

use super::book::Book;
use super::held::Held;
use super::reader::Told;
use super::{Progress, now};
use portreeve_content::Content;
use portreeve_context::Tables;
use portreeve_model::{Event, EventTime, SymbolTable};
use portreeve_pipeline::history::{History, HistoryError};
use portreeve_pipeline::live::{Counts, Live, Settings};
use portreeve_report::wire;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

/// At least so long between two verdicts, and so many times what the last took.
const PACE: Duration = Duration::from_millis(200);
const PACE_TIMES: u32 = 2;
/// What was read is written to the history so often, or when so many events wait.
const SAVE: Duration = Duration::from_secs(10);
const SAVE_EVENTS: usize = 200_000;
/// What has waited enough is given to the engine so often.
const GIVE: Duration = Duration::from_millis(100);
/// Old events are looked for so often.
const TIDY: Duration = Duration::from_secs(3_600);

/// What verdicts rest on besides the records.
pub struct Grounds {
    pub tables: Tables,
    pub content: Content,
    /// All names of records and tables. With each renewal it begins anew, so that those which nobody holds any more go.
    pub names: Arc<SymbolTable>,
    /// Counts up with each renewal.
    pub generation: u64,
}

/// How the engine is, as it is shown.
#[derive(Clone, Default)]
pub struct Pulse {
    pub counts: Counts,
    pub run: Option<Arc<wire::Run>>,
    /// Events on disk.
    pub history_events: u64,
    pub generation: u64,
}

pub(crate) struct Judge {
    pub(crate) from: Receiver<Told>,
    pub(crate) grounds: Arc<Grounds>,
    pub(crate) settings: Settings,
    pub(crate) progress: Arc<Progress>,
    pub(crate) pulse: Arc<RwLock<Pulse>>,
    pub(crate) book: Book,
    /// Records before this number are in the history.
    pub(crate) saved: Arc<std::sync::atomic::AtomicU64>,
    /// Events older than this are forgotten; 0 for never.
    pub(crate) history_days: u32,
}

/// Why one engine ended.
enum End {
    Renewed(Arc<Grounds>),
    Over,
}

/// What was taken and not yet judged, across the engines of a service.
struct Rounds {
    held: Held,
    unsaved: usize,
    saved_at: Instant,
    /// Arrival of the oldest record that no verdict knows yet.
    waiting: Option<EventTime>,
}

impl Rounds {
    /// What has waited enough for its place in the order, or all.
    fn give(&mut self, all: bool, to: &mut Vec<Event>) {
        let arrival = self.held.ripe(all, to);
        self.waiting = self.waiting.or(arrival);
    }
}

impl Judge {
    /// Until the reader has gone. Everything it gave is judged and saved when this returns.
    pub(crate) fn run(mut self, mut history: History) -> Result<(), HistoryError> {
        let mut rounds =
            Rounds { held: Held::new(history.upto()), unsaved: 0, saved_at: Instant::now(), waiting: None };
        loop {
            let grounds = self.grounds.clone();
            let settings = self.settings.clone();
            let mut live = Live::open(history, &grounds.tables, &grounds.names, &grounds.content, settings)?;
            Progress::set(&self.progress.names_folded, grounds.names.len() as u64);
            let end = self.go_on(&mut live, &mut rounds, &grounds)?;
            history = live.close(rounds.held.upto)?;
            self.saved.store(history.upto(), Ordering::Release);
            match end {
                End::Renewed(grounds) => {
                    history.rename(&grounds.names);
                    self.grounds = grounds;
                }
                End::Over => return Ok(()),
            }
        }
    }

    fn go_on(
        &mut self,
        live: &mut Live<'_>,
        rounds: &mut Rounds,
        grounds: &Grounds,
    ) -> Result<End, HistoryError> {
        // What was known before is judged first: cases that changed while nobody looked are told as found late.
        self.book.begin(grounds.generation > 0);
        let (mut judged_at, mut took) = (Instant::now(), Duration::ZERO);
        self.judge(live, rounds, true)?;
        let mut complete = self.book.complete(live.history().bounds().map(|b| b.0));
        self.tell(live, grounds);
        self.progress.ready.store(true, Ordering::Release);
        let mut events: Vec<Event> = Vec::new();
        let mut given_at = Instant::now();
        let mut tidied = Instant::now();
        loop {
            match self.from.recv_timeout(PACE) {
                Ok(Told::Read(mut read)) => {
                    // Read before a renewal and judged after it, or the other way round.
                    if !Arc::ptr_eq(&read.names, &grounds.names) {
                        read.events.iter_mut().for_each(|e| e.rename(&read.names, &grounds.names));
                    }
                    rounds.unsaved += read.events.len().max(1);
                    rounds.held.add(read, now());
                }
                Ok(Told::Renewed(grounds)) => {
                    rounds.give(true, &mut events);
                    live.take(&mut events, now())?;
                    self.judge(live, rounds, true)?;
                    return Ok(End::Renewed(grounds));
                }
                Ok(Told::Asked(look)) => {
                    look.answer.try_send(live.look(&look.of, look.since, look.most)).ok();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    rounds.give(true, &mut events);
                    live.take(&mut events, now())?;
                    self.judge(live, rounds, true)?;
                    return Ok(End::Over);
                }
            }
            if given_at.elapsed() >= GIVE {
                given_at = Instant::now();
                rounds.give(false, &mut events);
                live.take(&mut events, now())?;
            }
            if judged_at.elapsed() >= PACE.max(took * PACE_TIMES) {
                let begun = Instant::now();
                self.judge(live, rounds, false)?;
                (judged_at, took) = (Instant::now(), begun.elapsed());
            }
            if rounds.unsaved > 0 && rounds.saved_at.elapsed() >= SAVE
                || rounds.unsaved >= SAVE_EVENTS && rounds.saved_at.elapsed() >= PACE
            {
                match live.save(rounds.held.upto) {
                    Ok(()) => rounds.unsaved = 0,
                    // A full disk passes; until then the events are in memory, and their records in the journal.
                    Err(error) => tracing::error!(%error, "events cannot be saved; it is tried again"),
                }
                rounds.saved_at = Instant::now();
                self.saved.store(live.history().upto(), Ordering::Release);
                self.tell(live, grounds);
                if !complete {
                    complete = self.book.complete(live.history().bounds().map(|b| b.0));
                }
            }
            if self.history_days > 0 && tidied.elapsed() >= TIDY {
                tidied = Instant::now();
                let oldest = now().minus(i64::from(self.history_days) * portreeve_model::time::DAY_US);
                match live.history_mut().forget_before(oldest) {
                    Ok(0) => {}
                    Ok(gone) => {
                        tracing::info!(gone, "events past their time are forgotten");
                        self.progress.forgot.store(true, Ordering::Relaxed);
                    }
                    Err(error) => tracing::error!(%error, "old events cannot be deleted"),
                }
            }
        }
    }

    fn judge(&mut self, live: &mut Live<'_>, rounds: &mut Rounds, wholly: bool) -> Result<(), HistoryError> {
        // Rounds without records are five a second.
        let _span =
            rounds.waiting.map(|_| tracing::info_span!("judge", last = rounds.held.last, wholly).entered());
        let changes = live.judge(wholly)?;
        let owed = self.book.write(changes);
        live.tell_again(&owed);
        Progress::set(&self.progress.judged, rounds.held.last);
        if let Some(arrival) = rounds.waiting.take() {
            let waited = u64::try_from(now().since(arrival)).unwrap_or(0);
            Progress::set(&self.progress.latency_us, waited);
        }
        Ok(())
    }

    /// Renews what is shown of the engine.
    fn tell(&self, live: &Live<'_>, grounds: &Grounds) {
        let run = wire::Run::from(&live.report(&grounds.tables));
        let pulse = Pulse {
            counts: live.counts(),
            run: Some(Arc::new(run)),
            history_events: live.history().events(),
            generation: grounds.generation,
        };
        *self.pulse.write().unwrap_or_else(std::sync::PoisonError::into_inner) = pulse;
    }
}
