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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Far(Mutex<Vec<Range<u64>>>);

    impl Objects for Arc<Far> {
        fn put_file(&self, _: &str, _: &Path) -> Result<()> {
            Ok(())
        }

        fn create(&self, _: &str, _: &[u8]) -> Result<bool> {
            Ok(true)
        }

        fn get(&self, path: &str) -> Result<Bytes> {
            Err(Fault::NotFound(path.to_owned()))
        }

        fn list(&self, _: &str) -> Result<Vec<(String, u64)>> {
            Ok(Vec::new())
        }

        fn delete(&self, _: &str) -> Result<()> {
            Ok(())
        }

        fn open(&self, _: &str, _: u64) -> Result<Arc<dyn ReadAt>> {
            Ok(Arc::new(self.clone()))
        }
    }

    impl ReadAt for Arc<Far> {
        fn length(&self) -> u64 {
            100
        }

        fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
            self.0.lock().expect("no panic").push(range.clone());
            Ok((range.start..range.end).map(|n| n as u8).collect())
        }

        fn is_far(&self) -> bool {
            true
        }
    }

    #[test]
    fn the_end_of_a_far_file_is_fetched_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let far = Arc::new(Far(Mutex::default()));
        for _ in 0..2 {
            let cache = TailCache::new(dir.path()).expect("a cache");
            let open = cache.open(&far, "events/a/b.parquet", 100, Some(60)).expect("open");
            assert_eq!(&open.read(60..62).expect("read")[..], [60, 61]);
            assert_eq!(&open.read(98..100).expect("read")[..], [98, 99]);
            assert!(open.read(98..101).is_err());
        }
        assert_eq!(*far.0.lock().expect("no panic"), [Range { start: 60, end: 100 }]);
        let cache = TailCache::new(dir.path()).expect("a cache");
        let open = cache.open(&far, "events/a/b.parquet", 100, Some(60)).expect("open");
        assert_eq!(&open.read(59..61).expect("read")[..], [59, 60]);
        cache.forget("events/a/b.parquet");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }
}
