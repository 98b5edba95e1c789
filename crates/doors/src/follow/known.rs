//! How far each file is read and stored, and how it is recognised again: after a restart, under another name, as a copy,
//! or packed.
//!
//! Device and inode say which file it is; the first bytes and those before the place that was reached say that its
//! content is still the same. A rotated file is found by its inode, a copy (`copytruncate`) or a packed one by its bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes at the beginning, and before the place that was reached, by which content is recognised.
pub(crate) const SAMPLE: usize = 256;

/// A place in a file's content. Of a packed file, in what it unpacks to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reached {
    /// Behind the last line that was taken.
    pub(crate) offset: u64,
    /// Lines before it.
    pub(crate) line: u32,
    /// In the middle of a line that is too long.
    #[serde(default)]
    pub(crate) skipping: bool,
    /// The sum of the bytes before it.
    pub(crate) tail: u64,
}

/// A file as it was last stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    pub(crate) path: Name,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// The first bytes: how many, and their sum.
    pub(crate) head: Head,
    pub(crate) reached: Reached,
    /// Nothing more is expected: a rotated or packed file that was read to its end, or one that was handed over whole.
    #[serde(default)]
    pub(crate) finished: bool,
    /// Seconds since 1970 when it was last there.
    pub(crate) seen: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Head(pub(crate) u32, pub(crate) u64);

/// A path of any bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Name {
    Text(String),
    Bytes(Vec<u8>),
}

impl Name {
    pub(crate) fn of(path: &Path) -> Name {
        let bytes = path.as_os_str().as_bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => Name::Text(text.to_owned()),
            Err(_) => Name::Bytes(bytes.to_vec()),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Name::Text(text) => PathBuf::from(text),
            Name::Bytes(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes.clone())),
        }
    }
}

/// The file in which a door keeps them.
#[derive(Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Book {
    pub(crate) files: Vec<Known>,
}

/// Files that are gone are remembered so long, for a packed copy that comes late …
const REMEMBER_S: i64 = 30 * 24 * 3_600;
/// … and so many of them.
const REMEMBER: usize = 10_000;

impl Book {
    /// What is worth remembering.
    pub(crate) fn of(all: impl Iterator<Item = Known>, now: i64) -> Book {
        let mut files: Vec<Known> = all.filter(|k| now - k.seen < REMEMBER_S).collect();
        files.sort_by_key(|k| std::cmp::Reverse(k.seen));
        files.truncate(REMEMBER);
        files.sort_by(|a, b| (&a.path, a.inode).cmp(&(&b.path, b.inode)));
        Book { files }
    }
}

pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
}

/// The sum of the bytes before a place; `None` where the file is shorter.
pub(crate) fn tail_of(file: &File, offset: u64) -> io::Result<Option<u64>> {
    let length = usize::try_from(offset).unwrap_or(usize::MAX).min(SAMPLE);
    let mut bytes = [0; SAMPLE];
    let bytes = bytes.get_mut(..length).unwrap_or_default();
    match file.read_exact_at(bytes, offset - length as u64) {
        Ok(()) => Ok(Some(sum(bytes))),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// The first bytes, as many as there are.
pub(crate) fn head_of(file: &File) -> io::Result<Head> {
    let mut bytes = [0; SAMPLE];
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let bytes = bytes.get(..length).unwrap_or_default();
    Ok(Head(u32::try_from(length).unwrap_or(u32::MAX), sum(bytes)))
}

impl Known {
    /// Is this file's content what was read before, as far as it was read?
    pub(crate) fn is_content_of(&self, file: &File) -> io::Result<bool> {
        let Head(length, expected) = self.head;
        let mut bytes = [0; SAMPLE];
        let bytes = bytes.get_mut(..length as usize).unwrap_or_default();
        match file.read_exact_at(bytes, 0) {
            Ok(()) => {
                Ok(sum(bytes) == expected && tail_of(file, self.reached.offset)? == Some(self.reached.tail))
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Is enough of it known to take another file for its copy? Two files may begin with the same header; to read one
    /// of them twice costs less than to leave one out.
    pub(crate) fn is_distinct(&self) -> bool {
        self.head.0 as usize == SAMPLE && self.reached.offset >= SAMPLE as u64
    }

    /// `vpn.log` became `vpn.log.1`, `vpn.log-20260102` or `vpn-20260102.log.gz`: is this such a name?
    pub(crate) fn may_have_become(&self, other: &Path) -> bool {
        let mine = self.path.path();
        let stem = |p: &Path| {
            p.file_name().map(OsStr::as_bytes).map(|n| n.split(|b| *b == b'.').next().unwrap_or(n).to_vec())
        };
        match (stem(&mine), stem(other)) {
            (Some(mine_stem), Some(other_stem)) => {
                mine.parent() == other.parent() && other_stem.starts_with(&mine_stem) && mine_stem != b""
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn known(path: &str) -> Known {
        Known {
            path: Name::of(Path::new(path)),
            device: 1,
            inode: 2,
            head: Head::default(),
            reached: Reached::default(),
            finished: false,
            seen: 0,
        }
    }

    #[test]
    fn names_that_rotation_gives() {
        let log = known("/var/log/vpn.log");
        for name in ["vpn.log.1", "vpn.log.2.gz", "vpn.log-20260102", "vpn-20260102.log.gz", "vpn.1.log"] {
            assert!(log.may_have_become(&Path::new("/var/log").join(name)), "{name}");
        }
        for other in ["/var/log/auth.log.1", "/srv/vpn.log.1", "/var/log/vp.log"] {
            assert!(!log.may_have_become(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn content_is_recognised_where_it_was_read() {
        let mut file = tempfile::tempfile().expect("a file");
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        file.write_all(text.as_bytes()).expect("written");
        let mut known = known("a.log");
        known.head = head_of(&file).expect("read");
        assert_eq!(known.head.0, 256);
        known.reached.offset = 500;
        known.reached.tail = tail_of(&file, 500).expect("read").expect("long enough");
        assert!(known.is_content_of(&file).expect("read") && known.is_distinct());
        // Longer is the same file; other bytes before the place, or a shorter file, are not.
        file.write_all(b"more\n").expect("written");
        assert!(known.is_content_of(&file).expect("read"));
        file.write_all_at(b"X", 499).expect("written");
        assert!(!known.is_content_of(&file).expect("read"));
        file.set_len(400).expect("cut");
        assert!(!known.is_content_of(&file).expect("read"));
        assert_eq!(tail_of(&file, 500).expect("read"), None);
    }

    #[test]
    fn what_was_long_ago_is_forgotten_and_any_name_is_kept() {
        let mut odd = known("x");
        odd.path = Name::of(Path::new(OsStr::from_bytes(b"/logs/\xff.log")));
        odd.seen = REMEMBER_S + 5;
        let book = Book::of([known("old"), odd.clone()].into_iter(), REMEMBER_S + 10);
        let text = serde_json::to_string(&book).expect("JSON");
        let again: Book = serde_json::from_str(&text).expect("the same");
        assert_eq!(again.files, [odd.clone()]);
        assert_eq!(again.files[0].path.path(), odd.path.path());
    }
}
