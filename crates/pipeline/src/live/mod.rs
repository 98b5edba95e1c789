//! The pipeline of a service that never ends: the same reading, folds and verdicts as of a hunt, taken up again with each
//! record that arrives.
//!
//! Records of every origin go through [`Reading`] to events. [`Live`] keeps them in total order whatever the order of
//! their arrival: what comes in order is folded at once; what comes late goes back to a point before it and folds again
//! from there ([`fold`]). What was folded is judged again as far as it changed ([`verdicts`]), and wholly from time to
//! time, so that after a quiet moment the cases are those that a hunt over all records gives.

mod fold;
mod reading;
mod verdicts;

pub use fold::Counts;
pub use portreeve_playbook::{FactorLine, Of, Stays};
pub use reading::{Heard, Reading, Rules as OriginRules};
pub use verdicts::Change;

use crate::history::{History, HistoryError};
use fold::Fold;
use portreeve_content::Content;
use portreeve_context::Tables;
use portreeve_engine::correlate::Rules;
use portreeve_model::case::RunReport;
use portreeve_model::{Event, EventTime, Sym, SymbolTable};
use std::sync::Arc;
use std::time::{Duration, Instant};
use verdicts::Verdicts;

/// Gives the records of a file of any form to `sink`, with line and offset, until it returns false; says what of it could
/// not be read.
pub fn split(
    path: &std::path::Path,
    sink: &mut dyn FnMut(&[u8], u32, u64) -> bool,
) -> std::io::Result<Vec<String>> {
    use portreeve_sources::decode::reader::{Limits, read};
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let outcome = read(&mut file, Some(size), 0, &Limits::default(), &mut |record| {
        sink(record.bytes, record.at.line, record.at.offset)
    });
    Ok(outcome.problems)
}

/// How long others are judged in one go where nobody was touched, and of how long a pause a share is taken at most.
const QUIET: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_secs(1);

/// How much is kept at hand, and how often all is judged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Events that are not yet on disk or are asked for again soon, at most.
    pub events_at_hand: usize,
    /// How far back a late record costs no more than folding again what came after it.
    pub kept_hot_us: i64,
    /// A record so far beyond its arrival is in the future: counted, and left out.
    pub future_us: i64,
    /// Of a hundred parts of time, how many may go into judging those again about whom nothing came, because of others.
    pub whole_percent: u32,
    /// Threads that judge.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            events_at_hand: 400_000,
            kept_hot_us: portreeve_model::time::DAY_US,
            future_us: portreeve_model::time::DAY_US,
            whole_percent: 20,
            threads: 2,
        }
    }
}

/// The engine of a service, over one state of context and content.
pub struct Live<'c> {
    fold: Fold<'c>,
    verdicts: Verdicts<'c>,
    history: History,
    settings: Settings,
    /// Principals to be judged again because something changed about others.
    due: Vec<Sym>,
    /// Something changed since `due` was filled.
    stale: bool,
    /// The last verdict.
    judged: Instant,
}

impl<'c> Live<'c> {
    /// Takes up what the history holds.
    pub fn open(
        mut history: History,
        tables: &'c Tables,
        names: &Arc<SymbolTable>,
        content: &'c Content,
        settings: Settings,
    ) -> Result<Live<'c>, HistoryError> {
        let rules: Rules = content.rules();
        let mut fold = Fold::new(tables, names.clone(), settings.clone());
        fold.begin_anew(&mut history)?;
        let verdicts = Verdicts::new(rules, &content.playbook);
        Ok(Live { fold, verdicts, history, settings, due: Vec::new(), stale: true, judged: Instant::now() })
    }

    /// Ends, and gives the history back, with everything in it that was taken; `upto` as in [`Live::save`].
    pub fn close(mut self, upto: u64) -> Result<History, HistoryError> {
        self.save(upto)?;
        Ok(self.history)
    }

    /// Takes events in any order. They are folded, and not judged before [`Live::judge`].
    pub fn take(&mut self, events: &mut Vec<Event>, now: EventTime) -> Result<(), HistoryError> {
        if self.fold.take(events, now, &mut self.history)? {
            self.stale = true;
        }
        Ok(())
    }

    /// Writes what was taken to disk; `upto` is the position in the journal before which every record was taken.
    pub fn save(&mut self, upto: u64) -> Result<(), HistoryError> {
        self.history.append(self.fold.unsaved(), upto)
    }

    /// What was told of these cases did not arrive: it is told again with the next verdicts.
    pub fn tell_again(&mut self, ids: &[String]) {
        self.stale |= self.verdicts.tell_again(ids);
    }

    /// The cases that changed. Judges the principals that were touched, and of all others as many as there is time for,
    /// until everybody was judged after the last event; `wholly` judges everybody at once.
    pub fn judge(&mut self, wholly: bool) -> Result<Vec<Change>, HistoryError> {
        self.stale |= self.fold.catch_up(wholly, &mut self.history)?;
        let touched = self.fold.take_touched();
        let threads = self.settings.threads;
        let since = self.judged.elapsed();
        self.judged = Instant::now();
        if wholly {
            // A round that was begun counts as well: who is due in it was not judged yet.
            let open = !self.due.is_empty() || !touched.is_empty();
            self.due.clear();
            if std::mem::take(&mut self.stale) || open {
                return Ok(self.verdicts.whole(self.fold.engine(), threads));
            }
            return Ok(Vec::new());
        }
        if self.stale && self.due.is_empty() {
            self.stale = false;
            self.due = self.fold.engine().principals();
            self.due.extend(self.verdicts.principals());
        }
        if touched.is_empty() && self.due.is_empty() {
            return Ok(Vec::new());
        }
        let share = match touched.is_empty() {
            true => QUIET,
            false => since.min(LONGEST) * self.settings.whole_percent.clamp(1, 100) / 100,
        };
        Ok(self.verdicts.some(self.fold.engine(), threads, &touched, &mut self.due, share))
    }

    /// Sessions of somebody or from somewhere that began since then, as they are judged now, at most so many.
    pub fn look(&self, of: &Of, since: EventTime, most: usize) -> Stays {
        self.verdicts.look(self.fold.engine(), of, since, most)
    }

    /// Was everything judged since the last event?
    pub fn is_settled(&self) -> bool {
        !self.stale && self.due.is_empty() && !self.fold.is_behind()
    }

    pub fn counts(&self) -> Counts {
        self.fold.counts()
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// What a run says of itself besides its cases, as far as the engine knows it.
    pub fn report(&self, tables: &Tables) -> RunReport {
        let mut report = RunReport { version: env!("CARGO_PKG_VERSION").to_owned(), ..RunReport::default() };
        crate::run::close(self.fold.engine(), tables, &[], &mut report);
        let counts = self.fold.counts();
        report.events = counts.events;
        report.duplicates = counts.duplicates;
        report.far_future = counts.far_future;
        if let Some((first, last)) = self.fold.engine().span() {
            (report.first, report.last) = (Some(first), Some(last));
        }
        report
    }
}

#[cfg(test)]
mod tests;
