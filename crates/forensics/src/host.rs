//! A host as a collection sees it: this machine (or a tree that is mounted somewhere), or another one over SSH.

pub(crate) mod local;
pub(crate) mod shell;
pub(crate) mod ssh;

use crate::catalog::Keep;
use portreeve_model::EventTime;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

/// Something that lies in a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permissions with set-user-ID, set-group-ID and sticky.
    pub(crate) mode: u32,
    pub(crate) inode: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) accessed: EventTime,
    pub(crate) modified: EventTime,
    pub(crate) changed: EventTime,
    /// Where the file system keeps it.
    pub(crate) born: Option<EventTime>,
    /// What a symbolic link says.
    pub(crate) link: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Fifo,
    Socket,
    Character,
    Block,
    Other,
}

impl Kind {
    /// The letter of `ls -l`.
    pub(crate) fn letter(self) -> char {
        match self {
            Kind::File => '-',
            Kind::Folder => 'd',
            Kind::Link => 'l',
            Kind::Fifo => 'p',
            Kind::Socket => 's',
            Kind::Character => 'c',
            Kind::Block => 'b',
            Kind::Other => '?',
        }
    }
}

/// What came of reading one file.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Size on the host.
    pub(crate) there: u64,
    pub(crate) taken: u64,
    /// Reading could not be hidden from the file's time of last access.
    pub(crate) access_time_touched: bool,
}

/// What came of running a command.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// `None` where it could not run or was ended.
    pub(crate) exit: Option<i32>,
    /// Why there is no exit code.
    pub(crate) reason: Option<String>,
    /// The program is not on the host.
    pub(crate) missing: bool,
    /// The beginning of what it complained about.
    pub(crate) stderr: String,
    /// Output was cut.
    pub(crate) cut: bool,
}

/// Bytes of a command's complaints that are kept.
pub(crate) const COMPLAINTS: usize = 4 << 10;

/// What is said about the host in manifest and custody log.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    pub name: String,
    pub kernel: String,
    pub machine: String,
    /// Of /etc/machine-id.
    pub machine_id: Option<String>,
    /// Under whom the collection reads.
    pub uid: Option<u32>,
    /// `local`, or `ssh user@host:port`.
    pub transport: String,
    /// The host key that was pinned.
    pub host_key: Option<String>,
    /// The host's clock less the collector's, in milliseconds, and how exact that is.
    pub clock_ahead_ms: Option<i64>,
    pub clock_uncertainty_ms: Option<i64>,
    /// The kernel says that the clock is kept, or a program that keeps it says by how much it is off.
    pub clock_kept: Option<String>,
}

/// The part of /proc that is read: files and links by their path below /proc.
#[derive(Debug, Default)]
pub(crate) struct ProcTree {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) links: BTreeMap<String, Vec<u8>>,
    /// Process and the inode of a socket it holds.
    pub(crate) sockets: Vec<(u32, u64)>,
    pub(crate) problems: Vec<String>,
}

/// Files of a process that are read.
pub(crate) const PROCESS_FILES: [&str; 7] =
    ["stat", "status", "cmdline", "environ", "cgroup", "loginuid", "sessionid"];
pub(crate) const PROCESS_LINKS: [&str; 5] = ["exe", "cwd", "root", "ns/net", "ns/mnt"];
/// Lists of sockets, in the network namespace of the collector and of every other that a process is in.
pub(crate) const SOCKET_LISTS: [&str; 7] =
    ["net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/raw", "net/raw6", "net/packet"];

/// How far a walk goes.
pub(crate) struct Walk<'w> {
    /// Where to begin, and how many levels below it; `None` for all. What is not there is passed over.
    pub(crate) bases: &'w [(Vec<u8>, Option<u32>)],
    /// Do not go into other file systems.
    pub(crate) one_file_system: bool,
    /// Whether to go into this folder; another host may be asked for more than this says.
    pub(crate) enters: &'w dyn Fn(&[u8]) -> bool,
}

/// Takes what a walk finds, until it returns false.
pub(crate) type Each<'e> = &'e mut dyn FnMut(Found) -> bool;

/// Takes the files of a [`Host::fetch_all`], until it returns false.
pub(crate) type EachFile<'e> = &'e mut dyn FnMut(usize, Result<Fetched, String>, &[u8]) -> bool;

/// Where a link leads, once all links on the way are followed, and what lies there; `None` where nothing does.
pub(crate) type Followed = Option<(Vec<u8>, Option<Found>)>;

pub(crate) trait Host {
    fn facts(&mut self) -> Facts;

    /// Walks, folders before what is in them. Gives what could not be read.
    fn find(&mut self, walk: &Walk<'_>, each: Each<'_>) -> Vec<String>;

    /// What lies under a path, links not followed.
    fn look(&mut self, path: &[u8]) -> Option<Found>;

    /// SHA-256 of each regular file that is not larger than `most`, in their order.
    fn hashes(&mut self, files: &[Found], most: u64, ends: Instant) -> Vec<Option<String>>;

    /// Where each link leads, in their order.
    fn follow(&mut self, links: &[&Found], _ends: Instant) -> Vec<Followed> {
        let one = |link: &&Found| {
            let target = self.resolve(&link.path)?;
            let real = self.look(&target);
            Some((target, real))
        };
        links.iter().map(one).collect()
    }

    /// Where a path leads once links are followed, if it leads to something.
    fn resolve(&mut self, path: &[u8]) -> Option<Vec<u8>>;

    /// Reads at most `most` bytes of a regular file; its last ones where `keep` says so. Never follows a link.
    fn fetch(&mut self, found: &Found, keep: Keep, most: u64, to: &mut dyn Write) -> Result<Fetched, String>;

    /// The largest file that is worth being asked for together with others; 0 where one alone costs the same.
    fn together(&self) -> u64 {
        0
    }

    /// Reads files whole, each of at most `most` bytes, in their order. Whether all were answered before time was up
    /// or `each` had enough.
    fn fetch_all(&mut self, files: &[Found], most: u64, _ends: Instant, each: EachFile<'_>) -> bool {
        files.iter().enumerate().all(|(n, found)| {
            let mut bytes = Vec::new();
            let fetched = self.fetch(found, Keep::Beginning, most, &mut bytes);
            each(n, fetched, &bytes)
        })
    }

    fn run(&mut self, words: &[String], seconds: u64, most: u64, to: &mut dyn Write) -> Ran;

    fn processes(&mut self) -> ProcTree;

    /// Load of the last minute, where it is worth looking at.
    fn load(&mut self) -> Option<f32>;

    /// A program that runs although its file is gone: the bytes it runs, at most `most`.
    fn running_program(&mut self, pid: u32, most: u64, to: &mut dyn Write) -> Result<Fetched, String>;

    /// A small file whole, or nothing.
    fn small(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let path = self.resolve(path)?;
        let found = Found::named(path);
        let mut bytes = Vec::new();
        self.fetch(&found, Keep::Beginning, 1 << 20, &mut bytes).ok()?;
        Some(bytes)
    }
}

impl Found {
    /// A file of which only the name is known.
    pub(crate) fn named(path: Vec<u8>) -> Found {
        Found {
            path,
            kind: Kind::File,
            mode: 0,
            inode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            accessed: EventTime(0),
            modified: EventTime(0),
            changed: EventTime(0),
            born: None,
            link: None,
        }
    }
}
