//! A copy of a lake in a folder while another process writes it: the files of one version are held by second names, so
//! that merging and retention cannot take them away, and copied at leisure.

use crate::fault::{Fault, Result};
use crate::manifest::{Graves, Manifest};
use crate::object::Folder;
use std::fs;
use std::path::{Path, PathBuf};

/// Tries, each with the newest version: one that was replaced at that moment may have lost files.
const TRIES: usize = 100;
const PINNED: &str = "pinned-";

/// One version of a lake, held. Let go when dropped.
pub struct Pinned {
    dir: PathBuf,
    manifest: Manifest,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// Holds the newest version of the lake in this folder. One at a time: what an earlier one left behind is removed.
pub fn pin(root: &Path) -> Result<Pinned> {
    let work = root.join("work");
    fs::create_dir_all(&work).map_err(|e| Fault::io(&work, e))?;
    for entry in fs::read_dir(&work).map_err(|e| Fault::io(&work, e))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PINNED) {
            fs::remove_dir_all(entry.path()).map_err(|e| Fault::io(&entry.path(), e))?;
        }
    }
    let store = Folder::new(root)?;
    let mut missing = None;
    for n in 0..TRIES {
        let dir = work.join(format!("{PINNED}{}-{n}", std::process::id()));
        let (manifest, _) = match Manifest::load(&store, &Graves::default()) {
            // Of an old version, which was deleted between listing and reading.
            Err(fault @ Fault::NotFound(_)) => {
                missing = Some(fault);
                continue;
            }
            other => other?,
        };
        let pinned = Pinned { dir, manifest };
        match pinned.link(root)? {
            None => return Ok(pinned),
            gone => missing = gone,
        }
    }
    Err(missing.unwrap_or(Fault::Thread))
}

impl Pinned {
    /// What is missing, where something is.
    fn link(&self, root: &Path) -> Result<Option<Fault>> {
        for file in &self.manifest.files {
            let (from, to) = (root.join(&file.entry.path), self.dir.join(&file.entry.path));
            let parent = to.parent().unwrap_or(&self.dir);
            fs::create_dir_all(parent).map_err(|e| Fault::io(parent, e))?;
            match fs::hard_link(&from, &to) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Some(Fault::NotFound(file.entry.path.clone())));
                }
                Err(e) => return Err(Fault::io(&to, e)),
            }
        }
        Ok(None)
    }

    /// Records up to this number are in its files.
    pub fn through(&self) -> u64 {
        self.manifest.through
    }

    /// Its files: the name in the lake, and where it is held.
    pub fn files(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        self.manifest.files.iter().map(|f| (f.entry.path.as_str(), self.dir.join(&f.entry.path)))
    }

    /// Writes the manifest into a folder that holds the files: then it is a lake.
    pub fn finish(&self, root: &Path) -> Result<()> {
        if self.manifest.version == 0 {
            return Ok(());
        }
        self.manifest.save(&Folder::new(root)?)
    }
}
