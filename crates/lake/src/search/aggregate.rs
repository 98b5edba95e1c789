//! Counts over all rows of a question, from the columns that it needs and no others.

use super::query::{Plan, Query};
use super::{Looked, Unit, scan};
use crate::block::Block;
use crate::columns::{Col, Kind};
use crate::fault::{Fault, Result};
use crate::lake::View;
use crate::parquet::read::{OpenFile, Selection, selected};
use hashbrown::HashMap;
use portreeve_model::EventTime;
use std::sync::{Mutex, PoisonError};

/// How often each value of a field occurs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// The most frequent first, then by name. The empty text counts rows without a value.
    pub values: Vec<(String, u64)>,
    /// Rows whose value is not in `values`.
    pub others: u64,
    pub rows: u64,
}

/// Rows by hour of the UTC week; 0 is Monday from midnight on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hours(pub [u64; 168]);

/// Distinct values kept while counting. Beyond it new ones are counted together.
const DISTINCT: usize = 1_000_000;

/// Matching rows of one unit.
enum Matched<'a> {
    Block(&'a Block, Vec<usize>),
    Group(OpenFile, usize, Selection),
}

impl Matched<'_> {
    fn len(&self) -> usize {
        match self {
            Matched::Block(_, rows) => rows.len(),
            Matched::Group(_, _, rows) => selected(rows),
        }
    }

    fn texts(&self, col: Col, mut see: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Matched::Block(block, rows) => {
                rows.iter().for_each(|row| see(block.col(col).text(*row)));
                Ok(())
            }
            Matched::Group(file, n, rows) => file.texts(*n, col, rows, |_, value| see(value)),
        }
    }

    fn times(&self, mut see: impl FnMut(i64)) -> Result<()> {
        match self {
            Matched::Block(block, rows) => {
                rows.iter().for_each(|row| see(block.col(Col::Time).int(*row)));
                Ok(())
            }
            Matched::Group(file, n, rows) => file.ints(*n, Col::Time, rows, |_, time| see(time)),
        }
    }
}

fn inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// How many rows match; pages do not matter here, nor below. A row that was stored twice counts twice until files
    /// are merged.
    pub fn count(&self, query: &Query) -> Result<u64> {
        let total = Mutex::new(0u64);
        self.over(query, |matched| {
            *total.lock().unwrap_or_else(PoisonError::into_inner) += matched.len() as u64;
            Ok(())
        })?;
        Ok(inner(total))
    }

    /// Values of a text column with their counts, at most `most` of them.
    pub fn count_by(&self, field: Col, query: &Query, most: usize) -> Result<Counted> {
        if field.kind() != Kind::Text {
            return Err(Fault::Query(format!("{} is not counted by its values", field.name())));
        }
        let total: Mutex<(HashMap<String, u64>, u64, u64)> = Mutex::default();
        self.over(query, |matched| {
            let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
            matched.texts(field, |value| match counts.get_mut(value) {
                Some(n) => *n += 1,
                None => {
                    counts.insert(value.to_vec(), 1);
                }
            })?;
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            let (known, others, rows) = &mut *total;
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_unstable();
            for (value, n) in counts {
                *rows += n;
                let value = String::from_utf8_lossy(&value).into_owned();
                if known.len() < DISTINCT || known.contains_key(&value) {
                    *known.entry(value).or_default() += n;
                } else {
                    *others += n;
                }
            }
            Ok(())
        })?;
        let (known, others, rows) = inner(total);
        let mut values: Vec<_> = known.into_iter().collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let others = others + values.iter().skip(most).map(|(_, n)| n).sum::<u64>();
        values.truncate(most);
        Ok(Counted { values, others, rows })
    }

    /// When matching rows happened, by hour of the week.
    pub fn hours(&self, query: &Query) -> Result<Hours> {
        let total = Mutex::new([0u64; 168]);
        self.over(query, |matched| {
            let mut hours = [0u64; 168];
            matched.times(|time| hours[usize::from(EventTime(time).hour_of_week())] += 1)?;
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.iter_mut().zip(hours).for_each(|(sum, n)| *sum += n);
            Ok(())
        })?;
        Ok(Hours(inner(total)))
    }

    fn over(&self, query: &Query, work: impl Fn(&Matched<'_>) -> Result<()> + Sync) -> Result<()> {
        let plan = Plan::whole(query)?;
        let units = self.units(|first, last| plan.overlaps(first, last));
        self.inner.each(&units, |_, unit| {
            let matched = match unit {
                Unit::Block(block) => {
                    let mut scratch = Vec::new();
                    let rows = (0..block.len()).filter(|row| plan.matches(block, *row, &mut scratch));
                    Matched::Block(block, rows.collect())
                }
                Unit::Group { file, n, span } => {
                    let open = self.inner.file(&file.entry)?;
                    let rows = scan::group(&open, *n, *span, &plan, &mut Looked::default())?;
                    Matched::Group(open, *n, rows)
                }
            };
            if matched.len() > 0 { work(&matched).map(|()| true) } else { Ok(true) }
        })
    }
}
