//! The body file of the whole host (mactime 3.x), the files that changed lately, and lastlog.

use crate::host::{Found, Kind};
use portreeve_model::EventTime;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// `MD5|name|inode|mode_as_string|UID|GID|size|atime|mtime|ctime|crtime`; times are Unix seconds, 0 where unknown.
/// mactime has no way to write a bar or a line end in a name: they become `%7C` and `%0A`.
pub(crate) fn line(found: &Found, to: &mut dyn Write) -> io::Result<()> {
    let mut name = escaped(&found.path);
    if let Some(link) = &found.link {
        name.push_str(" -> ");
        name.push_str(&escaped(link));
    }
    writeln!(
        to,
        "0|{name}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
        found.inode,
        mode(found),
        found.uid,
        found.gid,
        found.size,
        found.accessed.unix(),
        found.modified.unix(),
        found.changed.unix(),
        found.born.map_or(0, EventTime::unix)
    )
}

fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || matches!(c, '|' | '%' | '\u{2028}' | '\u{2029}') {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| text.push_str(&format!("%{b:02X}")));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|b| text.push_str(&format!("%{b:02X}")));
    }
    text
}

/// As The Sleuth Kit writes it: the type of the name and of the inode, and the permissions.
fn mode(found: &Found) -> String {
    let kind = match found.kind {
        Kind::File => 'r',
        Kind::Socket => 'h',
        kind => kind.letter(),
    };
    let mut text = format!("{kind}/{kind}");
    for (n, (special, letter)) in [(0o4_000, 's'), (0o2_000, 's'), (0o1_000, 't')].into_iter().enumerate() {
        let bits = found.mode >> (6 - 3 * n) & 7;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (found.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// One line of `live/recent.ndjson`.
#[derive(Serialize)]
pub(crate) struct Recent {
    path: String,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    modified: String,
    changed: String,
    born: Option<String>,
    /// Of a regular file that was small enough and whose turn came.
    pub(crate) sha256: Option<String>,
    /// Runs with the rights of its owner or group.
    set_id: bool,
}

impl Recent {
    pub(crate) fn new(found: &Found) -> Recent {
        Recent {
            path: String::from_utf8_lossy(&found.path).into_owned(),
            mode: mode(found),
            uid: found.uid,
            gid: found.gid,
            size: found.size,
            modified: found.modified.to_string(),
            changed: found.changed.to_string(),
            born: found.born.map(|t| t.to_string()),
            sha256: None,
            set_id: found.mode & 0o6_000 != 0,
        }
    }

    /// Whether a file belongs into the list: changed in the span, or running with its owner's rights. Times of change
    /// count as well as those of modification, which an intruder sets as he likes.
    pub(crate) fn wanted(found: &Found, since: EventTime) -> bool {
        found.kind == Kind::File
            && (found.modified >= since
                || found.changed >= since
                || found.born.is_some_and(|b| b >= since)
                || (found.mode & 0o6_000 != 0 && found.mode & 0o111 != 0))
    }
}

/// File systems whose files are not the host's own, or not files.
const FOREIGN: [&str; 38] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "securityfs",
    "debugfs",
    "tracefs",
    "configfs",
    "pstore",
    "bpf",
    "mqueue",
    "hugetlbfs",
    "fusectl",
    "autofs",
    "binfmt_misc",
    "rpc_pipefs",
    "efivarfs",
    "nsfs",
    "selinuxfs",
    "squashfs",
    "iso9660",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gfs2",
    "ocfs2",
    "9p",
    "virtiofs",
    "fuse",
];

/// Where to begin walks over the host's own file systems, out of /proc/self/mountinfo.
pub(crate) fn mounts(mountinfo: &[u8]) -> Vec<Vec<u8>> {
    let (mut seen, mut bases) = (BTreeSet::new(), Vec::new());
    for line in mountinfo.split(|b| *b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
        let Some(dash) = fields.iter().position(|f| *f == b"-") else { continue };
        let (Some(device), Some(root), Some(point), Some(kind)) =
            (fields.get(2), fields.get(3), fields.get(4), fields.get(dash + 1))
        else {
            continue;
        };
        let kind = String::from_utf8_lossy(kind);
        let layered = kind == "overlay" && *point != b"/";
        if FOREIGN.contains(&kind.as_ref()) || kind.starts_with("fuse.") || layered {
            continue;
        }
        // The same tree mounted twice is walked once.
        if seen.insert((device.to_vec(), root.to_vec())) {
            bases.push(unescape(point));
        }
    }
    bases.sort();
    bases
}

/// `\040` and its like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(b) = text.get(at) {
        let octal =
            text.get(at + 1..at + 4).and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        match octal {
            Some(byte) if *b == b'\\' => {
                out.push(byte);
                at += 4;
            }
            _ => {
                out.push(*b);
                at += 1;
            }
        }
    }
    out
}

/// Reads `lastlog`: a record of 292 bytes for each user number, most of them empty.
pub(crate) struct Lastlog<'l> {
    users: &'l BTreeMap<u32, String>,
    to: &'l mut dyn Write,
    open: Vec<u8>,
    uid: u32,
}

#[derive(Serialize)]
struct LastLogin<'l> {
    uid: u32,
    user: Option<&'l String>,
    at: String,
    terminal: String,
    from: String,
}

const RECORD: usize = 292;

impl<'l> Lastlog<'l> {
    pub(crate) fn new(users: &'l BTreeMap<u32, String>, to: &'l mut dyn Write) -> Lastlog<'l> {
        Lastlog { users, to, open: Vec::new(), uid: 0 }
    }
}

impl Write for Lastlog<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.extend_from_slice(bytes);
        let open = std::mem::take(&mut self.open);
        let mut records = open.chunks_exact(RECORD);
        for record in &mut records {
            let uid = self.uid;
            self.uid = self.uid.saturating_add(1);
            let (time, rest) = record.split_at(4);
            let at = time.try_into().map_or(0, u32::from_le_bytes);
            if at == 0 {
                continue;
            }
            let (terminal, from) = rest.split_at(32);
            let text = |b: &[u8]| {
                String::from_utf8_lossy(b.split(|c| *c == 0).next().unwrap_or_default()).into_owned()
            };
            let login = LastLogin {
                uid,
                user: self.users.get(&uid),
                at: EventTime::from_unix(i64::from(at)).to_string(),
                terminal: text(terminal),
                from: text(from),
            };
            serde_json::to_writer(&mut *self.to, &login)?;
            self.to.write_all(b"\n")?;
        }
        self.open = records.remainder().to_vec();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_body_file() {
        let mut found = Found::named(b"/tmp/a|b\n%\xff".to_vec());
        found.mode = 0o4_755;
        (found.inode, found.uid, found.gid, found.size) = (7, 1, 2, 3);
        found.accessed = EventTime::from_unix(10);
        found.modified = EventTime::from_unix(11);
        found.changed = EventTime::from_unix(12);
        let mut to = Vec::new();
        line(&found, &mut to).expect("written");
        assert_eq!(to, b"0|/tmp/a%7Cb%0A%25%FF|7|r/rrwsr-xr-x|1|2|3|10|11|12|0\n");
        found.kind = Kind::Link;
        found.mode = 0o1_777;
        found.link = Some(b"x".to_vec());
        found.born = Some(EventTime::from_unix(9));
        to.clear();
        line(&found, &mut to).expect("written");
        assert_eq!(to, b"0|/tmp/a%7Cb%0A%25%FF -> x|7|l/lrwxrwxrwt|1|2|3|10|11|12|9\n");
    }

    #[test]
    fn own_file_systems_once() {
        let info = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /proc rw shared:1 - proc proc rw\n\
            3 1 8:2 / /srv/a\\040b rw - xfs /dev/sdb rw\n4 1 8:1 / /mnt/again rw - ext4 /dev/sda1 rw\n\
            5 1 0:9 / /net rw - nfs4 h:/x rw\n6 1 0:10 / /x rw - fuse.sshfs h rw\n7 1 0:11 / /tmp rw - tmpfs tmpfs rw\n\
            8 1 0:12 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\nbroken\n";
        assert_eq!(mounts(info), [b"/".to_vec(), b"/srv/a b".to_vec(), b"/tmp".to_vec()]);
    }

    #[test]
    fn lastlog_in_any_pieces() {
        let mut bytes = vec![0; RECORD * 3];
        bytes[RECORD..RECORD + 4].copy_from_slice(&1_700_000_000u32.to_le_bytes());
        bytes[RECORD + 4..RECORD + 9].copy_from_slice(b"pts/0");
        bytes[RECORD + 36..RECORD + 45].copy_from_slice(b"192.0.2.1");
        let users = BTreeMap::from([(1, "anna".to_owned())]);
        for step in [1, 100, 292, 1_000] {
            let mut to = Vec::new();
            let mut reader = Lastlog::new(&users, &mut to);
            for piece in bytes.chunks(step) {
                reader.write_all(piece).expect("taken");
            }
            let text = String::from_utf8(to).expect("text");
            assert_eq!(
                text,
                "{\"uid\":1,\"user\":\"anna\",\"at\":\"2023-11-14T22:13:20Z\",\"terminal\":\"pts/0\",\"from\":\"192.0.2.1\"}\n"
            );
        }
    }
}
