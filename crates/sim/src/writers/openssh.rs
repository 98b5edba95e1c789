//! OpenSSH server and sudo through syslog (sshd(8), sudo(8), pam_unix(8)). RFC 3164 stamps in UTC, no year.

use std::net::Ipv4Addr;

use crate::clock::{Civil, Millis, SECOND};
use crate::writers::Pen;

pub(crate) fn file(host: &str) -> String {
    format!("linux/{host}-auth.log")
}

fn write(pen: &mut Pen<'_>, at: Millis, host: &str, text: &str) {
    pen.put(&file(host), at, format!("{} {host} {text}", Civil::utc(at).bsd()));
}

fn fingerprint(user: &str) -> String {
    let mut rng = crate::rng::Rng::fork(0x55, user, 0, 0);
    rng.token(43)
}

/// A login with key or password; returns the process id for its end.
pub(crate) fn accepted(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    user: &str,
    ip: Ipv4Addr,
    key: bool,
) -> i64 {
    let (pid, port) = (pen.rng.range(2_000, 4_000_000), pen.rng.port());
    let how = if key {
        format!(
            "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:{}",
            fingerprint(user)
        )
    } else {
        format!("Accepted password for {user} from {ip} port {port} ssh2")
    };
    write(pen, at, host, &format!("sshd[{pid}]: {how}"));
    write(
        pen,
        at + 20,
        host,
        &format!("sshd[{pid}]: pam_unix(sshd:session): session opened for user {user}(uid=1001) by (uid=0)"),
    );
    pid
}

pub(crate) fn closed(pen: &mut Pen<'_>, at: Millis, host: &str, user: &str, pid: i64) {
    write(pen, at, host, &format!("sshd[{pid}]: pam_unix(sshd:session): session closed for user {user}"));
}

pub(crate) fn failed(pen: &mut Pen<'_>, at: Millis, host: &str, user: &str, ip: Ipv4Addr, known: bool) {
    let (pid, port) = (pen.rng.range(2_000, 4_000_000), pen.rng.port());
    let invalid = if known { "" } else { "invalid user " };
    if !known {
        write(pen, at, host, &format!("sshd[{pid}]: Invalid user {user} from {ip} port {port}"));
    }
    write(
        pen,
        at + 2 * SECOND,
        host,
        &format!("sshd[{pid}]: Failed password for {invalid}{user} from {ip} port {port} ssh2"),
    );
    let how = if known { "authenticating" } else { "invalid" };
    write(
        pen,
        at + 2 * SECOND + 40,
        host,
        &format!("sshd[{pid}]: Connection closed by {how} user {user} {ip} port {port} [preauth]"),
    );
}

pub(crate) fn sudo(pen: &mut Pen<'_>, at: Millis, host: &str, user: &str, command: &str) {
    write(
        pen,
        at,
        host,
        &format!("sudo:   {user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}"),
    );
    write(
        pen,
        at + 10,
        host,
        &format!("sudo: pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1001)"),
    );
}

pub(crate) fn cron(pen: &mut Pen<'_>, at: Millis, host: &str) {
    let pid = pen.rng.range(2_000, 4_000_000);
    write(
        pen,
        at,
        host,
        &format!("CRON[{pid}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
    );
}
