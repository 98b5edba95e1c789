//! Reads records again, by position: evidence is opened only for what a case shows.

use super::reader::{Limits, RawRecord, read};
use portreeve_model::RawRef;
use std::collections::BTreeMap;
use std::io::Read;

/// Longest raw text that evidence keeps.
pub const TEXT: usize = 4_096;

/// One record read again.
pub struct Fetched<T> {
    /// As it stands in its file.
    pub text: String,
    /// What was made of it.
    pub told: T,
}

/// The text of the wanted records of one stream and what `tell` says of each, and the names of its archive entries.
pub fn fetch<T>(
    from: &mut dyn Read,
    size: Option<u64>,
    input: u32,
    wanted: &[RawRef],
    limits: &Limits,
    tell: &mut dyn FnMut(&RawRecord<'_>) -> T,
) -> (BTreeMap<RawRef, Fetched<T>>, Vec<String>) {
    let mut left: BTreeMap<(u16, u32), RawRef> = wanted.iter().map(|r| ((r.entry(), r.line), *r)).collect();
    let mut found = BTreeMap::new();
    let outcome = read(from, size, input, limits, &mut |record| {
        if let Some(wanted) = left.remove(&(record.at.entry(), record.at.line)) {
            let shown = record.shown.get(..TEXT).unwrap_or(record.shown);
            let text = String::from_utf8_lossy(shown).trim_end().to_owned();
            found.insert(wanted, Fetched { text, told: tell(&record) });
        }
        !left.is_empty()
    });
    (found, outcome.entries)
}
