//! Files of a host by patterns: small ones of another host in one question, large ones and those of this host alone.

use super::{Course, LISTED, Run, WALKED, entry, of_host};
use crate::error::{Error, Result};
use crate::host::{Fetched, Found, Kind};
use crate::manifest::{LinkEntry, Source};
use crate::mask;
use crate::name::PackagePath;
use crate::work::Work;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Instant;

/// Files after which the host's load is looked at again.
pub(super) const AT_ONCE: usize = 200;
/// Bytes of files that are asked for in one question: what is lost when a connection breaks.
const AT_ONCE_BYTES: u64 = 16 << 20;

impl Run<'_> {
    pub(super) fn read(&mut self, patterns: &[String], except: &[String], course: &mut Course) -> Result<()> {
        let (globs, except) = (self.globs(patterns), self.globs(except));
        let mut found: BTreeMap<Vec<u8>, Found> = BTreeMap::new();
        let ends = course.ends;
        self.walk(&globs, course, &mut |f| {
            let wanted =
                globs.iter().any(|g| g.matches(&f.path)) && !except.iter().any(|g| g.matches(&f.path));
            if wanted && matches!(f.kind, Kind::File | Kind::Link) {
                found.insert(f.path.clone(), f);
            }
            found.len() < WALKED && Instant::now() < ends
        });
        let found: Vec<Found> = found.into_values().collect();
        for (n, some) in found.chunks(AT_ONCE).enumerate() {
            if n > 0 {
                self.stand_back(course);
            }
            if !course.goes_on() {
                break;
            }
            let files = self.behind_links(some, course);
            if !self.files(files, course)? {
                break;
            }
        }
        Ok(())
    }

    /// A link is recorded; the file that it leads to is read under its own path, within the same root.
    fn behind_links(&mut self, some: &[Found], course: &mut Course) -> Vec<Found> {
        let links: Vec<&Found> = some.iter().filter(|f| f.kind == Kind::Link).collect();
        let mut followed = if links.is_empty() { Vec::new() } else { self.host.follow(&links, course.ends) };
        let mut followed = followed.drain(..);
        let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
        for found in some {
            let file = if found.kind == Kind::Link {
                let target = followed.next().flatten();
                if course.links.len() < LISTED {
                    let says = found.link.as_deref().unwrap_or_default();
                    let leads = target.as_ref().map_or(says, |(path, _)| path);
                    course.links.push(LinkEntry {
                        path: String::from_utf8_lossy(&found.path).into_owned(),
                        leads_to: String::from_utf8_lossy(leads).into_owned(),
                    });
                }
                match target {
                    // Devices and the kernel's files have no end, and units are masked by a link to /dev/null.
                    Some((path, Some(real)))
                        if real.kind == Kind::File
                            && ![&b"/dev/"[..], b"/proc/", b"/sys/"].iter().any(|p| path.starts_with(p)) =>
                    {
                        real
                    }
                    _ => continue,
                }
            } else {
                found.clone()
            };
            if seen.insert(file.path.clone()) {
                files.push(file);
            }
        }
        files
    }

    /// Reads files in their order, those together that may be. Whether the artefact goes on.
    fn files(&mut self, files: Vec<Found>, course: &mut Course) -> Result<bool> {
        let together = self.host.together();
        let (mut group, mut bytes): (Vec<Found>, u64) = (Vec::new(), 0);
        for found in files {
            let full = group.len() as u64 >= course.files
                || bytes + found.size > course.bytes.min(AT_ONCE_BYTES)
                || found.size > together;
            if full && !group.is_empty() {
                if !self.group(&std::mem::take(&mut group), course)? {
                    return Ok(false);
                }
                bytes = 0;
            }
            if group.is_empty() && !course.goes_on() {
                return Ok(false);
            }
            if self.work.has(&Source::path(&found.path)) {
                // Another pattern or artefact has it already: the artefact is not absent.
                course.taken += u64::from(course.taken == 0);
            } else if together > 0 && found.size <= together.min(course.most()) {
                bytes += found.size;
                group.push(found);
            } else {
                self.file(&found, course)?;
            }
        }
        self.group(&group, course)
    }

    fn group(&mut self, files: &[Found], course: &mut Course) -> Result<bool> {
        if files.is_empty() {
            return Ok(true);
        }
        let most = self.host.together().min(course.most());
        let (mut failed, mut alone, mut started) = (None, Vec::new(), crate::now());
        let (work, ends) = (&mut *self.work, course.ends);
        let whole = self.host.fetch_all(files, most, ends, &mut |n, fetched, bytes| {
            let Some(found) = files.get(n) else { return false };
            let taken = bytes.len() as u64;
            // It said that it was empty, and is not.
            if found.size == 0 && (taken >= most || taken > course.bytes) {
                alone.push(found.clone());
                return true;
            }
            let since = std::mem::replace(&mut started, crate::now());
            if let Err(error) = keep(work, found, fetched, bytes, since, course) {
                failed = Some(error);
            }
            failed.is_none()
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for found in alone {
            if !course.goes_on() {
                return Ok(false);
            }
            self.file(&found, course)?;
        }
        if !whole {
            course.cut("its time was up");
        }
        Ok(whole)
    }

    /// One file alone, of any size.
    fn file(&mut self, found: &Found, course: &mut Course) -> Result<()> {
        let started = crate::now();
        if course.mask {
            let mut bytes = Vec::new();
            let fetched = self.host.fetch(found, course.keep, course.most(), &mut bytes);
            return keep(self.work, found, fetched, &bytes, started, course);
        }
        let Some(path) = place(found, course) else { return Ok(()) };
        let mut writing = self.work.begin(&path)?;
        let fetched = self.host.fetch(found, course.keep, course.most(), &mut writing);
        let Some(fetched) = read_or_said(found, fetched, course) else { return Ok(()) };
        let mut entry = entry(course, Source::path(&found.path), started);
        of_host(&mut entry, found, &fetched, course.keep);
        if entry.truncated.is_some() {
            course.cut("a file is larger than its limit");
        }
        course.finish(self.work, writing, entry)
    }
}

/// Puts the bytes of a file into the package, without secrets where they are masked.
fn keep(
    work: &mut Work,
    found: &Found,
    fetched: std::result::Result<Fetched, String>,
    bytes: &[u8],
    started: String,
    course: &mut Course,
) -> Result<()> {
    let Some(path) = place(found, course) else { return Ok(()) };
    let Some(fetched) = read_or_said(found, fetched, course) else { return Ok(()) };
    let masked = if course.mask { mask::mask(&found.path, bytes) } else { None };
    let (bytes, masked) = masked.as_ref().map_or((bytes, 0), |(bytes, count)| (bytes.as_slice(), *count));
    let mut writing = work.begin(&path)?;
    writing.write_all(bytes).map_err(Error::file(&work.dir))?;
    let mut entry = entry(course, Source::path(&found.path), started);
    entry.masked = u64::from(masked);
    of_host(&mut entry, found, &fetched, course.keep);
    if entry.truncated.is_some() {
        course.cut("a file is larger than its limit");
    }
    course.finish(work, writing, entry)
}

fn place(found: &Found, course: &mut Course) -> Option<PackagePath> {
    let path = PackagePath::below(course.folder.name(), &found.path);
    if path.is_none() {
        course.problem(format!("{}: no name for it", String::from_utf8_lossy(&found.path)));
    }
    path
}

fn read_or_said(
    found: &Found,
    fetched: std::result::Result<Fetched, String>,
    course: &mut Course,
) -> Option<Fetched> {
    fetched.map_err(|why| course.problem(format!("{}: {why}", String::from_utf8_lossy(&found.path)))).ok()
}
