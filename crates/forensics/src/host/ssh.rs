//! Another host over the system's OpenSSH client. Nothing is installed there: commands of the catalogue run, files come
//! by head and tail, lists by find with NUL between fields, which no name can forge. One connection carries all.

use super::local::{bounded, fed, socket_inode};
use super::shell::ShellCommand;
use super::{Each, EachFile, Facts, Fetched, Followed, Found, Host, ProcTree, Ran, Walk};
use super::{PROCESS_FILES, SOCKET_LISTS};
use crate::catalog::Keep;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod batch;
mod rows;

use batch::{Item, Task};
use rows::{FIELDS, Fields, found, seconds};

/// How the host is reached. Kept in the journal, so that a collection can be resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTarget {
    pub user: String,
    pub host: String,
    pub port: u16,
    /// `ssh-ed25519 AAAA…`, or `SHA256:…` of the key.
    pub host_key: String,
    pub identity: Option<PathBuf>,
    /// A configuration of the client, for jump hosts; without one, none is read.
    pub config: Option<PathBuf>,
    /// Run everything through `sudo -n`.
    pub sudo: bool,
}

impl SshTarget {
    /// `user@host`, `user@host:port`, `user@[2001:db8::1]:port`.
    pub fn parse(text: &str, host_key: &str) -> Result<SshTarget> {
        let wrong = |why: &str| Error::usage(format!("`{text}`: {why}; write user@host or user@host:port"));
        let (user, rest) = text.split_once('@').ok_or_else(|| wrong("it names no user"))?;
        let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match rest.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => return Err(wrong("IPv6 goes into brackets")),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Ok(22), str::parse).map_err(|_| wrong("the port is no number"))?;
        let plain = |t: &str, more: &str| {
            !t.is_empty()
                && !t.starts_with('-')
                && t.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !plain(user, "._-$\\") {
            return Err(wrong("the user's name has characters that no account has"));
        }
        if !plain(host, ".-_:%") {
            return Err(wrong("the host's name has characters that no host has"));
        }
        Ok(SshTarget {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
            host_key: host_key.trim().to_owned(),
            identity: None,
            config: None,
            sudo: false,
        })
    }
}

/// The largest file that is read together with others. An answer is held in memory.
const TOGETHER: u64 = 1 << 20;
/// The kernel counts the load anew every five seconds.
const LOAD_KEEPS: Duration = Duration::from_secs(2);

/// Walks: what is printed, whether other file systems are entered, then depth and base of each. Who is ended by a signal
/// has nobody who listens any more. What is not there is passed over before the room for complaints is full of it.
const WALK: &str = "f=$1 x=$2; shift 2; exec 3>&1; { while [ $# -gt 1 ]; do \
    find -H \"$2\" $x -mindepth 1 ${1:+-maxdepth $1} -printf \"$f\" || [ $? -lt 128 ] || exit 1; shift 2; \
    done; } 2>&1 >&3 3>&- | grep -v ': No such file or directory$' >&2";

/// The name under which the key is pinned, whatever the host is called.
const ALIAS: &str = "portreeve-pinned";

/// `type base64`, checked. A comment behind it is left out.
fn public_key(text: &str) -> Option<(String, Vec<u8>)> {
    let mut words = text.split_ascii_whitespace();
    let (kind, data) = (words.next()?, words.next()?);
    let known =
        ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    let blob = STANDARD.decode(data).ok()?;
    // The blob names its own type.
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?);
    let named = blob.get(4..4 + usize::try_from(length).ok()?)?;
    (known.contains(&kind) && named == kind.as_bytes()).then(|| (format!("{kind} {data}"), blob))
}

pub(crate) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

pub(crate) struct Remote {
    target: SshTarget,
    pinned: String,
    dir: tempfile::TempDir,
    master: Child,
    timeout: bool,
    cores: f32,
    load: Option<(f32, Instant)>,
}

impl Remote {
    pub(crate) fn connect(target: &SshTarget) -> Result<Remote> {
        let dir =
            tempfile::Builder::new().prefix("pr").tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let shown = dir.path().display().to_string();
        // The path is read by ssh's own parser of options.
        if !shown.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) || shown.len() > 60 {
            return Err(Error::usage(format!("{shown}: ssh cannot use this temporary folder; set TMPDIR")));
        }
        let key = pin(target)?;
        let pinned = public_key(&key).map(|(_, blob)| fingerprint(&blob)).unwrap_or_default();
        let known = dir.path().join("known_hosts");
        std::fs::write(&known, format!("{ALIAS} {key}\n")).map_err(Error::file(&known))?;
        let said = dir.path().join("said");
        let complaints = std::fs::File::create(&said).map_err(Error::file(&said))?;
        let mut command = client(target, dir.path());
        command.args(["-o", "ControlMaster=yes", "-N", "--"]).arg(&target.host);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints).process_group(0);
        let master = command.spawn().map_err(|e| Error::Host(format!("ssh: {e}")))?;
        let mut remote =
            Remote { target: target.clone(), pinned, dir, master, timeout: false, cores: 1.0, load: None };
        let begun = Instant::now();
        while !remote.dir.path().join("s").exists() {
            let ended = remote.master.try_wait().ok().flatten().is_some();
            if ended || begun.elapsed() > Duration::from_secs(40) {
                let text = std::fs::read(&said).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).trim().to_owned();
                let why = if text.is_empty() { "no connection within 40 s".to_owned() } else { text };
                return Err(Error::Host(format!("{}: {why}", remote.name())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        remote.timeout = remote.text(&["timeout", "5", "true"]).is_some();
        if let Some(cores) = remote.text(&["nproc"]).and_then(|t| t.parse::<f32>().ok()) {
            remote.cores = cores.max(1.0);
        }
        if remote.text(&["true"]).is_none() {
            return Err(Error::Host(format!("{}: commands do not run there", remote.name())));
        }
        Ok(remote)
    }

    fn name(&self) -> String {
        format!("{}@{}:{}", self.target.user, self.target.host, self.target.port)
    }

    fn words(&self, words: &[&[u8]], seconds: u64) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        if self.target.sudo {
            all.extend(["sudo", "-n", "--"].map(|w| w.as_bytes().to_vec()));
        }
        let fixed = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C",
            "TZ=UTC",
            "HOME=/nonexistent",
            "TERM=dumb",
            "COLUMNS=512",
            "nice",
            "-n",
            "19",
        ];
        all.extend(fixed.map(|w| w.as_bytes().to_vec()));
        if self.timeout {
            let seconds = seconds.saturating_add(2).to_string();
            all.extend(["timeout", "-k", "5", &seconds].map(|w| w.as_bytes().to_vec()));
        }
        all.extend(words.iter().map(|w| w.to_vec()));
        all
    }

    fn bounded(&mut self, words: &[&[u8]], seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
        self.fed(words, b"", seconds, most, to)
    }

    fn fed(&mut self, words: &[&[u8]], input: &[u8], seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
        let text = match ShellCommand::new(&self.words(words, seconds)) {
            Ok(text) => text,
            Err(error) => return Ran { reason: Some(error.to_string()), ..Ran::default() },
        };
        let mut command = client(&self.target, self.dir.path());
        command.args(["-o", "ControlMaster=no", "--"]).arg(&self.target.host);
        command.arg(OsStr::from_bytes(text.as_bytes()));
        let mut ran = fed(command, input, seconds, most, to);
        match ran.exit {
            Some(127) => {
                ran = Ran { missing: true, reason: Some("not on this host".to_owned()), ..Ran::default() };
            }
            Some(255) => {
                ran.exit = None;
                ran.reason = Some(format!("the connection failed: {}", ran.stderr.trim()));
            }
            _ => {}
        }
        ran
    }

    /// A short answer, if the command succeeds.
    fn text(&mut self, words: &[&str]) -> Option<String> {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        let mut to = Vec::new();
        let ran = self.bounded(&words, 20, 64 << 10, &mut to);
        (ran.exit == Some(0)).then(|| String::from_utf8_lossy(&to).trim().to_owned())
    }

    /// Fields with NUL behind each, in rows of `width`.
    fn rows(
        &mut self,
        words: &[&[u8]],
        seconds: u64,
        width: usize,
        each: &mut dyn FnMut(&[Vec<u8>]) -> bool,
    ) -> Ran {
        let mut fields = Fields::new(width, each);
        let mut ran = self.bounded(words, seconds, 8 << 30, &mut fields);
        if fields.full {
            ran.reason = None;
        }
        ran
    }
}

impl Remote {
    /// What lies under paths, links not followed.
    fn look_at(&mut self, paths: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Found> {
        let mut lies = BTreeMap::new();
        let mut rest = paths;
        while !rest.is_empty() {
            let (paths, later) = rest.split_at(batch::fitting(rest.iter().map(Vec::as_slice)));
            rest = later;
            let mut words: Vec<&[u8]> = vec![b"find", b"-P"];
            words.extend(paths.iter().map(Vec::as_slice));
            words.extend([&b"-maxdepth"[..], b"0", b"-printf", FIELDS.as_bytes()]);
            self.rows(&words, 20, 12, &mut |row| {
                lies.extend(found(row).map(|f| (f.path.clone(), f)));
                true
            });
        }
        lies
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The connection carries nothing any more.
        drop((self.master.kill(), self.master.wait()));
    }
}

/// The key to pin: as given, or the one of the host that has the fingerprint that was given.
fn pin(target: &SshTarget) -> Result<String> {
    if let Some((line, _)) = public_key(&target.host_key) {
        return Ok(line);
    }
    if !target.host_key.starts_with("SHA256:") {
        return Err(Error::usage(
            "--host-key takes `ssh-ed25519 AAAA…` (a line of /etc/ssh/ssh_host_ed25519_key.pub) or `SHA256:…`",
        ));
    }
    let wanted = target.host_key.trim_end_matches('=');
    let mut command = Command::new("ssh-keyscan");
    command.args(["-T", "10", "-p", &target.port.to_string(), "--"]).arg(&target.host);
    let mut said = Vec::new();
    let ran = bounded(command, 30, 1 << 20, &mut said);
    let said = String::from_utf8_lossy(&said);
    let mut seen = Vec::new();
    for line in said.lines().filter(|l| !l.starts_with('#')) {
        let Some((key, blob)) = line.split_once(' ').and_then(|(_, key)| public_key(key)) else { continue };
        if fingerprint(&blob) == wanted {
            return Ok(key);
        }
        seen.push(fingerprint(&blob));
    }
    Err(Error::Host(if seen.is_empty() {
        format!("{}: no host key could be read: {}", target.host, ran.stderr.trim())
    } else {
        format!("{} has none of the keys {wanted}, but {}", target.host, seen.join(", "))
    }))
}

/// The client with all that keeps the other side from reaching us.
fn client(target: &SshTarget, dir: &Path) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(target.config.as_deref().unwrap_or(Path::new("none")));
    for (option, value) in [
        ("UserKnownHostsFile", dir.join("known_hosts").display().to_string()),
        ("ControlPath", dir.join("s").display().to_string()),
        ("HostKeyAlias", ALIAS.to_owned()),
    ] {
        command.arg("-o").arg(format!("{option}={value}"));
    }
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "CheckHostIP=no",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "EscapeChar=none",
        "LogLevel=ERROR",
        "ConnectTimeout=20",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
        "ControlPersist=no",
    ] {
        command.args(["-o", option]);
    }
    if let Some(identity) = &target.identity {
        command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(identity);
    }
    command.args(["-T", "-l", &target.user, "-p", &target.port.to_string()]);
    command
}

impl Host for Remote {
    fn facts(&mut self) -> Facts {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let before = now();
        let there = self.text(&["date", "-u", "+%s.%N"]).and_then(|t| seconds(t.as_bytes()));
        let after = now();
        let middle = i64::try_from((before + after) / 2).unwrap_or(0);
        let half = i64::try_from((after - before) / 2).unwrap_or(0);
        let synchronised = self.text(&["test", "-e", "/run/systemd/timesync/synchronized"]).is_some();
        Facts {
            name: self.text(&["uname", "-n"]).unwrap_or_default(),
            kernel: self.text(&["uname", "-r"]).unwrap_or_default(),
            machine: self.text(&["uname", "-m"]).unwrap_or_default(),
            machine_id: self.text(&["cat", "/etc/machine-id"]),
            uid: self.text(&["id", "-u"]).and_then(|t| t.parse().ok()),
            transport: format!("ssh {}", self.name()),
            host_key: Some(self.pinned.clone()),
            clock_ahead_ms: there.map(|t| (t.0 - middle) / 1_000),
            clock_uncertainty_ms: there.map(|_| half / 1_000 + 1),
            clock_kept: synchronised.then(|| "systemd-timesyncd says that it is".to_owned()),
        }
    }

    fn find(&mut self, walk: &Walk<'_>, each: Each<'_>) -> Vec<String> {
        let beyond: &[u8] = if walk.one_file_system { b"-xdev" } else { b"" };
        let depths: Vec<String> =
            walk.bases.iter().map(|(_, d)| d.map_or(String::new(), |d| d.to_string())).collect();
        let mut rest: Vec<[&[u8]; 2]> =
            walk.bases.iter().zip(&depths).map(|((base, _), depth)| [depth.as_bytes(), base]).collect();
        let (mut problems, mut on) = (Vec::new(), true);
        while on && !rest.is_empty() {
            let later = rest.split_off(batch::fitting(rest.iter().map(|[_, base]| *base)));
            let mut words: Vec<&[u8]> = vec![b"sh", b"-c", WALK.as_bytes(), b"sh", FIELDS.as_bytes(), beyond];
            words.extend(rest.into_iter().flatten());
            let ran = self.rows(&words, 900, 12, &mut |row| {
                on = found(row).is_none_or(&mut *each);
                on
            });
            problems.extend(ran.reason);
            problems.extend(ran.stderr.lines().take(20).map(str::to_owned));
            rest = later;
        }
        problems
    }

    fn look(&mut self, path: &[u8]) -> Option<Found> {
        self.look_at(&[path.to_vec()]).remove(path)
    }

    fn hashes(&mut self, files: &[Found], _most: u64, ends: Instant) -> Vec<Option<String>> {
        // The sum stands before the first blank.
        let items: Vec<Item<'_>> = files.iter().map(|f| Item { path: &f.path, most: 256 }).collect();
        let mut sums = vec![None; files.len()];
        self.batch(Task::Hash, &items, ends, &mut |n, answer| {
            let sum = answer.bytes.get(..64).filter(|s| s.iter().all(u8::is_ascii_hexdigit));
            if let (Some(0), Some(sum), Some(place)) = (answer.exit, sum, sums.get_mut(n)) {
                *place = Some(String::from_utf8_lossy(sum).into_owned());
            }
            true
        });
        sums
    }

    fn follow(&mut self, links: &[&Found], ends: Instant) -> Vec<Followed> {
        let items: Vec<Item<'_>> = links.iter().map(|l| Item { path: &l.path, most: 8_192 }).collect();
        let mut targets = vec![None; links.len()];
        self.batch(Task::Resolve, &items, ends, &mut |n, answer| {
            let target = answer.bytes.strip_suffix(b"\0").unwrap_or(answer.bytes);
            if let (Some(0), true, Some(place)) = (answer.exit, target.starts_with(b"/"), targets.get_mut(n))
            {
                *place = Some(target.to_vec());
            }
            true
        });
        let known: Vec<Vec<u8>> = targets.iter().flatten().cloned().collect();
        let mut lies = self.look_at(&known);
        targets.into_iter().map(|t| t.map(|t| (t.clone(), lies.remove(&t)))).collect()
    }

    fn resolve(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let mut to = Vec::new();
        let ran = self.bounded(&[b"readlink", b"-e", b"-z", b"--", path], 20, 8_192, &mut to);
        to.pop_if(|b| *b == 0);
        (ran.exit == Some(0) && to.starts_with(b"/")).then_some(to)
    }

    fn fetch(
        &mut self,
        found: &Found,
        keep: Keep,
        most: u64,
        to: &mut dyn Write,
    ) -> std::result::Result<Fetched, String> {
        let program: &[u8] = if keep == Keep::End && found.size > most { b"tail" } else { b"head" };
        // A log grows while it is read: what was there when it was listed is what is taken.
        let end = if found.size == 0 { most } else { found.size.min(most) };
        let mut counted = Counted { to, bytes: 0 };
        let words: [&[u8]; 5] = [program, b"-c", &end.to_string().into_bytes(), b"--", &found.path];
        let ran = self.bounded(&words, 600, end, &mut counted);
        match ran.exit {
            Some(0) => {
                let taken = counted.bytes;
                Ok(Fetched { there: found.size.max(taken), taken, access_time_touched: true })
            }
            Some(_) => Err(ran.stderr.trim().to_owned()),
            None => Err(ran.reason.unwrap_or_else(|| "it could not be read".to_owned())),
        }
    }

    fn together(&self) -> u64 {
        TOGETHER
    }

    fn fetch_all(&mut self, files: &[Found], most: u64, ends: Instant, each: EachFile<'_>) -> bool {
        // A log grows while it is read: what was there when it was listed is what is taken. Files of the kernel say
        // that they are empty.
        let size = |f: &Found| if f.size == 0 { most } else { f.size.min(most) };
        let items: Vec<Item<'_>> = files.iter().map(|f| Item { path: &f.path, most: size(f) }).collect();
        self.batch(Task::Read, &items, ends, &mut |n, answer| {
            let taken = answer.bytes.len() as u64;
            let there = files.get(n).map_or(taken, |f| f.size.max(taken));
            let fetched = match answer.exit {
                Some(0) => Ok(Fetched { there, taken, access_time_touched: true }),
                _ => Err(answer.why.trim().to_owned()),
            };
            each(n, fetched, answer.bytes)
        })
    }

    fn run(&mut self, words: &[String], seconds: u64, most: u64, to: &mut dyn Write) -> Ran {
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        self.bounded(&words, seconds, most, to)
    }

    fn processes(&mut self) -> ProcTree {
        let mut tree = ProcTree::default();
        let mut pids: Vec<String> = Vec::new();
        let list: [&[u8]; 10] = [
            b"find",
            b"/proc",
            b"-mindepth",
            b"1",
            b"-maxdepth",
            b"1",
            b"-name",
            b"[0-9]*",
            b"-printf",
            b"%f\\0",
        ];
        let ran = self.rows(&list, 60, 1, &mut |row| {
            let name = row.first().and_then(|n| std::str::from_utf8(n).ok());
            pids.extend(name.filter(|n| n.parse::<u32>().is_ok()).map(str::to_owned));
            true
        });
        tree.problems.extend(ran.reason);
        let links: [&[u8]; 18] = [
            b"find",
            b"/proc",
            b"-mindepth",
            b"2",
            b"-maxdepth",
            b"3",
            b"(",
            b"-path",
            b"/proc/[0-9]*/exe",
            b"-o",
            b"-path",
            b"/proc/[0-9]*/cwd",
            b"-o",
            b"-path",
            b"/proc/[0-9]*/root",
            b"-o",
            b"-lname",
            b"socket:*",
        ];
        let more: [&[u8]; 10] = [
            b"-o",
            b"-path",
            b"/proc/[0-9]*/ns/net",
            b"-o",
            b"-path",
            b"/proc/[0-9]*/ns/mnt",
            b")",
            b"-type",
            b"l",
            b"-printf",
        ];
        let format: [&[u8]; 1] = [b"%p\\0%l\\0"];
        let words: Vec<&[u8]> = links.into_iter().chain(more).chain(format).collect();
        self.rows(&words, 120, 2, &mut |row| {
            let [path, target] = row else { return true };
            let Some(below) = std::str::from_utf8(path).ok().and_then(|p| p.strip_prefix("/proc/")) else {
                return true;
            };
            if target.is_empty() {
                return true;
            }
            if let (Some(inode), Some(pid)) =
                (socket_inode(target), below.split('/').next().and_then(|p| p.parse().ok()))
            {
                tree.sockets.push((pid, inode));
            } else {
                tree.links.insert(below.to_owned(), target.clone());
            }
            true
        });
        let mut files: Vec<String> =
            ["stat", "uptime"].into_iter().chain(SOCKET_LISTS).map(str::to_owned).collect();
        for pid in &pids {
            files.extend(PROCESS_FILES.map(|name| format!("{pid}/{name}")));
        }
        // The words of one command have to fit into 128 KiB.
        for batch in files.chunks(1_500) {
            let paths: Vec<Vec<u8>> = batch.iter().map(|f| format!("/proc/{f}").into_bytes()).collect();
            let mut words: Vec<&[u8]> = vec![b"grep", b"-saHZz", b"", b"--"];
            words.extend(paths.iter().map(Vec::as_slice));
            let ran = self.rows(&words, 120, 2, &mut |row| {
                let [path, part] = row else { return true };
                if let Some(below) = std::str::from_utf8(path).ok().and_then(|p| p.strip_prefix("/proc/")) {
                    let file = tree.files.entry(below.to_owned()).or_default();
                    file.extend_from_slice(part);
                    file.push(0);
                }
                true
            });
            tree.problems.extend(ran.reason);
        }
        tree.sockets.sort_unstable();
        tree.sockets.dedup();
        tree
    }

    fn load(&mut self) -> Option<f32> {
        if let Some((load, at)) = self.load
            && at.elapsed() < LOAD_KEEPS
        {
            return Some(load);
        }
        let text = self.text(&["cat", "/proc/loadavg"])?;
        let load = text.split(' ').next()?.parse::<f32>().ok()? / self.cores;
        self.load = Some((load, Instant::now()));
        Some(load)
    }

    fn running_program(
        &mut self,
        pid: u32,
        most: u64,
        to: &mut dyn Write,
    ) -> std::result::Result<Fetched, String> {
        let found = Found::named(format!("/proc/{pid}/exe").into_bytes());
        self.fetch(&found, Keep::Beginning, most, to)
    }
}

struct Counted<'c> {
    to: &'c mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod against_sshd;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let check = |text: &str| SshTarget::parse(text, "k").map(|t| (t.user, t.host, t.port)).ok();
        let is = |u: &str, h: &str, p| Some((u.to_owned(), h.to_owned(), p));
        assert_eq!(check("root@gw1"), is("root", "gw1", 22));
        assert_eq!(check("root@gw1:2222"), is("root", "gw1", 2222));
        assert_eq!(check("root@[2001:db8::1]:2222"), is("root", "2001:db8::1", 2222));
        let wrong =
            ["gw1", "root@", "root@-oProxyCommand=id", "-l@gw1", "root@gw1:x", "root@2001:db8::1", "r t@gw1"];
        for text in wrong {
            assert_eq!(check(text), None, "{text}");
        }
    }

    #[test]
    fn keys_name_their_own_type() {
        let mut blob = 11u32.to_be_bytes().to_vec();
        blob.extend_from_slice(b"ssh-ed25519");
        blob.extend_from_slice(&[7; 36]);
        let text = STANDARD.encode(&blob);
        assert!(
            public_key(&format!("ssh-ed25519 {text} comment")).is_some_and(|(k, _)| !k.contains("comment"))
        );
        assert!(public_key(&format!("ssh-rsa {text}")).is_none());
        assert!(public_key("ssh-ed25519 AAAA").is_none());
        assert!(
            public_key(&format!("ssh-ed25519 {text}\nx ssh-rsa AAAA"))
                .is_some_and(|(k, _)| !k.contains('\n'))
        );
    }
}
