//! Reading the log back, past what is damaged.

use super::Entry;
use super::frame::{self, Found, Head};
use crate::fault::{Fault, Result};
use hashbrown::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a segment that are no frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    pub segment: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    /// The unfinished end of the log, as a crash leaves it; otherwise something that was whole once.
    pub torn: bool,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.torn { "unfinished write" } else { "damage" };
        write!(f, "{}: {what} of {} bytes at byte {}", self.segment.display(), self.bytes, self.offset)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replayed {
    Batch(Entry),
    Damage(Damage),
}

/// Iterates over the log; one segment is in memory at a time.
pub struct Replay {
    segments: std::vec::IntoIter<(u64, PathBuf)>,
    /// Length of the last segment where it is being written.
    lives: Option<u64>,
    seq: u64,
    now: Option<Segment>,
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    salt: u128,
    at: usize,
    names: HashMap<u32, Arc<str>>,
}

impl Replay {
    pub(super) fn new(mut segments: Vec<(u64, PathBuf)>, lives: Option<u64>, seq: u64) -> Replay {
        // What lies wholly before is not opened.
        let skip = segments.windows(2).take_while(|w| w[1].0 <= seq).count();
        segments.drain(..skip);
        Replay { segments: segments.into_iter(), lives, seq, now: None }
    }

    fn load(&mut self, path: PathBuf) -> Result<Option<Damage>> {
        let mut bytes = fs::read(&path).map_err(|e| Fault::io(&path, e))?;
        if let (Some(length), 0) = (self.lives, self.segments.len()) {
            bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        let Some(head) = Head::decode(&bytes) else {
            return Ok(Some(Damage { segment: path, offset: 0, bytes: bytes.len() as u64, torn: false }));
        };
        self.now = Some(Segment { path, bytes, salt: head.salt, at: frame::HEAD, names: HashMap::new() });
        Ok(None)
    }
}

impl Segment {
    fn next(&mut self, seq: u64) -> Option<Replayed> {
        while self.at < self.bytes.len() {
            match frame::at(&self.bytes, self.at, self.salt, false) {
                (Found::Name { id, text }, next) => {
                    self.names.insert(id, text);
                    self.at = next;
                }
                (Found::Batch(raw), next) => {
                    let here = std::mem::replace(&mut self.at, next);
                    if raw.first.saturating_add(u64::from(raw.count)) <= seq {
                        continue;
                    }
                    match frame::at(&self.bytes, here, self.salt, true) {
                        (Found::Batch(raw), _) => {
                            let mut entry = raw.entry;
                            // A name that is lost with a damaged frame: the records are worth more than it.
                            let lost = |id: &u32| Arc::from(format!("unknown origin {id}"));
                            entry.origin =
                                self.names.get(&raw.origin).cloned().unwrap_or_else(|| lost(&raw.origin));
                            entry.door =
                                self.names.get(&raw.door).cloned().unwrap_or_else(|| lost(&raw.door));
                            return Some(Replayed::Batch(entry));
                        }
                        _ => return Some(self.damage(here, next)),
                    }
                }
                (Found::Nothing, _) => {
                    let from = self.at;
                    let to = frame::next_valid(&self.bytes, from + 1, self.salt).unwrap_or(self.bytes.len());
                    self.at = to;
                    return Some(self.damage(from, to));
                }
            }
        }
        None
    }

    fn damage(&self, from: usize, to: usize) -> Replayed {
        let (offset, bytes) = (from as u64, (to - from) as u64);
        Replayed::Damage(Damage { segment: self.path.clone(), offset, bytes, torn: false })
    }
}

impl Iterator for Replay {
    type Item = Result<Replayed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(segment) = &mut self.now {
                match segment.next(self.seq) {
                    Some(found) => return Some(Ok(found)),
                    None => self.now = None,
                }
            }
            let (_, path) = self.segments.next()?;
            match self.load(path) {
                Ok(None) => {}
                Ok(Some(damage)) => return Some(Ok(Replayed::Damage(damage))),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}
