//! Reads records again, by position: evidence is opened only for what a case shows.

use super::reader::{Limits, read};
use portreeve_model::RawRef;
use std::collections::BTreeMap;
use std::io::Read;

/// Longest raw text that evidence keeps.
pub const TEXT: usize = 4_096;

/// The text of the wanted records of one stream, and the names of its archive entries.
pub fn fetch(
    from: &mut dyn Read,
    size: Option<u64>,
    input: u32,
    wanted: &[RawRef],
    limits: &Limits,
) -> (BTreeMap<RawRef, String>, Vec<String>) {
    let mut left: BTreeMap<(u16, u32), RawRef> = wanted.iter().map(|r| ((r.entry(), r.line), *r)).collect();
    let mut found = BTreeMap::new();
    let outcome = read(from, size, input, limits, &mut |record| {
        if let Some(wanted) = left.remove(&(record.at.entry(), record.at.line)) {
            let bytes = &record.bytes[..record.bytes.len().min(TEXT)];
            found.insert(wanted, String::from_utf8_lossy(bytes).trim_end().to_owned());
        }
        !left.is_empty()
    });
    (found, outcome.entries)
}
