//! Files of another host, by a real OpenSSH server on loopback.

use crate::lab::{self, Daemon};
use portreeve_respond::transport::command::{Runner, Via};
use portreeve_respond::transport::file::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

fn key(dir: &Path, name: &str) -> String {
    let path = dir.join(name).to_str().unwrap().to_owned();
    lab::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
    path
}

#[test]
fn a_file_is_read_and_replaced_over_ssh_whatever_its_name() {
    if !lab::can(&["sshd", "ssh", "ssh-keygen", "dd", "install", "realpath"], true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (host, user) = (key(dir.path(), "host"), key(dir.path(), "user"));
    let port = lab::port();
    let conf = dir.path().join("sshd_config");
    std::fs::write(
        &conf,
        format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        ),
    )
    .unwrap();
    std::fs::create_dir_all("/run/sshd").unwrap();
    let sshd = lab::which("sshd").unwrap();
    let server = Daemon::spawn(
        sshd.to_str().unwrap(),
        &["-D", "-e", "-f", conf.to_str().unwrap()],
        &dir.path().join("log"),
    );
    server.says("Server listening", Duration::from_secs(5));
    let public = std::fs::read_to_string(format!("{host}.pub")).unwrap();
    let known = dir.path().join("known_hosts");
    std::fs::write(&known, format!("[127.0.0.1]:{port} {public}")).unwrap();
    let via: Via = serde_json::from_value(serde_json::json!({
        "ssh": {"host": "127.0.0.1", "user": "root", "port": port, "identity": user, "known_hosts": known}
    }))
    .unwrap();
    let runner: Runner = via.runner().unwrap();

    let place = dir.path().join("o'neil \"$(id)\" <*)&\\;|");
    let at = place.to_str().unwrap();
    let file = File::inside(dir.path().to_str().unwrap(), at.rsplit('/').next().unwrap()).unwrap();
    assert_eq!(file.path(), at);
    assert_eq!(file.read(&runner).unwrap(), None);
    // Longer than one packet and one block.
    let long = "line '\"$(id)`id`\n".repeat(20_000);
    file.replace(&runner, &long, "600").unwrap();
    assert_eq!(std::fs::read_to_string(&place).unwrap(), long);
    assert_eq!(std::fs::metadata(&place).unwrap().mode() & 0o777, 0o600);
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o640)).unwrap();
    file.replace(&runner, "short", "600").unwrap();
    assert_eq!(file.read(&runner).unwrap().as_deref(), Some("short"));
    assert_eq!(std::fs::metadata(&place).unwrap().mode() & 0o777, 0o640);
    assert!(file::writable(&runner, at).unwrap());
    file.remove(&runner).unwrap();
    assert!(!place.exists());
}
