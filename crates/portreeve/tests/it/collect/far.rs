//! Peers that are real: an sshd and a time-stamping authority, both on loopback.

use super::{collect, manifest, outside, ran, tree, verify};
use crate::company::portreeve;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn sh(program: &mut Command) -> String {
    let out = program.output().expect("it runs");
    assert!(out.status.success(), "{program:?}: {}", ran(&out));
    String::from_utf8(out.stdout).expect("text")
}

struct Sshd {
    dir: TempDir,
    child: Child,
    port: u16,
    user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

/// An sshd of its own with keys of its own, for the account that runs the test.
fn sshd() -> Option<Sshd> {
    let program = outside("sshd")?.get_program().to_owned();
    let dir = TempDir::new().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    for key in ["host", "user"] {
        sh(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &at(key)]));
    }
    let user = sh(Command::new("id").arg("-un")).trim().to_owned();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        at("host"),
        at("user.pub")
    );
    fs::write(dir.path().join("config"), config).expect("written");
    if user == "root" {
        // Where sshd separates its privileges.
        fs::create_dir_all("/run/sshd").expect("a folder");
    }
    let log = fs::File::create(dir.path().join("log")).expect("a log");
    let child = Command::new(program)
        .args(["-D", "-e", "-f", &at("config")])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd");
    let sshd = Sshd { dir, child, port, user };
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = fs::read_to_string(sshd.dir.path().join("log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(sshd)
}

impl Sshd {
    fn collect(&self, host_key: &str, out: &Path) -> assert_cmd::assert::Assert {
        portreeve()
            .args(["collect", "--name", "far", "--max-load", "1000", "--out"])
            .arg(out)
            .args(["--only", "processes,sockets,kernel-modules,packages-apk,accounts,authorized-keys,host-names,sshd-effective"])
            .args(["--ssh", &format!("{}@127.0.0.1:{}", self.user, self.port), "--host-key", host_key])
            .arg("--identity")
            .arg(self.dir.path().join("user"))
            .assert()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn another_host_over_ssh() {
    let Some(sshd) = sshd() else { return };
    let key = fs::read_to_string(sshd.dir.path().join("host.pub")).expect("a key");
    let out = TempDir::new().expect("a folder");
    let done = sshd.collect(&key, out.path());
    let said = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert_eq!(done.get_output().status.code(), Some(0), "{said}\n{}", sshd.said());
    let dir = out.path().join("far");
    let manifest = manifest(&dir);
    let host = &manifest["host"];
    assert!(host["transport"].as_str().is_some_and(|t| t.starts_with("ssh ")), "{host}");
    assert!(host["clock_ahead_ms"].as_i64().is_some_and(|ms| ms.abs() < 60_000), "{host}");
    assert_eq!(
        fs::read(dir.join("files/etc/passwd")).expect("a copy"),
        fs::read("/etc/passwd").expect("a file")
    );
    let processes = fs::read_to_string(dir.join("live/processes.ndjson")).expect("processes");
    let own = format!("\"pid\":{},", sshd.child.id());
    let line = processes.lines().find(|l| l.contains(&own)).expect("the sshd itself");
    assert!(line.contains("sshd") && line.contains("\"started\":\"20"), "{line}");
    let sockets = fs::read_to_string(dir.join("live/sockets.ndjson")).expect("sockets");
    let listens = format!("\"state\":\"listening\",\"local\":\"127.0.0.1\",\"local_port\":{},", sshd.port);
    let line = sockets.lines().find(|l| l.contains(&listens)).expect("the listener");
    if sshd.user == "root" {
        assert!(line.contains(&format!("\"processes\":[{}", sshd.child.id())), "{line}");
    }
    assert_eq!(verify(&dir, &[]).0, 0, "{}", verify(&dir, &[]).1);
}

#[test]
fn only_the_pinned_key_is_talked_to() {
    let Some(sshd) = sshd() else { return };
    let host = fs::read_to_string(sshd.dir.path().join("host.pub")).expect("a key");
    let stranger = fs::read_to_string(sshd.dir.path().join("user.pub")).expect("a key");
    let out = TempDir::new().expect("a folder");
    let refused = |key: &str| {
        let done = sshd.collect(key, out.path()).code(64);
        assert!(!out.path().join("far").exists());
        String::from_utf8_lossy(&done.get_output().stderr).into_owned()
    };
    let said = refused(&stranger);
    assert!(said.contains("Host key verification failed") || said.contains("IDENTIFICATION"), "{said}");
    assert!(refused("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").contains("has none of the keys"));
    refused("nonsense");
    assert!(!sshd.said().contains("Accepted publickey"), "{}", sshd.said());
    let key = sshd.dir.path().join("host.pub");
    let print = sh(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(key));
    let print = print.split(' ').nth(1).expect("a fingerprint").to_owned();
    assert_eq!(sshd.collect(&print, out.path()).get_output().status.code(), Some(0), "{}", sshd.said());
    let pinned = manifest(&out.path().join("far"))["host"]["host_key"].clone();
    assert_eq!(pinned, print.as_str(), "{host}");
}

/// A certificate of a time-stamping authority and the configuration that `openssl ts -reply` wants.
fn authority() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("extension"), "extendedKeyUsage=critical,timeStamping\n").expect("written");
    let config = "[tsa]\ndefault_tsa=c\n[c]\ndir=.\nserial=./serial\ncrypto_device=builtin\nsigner_cert=./tsa.pem\n\
                  certs=./ca.pem\nsigner_key=./tsa.key\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\n\
                  accuracy=secs:1\nordering=yes\ntsa_name=yes\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n";
    fs::write(dir.path().join("config"), config).expect("written");
    fs::write(dir.path().join("serial"), "01\n").expect("written");
    for words in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2",
        "req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=tsa",
        "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 2 -extfile extension",
    ] {
        sh(Command::new("openssl").args(words.split(' ')).current_dir(dir.path()));
    }
    dir
}

fn answer(authority: &Path, query: &[u8]) -> Vec<u8> {
    fs::write(authority.join("q.tsq"), query).expect("written");
    sh(Command::new("openssl")
        .args(["ts", "-reply", "-config", "config", "-queryfile", "q.tsq", "-out", "q.tsr"])
        .current_dir(authority));
    fs::read(authority.join("q.tsr")).expect("an answer")
}

/// Answers one question over HTTP with what `reply` makes of it.
fn serve(reply: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/tsa", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a question");
        let (mut text, mut block) = (Vec::new(), [0; 4_096]);
        let body = loop {
            let n = stream.read(&mut block).expect("bytes");
            text.extend_from_slice(&block[..n]);
            let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
            assert!(head.contains("application/timestamp-query"), "{head}");
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if text.len() >= end + 4 + length.expect("a length") {
                break text[end + 4..].to_vec();
            }
        };
        let answer = reply(&body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        stream.write_all(&[head.as_bytes(), &answer].concat()).expect("answered");
    });
    (url, thread)
}

fn openssl_verifies(archive: &Path, answer: &Path, authority: &Path) -> (bool, String) {
    let out = Command::new("openssl")
        .args(["ts", "-verify", "-data"])
        .arg(archive)
        .arg("-in")
        .arg(answer)
        .arg("-CAfile")
        .arg(authority.join("ca.pem"))
        .output()
        .expect("it runs");
    (out.status.success(), ran(&out))
}

fn beside(archive: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", archive.display()))
}

#[test]
fn an_authority_stamps_and_openssl_agrees() {
    if outside("openssl").is_none() {
        return;
    }
    let authority = authority();
    let folder = authority.path().to_owned();
    let (url, thread) = serve(move |query| answer(&folder, query));
    let root = tree();
    let package = collect(root.path(), &["--only", "accounts", "--timestamp", &url]);
    thread.join().expect("one question");
    let (good, said) = openssl_verifies(&package.archive, &beside(&package.archive, "tsr"), authority.path());
    assert!(good, "{said}");
    let (code, said) = verify(&package.archive, &[]);
    assert!(code == 0 && said.contains("stamps this archive at 20"), "{said}");
    fs::copy(package.dir.join("files/etc/passwd"), &package.archive).expect("another file in its place");
    assert!(!openssl_verifies(&package.archive, &beside(&package.archive, "tsr"), authority.path()).0);
}

#[test]
fn a_request_is_carried_to_an_authority_by_hand() {
    if outside("openssl").is_none() {
        return;
    }
    let authority = authority();
    let root = tree();
    let package = collect(root.path(), &["--only", "accounts", "--timestamp-request"]);
    let stamped = answer(authority.path(), &fs::read(beside(&package.archive, "tsq")).expect("a request"));
    let answer = beside(&package.archive, "tsr");
    fs::write(&answer, &stamped).expect("written");
    let (good, said) = openssl_verifies(&package.archive, &answer, authority.path());
    assert!(good, "{said}");
    assert!(verify(&package.archive, &[]).1.contains("stamps this archive"));
    // The stamp of one package beside another.
    let other = collect(root.path(), &["--only", "host-names"]);
    fs::write(beside(&other.archive, "tsr"), &stamped).expect("written");
    let (code, said) = verify(&other.archive, &[]);
    assert!(code == 1 && said.contains("it stamps other data"), "{said}");
}

#[test]
fn an_answer_that_is_none_leaves_the_archive_and_says_so() {
    let root = tree();
    let out = TempDir::new().expect("a folder");
    let (url, thread) = serve(|_| b"<html>login</html>".to_vec());
    let done = portreeve()
        .args(["collect", "--name", "gw1", "--only", "accounts", "--timestamp", &url, "--out"])
        .arg(out.path())
        .arg("--root")
        .arg(root.path())
        .assert()
        .success();
    thread.join().expect("one question");
    let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(said.contains("not stamped:") && said.contains("it is no time-stamp answer"), "{said}");
    assert!(out.path().join("gw1.tar.zst").exists() && !out.path().join("gw1.tar.zst.tsr").exists());
}
