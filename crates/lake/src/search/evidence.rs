//! The records behind a case: fetched by where they came from.

use super::Unit;
use crate::block::Block;
use crate::columns::Col;
use crate::fault::Result;
use crate::lake::View;
use crate::parquet::read::{OpenFile, Selection, add};
use hashbrown::HashMap;
use portreeve_model::EventTime;
use std::sync::{Mutex, PoisonError};

/// Names a record, with the time of its event, which says where to look.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Evidence {
    pub origin: String,
    pub line: u32,
    pub offset: u64,
    pub time: EventTime,
}

impl View {
    /// Each record as it was received; `None` for what is not here (any more).
    pub fn fetch(&self, wanted: &[Evidence]) -> Result<Vec<Option<Vec<u8>>>> {
        let found: Mutex<Vec<Option<Vec<u8>>>> = Mutex::new(vec![None; wanted.len()]);
        let mut times: Vec<i64> = wanted.iter().map(|e| e.time.0).collect();
        times.sort_unstable();
        times.dedup();
        let mut by_place: HashMap<(i64, u32, u64), Vec<usize>> = HashMap::new();
        for (n, e) in wanted.iter().enumerate() {
            by_place.entry((e.time.0, e.line, e.offset)).or_default().push(n);
        }
        // The first of the times that may lie in a span.
        let some = |first: i64, last: i64| {
            times.get(times.partition_point(|t| *t < first)).is_some_and(|t| *t <= last)
        };
        let units = self.units(some);
        self.inner.each(&units, |_, unit| {
            let (first, last) = unit.span();
            let here = &times[times.partition_point(|t| *t < first)..times.partition_point(|t| *t <= last)];
            let block = match unit {
                Unit::Block(block) => named(block, &by_place, wanted),
                Unit::Group { file, n, .. } => {
                    named_in(&self.inner.file(&file.entry)?, *n, here, &by_place, wanted)?
                }
            };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            for (n, raw) in block {
                found[n] = Some(raw);
            }
            Ok(true)
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

type Places = HashMap<(i64, u32, u64), Vec<usize>>;

fn named(block: &Block, places: &Places, wanted: &[Evidence]) -> Vec<(usize, Vec<u8>)> {
    let mut found = Vec::new();
    for row in 0..block.len() {
        let place = (
            block.col(Col::Time).int(row),
            u32::try_from(block.col(Col::Line).int(row)).unwrap_or(0),
            block.col(Col::Offset).int(row).cast_unsigned(),
        );
        for n in places.get(&place).into_iter().flatten() {
            if wanted[*n].origin.as_bytes() == block.col(Col::Origin).text(row) {
                found.push((*n, block.col(Col::Raw).text(row).to_vec()));
            }
        }
    }
    found
}

fn named_in(
    file: &OpenFile,
    group: usize,
    times: &[i64],
    places: &Places,
    wanted: &[Evidence],
) -> Result<Vec<(usize, Vec<u8>)>> {
    // Pages that hold one of the times.
    let mut pages = Selection::new();
    for time in times {
        let page = file.pages_of(group, *time, *time)?;
        pages = crate::parquet::read::union(&pages, std::slice::from_ref(&page));
    }
    pages.retain(|p| !p.is_empty());
    let mut rows = Selection::new();
    let mut seen: Vec<(i64, u32, u64)> = Vec::new();
    file.ints(group, Col::Time, &pages, |row, time| {
        if times.binary_search(&time).is_ok() {
            add(&mut rows, row);
            seen.push((time, 0, 0));
        }
    })?;
    let mut at = 0;
    file.ints(group, Col::Line, &rows, |_, line| {
        seen[at].1 = u32::try_from(line).unwrap_or(0);
        at += 1;
    })?;
    at = 0;
    let mut hits = Selection::new();
    let mut hit_places = Vec::new();
    file.ints(group, Col::Offset, &rows, |row, offset| {
        seen[at].2 = offset.cast_unsigned();
        if places.contains_key(&seen[at]) {
            add(&mut hits, row);
            hit_places.push(seen[at]);
        }
        at += 1;
    })?;
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    file.texts(group, Col::Origin, &hits, |_, origin| names.push(origin.to_vec()))?;
    let mut found = Vec::new();
    at = 0;
    file.raws(group, &hits, |_, raw| {
        for n in places.get(&hit_places[at]).into_iter().flatten() {
            if wanted[*n].origin.as_bytes() == names[at] {
                found.push((*n, raw.to_vec()));
            }
        }
        at += 1;
    })?;
    Ok(found)
}
