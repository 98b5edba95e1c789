//! One collection: the artefacts in their order, within bounds of time, room and load.

use crate::body::{self, Lastlog, Recent};
use crate::catalog::{Artifact, Builtin, Catalog, Folder, Keep};
use crate::error::{Error, Result};
use crate::glob::Glob;
use crate::host::{Fetched, Found, Host, Kind, ProcTree, Walk};
use crate::manifest::{ArtifactEntry, FileEntry, LinkEntry, Source, State};
use crate::name::PackagePath;
use crate::work::{Work, Writing};
use crate::{keys, mask, processes};
use portreeve_model::EventTime;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

/// Told what is being done.
pub trait Progress {
    fn artifact(&self, number: usize, of: usize, id: &str);
}

/// Longest that one artefact waits for the host's load to fall.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files that a walk may find.
const WALKED: usize = 200_000;
/// How much longer an artefact may take where each file is a question to another host.
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
    since_look: u32,
}

impl Course {
    fn cut(&mut self, why: &str) {
        self.state = State::Partial;
        self.reason.get_or_insert_with(|| why.to_owned());
    }

    fn problem(&mut self, text: String) {
        if self.state == State::Done {
            self.state = State::Partial;
        }
        if self.problems.len() < LISTED {
            self.problems.push(text);
        }
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
            since_look: 0,
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
        self.finish(writing, entry, course)
    }

    fn finish(&mut self, writing: Writing, entry: FileEntry, course: &mut Course) -> Result<()> {
        let size = writing.size;
        course.taken += 1;
        course.taken_bytes += size;
        course.bytes = course.bytes.saturating_sub(size);
        course.files = course.files.saturating_sub(1);
        self.work.finish(writing, entry)
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

    /// Walks once over each folder in which patterns begin; those of one depth together, which another host is asked once.
    fn walk(&mut self, globs: &[Glob], course: &mut Course, each: &mut dyn FnMut(Found) -> bool) {
        let mut bases: BTreeMap<Vec<u8>, Option<u32>> = BTreeMap::new();
        for glob in globs {
            let (base, depth) = glob.base();
            let known = bases.entry(base).or_insert(Some(0));
            *known = known.zip(depth).map(|(a, b)| a.max(b));
        }
        let enters = |folder: &[u8]| globs.iter().any(|g| g.enters(folder));
        let mut levels: BTreeMap<Option<u32>, Vec<Vec<u8>>> = BTreeMap::new();
        for (base, depth) in bases {
            levels.entry(depth).or_default().push(base);
        }
        for (depth, bases) in levels {
            if Instant::now() >= course.ends {
                course.cut("its time was up");
                return;
            }
            let walk = Walk { bases: &bases, depth, one_file_system: false, enters: &enters };
            for problem in self.host.find(&walk, each) {
                course.problem(problem);
            }
        }
    }

    fn read(&mut self, patterns: &[String], except: &[String], course: &mut Course) -> Result<()> {
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
        for (_, found) in found {
            if !course.goes_on() {
                break;
            }
            course.since_look += 1;
            if course.since_look >= 100 {
                course.since_look = 0;
                self.stand_back(course);
            }
            match found.kind {
                Kind::Link => self.link(&found, course)?,
                _ => self.file(&found, course)?,
            }
        }
        Ok(())
    }

    /// A link is recorded; the file that it leads to is read under its own path, within the same root.
    fn link(&mut self, found: &Found, course: &mut Course) -> Result<()> {
        let says = found.link.clone().unwrap_or_default();
        let target = self.host.resolve(&found.path);
        if course.links.len() < LISTED {
            let leads = target.as_deref().unwrap_or(&says);
            course.links.push(LinkEntry {
                path: String::from_utf8_lossy(&found.path).into_owned(),
                leads_to: String::from_utf8_lossy(leads).into_owned(),
            });
        }
        let Some(target) = target else { return Ok(()) };
        // Devices and the kernel's files have no end, and units are masked by a link to /dev/null.
        if target.starts_with(b"/dev/") || target.starts_with(b"/proc/") || target.starts_with(b"/sys/") {
            return Ok(());
        }
        match self.host.look(&target) {
            Some(real) if real.kind == Kind::File => self.file(&real, course),
            _ => Ok(()),
        }
    }

    fn file(&mut self, found: &Found, course: &mut Course) -> Result<()> {
        let source = Source::path(&found.path);
        if self.work.has(&source) {
            // Another pattern or artefact has it already: the artefact is not absent.
            course.taken += u64::from(course.taken == 0);
            return Ok(());
        }
        let Some(path) = PackagePath::below(course.folder.name(), &found.path) else {
            course.problem(format!("{}: no name for it", String::from_utf8_lossy(&found.path)));
            return Ok(());
        };
        let started = crate::now();
        let mut most = course.file_bytes.min(course.bytes);
        if course.mask {
            most = most.min(MASKED_MOST);
        }
        let mut writing = self.work.begin(&path)?;
        let (fetched, masked) = if course.mask {
            let mut bytes = Vec::new();
            let fetched = self.host.fetch(found, course.keep, most, &mut bytes);
            let (bytes, masked) = mask::mask(&found.path, &bytes).unwrap_or((bytes, 0));
            writing.write_all(&bytes).map_err(Error::file(&self.work.dir))?;
            (fetched, masked)
        } else {
            (self.host.fetch(found, course.keep, most, &mut writing), 0)
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(why) => {
                course.problem(format!("{}: {why}", String::from_utf8_lossy(&found.path)));
                return Ok(());
            }
        };
        let mut entry = entry(course, source, started);
        entry.masked = u64::from(masked);
        of_host(&mut entry, found, &fetched, course.keep);
        if entry.truncated.is_some() {
            course.cut("a file is larger than its limit");
        }
        self.finish(writing, entry, course)
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
        self.finish(writing, entry, course)
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
                    self.finish(writing, entry, course)?;
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
        for (n, found) in list.into_iter().enumerate() {
            let mut row = Recent::new(&found);
            if n % 100 == 99 {
                self.stand_back(course);
            }
            if Instant::now() >= course.ends {
                course.cut("its time was up: the last files have no hash");
            } else if found.size <= course.file_bytes {
                row.sha256 = self.host.hash(&found, course.file_bytes);
            }
            rows.push(row);
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
            let bases = [base];
            let walk = Walk { bases: &bases, depth: None, one_file_system: true, enters: &|_| true };
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
        self.finish(writing, entry, course)
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
                self.finish(writing, entry, course)
            }
            Err(why) => {
                course.problem(format!("/var/log/lastlog: {why}"));
                Ok(())
            }
        }
    }

    fn sshd_configuration(&mut self) -> Vec<Vec<u8>> {
        let mut paths = vec![b"/etc/ssh/sshd_config".to_vec(), b"/usr/etc/ssh/sshd_config".to_vec()];
        let bases = [b"/etc/ssh/sshd_config.d".to_vec()];
        let walk = Walk { bases: &bases, depth: Some(1), one_file_system: false, enters: &|_| false };
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
