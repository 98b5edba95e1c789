//! Many small files of an hour or a day become few large ones; what stands in them twice stands in them once.
//!
//! A row is the same as another where time, number and part are: reading the journal again gives such rows. Memory is
//! bounded by the number of files of one merge, whatever their size.

use crate::block::{Block, RowKey};
use crate::fault::Result;
use crate::lake::{Change, Inner, Lake, Staged, by_partition};
use crate::manifest::{self, LiveFile};
use crate::parquet::read::RowStream;
use portreeve_model::EventTime;
use portreeve_model::time::{DAY_US, HOUR_US};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, PoisonError};

/// Files of one merge, and rows of each that are in memory at a time.
const WAYS: usize = 16;
const STEP: usize = 4_096;
/// While an hour goes on, so many files of about one size are merged.
const LIKE: usize = 8;
/// A day of fewer rows is one file.
const SMALL_DAY: usize = 4 * crate::parquet::schema::GROUP;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    pub merges: usize,
    pub files_before: usize,
    pub files_after: usize,
    pub rows: usize,
    pub duplicates: usize,
}

impl Lake {
    /// Merges until there is nothing left to gain. `now` tells which hours and days are over.
    pub fn compact(&self, now: EventTime) -> Result<Compacted> {
        let mut all = Compacted::default();
        while let Some(one) = self.compact_once(now)? {
            all.merges += 1;
            all.files_before += one.files_before;
            all.files_after += one.files_after;
            all.rows += one.rows;
            all.duplicates += one.duplicates;
        }
        Ok(all)
    }

    /// One merge; `None` where nothing is to be gained.
    pub fn compact_once(&self, now: EventTime) -> Result<Option<Compacted>> {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let Some((partition, files)) = choose(&view.manifest.files, self.inner.options.file_bytes, now)
        else {
            return Ok(None);
        };
        let generation = files.iter().map(|f| f.entry.generation).max().unwrap_or(0) + 1;
        let mut done = Compacted { merges: 1, files_before: files.len(), ..Compacted::default() };
        let staged = merge(&self.inner, &files, partition, generation, &mut done)?;
        done.files_after = staged.len();
        let mut add = self.inner.place(staged)?;
        // Rows that were kept for holds are still only those.
        let kept = files.iter().all(|f| f.entry.held == files[0].entry.held);
        if kept {
            add.iter_mut().for_each(|e| e.held.clone_from(&files[0].entry.held));
        }
        drop(view);
        self.inner.commit(Change { add, remove: files, ..Change::default() })?;
        Ok(Some(done))
    }
}

/// The folder in which, and the files with which, most is to be gained.
fn choose(files: &[Arc<LiveFile>], most: u64, now: EventTime) -> Option<(String, Vec<Arc<LiveFile>>)> {
    let small = |f: &Arc<LiveFile>| f.entry.bytes < most / 2;
    let mut days: BTreeMap<i64, Vec<Arc<LiveFile>>> = BTreeMap::new();
    for file in files {
        days.entry(file.entry.day()).or_default().push(file.clone());
    }
    // An hour's grace for what comes late.
    let over = |end: i64| end.saturating_add(HOUR_US) <= now.0;
    for (day, files) in days {
        let rows: usize = files.iter().map(|f| f.entry.rows).sum();
        let whole = files.len() > 1 && rows <= SMALL_DAY && over((day + 1).saturating_mul(DAY_US));
        if whole && files.iter().all(small) {
            let partition = manifest::partition(day.saturating_mul(DAY_US), true);
            return Some((partition, smallest(files)));
        }
        for (partition, files) in by_partition(&files) {
            let files: Vec<_> = files.into_iter().filter(small).collect();
            let end = files.iter().map(|f| manifest::hour(f.entry.span().1) + 1).max().unwrap_or(0);
            if files.len() > 1 && over(end.saturating_mul(HOUR_US)) {
                return Some((partition, smallest(files)));
            }
            let mut tiers: BTreeMap<u32, Vec<Arc<LiveFile>>> = BTreeMap::new();
            for file in files {
                tiers.entry((file.entry.rows as u64).max(1).ilog2() / 3).or_default().push(file);
            }
            if let Some((_, tier)) = tiers.into_iter().find(|(_, t)| t.len() >= LIKE) {
                return Some((partition, smallest(tier)));
            }
        }
    }
    None
}

fn smallest(mut files: Vec<Arc<LiveFile>>) -> Vec<Arc<LiveFile>> {
    files.sort_by(|a, b| (a.entry.rows, &a.entry.path).cmp(&(b.entry.rows, &b.entry.path)));
    files.truncate(WAYS);
    files
}

fn merge(
    inner: &Inner,
    files: &[Arc<LiveFile>],
    partition: String,
    generation: u32,
    done: &mut Compacted,
) -> Result<Vec<Staged>> {
    let mut ways = Vec::with_capacity(files.len());
    let mut heap = BinaryHeap::with_capacity(files.len());
    for file in files {
        let mut way =
            Way { stream: RowStream::new(inner.file(&file.entry)?, STEP), block: Block::new(), row: 0 };
        if let Some(key) = way.load()? {
            heap.push(Reverse((key, ways.len())));
        }
        ways.push(way);
    }
    let mut sink = inner.sink(partition, generation);
    let mut last: Option<RowKey> = None;
    while let Some(Reverse((key, n))) = heap.pop() {
        let way = &mut ways[n];
        if last == Some(key) {
            done.duplicates += 1;
        } else {
            sink.push(&way.block, way.row)?;
            done.rows += 1;
            last = Some(key);
        }
        if let Some(key) = way.step()? {
            heap.push(Reverse((key, n)));
        }
    }
    sink.finish()
}

struct Way {
    stream: RowStream,
    block: Block,
    row: usize,
}

impl Way {
    fn load(&mut self) -> Result<Option<RowKey>> {
        match self.stream.next()? {
            Some(block) => {
                self.block = block;
                self.row = 0;
                Ok(Some(self.block.key(0)))
            }
            None => Ok(None),
        }
    }

    fn step(&mut self) -> Result<Option<RowKey>> {
        self.row += 1;
        if self.row < self.block.len() { Ok(Some(self.block.key(self.row))) } else { self.load() }
    }
}
