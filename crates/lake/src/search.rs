//! Searches over files and what waits in memory, as one.
//!
//! A search takes the row groups whose times fit, refuses most of them by statistics and Bloom filters, reads the
//! columns of the question in the others, and stops when no row group that is left can hold a better answer. Only then
//! are whole rows read, and only those of the page.

mod aggregate;
mod evidence;
mod query;
mod scan;

use crate::block::{Block, RowKey};
use crate::columns::{Col, Row};
use crate::fault::{Fault, Result};
use crate::lake::{Inner, Lake, View};
use crate::manifest::{Group, LiveFile};
use crate::parquet::read::{OpenFile, Selection, add};
pub use aggregate::{Counted, Hours};
pub use evidence::Evidence;
use query::Plan;
pub use query::{Cursor, MOST_ROWS, Query};
pub use scan::Looked;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows of an answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    pub looked: Looked,
}

/// A piece of the lake that is searched by one thread.
enum Unit<'a> {
    Group { file: &'a LiveFile, n: usize, span: Group },
    Block(&'a Block),
}

impl Unit<'_> {
    fn span(&self) -> (i64, i64) {
        match self {
            Unit::Group { span, .. } => (span.0, span.1),
            Unit::Block(block) => block.span().map_or((0, 0), |(a, b)| (a.0, b.0)),
        }
    }
}

impl Lake {
    /// A page of the lake as it is now.
    pub fn search(&self, query: &Query) -> Result<Page> {
        match self.view().search(query) {
            // Merged away by the process that writes: look again, once.
            Err(Fault::NotFound(_)) if self.inner.read_only => {
                self.refresh()?;
                self.view().search(query)
            }
            answer => answer,
        }
    }
}

impl View {
    fn units(&self, wanted: impl Fn(i64, i64) -> bool) -> Vec<Unit<'_>> {
        let mut units = Vec::new();
        for file in &self.manifest.files {
            for (n, span) in file.entry.groups.iter().enumerate() {
                if wanted(span.0, span.1) {
                    units.push(Unit::Group { file, n, span: *span });
                }
            }
        }
        for block in &self.waiting {
            if block.span().is_some_and(|(a, b)| wanted(a.0, b.0)) {
                units.push(Unit::Block(block));
            }
        }
        units
    }

    /// One page.
    pub fn search(&self, query: &Query) -> Result<Page> {
        let plan = Plan::new(query)?;
        let mut units = self.units(|first, last| plan.overlaps(first, last));
        if plan.newest_first {
            units.sort_by_key(|u| std::cmp::Reverse(u.span().1));
        } else {
            units.sort_by_key(|u| u.span().0);
        }
        let best = Best::new(&plan);
        let looked = Mutex::new(Looked::default());
        self.inner.each(&units, |at, unit| {
            let (first, last) = unit.span();
            if best.is_settled(if plan.newest_first { last } else { first }) {
                return Ok(false);
            }
            let mut seen = Looked::default();
            let found = self.inner.matching(unit, &plan, &mut seen)?;
            best.offer(at, found);
            looked.lock().unwrap_or_else(PoisonError::into_inner).add(seen);
            Ok(true)
        })?;
        let mut places = best.into_places();
        let more = places.len() > plan.limit;
        places.truncate(plan.limit);
        let next = if more { places.last().map(|(key, ..)| Cursor(*key)) } else { None };
        let rows = self.inner.rows(&units, &places)?;
        Ok(Page { rows, next, looked: looked.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }
}

impl Inner {
    /// Works on units with several threads, in their order, until one of them says that it is enough.
    fn each<U: Sync>(&self, units: &[U], work: impl Fn(usize, &U) -> Result<bool> + Sync) -> Result<()> {
        let next = AtomicUsize::new(0);
        let run = || -> Result<()> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = units.get(at) else { return Ok(()) };
                let goes_on = work(at, unit).inspect_err(|_| next.store(units.len(), Ordering::Relaxed))?;
                if !goes_on {
                    return Ok(());
                }
            }
        };
        let threads = self.options.threads.clamp(1, units.len().max(1));
        if threads == 1 {
            return run();
        }
        std::thread::scope(|s| {
            let others: Vec<_> = (1..threads).map(|_| s.spawn(run)).collect();
            let mine = run();
            let theirs = others.into_iter().map(|t| t.join().unwrap_or(Err(Fault::Thread)));
            theirs.fold(mine, |all, one| all.and(one))
        })
    }

    /// Keys and rows that match, the best of them if they are many.
    fn matching(&self, unit: &Unit<'_>, plan: &Plan, looked: &mut Looked) -> Result<Vec<(RowKey, usize)>> {
        match unit {
            Unit::Block(block) => {
                let mut scratch = Vec::new();
                let rows = (0..block.len()).filter(|row| plan.matches(block, *row, &mut scratch));
                let found: Vec<_> =
                    rows.map(|row| (block.key(row), row)).filter(|(key, _)| plan.is_behind(*key)).collect();
                looked.rows += block.len();
                Ok(found)
            }
            Unit::Group { file, n, span } => {
                let open = self.file(&file.entry)?;
                let mut rows = scan::group(&open, *n, *span, plan, looked)?;
                // Rows of a group lie in their order; behind a cursor of its time some of them are not wanted.
                if plan.after.is_none_or(|(time, ..)| time < span.0 || time > span.1) {
                    cut(&mut rows, plan);
                }
                let keys = keys(&open, *n, &rows)?;
                Ok(keys.into_iter().filter(|(key, _)| plan.is_behind(*key)).collect())
            }
        }
    }

    /// Whole rows of the places, in their order.
    fn rows(&self, units: &[Unit<'_>], places: &[(RowKey, usize, usize)]) -> Result<Vec<Row>> {
        let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (order, (_, unit, row)) in places.iter().enumerate() {
            wanted.entry(*unit).or_default().push((*row, order));
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let rows = Mutex::new(vec![Row::default(); places.len()]);
        self.each(&wanted, |_, (unit, places)| {
            let mut places = places.clone();
            places.sort_unstable();
            let read: Vec<Row> = match &units[*unit] {
                Unit::Block(block) => places.iter().map(|(row, _)| block.row(*row)).collect(),
                Unit::Group { file, n, .. } => {
                    let mut selection = Selection::new();
                    places.iter().for_each(|(row, _)| add(&mut selection, *row));
                    self.file(&file.entry)?.block(*n, &selection)?.rows().collect()
                }
            };
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            for ((_, order), row) in places.into_iter().zip(read) {
                rows[order] = row;
            }
            Ok(true)
        })?;
        Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// No more rows of one group than a page can show, and one to see that there are more.
fn cut(rows: &mut Selection, plan: &Plan) {
    let mut most = plan.limit + 1;
    let mut kept = Selection::new();
    let mut take = |range: std::ops::Range<usize>| {
        let n = range.len().min(most);
        most -= n;
        if n > 0 {
            kept.push(if plan.newest_first {
                range.end - n..range.end
            } else {
                range.start..range.start + n
            });
        }
    };
    if plan.newest_first {
        rows.drain(..).rev().for_each(&mut take);
        kept.reverse();
    } else {
        rows.drain(..).for_each(&mut take);
    }
    *rows = kept;
}

fn keys(file: &OpenFile, n: usize, rows: &Selection) -> Result<Vec<(RowKey, usize)>> {
    let mut found = Vec::new();
    if rows.is_empty() {
        return Ok(found);
    }
    file.ints(n, Col::Time, rows, |row, time| found.push(((time, 0, 0), row)))?;
    let mut at = 0;
    file.ints(n, Col::Seq, rows, |_, seq| {
        found[at].0.1 = seq;
        at += 1;
    })?;
    at = 0;
    file.ints(n, Col::Part, rows, |_, part| {
        found[at].0.2 = part;
        at += 1;
    })?;
    Ok(found)
}

/// The best rows so far. A row that was stored twice counts once.
struct Best<'a> {
    plan: &'a Plan,
    found: Mutex<BTreeMap<RowKey, (RowKey, usize, usize)>>,
}

impl<'a> Best<'a> {
    fn new(plan: &'a Plan) -> Best<'a> {
        Best { plan, found: Mutex::default() }
    }

    /// Turned over, so that the best has the least rank.
    fn rank(&self, (a, b, c): RowKey) -> RowKey {
        if self.plan.newest_first { (!a, !b, !c) } else { (a, b, c) }
    }

    /// Rows of this time or a worse one cannot come onto the page any more.
    fn is_settled(&self, time: i64) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.len() > self.plan.limit
            && found.last_key_value().is_some_and(|(worst, _)| self.rank((time, 0, 0)).0 > worst.0)
    }

    fn offer(&self, unit: usize, rows: Vec<(RowKey, usize)>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, row) in rows {
            let rank = self.rank(key);
            let full = found.len() > self.plan.limit;
            if full && found.last_key_value().is_some_and(|(worst, _)| rank >= *worst) {
                continue;
            }
            if found.insert(rank, (key, unit, row)).is_none() && full {
                found.pop_last();
            }
        }
    }

    fn into_places(self) -> Vec<(RowKey, usize, usize)> {
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }
}
