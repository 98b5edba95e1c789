//! Records that no door could hand over, with the reason, in files of bounded size: to be looked at, mended, and offered
//! again.

use portreeve_doors::DeadLetter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file is closed when it has grown to this size.
const FILE_BYTES: u64 = 8 << 20;

/// One letter, as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Letter {
    /// Names it for as long as it is kept.
    pub id: String,
    /// Microseconds since 1970.
    pub at: i64,
    pub door: String,
    pub origin: String,
    pub reason: String,
    /// Base64; longer records are cut.
    pub bytes: String,
}

/// All letters of a service. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    inner: Arc<Mutex<Inner>>,
    replaying: Arc<Mutex<()>>,
}

struct Inner {
    dir: PathBuf,
    most: u64,
    number: u64,
    open: Option<(File, u64)>,
    /// Letters that had to go to make room.
    dropped: u64,
    kept: u64,
}

impl DeadLetters {
    /// In a folder, within so many bytes.
    pub fn open(dir: &Path, most: u64) -> io::Result<DeadLetters> {
        fs::create_dir_all(dir)?;
        let number = files(dir)?.last().map_or(1, |(n, _)| n + 1);
        let inner = Inner { dir: dir.to_owned(), most, number, open: None, dropped: 0, kept: 0 };
        Ok(DeadLetters { inner: Arc::new(Mutex::new(inner)), replaying: Arc::default() })
    }

    /// Keeps a letter. Where that fails it is said in the log; the door has counted it.
    pub fn keep(&self, letter: &DeadLetter, at: i64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = inner.keep(letter, at) {
            tracing::error!(%error, door = letter.door, "a dead letter cannot be kept");
        }
    }

    /// Kept since the start, and dropped to make room.
    pub fn counts(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.kept, inner.dropped)
    }

    /// The newest letters first.
    pub fn list(&self, most: usize) -> io::Result<Vec<Letter>> {
        let dir = self.inner.lock().unwrap_or_else(PoisonError::into_inner).dir.clone();
        let mut found = Vec::new();
        for (_, path) in files(&dir)?.into_iter().rev() {
            let mut of_file = read(&path)?;
            of_file.reverse();
            found.extend(of_file);
            if found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }

    /// Held by whoever offers letters again, from finding them to taking them out: two at once would store them twice.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.replaying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The letters with these ids.
    pub fn find(&self, ids: &[String]) -> io::Result<Vec<Letter>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (_, path) in files(&inner.dir)? {
            found.extend(read(&path)?.into_iter().filter(|l| ids.contains(&l.id)));
        }
        Ok(found)
    }

    /// The letters with these ids, out of the files they are in: they are stored elsewhere now.
    pub fn take(&self, ids: &[String]) -> io::Result<Vec<Letter>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // The file that is being written may be one of those that get another content under their name.
        inner.open = None;
        let mut taken = Vec::new();
        for (_, path) in files(&inner.dir)? {
            let (out, stay): (Vec<Letter>, Vec<Letter>) =
                read(&path)?.into_iter().partition(|l| ids.contains(&l.id));
            if out.is_empty() {
                continue;
            }
            if stay.is_empty() {
                fs::remove_file(&path)?;
                taken.extend(out);
                continue;
            }
            let beside = path.with_extension("new");
            let mut file = File::create(&beside)?;
            for letter in &stay {
                write(&mut file, letter)?;
            }
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            taken.extend(out);
        }
        Ok(taken)
    }
}

impl Inner {
    fn keep(&mut self, letter: &DeadLetter, at: i64) -> io::Result<()> {
        use base64::Engine;
        self.write(Letter {
            id: String::new(),
            at,
            door: letter.door.to_owned(),
            origin: letter.origin.name().to_owned(),
            reason: letter.reason.clone(),
            bytes: base64::engine::general_purpose::STANDARD.encode(&letter.bytes),
        })
    }

    fn write(&mut self, letter: Letter) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(_, size)| *size >= FILE_BYTES.min(self.most / 4).max(1)) {
            let path = self.dir.join(format!("{:08}.ndjson", self.number));
            self.number += 1;
            self.open = Some((OpenOptions::new().create(true).append(true).open(path)?, 0));
            self.make_room()?;
        }
        self.kept += 1;
        let letter = Letter { id: format!("{:08}-{}", self.number - 1, self.kept), ..letter };
        let Some((file, size)) = &mut self.open else { return Ok(()) };
        *size += write(file, &letter)?;
        Ok(())
    }

    fn make_room(&mut self) -> io::Result<()> {
        let all = files(&self.dir)?;
        let sizes: Vec<u64> = all.iter().map(|(_, p)| fs::metadata(p).map_or(0, |m| m.len())).collect();
        let mut total: u64 = sizes.iter().sum();
        for ((_, path), size) in all.iter().zip(sizes) {
            if total <= self.most {
                break;
            }
            self.dropped += read(path)?.len() as u64;
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".ndjson"));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> io::Result<Vec<Letter>> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        // The last line may be cut by a crash.
        found.extend(serde_json::from_slice::<Letter>(&line?).ok());
    }
    Ok(found)
}

fn write(to: &mut File, letter: &Letter) -> io::Result<u64> {
    let mut line = serde_json::to_vec(letter).map_err(io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line)?;
    Ok(line.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portreeve_doors::Origin;

    fn letter(n: usize) -> DeadLetter {
        DeadLetter {
            origin: Origin::new("edge"),
            door: "hec",
            reason: format!("reason {n}"),
            bytes: vec![0xff; 300],
        }
    }

    #[test]
    fn letters_are_kept_in_order_taken_once_and_bounded() {
        let dir = tempfile::tempdir().expect("a folder");
        let dead = DeadLetters::open(dir.path(), 8_000).expect("a folder");
        (0..6).for_each(|n| dead.keep(&letter(n), n as i64));
        let all = dead.list(100).expect("files");
        assert_eq!(all.iter().map(|l| l.reason.as_str()).collect::<Vec<_>>()[..2], ["reason 5", "reason 4"]);
        let taken = dead.take(&[all[1].id.clone()]).expect("files");
        assert_eq!(taken, [all[1].clone()]);
        assert_eq!(dead.list(100).expect("files").len(), 5);
        assert!(dead.take(&[all[1].id.clone()]).expect("files").is_empty());
        dead.keep(&letter(6), 6);
        assert_eq!(dead.list(1).expect("files")[0].reason, "reason 6", "kept after others were taken");
        let gone = dead.find(&[dead.list(1).expect("files")[0].id.clone()]).expect("files");
        assert_eq!(dead.take(&[gone[0].id.clone()]).expect("files"), gone);
        (0..60).for_each(|n| dead.keep(&letter(n), n as i64));
        let (kept, dropped) = dead.counts();
        let left = dead.list(1_000).expect("files").len() as u64;
        assert_eq!(kept, 67);
        assert_eq!(left + dropped + 2, 67);
        let size: u64 = files(dir.path())
            .expect("files")
            .iter()
            .map(|(_, p)| fs::metadata(p).expect("a file").len())
            .sum();
        assert!(size <= 8_000 + 2_500 && dropped > 0, "{size}");
        // After a restart ids go on.
        let again = DeadLetters::open(dir.path(), 8_000).expect("a folder");
        again.keep(&letter(7), 7);
        let all = again.list(1_000).expect("files");
        let ids: std::collections::BTreeSet<_> = all.iter().map(|l| &l.id).collect();
        assert_eq!(ids.len(), all.len());
    }
}
