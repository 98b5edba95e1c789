//! The write-ahead log: what was received is here before anybody is told so.
//!
//! Segments `<first number>.log` hold frames of whole batches. The caller appends what several doors handed over and
//! calls [`Journal::sync`] once for all of them. Segments say by themselves what their origins are called, so that any
//! of them can be read alone.

mod frame;
mod replay;

use crate::fault::{Fault, Result};
use crate::lock::Lock;
use frame::{Found, Head};
use hashbrown::HashMap;
use portreeve_model::EventTime;
pub use replay::{Damage, Replay, Replayed};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a record stands in the file it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// From 1.
    pub line: u32,
    pub offset: u64,
}

/// Records of one origin, side by side.
#[derive(Clone, Copy, Debug)]
pub struct JournalBatch<'a> {
    pub origin: &'a str,
    pub door: &'a str,
    pub arrival: EventTime,
    pub bytes: &'a [u8],
    /// Ends of the records within `bytes`, rising; the last is the length of `bytes`.
    pub ends: &'a [u32],
    /// One each, or none at all.
    pub places: &'a [Place],
}

/// A batch as it comes out again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Number of the first record; the others follow one by one.
    pub seq: u64,
    pub origin: Arc<str>,
    pub door: Arc<str>,
    pub arrival: EventTime,
    pub bytes: Vec<u8>,
    pub ends: Vec<u32>,
    pub places: Vec<Place>,
}

impl Default for Entry {
    fn default() -> Self {
        let none: Arc<str> = Arc::from("");
        Entry {
            seq: 0,
            origin: none.clone(),
            door: none,
            arrival: EventTime::default(),
            bytes: Vec::new(),
            ends: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl Entry {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number, bytes and place of each record.
    pub fn records(&self) -> impl Iterator<Item = (u64, &[u8], Option<Place>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).zip(self.seq..).enumerate().map(|(n, ((from, to), seq))| {
            (
                seq,
                self.bytes.get(from as usize..*to as usize).unwrap_or_default(),
                self.places.get(n).copied(),
            )
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalOptions {
    /// A segment is closed when it has grown to this size.
    pub segment_bytes: u64,
    /// Level of zstd for the records; negative levels are the fast ones; `None` stores them as they are.
    pub compression: Option<i32>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        // Level -3: see docs/performance.md; a quarter of the bytes for a few hundredths of a core.
        JournalOptions { segment_bytes: 64 << 20, compression: Some(-3) }
    }
}

/// The log that is written to. One process has it.
pub struct Journal {
    dir: PathBuf,
    options: JournalOptions,
    /// First number and path, ascending; the last may be open.
    segments: Vec<(u64, PathBuf)>,
    open: Option<Open>,
    next: u64,
    packer: Option<zstd::bulk::Compressor<'static>>,
    torn: Vec<Damage>,
    _lock: Lock,
}

struct Open {
    file: File,
    salt: u128,
    length: u64,
    synced: u64,
    names: HashMap<Box<str>, u32>,
}

impl Journal {
    /// Opens or begins the log in `dir`. An unfinished frame at its end, left by a crash, is cut off and stands in
    /// [`Journal::torn`]. `after` is a number that is known to be used up, whatever the log says (0: none).
    pub fn open(dir: &Path, options: JournalOptions, after: u64) -> Result<Journal> {
        fs::create_dir_all(dir).map_err(|e| Fault::io(dir, e))?;
        let lock = Lock::take(dir)?;
        let packer = match options.compression {
            Some(level) => Some(zstd::bulk::Compressor::new(level).map_err(|e| Fault::io(dir, e))?),
            None => None,
        };
        let mut journal = Journal {
            dir: dir.to_owned(),
            options,
            segments: segments(dir)?,
            open: None,
            next: after.saturating_add(1),
            packer,
            torn: Vec::new(),
            _lock: lock,
        };
        journal.mend()?;
        Ok(journal)
    }

    /// Looks at the last segment: how far it is whole, and which number comes next.
    fn mend(&mut self) -> Result<()> {
        let Some((first, path)) = self.segments.last().cloned() else { return Ok(()) };
        let bytes = fs::read(&path).map_err(|e| Fault::io(&path, e))?;
        let Some(head) = Head::decode(&bytes) else {
            if bytes.len() > frame::HEAD {
                // Nothing in it can be told apart without its salt. How many numbers it used up is not known; a gap
                // harms nobody, a number given twice would.
                self.next = self.next.max(first.saturating_add((bytes.len() as u64).saturating_mul(1_024)));
                return Ok(());
            }
            // A crash while the segment was begun; nothing was ever in it.
            fs::remove_file(&path).map_err(|e| Fault::io(&path, e))?;
            self.segments.pop();
            let torn = Damage { segment: path, offset: 0, bytes: bytes.len() as u64, torn: true };
            if !bytes.is_empty() {
                self.torn.push(torn);
            }
            return self.mend();
        };
        let mut next = first;
        let mut at = frame::HEAD;
        let mut whole = at;
        loop {
            match frame::at(&bytes, at, head.salt, false) {
                (Found::Nothing, _) => match frame::next_valid(&bytes, at + 1, head.salt) {
                    Some(later) => at = later,
                    None => break,
                },
                (found, later) => {
                    if let Found::Batch(raw) = found {
                        next = raw.first.saturating_add(u64::from(raw.count));
                    }
                    at = later;
                    whole = later;
                }
            }
        }
        if whole < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path).map_err(|e| Fault::io(&path, e))?;
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(|e| Fault::io(&path, e))?;
            let lost = (bytes.len() - whole) as u64;
            self.torn.push(Damage { segment: path.clone(), offset: whole as u64, bytes: lost, torn: true });
        }
        if next == first {
            // No batch: the next segment will have the same name.
            fs::remove_file(&path).map_err(|e| Fault::io(&path, e))?;
            self.segments.pop();
        }
        self.next = self.next.max(next);
        Ok(())
    }

    /// What opening cut off: the unfinished writes of a crash, acknowledged to nobody.
    pub fn torn(&self) -> &[Damage] {
        &self.torn
    }

    /// The number that the next record gets.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(|m| m.len()).sum()
    }

    /// Writes batches and numbers their records; the number of the first is returned. All or none of them are
    /// written. They survive a crash once [`Journal::sync`] has returned.
    pub fn append(&mut self, batches: &[JournalBatch<'_>]) -> Result<u64> {
        let first = self.next;
        for batch in batches {
            // Bytes, and what is kept besides each record.
            let bytes = batch.bytes.len() + batch.ends.len() * 16;
            if bytes > frame::MOST {
                return Err(Fault::TooLarge { bytes, most: frame::MOST });
            }
        }
        if self.open.as_ref().is_some_and(|o| o.length >= self.options.segment_bytes) {
            self.sync()?;
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let mut out = Vec::with_capacity(batches.iter().map(|b| b.bytes.len() / 2 + 256).sum());
        let mut next = first;
        let known = open.names.len();
        for batch in batches {
            let mut number = |text: &str, out: &mut Vec<u8>| {
                open.names.get(text).copied().unwrap_or_else(|| {
                    let id = u32::try_from(open.names.len()).unwrap_or(u32::MAX);
                    frame::name(out, open.salt, id, text);
                    open.names.insert(text.into(), id);
                    id
                })
            };
            let (origin, door) = (number(batch.origin, &mut out), number(batch.door, &mut out));
            frame::batch(
                &mut out,
                open.salt,
                &frame::Numbers { origin, door, first: next },
                batch,
                self.packer.as_mut(),
            );
            next += batch.ends.len() as u64;
        }
        if let Err(error) = open.file.write_all(&out) {
            let path = self.last_path();
            let fault = Fault::io(&path, error);
            // Back to what was whole. Where even that fails the segment is left alone and its rest is cut at the next
            // opening.
            if open.file.set_len(open.length).is_ok() {
                open.names.retain(|_, id| (*id as usize) < known);
                self.open = Some(open);
            }
            return Err(fault);
        }
        open.length += out.len() as u64;
        self.open = Some(open);
        self.next = next;
        Ok(first)
    }

    /// All that was appended reaches the disk.
    pub fn sync(&mut self) -> Result<()> {
        let path = self.last_path();
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.synced == open.length {
            return Ok(());
        }
        match open.file.sync_data() {
            Ok(()) => {
                open.synced = open.length;
                Ok(())
            }
            Err(error) => {
                // After a failed sync the kernel may have dropped the pages: nothing more is put behind them.
                self.open = None;
                Err(Fault::io(&path, error))
            }
        }
    }

    /// All batches that hold a record from number `seq` on, in their order, and what of the log is damaged.
    pub fn read_from(&self, seq: u64) -> Replay {
        let lives = self.open.as_ref().map(|o| o.length);
        Replay::new(self.segments.clone(), lives, seq)
    }

    /// Deletes segments all of whose records have numbers up to `seq`. Says how many.
    pub fn release(&mut self, seq: u64) -> Result<usize> {
        let mut gone = 0;
        while let [(_, path), (next, _), ..] = self.segments.as_slice() {
            if *next > seq.saturating_add(1) {
                break;
            }
            fs::remove_file(path).map_err(|e| Fault::io(path, e))?;
            self.segments.remove(0);
            gone += 1;
        }
        // The last one too, where nothing waits in it and it has grown: a quiet site needs no second one to be rid of it.
        if let [(_, path)] = self.segments.as_slice()
            && self.next <= seq.saturating_add(1)
            && self.open.as_ref().is_none_or(|o| o.length >= self.options.segment_bytes)
        {
            fs::remove_file(path).map_err(|e| Fault::io(path, e))?;
            self.segments.clear();
            self.open = None;
            gone += 1;
        }
        Ok(gone)
    }

    fn last_path(&self) -> PathBuf {
        self.segments.last().map_or_else(|| self.dir.clone(), |(_, path)| path.clone())
    }

    fn begin(&mut self) -> Result<Open> {
        let path = self.dir.join(format!("{:020}.log", self.next));
        let salt = salt(&path)?;
        let make = || {
            // A segment of that name can only be one in which nothing came to stand.
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.set_len(0)?;
            file.write_all(&Head { salt, first: self.next }.encode())?;
            File::open(&self.dir)?.sync_all()?;
            Ok(file)
        };
        let file = make().map_err(|e| {
            fs::remove_file(&path).ok();
            Fault::io(&path, e)
        })?;
        if self.segments.last().is_none_or(|(_, last)| *last != path) {
            self.segments.push((self.next, path));
        }
        let length = frame::HEAD as u64;
        Ok(Open { file, salt, length, synced: 0, names: HashMap::new() })
    }
}

fn salt(path: &Path) -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Fault::io(path, std::io::Error::other(e.to_string())))?;
    Ok(u128::from_le_bytes(bytes))
}

fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Fault::io(dir, e))? {
        let path = entry.map_err(|e| Fault::io(dir, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".log"));
        if let Some(first) = name.and_then(|n| n.parse().ok()) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}
