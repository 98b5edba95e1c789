//! The other host for real: an sshd on loopback, with files whose names want to be commands.

use super::*;
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
         PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        at("host"),
        at("user.pub")
    );
    std::fs::write(dir.path().join("config"), config).expect("written");
    if user == "root" {
        std::fs::create_dir_all("/run/sshd").expect("where sshd separates its privileges");
    }
    let child = Command::new(program)
        .args(["-D", "-f", &at("config")])
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
    let bases = [base.clone()];
    let walk = Walk { bases: &bases, depth: Some(1), one_file_system: true, enters: &|_| true };
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
        assert_eq!(host.hash(found, 1_000), Some(crate::name::hex(&Sha256::digest(name))));
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
