//! From a request's records to their receipt: stored, refused or dead, and counted as one of them.

use super::Http;
use super::admit::Visit;
use crate::counters::DoorCounts;
use crate::door::DEAD_BYTES;
use crate::intake::{DeadLetter, Receipt, Records, Refusal};

/// What a door cut out of one request.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) records: Records,
    dead: Vec<Dead>,
    /// Records whose peer is told that they are not taken, and why.
    refused: usize,
    record_bytes: usize,
}

#[derive(Debug)]
struct Dead {
    reason: String,
    bytes: Vec<u8>,
}

impl Cut {
    /// For records of at most this many bytes.
    pub(crate) fn new(record_bytes: usize) -> Cut {
        Cut { records: Records::default(), dead: Vec::new(), refused: 0, record_bytes }
    }

    /// One more record; `false` where it is longer than records may be and becomes a dead letter.
    pub(crate) fn push(&mut self, record: &[u8]) -> bool {
        if record.len() <= self.record_bytes {
            self.records.push(record);
            return true;
        }
        let (length, most) = (record.len(), self.record_bytes);
        self.odd(format!("a record of {length} bytes; the source may send {most}"), record);
        false
    }

    /// Something that is no record.
    pub(crate) fn odd(&mut self, reason: impl Into<String>, bytes: &[u8]) {
        let bytes = bytes.get(..DEAD_BYTES).unwrap_or(bytes).to_vec();
        self.dead.push(Dead { reason: reason.into(), bytes });
    }

    /// A record that is not taken; the peer is told so.
    pub(crate) fn refuse(&mut self) {
        self.refused += 1;
    }

    pub(crate) fn dead(&self) -> usize {
        self.dead.len()
    }

    /// All that came, whatever becomes of it.
    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.dead.len() + self.refused
    }
}

impl Http {
    /// Has the records stored, and then the dead letters kept: what is refused comes again whole. Where the service is
    /// busy it is refused at once.
    pub(crate) async fn keep(&self, visit: &Visit, cut: Cut) -> Result<(), Refusal> {
        self.keep_how(visit, cut, false).await
    }

    /// As [`Http::keep`], but waits while the service is busy.
    pub(crate) async fn keep_waiting(&self, visit: &Visit, cut: Cut) -> Result<(), Refusal> {
        self.keep_how(visit, cut, true).await
    }

    async fn keep_how(&self, visit: &Visit, cut: Cut, wait: bool) -> Result<(), Refusal> {
        if cut.len() == 0 {
            return Ok(());
        }
        visit.spend(cut.len());
        let (intake, counts) = (self.intake.clone(), visit.counts.clone());
        let (origin, door) = (visit.admitted.origin.clone(), visit.door);
        // A task of its own: the peer may hang up, and what was handed over is counted all the same.
        let kept = tokio::spawn(async move {
            let (all, records) = (cut.len(), cut.records.len());
            DoorCounts::add(&counts.received, all);
            let only_dead = records == 0 && !cut.dead.is_empty();
            let receipt = if records == 0 {
                let no_room = only_dead && !wait && !intake.has_room();
                if no_room { Receipt::Refused(Refusal::Full) } else { Receipt::Stored }
            } else if wait {
                intake.store(&origin, door, cut.records).await
            } else {
                intake.offer(&origin, door, cut.records).await
            };
            if let Receipt::Refused(refusal) = receipt {
                DoorCounts::add(&counts.refused, all);
                return Err(refusal);
            }
            DoorCounts::add(&counts.stored, records);
            DoorCounts::add(&counts.refused, cut.refused);
            for Dead { reason, bytes } in cut.dead {
                DoorCounts::add(&counts.dead, 1);
                intake.dead(DeadLetter { origin: origin.clone(), door, reason, bytes }).await;
            }
            Ok(())
        });
        kept.await.unwrap_or(Err(Refusal::Closing))
    }

    /// Keeps a request that cannot be read apart, as one dead letter.
    pub(crate) async fn bury(&self, visit: &Visit, reason: String, bytes: &[u8]) {
        let mut cut = Cut::new(0);
        cut.odd(reason, bytes);
        // Refused or kept, the peer is told that it is damaged, and it is counted.
        self.keep(visit, cut).await.ok();
    }
}
