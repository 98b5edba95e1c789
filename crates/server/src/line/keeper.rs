//! Batches from the doors to the journal: many at once, one sync for all, then their acknowledgements.

use super::{Progress, now};
use portreeve_doors::{Batch, DeadLetter, Origin, Receipt, Received, Records, Refusal, WholeFile};
use portreeve_lake::journal::{Entry, Journal, JournalBatch, Place};
use portreeve_model::EventTime;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Bytes written between two syncs, at most.
const ROUND_BYTES: usize = 8 << 20;

/// Batches as they are in the journal. Those for which there is no room on the way are found there by the reader.
pub(crate) type Kept = Vec<Entry>;

pub(crate) struct Keeper {
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) from: mpsc::Receiver<Received>,
    pub(crate) to: SyncSender<Kept>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) dead: Box<dyn FnMut(DeadLetter) + Send>,
    /// Bytes of the journal that may wait to be read before doors are held back.
    pub(crate) most_backlog: u64,
}

impl Keeper {
    /// Until every door has gone.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.from.blocking_recv() {
            let mut round = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(received) = next {
                match received {
                    Received::Batch(batch) => {
                        bytes += batch.records.bytes();
                        round.push(batch);
                    }
                    Received::File(file) => self.file(file),
                    Received::Dead(letter) => (self.dead)(letter),
                }
                next = if bytes < ROUND_BYTES { self.from.try_recv().ok() } else { None };
            }
            if !round.is_empty() {
                self.keep(round);
            }
        }
    }

    fn keep(&mut self, round: Vec<Batch>) {
        let backlog = self.progress.backlog_bytes();
        // Once held back, until half of it is worked off: else it would flicker.
        let held = self.progress.held_back.load(Ordering::Relaxed);
        let held = backlog > if held { self.most_backlog / 2 } else { self.most_backlog };
        self.progress.held_back.store(held, Ordering::Relaxed);
        if held {
            let records: usize = round.iter().map(|b| b.records.len()).sum();
            self.progress.refused.fetch_add(records as u64, Ordering::Relaxed);
            round.into_iter().for_each(|b| b.ack.answer(Receipt::Refused(Refusal::Full)));
            return;
        }
        let arrival = now();
        let (mut acks, mut entries) = (Vec::new(), Vec::new());
        for Batch { origin, door, records, ack } in round {
            acks.push(ack);
            entries.push(entry(origin.name(), door, arrival, Arc::unwrap_or_clone(records)));
        }
        match write(&self.journal, &self.progress, &mut entries) {
            Ok(()) => acks.into_iter().for_each(|ack| ack.answer(Receipt::Stored)),
            Err(why) => {
                tracing::error!(%why, "records cannot be stored");
                acks.into_iter().for_each(|ack| ack.answer(Receipt::Refused(Refusal::Disk(why.clone()))));
                return;
            }
        }
        match self.to.try_send(entries) {
            Ok(()) => {}
            // They are in the journal; the reader finds them there by their numbers.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => tracing::warn!("the reader has ended"),
        }
    }

    /// Reads a file that is no sequence of lines, beside everything else: a large one must not hold others up.
    fn file(&self, file: WholeFile) {
        let (journal, progress) = (self.journal.clone(), self.progress.clone());
        let WholeFile { origin, door, path, ack } = file;
        let name = path.display().to_string();
        let work = move || {
            let receipt = match whole_file(&journal, &progress, &origin, door, &path) {
                Ok(()) => Receipt::Stored,
                Err(why) => {
                    tracing::error!(%why, "a file cannot be stored");
                    Receipt::Refused(Refusal::Disk(why))
                }
            };
            ack.answer(receipt);
        };
        if let Err(error) = std::thread::Builder::new().name("file".to_owned()).spawn(work) {
            tracing::error!(%error, file = name, "no thread for a file; it is offered again");
        }
    }
}

fn entry(origin: &str, door: &str, arrival: EventTime, records: Records) -> Entry {
    let (bytes, ends, places) = records.into_parts();
    let places = places.into_iter().map(|p| Place { line: p.line, offset: p.offset }).collect();
    Entry { seq: 0, origin: Arc::from(origin), door: Arc::from(door), arrival, bytes, ends, places }
}

fn whole_file(
    journal: &Mutex<Journal>,
    progress: &Progress,
    origin: &Origin,
    door: &'static str,
    path: &Path,
) -> Result<(), String> {
    let mut open = Records::default();
    let mut failed = None;
    let keep = |records: Records| {
        // The reader finds them in the journal.
        let mut entries = [entry(origin.name(), door, now(), records)];
        write(journal, progress, &mut entries)
    };
    let problems = portreeve_pipeline::live::split(path, &mut |record, line, offset| {
        open.push_at(record, portreeve_doors::Place { line, offset });
        if open.bytes() >= ROUND_BYTES / 2 {
            failed = keep(std::mem::take(&mut open)).err();
        }
        failed.is_none()
    });
    let problems = problems.map_err(|e| format!("{}: {e}", path.display()))?;
    for problem in problems {
        tracing::warn!(file = %path.display(), problem, "a file could not be read whole");
    }
    match failed {
        Some(why) => Err(why),
        None if open.is_empty() => Ok(()),
        None => keep(open),
    }
}

fn write(journal: &Mutex<Journal>, progress: &Progress, entries: &mut [Entry]) -> Result<(), String> {
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let batches: Vec<JournalBatch<'_>> = entries
        .iter()
        .map(|e| JournalBatch {
            origin: &e.origin,
            door: &e.door,
            arrival: e.arrival,
            bytes: &e.bytes,
            ends: &e.ends,
            places: &e.places,
        })
        .collect();
    let mut seq = journal.append(&batches).map_err(|e| e.to_string())?;
    // Counted before anybody can read them, so that the count of what was read never runs ahead of it.
    let bytes: usize = entries.iter().map(|e| e.bytes.len()).sum();
    progress.kept_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    journal.sync().map_err(|e| e.to_string())?;
    for entry in entries {
        entry.seq = seq;
        seq += entry.len() as u64;
    }
    Progress::set(&progress.kept, seq.saturating_sub(1));
    Ok(())
}
