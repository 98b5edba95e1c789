//! What is collected, as data: `artifacts/linux.yml`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const LINUX: &str = include_str!("../artifacts/linux.yml");

/// One artefact: what is taken, why, and within which limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    pub id: String,
    /// Why it matters where remote access was abused.
    pub says: String,
    /// Words of one command. Never given to a shell of this machine.
    #[serde(default)]
    pub run: Vec<String>,
    /// Patterns over paths.
    #[serde(default)]
    pub read: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
    pub builtin: Option<Builtin>,
    pub to: Option<Folder>,
    #[serde(default)]
    pub keep: Keep,
    /// Whether keys and passwords in copies are masked (`to: files` only).
    #[serde(default = "yes")]
    pub mask: bool,
    #[serde(default)]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

/// What Portreeve reads by itself, so that a host without tools can be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    Processes,
    Sockets,
    DeletedPrograms,
    Recent,
    Bodyfile,
    Lastlog,
    AuthorizedKeys,
}

/// Where an artefact lies in the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Folder {
    Live,
    Files,
    Logs,
}

impl Builtin {
    fn name(self) -> &'static str {
        match self {
            Builtin::Processes => "processes and what they hold, from /proc",
            Builtin::Sockets => "sockets of every network namespace, from /proc",
            Builtin::DeletedPrograms => "/proc/PID/exe of programs whose file is gone, each once",
            Builtin::Recent => "files changed lately, or with set-user-ID",
            Builtin::Bodyfile => "all files of the host's own file systems",
            Builtin::Lastlog => "/var/log/lastlog",
            Builtin::AuthorizedKeys => "what the configuration of sshd names",
        }
    }
}

impl Folder {
    pub fn name(self) -> &'static str {
        match self {
            Folder::Live => "live",
            Folder::Files => "files",
            Folder::Logs => "logs",
        }
    }
}

/// Which part of a file is kept that is larger than its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    #[default]
    Beginning,
    End,
}

/// Bounds of one artefact.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock seconds.
    pub seconds: u64,
    /// Bytes taken in all.
    pub bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { seconds: 60, bytes: 256 << 20, file_bytes: 16 << 20, files: 10_000 }
    }
}

impl Artifact {
    pub fn folder(&self) -> Folder {
        let copies = !self.read.is_empty() && self.builtin.is_none();
        self.to.unwrap_or(match self.builtin {
            Some(Builtin::AuthorizedKeys) => Folder::Files,
            _ if copies => Folder::Files,
            _ => Folder::Live,
        })
    }

    /// What is done, in one line for people.
    pub fn how(&self) -> String {
        match self.builtin {
            Some(builtin) => format!("built in: {}", builtin.name()),
            None if self.run.is_empty() => self.read.join(" "),
            None => self.run.join(" "),
        }
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(plain) {
            return Err("an id is lower-case letters, digits and hyphens");
        }
        if self.says.trim().is_empty() {
            return Err("it does not say why it is taken");
        }
        let ways =
            usize::from(!self.run.is_empty()) + usize::from(self.builtin.is_some() || !self.read.is_empty());
        if ways != 1 {
            return Err("it has one of run, read and builtin");
        }
        if !matches!(self.builtin, None | Some(Builtin::Recent)) && !self.read.is_empty() {
            return Err("this builtin reads no patterns");
        }
        if self.read.iter().chain(&self.except).any(|p| !p.starts_with('/') && !p.starts_with("~/")) {
            return Err("patterns begin with / or ~/");
        }
        if let Some(program) = self.run.first() {
            let shells =
                ["sh", "bash", "dash", "zsh", "ksh", "env", "xargs", "eval", "sudo", "python3", "perl"];
            if program.contains('/') || program.starts_with('-') || shells.contains(&program.as_str()) {
                return Err("a command is a program's name, and no shell");
            }
        }
        let l = &self.limits;
        if l.seconds == 0 || l.bytes == 0 || l.file_bytes == 0 || l.files == 0 {
            return Err("a limit of nothing collects nothing");
        }
        Ok(())
    }
}

/// All artefacts, in the order in which they are taken.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub artifacts: Vec<Artifact>,
}

impl Catalog {
    pub fn linux() -> Result<Catalog> {
        Catalog::read("artifacts/linux.yml", LINUX)
    }

    pub fn read(name: &str, text: &str) -> Result<Catalog> {
        let artifacts: Vec<Artifact> =
            yaml_serde::from_str(text).map_err(|e| Error::usage(format!("{name}: {e}")))?;
        let mut seen = BTreeSet::new();
        for artifact in &artifacts {
            artifact.check().map_err(|why| Error::usage(format!("{name}: {}: {why}", artifact.id)))?;
            if !seen.insert(artifact.id.as_str()) {
                return Err(Error::usage(format!("{name}: {} is there twice", artifact.id)));
            }
        }
        Ok(Catalog { artifacts })
    }
}

/// Which artefacts are taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Choice {
    /// Empty: all.
    pub only: Vec<String>,
    pub skip: Vec<String>,
}

impl Choice {
    pub(crate) fn takes(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|o| o == id)) && !self.skip.iter().any(|s| s == id)
    }

    /// An id that nothing has is a slip of the keyboard.
    pub(crate) fn check(&self, catalog: &Catalog) -> Result<()> {
        let known = |id: &String| catalog.artifacts.iter().any(|a| a.id == *id);
        match self.only.iter().chain(&self.skip).find(|id| !known(id)) {
            Some(id) => Err(Error::usage(format!(
                "no artefact is called `{id}`; `portreeve collect --list` shows them"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound_and_volatile_first() {
        let all = Catalog::linux().expect("sound").artifacts;
        assert!(all.len() > 50, "{}", all.len());
        let at = |id: &str| all.iter().position(|a| a.id == id).unwrap_or_else(|| panic!("{id}"));
        let order = [
            "processes",
            "sockets",
            "sessions-who",
            "logins",
            "accounts",
            "authorized-keys",
            "cron",
            "histories",
        ];
        assert!(order.windows(2).all(|w| at(w[0]) < at(w[1])));
        assert_eq!(at("bodyfile"), all.len() - 1, "the walk over all files touches the least volatile");
    }

    #[test]
    fn what_a_catalogue_may_not_say() {
        let check = |text: &str, why: &str| {
            let error = Catalog::read("x.yml", text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        };
        check("- {id: a, says: x, run: [sh, -c, id]}", "no shell");
        check("- {id: a, says: x, run: [/bin/id]}", "a program's name");
        check("- {id: a, says: x}", "one of run");
        check("- {id: a, says: x, run: [id], read: [/x]}", "one of run");
        check("- {id: a, says: x, read: [x]}", "begin with /");
        check("- {id: A b, says: x, run: [id]}", "lower-case");
        check("- {id: a, says: '', run: [id]}", "why");
        check("- {id: a, says: x, run: [id], why: y}", "unknown field");
        check("- {id: a, says: x, run: [id], limits: {seconds: 0}}", "limit of nothing");
        check("[{id: a, says: x, run: [id]}, {id: a, says: x, run: [id]}]", "twice");
    }
}
