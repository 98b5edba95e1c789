//! The directory of the feed: one state file that only we write, and the lists made from it. Writers take turns by a
//! lock; each file is replaced whole, so that a reader sees the old or the new and never half of one.

use crate::fault::Fault;
use crate::value::Net;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One of the two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    V4,
    V6,
}

impl List {
    pub const ALL: [List; 2] = [List::V4, List::V6];

    pub fn of(net: Net) -> List {
        if net.is_v4() { List::V4 } else { List::V6 }
    }

    pub fn file(self) -> &'static str {
        match self {
            List::V4 => "portreeve-ipv4.txt",
            List::V6 => "portreeve-ipv6.txt",
        }
    }
}

/// The bundle of indicators, for those who read files.
pub const BUNDLE: &str = "portreeve-stix.json";
const STATE: &str = "state.json";
const LOCK: &str = "lock";
const ACCESS: &str = "access.jsonl";
const ACCESS_OLD: &str = "access.1.jsonl";
/// Refusals are kept apart: whoever is refused shall not push the fetches of others out of the log.
const REFUSED: &str = "refused.jsonl";
const REFUSED_OLD: &str = "refused.1.jsonl";
/// An access log of this length begins anew; one older is kept.
const ACCESS_LONGEST: u64 = 4 << 20;
/// How long those who poll for indicators may take to hear of one that is gone.
const GONE_KEPT_US: i64 = 30 * 86_400 * 1_000_000;

/// An address that is blocked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub net: Net,
    pub mark: String,
    /// Microseconds since 1970, UTC, as all times here.
    pub from: i64,
    pub until: Option<i64>,
    /// When this was written or last changed; no two changes share one.
    pub at: i64,
    /// The serial of the lists that held it first.
    pub serial: u64,
}

/// An entry that is no longer in the lists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    pub entry: Entry,
    /// Taken back by us; otherwise it ran out.
    pub revoked: bool,
    pub at: i64,
    pub serial: u64,
}

/// Everything that the feed knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// Grows with each change of a list.
    pub serial: u64,
    pub created: i64,
    /// The last change.
    pub at: i64,
    /// When each list's text changed last.
    pub changed_v4: i64,
    pub changed_v6: i64,
    pub entries: Vec<Entry>,
    pub gone: Vec<Gone>,
}

impl State {
    fn new(now: i64) -> State {
        State {
            version: 1,
            serial: 0,
            created: now,
            at: now,
            changed_v4: now,
            changed_v6: now,
            entries: Vec::new(),
            gone: Vec::new(),
        }
    }

    pub fn changed(&self, list: List) -> i64 {
        match list {
            List::V4 => self.changed_v4,
            List::V6 => self.changed_v6,
        }
    }

    /// A time after all others here, whatever the clock does.
    fn tick(&mut self, now: i64) -> i64 {
        self.at = now.max(self.at + 1);
        self.at
    }

    fn touch(&mut self, list: List, at: i64) {
        match list {
            List::V4 => self.changed_v4 = at,
            List::V6 => self.changed_v6 = at,
        }
    }

    pub fn by_mark(&self, mark: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.mark == mark)
    }

    /// The entry that holds all of this range, the widest first.
    pub fn holder(&self, net: Net) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|e| e.net.net().contains(&net.net()))
            .min_by_key(|e| e.net.net().prefix_len())
    }

    /// Puts an entry in, or gives the one of the same mark a new end.
    pub fn put(&mut self, net: Net, mark: &str, until: Option<i64>, now: i64) {
        if self.entries.iter().any(|e| e.mark == mark && e.net == net && e.until == until) {
            return;
        }
        let at = self.tick(now);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.mark == mark && e.net == net) {
            // The lists do not change, so their serial stays.
            entry.until = until;
            entry.at = at;
            return;
        }
        self.serial += 1;
        let serial = self.serial;
        self.entries.push(Entry { net, mark: mark.to_owned(), from: at, until, at, serial });
        self.touch(List::of(net), at);
    }

    /// Takes the entries of a mark out. Says whether there was one.
    pub fn revoke(&mut self, mark: &str, now: i64) -> bool {
        self.drop_where(|e| e.mark == mark, true, now)
    }

    /// Drops what ran out, and forgets what is long gone.
    pub fn expire(&mut self, now: i64) -> bool {
        let ran_out = self.drop_where(|e| e.until.is_some_and(|until| until <= now), false, now);
        let before = self.gone.len();
        self.gone.retain(|g| g.at + GONE_KEPT_US > now);
        ran_out || before != self.gone.len()
    }

    fn drop_where(&mut self, goes: impl Fn(&Entry) -> bool, revoked: bool, now: i64) -> bool {
        let (going, staying): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(goes);
        self.entries = staying;
        let any = !going.is_empty();
        self.serial += u64::from(any);
        for entry in going {
            let at = self.tick(now);
            self.touch(List::of(entry.net), at);
            self.gone.push(Gone { entry, revoked, at, serial: self.serial });
        }
        any
    }

    /// The list as its file holds it: one address or range a line, sorted, each once, nothing else.
    pub fn text(&self, list: List) -> String {
        let mut nets: Vec<Net> =
            self.entries.iter().map(|e| e.net).filter(|n| List::of(*n) == list).collect();
        nets.sort_unstable();
        nets.dedup();
        nets.iter().map(|n| format!("{n}\n")).collect()
    }
}

/// A strong validator of a text.
pub fn etag(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("\"{hex}\"")
}

/// One answer that left whole, as the access log keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    pub at: i64,
    pub peer: IpAddr,
    /// The list's file, or `taxii`.
    pub what: String,
    pub status: u16,
    /// Of the state that was answered from.
    pub serial: u64,
}

impl Fetch {
    /// Did the client get the list, or hear that it has it?
    pub fn took(&self) -> bool {
        matches!(self.status, 200 | 304)
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The directory must be there: who may read it is the site's decision.
    pub fn open(dir: &Path) -> Result<Store, Fault> {
        match std::fs::metadata(dir) {
            Ok(meta) if meta.is_dir() => Ok(Store { dir: dir.to_owned() }),
            Ok(_) => Err(Fault::Config(format!("dir {}: is no directory", dir.display()))),
            Err(e) => Err(Fault::Config(format!("dir {}: {e}", dir.display()))),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state, as it was written last; a directory without one has an empty feed.
    pub fn state(&self) -> Result<State, Fault> {
        let path = self.dir.join(STATE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(State::new(now())),
            Err(e) => return Err(Fault::Unreachable(format!("{}: {e}", path.display()))),
        };
        let state: State =
            serde_json::from_str(&text).map_err(|e| Fault::Garbled(format!("{}: {e}", path.display())))?;
        if state.version != 1 {
            return Err(Fault::Garbled(format!(
                "{}: version {} is not known",
                path.display(),
                state.version
            )));
        }
        Ok(state)
    }

    /// The entries of a list's file, as a firewall reads it: not from the state.
    pub fn listed(&self, list: List) -> Result<Vec<Net>, Fault> {
        let path = self.dir.join(list.file());
        let mut text = String::new();
        match File::open(&path).and_then(|f| f.take(64 << 20).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Fault::Unreachable(format!("{}: {e}", path.display()))),
        }
        text.lines()
            .enumerate()
            .map(|(n, line)| {
                line.parse().map_err(|e| Fault::Garbled(format!("{} line {}: {e}", path.display(), n + 1)))
            })
            .collect()
    }

    /// Changes the state under the lock and writes lists, bundle and state. What ran out is dropped on the way. A
    /// refusal of `change` writes nothing.
    pub fn change(&self, change: impl FnOnce(&mut State, i64) -> Result<(), Fault>) -> Result<State, Fault> {
        let _held = self.lock(rustix::fs::FlockOperation::LockExclusive)?;
        let mut state = self.state()?;
        let now = now();
        state.expire(now);
        change(&mut state, now)?;
        self.write(&state)?;
        Ok(state)
    }

    /// The state of this moment, with the files brought up to it where something ran out or a file is not what the
    /// state says.
    pub fn refresh(&self) -> Result<State, Fault> {
        let state = self.state()?;
        let now = now();
        let due = state.clone().expire(now);
        let whole = List::ALL.iter().all(|list| {
            std::fs::read_to_string(self.dir.join(list.file())).is_ok_and(|text| text == state.text(*list))
        });
        if !due && whole && self.dir.join(STATE).exists() {
            return Ok(state);
        }
        self.change(|_, _| Ok(()))
    }

    fn write(&self, state: &State) -> Result<(), Fault> {
        for list in List::ALL {
            self.replace(list.file(), state.text(list).as_bytes(), 0o644)?;
        }
        let bundle = super::stix::bundle(state);
        self.replace(BUNDLE, format!("{bundle:#}\n").as_bytes(), 0o644)?;
        let text = serde_json::to_string_pretty(state).map_err(|e| Fault::Config(format!("{STATE}: {e}")))?;
        // Last, so that a state never speaks of lists that are not there yet.
        self.replace(STATE, text.as_bytes(), 0o600)
    }

    /// Writes beside, makes it last, and renames.
    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!(".{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .custom_flags(NOFOLLOW)
                .open(&beside)?;
            // The mode of a file that a crash left, and of one made under a narrow umask.
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|e| Fault::Lost(format!("{}: {e}", path.display())))
    }

    fn lock(&self, how: rustix::fs::FlockOperation) -> Result<File, Fault> {
        let path = self.dir.join(LOCK);
        let wrong = |e: std::io::Error| Fault::Unreachable(format!("{}: {e}", path.display()));
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(NOFOLLOW)
            .open(&path)
            .map_err(wrong)?;
        rustix::fs::flock(&file, how).map_err(|e| wrong(e.into()))?;
        Ok(file)
    }

    /// May this process write here?
    pub fn writable(&self) -> Result<(), Fault> {
        rustix::fs::access(&self.dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
            .map_err(|e| Fault::Credential(format!("{}: {e}", self.dir.display())))
    }

    /// Adds a line to the access log, or to that of refusals.
    pub fn log(&self, fetch: &Fetch) -> Result<(), Fault> {
        let (name, old) = if fetch.took() { (ACCESS, ACCESS_OLD) } else { (REFUSED, REFUSED_OLD) };
        let path = self.dir.join(name);
        let write = || -> std::io::Result<()> {
            let mut line = serde_json::to_string(fetch)?;
            line.push('\n');
            if std::fs::metadata(&path).is_ok_and(|m| m.len() > ACCESS_LONGEST) {
                std::fs::rename(&path, self.dir.join(old))?;
            }
            let mut file =
                File::options().append(true).create(true).mode(0o600).custom_flags(NOFOLLOW).open(&path)?;
            file.write_all(line.as_bytes())
        };
        write().map_err(|e| Fault::Lost(format!("{}: {e}", path.display())))
    }

    /// The fetches, oldest first. A line that a crash cut short is passed over.
    pub fn fetches(&self) -> Result<Vec<Fetch>, Fault> {
        self.lines(&[ACCESS_OLD, ACCESS])
    }

    /// The refusals, oldest first.
    pub fn refusals(&self) -> Result<Vec<Fetch>, Fault> {
        self.lines(&[REFUSED_OLD, REFUSED])
    }

    fn lines(&self, names: &[&str]) -> Result<Vec<Fetch>, Fault> {
        let mut found = Vec::new();
        for name in names {
            let path = self.dir.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => found.extend(text.lines().filter_map(|l| serde_json::from_str(l).ok())),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Fault::Unreachable(format!("{}: {e}", path.display()))),
            }
        }
        Ok(found)
    }
}

/// `O_NOFOLLOW`: a link that somebody laid in the directory is not followed.
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    #[test]
    fn lists_hold_what_is_blocked_once_and_sorted() {
        let mut state = State::new(1000);
        state.put(net("198.51.100.0/24"), "a", None, 1001);
        state.put(net("192.0.2.7"), "b", Some(5000), 1001);
        state.put(net("192.0.2.7"), "c", None, 1001);
        state.put(net("2001:db8::/64"), "d", None, 900);
        assert_eq!(state.text(List::V4), "192.0.2.7\n198.51.100.0/24\n");
        assert_eq!(state.text(List::V6), "2001:db8::/64\n");
        let times: Vec<i64> = state.entries.iter().map(|e| e.at).collect();
        assert_eq!(
            times,
            [1001, 1002, 1003, 1004],
            "no two changes share a time, also when the clock goes back"
        );
        assert!(state.expire(5000));
        assert_eq!(state.entries.len(), 3);
        assert!(!state.gone[0].revoked);
        assert!(state.revoke("c", 5001) && !state.revoke("c", 5002));
        assert_eq!(state.text(List::V4), "198.51.100.0/24\n");
        assert_eq!(state.holder(net("198.51.100.9")).unwrap().mark, "a");
        assert!(state.holder(net("198.51.0.0/16")).is_none());
        assert_eq!(state.serial, 6);
    }

    #[test]
    fn the_same_again_changes_nothing_and_a_new_end_no_list() {
        let mut state = State::new(1000);
        state.put(net("192.0.2.7"), "b", Some(5000), 1001);
        let once = state.clone();
        state.put(net("192.0.2.7"), "b", Some(5000), 1002);
        assert_eq!(state, once);
        state.put(net("192.0.2.7"), "b", Some(9000), 1002);
        assert_eq!((state.serial, state.entries[0].until), (once.serial, Some(9000)));
        assert!(state.entries[0].at > once.entries[0].at);
    }

    #[test]
    fn files_are_made_and_made_good() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store
            .change(|s, now| {
                s.put(net("192.0.2.7"), "b", None, now);
                Ok(())
            })
            .unwrap();
        assert_eq!(store.listed(List::V4).unwrap(), [net("192.0.2.7")]);
        std::fs::write(dir.path().join(List::V4.file()), "203.0.113.1\n").unwrap();
        store.refresh().unwrap();
        assert_eq!(store.listed(List::V4).unwrap(), [net("192.0.2.7")]);
        // It runs out.
        store
            .change(|s, now| {
                s.put(net("192.0.2.7"), "b", Some(now), now);
                Ok(())
            })
            .unwrap();
        assert!(store.refresh().unwrap().entries.is_empty());
        assert!(store.listed(List::V4).unwrap().is_empty());
        std::fs::write(dir.path().join(STATE), "{").unwrap();
        assert!(
            matches!(store.refresh(), Err(Fault::Garbled(_))),
            "a broken state is not taken for an empty one"
        );
        assert_eq!(
            std::fs::metadata(dir.path().join(List::V6.file())).unwrap().permissions().mode() & 0o777,
            0o644
        );
    }

    #[test]
    fn writers_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for i in 0..8_u8 {
                let path = dir.path();
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    let net = Net::host(IpAddr::from([192, 0, 2, i]));
                    store
                        .change(|s, now| {
                            s.put(net, &format!("m{i}"), None, now);
                            Ok(())
                        })
                        .unwrap();
                });
            }
        });
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.listed(List::V4).unwrap().len(), 8);
        assert_eq!(store.state().unwrap().serial, 8);
    }
}
