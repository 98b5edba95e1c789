//! Which rows of a row group are answers: cheap refusals first, then column by column, only where rows are left.

use super::query::Plan;
use crate::columns::Col;
use crate::fault::Result;
use crate::manifest::Group;
use crate::parquet::read::{OpenFile, Selection, add, selected, union};

/// How much a search looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// Row groups whose time lies in the range.
    pub groups: usize,
    /// Of these, refused by statistics or Bloom filters without reading a row.
    pub refused: usize,
    /// Rows whose columns were read.
    pub rows: usize,
}

impl Looked {
    pub fn add(&mut self, other: Looked) {
        self.groups += other.groups;
        self.refused += other.refused;
        self.rows += other.rows;
    }
}

/// Matching rows of a group, but for the cursor.
pub(super) fn group(
    file: &OpenFile,
    n: usize,
    span: Group,
    plan: &Plan,
    looked: &mut Looked,
) -> Result<Selection> {
    looked.groups += 1;
    let mut columns: Vec<Vec<Col>> = Vec::with_capacity(plan.predicates.len());
    for predicate in &plan.predicates {
        let mut left = Vec::new();
        for col in &predicate.cols {
            let mut excluded = true;
            for value in &predicate.values {
                excluded = excluded && file.excludes(n, *col, value)?;
            }
            if !excluded {
                left.push(*col);
            }
        }
        if left.is_empty() {
            looked.refused += 1;
            return Ok(Selection::new());
        }
        columns.push(left);
    }
    let mut rows = within(file, n, span, plan)?;
    looked.rows += selected(&rows);
    for (predicate, columns) in plan.predicates.iter().zip(columns) {
        let mut left = Selection::new();
        for col in columns {
            let found = file.find(n, col, &rows, &predicate.values)?;
            left = union(&left, &found);
        }
        rows = left;
        if rows.is_empty() {
            return Ok(rows);
        }
    }
    if plan.events_only {
        let mut left = Selection::new();
        file.texts(n, Col::Act, &rows, |row, act| {
            if !act.is_empty() {
                add(&mut left, row);
            }
        })?;
        rows = left;
    }
    if let Some(text) = &plan.text {
        let mut left = Selection::new();
        let mut scratch = Vec::new();
        file.raws(n, &rows, |row, record| {
            if text.is_in(record, &mut scratch) {
                add(&mut left, row);
            }
        })?;
        rows = left;
    }
    Ok(rows)
}

/// Rows in the range of time: they lie side by side.
fn within(file: &OpenFile, n: usize, span: Group, plan: &Plan) -> Result<Selection> {
    let Group(first, last, rows) = span;
    if first >= plan.from && last <= plan.until {
        return Ok(std::iter::once(0..rows).collect());
    }
    let pages = file.pages_of(n, plan.from, plan.until)?;
    let mut found: Selection = Selection::new();
    file.ints(n, Col::Time, &[pages], |row, time| {
        if time >= plan.from && time <= plan.until {
            add(&mut found, row);
        }
    })?;
    Ok(found)
}
