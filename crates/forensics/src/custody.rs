//! `custody.jsonl`: who did what to the package, when, on which host, with what. Each entry carries the hash of the one
//! before it, so that none can be changed, taken out or put between.

use crate::error::{Error, Result};
use crate::name::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

pub(crate) const FILE: &str = "custody.jsonl";

/// What the first entry carries.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub number: u64,
    pub at: String,
    /// Account of the collector's host.
    pub who: String,
    /// Host on which it was done.
    pub on: String,
    /// Program and version.
    pub with: String,
    pub what: String,
    pub detail: serde_json::Value,
    /// SHA-256 of the line before, without its line end.
    pub previous: String,
}

/// A chain that grows.
pub(crate) struct Chain {
    file: File,
    next: u64,
    previous: String,
    who: String,
    on: String,
}

impl Chain {
    /// Opens the chain of a package; a last line that was torn by a sudden end is dropped, and how long it was is said.
    pub(crate) fn open(dir: &Path, who: &str, on: &str) -> Result<(Chain, usize)> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::file(&path)(error)),
        };
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let torn = bytes.len() - whole;
        let text = bytes.get(..whole).unwrap_or_default();
        let (count, previous) = check(text).map_err(|why| Error::package(format!("{FILE}: {why}")))?;
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file(&path))?;
        file.set_len(whole as u64).map_err(Error::file(&path))?;
        let chain = Chain { file, next: count + 1, previous, who: who.to_owned(), on: on.to_owned() };
        Ok((chain, torn))
    }

    pub(crate) fn add(&mut self, what: &str, detail: serde_json::Value) -> Result<()> {
        let entry = Entry {
            number: self.next,
            at: crate::now(),
            who: self.who.clone(),
            on: self.on.clone(),
            with: crate::TOOL.to_owned(),
            what: what.to_owned(),
            detail,
            previous: self.previous.clone(),
        };
        let mut line = serde_json::to_vec(&entry).map_err(Error::package)?;
        self.previous = hex(&Sha256::digest(&line));
        self.next += 1;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(Error::file(Path::new(FILE)))
    }
}

/// How many entries a log has, and the hash of the last; or what is wrong with it.
pub(crate) fn check(log: &[u8]) -> std::result::Result<(u64, String), String> {
    let (mut count, mut previous) = (0, NOTHING.to_owned());
    for line in log.split_inclusive(|b| *b == b'\n') {
        let number = count + 1;
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(format!("entry {number} is torn"));
        };
        let entry: Entry =
            serde_json::from_slice(line).map_err(|e| format!("entry {number} cannot be read: {e}"))?;
        if entry.number != number {
            return Err(format!(
                "entry {number} calls itself {}: one was taken out or put between",
                entry.number
            ));
        }
        if entry.previous != previous {
            return Err(format!("entry {number} does not follow the one before it, which was changed"));
        }
        previous = hex(&Sha256::digest(line));
        count = number;
    }
    Ok((count, previous))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(dir: &Path) -> Vec<u8> {
        let (mut chain, _) = Chain::open(dir, "anna", "desk").expect("opened");
        for n in 0..4 {
            chain.add("step", json!({ "n": n })).expect("added");
        }
        std::fs::read(dir.join(FILE)).expect("read")
    }

    #[test]
    fn a_chain_holds_and_goes_on() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(check(&log(dir.path())).map(|c| c.0), Ok(4));
        assert_eq!(check(&log(dir.path())).map(|c| c.0), Ok(8));
    }

    #[test]
    fn what_is_done_to_a_chain_shows() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = String::from_utf8(log(dir.path())).expect("text");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = [lines[0], lines[2], lines[3]].concat();
        assert!(check(without.as_bytes()).is_err_and(|e| e.contains("entry 2 calls itself 3")));
        let changed = text.replacen("\"n\":1", "\"n\":9", 1);
        assert!(check(changed.as_bytes()).is_err_and(|e| e.contains("entry 3 does not follow")));
        let torn = &text[..text.len() - 5];
        assert!(check(torn.as_bytes()).is_err_and(|e| e.contains("entry 4 is torn")));
    }

    #[test]
    fn a_torn_entry_is_dropped_when_the_chain_goes_on() {
        let dir = tempfile::tempdir().expect("a folder");
        let whole = log(dir.path());
        std::fs::write(dir.path().join(FILE), &whole[..whole.len() - 7]).expect("written");
        let (mut chain, torn) = Chain::open(dir.path(), "anna", "desk").expect("opened");
        assert!(torn > 10);
        chain.add("resumed", json!({ "torn": torn })).expect("added");
        let after = std::fs::read(dir.path().join(FILE)).expect("read");
        assert_eq!(check(&after).map(|c| c.0), Ok(4));
    }
}
