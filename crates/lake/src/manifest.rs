//! Which files are live: the truth about the lake, in one small object that is replaced as a whole.
//!
//! Version n is `manifest/<n>.json`, created only where it is not there yet: of two writers one fails. What no manifest
//! names does not exist, whatever lies in the folders.

use crate::fault::{Fault, Result};
use crate::object::Objects;
use crate::parquet::write::{Finished, GroupSpan};
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const FORMAT: &str = "portreeve/lake/v1";
/// Older versions are kept for who reads them at this moment.
const KEPT: usize = 3;

/// A row group: earliest and latest time in microseconds, and rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group(pub i64, pub i64, pub usize);

/// A live file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub rows: usize,
    pub bytes: u64,
    /// Where data end, and indexes and footer begin.
    pub tail: u64,
    pub first_seq: u64,
    pub last_seq: u64,
    /// Rises with every merge.
    pub generation: u32,
    pub groups: Vec<Group>,
    /// The holds that its rows were last kept for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
}

impl FileEntry {
    pub(crate) fn new(path: String, generation: u32, finished: &Finished) -> FileEntry {
        FileEntry {
            path,
            rows: finished.rows,
            bytes: finished.bytes,
            tail: finished.tail,
            first_seq: finished.first_seq,
            last_seq: finished.last_seq,
            generation,
            groups: finished
                .groups
                .iter()
                .map(|GroupSpan { first, last, rows }| Group(*first, *last, *rows))
                .collect(),
            held: Vec::new(),
        }
    }

    /// Earliest and latest time.
    pub fn span(&self) -> (i64, i64) {
        let first = self.groups.iter().map(|g| g.0).min().unwrap_or(0);
        (first, self.groups.iter().map(|g| g.1).max().unwrap_or(0))
    }

    /// The folder: a day, or an hour of one.
    pub fn partition(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(dir, _)| dir)
    }

    pub(crate) fn day(&self) -> i64 {
        self.span().0.div_euclid(DAY_US)
    }
}

/// `events/date=2026-11-27/hour=18`, or the whole day.
pub(crate) fn partition(time: i64, whole_day: bool) -> String {
    let (y, m, d, h, ..) = EventTime(time).civil();
    if whole_day {
        format!("events/date={y:04}-{m:02}-{d:02}")
    } else {
        format!("events/date={y:04}-{m:02}-{d:02}/hour={h:02}")
    }
}

pub(crate) fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR_US)
}

/// Rows that retention must not delete.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hold {
    pub id: String,
    /// The case it serves, who asked for it, and why: told to whoever asks why something is still here.
    pub case: String,
    pub reason: String,
    pub by: String,
    /// When it was set; microseconds, as all times here.
    pub at: i64,
    /// From this time on; open where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Rows of any of these accounts, addresses or records; all rows of the range where none are given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
    /// What a case cites: origin, line and offset.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub records: BTreeSet<(String, u32, u64)>,
}

impl Hold {
    /// Accounts and addresses in the spelling in which they are stored.
    #[must_use]
    pub fn normal(mut self) -> Hold {
        let users: Vec<String> =
            self.users.iter().flat_map(|u| [u.to_lowercase(), crate::account_key(u)]).collect();
        self.users.extend(users);
        let spelled = |a: &String| Ip::parse(a.as_bytes()).some().map(crate::block::spelled);
        self.addresses = self.addresses.iter().map(|a| spelled(a).unwrap_or_else(|| a.clone())).collect();
        self
    }

    pub(crate) fn touches(&self, (first, last): (i64, i64)) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: String,
    version: u64,
    through: u64,
    holds: Vec<Hold>,
    files: Vec<FileEntry>,
}

/// Files to delete once nobody reads them.
pub(crate) type Graves = Arc<Mutex<Vec<String>>>;

/// A file that some version of the manifest names. When it is dead and its last reader has gone, its name goes to the
/// graves.
pub struct LiveFile {
    pub entry: FileEntry,
    dead: AtomicBool,
    graves: Graves,
}

impl LiveFile {
    pub(crate) fn new(entry: FileEntry, graves: &Graves) -> Arc<LiveFile> {
        Arc::new(LiveFile { entry, dead: AtomicBool::new(false), graves: graves.clone() })
    }

    pub(crate) fn bury(&self) {
        self.dead.store(true, Ordering::Release);
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        if self.dead.load(Ordering::Acquire) {
            let mut graves = self.graves.lock().unwrap_or_else(PoisonError::into_inner);
            graves.push(std::mem::take(&mut self.entry.path));
        }
    }
}

/// One version.
#[derive(Clone, Default)]
pub struct Manifest {
    pub version: u64,
    /// Every record up to this number is in a file, or gave none of its own.
    pub through: u64,
    pub holds: Vec<Hold>,
    pub files: Vec<Arc<LiveFile>>,
}

impl Manifest {
    /// The newest version, and all that are there; version 0, empty, where there is none.
    pub(crate) fn load(store: &dyn Objects, graves: &Graves) -> Result<(Manifest, Vec<u64>)> {
        let versions = versions(store)?;
        let Some(newest) = versions.last() else { return Ok((Manifest::default(), versions)) };
        let bytes = store.get(&at(*newest))?;
        let wrong = |why: String| Fault::Manifest(format!("{}: {why}; restore it from a copy", at(*newest)));
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if stored.format != FORMAT || stored.version != *newest {
            return Err(wrong(format!("it is {:?}, and this program reads {FORMAT:?}", stored.format)));
        }
        let files = stored.files.into_iter().map(|e| LiveFile::new(e, graves)).collect();
        Ok((
            Manifest { version: stored.version, through: stored.through, holds: stored.holds, files },
            versions,
        ))
    }

    pub(crate) fn save(&self, store: &dyn Objects) -> Result<()> {
        let stored = Stored {
            format: FORMAT.to_owned(),
            version: self.version,
            through: self.through,
            holds: self.holds.clone(),
            files: self.files.iter().map(|f| f.entry.clone()).collect(),
        };
        let bytes = serde_json::to_vec(&stored).map_err(|e| Fault::Manifest(e.to_string()))?;
        if store.create(&at(self.version), &bytes)? {
            return Ok(());
        }
        // An answer that was lost on its way makes a store client ask twice: then this is what we wrote.
        if store.get(&at(self.version))? == bytes { Ok(()) } else { Err(Fault::Conflict(self.version)) }
    }

    /// Removes versions that nobody needs any more.
    pub(crate) fn tidy(store: &dyn Objects, versions: &[u64]) -> Result<()> {
        let old = versions.len().saturating_sub(KEPT);
        versions[..old].iter().try_for_each(|v| store.delete(&at(*v)))
    }

    pub fn rows(&self) -> usize {
        self.files.iter().map(|f| f.entry.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.entry.bytes).sum()
    }
}

fn at(version: u64) -> String {
    format!("manifest/{version:020}.json")
}

fn versions(store: &dyn Objects) -> Result<Vec<u64>> {
    let number = |name: &str| name.strip_prefix("manifest/")?.strip_suffix(".json")?.parse().ok();
    let mut found: Vec<u64> = store.list("manifest")?.iter().filter_map(|(name, _)| number(name)).collect();
    found.sort_unstable();
    Ok(found)
}
