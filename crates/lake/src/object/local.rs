//! Objects in a folder.

use super::{Objects, ReadAt};
use crate::fault::{Fault, Result};
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Folder {
    root: PathBuf,
    unique: AtomicU64,
}

/// Unfinished objects end so; whoever lists does not see them.
const UNFINISHED: &str = ".unfinished";

impl Folder {
    pub fn new(root: &Path) -> Result<Folder> {
        fs::create_dir_all(root).map_err(|e| Fault::io(root, e))?;
        Ok(Folder { root: root.to_owned(), unique: AtomicU64::new(0) })
    }

    /// The place of an object, its folder made and on the disk.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let to = self.root.join(path);
        let dir = to.parent().unwrap_or(&self.root);
        if !dir.is_dir() {
            fs::create_dir_all(dir).map_err(|e| Fault::io(dir, e))?;
            // A new folder is an entry of its parent, which must reach the disk too.
            dir.ancestors().skip(1).take_while(|a| a.starts_with(&self.root)).try_for_each(sync_dir)?;
        }
        Ok(to)
    }

    fn walk(&self, dir: &Path, found: &mut Vec<(String, u64)>) -> Result<()> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Fault::io(dir, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Fault::io(dir, e))?;
            let path = entry.path();
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                self.walk(&path, found)?;
            } else if let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) {
                found.push((name.to_owned(), meta.len()));
            }
        }
        Ok(())
    }
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Fault::io(dir, e))
}

impl Objects for Folder {
    fn put_file(&self, path: &str, from: &Path) -> Result<()> {
        let to = self.place(path)?;
        fs::rename(from, &to).map_err(|e| Fault::io(&to, e))?;
        sync_dir(to.parent().unwrap_or(&self.root))
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        let to = self.place(path)?;
        let number = self.unique.fetch_add(1, Ordering::Relaxed);
        let aside = self.root.join(format!("{path}.{}-{number}{UNFINISHED}", std::process::id()));
        let write = || {
            let mut file = File::create(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            // Unlike renaming, linking does not replace what is there.
            fs::hard_link(&aside, &to)
        };
        let linked = write();
        fs::remove_file(&aside).ok();
        match linked {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(e) => return Err(Fault::io(&to, e)),
        }
        sync_dir(to.parent().unwrap_or(&self.root))?;
        Ok(true)
    }

    fn get(&self, path: &str) -> Result<Bytes> {
        let at = self.root.join(path);
        match fs::read(&at) {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Fault::NotFound(path.to_owned())),
            Err(e) => Err(Fault::io(&at, e)),
        }
    }

    fn list(&self, under: &str) -> Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        self.walk(&self.root.join(under), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<()> {
        let at = self.root.join(path);
        match fs::remove_file(&at) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Fault::io(&at, e)),
            _ => {}
        }
        // Empty folders go with their last file; one that still has others refuses.
        let mut dir = at.parent();
        while let Some(d) = dir.filter(|d| *d != self.root && d.starts_with(&self.root)) {
            if fs::remove_dir(d).is_err() {
                break;
            }
            dir = d.parent();
        }
        Ok(())
    }

    fn open(&self, path: &str, _: u64) -> Result<Arc<dyn ReadAt>> {
        let at = self.root.join(path);
        match File::open(&at).and_then(|f| f.metadata().map(|m| (f, m.len()))) {
            Ok((file, length)) => Ok(Arc::new(OpenFile { file, length })),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Fault::NotFound(path.to_owned())),
            Err(e) => Err(Fault::io(&at, e)),
        }
    }
}

struct OpenFile {
    file: File,
    length: u64,
}

impl ReadAt for OpenFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if range.end > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_created_once_and_its_folder_goes_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = Folder::new(dir.path()).expect("a folder");
        assert!(folder.create("a/b/1.json", b"one").expect("created"));
        assert!(!folder.create("a/b/1.json", b"two").expect("refused"));
        assert_eq!(&folder.get("a/b/1.json").expect("there")[..], b"one");
        assert_eq!(folder.list("a").expect("a list"), [("a/b/1.json".to_owned(), 3)]);
        let open = folder.open("a/b/1.json", 3).expect("open");
        folder.delete("a/b/1.json").expect("deleted");
        folder.delete("a/b/1.json").expect("twice is once");
        assert_eq!(&open.read(1..3).expect("still readable")[..], b"ne");
        assert!(open.read(1..4).is_err());
        assert!(!dir.path().join("a").exists() && dir.path().exists());
        assert!(matches!(folder.get("a/b/1.json"), Err(Fault::NotFound(_))));
    }
}
