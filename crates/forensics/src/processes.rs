//! Processes and sockets out of /proc, one JSON object a line.

use crate::host::ProcTree;
use portreeve_model::EventTime;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ticks of `starttime` a second; USER_HZ is 100 on every architecture that is still built for.
const TICKS: i64 = 100;

/// Variables that say where a process came from or what is forced into it. The others may hold passwords and stay.
const TELLING: [&str; 8] =
    ["SSH_", "LD_", "SUDO_", "HISTFILE", "HISTSIZE", "XDG_SESSION_ID", "REMOTEHOST", "BASH_ENV"];

/// One line of `live/processes.ndjson`.
#[derive(Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: Option<u32>,
    uid: Option<u32>,
    effective_uid: Option<u32>,
    gid: Option<u32>,
    user: Option<String>,
    name: Option<String>,
    arguments: Vec<String>,
    pub(crate) program: Option<String>,
    /// The program's file is gone, or never was (memfd): it runs from memory.
    pub(crate) program_deleted: bool,
    working_directory: Option<String>,
    /// Where it is not `/`.
    root: Option<String>,
    started: Option<String>,
    state: Option<char>,
    session: Option<i64>,
    terminal: Option<i64>,
    /// Who logged in for this process, whatever it became since (audit); absent where nobody did.
    login_uid: Option<u32>,
    login_session: Option<u32>,
    /// Systemd's unit or session.
    control_group: Option<String>,
    capabilities: Option<String>,
    /// Who traces it.
    tracer: Option<u32>,
    network_namespace: Option<String>,
    environment: BTreeMap<String, String>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\0', '\n']).to_owned()
}

/// The second at which the host was started.
pub(crate) fn boot(tree: &ProcTree) -> Option<i64> {
    let stat = text(tree.files.get("stat")?);
    stat.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()
}

fn pids(tree: &ProcTree) -> BTreeSet<u32> {
    tree.files.keys().chain(tree.links.keys()).filter_map(|k| k.split('/').next()?.parse().ok()).collect()
}

/// Every process, by number. `users` names the owners.
pub(crate) fn processes(tree: &ProcTree, users: &BTreeMap<u32, String>) -> Vec<Process> {
    let boot = boot(tree);
    pids(tree).into_iter().map(|pid| process(tree, pid, boot, users)).collect()
}

fn process(tree: &ProcTree, pid: u32, boot: Option<i64>, users: &BTreeMap<u32, String>) -> Process {
    let file = |name: &str| tree.files.get(&format!("{pid}/{name}"));
    let link = |name: &str| tree.links.get(&format!("{pid}/{name}")).map(|b| text(b));
    let status = file("status").map(|b| text(b)).unwrap_or_default();
    let field = |name: &str| {
        status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(|v| v.trim().to_owned())
    };
    let number = |name: &str, n: usize| field(name)?.split_ascii_whitespace().nth(n)?.parse::<u32>().ok();
    let stat = file("stat").map(|b| text(b)).unwrap_or_default();
    // The name in parentheses may hold parentheses and blanks: the last one ends it.
    let (head, rest) = stat.rsplit_once(')').unwrap_or(("", ""));
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let nth = |n: usize| fields.get(n).and_then(|f| f.parse::<i64>().ok());
    let started = boot.zip(nth(19)).map(|(boot, ticks)| {
        let micros = ticks.saturating_mul(1_000_000 / TICKS);
        EventTime::from_unix(boot).plus(micros).to_string()
    });
    let program = link("exe");
    let gone = program.as_deref().is_some_and(|p| p.ends_with(" (deleted)") || p.starts_with("/memfd:"));
    let arguments = file("cmdline").map(|b| text(b)).unwrap_or_default();
    let uid = number("Uid", 0);
    let unset = |n: u32| (n != u32::MAX).then_some(n);
    let own = |name: &str| file(name).and_then(|b| text(b).trim().parse().ok()).and_then(unset);
    let environment = file("environ")
        .map(|b| text(b))
        .unwrap_or_default()
        .split('\0')
        .filter_map(|v| v.split_once('='))
        .filter(|(k, _)| TELLING.iter().any(|t| k.starts_with(t)))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    Process {
        pid,
        parent: nth(1).and_then(|n| u32::try_from(n).ok()),
        uid,
        effective_uid: number("Uid", 1),
        gid: number("Gid", 0),
        user: uid.and_then(|u| users.get(&u).cloned()),
        name: head.split_once('(').map(|(_, n)| n.to_owned()).or_else(|| field("Name")),
        arguments: if arguments.is_empty() {
            Vec::new()
        } else {
            arguments.split('\0').map(str::to_owned).collect()
        },
        program,
        program_deleted: gone,
        working_directory: link("cwd"),
        root: link("root").filter(|r| r != "/"),
        started,
        state: fields.first().and_then(|f| f.chars().next()),
        session: nth(3),
        terminal: nth(4).filter(|t| *t != 0),
        login_uid: own("loginuid"),
        login_session: own("sessionid"),
        control_group: file("cgroup").and_then(|b| {
            text(b).lines().find_map(|l| l.splitn(3, ':').nth(2).filter(|g| *g != "/").map(str::to_owned))
        }),
        capabilities: field("CapEff").filter(|c| c.bytes().any(|b| b != b'0')),
        tracer: number("TracerPid", 0).filter(|t| *t != 0),
        network_namespace: link("ns/net"),
        environment,
    }
}

/// One line of `live/sockets.ndjson`.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Socket {
    protocol: &'static str,
    state: Option<&'static str>,
    local: Option<String>,
    local_port: Option<u16>,
    remote: Option<String>,
    remote_port: Option<u16>,
    uid: Option<u32>,
    inode: u64,
    /// Who holds it. Nobody, where it is the kernel's, another namespace's, or hidden.
    processes: Vec<u32>,
    /// A process in the namespace, where it is not the collector's.
    namespace_of: Option<u32>,
}

/// Every socket of the lists, in their order.
pub(crate) fn sockets(tree: &ProcTree) -> Vec<Socket> {
    let mut holders: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (pid, inode) in &tree.sockets {
        holders.entry(*inode).or_default().push(*pid);
    }
    let mut all = Vec::new();
    for (path, bytes) in &tree.files {
        let (space, list) = match path.split_once("net/") {
            Some(("", list)) => (None, list),
            Some((pid, list)) => (pid.trim_end_matches('/').parse().ok(), list),
            None => continue,
        };
        let protocol = match list {
            "tcp" => "tcp",
            "tcp6" => "tcp6",
            "udp" => "udp",
            "udp6" => "udp6",
            "raw" => "raw",
            "raw6" => "raw6",
            "packet" => "packet",
            _ => continue,
        };
        for line in text(bytes).lines().skip(1) {
            let socket = if protocol == "packet" { packet(line) } else { inet(protocol, line) };
            let Some(mut socket) = socket else { continue };
            socket.processes = holders.get(&socket.inode).cloned().unwrap_or_default();
            socket.namespace_of = space;
            all.push(socket);
        }
    }
    all
}

/// `sl local remote st tx:rx tr:tm retrnsmt uid timeout inode …`
fn inet(protocol: &'static str, line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, local_port) = end(fields.get(1)?)?;
    let (remote, remote_port) = end(fields.get(2)?)?;
    let state = match (protocol, u8::from_str_radix(fields.get(3)?, 16).ok()?) {
        (_, 1) => "established",
        ("tcp" | "tcp6", n) => match n {
            2 => "syn-sent",
            3 => "syn-received",
            4 => "fin-wait-1",
            5 => "fin-wait-2",
            6 => "time-wait",
            7 => "closed",
            8 => "close-wait",
            9 => "last-ack",
            10 => "listening",
            11 => "closing",
            12 => "new-syn-received",
            _ => "unknown",
        },
        (_, 7) => "open",
        _ => "unknown",
    };
    Some(Socket {
        protocol,
        state: Some(state),
        local: Some(local.to_string()),
        local_port: Some(local_port),
        remote: (remote_port != 0 || !remote.is_unspecified()).then(|| remote.to_string()),
        remote_port: (remote_port != 0).then_some(remote_port),
        uid: fields.get(7)?.parse().ok(),
        inode: fields.get(9)?.parse().ok()?,
        processes: Vec::new(),
        namespace_of: None,
    })
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`
fn packet(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    Some(Socket {
        protocol: "packet",
        state: None,
        local: None,
        local_port: None,
        remote: None,
        remote_port: None,
        uid: fields.get(7)?.parse().ok(),
        inode: fields.get(8)?.parse().ok()?,
        processes: Vec::new(),
        namespace_of: None,
    })
}

/// `0100007F:0016`: words of four bytes in the byte order of the host, which is little-endian wherever this runs.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |n: usize| u32::from_str_radix(address.get(n * 8..n * 8 + 8)?, 16).ok().map(u32::swap_bytes);
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let (a, b, c, d) = (word(0)?, word(1)?, word(2)?, word(3)?);
            let all = [a, b, c, d].iter().fold(0u128, |all, w| all << 32 | u128::from(*w));
            let six = Ipv6Addr::from(all);
            six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)
        }
        _ => return None,
    };
    Some((address, port))
}

/// `uid` to name, out of /etc/passwd.
pub(crate) fn users(passwd: &[u8]) -> BTreeMap<u32, String> {
    let mut users = BTreeMap::new();
    for line in String::from_utf8_lossy(passwd).lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1).and_then(|u| u.parse().ok())) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> ProcTree {
        let mut tree = ProcTree::default();
        let mut file = |name: &str, text: &str| tree.files.insert(name.to_owned(), text.as_bytes().to_vec());
        file("stat", "cpu 1 2\nbtime 1700000000\n");
        file("77/stat", "77 (x) (y) S 1 77 76 34816 77 0 0 0 0 0 1 2 0 0 20 0 1 0 12345 0 0");
        file(
            "77/status",
            "Name:\tx) (y\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1\t1\t1\nTracerPid:\t5\nCapEff:\t000001ffffffffff\n",
        );
        file("77/cmdline", "bash\0-c\0a\nb\0");
        file("77/environ", "PASSWORD=x\0SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22\0LD_PRELOAD=/tmp/a.so\0");
        file("77/loginuid", "1000");
        file("77/sessionid", "4294967295");
        file("77/cgroup", "0::/user.slice/session-4.scope\n");
        file(
            "net/tcp",
            "  sl  local\n   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0\n   1: 0202000A:0016 010200C0:D431 01 00000000:00000000 02:00000000 00000000  1000        0 502 1 0\n",
        );
        file(
            "net/tcp6",
            "  sl\n   0: 0000000000000000FFFF00000202000A:0016 00000000000000000000000001000000:0001 01 0:0 0:0 0 0 0 503 1\n",
        );
        tree.links.insert("77/exe".to_owned(), b"/tmp/x (deleted)".to_vec());
        tree.sockets.push((77, 502));
        tree
    }

    #[test]
    fn a_process_whose_name_tries_to_look_like_fields() {
        let users = users(b"root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n");
        let all = processes(&tree(), &users);
        assert_eq!(all.len(), 1);
        let p = &all[0];
        assert_eq!(p.name.as_deref(), Some("x) (y"));
        assert_eq!(
            (p.parent, p.uid, p.effective_uid, p.user.as_deref()),
            (Some(1), Some(1000), Some(0), Some("anna"))
        );
        assert_eq!(p.arguments, ["bash", "-c", "a\nb"]);
        assert_eq!(p.started.as_deref(), Some("2023-11-14T22:15:23.450Z"));
        assert_eq!((p.login_uid, p.login_session, p.tracer), (Some(1000), None, Some(5)));
        assert!(p.program_deleted);
        assert_eq!(p.environment.keys().collect::<Vec<_>>(), ["LD_PRELOAD", "SSH_CONNECTION"]);
    }

    #[test]
    fn sockets_with_their_owners() {
        let all = sockets(&tree());
        let said: Vec<String> = all
            .iter()
            .map(|s| {
                let to = s.remote.as_deref().unwrap_or("-");
                let from = s.local.as_deref().unwrap_or("-");
                format!("{} {} {from} {to} {:?}", s.protocol, s.state.unwrap_or("-"), s.processes)
            })
            .collect();
        assert_eq!(
            said,
            [
                "tcp listening 127.0.0.1 - []",
                "tcp established 10.0.2.2 192.0.2.1 [77]",
                "tcp6 established 10.0.2.2 ::1 []",
            ]
        );
        assert_eq!(all[1].remote_port, Some(54_321));
    }

    #[test]
    fn broken_lists_give_nothing_and_break_nothing() {
        let mut tree = ProcTree::default();
        for text in ["", "x", "h\n0: 0100007F", "h\n0: é00007F:0016 00000000:0000 0A a b c d e f"] {
            tree.files.insert("net/tcp".to_owned(), text.as_bytes().to_vec());
            tree.files.insert("net/packet".to_owned(), text.as_bytes().to_vec());
            assert_eq!(sockets(&tree), []);
        }
        tree.files.insert("5/stat".to_owned(), b"5 (".to_vec());
        assert_eq!(processes(&tree, &BTreeMap::new()).len(), 1);
    }
}
