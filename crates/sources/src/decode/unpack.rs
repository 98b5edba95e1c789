//! Archives and compressed streams, recognised by content, unpacked as streams within limits.

use super::reader::{Limits, Outcome};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

/// What the first bytes of a stream say it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Container {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Zip,
    Tar,
    Evtx,
    Utmp(super::utmp::Layout),
    Plain,
}

pub(crate) fn recognise(head: &[u8]) -> Container {
    match head {
        [0x1f, 0x8b, 8, ..] => Container::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Container::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', ..] => Container::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Container::Xz,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Container::Zip,
        h if h.starts_with(b"ElfFile\0") => Container::Evtx,
        h if h.get(257..262) == Some(b"ustar") => Container::Tar,
        h => super::utmp::layout(h).map_or(Container::Plain, Container::Utmp),
    }
}

/// A stream whose first bytes were read and put back.
pub(crate) type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Reads the first bytes and gives the stream back whole.
pub(crate) fn peek<R: Read>(mut from: R, want: usize) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut head = Vec::with_capacity(want);
    (&mut from).take(want as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(from)))
}

/// Reads on behind the first bytes; how many came.
pub(crate) fn more(from: &mut dyn Read, head: &mut Vec<u8>) -> io::Result<usize> {
    let mut block = [0u8; 4_096];
    loop {
        match from.read(&mut block) {
            Ok(n) => {
                head.extend_from_slice(&block[..n]);
                return Ok(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // What came so far is still worth reading; the error comes again with the next read.
            Err(e) if head.is_empty() => return Err(e),
            Err(_) => return Ok(0),
        }
    }
}

/// Fails once more comes out than the limits allow for what went in.
pub(crate) struct Bounded<'l, R> {
    inner: R,
    given: u64,
    most: u64,
    limits: &'l Limits,
}

impl<'l, R> Bounded<'l, R> {
    pub(crate) fn new(inner: R, packed: u64, limits: &'l Limits) -> Self {
        let most = packed.saturating_mul(limits.ratio).max(limits.free_bytes).min(limits.bytes);
        Bounded { inner, given: 0, most, limits }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(to)?;
        self.given += n as u64;
        if self.given > self.most {
            let text = format!(
                "unpacks to more than {} times its size, or {} bytes: not read further",
                self.limits.ratio, self.limits.bytes
            );
            return Err(io::Error::other(text));
        }
        Ok(n)
    }
}

/// What is done with each unpacked stream: entry name, stream.
pub(crate) type Inside<'s> = &'s mut dyn FnMut(&str, &mut dyn Read, &mut Outcome) -> bool;

pub(crate) fn zip(
    from: &mut dyn Read,
    limits: &Limits,
    outcome: &mut Outcome,
    inside: Inside<'_>,
) -> io::Result<()> {
    // The directory of a zip stands at its end: it is spooled to a file without a name.
    let mut spool = tempfile::tempfile()?;
    let mut packed = 0u64;
    let mut block = vec![0u8; 64 * 1_024];
    loop {
        let n = from.read(&mut block)?;
        if n == 0 {
            break;
        }
        packed += n as u64;
        if packed > limits.bytes {
            return Err(io::Error::other("archive larger than the limit"));
        }
        spool.write_all(&block[..n])?;
    }
    spool.seek(SeekFrom::Start(0))?;
    let mut archive = zip::ZipArchive::new(spool).map_err(io::Error::other)?;
    for n in 0..archive.len() {
        if n >= limits.entries {
            outcome.problem(format!("more than {} entries: the rest is not read", limits.entries));
            break;
        }
        let entry = match archive.by_index(n) {
            Ok(entry) => entry,
            Err(error) => {
                outcome.problem(format!("entry {n}: {error}"));
                continue;
            }
        };
        if entry.is_dir() {
            continue;
        }
        // Only a label: nothing is ever written under this name.
        let name = entry.name().map_or_else(|_| format!("entry {n}"), |n| n.to_string());
        let packed = entry.compressed_size();
        if !inside(&name, &mut Bounded::new(entry, packed, limits), outcome) {
            break;
        }
    }
    Ok(())
}

pub(crate) fn tar(
    from: &mut dyn Read,
    limits: &Limits,
    outcome: &mut Outcome,
    inside: Inside<'_>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    for (n, entry) in archive.entries()?.enumerate() {
        if n >= limits.entries {
            outcome.problem(format!("more than {} entries: the rest is not read", limits.entries));
            break;
        }
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !inside(&name, &mut entry, outcome) {
            break;
        }
    }
    Ok(())
}
