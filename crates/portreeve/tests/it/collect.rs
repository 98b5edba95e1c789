//! Packages of `portreeve collect`, as a responder makes and checks them, and as an intruder would like them.

mod far;
mod hunted;
mod windows;

use crate::company::portreeve;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Names that want to be something else: a line, an option, a colour, a shell's word, no text at all.
const HOSTILE: [&[u8]; 7] =
    [b"a\nb", b"it's \"q\"", b"\x1b[31mred", b"-rf", b"$(id)`id`", b"\xff\xfe.txt", b"back\\slash|bar"];

const HASH: &str = "$6$saltsalt$Zk3yPnotARealHashButLongEnough";
const BODY: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("written");
}

/// A small host that was broken into.
fn tree() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    let root = dir.path();
    write(root, "etc/hostname", "gw1\n");
    write(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    write(
        root,
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nsvc:x:900:900::/srv/svc:/bin/false\n",
    );
    write(root, "etc/shadow", &format!("root:{HASH}:19700:0:99999:7:::\nanna:!:19701::::::\n"));
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\n");
    write(root, "etc/ssh/keys/root", "ssh-ed25519 AAAAintruder x\n");
    write(root, "root/.ssh/authorized_keys", "ssh-ed25519 AAAAowner root\n");
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----\n");
    write(root, "root/.ssh/id_ed25519", &key);
    write(root, "etc/wireguard/wg0.conf", &format!("[Interface]\nPrivateKey = {BODY}=\nListenPort = 1\n"));
    write(root, "srv/svc/.bash_history", "ssh root@10.0.0.5\n");
    write(root, "usr/lib/systemd/system/back.service", "[Service]\nExecStart=/tmp/x\n");
    fs::create_dir_all(root.join("etc/systemd/system")).expect("a folder");
    symlink("/usr/lib/systemd/system/back.service", root.join("etc/systemd/system/back.service"))
        .expect("a link");
    symlink("/dev/null", root.join("etc/systemd/system/masked.service")).expect("a link");
    let mut log = String::new();
    for n in 0..50 {
        log.push_str(&format!(
            "2026-11-27T10:00:{:02}+00:00 gw1 sshd[{}]: Accepted password for anna from 192.0.2.{n} port 4711 ssh2\n",
            n % 60,
            100 + n
        ));
    }
    write(root, "var/log/auth.log", &log);
    write(root, "var/log/dpkg.log", "2026-11-27 10:00:00 status installed x:amd64 1\n");
    write(root, "proc/stat", "cpu 1\nbtime 1700000000\n");
    write(root, "proc/77/stat", "77 (x) S 1 77 77 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n");
    write(root, "proc/77/cmdline", "/tmp/x\0-l\0");
    write(root, "proc/77/environ", "SSH_CONNECTION=192.0.2.9 1 192.0.2.1 22\0TOKEN=hush-hush\0");
    symlink("/tmp/x (deleted)", root.join("proc/77/exe")).expect("a link");
    let line = "   0: 0202000A:0016 010200C0:D431 01 00000000:00000000 02:00000000 00000000  1000        0 502 1 0\n";
    write(root, "proc/net/tcp", &format!("  sl\n{line}"));
    fs::create_dir_all(root.join("proc/77/fd")).expect("a folder");
    symlink("socket:[502]", root.join("proc/77/fd/3")).expect("a link");
    fs::create_dir_all(root.join("home/anna/.ssh")).expect("a folder");
    for name in HOSTILE {
        fs::write(root.join("home/anna/.ssh").join(OsStr::from_bytes(name)), name).expect("written");
    }
    dir
}

struct Collected {
    _out: TempDir,
    dir: PathBuf,
    archive: PathBuf,
}

fn collect(root: &Path, more: &[&str]) -> Collected {
    let out = TempDir::new().expect("a folder");
    portreeve()
        .args(["collect", "--name", "gw1", "--case", "2026-114", "--out"])
        .arg(out.path())
        .arg("--root")
        .arg(root)
        .args(more)
        .assert()
        .success();
    let (dir, archive) = (out.path().join("gw1"), out.path().join("gw1.tar.zst"));
    Collected { _out: out, dir, archive }
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("manifest.json")).expect("a manifest")).expect("JSON")
}

fn verify(package: &Path, more: &[&str]) -> (i32, String) {
    let out =
        portreeve().args(["collect", "verify"]).arg(package).args(more).output().expect("the binary runs");
    let text = [out.stdout, out.stderr].concat();
    (out.status.code().expect("a status"), String::from_utf8(text).expect("text"))
}

/// A program that judges from outside. Where it is not installed the test says so; CI installs all of them.
fn outside(program: &str) -> Option<Command> {
    let found =
        ["/usr/bin", "/usr/sbin", "/bin"].iter().map(|d| Path::new(d).join(program)).find(|p| p.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {program} is not installed; what it would have judged was not judged");
    }
    found.map(Command::new)
}

fn ran(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Entries of an archive with their bytes.
fn unpack(archive: &Path) -> Option<TempDir> {
    outside("zstd")?;
    let to = TempDir::new().expect("a folder");
    let done = Command::new("tar").arg("--zstd").arg("-xf").arg(archive).arg("-C").arg(to.path()).status();
    match done {
        Ok(status) if status.success() => {}
        other => panic!("tar --zstd: {other:?}"),
    }
    Some(to)
}

#[test]
fn a_host_is_collected_checked_and_hunted() {
    let root = tree();
    let package = collect(root.path(), &[]);
    let manifest = manifest(&package.dir);
    let file = |path: &str| {
        let files = manifest["files"].as_array().expect("files");
        files.iter().find(|f| f["path"] == path).unwrap_or_else(|| panic!("{path} is not there")).clone()
    };
    assert_eq!(manifest["case"], "2026-114");
    assert_eq!(manifest["host"]["name"], "gw1");
    // A key where only the configuration of sshd says that one is, and a unit behind a link.
    assert_eq!(file("files/etc/ssh/keys/root")["artifact"], "authorized-keys");
    assert_eq!(file("files/usr/lib/systemd/system/back.service")["artifact"], "systemd");
    assert_eq!(file("files/srv/svc/.bash_history")["artifact"], "histories");
    let log = fs::metadata(root.path().join("var/log/auth.log")).expect("a log");
    assert_eq!(file("logs/var/log/auth.log")["size"], log.len());
    let artifact = |id: &str| {
        let all = manifest["artifacts"].as_array().expect("artifacts");
        all.iter().find(|a| a["id"] == id).expect("every artefact is named").clone()
    };
    assert_eq!(artifact("sessions-who")["state"], "not-taken");
    assert_eq!(artifact("loader")["state"], "absent");
    let links = artifact("systemd")["links"].to_string();
    assert!(links.contains("/usr/lib/systemd/system/back.service") && links.contains("/dev/null"), "{links}");
    let processes = fs::read_to_string(package.dir.join("live/processes.ndjson")).expect("processes");
    assert!(processes.contains("\"program_deleted\":true") && processes.contains("192.0.2.9"), "{processes}");
    assert!(!processes.contains("hush-hush"));
    let sockets = fs::read_to_string(package.dir.join("live/sockets.ndjson")).expect("sockets");
    assert!(
        sockets.contains("\"remote\":\"192.0.2.1\"") && sockets.contains("\"processes\":[77]"),
        "{sockets}"
    );
    let body = fs::read_to_string(package.dir.join("live/bodyfile.txt")).expect("a body file");
    assert!(body.lines().all(|l| l.split('|').count() == 11), "{body}");
    assert!(body.contains("/etc/shadow|"));

    assert_eq!(verify(&package.dir, &[]).0, 0, "{}", verify(&package.dir, &[]).1);
    let (code, said) = verify(&package.archive, &[]);
    assert!(code == 0 && said.contains("whole") && said.contains("sha256: agrees"), "{said}");
    let records = |path: &Path| {
        let out = TempDir::new().expect("a folder");
        portreeve().arg("hunt").arg(path).arg("--out").arg(out.path()).assert().success();
        let run = fs::read(out.path().join("run.json")).expect("a report of the run");
        let run: Value = serde_json::from_slice(&run).expect("JSON");
        run["totals"].clone()
    };
    let totals = records(&package.dir.join("logs"));
    assert_eq!((totals["records"].as_u64(), totals["understood"].as_u64()), (Some(50), Some(50)), "{totals}");
    assert_eq!(records(&package.archive), totals);
}

#[test]
fn secrets_do_not_travel_unless_asked_for() {
    let root = tree();
    let holds = |more: &[&str]| {
        let package = collect(root.path(), more);
        let mut found = Vec::new();
        let manifest = manifest(&package.dir);
        for file in manifest["files"].as_array().expect("files") {
            let path = file["path"].as_str().expect("a path");
            let bytes = fs::read(package.dir.join(path)).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            if text.contains(HASH) || text.contains(BODY) {
                found.push(path.to_owned());
            }
        }
        found.sort();
        found
    };
    assert_eq!(holds(&[]), Vec::<String>::new());
    assert_eq!(
        holds(&["--with-secrets"]),
        ["files/etc/shadow", "files/etc/wireguard/wg0.conf", "files/root/.ssh/id_ed25519"]
    );
}

#[test]
fn sha256sum_agrees() {
    let Some(mut program) = outside("sha256sum") else { return };
    let root = tree();
    let package = collect(root.path(), &[]);
    let check = |program: &mut Command, dir: &Path, sums: &str| {
        program.args(["--strict", "-c", sums]).current_dir(dir).output().expect("it runs")
    };
    let out = check(&mut program, &package.dir, "SHA256SUMS");
    assert!(out.status.success(), "{}", ran(&out));
    let lines = String::from_utf8(out.stdout).expect("text").lines().count();
    let files = manifest(&package.dir)["files"].as_array().expect("files").len();
    assert_eq!(lines, files + 2);
    let out = check(&mut program, package.archive.parent().expect("a folder"), "gw1.tar.zst.sha256");
    assert!(!ran(&out).contains("FAILED"), "{}", ran(&out));
    // What the archive holds is what the folder held.
    let Some(unpacked) = unpack(&package.archive) else { return };
    let mut again = outside("sha256sum").expect("it was there");
    let out = check(&mut again, &unpacked.path().join("gw1"), "SHA256SUMS");
    assert!(out.status.success(), "{}", ran(&out));
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let root = tree();
    let package = collect(root.path(), &[]);
    let first = fs::read(&package.archive).expect("an archive");
    // Times of the copies are of no concern.
    let touched = Command::new("touch").arg(package.dir.join("files/etc/passwd")).status().expect("touch");
    assert!(touched.success());
    portreeve().args(["collect", "--resume"]).arg(&package.dir).assert().success();
    assert!(fs::read(&package.archive).expect("an archive") == first);
}

#[test]
fn whatever_is_changed_is_named() {
    let root = tree();
    let change = |name: &str, how: &dyn Fn(&Path), expect: &[&str]| {
        let package = collect(root.path(), &["--only", "accounts,logs"]);
        how(&package.dir);
        let (code, said) = verify(&package.dir, &[]);
        assert_eq!(code, 1, "{name}: {said}");
        for words in expect {
            assert!(said.contains(words), "{name}: {words}: {said}");
        }
        package
    };
    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).expect("a file");
        bytes[20] ^= 1;
        fs::write(path, bytes).expect("written");
    };
    let package = change("a byte", &|d| flip(d.join("files/etc/passwd")), &["files/etc/passwd: differs"]);
    let failed = portreeve().args(["collect", "--resume"]).arg(&package.dir).assert().code(70);
    let said = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(said.contains("files/etc/passwd is not what it was"), "{said}");
    change(
        "a file gone",
        &|d| fs::remove_file(d.join("logs/var/log/auth.log")).expect("removed"),
        &["auth.log: missing"],
    );
    change(
        "a file more",
        &|d| fs::write(d.join("files/etc/x"), "x").expect("written"),
        &["files/etc/x: added"],
    );
    change(
        "the custody log",
        &|d| {
            let path = d.join("custody.jsonl");
            let text = fs::read_to_string(&path).expect("a log");
            fs::write(path, text.replacen("\"accounts\"", "\"accountz\"", 1)).expect("written");
        },
        &["does not follow the one before it", "custody.jsonl: differs"],
    );
    // Made consistent by hand, but for the chain.
    change(
        "manifest and sums",
        &|d| {
            let path = d.join("manifest.json");
            let text = fs::read_to_string(&path).expect("a manifest").replacen("2026-114", "2026-115", 1);
            fs::write(&path, &text).expect("written");
            let sum = sha256(text.as_bytes());
            let sums = fs::read_to_string(d.join("SHA256SUMS")).expect("sums");
            let sums: Vec<String> = sums
                .lines()
                .map(|l| {
                    if l.ends_with("  manifest.json") {
                        format!("{sum}  manifest.json")
                    } else {
                        l.to_owned()
                    }
                })
                .collect();
            fs::write(d.join("SHA256SUMS"), sums.join("\n") + "\n").expect("written");
        },
        &["manifest.json: is not the one that custody.jsonl saw sealed"],
    );
    let package = collect(root.path(), &["--only", "accounts"]);
    flip(package.archive.clone());
    assert_ne!(verify(&package.archive, &[]).0, 0);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn minisign_agrees() {
    let root = tree();
    let keys = TempDir::new().expect("a folder");
    let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a pair");
    let (secret, public) = (keys.path().join("case.key"), keys.path().join("case.pub"));
    fs::write(&secret, pair.sk.to_box(None).expect("a key").into_string()).expect("written");
    fs::write(&public, pair.pk.to_box().expect("a key").into_string()).expect("written");
    let public = public.to_str().expect("a path");
    let package = collect(root.path(), &["--only", "accounts", "--sign", secret.to_str().expect("a path")]);
    for what in [&package.archive, &package.dir] {
        let (code, said) = verify(what, &["--public-key", public]);
        assert!(code == 0 && said.contains("SHA256SUMS: the signature is good"), "{said}");
    }
    let again = fs::read(&package.archive).expect("an archive");
    portreeve().args(["collect", "--resume"]).arg(&package.dir).assert().success();
    assert!(fs::read(&package.archive).expect("an archive") == again, "the signature inside is made once");
    let stranger = minisign::KeyPair::generate_unencrypted_keypair().expect("a pair").pk.to_base64();
    assert_eq!(verify(&package.dir, &["--public-key", &stranger]).0, 1);
    let unsigned = collect(root.path(), &["--only", "accounts"]);
    assert_eq!(verify(&unsigned.dir, &["--public-key", public]).0, 1, "no signature is no good signature");
    let Some(mut program) = outside("minisign") else { return };
    let out = program.args(["-V", "-p", public, "-m"]).arg(&package.archive).output().expect("it runs");
    assert!(out.status.success() && ran(&out).contains("case:2026-114"), "{}", ran(&out));
    let mut program = outside("minisign").expect("it was there");
    let out = program
        .args(["-V", "-p", public, "-m"])
        .arg(package.dir.join("SHA256SUMS"))
        .output()
        .expect("it runs");
    assert!(out.status.success(), "{}", ran(&out));
}

#[test]
fn only_the_recipient_opens_it() {
    let root = tree();
    let keys = TempDir::new().expect("a folder");
    let identity = keys.path().join("who");
    // Fixed, and used for nothing else.
    let (secret, recipient) = (
        "AGE-SECRET-KEY-1XWQDCJT7N4EF6K9YLKN06PCVYN47T5M5KRVXHS38XGYVQMEKZ4DSVHU8E6",
        "age1y5xsgvfsh2pgntcpfnckmqeyasg5gdqv3w44xfthshkrzyquz3pq4r84l7",
    );
    fs::write(&identity, secret).expect("written");
    let package = collect(root.path(), &["--only", "accounts", "--recipient", recipient]);
    assert!(!package.dir.exists() && !package.archive.exists(), "nothing is left in the clear");
    let archive = package.archive.with_extension("zst.age");
    assert_eq!(verify(&archive, &[]).0, 64);
    let (code, said) = verify(&archive, &["--identity", identity.to_str().expect("a path")]);
    assert!(code == 0 && said.contains("whole"), "{said}");
    let Some(mut program) = outside("age") else { return };
    let out = program.arg("-d").arg("-i").arg(&identity).arg(&archive).output().expect("it runs");
    assert!(out.status.success() && out.stdout.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "{}", ran(&out));
    portreeve().args(["collect", "--out", "x", "--recipient", "age1nobody"]).assert().code(64);
}

#[test]
fn hostile_names_come_through_and_do_nothing() {
    let root = tree();
    let package = collect(root.path(), &["--only", "ssh-user,bodyfile,recent"]);
    let manifest = manifest(&package.dir);
    let files = manifest["files"].as_array().expect("files");
    for name in HOSTILE {
        let path = [b"/home/anna/.ssh/", name].concat();
        let hex: String = path.iter().map(|b| format!("{b:02x}")).collect();
        let entry = files.iter().find(|f| match std::str::from_utf8(&path) {
            Ok(text) => f["origin"] == text,
            Err(_) => f["origin_bytes"] == hex.as_str(),
        });
        let entry = entry.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(name)));
        let inside = entry["path"].as_str().expect("a path");
        assert!(inside.chars().all(|c| !c.is_control() && c != '\\' && c != '"'), "{inside}");
        assert_eq!(fs::read(package.dir.join(inside)).expect("the copy"), name);
    }
    let sums = fs::read_to_string(package.dir.join("SHA256SUMS")).expect("sums");
    assert!(sums.lines().all(|l| l.as_bytes().get(64..66) == Some(b"  ")), "{sums}");
    let body = fs::read_to_string(package.dir.join("live/bodyfile.txt")).expect("a body file");
    assert!(body.lines().all(|l| l.split('|').count() == 11), "{body}");
    let (code, said) = verify(&package.archive, &[]);
    assert!(code == 0 && !said.contains('\x1b'), "{said}");
    let Some(unpacked) = unpack(&package.archive) else { return };
    assert_eq!(fs::read_dir(unpacked.path()).expect("a folder").count(), 1);
}

#[test]
fn limits_cut_and_say_so() {
    let root = tree();
    write(root.path(), "var/log/big.log", &"x".repeat(3 << 20));
    let package = collect(root.path(), &["--only", "accounts,logs,bodyfile,histories", "--max-size", "1"]);
    let manifest = manifest(&package.dir);
    let all = manifest["artifacts"].as_array().expect("artifacts");
    let artifact = |id: &str| all.iter().find(|a| a["id"] == id).expect("named");
    assert_eq!(artifact("logs")["state"], "partial");
    assert_eq!(artifact("bodyfile")["reason"], "the room of the whole package was up");
    let files = manifest["files"].as_array().expect("files");
    let big = files.iter().find(|f| f["path"] == "logs/var/log/big.log").expect("its end was kept");
    assert!(big["truncated"].as_str().is_some_and(|t| t.starts_with("the first ")), "{big}");
    let bytes: u64 = files.iter().map(|f| f["size"].as_u64().expect("a size")).sum();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert_eq!(verify(&package.archive, &[]).0, 0);
}

#[test]
fn a_killed_collection_goes_on() {
    let root = tree();
    write(root.path(), "var/log/a.log", "first\n");
    // Sparse: it costs nothing until it is copied, which takes long enough to be killed in.
    let big = root.path().join("var/log/b.log");
    fs::File::create(&big).and_then(|f| f.set_len(500 << 20)).expect("made");
    let out = TempDir::new().expect("a folder");
    let dir = out.path().join("gw1");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("portreeve"))
        .args(["collect", "--name", "gw1", "--only", "accounts,logs", "--out"])
        .arg(out.path())
        .arg("--root")
        .arg(root.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let begun = Instant::now();
    let part = dir.join(".part");
    while fs::metadata(&part).map_or(0, |m| m.len()) < 1 << 20 {
        assert!(
            begun.elapsed() < Duration::from_secs(120) && matches!(child.try_wait(), Ok(None)),
            "too quick"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let journal = || fs::read_to_string(dir.join(".journal.jsonl")).expect("a journal");
    let before = journal();
    assert!(before.contains("logs/var/log/a.log") && !before.contains("logs/var/log/b.log"), "{before}");
    assert!(!dir.join("manifest.json").exists() && verify(&dir, &[]).0 == 1);
    // What the collection saw is not read again, and what it did not finish is.
    write(root.path(), "var/log/a.log", "changed since\n");
    fs::File::options().write(true).open(&big).and_then(|f| f.set_len(100)).expect("cut");
    portreeve().args(["collect", "--resume"]).arg(&dir).assert().success();
    assert!(journal().starts_with(&before));
    assert_eq!(fs::read_to_string(dir.join("logs/var/log/a.log")).expect("a copy"), "first\n");
    assert_eq!(fs::metadata(dir.join("logs/var/log/b.log")).expect("a copy").len(), 100);
    let custody = fs::read_to_string(dir.join("custody.jsonl")).expect("a log");
    assert!(custody.contains("\"what\":\"resumed\""), "{custody}");
    assert_eq!(verify(&dir, &[]).0, 0, "{}", verify(&dir, &[]).1);
    let another = write_elsewhere();
    let moved = portreeve().args(["collect", "--resume"]).arg(another.path()).assert().code(64);
    assert!(String::from_utf8_lossy(&moved.get_output().stderr).contains("no collection was begun here"));
}

fn write_elsewhere() -> TempDir {
    TempDir::new().expect("a folder")
}

#[test]
fn commands_of_this_machine_are_recorded_with_their_status() {
    let out = TempDir::new().expect("a folder");
    portreeve()
        .args([
            "collect",
            "--name",
            "here",
            "--only",
            "uptime,packages-apk,kernel-state",
            "--max-load",
            "1000",
            "--out",
        ])
        .arg(out.path())
        .assert()
        .success();
    let manifest = manifest(&out.path().join("here"));
    let all = manifest["artifacts"].as_array().expect("artifacts");
    let artifact = |id: &str| all.iter().find(|a| a["id"] == id).expect("named");
    // One of them is on no host that has the other.
    assert!(
        [artifact("uptime"), artifact("packages-apk")].iter().any(|a| a["reason"] == "not on this host"),
        "{manifest}"
    );
    let files = manifest["files"].as_array().expect("files");
    assert!(files.iter().any(|f| f["path"] == "files/proc/version"), "{manifest}");
    for file in files.iter().filter(|f| !f["command"].is_null()) {
        assert!(file["exit"].is_i64(), "{file}");
    }
}

#[test]
fn usage_is_checked_before_anything_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    for args in [
        &["collect"][..],
        &["collect", "--out", "x", "--only", "nonsense"],
        &["collect", "--out", "x", "--name", "../x"],
        &["collect", "--out", "x", "--case", "a\nb"],
        &["collect", "--out", "x", "--root", "/no/such/tree"],
        &["collect", "--out", "x", "--ssh", "root@gw1"],
        &["collect", "--out", "x", "--ssh", "root@-oProxyCommand=id", "--host-key", "SHA256:x"],
        &["collect", "--out", "x", "--sign", "/no/such/key"],
        &["collect", "verify", "/no/such/package"],
    ] {
        let out = portreeve().args(args).current_dir(dir.path()).assert().code(64);
        let said = String::from_utf8_lossy(&out.get_output().stderr).into_owned();
        assert!(said.len() > 10, "{args:?}: {said}");
    }
    assert!(!dir.path().join("x").exists());
}
