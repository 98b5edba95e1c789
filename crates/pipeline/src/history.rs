//! The events of a live service on disk, in sorted runs, so that what was folded can be folded again: after a restart,
//! after a late record, with a new list of indicators.
//!
//! A run is one file, written beside its name and renamed over it, so that a crash leaves it whole or not at all. Runs of
//! one size are merged into a longer one, which names those that it replaces. Layout of `*.run`, version 1: magic; length
//! and checksum of a head (position in the journal, bounds, number of events, runs replaced, names); then blocks, each
//! with length, checksum, bounds and number, whose events are coded as in [`crate::codec`] with names numbered as in
//! the head.

use crate::codec::{self, Bytes, Damaged};
use crate::runs::{Merge, Source};
use portreeve_model::{Event, EventTime, Sym, SymbolTable};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"PRTRVR\0\x01";
/// Events of one block: read and checked as one.
const BLOCK: usize = 4_096;
/// So many runs of a size are merged into one of the next.
const FAN: usize = 8;
/// Bytes that a head may have; names are capped by the parsers, and their number by what a run holds.
const HEAD: usize = 1 << 30;

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    #[error(
        "{path}: this is no run of events of this version, or it is damaged; restore it from a backup, or move it away to go on without its events"
    )]
    Damaged { path: String },
}

/// What a run says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Head {
    /// All records of the journal before this position are in this run or in one before it.
    upto: u64,
    first: EventTime,
    last: EventTime,
    events: u64,
    replaces: Vec<u64>,
}

struct Run {
    number: u64,
    path: PathBuf,
    head: Head,
}

/// All runs of a service.
pub struct History {
    dir: PathBuf,
    names: Arc<SymbolTable>,
    runs: Vec<Run>,
    next: u64,
}

/// The numbers by which records name their origins: given once and for all, kept beside the runs.
pub struct Origins {
    path: PathBuf,
    names: Vec<String>,
}

impl Origins {
    pub fn open(dir: &Path) -> Result<Origins, HistoryError> {
        let path = dir.join("origins");
        let wrong = |error| HistoryError::Io { path: path.display().to_string(), error };
        fs::create_dir_all(dir).map_err(wrong)?;
        let names = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(unescape).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(wrong(error)),
        };
        Ok(Origins { path, names })
    }

    /// The number of an origin; a new one is on disk before it is used.
    pub fn number(&mut self, name: &str) -> Result<u32, HistoryError> {
        if let Some(known) = self.names.iter().position(|o| o == name) {
            return Ok(u32::try_from(known).unwrap_or(u32::MAX));
        }
        self.names.push(name.to_owned());
        let text: String = self.names.iter().map(|o| format!("{}\n", escape(o))).collect();
        replace(&self.path, |file| file.write_all(text.as_bytes()))
            .map_err(|error| HistoryError::Io { path: self.path.display().to_string(), error })?;
        Ok(u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX))
    }

    /// Names by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl History {
    /// Names in events are of this table from now on; on disk they are text.
    pub fn rename(&mut self, names: &Arc<SymbolTable>) {
        self.names = names.clone();
    }

    pub fn open(dir: &Path, names: Arc<SymbolTable>) -> Result<History, HistoryError> {
        let wrong = |error| HistoryError::Io { path: dir.display().to_string(), error };
        fs::create_dir_all(dir).map_err(wrong)?;
        let mut history = History { dir: dir.to_owned(), names, runs: Vec::new(), next: 1 };
        for entry in fs::read_dir(dir).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with(".new") {
                // A run that a crash left unfinished; what it was made of is still there.
                fs::remove_file(&path).map_err(wrong)?;
            } else if let Some(number) = name.strip_suffix(".run").and_then(|n| n.parse().ok()) {
                let head = Reader::open(&path, None).map_err(|e| e.at(&path))?.head;
                history.runs.push(Run { number, path, head });
            }
        }
        let replaced: Vec<u64> = history.runs.iter().flat_map(|r| r.head.replaces.clone()).collect();
        for run in history.runs.iter().filter(|r| replaced.contains(&r.number)) {
            fs::remove_file(&run.path).map_err(wrong)?;
        }
        history.runs.retain(|r| !replaced.contains(&r.number));
        history.runs.sort_by_key(|r| r.number);
        history.next = history.runs.last().map_or(1, |r| r.number + 1);
        Ok(history)
    }

    /// The position in the journal before which every record is in the history.
    pub fn upto(&self) -> u64 {
        self.runs.iter().map(|r| r.head.upto).max().unwrap_or(0)
    }

    /// Events held, those that are held twice included.
    pub fn events(&self) -> u64 {
        self.runs.iter().map(|r| r.head.events).sum()
    }

    /// First and last event held.
    pub fn bounds(&self) -> Option<(EventTime, EventTime)> {
        let first = self.runs.iter().filter(|r| r.head.events > 0).map(|r| r.head.first).min()?;
        Some((first, self.runs.iter().map(|r| r.head.last).max()?))
    }

    /// Adds events in any order; on disk when it returns, and only then taken out of `events`. `upto` is the position in
    /// the journal that they reach.
    pub fn append(&mut self, events: &mut Vec<Event>, upto: u64) -> Result<(), HistoryError> {
        if events.is_empty() && upto <= self.upto() {
            return Ok(());
        }
        events.sort_by(crate::runs::order);
        events.dedup_by(|a, b| same(a, b));
        let head = Head {
            upto,
            first: events.first().map_or(EventTime::MAX, |e| e.time),
            last: events.last().map_or(EventTime::MIN, |e| e.time),
            events: events.len() as u64,
            replaces: Vec::new(),
        };
        self.write(head, &mut events.iter().cloned().map(Ok))?;
        events.clear();
        self.compact()
    }

    fn write(
        &mut self,
        mut head: Head,
        events: &mut dyn Iterator<Item = io::Result<Event>>,
    ) -> Result<(), HistoryError> {
        let number = self.next;
        let path = self.dir.join(format!("{number:012}.run"));
        // Blocks first, into a file of their own: the head names what stands in them.
        let wrong = |error| HistoryError::Io { path: path.display().to_string(), error };
        let mut blocks = BufWriter::new(tempfile::tempfile_in(&self.dir).map_err(wrong)?);
        let mut writer = Names::default();
        let mut block = Block::default();
        head.events = 0;
        for event in events {
            let mut event = event.map_err(wrong)?;
            head.events += 1;
            codec::renumber(&mut event, |s| writer.local(s));
            block.put(&event);
            if block.events as usize == BLOCK {
                block.write(&mut blocks).map_err(wrong)?;
            }
        }
        block.write(&mut blocks).map_err(wrong)?;
        let mut blocks = blocks.into_inner().map_err(|e| wrong(e.into_error()))?;
        blocks.seek(SeekFrom::Start(0)).map_err(wrong)?;
        let text = head.encode(&writer.used, &self.names);
        replace(&path, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&u32::try_from(text.len()).map_err(io::Error::other)?.to_le_bytes())?;
            file.write_all(&portreeve_sources::content_key(&text).to_le_bytes())?;
            file.write_all(&text)?;
            io::copy(&mut blocks, file).map(drop)
        })
        .map_err(wrong)?;
        self.next += 1;
        self.runs.push(Run { number, path, head });
        Ok(())
    }

    /// Merges runs of one size where there are many.
    fn compact(&mut self) -> Result<(), HistoryError> {
        loop {
            let mut sizes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
            for run in &self.runs {
                sizes.entry(size(run.head.events)).or_default().push(run.number);
            }
            let Some(many) = sizes.into_values().find(|runs| runs.len() >= FAN) else { return Ok(()) };
            let parts = || self.runs.iter().filter(|r| many.contains(&r.number));
            let head = Head {
                upto: parts().map(|r| r.head.upto).max().unwrap_or(0),
                first: parts().map(|r| r.head.first).min().unwrap_or(EventTime::MAX),
                last: parts().map(|r| r.head.last).max().unwrap_or(EventTime::MIN),
                events: 0,
                replaces: many.clone(),
            };
            let mut sources = Vec::new();
            for run in parts() {
                sources.push(self.reader(run, EventTime::MIN)?);
            }
            let wrong = |error| HistoryError::Io { path: self.dir.display().to_string(), error };
            let merged = Merge::new(sources).map_err(wrong)?;
            self.write(head, &mut Distinct { from: merged, last: None })?;
            for run in self.runs.iter().filter(|r| many.contains(&r.number)) {
                let path = run.path.display().to_string();
                fs::remove_file(&run.path).map_err(|error| HistoryError::Io { path, error })?;
            }
            self.runs.retain(|r| !many.contains(&r.number));
        }
    }

    /// What went wrong while events were read.
    pub(crate) fn wrong(&self, error: io::Error) -> HistoryError {
        let path = self.dir.display().to_string();
        match error.get_ref() {
            Some(inner) if inner.is::<Damaged>() => HistoryError::Damaged { path },
            _ => HistoryError::Io { path, error },
        }
    }

    fn reader(&self, run: &Run, from: EventTime) -> Result<Source, HistoryError> {
        let mut reader = Reader::open(&run.path, Some(&self.names)).map_err(|e| e.at(&run.path))?;
        reader.from = from;
        Ok(Source::Stored(Box::new(reader)))
    }

    /// Every event at or after a time, in total order, each once.
    pub fn since(
        &self,
        from: EventTime,
    ) -> Result<impl Iterator<Item = io::Result<Event>> + use<>, HistoryError> {
        let mut sources = Vec::new();
        for run in self.runs.iter().filter(|r| r.head.events > 0 && r.head.last >= from) {
            sources.push(self.reader(run, from)?);
        }
        let wrong = |error| HistoryError::Io { path: self.dir.display().to_string(), error };
        Ok(Distinct { from: Merge::new(sources).map_err(wrong)?, last: None })
    }

    /// Removes runs of which no event is at or after a time; their number of events.
    pub fn forget_before(&mut self, time: EventTime) -> Result<u64, HistoryError> {
        let upto = self.upto();
        let mut gone = 0;
        let (old, kept): (Vec<Run>, Vec<Run>) = std::mem::take(&mut self.runs)
            .into_iter()
            // Where the journal stands is said by the newest run.
            .partition(|r| r.head.last < time && r.head.upto < upto);
        self.runs = kept;
        for run in old {
            gone += run.head.events;
            let path = run.path.display().to_string();
            fs::remove_file(&run.path).map_err(|error| HistoryError::Io { path, error })?;
        }
        Ok(gone)
    }
}

/// Equal events are one, by whichever path they came.
pub(crate) fn same(a: &Event, b: &Event) -> bool {
    a.order() == b.order() && a.user == b.user && a.src_ip == b.src_ip
}

/// In powers of the fan.
fn size(events: u64) -> u32 {
    let mut size = 0;
    let mut most = 32_768;
    while events > most {
        most *= FAN as u64;
        size += 1;
    }
    size
}

/// Leaves out what equals the event before it.
struct Distinct<I> {
    from: I,
    last: Option<((EventTime, portreeve_model::event::Act, u64), Sym, portreeve_model::Ip)>,
}

impl<I: Iterator<Item = io::Result<Event>>> Iterator for Distinct<I> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<io::Result<Event>> {
        loop {
            let event = match self.from.next()? {
                Ok(event) => event,
                Err(error) => return Some(Err(error)),
            };
            let key = Some((event.order(), event.user, event.src_ip));
            if self.last != key {
                self.last = key;
                return Some(Ok(event));
            }
        }
    }
}

/// Writes a file beside its name, to the disk, and renames it.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn escape(name: &str) -> String {
    name.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(line: &str) -> String {
    let mut name = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => name.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            (c, false) => name.push(c),
        }
    }
    name
}

/// Numbers names as they come.
#[derive(Default)]
struct Names {
    number: BTreeMap<u32, u32>,
    used: Vec<Sym>,
}

impl Names {
    fn local(&mut self, name: Sym) -> Sym {
        if name.is_none() {
            return name;
        }
        let used = &mut self.used;
        Sym(*self.number.entry(name.0).or_insert_with(|| {
            used.push(name);
            u32::try_from(used.len()).unwrap_or(u32::MAX)
        }))
    }
}

impl Head {
    fn encode(&self, used: &[Sym], names: &SymbolTable) -> Vec<u8> {
        let mut out = Vec::new();
        codec::put_varint(&mut out, self.upto);
        out.extend_from_slice(&self.first.0.to_le_bytes());
        out.extend_from_slice(&self.last.0.to_le_bytes());
        codec::put_varint(&mut out, self.events);
        codec::put_varint(&mut out, self.replaces.len() as u64);
        self.replaces.iter().for_each(|n| codec::put_varint(&mut out, *n));
        codec::put_varint(&mut out, used.len() as u64);
        for name in used {
            let text = names.text(*name);
            codec::put_varint(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// The head, and where names are asked for, the symbols of its names.
    fn decode(bytes: &[u8], names: Option<&SymbolTable>) -> Result<(Head, Vec<Sym>), Damaged> {
        let mut b = Bytes(bytes);
        let mut head = Head { upto: b.varint()?, ..Head::default() };
        head.first = EventTime(i64::from_le_bytes(b.array()?));
        head.last = EventTime(i64::from_le_bytes(b.array()?));
        head.events = b.varint()?;
        for _ in 0..b.varint()? {
            head.replaces.push(b.varint()?);
        }
        let mut known = Vec::new();
        if let Some(names) = names {
            for _ in 0..b.varint()? {
                let length = usize::try_from(b.varint()?).map_err(|_| Damaged)?;
                let text = b.0.get(..length).ok_or(Damaged)?;
                known.push(names.intern(std::str::from_utf8(text).map_err(|_| Damaged)?));
                b.0 = &b.0[length..];
            }
        }
        Ok((head, known))
    }
}

/// Events that are written and checked as one.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    first: EventTime,
    last: EventTime,
    events: u32,
}

/// Length, checksum, first, last, number.
const BLOCK_HEAD: usize = 4 + 8 + 8 + 8 + 4;

impl Block {
    fn put(&mut self, event: &Event) {
        if self.events == 0 {
            self.first = event.time;
            self.last = EventTime(0);
        }
        codec::put(&mut self.bytes, event, self.last);
        self.last = event.time;
        self.events += 1;
    }

    fn write(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.events == 0 {
            return Ok(());
        }
        to.write_all(&u32::try_from(self.bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
        to.write_all(&portreeve_sources::content_key(&self.bytes).to_le_bytes())?;
        to.write_all(&self.first.0.to_le_bytes())?;
        to.write_all(&self.last.0.to_le_bytes())?;
        to.write_all(&self.events.to_le_bytes())?;
        to.write_all(&self.bytes)?;
        *self = Block { bytes: std::mem::take(&mut self.bytes), ..Block::default() };
        self.bytes.clear();
        Ok(())
    }
}

enum Wrong {
    Io(io::Error),
    Damaged,
}

impl Wrong {
    fn at(self, path: &Path) -> HistoryError {
        let path = path.display().to_string();
        match self {
            Wrong::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                HistoryError::Damaged { path }
            }
            Wrong::Io(error) => HistoryError::Io { path, error },
            Wrong::Damaged => HistoryError::Damaged { path },
        }
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Wrong {
        Wrong::Io(error)
    }
}

impl From<Damaged> for Wrong {
    fn from(_: Damaged) -> Wrong {
        Wrong::Damaged
    }
}

/// Reads a run from a time on.
pub(crate) struct Reader {
    file: BufReader<File>,
    head: Head,
    known: Vec<Sym>,
    from: EventTime,
    block: Vec<u8>,
    used: usize,
    left: u32,
    before: EventTime,
}

impl Reader {
    fn open(path: &Path, names: Option<&SymbolTable>) -> Result<Reader, Wrong> {
        let mut file = BufReader::with_capacity(64 * 1_024, File::open(path)?);
        let mut fixed = [0u8; 8 + 4 + 8];
        file.read_exact(&mut fixed)?;
        let mut b = Bytes(&fixed);
        let (magic, length, sum) = (b.array::<8>()?, b.array()?, b.array()?);
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| Damaged)?;
        if magic != *MAGIC || length > HEAD {
            return Err(Wrong::Damaged);
        }
        let mut text = vec![0u8; length];
        file.read_exact(&mut text)?;
        if portreeve_sources::content_key(&text) != u64::from_le_bytes(sum) {
            return Err(Wrong::Damaged);
        }
        let (head, known) = Head::decode(&text, names)?;
        let from = EventTime::MIN;
        Ok(Reader { file, head, known, from, block: Vec::new(), used: 0, left: 0, before: EventTime(0) })
    }

    /// Goes on to the next block that holds something from the time on; false at the end.
    fn load(&mut self) -> io::Result<bool> {
        loop {
            let mut fixed = [0u8; BLOCK_HEAD];
            match self.file.read(&mut fixed[..1])? {
                0 => return Ok(false),
                _ => self.file.read_exact(&mut fixed[1..])?,
            }
            let mut b = Bytes(&fixed);
            let mut take = || -> Result<_, Damaged> {
                let length = u32::from_le_bytes(b.array()?);
                let sum = u64::from_le_bytes(b.array()?);
                let (_first, last) = (b.array::<8>()?, EventTime(i64::from_le_bytes(b.array()?)));
                Ok((length, sum, last, u32::from_le_bytes(b.array()?)))
            };
            let (length, sum, last, events) = take().map_err(io::Error::other)?;
            if last < self.from {
                self.file.seek_relative(i64::from(length))?;
                continue;
            }
            self.block.resize(length as usize, 0);
            self.file.read_exact(&mut self.block)?;
            if portreeve_sources::content_key(&self.block) != sum {
                return Err(io::Error::other(Damaged));
            }
            (self.used, self.left, self.before) = (0, events, EventTime(0));
            return Ok(true);
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if self.left == 0 && !self.load()? {
                return Ok(None);
            }
            let mut bytes = Bytes(self.block.get(self.used..).unwrap_or_default());
            let mut event = codec::get(&mut bytes, self.before).map_err(io::Error::other)?;
            self.used = self.block.len() - bytes.0.len();
            self.before = event.time;
            self.left -= 1;
            if event.time < self.from {
                continue;
            }
            let known = &self.known;
            codec::renumber(&mut event, |s| {
                (s.0 as usize).checked_sub(1).and_then(|n| known.get(n)).copied().unwrap_or(Sym::NONE)
            });
            return Ok(Some(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(names: &SymbolTable, n: u64, time: i64) -> Event {
        let user = names.intern(&format!("user{}", n % 11));
        Event { time: EventTime(time), key: n, user, ..Event::default() }
    }

    fn told(history: &History, from: i64) -> Vec<(i64, u64, String)> {
        let names = history.names.clone();
        let all = history.since(EventTime(from)).expect("runs");
        all.map(|e| e.expect("an event")).map(|e| (e.time.0, e.key, names.text(e.user).to_string())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_parts_give_one_order(
            times in proptest::collection::vec((0u64..300, 0i64..1_000), 1..600), chunk in 1usize..90, from in 0i64..1_000,
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let names = SymbolTable::new();
            let mut history = History::open(dir.path(), names.clone()).expect("empty");
            let all: Vec<Event> = times.iter().map(|(n, t)| event(&names, *n, *t)).collect();
            for (n, part) in all.chunks(chunk).enumerate() {
                history.append(&mut part.to_vec(), n as u64 + 1).expect("written");
            }
            let mut wanted = all;
            wanted.sort_by(crate::runs::order);
            wanted.dedup_by(|a, b| same(a, b));
            let wanted: Vec<(i64, u64, String)> = wanted
                .iter()
                .filter(|e| e.time.0 >= from)
                .map(|e| (e.time.0, e.key, names.text(e.user).to_string()))
                .collect();
            prop_assert_eq!(&told(&history, from), &wanted);
            prop_assert!(history.runs.len() < FAN);
            let upto = history.upto();
            // Another process, with names of its own.
            let again = History::open(dir.path(), SymbolTable::new()).expect("whole");
            prop_assert_eq!(told(&again, from), wanted);
            prop_assert_eq!(again.upto(), upto);
        }
    }

    #[test]
    fn a_crash_leaves_a_run_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let names = SymbolTable::new();
        let mut history = History::open(dir.path(), names.clone()).expect("empty");
        history.append(&mut vec![event(&names, 1, 5)], 10).expect("written");
        // Unfinished, and merged but not yet cleaned up.
        fs::write(dir.path().join("000000000009.new"), b"PRTR").expect("written");
        let merged = Head { upto: 10, first: EventTime(5), last: EventTime(5), events: 1, replaces: vec![1] };
        history.write(merged, &mut vec![Ok(event(&names, 1, 5))].into_iter()).expect("written");
        let again = History::open(dir.path(), names.clone()).expect("whole");
        assert_eq!(told(&again, 0).len(), 1);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
        assert_eq!((again.upto(), again.next), (10, 3));
    }

    #[test]
    fn damage_is_said_with_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let names = SymbolTable::new();
        let mut history = History::open(dir.path(), names.clone()).expect("empty");
        history.append(&mut (0..100).map(|n| event(&names, n, 5)).collect(), 1).expect("written");
        let path = history.runs[0].path.clone();
        let whole = fs::read(&path).expect("a run");
        for at in [0, 9, 20, 60, whole.len() - 3] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            fs::write(&path, &bytes).expect("written");
            let fails = match History::open(dir.path(), names.clone()) {
                Err(error) => error.to_string().contains("000000000001.run"),
                Ok(history) => history.since(EventTime::MIN).map_or(true, |mut all| all.any(|e| e.is_err())),
            };
            assert!(fails, "byte {at}");
        }
    }

    #[test]
    fn origins_keep_their_numbers() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut origins = Origins::open(dir.path()).expect("empty");
        assert_eq!(origins.number("edge").expect("written"), 0);
        assert_eq!(origins.number("a\nb\\n").expect("written"), 1);
        assert_eq!(origins.number("edge").expect("written"), 0);
        let mut again = Origins::open(dir.path()).expect("whole");
        assert_eq!(again.names(), ["edge", "a\nb\\n"]);
        assert_eq!(again.number("c").expect("written"), 2);
    }

    #[test]
    fn old_runs_go_and_the_position_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let names = SymbolTable::new();
        let mut history = History::open(dir.path(), names.clone()).expect("empty");
        history.append(&mut vec![event(&names, 1, 5)], 10).expect("written");
        history.append(&mut vec![event(&names, 2, 50)], 20).expect("written");
        assert_eq!(history.forget_before(EventTime(50)).expect("removed"), 1);
        assert_eq!(told(&history, 0).len(), 1);
        assert_eq!(history.forget_before(EventTime(51)).expect("kept"), 0);
        assert_eq!(history.upto(), 20);
    }
}
