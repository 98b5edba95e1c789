//! Files of a device, read whole and replaced whole. By commands of GNU coreutils, so that it is the same here and
//! over SSH; what is written goes through a pipe and never stands in a command.

use crate::fault::Fault;
use crate::transport::command::{Argv, Output, Runner};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);
/// Configuration files are small; a longer one is not what we think it is.
const LONGEST: usize = 4 << 20;

/// A file by its absolute path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    path: String,
}

impl File {
    /// A path of the site's configuration.
    pub fn new(path: &str) -> Result<File, Fault> {
        Argv::new("cat").setting(path)?;
        if !path.starts_with('/') || path.ends_with('/') {
            return Err(Fault::Config(format!("`{path}` is not the absolute path of a file")));
        }
        Ok(File { path: path.to_owned() })
    }

    /// A file in a directory of the site's configuration, by a name that an encoder has passed.
    pub fn inside(dir: &str, name: &str) -> Result<File, Fault> {
        if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
            return Err(Fault::Refused("a name that is not one file's".into()));
        }
        File::new(&format!("{}/{name}", dir.trim_end_matches('/')))
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// `None` where there is no such file.
    pub fn read(&self, runner: &Runner) -> Result<Option<String>, Fault> {
        let argv = Argv::new("env").args(&["LC_ALL=C", "cat"]).setting(&self.path)?;
        let output = runner.read(&argv, b"", LIMIT)?;
        if !output.ok() {
            return if output.err.contains("No such file or directory") {
                Ok(None)
            } else {
                Err(Fault::Credential(output.complaint()))
            };
        }
        // Bytes that are no text came as U+FFFD and would be written back as that.
        if output.out.contains('\u{fffd}') {
            return Err(Fault::Refused(format!("{}: holds something else than UTF-8", self.path)));
        }
        if output.out.len() > LONGEST {
            return Err(Fault::Refused(format!("{}: is longer than {LONGEST} bytes", self.path)));
        }
        Ok(Some(output.out))
    }

    /// Puts a new file in the place of the old one in one step; owner, mode and the link that leads to it stay. A
    /// file that was not there is made with `mode`, as `chmod` takes it.
    pub fn replace(&self, runner: &Runner, text: &str, mode: &'static str) -> Result<(), Fault> {
        let real = runner.read(&Argv::new("realpath").arg("-e").setting(&self.path)?, b"", LIMIT)?;
        let there = real.ok();
        let path = if there { real.out.trim_end_matches('\n') } else { self.path.as_str() };
        let next = format!("{path}.portreeve-new");
        // Up to the last step nothing has changed: a failure there is a refusal, whatever it is.
        let prepared = if there {
            done(runner.read(
                &Argv::new("cp").args(&["-f", "--preserve=all"]).setting(path)?.setting(&next)?,
                b"",
                LIMIT,
            ))
        } else {
            done(runner.read(
                &Argv::new("install").args(&["-m", mode, "/dev/null"]).setting(&next)?,
                b"",
                LIMIT,
            ))
        };
        let write = Argv::new("dd").setting(&format!("of={next}"))?.args(&["conv=fsync", "status=none"]);
        let written = prepared.and_then(|()| done(runner.read(&write, text.as_bytes(), LIMIT)));
        let moved = written.and_then(|()| {
            done(runner.run(&Argv::new("mv").args(&["-f", "-T"]).setting(&next)?.setting(path)?, b"", LIMIT))
        });
        if moved.as_ref().is_err_and(|fault| !fault.may_have_acted()) {
            let _swept = runner.read(&Argv::new("rm").arg("-f").setting(&next)?, b"", LIMIT);
        }
        moved
    }

    pub fn remove(&self, runner: &Runner) -> Result<(), Fault> {
        done(runner.run(&Argv::new("rm").arg("-f").setting(&self.path)?, b"", LIMIT))
    }
}

fn done(output: Result<Output, Fault>) -> Result<(), Fault> {
    let output = output?;
    if output.ok() { Ok(()) } else { Err(Fault::Refused(output.complaint())) }
}

/// Can the account write here? For `doctor`; nothing is written.
pub fn writable(runner: &Runner, path: &str) -> Result<bool, Fault> {
    Ok(runner.read(&Argv::new("test").arg("-w").setting(path)?, b"", LIMIT)?.ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("li nk'$(x)");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = File::new(link.to_str().unwrap()).unwrap();
        assert_eq!(file.read(&Runner::Local).unwrap().as_deref(), Some("old"));
        file.replace(&Runner::Local, "new\n-e $(id)\n", "600").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new\n-e $(id)\n");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn a_file_that_is_not_there_is_made_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::inside(dir.path().to_str().unwrap(), "anna").unwrap();
        assert_eq!(file.read(&Runner::Local).unwrap(), None);
        file.replace(&Runner::Local, "x", "600").unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        file.remove(&Runner::Local).unwrap();
        file.remove(&Runner::Local).unwrap();
        assert_eq!(file.read(&Runner::Local).unwrap(), None);
        let nowhere = File::new("/no/such/dir/x").unwrap();
        assert!(matches!(nowhere.replace(&Runner::Local, "x", "600"), Err(Fault::Refused(_))));
    }

    #[test]
    fn what_is_no_text_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), b"a\xff").unwrap();
        let file = File::inside(dir.path().to_str().unwrap(), "x").unwrap();
        assert!(matches!(file.read(&Runner::Local), Err(Fault::Refused(_))));
        for bad in ["../x", "a/b", "", ".."] {
            assert!(File::inside("/ccd", bad).is_err(), "{bad}");
        }
        assert!(File::new("relative").is_err());
        assert!(File::new("-rf").is_err());
    }
}
