//! Windows collections of other tools: KAPE, Velociraptor, or a folder of event logs. Recognised by their structure, read
//! as hostile: no path leads out, no link is followed, no archive unpacks without bounds.

use crate::error::{Error, Result};
use crate::import::copylog::CopyLog;
use crate::manifest::{ArtifactEntry, FileEntry, Source, State};
use crate::name::{PackagePath, hex};
use crate::work::{Work, Writing};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

mod copylog;

/// Unpacked bytes a packed one may give, beyond the first megabytes.
const RATIO: u64 = 250;
const FREE: u64 = 64 << 20;
const ENTRIES: usize = 200_000;
const LISTED: usize = 500;
/// Lists of other tools that are read whole.
const LIST: u64 = 64 << 20;

/// Whose collection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kape,
    Velociraptor,
    EventLogs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Kape => "kape",
            Kind::Velociraptor => "velociraptor",
            Kind::EventLogs => "event-logs",
        }
    }
}

/// A collection as it lies there.
pub(crate) struct Found {
    from: From,
    /// Names in the collection, with `/`; sorted.
    names: Vec<(String, usize)>,
    pub(crate) kind: Kind,
    pub(crate) host: String,
    problems: Vec<String>,
}

enum From {
    Folder(PathBuf),
    Zip(Box<zip::ZipArchive<BufReader<File>>>),
}

/// What a name is refused for; where it may stay, its components.
fn components(name: &str) -> std::result::Result<Vec<&str>, &'static str> {
    if name.contains('\0') {
        return Err("a NUL in a name");
    }
    if name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':') {
        return Err("an absolute path");
    }
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") { Err("a path that leads out") } else { Ok(parts) }
}

impl Found {
    /// Lists a folder or a zip, and says what it is.
    pub(crate) fn open(path: &Path) -> Result<Found> {
        let mut problems = Vec::new();
        let (mut from, mut names) = if path.is_dir() {
            let mut names = Vec::new();
            list(path, path, &mut names, &mut problems).map_err(Error::file(path))?;
            (From::Folder(path.to_owned()), names.into_iter().map(|n| (n, 0)).collect::<Vec<_>>())
        } else {
            let file = File::open(path).map_err(Error::file(path))?;
            let mut zip = zip::ZipArchive::new(BufReader::new(file))
                .map_err(|e| Error::usage(format!("{}: neither a folder nor a zip ({e})", path.display())))?;
            let mut names = Vec::new();
            for n in 0..zip.len().min(ENTRIES) {
                let entry = match zip.by_index_raw(n) {
                    Ok(entry) => entry,
                    Err(error) => {
                        refuse(&mut problems, &format!("entry {n}"), &error.to_string());
                        continue;
                    }
                };
                let name = match entry.name() {
                    Ok(name) => name.to_string(),
                    Err(_) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
                };
                if entry.is_dir() {
                    continue;
                }
                if entry.is_symlink() {
                    refuse(&mut problems, &name, "a link");
                    continue;
                }
                names.push((name, n));
            }
            if zip.len() > ENTRIES {
                refuse(&mut problems, &path.display().to_string(), "more entries than are read");
            }
            (From::Zip(Box::new(zip)), names)
        };
        names.retain(|(name, _)| match components(name) {
            Ok(_) => true,
            Err(why) => {
                refuse(&mut problems, name, why);
                false
            }
        });
        names.sort();
        let kind = recognise(&names).map_err(|why| Error::usage(format!("{}: {why}", path.display())))?;
        let host = host(&mut from, &names);
        Ok(Found { from, names, kind, host, problems })
    }
}

fn refuse(problems: &mut Vec<String>, name: &str, why: &str) {
    if problems.len() < LISTED {
        problems.push(format!("{name}: refused: {why}"));
    }
}

fn list(root: &Path, dir: &Path, names: &mut Vec<String>, problems: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let below = path.strip_prefix(root).unwrap_or(&path);
        let Some(name) = below.to_str() else {
            refuse(problems, &below.to_string_lossy(), "a name that is not UTF-8");
            continue;
        };
        if names.len() >= ENTRIES {
            refuse(problems, name, "more entries than are read");
            return Ok(());
        }
        if kind.is_dir() {
            list(root, &path, names, problems)?;
        } else if kind.is_file() {
            names.push(name.to_owned());
        } else {
            refuse(problems, name, "a link or no file");
        }
    }
    Ok(())
}

fn recognise(names: &[(String, usize)]) -> std::result::Result<Kind, &'static str> {
    let any = |test: &dyn Fn(&str) -> bool| {
        names.iter().any(|(n, _)| test(&n.replace('\\', "/").to_ascii_lowercase()))
    };
    if any(&|n| n.starts_with("uploads/") || n == "uploads.json")
        && any(&|n| n.starts_with("results/") || n.ends_with(".json"))
    {
        return Ok(Kind::Velociraptor);
    }
    if any(&|n| n == "data.zip") && any(&|n| n == "metadata.json") {
        return Err("an encrypted container of Velociraptor: unpack it with `velociraptor unzip` first");
    }
    if any(&|n| n.ends_with(".vhdx") || n.ends_with(".vhd")) {
        return Err("a disk image of KAPE: mount it and import the folder");
    }
    if any(&|n| n.ends_with("_copylog.csv")) || any(&|n| drive(n).is_some_and(|p| p.contains("/windows/"))) {
        return Ok(Kind::Kape);
    }
    if any(&|n| n.ends_with(".evtx")) {
        return Ok(Kind::EventLogs);
    }
    Err("neither a collection of KAPE or Velociraptor nor event logs (*.evtx)")
}

/// The part of a KAPE path that begins with the drive: `out/C/Windows/…` → `C/Windows/…`.
fn drive(name: &str) -> Option<&str> {
    let mut rest = name;
    loop {
        let (first, after) = rest.split_once('/')?;
        if first.len() == 1 && first.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Some(rest);
        }
        rest = after;
    }
}

/// Where a file was on its host, as components.
fn place(kind: Kind, name: &str) -> std::result::Result<Vec<String>, &'static str> {
    let name = name.replace('\\', "/");
    let owned = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect();
    match kind {
        Kind::Kape => match drive(&name) {
            Some(path) => Ok(owned(components(path)?)),
            None => Ok([vec!["kape".to_owned()], owned(components(&name)?)].concat()),
        },
        Kind::EventLogs => Ok(owned(components(&name)?)),
        Kind::Velociraptor => {
            let parts = components(&name)?;
            let Some((&"uploads", below)) = parts.split_first().filter(|(_, b)| b.len() > 1) else {
                return Ok([vec!["velociraptor".to_owned()], owned(parts)].concat());
            };
            // The first component is the accessor.
            let mut place = Vec::new();
            for part in below.iter().skip(1) {
                let part = unescape(part).ok_or("an escape that means nothing")?;
                // `\\.\C:` and `C:`
                let device = part.strip_prefix("\\\\.\\").unwrap_or(&part);
                let device = device.strip_suffix(':').filter(|d| d.len() == 1).unwrap_or(&part);
                // A shadow copy is a device with a path of its own.
                let flat = device.trim_start_matches(['\\', '?', '.']).replace('\\', "_");
                if flat.is_empty() || flat == ".." || part.contains(['/', '\0']) {
                    return Err("an escaped path that leads out");
                }
                place.push(flat);
            }
            Ok(place)
        }
    }
}

/// `%3A`, once.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(b) = bytes.get(at) {
        if *b == b'%' {
            let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*b);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// What of a Windows host `hunt` reads: event logs by their content, and the text logs of remote access by their place.
fn is_log(place: &[String], head: &[u8]) -> bool {
    if head.starts_with(b"ElfFile\0") {
        return true;
    }
    let path = place.join("/").to_ascii_lowercase();
    let text = [".log", ".txt", ".csv"].iter().any(|e| path.ends_with(e));
    let places = ["/logfiles/", "/inetpub/logs/", "/programdata/ssh/logs/", "/system32/dhcp/"];
    text && places.iter().any(|p| path.contains(p))
}

fn read(
    from: &mut From,
    name: &str,
    index: usize,
    with: &mut dyn FnMut(&mut dyn Read, u64),
) -> io::Result<()> {
    match from {
        From::Folder(root) => {
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = std::fs::OpenOptions::new();
            // It may have become a link since it was listed.
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
            let file = options.open(root.join(name))?;
            let size = file.metadata()?.len();
            with(&mut BufReader::new(file), size);
        }
        From::Zip(zip) => {
            let mut entry = zip.by_index(index).map_err(io::Error::other)?;
            let packed = entry.compressed_size();
            with(&mut entry, packed.saturating_mul(RATIO).max(FREE));
        }
    }
    Ok(())
}

/// A list of the other tool, whole.
fn text(from: &mut From, name: &str, index: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut done = false;
    read(from, name, index, &mut |r, most| done = r.take(most.min(LIST)).read_to_end(&mut bytes).is_ok())
        .ok()?;
    done.then_some(bytes)
}

/// What Velociraptor says about its client.
fn host(from: &mut From, names: &[(String, usize)]) -> String {
    let Some((name, index)) = names.iter().find(|(n, _)| n == "client_info.json") else {
        return String::new();
    };
    let bytes = text(from, name, *index).unwrap_or_default();
    let info: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    ["Hostname", "hostname", "Fqdn"]
        .iter()
        .find_map(|k| info.get(k)?.as_str().or_else(|| info.get("os_info")?.get(k)?.as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// Copies everything into the package.
pub(crate) fn import(work: &mut Work, mut found: Found) -> Result<()> {
    let started = crate::now();
    let names = std::mem::take(&mut found.names);
    let mut problems = std::mem::take(&mut found.problems);
    let mut log = CopyLog::default();
    for (name, index) in names.iter().filter(|(n, _)| n.to_ascii_lowercase().ends_with("_copylog.csv")) {
        if let Some(bytes) = text(&mut found.from, name, *index) {
            log.add(&bytes);
        }
    }
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::from([("logs", (0, 0)), ("files", (0, 0))]);
    let mut full = false;
    for (name, index) in &names {
        let place = match place(found.kind, name) {
            Ok(place) => place,
            Err(why) => {
                refuse(&mut problems, name, why);
                continue;
            }
        };
        let left = work.plan.max_bytes.saturating_sub(work.bytes());
        if left == 0 {
            full = true;
            break;
        }
        let mut taken: Result<Option<Taken>> = Ok(None);
        let read = read(&mut found.from, name, *index, &mut |from, most| {
            taken = take(work, &place, from, most.min(left));
        });
        if let Err(error) = read {
            refuse(&mut problems, name, &error.to_string());
            continue;
        }
        let Some(Taken { writing, folder, sha1, cut }) = taken? else {
            refuse(&mut problems, name, "it cannot be read");
            continue;
        };
        if cut {
            refuse(&mut problems, name, "it unpacks to more than the limits allow");
            continue;
        }
        let count = counts.entry(folder).or_default();
        *count = (count.0 + 1, count.1 + writing.size);
        let entry =
            entry(&place, folder, &started, log.says(&place, writing.size, &sha1), name, &mut problems);
        work.finish(writing, entry)?;
    }
    for (folder, (files, bytes)) in counts {
        let problems = if folder == "files" { std::mem::take(&mut problems) } else { Vec::new() };
        let state = match (files, full || !problems.is_empty()) {
            (0, false) => State::Absent,
            (_, false) => State::Done,
            _ => State::Partial,
        };
        let logs = folder == "logs";
        work.finish_artifact(ArtifactEntry {
            id: format!("import-{folder}"),
            says: if logs { "what hunt reads: event logs, logs of services" } else { "everything else" }
                .to_owned(),
            how: format!("copied out of a collection of {}", found.kind.name()),
            state,
            reason: full.then(|| "the room of the package was up".to_owned()),
            files,
            bytes,
            started: started.clone(),
            ended: crate::now(),
            waited_ms: 0,
            problems,
            links: Vec::new(),
        })?;
    }
    Ok(())
}

struct Taken {
    writing: Writing,
    folder: &'static str,
    sha1: String,
    cut: bool,
}

fn take(work: &Work, place: &[String], from: &mut dyn Read, most: u64) -> Result<Option<Taken>> {
    let mut head = Vec::new();
    if from.take(8).read_to_end(&mut head).is_err() {
        return Ok(None);
    }
    let folder = if is_log(place, &head) { "logs" } else { "files" };
    let Some(path) = PackagePath::below(folder, place.join("/").as_bytes()) else { return Ok(None) };
    let mut writing = work.begin(&path)?;
    let mut sha1 = Sha1::new();
    let mut rest = io::Cursor::new(head).chain(from).take(most.saturating_add(1));
    let mut block = vec![0; 128 << 10];
    loop {
        let n = match rest.read(&mut block) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(None),
        };
        let bytes = block.get(..n).unwrap_or_default();
        sha1.update(bytes);
        writing.write_all(bytes).map_err(Error::file(&work.dir))?;
    }
    let cut = writing.size > most;
    Ok(Some(Taken { writing, folder, sha1: hex(&sha1.finalize()), cut }))
}

fn entry(
    place: &[String],
    folder: &str,
    started: &str,
    said: Option<copylog::Said>,
    name: &str,
    problems: &mut Vec<String>,
) -> FileEntry {
    let mut copied_by = None;
    if let Some(said) = &said {
        if let Some(wrong) = &said.wrong {
            problems.push(format!("{name}: KAPE's copy log says {wrong}"));
        }
        copied_by = Some(said.text.clone());
    }
    let drive = place.first().filter(|d| d.len() == 1 && place.len() > 1);
    let origin = match drive {
        Some(drive) => format!("{drive}:\\{}", place.get(1..).unwrap_or_default().join("\\")),
        None => name.to_owned(),
    };
    FileEntry {
        path: String::new(),
        size: 0,
        sha256: String::new(),
        artifact: format!("import-{folder}"),
        source: Source { origin: Some(origin), ..Source::default() },
        started: started.to_owned(),
        ended: crate::now(),
        mtime: said.and_then(|s| s.modified),
        mode: None,
        uid: None,
        gid: None,
        exit: None,
        reason: None,
        stderr: String::new(),
        truncated: None,
        masked: 0,
        access_time_touched: false,
        copied_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(names: &[&str]) -> std::result::Result<Kind, &'static str> {
        recognise(&names.iter().map(|n| ((*n).to_owned(), 0)).collect::<Vec<_>>())
    }

    #[test]
    fn collections_are_known_by_their_structure() {
        assert_eq!(kind(&["out/C/Windows/System32/winevt/Logs/Security.evtx"]), Ok(Kind::Kape));
        assert_eq!(kind(&["2026-11-27T10_00_00_CopyLog.csv", "x.evtx"]), Ok(Kind::Kape));
        assert_eq!(kind(&["uploads/auto/C%3A/x", "client_info.json"]), Ok(Kind::Velociraptor));
        assert_eq!(kind(&["Security.evtx", "notes.txt"]), Ok(Kind::EventLogs));
        assert!(kind(&["data.zip", "metadata.json"]).is_err_and(|e| e.contains("encrypted")));
        assert!(kind(&["x.vhdx"]).is_err_and(|e| e.contains("mount")));
        assert!(kind(&["a.txt"]).is_err());
    }

    fn check(kind: Kind, name: &str, expect: std::result::Result<&str, &str>) {
        let place = place(kind, name).map(|p| p.join("/"));
        assert_eq!(place.as_deref().map_err(|e| *e), expect, "{name}");
    }

    #[test]
    fn places() {
        check(Kind::Kape, "out/C/Windows/a.evtx", Ok("C/Windows/a.evtx"));
        check(Kind::Kape, "x_CopyLog.csv", Ok("kape/x_CopyLog.csv"));
        let v = Kind::Velociraptor;
        check(v, "uploads/auto/C%3A/Windows/a%20b.evtx", Ok("C/Windows/a b.evtx"));
        check(v, "uploads/ntfs/%5C%5C.%5CC%3A/Windows/a.evtx", Ok("C/Windows/a.evtx"));
        check(v, "uploads/ntfs/%5C%5C%3F%5CGLOBALROOT%5CDevice%5CVss1/a", Ok("GLOBALROOT_Device_Vss1/a"));
        check(v, "results/Windows.X.json", Ok("velociraptor/results/Windows.X.json"));
        check(v, "uploads/auto/%2e%2e/x", Err("an escaped path that leads out"));
        check(v, "uploads/auto/a%2fb/x", Err("an escaped path that leads out"));
        check(v, "uploads/auto/a%zz", Err("an escape that means nothing"));
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["../x", "a/../../x", "/etc/passwd", "C:\\x", "a\\..\\..\\x", "\\\\host\\x", "a\0b"] {
            assert!(components(name).is_err(), "{name}");
        }
        assert_eq!(components("a/./b\\c"), Ok(vec!["a", "b", "c"]));
    }

    #[test]
    fn logs_by_content_and_place() {
        let at = |p: &str| p.split('/').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_log(&at("C/x"), b"ElfFile\0"));
        assert!(is_log(&at("C/Windows/System32/LogFiles/Firewall/pfirewall.log"), b"#Versio"));
        assert!(!is_log(&at("C/Users/a/x.log"), b"x"));
        assert!(!is_log(&at("C/Windows/System32/LogFiles/x.etl"), b"x"));
    }
}
