//! Whether a package is what it was when it was sealed: manifest, sums, custody chain, signatures, time stamp.

use crate::custody;
use crate::error::{Error, Result};
use crate::manifest::{FORMAT, Manifest};
use crate::pack::{SIGNATURE, beside};
use crate::work::{MANIFEST, SUMS, digest};
use crate::{name, timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub name: String,
    pub case: Option<String>,
    pub host: String,
    pub files: u64,
    pub bytes: u64,
    pub custody_entries: u64,
    /// What is not as it was. Nothing here: the package is whole.
    pub problems: Vec<String>,
    /// What was checked besides, and what could not be.
    pub notes: Vec<String>,
}

/// With what to check.
#[derive(Default)]
pub struct Keys {
    /// minisign public key.
    pub public: Option<minisign::PublicKey>,
    /// File of age identities, for an archive that is encrypted.
    pub identity: Option<PathBuf>,
}

/// Largest of our own files that is held in memory.
const OWN: u64 = 1 << 30;

/// What a package holds: hashes and sizes of all files, and its own files whole.
#[derive(Default)]
struct Contents {
    files: BTreeMap<String, (String, u64)>,
    own: BTreeMap<&'static str, Vec<u8>>,
    strange: Vec<String>,
}

impl Contents {
    fn add(&mut self, path: &str, from: &mut dyn Read) -> io::Result<()> {
        if name::PackagePath::read(path).is_none() || self.files.contains_key(path) {
            self.strange.push(format!("{path}: no package holds such a name, or twice"));
            return Ok(());
        }
        let own = [MANIFEST, SUMS, SIGNATURE, custody::FILE].into_iter().find(|o| *o == path);
        let (hash, size) = match own {
            Some(own) => {
                let mut bytes = Vec::new();
                from.take(OWN).read_to_end(&mut bytes)?;
                let found = digest(&mut Cursor::new(&bytes))?;
                self.own.insert(own, bytes);
                found
            }
            None => digest(from)?,
        };
        self.files.insert(path.to_owned(), (hash, size));
        Ok(())
    }
}

/// Checks a folder or an archive.
pub fn verify(package: &Path, keys: &Keys) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let contents = if package.is_dir() {
        let mut contents = Contents::default();
        folder(package, package, &mut contents).map_err(Error::file(package))?;
        contents
    } else {
        archive(package, keys, &mut verdict)?
    };
    inside(&contents, keys, &mut verdict);
    if !package.is_dir() {
        around(package, keys, &mut verdict)?;
    }
    Ok(verdict)
}

fn folder(root: &Path, dir: &Path, contents: &mut Contents) -> io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if kind.is_dir() {
            folder(root, &path, contents)?;
        } else if kind.is_file() {
            // The journal is not part of the package.
            if !below.starts_with('.') {
                contents.add(&below, &mut BufReader::new(File::open(&path)?))?;
            }
        } else {
            contents.strange.push(format!("{below}: neither file nor folder"));
        }
    }
    Ok(())
}

fn archive(path: &Path, keys: &Keys, verdict: &mut Verdict) -> Result<Contents> {
    let open = || File::open(path).map(BufReader::new).map_err(Error::file(path));
    let mut head = [0; 21];
    let short = open()?.read_exact(&mut head).is_err();
    let mut contents = Contents::default();
    let read = if !short && head.starts_with(b"age-encryption.org/v1") {
        let Some(identity) = &keys.identity else {
            return Err(Error::usage(format!(
                "{}: encrypted; give the recipient's --identity, or decrypt it with age -d first",
                path.display()
            )));
        };
        let file =
            age::IdentityFile::from_file(identity.display().to_string()).map_err(Error::file(identity))?;
        let wrong = |e: &dyn std::fmt::Display| Error::usage(format!("{}: {e}", identity.display()));
        let identities = file.into_identities().map_err(|e| wrong(&e))?;
        let decryptor = age::Decryptor::new_buffered(open()?)
            .map_err(|e| Error::package(format!("{}: {e}", path.display())))?;
        let inner = decryptor
            .decrypt(identities.iter().map(|i| i.as_ref() as &dyn age::Identity))
            .map_err(|e| wrong(&e))?;
        entries(inner, &mut contents)
    } else {
        entries(open()?, &mut contents)
    };
    if let Err(error) = read {
        verdict.problems.push(format!("the archive cannot be read to its end: {error}"));
    }
    Ok(contents)
}

fn entries(from: impl Read, contents: &mut Contents) -> io::Result<()> {
    let mut zstd = zstd::stream::read::Decoder::new(from)?;
    let mut tar = tar::Archive::new(&mut zstd);
    let mut top: Option<String> = None;
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((first, below)) = path.split_once('/').filter(|_| entry.header().entry_type().is_file())
        else {
            contents.strange.push(format!("{path}: no file of a package"));
            continue;
        };
        if top.get_or_insert_with(|| first.to_owned()) != first {
            contents.strange.push(format!("{path}: in another folder than the rest"));
            continue;
        }
        contents.add(below, &mut entry)?;
    }
    // What follows the last entry belongs to the checksum.
    io::copy(&mut zstd, &mut io::sink())?;
    Ok(())
}

fn inside(contents: &Contents, keys: &Keys, verdict: &mut Verdict) {
    verdict.problems.extend(contents.strange.iter().cloned());
    let own = |name: &'static str| contents.own.get(name).map(Vec::as_slice);
    let sums = sums(own(SUMS).unwrap_or_default(), verdict);
    for (path, sum) in &sums {
        match contents.files.get(path) {
            None => verdict.problems.push(format!("{path}: missing")),
            Some((hash, _)) if hash != sum => {
                verdict.problems.push(format!("{path}: differs: its SHA-256 is {hash}, and was {sum}"));
            }
            Some((_, size)) => {
                verdict.files += 1;
                verdict.bytes += size;
            }
        }
    }
    for path in contents.files.keys().filter(|p| !sums.contains_key(*p) && *p != SUMS && *p != SIGNATURE) {
        verdict.problems.push(format!("{path}: added: {SUMS} does not know it"));
    }
    let manifest = own(MANIFEST).map(serde_json::from_slice::<Manifest>);
    match manifest {
        None => verdict.problems.push(format!("{MANIFEST}: missing")),
        Some(Err(error)) => verdict.problems.push(format!("{MANIFEST}: {error}")),
        Some(Ok(manifest)) if manifest.format != FORMAT => {
            verdict
                .problems
                .push(format!("{MANIFEST}: written as {}, and {FORMAT} is read", manifest.format));
        }
        Some(Ok(manifest)) => {
            for file in &manifest.files {
                match sums.get(&file.path) {
                    Some(sum) if *sum == file.sha256 => {}
                    _ => verdict.problems.push(format!("{}: {MANIFEST} and {SUMS} do not agree", file.path)),
                }
            }
            let listed = manifest.files.len() + 2;
            if listed < sums.len() {
                verdict.problems.push(format!("{SUMS}: has files that {MANIFEST} does not know"));
            }
            verdict.name = manifest.header.name;
            verdict.case = manifest.header.case;
            verdict.host = manifest.header.host.name;
        }
    }
    chain(own(custody::FILE), own(MANIFEST), verdict);
    if let Some(key) = &keys.public {
        match (own(SIGNATURE), own(SUMS)) {
            (Some(signature), Some(sums)) => {
                check_signature(key, SUMS, signature, &mut Cursor::new(sums), verdict);
            }
            _ => verdict.problems.push(format!("{SIGNATURE}: missing: the sums are not signed")),
        }
    } else if own(SIGNATURE).is_some() {
        verdict.notes.push(format!("{SIGNATURE}: not checked (give --public-key)"));
    } else {
        verdict.notes.push("not signed: whoever can write the package can make it anew".to_owned());
    }
}

fn sums(text: &[u8], verdict: &mut Verdict) -> BTreeMap<String, String> {
    if text.is_empty() {
        verdict.problems.push(format!("{SUMS}: missing or empty"));
    }
    let mut sums = BTreeMap::new();
    for (n, line) in String::from_utf8_lossy(text).lines().enumerate() {
        match line.split_once("  ") {
            Some((sum, path)) if sum.len() == 64 => {
                sums.insert(path.to_owned(), sum.to_owned());
            }
            _ => verdict.problems.push(format!("{SUMS}:{}: no sum", n + 1)),
        }
    }
    sums
}

fn chain(log: Option<&[u8]>, manifest: Option<&[u8]>, verdict: &mut Verdict) {
    let Some(log) = log else {
        verdict.problems.push(format!("{}: missing", custody::FILE));
        return;
    };
    match custody::check(log) {
        Ok((count, _)) => verdict.custody_entries = count,
        Err(why) => verdict.problems.push(format!("{}: {why}", custody::FILE)),
    }
    let sealed = log
        .split(|b| *b == b'\n')
        .filter_map(|l| serde_json::from_slice::<custody::Entry>(l).ok())
        .filter(|e| e.what == "sealed")
        .filter_map(|e| e.detail.get("manifest_sha256")?.as_str().map(str::to_owned))
        .next_back();
    let is = manifest.map(|m| name::hex(&Sha256::digest(m)));
    if sealed.is_none() {
        verdict.problems.push(format!("{}: the package was never sealed", custody::FILE));
    } else if sealed != is {
        verdict.problems.push(format!("{MANIFEST}: is not the one that {} saw sealed", custody::FILE));
    }
}

fn check_signature(
    key: &minisign::PublicKey,
    what: &str,
    signature: &[u8],
    data: &mut (impl Read + io::Seek),
    verdict: &mut Verdict,
) {
    let text = String::from_utf8_lossy(signature);
    let outcome = minisign::SignatureBox::from_string(&text).and_then(|signature| {
        minisign::verify(key, &signature, data, true, false, false)?;
        signature.trusted_comment()
    });
    match outcome {
        Ok(comment) => verdict.notes.push(format!("{what}: the signature is good ({comment})")),
        Err(error) => verdict.problems.push(format!("{what}: the signature is bad: {error}")),
    }
}

/// What lies beside an archive.
fn around(archive: &Path, keys: &Keys, verdict: &mut Verdict) -> Result<()> {
    let shown = archive.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if let Ok(text) = std::fs::read_to_string(beside(archive, "sha256")) {
        let file = File::open(archive).map_err(Error::file(archive))?;
        let (hash, _) = digest(&mut BufReader::new(file)).map_err(Error::file(archive))?;
        if text.split_ascii_whitespace().next() == Some(&hash) {
            verdict.notes.push(format!("{shown}.sha256: agrees"));
        } else {
            verdict.problems.push(format!("{shown}: differs from {shown}.sha256"));
        }
    }
    if let (Some(key), Ok(signature)) = (&keys.public, std::fs::read(beside(archive, "minisig"))) {
        let mut data = BufReader::new(File::open(archive).map_err(Error::file(archive))?);
        check_signature(key, &shown, &signature, &mut data, verdict);
    }
    match timestamp::check(archive) {
        Some(Ok(time)) => verdict.notes.push(format!(
            "{shown}.tsr: stamps this archive at {time}; who stamped it, openssl ts -verify says"
        )),
        Some(Err(why)) => verdict.problems.push(format!("{shown}.tsr: {why}")),
        None => {}
    }
    Ok(())
}
