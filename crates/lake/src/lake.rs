//! The lake: rows in memory that wait for their file, and the files, seen as one.

use crate::block::{Block, sorted};
use crate::columns::Col;
use crate::fault::{Fault, Result};
use crate::lock::Lock;
use crate::manifest::{self, FileEntry, Graves, Hold, LiveFile, Manifest};
use crate::object::{Folder, Objects, TailCache};
use crate::parquet::read::OpenFile;
use crate::parquet::schema::GROUP;
use crate::parquet::write::FileWriter;
use ::parquet::file::metadata::ParquetMetaData;
use hashbrown::HashMap;
use portreeve_model::time::DAY_US;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LakeOptions {
    /// A folder of this machine: unfinished files, and the ends of far ones. For a lake in a folder it must be on the
    /// same file system.
    pub work: PathBuf,
    /// Threads of a search.
    pub threads: usize,
    /// Footers kept in memory, in bytes.
    pub footers: usize,
    /// A file is closed when it has grown to this size.
    pub file_bytes: u64,
    /// Rows of a row group: what a search refuses or reads.
    pub group_rows: usize,
}

impl LakeOptions {
    pub fn new(work: &Path) -> LakeOptions {
        LakeOptions {
            work: work.to_owned(),
            threads: 2,
            footers: 256 << 20,
            file_bytes: 256 << 20,
            group_rows: GROUP,
        }
    }
}

/// Rows of a day that are few, and from many hours, lie in one file: an old log that is read again would otherwise become
/// thousands of tiny ones.
const FEW: usize = 32_768;
const MANY_HOURS: usize = 3;

pub struct Lake {
    pub(crate) inner: Arc<Inner>,
    /// Held while files change places: merging, retention.
    pub(crate) maintenance: Mutex<()>,
    flushing: Mutex<()>,
    _lock: Option<Lock>,
}

pub(crate) struct Inner {
    pub store: Arc<dyn Objects>,
    pub options: LakeOptions,
    graves: Graves,
    tails: TailCache,
    footers: Mutex<Footers>,
    state: Mutex<State>,
    /// Held while a version is made.
    committing: Mutex<Vec<u64>>,
    pub read_only: bool,
}

struct State {
    manifest: Arc<Manifest>,
    waiting: VecDeque<Arc<Block>>,
}

#[derive(Default)]
struct Footers {
    known: HashMap<String, Arc<ParquetMetaData>>,
    order: VecDeque<String>,
    bytes: usize,
}

/// What a change does to the files.
#[derive(Default)]
pub(crate) struct Change {
    pub add: Vec<FileEntry>,
    pub remove: Vec<Arc<LiveFile>>,
    pub through: u64,
    pub holds: Option<Vec<Hold>>,
    /// How many of the waiting blocks the added files hold.
    pub written: usize,
}

/// The lake at one moment: nothing comes or goes while somebody holds it.
#[derive(Clone)]
pub struct View {
    pub(crate) inner: Arc<Inner>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) waiting: Vec<Arc<Block>>,
}

impl View {
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows in files and in memory.
    pub fn rows(&self) -> usize {
        self.manifest.rows() + self.waiting.iter().map(|b| b.len()).sum::<usize>()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lake {
    /// A lake in a folder of this machine.
    pub fn local(root: &Path) -> Result<Lake> {
        Lake::open(Arc::new(Folder::new(root)?), LakeOptions::new(&root.join("work")))
    }

    /// Opens the lake for writing: one process at a time. What a crash left behind is removed.
    pub fn open(store: Arc<dyn Objects>, options: LakeOptions) -> Result<Lake> {
        let staging = options.work.join("staging");
        fs::create_dir_all(&staging).map_err(|e| Fault::io(&staging, e))?;
        let lock = Lock::take(&options.work)?;
        for entry in fs::read_dir(&staging).map_err(|e| Fault::io(&staging, e))?.flatten() {
            fs::remove_file(entry.path()).map_err(|e| Fault::io(&entry.path(), e))?;
        }
        let lake = Lake::with(store, options, false, Some(lock))?;
        let orphans = lake.orphans()?;
        // A version of our own, before anything is deleted: a writer elsewhere whose file looks like an orphan because
        // it is about to be named can no longer name it.
        lake.inner.commit(Change::default())?;
        orphans.iter().try_for_each(|path| lake.inner.store.delete(path))?;
        Ok(lake)
    }

    /// Opens the lake for searching, beside the process that writes it.
    pub fn read_only(store: Arc<dyn Objects>, options: LakeOptions) -> Result<Lake> {
        Lake::with(store, options, true, None)
    }

    fn with(
        store: Arc<dyn Objects>,
        options: LakeOptions,
        read_only: bool,
        lock: Option<Lock>,
    ) -> Result<Lake> {
        let graves = Graves::default();
        let (manifest, versions) = Manifest::load(&*store, &graves)?;
        let tails = TailCache::new(&options.work.join("tails"))?;
        let inner = Inner {
            store,
            options,
            graves,
            tails,
            footers: Mutex::default(),
            state: Mutex::new(State { manifest: Arc::new(manifest), waiting: VecDeque::new() }),
            committing: Mutex::new(versions),
            read_only,
        };
        Ok(Lake {
            inner: Arc::new(inner),
            maintenance: Mutex::new(()),
            flushing: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Files that no manifest names.
    fn orphans(&self) -> Result<Vec<String>> {
        let view = self.view();
        let live: hashbrown::HashSet<&str> =
            view.manifest.files.iter().map(|f| f.entry.path.as_str()).collect();
        let found = self.inner.store.list("events")?;
        if view.manifest.version == 0 && !found.is_empty() {
            let why = format!(
                "there is none, and yet there are {} files of events; restore it from a copy",
                found.len()
            );
            return Err(Fault::Manifest(why));
        }
        Ok(found.into_iter().map(|(path, _)| path).filter(|path| !live.contains(path.as_str())).collect())
    }

    /// What other processes have written since; only for a lake that is opened for searching.
    pub fn refresh(&self) -> Result<()> {
        if self.inner.read_only {
            let (manifest, _) = Manifest::load(&*self.inner.store, &self.inner.graves)?;
            held(&self.inner.state).manifest = Arc::new(manifest);
        }
        Ok(())
    }

    /// Records up to this number are in files; the journal needs them no longer, and is read from the next one on.
    pub fn through(&self) -> u64 {
        held(&self.inner.state).manifest.through
    }

    /// The lake as it is now.
    pub fn view(&self) -> View {
        let state = held(&self.inner.state);
        let (manifest, waiting) = (state.manifest.clone(), state.waiting.iter().cloned().collect());
        View { inner: self.inner.clone(), manifest, waiting }
    }

    /// Rows to be written; searches see them at once.
    pub fn push(&self, block: Block) {
        if !block.is_empty() {
            held(&self.inner.state).waiting.push_back(Arc::new(block));
        }
    }

    /// Rows and bytes in memory.
    pub fn waiting(&self) -> (usize, usize) {
        let state = held(&self.inner.state);
        state.waiting.iter().fold((0, 0), |(rows, bytes), b| (rows + b.len(), bytes + b.size()))
    }

    /// Writes what waits. `through` says that every record up to this number has been pushed or gave nothing. When this
    /// returns the rows are durable in files; the journal may let go of them. Says how many rows were written.
    pub fn flush(&self, through: u64) -> Result<usize> {
        let _one = held(&self.flushing);
        let blocks: Vec<Arc<Block>> = held(&self.inner.state).waiting.iter().cloned().collect();
        if blocks.is_empty() && through <= self.through() {
            return Ok(0);
        }
        let blocks: Vec<&Block> = blocks.iter().map(|b| &**b).collect();
        let add = self.inner.write(&blocks)?;
        let rows = add.iter().map(|f| f.entry().rows).sum();
        let add = self.inner.place(add)?;
        self.inner.commit(Change { add, through, written: blocks.len(), ..Change::default() })?;
        Ok(rows)
    }

    /// Deletes files that were replaced and that no reader holds any more. Flushing and merging do it too.
    pub fn sweep(&self) -> Result<usize> {
        self.inner.sweep()
    }
}

/// A finished file that is not in its place yet.
pub(crate) struct Staged {
    at: PathBuf,
    entry: FileEntry,
}

impl Staged {
    pub(crate) fn entry(&self) -> &FileEntry {
        &self.entry
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Moved away where all went well.
        fs::remove_file(&self.at).ok();
    }
}

impl Inner {
    pub(crate) fn manifest(&self) -> Arc<Manifest> {
        held(&self.state).manifest.clone()
    }

    /// Rows of several blocks, sorted, into files of their hours and days.
    fn write(&self, blocks: &[&Block]) -> Result<Vec<Staged>> {
        let order = sorted(blocks);
        let time = |at: &(u32, u32)| blocks[at.0 as usize].col(Col::Time).int(at.1 as usize);
        let mut staged = Vec::new();
        for day in order.chunk_by(|a, b| time(a).div_euclid(DAY_US) == time(b).div_euclid(DAY_US)) {
            let hours: Vec<_> =
                day.chunk_by(|a, b| manifest::hour(time(a)) == manifest::hour(time(b))).collect();
            let whole = day.len() <= FEW && hours.len() > MANY_HOURS;
            let parts = if whole { vec![day] } else { hours };
            for part in parts {
                let Some(first) = part.first() else { continue };
                let mut sink = self.sink(manifest::partition(time(first), whole), 0);
                let mut last = None;
                for (block, row) in part {
                    let (block, row) = (blocks[*block as usize], *row as usize);
                    // Within a file a row stands once: pages are cut by counting rows.
                    let key = Some(block.key(row));
                    if last != key {
                        sink.push(block, row)?;
                    }
                    last = key;
                }
                staged.append(&mut sink.finish()?);
            }
        }
        Ok(staged)
    }

    /// Where sorted rows of one partition go.
    pub(crate) fn sink(&self, partition: String, generation: u32) -> Sink<'_> {
        Sink { inner: self, partition, generation, open: None, done: Vec::new() }
    }

    fn stage(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        self.options.work.join("staging").join(format!("{}.parquet", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// Moves finished files to where the manifest will say that they are.
    pub(crate) fn place(&self, staged: Vec<Staged>) -> Result<Vec<FileEntry>> {
        let mut placed: Vec<FileEntry> = Vec::with_capacity(staged.len());
        for file in staged {
            let entry = file.entry.clone();
            if let Err(fault) = self.store.put_file(&entry.path, &file.at) {
                // Whatever is there is an orphan of no name; it goes now, or at the next opening.
                placed.iter().chain([&entry]).for_each(|e| {
                    self.store.delete(&e.path).ok();
                });
                return Err(fault);
            }
            placed.push(entry);
        }
        Ok(placed)
    }

    /// Makes the next version. Either all of the change is seen, or nothing of it.
    pub(crate) fn commit(&self, change: Change) -> Result<()> {
        if self.read_only {
            return Err(Fault::Manifest("this lake was opened for reading".to_owned()));
        }
        let mut versions = held(&self.committing);
        let old = self.manifest();
        let gone = |f: &Arc<LiveFile>| change.remove.iter().any(|r| Arc::ptr_eq(r, f));
        let mut files: Vec<_> = old.files.iter().filter(|f| !gone(f)).cloned().collect();
        files.extend(change.add.into_iter().map(|e| LiveFile::new(e, &self.graves)));
        let next = Manifest {
            version: old.version + 1,
            through: old.through.max(change.through),
            holds: change.holds.unwrap_or_else(|| old.holds.clone()),
            files,
        };
        next.save(&*self.store)?;
        versions.push(next.version);
        let next = Arc::new(next);
        {
            let mut state = held(&self.state);
            state.manifest = next;
            state.waiting.drain(..change.written);
        }
        change.remove.iter().for_each(|f| f.bury());
        drop((old, change.remove));
        // The change is made; what follows only tidies, and is done again after the next one.
        if Manifest::tidy(&*self.store, &versions).is_ok() {
            let keep = versions.len().saturating_sub(3);
            versions.drain(..keep);
        }
        drop(versions);
        self.sweep().map(|_| ())
    }

    fn sweep(&self) -> Result<usize> {
        let graves = std::mem::take(&mut *held(&self.graves));
        if self.read_only {
            return Ok(0);
        }
        for (n, path) in graves.iter().enumerate() {
            if let Err(fault) = self.store.delete(path) {
                held(&self.graves).extend_from_slice(&graves[n..]);
                return Err(fault);
            }
            self.tails.forget(path);
            held(&self.footers).forget(path);
        }
        Ok(graves.len())
    }

    #[cfg(feature = "sql")]
    pub(crate) fn data(&self, entry: &FileEntry) -> Result<Arc<dyn crate::object::ReadAt>> {
        self.tails.open(&*self.store, &entry.path, entry.bytes, Some(entry.tail))
    }

    /// Opens a live file, with its footer from memory where it is known.
    pub(crate) fn file(&self, entry: &FileEntry) -> Result<OpenFile> {
        let data = self.tails.open(&*self.store, &entry.path, entry.bytes, Some(entry.tail))?;
        if let Some(meta) = held(&self.footers).known.get(&entry.path) {
            return Ok(OpenFile::known(&entry.path, data, meta.clone()));
        }
        let file = OpenFile::open(&entry.path, data)?;
        held(&self.footers).keep(&entry.path, file.meta(), self.options.footers);
        Ok(file)
    }
}

impl Footers {
    fn keep(&mut self, path: &str, meta: &Arc<ParquetMetaData>, most: usize) {
        if self.known.insert(path.to_owned(), meta.clone()).is_none() {
            self.order.push_back(path.to_owned());
            self.bytes += meta.memory_size();
        }
        while self.bytes > most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, path: &str) {
        if let Some(meta) = self.known.remove(path) {
            self.bytes = self.bytes.saturating_sub(meta.memory_size());
        }
    }
}

/// Sorted rows of one partition on their way into one or more files.
pub(crate) struct Sink<'a> {
    inner: &'a Inner,
    partition: String,
    generation: u32,
    open: Option<(PathBuf, FileWriter)>,
    done: Vec<Staged>,
}

impl Sink<'_> {
    pub(crate) fn push(&mut self, block: &Block, row: usize) -> Result<()> {
        let most = self.inner.options.file_bytes;
        if self.open.as_ref().is_some_and(|(_, w)| w.bytes() >= most) {
            self.close()?;
        }
        if self.open.is_none() {
            let at = self.inner.stage();
            self.open = Some((at.clone(), FileWriter::create(&at, self.inner.options.group_rows)?));
        }
        match &mut self.open {
            Some((_, writer)) => writer.push(block, row),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<()> {
        let Some((at, writer)) = self.open.take() else { return Ok(()) };
        let finished = writer.finish().inspect_err(|_| {
            fs::remove_file(&at).ok();
        })?;
        let version = self.inner.manifest().version + 1;
        // The time of the first row and a count keep files apart that hold the same numbers.
        let (a, b, n) = (finished.first_seq, finished.last_seq, self.done.len());
        let name = format!("{a}-{b}-{}.{version}.{n}.parquet", self.generation);
        let path = format!("{}/{name}", self.partition);
        self.done.push(Staged { at, entry: FileEntry::new(path, self.generation, &finished) });
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<Staged>> {
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        // Given up half-way: nothing of it stays.
        if let Some((at, _)) = self.open.take() {
            fs::remove_file(at).ok();
        }
    }
}

/// For the totals of several files.
pub(crate) fn by_partition(files: &[Arc<LiveFile>]) -> BTreeMap<String, Vec<Arc<LiveFile>>> {
    let mut found: BTreeMap<String, Vec<Arc<LiveFile>>> = BTreeMap::new();
    for file in files {
        found.entry(file.entry.partition().to_owned()).or_default().push(file.clone());
    }
    found
}
