//! The README's second command: the sample on PostgreSQL and an identity provider; somebody signs in there, in Chromium.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends the script, which ends what it started.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        // It may have ended by itself, which the test has seen by then.
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_sample_runs_on_postgresql_and_people_come_in_by_their_provider() {
    assert!(Path::new("/usr/bin/chromium").exists(), "needs the Debian package chromium");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shared/start.py");
    let dir = tempfile::tempdir().expect("a folder");
    // PostgreSQL's account has to get to its own folder.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .expect("changed");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let mut child = Command::new(&python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_portreeve"))
        .arg(dir.path().join("shared"))
        .arg(port.to_string())
        .env_remove("PORTREEVE_CONTEXT")
        .stdout(Stdio::piped())
        .spawn()
        .expect("needs the Debian package python3");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut said).expect("its first line");
    let _script = Script(child);
    let log = std::fs::read_to_string(dir.path().join("shared/portreeve.log")).unwrap_or_default();
    assert!(said.starts_with("open http://127.0.0.1:"), "{said}\n{log}");
    let password = said.rsplit("password: ").next().expect("a password").trim().to_owned();
    let base = format!("http://127.0.0.1:{port}");
    let out = Command::new("timeout")
        .args(["240", &python, "-c", include_str!("shared.py"), &base, &password])
        .arg(std::env::var("PICTURES").unwrap_or_default())
        .output()
        .expect("needs the Debian package coreutils");
    let told = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).join("\n");
    assert!(out.status.success(), "{told}\n{log}");
}
