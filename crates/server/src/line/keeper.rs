//! Batches from the doors to the journal: many at once, one sync for all, then their acknowledgements.

use super::{Progress, now};
use portreeve_doors::{Batch, DeadLetter, Receipt, Received, Refusal};
use portreeve_lake::journal::{Entry, Journal, JournalBatch, Place};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Bytes written between two syncs, at most.
const ROUND_BYTES: usize = 8 << 20;

/// What the reader is told: records, or that there are some in the journal for which there was no room here.
pub(crate) enum Kept {
    Entries(Vec<Entry>),
    Look,
}

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
        let backlog = Progress::get(&self.progress.backlog_bytes);
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
            let (bytes, ends, places) = records.into_parts();
            let places = places.into_iter().map(|p| Place { line: p.line, offset: p.offset }).collect();
            let (origin, door) = (Arc::from(origin.name()), Arc::from(door));
            entries.push(Entry { seq: 0, origin, door, arrival, bytes, ends, places });
        }
        match self.write(&mut entries) {
            Ok(()) => acks.into_iter().for_each(|ack| ack.answer(Receipt::Stored)),
            Err(why) => {
                tracing::error!(%why, "records cannot be stored");
                acks.into_iter()
                    .for_each(|ack| ack.answer(Receipt::Refused(Refusal::Disk(why.clone()))));
                return;
            }
        }
        let bytes: usize = entries.iter().map(|e| e.bytes.len()).sum();
        self.progress.backlog_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        match self.to.try_send(Kept::Entries(entries)) {
            Ok(()) => {}
            // They are in the journal; the reader finds them there by their numbers.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => tracing::warn!("the reader has ended"),
        }
    }

    fn write(&self, entries: &mut [Entry]) -> Result<(), String> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
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
        journal.sync().map_err(|e| e.to_string())?;
        for entry in entries {
            entry.seq = seq;
            seq += entry.len() as u64;
        }
        Progress::set(&self.progress.kept, seq.saturating_sub(1));
        Ok(())
    }
}
