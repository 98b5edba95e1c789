//! This machine, or a tree that lies in it (`--root`): a mounted image, or a made-up host of a test.

use super::{COMPLAINTS, Each, Facts, Fetched, Found, Host, Kind, ProcTree, Ran, Walk};
use super::{PROCESS_FILES, PROCESS_LINKS, SOCKET_LISTS};
use crate::catalog::Keep;
use portreeve_model::EventTime;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Local {
    root: PathBuf,
    /// The running machine: commands tell about it, and about no other tree.
    live: bool,
    cores: f32,
}

/// A path that goes on for ever is not worth a stack.
const DEEPEST: u32 = 200;

/// Links followed for one path, as the kernel does.
const LINKS: usize = 40;

/// Where programs of the system lie; the caller's own PATH may name an intruder's folder.
const PROGRAMS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

impl Local {
    pub(crate) fn new(root: &Path) -> io::Result<Local> {
        let root = root.canonicalize()?;
        let live = root == Path::new("/");
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Ok(Local { root, live, cores: f32::from(u16::try_from(cores).unwrap_or(u16::MAX)) })
    }

    /// Where a path of the host lies on this machine.
    fn real(&self, path: &[u8]) -> PathBuf {
        let below: &[u8] = path.strip_prefix(b"/").unwrap_or(path);
        self.root.join(OsStr::from_bytes(below))
    }

    fn stat(&self, path: &[u8]) -> io::Result<(Found, (u32, u32))> {
        let real = self.real(path);
        let stat = rustix::fs::statx(
            rustix::fs::CWD,
            &real,
            AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
            StatxFlags::BASIC_STATS | StatxFlags::BTIME,
        )?;
        let micros = |t: rustix::fs::StatxTimestamp| {
            EventTime(t.tv_sec.saturating_mul(1_000_000).saturating_add(i64::from(t.tv_nsec / 1_000)))
        };
        let kind = match stat.stx_mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            0o120_000 => Kind::Link,
            0o010_000 => Kind::Fifo,
            0o140_000 => Kind::Socket,
            0o020_000 => Kind::Character,
            0o060_000 => Kind::Block,
            _ => Kind::Other,
        };
        let link = match kind {
            Kind::Link => std::fs::read_link(&real).ok().map(|p| p.into_os_string().into_vec()),
            _ => None,
        };
        let born = (stat.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| micros(stat.stx_btime));
        let found = Found {
            path: path.to_vec(),
            kind,
            mode: u32::from(stat.stx_mode) & 0o7_777,
            inode: stat.stx_ino,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            accessed: micros(stat.stx_atime),
            modified: micros(stat.stx_mtime),
            changed: micros(stat.stx_ctime),
            born,
            link,
        };
        Ok((found, (stat.stx_dev_major, stat.stx_dev_minor)))
    }

    fn walk_in(
        &self,
        folder: &[u8],
        left: u32,
        device: (u32, u32),
        walk: &Walk<'_>,
        each: Each<'_>,
        problems: &mut Vec<String>,
    ) -> bool {
        if left == 0 || folder.len() > 4_000 {
            return true;
        }
        let entries = match std::fs::read_dir(self.real(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(error) => {
                complain(problems, format!("{}: {error}", String::from_utf8_lossy(folder)));
                return true;
            }
        };
        let mut names: Vec<Vec<u8>> =
            entries.filter_map(|e| e.ok().map(|e| e.file_name().into_vec())).collect();
        names.sort_unstable();
        for name in names {
            let mut path = folder.to_vec();
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            let Ok((found, on)) = self.stat(&path) else { continue };
            let into = found.kind == Kind::Folder;
            if !each(found) {
                return false;
            }
            let may = into && (walk.enters)(&path) && (!walk.one_file_system || on == device);
            if may && !self.walk_in(&path, left - 1, device, walk, each, problems) {
                return false;
            }
        }
        true
    }

    /// Opens for reading without leaving a trace where that is allowed.
    fn open(&self, path: &[u8], flags: OFlags) -> io::Result<(File, bool)> {
        let real = self.real(path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | flags;
        // Only the owner and root may read without a trace.
        match rustix::fs::open(&real, flags | OFlags::NOATIME, Mode::empty()) {
            Ok(fd) => Ok((File::from(fd), false)),
            Err(rustix::io::Errno::PERM) => Ok((rustix::fs::open(&real, flags, Mode::empty())?.into(), true)),
            Err(error) => Err(error.into()),
        }
    }

    fn proc_file(&self, below: &str, most: u64) -> Option<Vec<u8>> {
        let file = File::open(self.real(format!("/proc/{below}").as_bytes())).ok()?;
        let mut bytes = Vec::new();
        // A process may end while it is read; what came is kept.
        let read = file.take(most).read_to_end(&mut bytes);
        (read.is_ok() || !bytes.is_empty()).then_some(bytes)
    }

    fn proc_link(&self, below: &str) -> Option<Vec<u8>> {
        let target = std::fs::read_link(self.real(format!("/proc/{below}").as_bytes())).ok()?;
        Some(target.into_os_string().into_vec())
    }
}

fn complain(problems: &mut Vec<String>, text: String) {
    if problems.len() < 100 {
        problems.push(text);
    }
}

impl Host for Local {
    fn facts(&mut self) -> Facts {
        let text = |bytes: Option<Vec<u8>>| {
            bytes.map(|b| String::from_utf8_lossy(&b).trim().to_owned()).filter(|t| !t.is_empty())
        };
        let uname = rustix::system::uname();
        let said = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
        let machine_id = text(self.small(b"/etc/machine-id"));
        let hostname = text(self.small(b"/etc/hostname"));
        Facts {
            name: if self.live { said(uname.nodename()) } else { hostname.unwrap_or_default() },
            kernel: if self.live { said(uname.release()) } else { String::new() },
            machine: if self.live { said(uname.machine()) } else { String::new() },
            machine_id,
            uid: Some(rustix::process::getuid().as_raw()),
            transport: if self.live {
                "local".to_owned()
            } else {
                format!("tree {}", self.root.to_string_lossy())
            },
            host_key: None,
            clock_ahead_ms: self.live.then_some(0),
            clock_uncertainty_ms: self.live.then_some(0),
            clock_kept: (self.live && Path::new("/run/systemd/timesync/synchronized").exists())
                .then(|| "systemd-timesyncd says that it is".to_owned()),
        }
    }

    fn find(&mut self, walk: &Walk<'_>, each: Each<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for (asked, depth) in walk.bases {
            let Some(base) = self.resolve(asked) else { continue };
            let Ok((found, device)) = self.stat(&base) else { continue };
            if found.kind != Kind::Folder {
                continue;
            }
            // Names are shown as they were asked for, also where a folder on the way is a link.
            let shown = base != *asked;
            let mut rename = |mut found: Found| {
                if shown && let Some(rest) = found.path.strip_prefix(base.as_slice()) {
                    found.path = [asked, rest].concat();
                }
                each(found)
            };
            let enters = |path: &[u8]| match path.strip_prefix(base.as_slice()) {
                Some(rest) if shown => (walk.enters)(&[asked, rest].concat()),
                _ => (walk.enters)(path),
            };
            let inner = Walk { enters: &enters, ..*walk };
            let left = depth.unwrap_or(DEEPEST);
            if !self.walk_in(&base, left, device, &inner, &mut rename, &mut problems) {
                break;
            }
        }
        problems
    }

    fn look(&mut self, path: &[u8]) -> Option<Found> {
        self.stat(path).ok().map(|(found, _)| found)
    }

    fn hashes(&mut self, files: &[Found], most: u64, ends: Instant) -> Vec<Option<String>> {
        let one = |found: &Found| {
            if Instant::now() >= ends {
                return None;
            }
            let (file, _) = self.open(&found.path, OFlags::NOFOLLOW).ok()?;
            let meta = file.metadata().ok().filter(|m| m.is_file() && m.len() <= most)?;
            crate::work::digest(&mut file.take(meta.len())).ok().map(|(hash, _)| hash)
        };
        files.iter().map(one).collect()
    }

    fn resolve(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let mut todo: Vec<Vec<u8>> =
            path.split(|b| *b == b'/').filter(|p| !p.is_empty()).rev().map(<[u8]>::to_vec).collect();
        let (mut at, mut links) = (Vec::<u8>::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    let end = at.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    at.truncate(end);
                    continue;
                }
                _ => {}
            }
            let mut next = at.clone();
            next.push(b'/');
            next.extend_from_slice(&part);
            match std::fs::symlink_metadata(self.real(&next)) {
                Ok(meta) if meta.is_symlink() => {
                    links += 1;
                    let target = std::fs::read_link(self.real(&next)).ok()?.into_os_string().into_vec();
                    if links > LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    todo.extend(
                        target.split(|b| *b == b'/').filter(|p| !p.is_empty()).rev().map(<[u8]>::to_vec),
                    );
                }
                Ok(_) => at = next,
                Err(_) => return None,
            }
        }
        Some(if at.is_empty() { b"/".to_vec() } else { at })
    }

    fn fetch(&mut self, found: &Found, keep: Keep, most: u64, to: &mut dyn Write) -> Result<Fetched, String> {
        let (mut file, touched) = self.open(&found.path, OFlags::NOFOLLOW).map_err(|e| e.to_string())?;
        let meta = file.metadata().map_err(|e| e.to_string())?;
        if !meta.is_file() {
            return Err("not a regular file".to_owned());
        }
        let there = meta.len();
        if keep == Keep::End && there > most {
            file.seek(SeekFrom::Start(there - most)).map_err(|e| e.to_string())?;
        }
        // What is appended while it is read belongs to no moment; kernel files say that they are empty.
        let end = if there == 0 { most } else { there.min(most) };
        let taken = io::copy(&mut file.take(end), to).map_err(|e| e.to_string())?;
        Ok(Fetched { there: there.max(taken), taken, access_time_touched: touched })
    }

    fn run(&mut self, words: &[String], seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
        if !self.live {
            let reason =
                Some("not run: a command would tell about this machine, not about the tree".to_owned());
            return Ran { reason, ..Ran::default() };
        }
        let Some((name, rest)) = words.split_first() else { return Ran::default() };
        let Some(program) = PROGRAMS.iter().map(|d| Path::new(d).join(name)).find(|p| p.is_file()) else {
            let reason = Some("not on this host".to_owned());
            return Ran { missing: true, reason, ..Ran::default() };
        };
        let mut command = Command::new(program);
        command.args(rest).env_clear();
        command
            .env("PATH", PROGRAMS.join(":"))
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("HOME", "/nonexistent");
        command.env("PAGER", "cat").env("TERM", "dumb").env("COLUMNS", "512");
        command.current_dir("/");
        bounded(command, seconds, most, to)
    }

    fn processes(&mut self) -> ProcTree {
        let mut tree = ProcTree::default();
        let list = match std::fs::read_dir(self.real(b"/proc")) {
            Ok(list) => list,
            Err(error) => {
                tree.problems.push(format!("/proc: {error}"));
                return tree;
            }
        };
        let mut pids: Vec<u32> =
            list.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        for name in ["stat", "uptime"] {
            if let Some(bytes) = self.proc_file(name, 1 << 20) {
                tree.files.insert(name.to_owned(), bytes);
            }
        }
        let own = self.proc_link("self/ns/net");
        let mut spaces = std::collections::BTreeSet::from([own.unwrap_or_default()]);
        for list in SOCKET_LISTS {
            if let Some(bytes) = self.proc_file(list, 64 << 20) {
                tree.files.insert(list.to_owned(), bytes);
            }
        }
        for pid in pids {
            for name in PROCESS_FILES {
                let below = format!("{pid}/{name}");
                if let Some(bytes) = self.proc_file(&below, 256 << 10) {
                    tree.files.insert(below, bytes);
                }
            }
            for name in PROCESS_LINKS {
                let below = format!("{pid}/{name}");
                if let Some(target) = self.proc_link(&below) {
                    tree.links.insert(below, target);
                }
            }
            let space = tree.links.get(&format!("{pid}/ns/net")).cloned();
            if self.live && space.is_some_and(|s| spaces.insert(s)) {
                for list in SOCKET_LISTS {
                    let below = format!("{pid}/{list}");
                    if let Some(bytes) = self.proc_file(&below, 64 << 20) {
                        tree.files.insert(below, bytes);
                    }
                }
            }
            let Ok(open) = std::fs::read_dir(self.real(format!("/proc/{pid}/fd").as_bytes())) else {
                continue;
            };
            for entry in open.flatten() {
                if let Ok(target) = std::fs::read_link(entry.path())
                    && let Some(inode) = socket_inode(target.as_os_str().as_bytes())
                {
                    tree.sockets.push((pid, inode));
                }
            }
        }
        tree.sockets.sort_unstable();
        tree.sockets.dedup();
        tree
    }

    fn load(&mut self) -> Option<f32> {
        let text = self.live.then(|| self.proc_file("loadavg", 128)).flatten()?;
        let first = String::from_utf8_lossy(&text).split(' ').next()?.parse::<f32>().ok()?;
        Some(first / self.cores)
    }

    fn running_program(&mut self, pid: u32, most: u64, to: &mut dyn Write) -> Result<Fetched, String> {
        // The link leads to the file's own inode even where its name is gone.
        let (file, _) =
            self.open(format!("/proc/{pid}/exe").as_bytes(), OFlags::empty()).map_err(|e| e.to_string())?;
        let there = file.metadata().map_err(|e| e.to_string())?.len();
        let taken = io::copy(&mut file.take(most), to).map_err(|e| e.to_string())?;
        Ok(Fetched { there, taken, access_time_touched: false })
    }
}

/// `socket:[123]`.
pub(crate) fn socket_inode(target: &[u8]) -> Option<u64> {
    let number = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Runs a command within bounds of time and output, in a process group of its own, which is ended with it.
pub(crate) fn bounded(command: Command, seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
    fed(command, b"", seconds, most, to)
}

/// The same, with a line or two on its standard input: no more than a pipe takes at once.
pub(crate) fn fed(mut command: Command, input: &[u8], seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
    let mut ran = Ran::default();
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            ran.missing = error.kind() == io::ErrorKind::NotFound;
            ran.reason = Some(error.to_string());
            return ran;
        }
    };
    if let Some(mut stdin) = child.stdin.take() {
        // Who has ended already is asked for its status below.
        drop(stdin.write_all(input));
    }
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { return ran };
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let end = || group.map(|g| rustix::process::kill_process_group(g, rustix::process::Signal::KILL));
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let (send, receive) = std::sync::mpsc::sync_channel::<Vec<u8>>(8);
    std::thread::scope(|scope| {
        let complaints = scope.spawn(move || {
            let mut err = err;
            let mut kept = Vec::new();
            let read = (&mut err).take(COMPLAINTS as u64).read_to_end(&mut kept);
            // The rest is read and dropped, so that nobody waits for us.
            drop((read, io::copy(&mut err, &mut io::sink())));
            kept
        });
        scope.spawn(move || {
            let mut out = out;
            let mut block = vec![0; 64 << 10];
            while let Ok(n) = out.read(&mut block) {
                if n == 0 || send.send(block.get(..n).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut left = most;
        let mut stopped = None;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            match receive.recv_timeout(wait) {
                Ok(block) => {
                    let n = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    left -= n as u64;
                    if let Err(error) = to.write_all(block.get(..n).unwrap_or_default()) {
                        stopped = Some(format!("output could not be kept: {error}"));
                    } else if n < block.len() {
                        stopped = Some(format!("ended: more than {most} bytes of output"));
                        ran.cut = true;
                    } else {
                        continue;
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    stopped = Some(format!("ended: it took longer than {seconds} s"));
                    ran.cut = true;
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {}
            }
            break;
        }
        // The output may be closed by a command that goes on.
        while stopped.is_none() && matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                stopped = Some(format!("ended: it took longer than {seconds} s"));
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if stopped.is_some() {
            end();
        }
        drop(receive);
        match child.wait() {
            Ok(status) if stopped.is_none() => {
                ran.exit = status.code();
                ran.reason = status.signal().map(|s| format!("ended by signal {s}"));
                // A grandchild that keeps the pipe open would keep us.
                end();
            }
            Ok(_) => ran.reason = stopped,
            Err(error) => ran.reason = Some(error.to_string()),
        }
        if let Ok(kept) = complaints.join() {
            ran.stderr = String::from_utf8_lossy(&kept).into_owned();
        }
    });
    ran
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Local) {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |p: &str| dir.path().join(p);
        std::fs::create_dir_all(at("etc/ssh")).expect("made");
        std::fs::create_dir_all(at("usr/lib")).expect("made");
        std::fs::write(at("etc/passwd"), "root").expect("written");
        std::fs::write(at("usr/lib/real"), "0123456789").expect("written");
        symlink("/usr/lib/real", at("etc/absolute")).expect("a link");
        symlink("../../../../../../usr/lib/real", at("etc/upwards")).expect("a link");
        symlink("loop2", at("etc/loop1")).expect("a link");
        symlink("loop1", at("etc/loop2")).expect("a link");
        symlink("/usr/lib", at("lib")).expect("a link");
        let host = Local::new(dir.path()).expect("a tree");
        (dir, host)
    }

    #[test]
    fn links_stay_within_the_tree() {
        let (_dir, mut host) = tree();
        for path in ["/etc/absolute", "/etc/upwards", "/lib/real", "/etc/../lib/real"] {
            assert_eq!(host.resolve(path.as_bytes()).as_deref(), Some(&b"/usr/lib/real"[..]), "{path}");
        }
        assert_eq!(host.resolve(b"/etc/loop1"), None);
        assert_eq!(host.resolve(b"/etc/none"), None);
    }

    #[test]
    fn a_link_is_never_read_through() {
        let (_dir, mut host) = tree();
        let link = Found::named(b"/etc/absolute".to_vec());
        assert!(host.fetch(&link, Keep::Beginning, 100, &mut Vec::new()).is_err());
    }

    #[test]
    fn beginning_or_end_of_a_large_file() {
        let (_dir, mut host) = tree();
        let file = Found::named(b"/usr/lib/real".to_vec());
        let mut read = |keep, most| {
            let mut to = Vec::new();
            let fetched = host.fetch(&file, keep, most, &mut to).expect("read");
            assert_eq!((fetched.there, fetched.taken), (10, to.len() as u64));
            String::from_utf8(to).expect("text")
        };
        assert_eq!(read(Keep::Beginning, 4), "0123");
        assert_eq!(read(Keep::End, 4), "6789");
        assert_eq!(read(Keep::End, 40), "0123456789");
    }

    #[test]
    fn a_walk_names_what_it_was_asked_for_and_enters_no_link() {
        let (_dir, mut host) = tree();
        let mut seen = Vec::new();
        let mut see = |base: &[u8]| {
            seen.clear();
            let walk = Walk { bases: &[(base.to_vec(), None)], one_file_system: true, enters: &|_| true };
            host.find(&walk, &mut |f| {
                seen.push(String::from_utf8(f.path).expect("text"));
                true
            });
            seen.clone()
        };
        assert_eq!(see(b"/lib"), ["/lib/real"]);
        let all = see(b"/");
        assert!(all.contains(&"/lib".to_owned()) && !all.contains(&"/lib/real".to_owned()), "{all:?}");
    }

    fn run(words: &[&str], seconds: u64, most: u64) -> (Ran, Vec<u8>) {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        let mut out = Vec::new();
        let ran = bounded(command, seconds, most, &mut out);
        (ran, out)
    }

    #[test]
    fn commands_are_bounded() {
        let (ran, out) = run(&["/bin/echo", "x"], 10, 100);
        assert_eq!((ran.exit, out.as_slice()), (Some(0), &b"x\n"[..]));
        let (ran, out) = run(&["/usr/bin/yes"], 10, 1_000);
        assert!(ran.cut && ran.exit.is_none() && out.len() == 1_000, "{ran:?}");
        let (ran, _) = run(&["/bin/sleep", "60"], 1, 100);
        assert!(ran.reason.is_some_and(|r| r.contains("longer than 1 s")));
        let (ran, _) = run(&["/no/such/program"], 1, 100);
        assert!(ran.missing && ran.exit.is_none());
        let (ran, _) = run(&["/bin/cat", "/no/such/file"], 10, 100);
        assert!(ran.exit == Some(1) && ran.stderr.contains("No such file"), "{ran:?}");
    }
}
