//! Commands as lists of words. No shell takes part here; over SSH the far side has one, so each word is quoted for it
//! (`encode::shell`). Values from logs enter through [`Argv::value`] alone.

use crate::encode::shell;
use crate::fault::Fault;
use crate::value::{HostName, KeyId, Mac, Net, SessionId, UserName};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Words of a command: fixed ones, and values that cannot be read as options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argv(Vec<String>);

/// A value that may stand in a command: its type has refused a leading dash and everything that is obeyed.
pub trait Word {
    fn word(&self) -> String;
}

macro_rules! words {
    ($($kind:ty),*) => { $(impl Word for $kind { fn word(&self) -> String { self.raw().to_owned() } })* };
}
words!(UserName, SessionId, HostName, KeyId);

impl Word for Net {
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Word for Mac {
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Word for u64 {
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Argv {
    pub fn new(program: &'static str) -> Argv {
        Argv(vec![program.to_owned()])
    }

    /// A word that the program's author wrote.
    #[must_use]
    pub fn arg(mut self, word: &'static str) -> Argv {
        self.0.push(word.to_owned());
        self
    }

    #[must_use]
    pub fn args(mut self, words: &[&'static str]) -> Argv {
        self.0.extend(words.iter().map(|w| (*w).to_owned()));
        self
    }

    /// A value, as one word.
    #[must_use]
    pub fn value(mut self, value: &dyn Word) -> Argv {
        self.0.push(value.word());
        self
    }

    /// A word of the site's configuration: a path, an interface. Refused where it reads as an option.
    pub fn setting(mut self, word: &str) -> Result<Argv, Fault> {
        if word.is_empty() || word.starts_with('-') || word.contains(['\0', '\n', '\r']) {
            return Err(Fault::Config(format!(
                "`{}` cannot be a word of a command",
                portreeve_model::untrusted::escape_for_terminal(word)
            )));
        }
        self.0.push(word.to_owned());
        Ok(self)
    }

    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// As a person may type it, for previews.
    pub fn shown(&self) -> String {
        shell::line(&self.0)
    }
}

/// What a command left behind.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The first line of what it complained, for an error.
    pub fn complaint(&self) -> String {
        let text = if self.err.trim().is_empty() { &self.out } else { &self.err };
        // OpenSSH frames its warnings with lines of `@`.
        let line = text
            .lines()
            .map(|l| l.trim_matches(|c: char| c == '@' || c.is_whitespace()))
            .find(|l| !l.is_empty())
            .unwrap_or("no message");
        let line: String = line.chars().take(300).collect();
        let code = self.code.map_or_else(|| "a signal".to_owned(), |c| c.to_string());
        format!("{} (status {code})", portreeve_model::untrusted::escape_for_terminal(&line))
    }
}

/// Where commands run.
#[derive(Clone, Debug, Default)]
pub enum Runner {
    #[default]
    Local,
    /// A network namespace of this machine.
    Netns(String),
    Ssh(Ssh),
}

/// The `via` of a connector's configuration; absent means this machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Via {
    /// A network namespace of this machine.
    pub netns: Option<String>,
    pub ssh: Option<Ssh>,
}

impl Via {
    pub fn runner(self) -> Result<Runner, Fault> {
        match (self.netns, self.ssh) {
            (None, None) => Ok(Runner::Local),
            (Some(name), None) => {
                let name = HostName::new(name).map_err(|e| Fault::Config(format!("via: netns: {e}")))?;
                Ok(Runner::Netns(name.into()))
            }
            (None, Some(ssh)) => {
                ssh.check()?;
                Ok(Runner::Ssh(ssh))
            }
            (Some(_), Some(_)) => Err(Fault::Config("via: either netns or ssh".into())),
        }
    }
}

/// A host reached by the OpenSSH client, with its key pinned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    pub host: String,
    pub user: String,
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The private key, by file. Passwords are not asked for.
    pub identity: PathBuf,
    /// A known_hosts file that holds the host's key; an unknown or changed key ends the connection.
    pub known_hosts: PathBuf,
    /// Put before each command: `sudo -n`.
    #[serde(default)]
    pub sudo: bool,
}

fn ssh_port() -> u16 {
    22
}

impl Ssh {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        Argv::new("ssh").setting(&self.host)?.setting(&self.user)?;
        if self.user.contains('@') || self.host.contains('@') {
            return Err(Fault::Config("ssh: host and user are written apart, without `@`".into()));
        }
        Ok(())
    }

    /// For a device that has no commands but only a shell to type into: writes `input` to it and returns what it said
    /// until it hung up. Each line of `input` is a command, so values in it have been checked for the device's own
    /// syntax before.
    pub fn dialogue(&self, input: &str, limit: Duration) -> Result<Output, Fault> {
        let child = self
            .command(limit)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("LC_ALL", "C")
            .spawn()
            .map_err(|e| Fault::Unreachable(format!("ssh: {e}")))?;
        let output = finish(child, input.as_bytes(), limit, "ssh")?;
        self.connected(output)
    }

    /// Status 255 is ssh's own: the connection failed, before or after the command began.
    fn connected(&self, output: Output) -> Result<Output, Fault> {
        if output.code != Some(255) {
            return Ok(output);
        }
        let before = [
            "Host key verification failed",
            "Permission denied",
            "Connection refused",
            "Could not resolve",
            "Connection timed out",
            "No route to host",
            "Identity file",
        ]
        .iter()
        .any(|m| output.err.contains(m));
        let why = format!("{}@{}:{}: {}", self.user, self.host, self.port, output.complaint());
        Err(if before { Fault::Unreachable(why) } else { Fault::Lost(why) })
    }

    fn command(&self, limit: Duration) -> Command {
        let mut ssh = Command::new("ssh");
        let pinned = |option: &str, path: &PathBuf| {
            let mut word = OsString::from(option);
            word.push("=\"");
            word.push(path);
            word.push("\"");
            word
        };
        ssh.args(["-F", "none", "-T", "-x", "-a"])
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"])
            .args(["-o", "GlobalKnownHostsFile=none", "-o", "ClearAllForwardings=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", &format!("ConnectTimeout={}", limit.as_secs().max(1))])
            .arg("-o")
            .arg(pinned("UserKnownHostsFile", &self.known_hosts))
            .arg("-i")
            .arg(&self.identity)
            .args(["-p", &self.port.to_string(), "-l", &self.user, "--", &self.host]);
        ssh
    }
}

/// The most that is kept of what a command writes.
const LONGEST: u64 = 32 << 20;

impl Runner {
    pub fn describe(&self) -> String {
        match self {
            Runner::Local => "this machine".to_owned(),
            Runner::Netns(name) => format!("namespace {name}"),
            Runner::Ssh(ssh) => {
                let sudo = if ssh.sudo { ", by sudo" } else { "" };
                format!("{}@{}:{}{sudo}", ssh.user, ssh.host, ssh.port)
            }
        }
    }

    /// Runs a command and waits for its end, at most `limit`. A command that only reads: whatever goes wrong, nothing
    /// was changed.
    pub fn read(&self, argv: &Argv, stdin: &[u8], limit: Duration) -> Result<Output, Fault> {
        self.run(argv, stdin, limit).map_err(|fault| match fault {
            Fault::Lost(why) => Fault::Unreachable(why),
            other => other,
        })
    }

    /// Runs a command that may change something: an end that did not come is [`Fault::Lost`].
    pub fn run(&self, argv: &Argv, stdin: &[u8], limit: Duration) -> Result<Output, Fault> {
        let name = argv.words().first().cloned().unwrap_or_default();
        let mut command = match self {
            Runner::Local => {
                let mut command = Command::new(&name);
                command.args(argv.words().iter().skip(1));
                command
            }
            Runner::Netns(netns) => {
                // `ip netns exec` would mount /sys anew for each command, which costs more than the command.
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{netns}")).arg("--").args(argv.words());
                command
            }
            Runner::Ssh(ssh) => {
                let mut words: Vec<String> = Vec::new();
                if ssh.sudo {
                    words.extend(["sudo".to_owned(), "-n".to_owned(), "--".to_owned()]);
                }
                words.extend(argv.words().iter().cloned());
                let mut command = ssh.command(limit);
                command.arg(shell::line(&words));
                command
            }
        };
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("LC_ALL", "C")
            .spawn()
            .map_err(|e| Fault::Unreachable(format!("{name}: {e}")))?;
        let output = finish(child, stdin, limit, &name)?;
        match self {
            Runner::Ssh(ssh) => ssh.connected(output),
            Runner::Local | Runner::Netns(_) => Ok(output),
        }
    }
}

fn finish(mut child: Child, stdin: &[u8], limit: Duration, name: &str) -> Result<Output, Fault> {
    let out = child.stdout.take().map(drain);
    let err = child.stderr.take().map(drain);
    if let Some(mut pipe) = child.stdin.take() {
        // A child that does not read its input says why on its error output and by its status.
        let _closed = pipe.write_all(stdin);
    }
    let started = Instant::now();
    let mut nap = Duration::from_micros(200);
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code(),
            Ok(None) if started.elapsed() < limit => {
                std::thread::sleep(nap);
                // Short commands are not slept past; long ones are not watched closely.
                let longest = if started.elapsed() < Duration::from_millis(200) { 1 } else { 20 };
                nap = (nap * 2).min(Duration::from_millis(longest));
            }
            Ok(None) => {
                let _gone = child.kill();
                let _reaped = child.wait();
                return Err(Fault::Lost(format!("{name}: no end within {} s", limit.as_secs())));
            }
            Err(e) => return Err(Fault::Lost(format!("{name}: {e}"))),
        }
    };
    let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.and_then(|r| r.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Output { code, out: text(out), err: text(err) })
}

fn drain(from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut from = from.take(LONGEST);
        let _cut = from.read_to_end(&mut bytes);
        // What is too long is read away, so that the child does not wait for us.
        let _rest = std::io::copy(&mut from.into_inner(), &mut std::io::sink());
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn words_reach_the_program_as_they_are() {
        let name = UserName::new("a\"b'$(id) *;|").unwrap();
        let out = Runner::Local.run(&Argv::new("printf").arg("%s").value(&name), b"", LIMIT).unwrap();
        assert!(out.ok());
        assert_eq!(out.out, name.raw());
    }

    #[test]
    fn input_is_given_and_status_told() {
        let out = Runner::Local.run(&Argv::new("cat"), b"hello", LIMIT).unwrap();
        assert_eq!(out.out, "hello");
        let out = Runner::Local.run(&Argv::new("false"), b"", LIMIT).unwrap();
        assert_eq!(out.code, Some(1));
    }

    #[test]
    fn a_program_that_is_not_there_changed_nothing() {
        let fault = Runner::Local.run(&Argv::new("portreeve-no-such-program"), b"", LIMIT).unwrap_err();
        assert!(!fault.may_have_acted(), "{fault}");
    }

    #[test]
    fn a_program_that_does_not_end_may_have_acted() {
        let argv = Argv::new("sleep").value(&30_u64);
        let fault = Runner::Local.run(&argv, b"", Duration::from_millis(50)).unwrap_err();
        assert!(fault.may_have_acted(), "{fault}");
        let fault = Runner::Local.read(&argv, b"", Duration::from_millis(50)).unwrap_err();
        assert!(!fault.may_have_acted(), "{fault}");
    }

    #[test]
    fn a_setting_is_no_option() {
        assert!(Argv::new("wg").setting("-rf").is_err());
        assert!(Argv::new("wg").setting("").is_err());
        assert!(Argv::new("wg").setting("wg0").is_ok());
    }
}
