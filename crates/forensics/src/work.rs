//! The folder in which a package grows, with a journal, so that a collection that was killed goes on where it was.

use crate::custody::{self, Chain};
use crate::error::{Error, Result};
use crate::manifest::{ArtifactEntry, FORMAT, FileEntry, Header, Manifest, Source};
use crate::name::{PackagePath, hex};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Beside the package's files, and not part of it.
const JOURNAL: &str = ".journal.jsonl";
const PART: &str = ".part";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SUMS: &str = "SHA256SUMS";

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    Begun { header: Box<Header>, plan: Box<Plan> },
    File(Box<FileEntry>),
    Artifact(Box<ArtifactEntry>),
    Sealed,
}

/// A package that grows.
pub(crate) struct Work {
    pub(crate) dir: PathBuf,
    pub(crate) header: Header,
    pub(crate) plan: Plan,
    pub(crate) chain: Chain,
    pub(crate) files: Vec<FileEntry>,
    pub(crate) artifacts: Vec<ArtifactEntry>,
    pub(crate) sealed: bool,
    names: BTreeSet<String>,
    /// What was read of the host, by its path there, so that nothing is copied twice.
    origins: BTreeSet<(String, Option<String>)>,
    journal: File,
}

impl Work {
    /// Begins a package in a folder that is not there yet.
    pub(crate) fn create(dir: &Path, header: Header, plan: Plan) -> Result<Work> {
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent).map_err(Error::file(parent))?;
        }
        private(dir).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::usage(format!(
                "{} is there already; give another --name, or go on with --resume {0}",
                dir.display()
            )),
            _ => Error::file(dir)(error),
        })?;
        let journal = lock(dir)?;
        let (chain, _) = Chain::open(dir, &who(&header), &header.collector.host)?;
        let mut work = Work {
            dir: dir.to_owned(),
            header: header.clone(),
            plan: plan.clone(),
            chain,
            files: Vec::new(),
            artifacts: Vec::new(),
            sealed: false,
            names: BTreeSet::new(),
            origins: BTreeSet::new(),
            journal,
        };
        work.note(&Line::Begun { header: Box::new(header), plan: Box::new(plan) })?;
        Ok(work)
    }

    /// Goes on with a package. What the journal does not know was not finished, and is taken again.
    pub(crate) fn resume(dir: &Path) -> Result<Work> {
        let path = dir.join(JOURNAL);
        if !path.is_file() {
            return Err(Error::usage(format!(
                "{}: no collection was begun here ({JOURNAL} is missing)",
                dir.display()
            )));
        }
        let journal = lock(dir)?;
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let (mut begun, mut files, mut artifacts, mut sealed) = (None, Vec::new(), Vec::new(), false);
        for (n, line) in bytes.get(..whole).unwrap_or_default().split(|b| *b == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let line: Line = serde_json::from_slice(line)
                .map_err(|e| Error::package(format!("{}:{}: {e}", path.display(), n + 1)))?;
            match line {
                Line::Begun { header, plan } => begun = Some((*header, *plan)),
                Line::File(file) => files.push(*file),
                Line::Artifact(artifact) => artifacts.push(*artifact),
                Line::Sealed => sealed = true,
            }
        }
        let (header, plan) =
            begun.ok_or_else(|| Error::package(format!("{}: the beginning is missing", path.display())))?;
        journal.set_len(whole as u64).map_err(Error::file(&path))?;
        let (mut chain, torn) = Chain::open(dir, &who(&header), &header.collector.host)?;
        let names: BTreeSet<String> = files.iter().map(|f: &FileEntry| f.path.clone()).collect();
        if !sealed {
            let dropped = sweep(dir, &names)?;
            let detail = serde_json::json!({ "torn_bytes": torn, "unfinished_files": dropped });
            chain.add("resumed", detail)?;
        }
        let origins = files.iter().filter_map(|f| origin(&f.source)).collect();
        let dir = dir.to_owned();
        Ok(Work { dir, header, plan, chain, files, artifacts, sealed, names, origins, journal })
    }

    pub(crate) fn is_done(&self, artifact: &str) -> bool {
        self.artifacts.iter().any(|a| a.id == artifact)
    }

    pub(crate) fn has(&self, source: &Source) -> bool {
        origin(source).is_some_and(|o| self.origins.contains(&o))
    }

    /// Bytes that the package holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }

    /// A file that is being written.
    pub(crate) fn begin(&self, path: &PackagePath) -> Result<Writing> {
        let name = self.free(path.as_str());
        let part = self.dir.join(PART);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&part).map_err(Error::file(&part))?;
        Ok(Writing { name, file: BufWriter::with_capacity(128 << 10, file), hash: Sha256::new(), size: 0 })
    }

    /// Two names that are one here get a number, and so does a file that stands where another wants a folder: on one
    /// host neither happens, in a hostile archive both do.
    fn free(&self, path: &str) -> String {
        let parts: Vec<&str> = path.split('/').collect();
        let mut name = String::new();
        for (n, part) in parts.iter().enumerate() {
            let before = name.len();
            for number in 1.. {
                name.truncate(before);
                if before > 0 {
                    name.push('/');
                }
                name.push_str(part);
                if number > 1 {
                    name.push_str(&format!("~{number}"));
                }
                let below = format!("{name}/");
                let folder =
                    || self.names.range(below.clone()..).next().is_some_and(|f| f.starts_with(&below));
                if !self.names.contains(&name) && (n + 1 < parts.len() || !folder()) {
                    break;
                }
            }
        }
        name
    }

    /// Puts a written file in its place and into the journal. Size, hash and path are filled in here.
    pub(crate) fn finish(&mut self, writing: Writing, mut entry: FileEntry) -> Result<()> {
        let part = self.dir.join(PART);
        let mut file = writing.file;
        file.flush().map_err(Error::file(&part))?;
        drop(file);
        let to = self.dir.join(&writing.name);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        std::fs::rename(&part, &to).map_err(Error::file(&to))?;
        entry.path = writing.name;
        entry.size = writing.size;
        entry.sha256 = hex(&writing.hash.finalize());
        self.names.insert(entry.path.clone());
        self.origins.extend(origin(&entry.source));
        self.note(&Line::File(Box::new(entry.clone())))?;
        self.files.push(entry);
        Ok(())
    }

    pub(crate) fn finish_artifact(&mut self, entry: ArtifactEntry) -> Result<()> {
        self.note(&Line::Artifact(Box::new(entry.clone())))?;
        self.journal.sync_data().map_err(Error::file(&self.dir))?;
        self.artifacts.push(entry);
        Ok(())
    }

    fn note(&mut self, line: &Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(Error::package)?;
        bytes.push(b'\n');
        self.journal.write_all(&bytes).map_err(Error::file(&self.dir.join(JOURNAL)))
    }

    /// Writes manifest, custody and sums. From here on nothing is added.
    pub(crate) fn seal(&mut self) -> Result<()> {
        if self.sealed {
            return Ok(());
        }
        let mut files = self.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            header: self.header.clone(),
            ended: crate::now(),
            artifacts: self.artifacts.clone(),
            files,
        };
        let mut text = serde_json::to_vec_pretty(&manifest).map_err(Error::package)?;
        text.push(b'\n');
        write(&self.dir.join(MANIFEST), &text)?;
        let detail = serde_json::json!({
            "manifest_sha256": hex(&Sha256::digest(&text)),
            "files": self.files.len(),
            "bytes": self.bytes(),
        });
        self.chain.add("sealed", detail)?;
        let mut sums: BTreeMap<&str, String> =
            self.files.iter().map(|f| (f.path.as_str(), f.sha256.clone())).collect();
        for own in [MANIFEST, custody::FILE] {
            let path = self.dir.join(own);
            sums.insert(own, hex(&Sha256::digest(std::fs::read(&path).map_err(Error::file(&path))?)));
        }
        let text: String = sums.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect();
        write(&self.dir.join(SUMS), text.as_bytes())?;
        self.note(&Line::Sealed)?;
        self.journal.sync_data().map_err(Error::file(&self.dir))?;
        self.sealed = true;
        Ok(())
    }
}

/// A file that is being written into the package.
pub(crate) struct Writing {
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    pub(crate) size: u64,
}

impl Writing {
    /// SHA-256 of what was written so far.
    pub(crate) fn hash(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn origin(source: &Source) -> Option<(String, Option<String>)> {
    source.origin.clone().map(|o| (o, source.origin_bytes.clone()))
}

pub(crate) fn who(header: &Header) -> String {
    match &header.collector.user {
        Some(user) => format!("{user} (uid {})", header.collector.uid),
        None => format!("uid {}", header.collector.uid),
    }
}

/// A folder that nobody else reads: it holds what only root may.
pub(crate) fn private(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(Error::file(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file(path))
}

/// Opens the journal for one process alone.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(JOURNAL);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file(&path))?;
    file.try_lock()
        .map_err(|_| Error::usage(format!("{}: another process is collecting into it", dir.display())))?;
    Ok(file)
}

/// Removes what is not in the journal; how much that was.
fn sweep(dir: &Path, known: &BTreeSet<String>) -> Result<u64> {
    fn walk(root: &Path, dir: &Path, known: &BTreeSet<String>, dropped: &mut u64) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                walk(root, &path, known, dropped)?;
                continue;
            }
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if !known.contains(&below) && below != JOURNAL && below != custody::FILE {
                std::fs::remove_file(&path)?;
                *dropped += 1;
            }
        }
        Ok(())
    }
    let mut dropped = 0;
    walk(dir, dir, known, &mut dropped).map_err(Error::file(dir))?;
    Ok(dropped)
}

/// SHA-256 of what a reader gives, and how much that was.
pub(crate) fn digest(from: &mut dyn Read) -> io::Result<(String, u64)> {
    struct Hash(Sha256, u64);
    impl Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            self.1 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new(), 0);
    io::copy(from, &mut hash)?;
    Ok((hex(&hash.0.finalize()), hash.1))
}
