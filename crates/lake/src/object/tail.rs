//! The ends of far files, kept on this machine: footer, page indexes and Bloom filters, so that pruning needs no network.

use super::{Objects, ReadAt};
use crate::fault::{Fault, Result};
use bytes::Bytes;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read at first of a file whose end is not here yet.
const GUESS: u64 = 256 << 10;

pub struct TailCache {
    dir: PathBuf,
}

impl TailCache {
    pub fn new(dir: &Path) -> Result<TailCache> {
        fs::create_dir_all(dir).map_err(|e| Fault::io(dir, e))?;
        Ok(TailCache { dir: dir.to_owned() })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path.replace('/', "+"))
    }

    /// Opens an object of which everything from byte `from` on is served from here; a near one is opened as it is.
    /// Where `from` is not known (an older manifest) the last 256 KiB are.
    pub fn open(
        &self,
        store: &dyn Objects,
        path: &str,
        length: u64,
        from: Option<u64>,
    ) -> Result<Arc<dyn ReadAt>> {
        let far = store.open(path, length)?;
        if !far.is_far() {
            return Ok(far);
        }
        let at = self.at(path);
        let from = from.unwrap_or(length.saturating_sub(GUESS)).min(length);
        let want = usize::try_from(length - from).unwrap_or(usize::MAX);
        let tail = match fs::read(&at) {
            Ok(bytes) if bytes.len() == want => Bytes::from(bytes),
            _ => {
                let bytes = far.read(from..length).map_err(|e| match e.kind() {
                    std::io::ErrorKind::NotFound => Fault::NotFound(path.to_owned()),
                    _ => Fault::Store(format!("{path}: {e}")),
                })?;
                // A cache that cannot be written costs time and nothing else.
                let aside = at.with_extension(format!("{}.unfinished", std::process::id()));
                if fs::write(&aside, &bytes).and_then(|()| fs::rename(&aside, &at)).is_err() {
                    fs::remove_file(&aside).ok();
                }
                bytes
            }
        };
        Ok(Arc::new(Tailed { far, from, tail }))
    }

    pub fn forget(&self, path: &str) {
        fs::remove_file(self.at(path)).ok();
    }
}

struct Tailed {
    far: Arc<dyn ReadAt>,
    from: u64,
    tail: Bytes,
}

impl ReadAt for Tailed {
    fn length(&self) -> u64 {
        self.far.length()
    }

    fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        if range.start < self.from {
            return self.far.read(range);
        }
        let cut = |at: u64| usize::try_from(at - self.from).unwrap_or(usize::MAX);
        let (from, to) = (cut(range.start), cut(range.end.max(range.start)));
        if to > self.tail.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.tail.slice(from..to))
    }

    fn is_far(&self) -> bool {
        true
    }
}
