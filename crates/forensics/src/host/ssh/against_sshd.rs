//! The other host for real: an sshd on loopback, with files whose names want to be commands.

use super::*;
use crate::catalog::{Catalog, Choice};
use crate::host::Kind;
use crate::host::local::Local;
use crate::manifest::{ArtifactEntry, FileEntry};
use crate::plan::Plan;
use crate::work::Work;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt;

struct Sshd {
    dir: tempfile::TempDir,
    child: Child,
    target: SshTarget,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

fn sshd() -> Option<Sshd> {
    let program = Path::new("/usr/sbin/sshd");
    if !program.is_file() {
        eprintln!("SKIPPED: sshd is not installed; nothing was collected over it");
        return None;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    for key in ["host", "user"] {
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &at(key)];
        assert!(Command::new("ssh-keygen").args(words).status().expect("ssh-keygen").success());
    }
    let user = Command::new("id").arg("-un").output().expect("id").stdout;
    let user = String::from_utf8(user).expect("a name").trim().to_owned();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n",
        at("host"),
        at("user.pub")
    );
    std::fs::write(dir.path().join("config"), config).expect("written");
    if user == "root" {
        std::fs::create_dir_all("/run/sshd").expect("where sshd separates its privileges");
    }
    let child = Command::new(program)
        .args(["-D", "-E", &at("log"), "-f", &at("config")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd");
    let key = std::fs::read_to_string(dir.path().join("host.pub")).expect("a key");
    let mut target = SshTarget::parse(&format!("{user}@127.0.0.1:{port}"), &key).expect("a target");
    target.identity = Some(dir.path().join("user"));
    let sshd = Sshd { dir, child, target };
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(sshd)
}

impl Sshd {
    /// Commands that ran, as sshd itself counts them.
    fn commands(&self) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("log")).expect("a log");
        log.lines().filter(|l| l.contains("Starting session: command")).count()
    }
}

#[test]
fn names_that_want_to_be_commands_are_names() {
    let Some(sshd) = sshd() else { return };
    let mut host = Remote::connect(&sshd.target).expect("a connection");
    let folder = sshd.dir.path().join("files");
    std::fs::create_dir(&folder).expect("a folder");
    let mark = sshd.dir.path().join("mark");
    let names: Vec<Vec<u8>> = [
        &b"plain"[..],
        b"a\nb",
        b"it's",
        b"-rf",
        b"'; touch mark; '",
        b"$(touch mark)",
        b"`touch mark`",
        b"\x1b[2J",
        b"\xff\xfe",
        b"\"q\" \\ * ? ~",
    ]
    .iter()
    .map(|n| n.to_vec())
    .collect();
    let paths: Vec<PathBuf> =
        names.iter().map(|n| folder.join(std::ffi::OsString::from_vec(n.clone()))).collect();
    for (path, name) in paths.iter().zip(&names) {
        std::fs::write(path, name).expect("written");
    }
    let base = folder.as_os_str().as_bytes().to_vec();
    // Homes that are not there are no problem, however many they are.
    let gone = (0..200).map(|n| (format!("/no/such/home/of/{n}/.ssh").into_bytes(), None));
    let bases: Vec<(Vec<u8>, Option<u32>)> = gone.chain([(base.clone(), Some(1))]).collect();
    let walk = Walk { bases: &bases, one_file_system: true, enters: &|_| true };
    let mut seen = Vec::new();
    let problems = host.find(&walk, &mut |f| {
        seen.push(f);
        true
    });
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(seen.len(), names.len());
    for found in &seen {
        let name =
            found.path.strip_prefix(base.as_slice()).and_then(|n| n.strip_prefix(b"/")).expect("below");
        assert!(names.iter().any(|n| n == name), "{:?}", String::from_utf8_lossy(name));
        assert_eq!((found.kind, found.size), (Kind::File, name.len() as u64));
        // Before it is read: over SSH that cannot be hidden from the time of last access.
        assert_eq!(host.look(&found.path).as_ref(), Some(found));
        let mut bytes = Vec::new();
        let fetched = host.fetch(found, Keep::Beginning, 1_000, &mut bytes).expect("fetched");
        assert_eq!((bytes.as_slice(), fetched.taken), (name, found.size));
        assert_eq!(host.resolve(&found.path).as_ref(), Some(&found.path));
    }
    let ends = Instant::now() + Duration::from_secs(60);
    let mut together = Vec::new();
    let whole = host.fetch_all(&seen, 1_000, ends, &mut |_, fetched, bytes| {
        together.push((bytes.to_vec(), fetched.map(|f| f.taken)));
        true
    });
    let sums = host.hashes(&seen, 1_000, ends);
    assert!(whole && together.len() == seen.len() && sums.len() == seen.len());
    for ((found, (bytes, taken)), sum) in seen.iter().zip(&together).zip(sums) {
        assert!(found.path.ends_with(bytes) && *taken == Ok(found.size), "{taken:?}");
        assert_eq!(sum, Some(crate::name::hex(&Sha256::digest(bytes))));
    }
    assert!(!mark.exists() && !Path::new("mark").exists());
    assert!(host.fetch(&Found::named(b"/a\0b".to_vec()), Keep::Beginning, 1, &mut Vec::new()).is_err());
}

#[test]
fn limits_are_kept_on_this_side() {
    let Some(sshd) = sshd() else { return };
    let mut host = Remote::connect(&sshd.target).expect("a connection");
    let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut out = Vec::new();
    let ran = host.run(&words(&["yes"]), 30, 10_000, &mut out);
    assert!(ran.cut && out.len() == 10_000, "{ran:?}");
    let ran = host.run(&words(&["sleep", "60"]), 1, 100, &mut Vec::new());
    assert!(ran.cut && ran.exit.is_none(), "{ran:?}");
    let ran = host.run(&words(&["no-such-program"]), 10, 100, &mut Vec::new());
    assert!(ran.missing && ran.exit.is_none(), "{ran:?}");
    out.clear();
    let ran = host.run(&words(&["cat", "/no/such/file"]), 10, 100, &mut out);
    assert!(ran.exit == Some(1) && ran.stderr.contains("No such file"), "{ran:?}");
    let path = sshd.dir.path().join("large");
    std::fs::write(&path, "0123456789").expect("written");
    let found = host.look(path.as_os_str().as_bytes()).expect("a file");
    out.clear();
    host.fetch(&found, Keep::End, 3, &mut out).expect("fetched");
    assert_eq!(out, b"789");
}

const CATALOGUE: &str = r#"
- {id: first, says: x, read: ["ROOT/etc/**", "ROOT/links/*"]}
- {id: end, says: x, read: ["ROOT/large/*"], to: logs, keep: end, limits: {file_bytes: 1500000}}
- {id: few, says: x, read: ["ROOT/many/*"], limits: {files: 37}}
- {id: room, says: x, read: ["ROOT/large/*", "ROOT/many/*"], mask: false, limits: {bytes: 40000}}
- {id: none, says: x, read: ["ROOT/none/*"]}
- {id: again, says: x, read: ["ROOT/etc/passwd"]}
"#;

/// Files that are small, large, empty, secret, linked, named like commands, and many.
fn tree(root: &Path) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let write = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
    };
    write("etc/passwd", b"root:x:0:0::/root:/bin/sh\n");
    write("etc/shadow", b"root:$6$saltsalt$Zk3yPnotARealHashButLongEnough:19700:0:99999:7:::\n");
    write("etc/empty", b"");
    write("etc/tool", b"#!/bin/sh\n");
    std::fs::set_permissions(root.join("etc/tool"), std::fs::Permissions::from_mode(0o4_755))
        .expect("a mode");
    for name in [&b"a\nb"[..], b"it's \"q\"", b"-rf", b"$(id)`id`", b"\xff\xfe.txt", b"back\\slash|bar", b" "]
    {
        write("etc/odd/x", b"");
        std::fs::write(root.join("etc/odd").join(OsStr::from_bytes(name)), name).expect("written");
    }
    symlink(root.join("etc/passwd"), root.join("etc/to-passwd")).expect("a link");
    write("elsewhere/unit", b"[Service]\n");
    write("links/plain", b"x");
    for (to, name) in
        [("../elsewhere/unit", "in"), ("../elsewhere", "folder"), ("nothing", "dead"), ("/dev/null", "off")]
    {
        symlink(to, root.join("links").join(name)).expect("a link");
    }
    let bytes: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
    write("large/a.log", &bytes);
    write("large/b.log", bytes.get(..1_200_000).expect("so many"));
    for n in 0..900u32 {
        write(&format!("many/{n:03}"), format!("file {n}\n").repeat(n as usize % 40).as_bytes());
    }
}

fn gathered(host: &mut dyn Host, out: &Path, catalog: &Catalog) -> (Vec<FileEntry>, Vec<ArtifactEntry>) {
    let into = crate::Destination { out: out.to_owned(), name: Some("x".to_owned()), case: None };
    let plan = Plan {
        choice: Choice::default(),
        root: PathBuf::from("/"),
        ssh: None,
        since: 0,
        max_seconds: 600,
        max_bytes: 1 << 30,
        max_load: 1_000.0,
        with_secrets: false,
        recipients: Vec::new(),
    };
    let header = crate::header("collection", &into, Facts::default()).expect("a header");
    let mut work = Work::create(&out.join("x"), header, plan).expect("a package");
    struct Quiet;
    impl crate::Progress for Quiet {
        fn artifact(&self, _: usize, _: usize, _: &str) {}
    }
    crate::collect::collect(&mut work, host, catalog, &Quiet).expect("collected");
    (work.files, work.artifacts)
}

#[test]
fn a_package_is_the_same_from_here_and_from_afar() {
    let Some(sshd) = sshd() else { return };
    let root = sshd.dir.path().join("tree");
    std::fs::create_dir(&root).expect("a folder");
    tree(&root);
    let text = CATALOGUE.replace("ROOT", root.to_str().expect("a plain path"));
    let catalog = Catalog::read("test.yml", &text).expect("sound");
    let out = |name: &str| sshd.dir.path().join(name);
    let mut here = Local::new(Path::new("/")).expect("this host");
    let near = gathered(&mut here, &out("near"), &catalog);
    let mut there = Remote::connect(&sshd.target).expect("a connection");
    let before = sshd.commands();
    let far = gathered(&mut there, &out("far"), &catalog);
    let asked = sshd.commands() - before;
    let files = |files: &[FileEntry]| {
        let mut text = String::new();
        for f in files {
            let origin = (&f.source.origin, &f.source.origin_bytes);
            let of = (f.size, &f.sha256, &f.mtime, &f.mode, f.uid, f.gid);
            let how = (&f.artifact, &f.truncated, f.masked, f.exit, &f.stderr, &f.reason);
            writeln!(text, "{:?} {origin:?} {of:?} {how:?}", f.path).expect("memory");
        }
        text
    };
    let artifacts = |all: &[ArtifactEntry]| {
        let mut text = String::new();
        for a in all {
            let links: Vec<_> = a.links.iter().map(|l| (&l.path, &l.leads_to)).collect();
            let how = (a.state, &a.reason, a.files, a.bytes, &a.problems);
            writeln!(text, "{} {how:?} {links:?}", a.id).expect("memory");
        }
        text
    };
    assert_eq!(artifacts(&near.1), artifacts(&far.1));
    assert_eq!(files(&near.0), files(&far.0));
    // What the test would be worth if both had taken nothing.
    let all = artifacts(&far.1);
    for want in ["end (Partial", "few (Partial", "none (Absent", "again (Done", "elsewhere/unit", "/dev/null"]
    {
        assert!(all.contains(want), "{want}: {all}");
    }
    assert!(far.0.len() > 100 && far.0.iter().any(|f| f.masked > 0), "{}", far.0.len());
    assert!(asked <= 40, "{asked} commands for {} files", far.0.len());
}

#[test]
fn a_file_that_changed_or_says_too_much_costs_itself() {
    let Some(sshd) = sshd() else { return };
    let mut host = Remote::connect(&sshd.target).expect("a connection");
    let folder = sshd.dir.path().join("files");
    std::fs::create_dir(&folder).expect("a folder");
    let file = |name: &str| {
        std::fs::write(folder.join(name), name).expect("written");
        host_look(&folder.join(name))
    };
    let mut files: Vec<Found> = ["a", "gone", "pipe", "link", "z"].into_iter().map(file).collect();
    for name in ["gone", "pipe", "link"] {
        std::fs::remove_file(folder.join(name)).expect("removed");
    }
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().expect("mkfifo").success());
    std::os::unix::fs::symlink("a", folder.join("link")).expect("a link");
    // It grew since, and only what was there when it was listed is taken.
    std::fs::write(folder.join("z"), "z and more").expect("written");
    let ends = Instant::now() + Duration::from_secs(60);
    let mut got = Vec::new();
    let mut each = |_: usize, fetched: std::result::Result<Fetched, String>, bytes: &[u8]| {
        got.push((fetched.map(|f| f.taken), String::from_utf8_lossy(bytes).into_owned()));
        true
    };
    assert!(host.fetch_all(&files, 1_000, ends, &mut each));
    assert_eq!(got[0], (Ok(1), "a".to_owned()));
    assert!(got[1].0.as_ref().is_err_and(|e| e.contains("No such file")), "{got:?}");
    assert_eq!(got[2].0, Err("not a regular file".to_owned()));
    assert_eq!(got[3].0, Err("a link by now".to_owned()));
    assert_eq!(got[4], (Ok(1), "z".to_owned()));
    // Whose answer is longer than it may be is blamed, and those behind it are asked for again.
    let path = folder.join("a");
    let path = path.as_os_str().as_bytes();
    let items = [256, 3, 256].map(|most| Item { path, most });
    let mut sums = Vec::new();
    let before = sshd.commands();
    let whole = host.batch(Task::Hash, &items, ends, &mut |n, answer| {
        sums.push((n, answer.exit, answer.bytes.len() > 64));
        true
    });
    assert!(whole);
    assert_eq!(sums, [(0, Some(0), true), (1, None, false), (2, Some(0), true)]);
    assert_eq!(sshd.commands() - before, 3);
    // A time that is over.
    files.truncate(1);
    assert!(!host.fetch_all(&files, 1_000, Instant::now(), &mut |_, _, _| true));
    drop(sshd);
    let mut said = Vec::new();
    host.fetch_all(&files, 1_000, ends, &mut |_, fetched, _| {
        said.push(fetched.map(|f| f.taken));
        true
    });
    assert!(said.len() == 1 && said[0].is_err(), "{said:?}");
}

fn host_look(path: &Path) -> Found {
    let mut here = Local::new(Path::new("/")).expect("this host");
    here.look(path.as_os_str().as_bytes()).expect("a file")
}
