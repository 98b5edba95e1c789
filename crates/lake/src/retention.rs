//! What is old goes, except what a legal hold keeps; every row is counted on one side or the other.

use crate::block::Block;
use crate::columns::Col;
use crate::fault::{Fault, Result};
use crate::lake::{Change, Inner, Lake, Staged};
use crate::manifest::{Hold, LiveFile};
use crate::parquet::read::RowStream;
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use std::sync::{Arc, PoisonError};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retained {
    pub files_deleted: usize,
    pub files_rewritten: usize,
    pub rows_deleted: usize,
    /// Old rows that are here because of a hold.
    pub rows_held: usize,
}

/// Rows read at a time.
const STEP: usize = 4_096;

impl Lake {
    pub fn holds(&self) -> Vec<Hold> {
        self.inner.manifest().holds.clone()
    }

    /// Sets a hold, or replaces the one of the same id. It is durable when this returns.
    pub fn hold(&self, hold: Hold) -> Result<()> {
        if hold.id.is_empty() {
            return Err(Fault::Query("a hold needs an id".to_owned()));
        }
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut holds = self.holds();
        holds.retain(|h| h.id != hold.id);
        holds.push(hold.normal());
        self.inner.commit(Change { holds: Some(holds), ..Change::default() })
    }

    /// Lifts a hold; what it kept goes with the next retention. `false` where there is none of this id.
    pub fn lift(&self, id: &str) -> Result<bool> {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut holds = self.holds();
        let before = holds.len();
        holds.retain(|h| h.id != id);
        if holds.len() == before {
            return Ok(false);
        }
        self.inner.commit(Change { holds: Some(holds), ..Change::default() })?;
        Ok(true)
    }

    /// Deletes all days that ended more than `days` days before `now`.
    pub fn retain(&self, now: EventTime, days: u32) -> Result<Retained> {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = i64::from(now.day()).saturating_sub(i64::from(days)).saturating_mul(DAY_US);
        let view = self.view();
        let mut done = Retained::default();
        let mut gone = Vec::new();
        let manifest = view.manifest.clone();
        drop(view);
        for file in manifest.files.iter().filter(|f| f.entry.span().1 < oldest) {
            let holds: Vec<&Hold> = manifest.holds.iter().filter(|h| h.touches(file.entry.span())).collect();
            if holds.is_empty() {
                done.files_deleted += 1;
                done.rows_deleted += file.entry.rows;
                gone.push(file.clone());
                continue;
            }
            let mark: Vec<String> = holds.iter().map(|h| marked(h)).collect();
            if file.entry.held == mark {
                done.rows_held += file.entry.rows;
                continue;
            }
            self.thin(file, &holds, mark, &mut done)?;
        }
        drop(manifest);
        if !gone.is_empty() {
            self.inner.commit(Change { remove: gone, ..Change::default() })?;
        }
        Ok(done)
    }

    /// Leaves of a file what is held.
    fn thin(
        &self,
        file: &Arc<LiveFile>,
        holds: &[&Hold],
        mark: Vec<String>,
        done: &mut Retained,
    ) -> Result<()> {
        let staged = held_rows(&self.inner, file, holds)?;
        let mut add = self.inner.place(staged)?;
        add.iter_mut().for_each(|e| e.held.clone_from(&mark));
        let kept: usize = add.iter().map(|e| e.rows).sum();
        done.rows_held += kept;
        done.rows_deleted += file.entry.rows - kept;
        if add.is_empty() {
            done.files_deleted += 1;
        } else {
            done.files_rewritten += 1;
        }
        self.inner.commit(Change { add, remove: vec![file.clone()], ..Change::default() })
    }
}

/// A hold by its content: one that is changed is another.
fn marked(hold: &Hold) -> String {
    let text =
        format!("{:?} {:?} {:?} {:?} {:?}", hold.from, hold.to, hold.users, hold.addresses, hold.records);
    format!("{}:{:08x}", hold.id, crc32fast::hash(text.as_bytes()))
}

fn held_rows(inner: &Inner, file: &LiveFile, holds: &[&Hold]) -> Result<Vec<Staged>> {
    let mut sink = inner.sink(file.entry.partition().to_owned(), file.entry.generation + 1);
    let mut stream = RowStream::new(inner.file(&file.entry)?, STEP);
    while let Some(block) = stream.next()? {
        for row in (0..block.len()).filter(|row| holds.iter().any(|h| keeps(h, &block, *row))) {
            sink.push(&block, row)?;
        }
    }
    sink.finish()
}

fn keeps(hold: &Hold, block: &Block, row: usize) -> bool {
    let time = block.col(Col::Time).int(row);
    if hold.from.is_some_and(|from| time < from) || hold.to.is_some_and(|to| time >= to) {
        return false;
    }
    let has = |values: &std::collections::BTreeSet<String>, col: Col| {
        std::str::from_utf8(block.col(col).text(row))
            .is_ok_and(|text| !text.is_empty() && values.contains(text))
    };
    let is_cited = || {
        let origin = String::from_utf8_lossy(block.col(Col::Origin).text(row)).into_owned();
        let line = u32::try_from(block.col(Col::Line).int(row)).unwrap_or(0);
        hold.records.contains(&(origin, line, block.col(Col::Offset).int(row).cast_unsigned()))
    };
    (hold.users.is_empty() && hold.addresses.is_empty() && hold.records.is_empty())
        || has(&hold.users, Col::UserKey)
        || [Col::SrcIp, Col::TunIp, Col::DstIp].iter().any(|col| has(&hold.addresses, *col))
        || (!hold.records.is_empty() && is_cited())
}
