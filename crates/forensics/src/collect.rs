//! One collection: the artefacts in their order, within bounds of time, room and load.

use crate::body::{self, Lastlog, Recent};
use crate::catalog::{Artifact, Builtin, Catalog, Folder, Keep};
use crate::error::{Error, Result};
use crate::glob::Glob;
use crate::host::{Fetched, Found, Host, ProcTree, Walk};
use crate::manifest::{ArtifactEntry, FileEntry, LinkEntry, Source, State};
use crate::name::PackagePath;
use crate::work::{Work, Writing};
use crate::{keys, processes};
use portreeve_model::EventTime;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

mod read;

/// Told what is being done.
pub trait Progress {
    fn artifact(&self, number: usize, of: usize, id: &str);
}

/// Longest that one artefact waits for the host's load to fall.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files that a walk may find.
const WALKED: usize = 200_000;
/// How much longer an artefact may take on another host.
const FAR: u64 = 4;
/// Copies in which secrets are masked are held in memory.
const MASKED_MOST: u64 = 16 << 20;
/// Problems and links that are listed for one artefact.
const LISTED: usize = 200;

pub(crate) fn collect(
    work: &mut Work,
    host: &mut dyn Host,
    catalog: &Catalog,
    progress: &dyn Progress,
) -> Result<()> {
    let passwd = host.small(b"/etc/passwd").unwrap_or_default();
    let mut run = Run {
        deadline: Instant::now() + Duration::from_secs(work.plan.max_seconds),
        users: processes::users(&passwd),
        homes: homes(&passwd),
        tree: None,
        work,
        host,
    };
    let count = catalog.artifacts.len();
    for (n, artifact) in catalog.artifacts.iter().enumerate() {
        if run.work.is_done(&artifact.id) {
            continue;
        }
        progress.artifact(n + 1, count, &artifact.id);
        let entry = run.artifact(artifact)?;
        let detail = serde_json::json!({
            "artifact": entry.id, "how": entry.how, "state": entry.state, "reason": entry.reason,
            "files": entry.files, "bytes": entry.bytes,
        });
        run.work.finish_artifact(entry)?;
        run.work.chain.add("collected", detail)?;
    }
    Ok(())
}

/// Home folders of passwd, root's first. `/home/*` is there too: a folder outlives its account.
fn homes(passwd: &[u8]) -> Vec<String> {
    let mut homes = BTreeSet::from(["/root".to_owned(), "/home/*".to_owned()]);
    for line in String::from_utf8_lossy(passwd).lines() {
        let home = line.split(':').nth(5).unwrap_or_default().trim_end_matches('/');
        let plain = home.starts_with('/') && !home.contains(['*', '?']);
        let covered = home.strip_prefix("/home/").is_some_and(|r| !r.contains('/'));
        if plain && !covered {
            homes.insert(home.to_owned());
        }
    }
    homes.into_iter().collect()
}

struct Run<'r> {
    work: &'r mut Work,
    host: &'r mut dyn Host,
    deadline: Instant,
    users: BTreeMap<u32, String>,
    homes: Vec<String>,
    /// Read once, so that processes and sockets are of one moment.
    tree: Option<ProcTree>,
}

/// What an artefact may still take, and what became of it so far.
struct Course {
    id: String,
    folder: Folder,
    ends: Instant,
    bytes: u64,
    files: u64,
    file_bytes: u64,
    keep: Keep,
    mask: bool,
    taken: u64,
    taken_bytes: u64,
    state: State,
    reason: Option<String>,
    problems: Vec<String>,
    links: Vec<LinkEntry>,
    waited: Duration,
}

impl Course {
    fn cut(&mut self, why: &str) {
        self.state = State::Partial;
        // The first reason stands; others are told beside it.
        match &self.reason {
            None => self.reason = Some(why.to_owned()),
            Some(first) if first != why && !self.problems.iter().any(|p| p == why) => {
                self.problem(why.to_owned())
            }
            Some(_) => {}
        }
    }

    fn problem(&mut self, text: String) {
        if self.state == State::Done {
            self.state = State::Partial;
        }
        if self.problems.len() < LISTED {
            self.problems.push(text);
        }
    }

    /// The most that one file may give.
    fn most(&self) -> u64 {
        let most = self.file_bytes.min(self.bytes);
        if self.mask { most.min(MASKED_MOST) } else { most }
    }

    fn finish(&mut self, work: &mut Work, writing: Writing, entry: FileEntry) -> Result<()> {
        let size = writing.size;
        self.taken += 1;
        self.taken_bytes += size;
        self.bytes = self.bytes.saturating_sub(size);
        self.files = self.files.saturating_sub(1);
        work.finish(writing, entry)
    }

    /// Whether there is room for another file; says why not.
    fn goes_on(&mut self) -> bool {
        if Instant::now() >= self.ends {
            self.cut("its time was up");
        } else if self.bytes == 0 {
            self.cut("its room was up");
        } else if self.files == 0 {
            self.cut("there are more files than its limit");
        } else {
            return true;
        }
        false
    }
}

impl Run<'_> {
    fn artifact(&mut self, artifact: &Artifact) -> Result<ArtifactEntry> {
        let started = crate::now();
        let plan = &self.work.plan;
        let left = plan.max_bytes.saturating_sub(self.work.bytes());
        let limits = artifact.limits;
        let far = if plan.ssh.is_some() { FAR } else { 1 };
        let ends = self.deadline.min(Instant::now() + Duration::from_secs(limits.seconds * far));
        let mut course = Course {
            id: artifact.id.clone(),
            folder: artifact.folder(),
            ends,
            bytes: limits.bytes.min(left),
            files: limits.files,
            file_bytes: limits.file_bytes,
            keep: artifact.keep,
            mask: artifact.mask && artifact.folder() == Folder::Files && !plan.with_secrets,
            taken: 0,
            taken_bytes: 0,
            state: State::Done,
            reason: None,
            problems: Vec::new(),
            links: Vec::new(),
            waited: Duration::ZERO,
        };
        let not_taken = if !plan.choice.takes(&artifact.id) {
            Some("it was not asked for")
        } else if Instant::now() >= self.deadline {
            Some("the time of the whole collection was up")
        } else if left == 0 {
            Some("the room of the whole package was up")
        } else {
            None
        };
        if let Some(why) = not_taken {
            course.state = State::NotTaken;
            course.reason = Some(why.to_owned());
        } else {
            self.stand_back(&mut course);
            self.take(artifact, &mut course)?;
            if course.state == State::Done && course.taken == 0 {
                course.state = State::Absent;
                course.reason.get_or_insert_with(|| "nothing of the kind is there".to_owned());
            }
        }
        Ok(ArtifactEntry {
            id: artifact.id.clone(),
            says: artifact.says.clone(),
            how: artifact.how(),
            state: course.state,
            reason: course.reason,
            files: course.taken,
            bytes: course.taken_bytes,
            started,
            ended: crate::now(),
            waited_ms: u64::try_from(course.waited.as_millis()).unwrap_or(u64::MAX),
            problems: course.problems,
            links: course.links,
        })
    }

    fn take(&mut self, artifact: &Artifact, course: &mut Course) -> Result<()> {
        match artifact.builtin {
            None if !artifact.run.is_empty() => self.command(artifact, course),
            None => self.read(&artifact.read, &artifact.except, course),
            Some(Builtin::Processes) => self.processes(course),
            Some(Builtin::Sockets) => self.sockets(course),
            Some(Builtin::DeletedPrograms) => self.deleted_programs(course),
            Some(Builtin::Recent) => self.recent(&artifact.read, course),
            Some(Builtin::Bodyfile) => self.bodyfile(course),
            Some(Builtin::Lastlog) => self.lastlog(course),
            Some(Builtin::AuthorizedKeys) => {
                let patterns = keys::patterns(&self.sshd_configuration());
                self.read(&patterns, &[], course)
            }
        }
    }

    /// Waits while the host has more to do than it should.
    fn stand_back(&mut self, course: &mut Course) {
        let most = self.work.plan.max_load;
        while course.waited < PATIENCE && Instant::now() < course.ends {
            if self.host.load().is_none_or(|load| load <= most) {
                return;
            }
            let step = Duration::from_millis(250);
            std::thread::sleep(step);
            course.waited += step;
        }
    }

    fn command(&mut self, artifact: &Artifact, course: &mut Course) -> Result<()> {
        let since = self.work.plan.since;
        let days = (EventTime::from_unix(since), crate::clock());
        let days = days.1.since(days.0) / portreeve_model::time::DAY_US + 1;
        let words: Vec<String> = artifact
            .run
            .iter()
            .map(|w| w.replace("{since}", &since.to_string()).replace("{days}", &days.to_string()))
            .collect();
        let json = words.iter().any(|w| w.contains("json"));
        let path = own(course.folder, &format!("{}.{}", course.id, if json { "json" } else { "txt" }));
        let started = crate::now();
        let mut writing = self.work.begin(&path)?;
        let seconds = course.ends.saturating_duration_since(Instant::now()).as_secs().max(1);
        let ran = self.host.run(&words, seconds, course.bytes, &mut writing);
        if ran.missing || (ran.exit.is_none() && writing.size == 0) {
            course.state = if ran.missing { State::Absent } else { State::Failed };
            if self.work.plan.root != std::path::Path::new("/") {
                course.state = State::NotTaken;
            }
            course.reason = ran.reason;
            return Ok(());
        }
        if ran.cut {
            course.cut(ran.reason.as_deref().unwrap_or("it was cut"));
        } else if writing.size == 0 && ran.exit != Some(0) {
            course.state = State::Failed;
            let first = ran.stderr.lines().next().unwrap_or_default();
            course.reason = Some(format!("status {}: {first}", ran.exit.unwrap_or(-1)));
        }
        let mut entry = entry(course, Source { command: Some(words), ..Source::default() }, started);
        entry.exit = ran.exit;
        entry.stderr = ran.stderr;
        entry.truncated = ran.cut.then(|| "the end is missing".to_owned());
        entry.reason = ran.reason;
        course.finish(self.work, writing, entry)
    }

    /// Patterns with homes put in.
    fn globs(&self, patterns: &[String]) -> Vec<Glob> {
        let mut globs = Vec::new();
        for pattern in patterns {
            match pattern.strip_prefix('~') {
                Some(rest) => {
                    globs.extend(self.homes.iter().map(|h| Glob::new(format!("{h}{rest}").as_bytes())))
                }
                None => globs.push(Glob::new(pattern.as_bytes())),
            }
        }
        globs
    }

    /// Walks once over each folder in which patterns begin, which another host is asked for in one question.
    fn walk(&mut self, globs: &[Glob], course: &mut Course, each: &mut dyn FnMut(Found) -> bool) {
        let mut bases: BTreeMap<Vec<u8>, Option<u32>> = BTreeMap::new();
        for glob in globs {
            let (base, depth) = glob.base();
            let known = bases.entry(base).or_insert(Some(0));
            *known = known.zip(depth).map(|(a, b)| a.max(b));
        }
        let enters = |folder: &[u8]| globs.iter().any(|g| g.enters(folder));
        let bases: Vec<(Vec<u8>, Option<u32>)> = bases.into_iter().collect();
        let walk = Walk { bases: &bases, one_file_system: false, enters: &enters };
        for problem in self.host.find(&walk, each) {
            course.problem(problem);
        }
    }

    fn snapshot(&mut self, course: &mut Course) -> &ProcTree {
        if self.tree.is_none() {
            let tree = self.host.processes();
            tree.problems.iter().for_each(|p| course.problem(p.clone()));
            self.tree = Some(tree);
        }
        self.tree.get_or_insert_default()
    }

    /// One JSON object a line.
    fn lines<T: serde::Serialize>(&mut self, what: &str, rows: &[T], course: &mut Course) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let started = crate::now();
        let mut writing = self.work.begin(&own(course.folder, &format!("{what}.ndjson")))?;
        let mut cut = false;
        for row in rows {
            let mut line = serde_json::to_vec(row).map_err(Error::package)?;
            line.push(b'\n');
            if writing.size + line.len() as u64 > course.bytes {
                cut = true;
                break;
            }
            writing.write_all(&line).map_err(Error::file(&self.work.dir))?;
        }
        let mut entry = entry(course, Source::builtin(what), started);
        if cut {
            entry.truncated = Some("the end is missing".to_owned());
            course.cut("its room was up");
        }
        course.finish(self.work, writing, entry)
    }

    fn processes(&mut self, course: &mut Course) -> Result<()> {
        self.snapshot(course);
        let tree = self.tree.take().unwrap_or_default();
        let rows = processes::processes(&tree, &self.users);
        self.tree = Some(tree);
        self.lines("processes", &rows, course)
    }

    fn sockets(&mut self, course: &mut Course) -> Result<()> {
        let rows = processes::sockets(self.snapshot(course));
        self.lines("sockets", &rows, course)
    }

    fn deleted_programs(&mut self, course: &mut Course) -> Result<()> {
        let users = std::mem::take(&mut self.users);
        let all = processes::processes(self.snapshot(course), &users);
        self.users = users;
        // A service of many processes is one program.
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for process in all.iter().filter(|p| p.program_deleted) {
            if !course.goes_on() {
                break;
            }
            let name = process.program.clone().unwrap_or_default();
            let started = crate::now();
            let most = course.file_bytes.min(course.bytes);
            let mut writing =
                self.work.begin(&own(course.folder, &format!("deleted/{}.bin", process.pid)))?;
            match self.host.running_program(process.pid, most, &mut writing) {
                Ok(fetched) => {
                    if let Some(first) = seen.get(&writing.hash()) {
                        let path = format!("/proc/{}/exe", process.pid);
                        course.links.push(LinkEntry { path, leads_to: format!("/proc/{first}/exe") });
                        continue;
                    }
                    seen.insert(writing.hash(), process.pid);
                    let mut entry = entry(course, Source::path(name.as_bytes()), started);
                    entry.source.builtin = Some(format!("/proc/{}/exe", process.pid));
                    of_host(&mut entry, &Found::named(Vec::new()), &fetched, Keep::Beginning);
                    course.finish(self.work, writing, entry)?;
                }
                Err(why) => course.problem(format!("process {} ({name}): {why}", process.pid)),
            }
        }
        Ok(())
    }

    /// The package itself is no trace of anybody.
    fn ours(&self) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        let here = self.work.plan.ssh.is_none();
        let dir = here.then(|| self.work.dir.canonicalize().ok()).flatten()?;
        let below = dir.strip_prefix(&self.work.plan.root).ok()?;
        Some([b"/", below.as_os_str().as_bytes()].concat())
    }

    fn recent(&mut self, patterns: &[String], course: &mut Course) -> Result<()> {
        let (globs, ours) = (self.globs(patterns), self.ours());
        let since = EventTime::from_unix(self.work.plan.since);
        let mut list: BTreeMap<Vec<u8>, Found> = BTreeMap::new();
        let (ends, most) = (course.ends, usize::try_from(course.files).unwrap_or(usize::MAX));
        self.walk(&globs, course, &mut |f| {
            let own = ours.as_deref().is_some_and(|o| f.path.starts_with(o));
            if !own && Recent::wanted(&f, since) && globs.iter().any(|g| g.matches(&f.path)) {
                list.insert(f.path.clone(), f);
            }
            list.len() < WALKED && Instant::now() < ends
        });
        if list.len() >= WALKED || Instant::now() >= ends {
            course.cut("not all folders were reached");
        }
        let mut list: Vec<Found> = list.into_values().collect();
        if list.len() > most {
            course.cut("there are more files than its limit: the newest are listed");
            list.sort_by_key(|f| std::cmp::Reverse(f.changed.max(f.modified)));
            list.truncate(most);
            list.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let mut rows = Vec::with_capacity(list.len());
        for (n, some) in list.chunks(read::AT_ONCE).enumerate() {
            if n > 0 {
                self.stand_back(course);
            }
            let small: Vec<Found> = some.iter().filter(|f| f.size <= course.file_bytes).cloned().collect();
            let sums = self.host.hashes(&small, course.file_bytes, course.ends);
            let mut sums = small.into_iter().map(|f| f.path).zip(sums).collect::<BTreeMap<_, _>>();
            for found in some {
                let mut row = Recent::new(found);
                row.sha256 = sums.remove(&found.path).flatten();
                rows.push(row);
            }
        }
        if Instant::now() >= course.ends {
            course.cut("its time was up: the last files have no hash");
        }
        self.lines("recent", &rows, course)
    }

    fn bodyfile(&mut self, course: &mut Course) -> Result<()> {
        let live = self.work.plan.root == std::path::Path::new("/");
        let info =
            if live { self.host.small(b"/proc/self/mountinfo").unwrap_or_default() } else { Vec::new() };
        let mut bases = body::mounts(&info);
        if bases.is_empty() {
            bases.push(b"/".to_vec());
        }
        let started = crate::now();
        let mut writing = self.work.begin(&own(course.folder, "bodyfile.txt"))?;
        let (ends, most) = (course.ends, course.bytes);
        let (mut failed, mut cut) = (None, None);
        for base in bases {
            if let Some(found) = self.host.look(&base) {
                body::line(&found, &mut writing).map_err(Error::file(&self.work.dir))?;
            }
            let bases = [(base, None)];
            let walk = Walk { bases: &bases, one_file_system: true, enters: &|_| true };
            let problems = self.host.find(&walk, &mut |found| {
                if let Err(error) = body::line(&found, &mut writing) {
                    failed = Some(error);
                } else if writing.size >= most {
                    cut = Some("its room was up");
                } else if Instant::now() >= ends {
                    cut = Some("its time was up");
                }
                failed.is_none() && cut.is_none()
            });
            problems.into_iter().for_each(|p| course.problem(p));
            if let Some(error) = failed.take() {
                return Err(Error::file(&self.work.dir)(error));
            }
            if cut.is_some() {
                break;
            }
        }
        let mut entry = entry(course, Source::builtin("bodyfile"), started);
        if let Some(why) = cut {
            entry.truncated = Some("the end is missing".to_owned());
            course.cut(why);
        }
        course.finish(self.work, writing, entry)
    }

    fn lastlog(&mut self, course: &mut Course) -> Result<()> {
        let Some(path) = self.host.resolve(b"/var/log/lastlog") else { return Ok(()) };
        let started = crate::now();
        let mut writing = self.work.begin(&own(course.folder, "lastlog.ndjson"))?;
        // Sparse: a user number in the billions makes a file of terabytes.
        let most = 64 << 20;
        let mut reader = Lastlog::new(&self.users, &mut writing);
        match self.host.fetch(&Found::named(path), Keep::Beginning, most, &mut reader) {
            Ok(fetched) => {
                let mut entry = entry(course, Source::builtin("lastlog"), started);
                if fetched.there > most {
                    entry.truncated = Some("accounts with high numbers are missing".to_owned());
                    course.cut("a file is larger than its limit");
                }
                course.finish(self.work, writing, entry)
            }
            Err(why) => {
                course.problem(format!("/var/log/lastlog: {why}"));
                Ok(())
            }
        }
    }

    fn sshd_configuration(&mut self) -> Vec<Vec<u8>> {
        let mut paths = vec![b"/etc/ssh/sshd_config".to_vec(), b"/usr/etc/ssh/sshd_config".to_vec()];
        let bases = [(b"/etc/ssh/sshd_config.d".to_vec(), Some(1))];
        let walk = Walk { bases: &bases, one_file_system: false, enters: &|_| false };
        self.host.find(&walk, &mut |f| {
            paths.push(f.path);
            paths.len() < 200
        });
        paths.iter().filter_map(|p| self.host.small(p)).collect()
    }
}

fn own(folder: Folder, name: &str) -> PackagePath {
    // A name of the catalogue, which is letters, digits and hyphens.
    PackagePath::below(folder.name(), name.as_bytes()).unwrap_or_else(|| PackagePath::own("live/unnamed"))
}

fn entry(course: &Course, source: Source, started: String) -> FileEntry {
    FileEntry {
        path: String::new(),
        size: 0,
        sha256: String::new(),
        artifact: course.id.clone(),
        source,
        started,
        ended: crate::now(),
        mtime: None,
        mode: None,
        uid: None,
        gid: None,
        exit: None,
        reason: None,
        stderr: String::new(),
        truncated: None,
        masked: 0,
        access_time_touched: false,
        copied_by: None,
    }
}

fn of_host(entry: &mut FileEntry, found: &Found, fetched: &Fetched, keep: Keep) {
    if found.inode != 0 {
        entry.mtime = Some(found.modified.to_string());
        entry.mode = Some(format!("{:04o}", found.mode));
        (entry.uid, entry.gid) = (Some(found.uid), Some(found.gid));
    }
    entry.access_time_touched = fetched.access_time_touched;
    let missing = fetched.there.saturating_sub(fetched.taken);
    if missing > 0 {
        let part = if keep == Keep::End { "first" } else { "last" };
        entry.truncated = Some(format!("the {part} {missing} of {} bytes are missing", fetched.there));
    }
}
