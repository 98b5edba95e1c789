//! The host's sshd: what it would do (`sshd -T`), whether its files are valid, and that it reads them anew.

use super::Host;
use crate::connector::Ability;
use crate::fault::Fault;
use crate::transport::command::{Argv, Output};
use portreeve_model::untrusted::escape_for_terminal;
use serde::Deserialize;

/// Part of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sshd {
    config: String,
    pid_file: String,
    pub(super) deny_file: String,
    pub(super) krl: Option<String>,
}

impl Default for Sshd {
    fn default() -> Sshd {
        Sshd {
            config: "/etc/ssh/sshd_config".into(),
            pid_file: "/run/sshd.pid".into(),
            deny_file: "/etc/ssh/sshd_config.d/10-portreeve.conf".into(),
            krl: None,
        }
    }
}

/// sshd insists on being called by its whole path. It ends with status 255 when its files are wrong, which over SSH would
/// look like a connection that failed; xargs makes it 124, and leaves the input and the words as they are.
const PROGRAM: &[&str] = &["-a", "/dev/null", "/usr/sbin/sshd"];

fn program() -> Argv {
    Argv::new("xargs").args(PROGRAM)
}

impl Sshd {
    pub(super) fn check(&self) -> Result<(), Fault> {
        let all = [&self.config, &self.pid_file, &self.deny_file];
        for path in all.into_iter().chain(self.krl.as_ref()) {
            if !path.starts_with('/') || path.contains(char::is_whitespace) {
                return Err(Fault::Config(format!("sshd: `{}` is no whole path", escape_for_terminal(path))));
            }
            Argv::new("cat").setting(path)?;
        }
        Ok(())
    }

    fn asked(&self, host: &Host, argv: Argv) -> Result<String, Fault> {
        let output = host.ask(&argv)?;
        if output.ok() {
            Ok(output.out)
        } else {
            Err(Fault::Refused(format!("sshd: {}", output.complaint())))
        }
    }

    /// One setting as sshd reads its files, in the first line that has it.
    pub(super) fn setting(&self, host: &Host, keyword: &str) -> Result<Option<String>, Fault> {
        let text = self.asked(host, program().args(&["-T", "-f"]).setting(&self.config)?)?;
        Ok(values(&text, keyword).next().map(str::to_owned))
    }

    /// Whom `DenyUsers` names by exactly this word, as sshd reads its files for a connection of this account. The
    /// word has been checked to hold no comma and no pattern.
    pub(super) fn denies(&self, host: &Host, login: &str) -> Result<bool, Fault> {
        let connection = format!("user={login},host=localhost,addr=127.0.0.1");
        let argv = program().args(&["-T", "-f"]).setting(&self.config)?.arg("-C").setting(&connection)?;
        let text = self.asked(host, argv)?;
        Ok(values(&text, "denyusers").flat_map(str::split_whitespace).any(|word| word == login))
    }

    pub(super) fn is_valid(&self, host: &Host) -> Result<(), Fault> {
        self.asked(host, program().args(&["-t", "-f"]).setting(&self.config)?).map(|_| ())
    }

    /// The process that listens.
    pub(super) fn pid(&self, host: &Host) -> Result<u64, Fault> {
        let output = host.ask(&Argv::new("cat").setting(&self.pid_file)?)?;
        let pid: u64 = output.out.trim().parse().map_err(|_| {
            Fault::Refused(format!("{} holds no process id: {}", self.pid_file, complaint(&output)))
        })?;
        let output = host.ask(&Argv::new("cat").setting(&format!("/proc/{pid}/comm"))?)?;
        if output.out.trim() == "sshd" {
            Ok(pid)
        } else {
            Err(Fault::Refused(format!("process {pid} of {} is no sshd", self.pid_file)))
        }
    }

    /// Tells sshd to read its files anew. Only after `is_valid`: it would end over a wrong one.
    pub(super) fn reload(&self, host: &Host, pid: u64) -> Result<(), Fault> {
        host.act(&Argv::new("kill").arg("-HUP").value(&pid), b"").map(|_| ())
    }

    /// Has sshd started anew since the file was written? It writes its pid file each time.
    pub(super) fn has_read(&self, host: &Host, file: &str) -> Result<bool, Fault> {
        self.pid(host)?;
        let argv = Argv::new("stat").args(&["-c", "%.9Y"]).setting(&self.pid_file)?.setting(file)?;
        let output = host.ask(&argv)?;
        let times: Vec<(u64, u64)> = output.out.lines().filter_map(time).collect();
        match times.as_slice() {
            [started, written] => Ok(started > written),
            _ => Err(Fault::Unreachable(format!("stat: {}", output.complaint()))),
        }
    }

    pub(super) fn doctor(&self, host: &Host) -> Ability {
        let what = "deny users to sshd";
        match self.is_valid(host).and_then(|()| self.pid(host)) {
            Ok(pid) => {
                Ability::new(what, Some(true), format!("its files are valid, and process {pid} listens"))
            }
            Err(fault) => Ability::new(what, Some(false), fault.to_string()),
        }
    }
}

fn complaint(output: &Output) -> String {
    if output.ok() { "another text".to_owned() } else { output.complaint() }
}

/// `sshd -T` writes one setting a line, its keyword in small letters.
fn values<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(keyword)?.strip_prefix(' ')).map(str::trim)
}

/// `1732.123456789`
fn time(text: &str) -> Option<(u64, u64)> {
    let (seconds, rest) = text.trim().split_once('.')?;
    Some((seconds.parse().ok()?, rest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_their_whole_keyword() {
        let text = "port 22\nusepam yes\nusepamx no\ndenyusers anna\ndenyusers bob carl\n";
        assert_eq!(values(text, "usepam").collect::<Vec<_>>(), ["yes"]);
        assert_eq!(values(text, "denyusers").collect::<Vec<_>>(), ["anna", "bob carl"]);
    }

    #[test]
    fn times_are_compared_to_the_nanosecond() {
        assert!(time("10.000000002") > time("10.000000001"));
        assert!(time("10.0").is_some() && time("x").is_none());
    }

    #[test]
    fn a_path_is_whole_and_one_word() {
        let with = |deny_file: &str| Sshd { deny_file: deny_file.into(), ..Sshd::default() };
        assert!(with("/etc/ssh/x.conf").check().is_ok());
        for bad in ["x.conf", "", "/etc/a b", "-rf", "/etc/a\n"] {
            assert!(with(bad).check().is_err(), "{bad:?}");
        }
    }
}
