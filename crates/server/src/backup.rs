//! A data folder copied while the service runs, and put back: everything of one moment, with its sums.
//!
//! What has to fit together is held first by second names, in milliseconds: the files of one version of the lake, the runs
//! of the history, then the segments of the journal. The journal reaches back to what the other two lack, or it is tried
//! again; it may reach further than they do, as after a crash, and is read from there when the service starts.

use crate::config::Config;
use crate::service::{StartError, lake_root, location};
use portreeve_model::SymbolTable;
use portreeve_pipeline::history::History;
use portreeve_store::Location;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] portreeve_store::Error),
    #[error(transparent)]
    Lake(#[from] portreeve_lake::Fault),
    #[error(transparent)]
    History(#[from] portreeve_pipeline::history::HistoryError),
    #[error("{}: is not empty; name a folder that is not there, or has nothing in it", .0.display())]
    NotEmpty(PathBuf),
    #[error("{}: there is no {LIST}; this is no backup of ours, or one that was not finished", .0.display())]
    NoBackup(PathBuf),
    #[error("{}: {why}; take another backup", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{}: another backup of it is being made", .0.display())]
    Busy(PathBuf),
    #[error("the journal let go of records while they were copied, again and again; try when less comes in")]
    Moving,
}

type Result<T> = std::result::Result<T, BackupError>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Io { path, error }
}

/// Written last: a backup without it was not finished.
const LIST: &str = "backup.json";
const FORMAT: u32 = 1;
const STORE: &str = "store";
/// In a data folder, while it is restored into.
pub(crate) const RESTORING: &str = "restoring";
const HELD: &str = "backup-work";
/// How often it is tried to hold what fits together.
const TRIES: usize = 50;
const BETWEEN: std::time::Duration = std::time::Duration::from_millis(50);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    bytes: u64,
    sha256: String,
}

/// What a backup says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct List {
    portreeve_backup: u32,
    program: String,
    /// Microseconds since 1970.
    made_at: i64,
    /// Records up to this number are in its lake.
    lake_through: u64,
    /// By their paths below the backup.
    files: BTreeMap<String, Kept>,
}

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    pub files: usize,
    pub bytes: u64,
}

impl From<&List> for Copied {
    fn from(list: &List) -> Copied {
        Copied { files: list.files.len(), bytes: list.files.values().map(|k| k.bytes).sum() }
    }
}

/// Copies the data folder of a service into a new folder, whether it runs or not.
pub fn backup(config: &Config, data: &Path, to: &Path) -> Result<Copied> {
    empty(to)?;
    let lock = data.join("backup.lock");
    let alone = File::create(&lock).map_err(at(&lock))?;
    match alone.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(BackupError::Busy(data.to_owned())),
        Err(fs::TryLockError::Error(error)) => return Err(at(&lock)(error)),
    }
    let mut copy = Copy { to, files: BTreeMap::new() };
    let location = location(config, data)?;
    // Cases first: an engine that knows more than they do tells them again. Files of evidence are named in the store.
    let store = to.join(STORE);
    portreeve_store::copy_of(&location, &store, crate::line::now().0)?;
    copy.list(STORE)?;
    let root = lake_root(config, data);
    for name in names(data)? {
        let own = match &location {
            Location::Sqlite(path) => *path == data.join(&name),
            Location::Postgres(_) => false,
        };
        let is_lake = root.as_ref().is_some_and(|r| *r == data.join(&name));
        if own || is_lake || is_passing(&name) || ["journal", "history"].contains(&name.as_str()) {
            continue;
        }
        copy.tree(&data.join(&name), &name)?;
    }
    let held = Held::take(config, data, root.as_deref())?;
    copy.tree(&held.dir.join("history"), "history")?;
    if let Some(lake) = &held.lake {
        for (name, path) in lake.files() {
            copy.file(&path, &format!("lake/{name}"))?;
        }
        lake.finish(&to.join("lake"))?;
        for name in names_if_any(&to.join("lake/manifest"))? {
            copy.list(&format!("lake/manifest/{name}"))?;
        }
    }
    copy.tree(&held.dir.join("journal"), "journal")?;
    let list = List {
        portreeve_backup: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: crate::line::now().0,
        lake_through: held.through,
        files: copy.files,
    };
    let text = serde_json::to_vec_pretty(&list).map_err(|e| at(to)(e.into()))?;
    write(&to.join(LIST), &mut text.as_slice())?;
    sync(to)?;
    Ok(Copied::from(&list))
}

/// Puts a backup into a data folder that is not there yet, or empty. All sums are checked before anything is written.
pub fn restore(config: &Config, from: &Path, data: &Path) -> Result<Copied> {
    let path = from.join(LIST);
    let text = fs::read(&path).map_err(|_| BackupError::NoBackup(from.to_owned()))?;
    let damaged = |why: String| BackupError::Damaged { path: path.clone(), why };
    let list: List = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    if list.portreeve_backup != FORMAT {
        return Err(damaged(format!(
            "it is of form {}; this program reads form {FORMAT}",
            list.portreeve_backup
        )));
    }
    for (name, kept) in &list.files {
        let path = from.join(name);
        if Path::new(name).components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(damaged(format!("`{name}` is no path below it")));
        }
        let mut file = File::open(&path).map_err(at(&path))?;
        let found = copied(&mut file, &mut io::sink()).map_err(at(&path))?;
        if found.sha256 != kept.sha256 {
            return Err(BackupError::Damaged { path, why: "it is not what was written".to_owned() });
        }
    }
    empty(data)?;
    let room = data.join(RESTORING);
    directory(&room)?;
    let lake = lake_root(config, data);
    for name in list.files.keys().filter(|n| *n != STORE) {
        // A lake that lies elsewhere goes there.
        let to = match (name.strip_prefix("lake/"), &lake) {
            (Some(inner), Some(root)) if *root != data.join("lake") => root.join(inner),
            _ => room.join(name),
        };
        let path = from.join(name);
        write(&to, &mut File::open(&path).map_err(at(&path))?)?;
    }
    let now = crate::line::now().0;
    let inside = match location(config, data)? {
        Location::Sqlite(path) if path.starts_with(data) => {
            let inside = room.join(path.strip_prefix(data).unwrap_or(&path));
            Location::sqlite(inside)
        }
        elsewhere => elsewhere,
    };
    portreeve_store::restore(&from.join(STORE), &inside, now)?;
    for name in names(&room)? {
        fs::rename(room.join(&name), data.join(&name)).map_err(at(&data.join(&name)))?;
    }
    fs::remove_dir(&room).map_err(at(&room))?;
    sync(data)?;
    Ok(Copied::from(&list))
}

/// What fits together, held until it is copied.
struct Held {
    dir: PathBuf,
    lake: Option<portreeve_lake::Pinned>,
    through: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}

impl Held {
    fn take(config: &Config, data: &Path, root: Option<&Path>) -> Result<Held> {
        let dir = data.join(HELD);
        for _ in 0..TRIES {
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(at(&dir))?;
            }
            let mut held = Held { dir: dir.clone(), lake: None, through: 0 };
            match root {
                Some(root) => {
                    let lake = portreeve_lake::pin(root)?;
                    held.through = lake.through();
                    held.lake = Some(lake);
                }
                None => held.through = crate::service::lake_for_reading(config, data)?.through(),
            }
            if !link(&data.join("history"), &dir.join("history"))?
                || !link(&data.join("journal"), &dir.join("journal"))?
            {
                continue;
            }
            let history = History::open(&dir.join("history"), SymbolTable::new())?.upto();
            // As the service begins to read its journal.
            let needed = history.max(1).min(held.through + 1);
            let first = first_segment(&dir.join("journal"))?;
            let reaches = match first {
                Some(first) => first <= needed,
                // All is in files, if nothing came to them meanwhile.
                None => history.max(1) > held.through && first_segment(&data.join("journal"))?.is_none(),
            };
            if reaches {
                return Ok(held);
            }
            std::thread::sleep(BETWEEN);
        }
        Err(BackupError::Moving)
    }
}

fn first_segment(journal: &Path) -> Result<Option<u64>> {
    let number = |name: &String| name.strip_suffix(".log")?.parse().ok();
    Ok(names_if_any(journal)?.iter().filter_map(number).min())
}

/// Second names for all files of a folder; false where one of them went away in between.
fn link(from: &Path, to: &Path) -> Result<bool> {
    directory(to)?;
    for name in names_if_any(from)? {
        if is_passing(&name) {
            continue;
        }
        match fs::hard_link(from.join(&name), to.join(&name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(at(&to.join(&name))(error)),
        }
    }
    Ok(true)
}

/// Locks, unfinished files, what databases keep beside themselves, and what a backup itself makes.
fn is_passing(name: &str) -> bool {
    ["lock", "backup.lock", HELD, RESTORING, "lake-work", "query-work", "work"].contains(&name)
        || [".new", "-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end))
        || name.contains(".schema-")
        || name.starts_with('.')
}

struct Copy<'a> {
    to: &'a Path,
    files: BTreeMap<String, Kept>,
}

impl Copy<'_> {
    /// A file, or a folder with all that is in it. What goes away meanwhile was not needed.
    fn tree(&mut self, from: &Path, name: &str) -> Result<()> {
        match fs::symlink_metadata(from) {
            Ok(meta) if meta.is_dir() => {
                directory(&self.to.join(name))?;
                for inner in names_if_any(from)? {
                    if !is_passing(&inner) {
                        self.tree(&from.join(&inner), &format!("{name}/{inner}"))?;
                    }
                }
                Ok(())
            }
            Ok(meta) if meta.is_file() => match self.file(from, name) {
                Err(BackupError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
            // A link would lead out of the folder.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(at(from)(error)),
        }
    }

    fn file(&mut self, from: &Path, name: &str) -> Result<()> {
        let mut file = File::open(from).map_err(at(from))?;
        let mut head = [0; 16];
        let n = file.read(&mut head).map_err(at(from))?;
        // A ledger that is being written: not as bytes.
        if head.get(..n) == Some(b"SQLite format 3\0") {
            let to = self.to.join(name);
            if let Some(parent) = to.parent() {
                directory(parent)?;
            }
            portreeve_store::copy_of_file(from, &to)?;
            return self.list(name);
        }
        let kept = write(&self.to.join(name), &mut head.get(..n).unwrap_or_default().chain(file))?;
        self.files.insert(name.to_owned(), kept);
        Ok(())
    }

    /// A file that is in the backup already.
    fn list(&mut self, name: &str) -> Result<()> {
        let path = self.to.join(name);
        let mut file = File::open(&path).map_err(at(&path))?;
        let kept = copied(&mut file, &mut io::sink()).map_err(at(&path))?;
        self.files.insert(name.to_owned(), kept);
        Ok(())
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        // We write no name that is not text.
        names.extend(entry.map_err(at(dir))?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn names_if_any(dir: &Path) -> Result<Vec<String>> {
    if dir.is_dir() { names(dir) } else { Ok(Vec::new()) }
}

/// Nobody else may read it: there are keys in it.
fn directory(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn empty(dir: &Path) -> Result<()> {
    directory(dir)?;
    if names(dir)?.is_empty() {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at(dir))
    } else {
        Err(BackupError::NotEmpty(dir.to_owned()))
    }
}

fn write(path: &Path, from: &mut dyn Read) -> Result<Kept> {
    if let Some(parent) = path.parent() {
        directory(parent)?;
    }
    let open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = open.map_err(at(path))?;
    let kept = copied(from, &mut file).map_err(at(path))?;
    file.sync_all().map_err(at(path))?;
    Ok(kept)
}

fn copied(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Kept> {
    let (mut sum, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let n = from.read(&mut buffer)?;
        let Some(some) = buffer.get(..n).filter(|s| !s.is_empty()) else { break };
        sum.update(some);
        to.write_all(some)?;
        bytes += n as u64;
    }
    Ok(Kept { bytes, sha256: portreeve_store::hex(&sum.finalize()) })
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(at(dir))
}
