//! Evidence of a case: files known by their SHA-256, and who had them in hand. A file's name is a label and never a
//! path.

use crate::case::{By, FAMILY, work};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::hex;
use crate::word::{CaseId, EvidenceId};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    pub id: EvidenceId,
    pub case: CaseId,
    pub sha256: [u8; 32],
    pub size: i64,
    pub name: String,
    pub media_type: String,
    pub acquired_by: String,
    pub acquired_at: Micros,
    /// The host or system it is from.
    pub acquired_from: String,
    /// With what program and version.
    pub how: String,
    pub added_by: String,
    pub added_at: Micros,
}

pub struct NewEvidence<'a> {
    pub case: CaseId,
    pub sha256: &'a [u8; 32],
    pub size: i64,
    pub name: &'a str,
    pub media_type: &'a str,
    pub acquired_by: &'a str,
    pub acquired_at: Micros,
    pub acquired_from: &'a str,
    pub how: &'a str,
}

/// Who had it in hand, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Custody {
    pub number: i64,
    pub at: Micros,
    pub actor: String,
    pub what: String,
    pub result: String,
}

const COLUMNS: &str =
    "id, case_id, sha256, size, name, media_type, acquired_by, acquired_at, acquired_from, how,
    added_by, added_at";

fn read(r: &mut Row) -> Result<Evidence> {
    Ok(Evidence {
        id: EvidenceId(r.int()?),
        case: CaseId(r.int()?),
        sha256: r.sha256()?,
        size: r.int()?,
        name: r.text()?,
        media_type: r.text()?,
        acquired_by: r.text()?,
        acquired_at: r.int()?,
        acquired_from: r.text()?,
        how: r.text()?,
        added_by: r.text()?,
        added_at: r.int()?,
    })
}

/// Adds it to the case. The file is put into [`Files`] before.
pub fn add(tx: &mut WriteTx<'_>, new: &NewEvidence<'_>, by: By<'_>) -> Result<Evidence> {
    let id = EvidenceId(tx.next("evidence")?);
    tx.execute(
        &format!(
            "insert into evidence ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        ),
        values![
            id,
            new.case,
            new.sha256,
            new.size,
            new.name,
            new.media_type,
            new.acquired_by,
            new.acquired_at,
            new.acquired_from,
            new.how,
            by.actor,
            by.at,
        ],
    )?;
    handled(tx, id, "added", &format!("SHA-256 {}, {} bytes", hex(new.sha256), new.size), by)?;
    work::tell(tx, new.case, &format!("evidence {id}: {}", new.name), by)?;
    get(tx, id)
}

pub fn get(tx: &mut Tx<'_>, id: EvidenceId) -> Result<Evidence> {
    tx.one(&format!("select {COLUMNS} from evidence where id = $1"), values![id], read)?
        .ok_or_else(|| Error::not_found("evidence", id))
}

/// Of a case and of those merged into it.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Evidence>> {
    tx.all(
        &format!("select {COLUMNS} from evidence where case_id in ({FAMILY}) order by id"),
        values![case],
        read,
    )
}

/// Somebody had it in hand: read, copied, verified.
pub fn handled(tx: &mut WriteTx<'_>, id: EvidenceId, what: &str, result: &str, by: By<'_>) -> Result<()> {
    tx.execute(
        "insert into custody (evidence_id, number, at, actor, what, result)
         select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 from custody where evidence_id = $1",
        values![id, by.at, by.actor, what, result],
    )?;
    Ok(())
}

pub fn custody(tx: &mut Tx<'_>, id: EvidenceId) -> Result<Vec<Custody>> {
    tx.all(
        "select number, at, actor, what, result from custody where evidence_id = $1 order by number",
        values![id],
        |r| {
            Ok(Custody {
                number: r.int()?,
                at: r.int()?,
                actor: r.text()?,
                what: r.text()?,
                result: r.text()?,
            })
        },
    )
}

/// Every file that some case refers to.
pub fn referred(tx: &mut Tx<'_>) -> Result<Vec<[u8; 32]>> {
    tx.all("select distinct sha256 from evidence order by sha256", &[], |r| r.sha256())
}

/// The directory of the files. None is ever changed, so it is saved by copying it.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
}

/// What was put there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Put {
    pub sha256: [u8; 32],
    pub size: i64,
}

impl Files {
    pub fn new(directory: &Path) -> Files {
        Files { directory: directory.to_owned() }
    }

    /// Reads to the end and keeps it, on the disk when this returns. More than so many bytes are refused.
    pub fn put(&self, from: &mut dyn Read, largest: u64) -> Result<Put> {
        self.private(&self.directory)?;
        let wrong = Error::file(&self.directory);
        let mut file = match tempfile::NamedTempFile::new_in(&self.directory) {
            Ok(file) => file,
            Err(e) => return Err(wrong(e)),
        };
        let (sha256, size) = copied(from, file.as_file_mut(), largest, &self.directory)?;
        file.as_file().sync_all().map_err(Error::file(file.path()))?;
        let path = self.path(&sha256);
        let parent = path.parent().unwrap_or(&self.directory);
        self.private(parent)?;
        // What is there under this name is the same file.
        file.persist(&path).map_err(|e| Error::File { path: path.clone(), source: e.error })?;
        for directory in [parent, &self.directory] {
            File::open(directory).and_then(|d| d.sync_all()).map_err(Error::file(directory))?;
        }
        Ok(Put { sha256, size: i64::try_from(size).unwrap_or(i64::MAX) })
    }

    /// The file, from its beginning. It was read and is what its name says.
    pub fn open(&self, sha256: &[u8; 32]) -> Result<File> {
        let path = self.path(sha256);
        let mut file = File::open(&path).map_err(Error::file(&path))?;
        let (found, _) = copied(&mut file, &mut std::io::sink(), u64::MAX, &path)?;
        if found != *sha256 {
            return Err(Error::OtherContent { path });
        }
        file.rewind().map_err(Error::file(&path))?;
        Ok(file)
    }

    /// Those that are missing or are not what their name says.
    pub fn verify(&self, all: &[[u8; 32]]) -> Vec<Error> {
        all.iter().filter_map(|sha256| self.open(sha256).err()).collect()
    }

    fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hex(sha256);
        self.directory.join(&name[..2]).join(name)
    }

    fn private(&self, directory: &Path) -> Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory).map_err(Error::file(directory))
    }
}

fn copied(from: &mut dyn Read, to: &mut dyn Write, largest: u64, path: &Path) -> Result<([u8; 32], u64)> {
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((hash.finalize().into(), size)),
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::File { path: path.to_owned(), source: e }),
        };
        size += n as u64;
        if size > largest {
            return Err(Error::invalid("file", format!("is larger than {largest} bytes")));
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(Error::file(path))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_once_and_one_that_was_changed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(&dir.path().join("evidence"));
        let put = files.put(&mut &b"memory"[..], 100).unwrap();
        assert_eq!(files.put(&mut &b"memory"[..], 100).unwrap(), put);
        assert_eq!(put.size, 6);
        let mut read = Vec::new();
        files.open(&put.sha256).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"memory");
        assert!(files.verify(&[put.sha256]).is_empty());
        std::fs::write(files.path(&put.sha256), b"memorY").unwrap();
        let faults = files.verify(&[put.sha256, [7; 32]]);
        assert!(matches!(faults.as_slice(), [Error::OtherContent { .. }, Error::File { .. }]), "{faults:?}");
    }

    #[test]
    fn one_that_is_too_large_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        assert!(files.put(&mut &[0_u8; 101][..], 100).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
