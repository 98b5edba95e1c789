//! The archive: the same package gives the same bytes.

use crate::custody;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::name::hex;
use crate::work::{MANIFEST, SUMS, write};
use portreeve_model::EventTime;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

pub(crate) const SIGNATURE: &str = "SHA256SUMS.minisig";

/// Level of zstd; part of the archive's identity.
const LEVEL: i32 = 6;

/// Where the archive goes, and for whom.
pub(crate) fn archive(dir: &Path, to: &Path, recipients: &[String]) -> Result<PathBuf> {
    let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let recipients = crate::seal::recipients(recipients)?;
    let ending = if recipients.is_empty() { "tar.zst" } else { "tar.zst.age" };
    let path = to.join(format!("{name}.{ending}"));
    let part = to.join(format!(".{name}.{ending}.part"));
    let file = private(&part).map_err(Error::file(&part))?;
    let buffered = BufWriter::with_capacity(1 << 20, file);
    let wrong = |e: io::Error| match e.get_ref().is_some_and(|inner| inner.is::<Changed>()) {
        true => Error::package(e),
        false => Error::file(&part)(e),
    };
    let written = if recipients.is_empty() {
        bundle(dir, &name, buffered).and_then(|mut b| b.flush().map(|()| b)).map_err(wrong)
    } else {
        let chosen = recipients.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(chosen).map_err(Error::usage)?;
        encryptor
            .wrap_output(buffered)
            .and_then(|out| bundle(dir, &name, out))
            .and_then(|out| out.finish())
            .and_then(|mut b| b.flush().map(|()| b))
            .map_err(wrong)
    };
    let file = written?.into_inner().map_err(|e| Error::file(&path)(e.into_error()))?;
    file.sync_all().map_err(Error::file(&part))?;
    std::fs::rename(&part, &path).map_err(Error::file(&path))?;
    Ok(path)
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file is not what the sums say.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not what it was when it was collected; the archive was not made")]
struct Changed(String);

/// Entries in order: the manifest, by which readers recognise a package, then all others by name. No owner, one mode,
/// and the times of the manifest.
fn bundle<W: Write>(dir: &Path, name: &str, to: W) -> io::Result<W> {
    let manifest: Manifest =
        serde_json::from_slice(&std::fs::read(dir.join(MANIFEST))?).map_err(io::Error::other)?;
    let unix = |time: &str| parse(time).map_or(0, |t| u64::try_from(t.unix()).unwrap_or(0));
    let ended = unix(&manifest.ended);
    let mut entries: BTreeMap<&str, (u64, Option<&str>)> = manifest
        .files
        .iter()
        .map(|f| (f.path.as_str(), (unix(f.mtime.as_deref().unwrap_or(&f.ended)), Some(f.sha256.as_str()))))
        .collect();
    for own in [custody::FILE, SUMS, SIGNATURE] {
        if dir.join(own).is_file() {
            entries.insert(own, (ended, None));
        }
    }
    let mut zstd = zstd::stream::write::Encoder::new(to, LEVEL)?;
    zstd.include_checksum(true)?;
    let mut tar = tar::Builder::new(zstd);
    let all = std::iter::once((MANIFEST, (ended, None))).chain(entries);
    for (path, (mtime, sum)) in all {
        let file = File::open(dir.join(path))?;
        let size = file.metadata()?.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(mtime);
        header.set_entry_type(tar::EntryType::Regular);
        let mut hashed =
            Hashed { from: BufReader::with_capacity(256 << 10, file).take(size), hash: Sha256::new() };
        tar.append_data(&mut header, format!("{name}/{path}"), &mut hashed)?;
        let changed = sum.is_some_and(|s| s != hex(&hashed.hash.finalize()));
        if changed {
            return Err(io::Error::other(Changed(path.to_owned())));
        }
    }
    tar.into_inner()?.finish()
}

struct Hashed<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.hash.update(to.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// RFC 3339 in UTC, as [`EventTime`] prints it.
pub(crate) fn parse(text: &str) -> Option<EventTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let year = i32::try_from(number(0, 4)?).ok()?;
    let fraction = text.get(19..)?.trim_end_matches('Z').trim_start_matches('.');
    let micros = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(EventTime::from_civil(
        year,
        number(5, 7)?,
        number(8, 10)?,
        number(11, 13)?,
        number(14, 16)?,
        number(17, 19)?,
        micros,
    ))
}

/// Beside the archive: its sum, in the form that `sha256sum -c` reads.
pub(crate) fn sum(archive: &Path) -> Result<(PathBuf, String)> {
    let file = File::open(archive).map_err(Error::file(archive))?;
    let (hash, _) = crate::work::digest(&mut BufReader::new(file)).map_err(Error::file(archive))?;
    let name = archive.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let path = beside(archive, "sha256");
    write(&path, format!("{hash}  {name}\n").as_bytes())?;
    Ok((path, hash))
}

/// `archive.ending`.
pub(crate) fn beside(archive: &Path, ending: &str) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        for micros in [0, 1_700_000_000_123_456, 1_700_000_000_120_000, 1_700_000_000_000_000] {
            let time = EventTime(micros);
            assert_eq!(parse(&time.to_string()), Some(time), "{time}");
        }
        for text in ["", "x", "2026-11-27", "2026-11-27T1é:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
