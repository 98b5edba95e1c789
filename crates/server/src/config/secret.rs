//! Where a secret lies: never in the configuration itself, which is copied, mailed and put under version control.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// `{ file = "…" }`, `{ env = "…" }`, or `{ credential = "…" }` for one that systemd hands over (`LoadCredential=`); as the
/// doors have it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretAt {
    /// A file that only its owner may read, and that holds nothing else.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Name of a credential in the unit.
    Credential(String),
}

/// Bytes of the longest secret that is read.
const LONGEST: u64 = 64 << 10;

impl SecretAt {
    pub(crate) fn anchor(&mut self, dir: &Path) {
        if let SecretAt::File(path) = self {
            *path = dir.join(&*path);
        }
    }

    /// The secret as it is now, without the line's end behind it.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            SecretAt::File(path) => of_file(path, true),
            SecretAt::Env(name) => {
                let say = |why: &dyn std::fmt::Display| format!("environment variable `{name}`: {why}");
                one_line(&std::env::var(name).map_err(|e| say(&e))?, say)
            }
            SecretAt::Credential(name) if name.is_empty() || name.contains('/') => {
                Err(format!("credential `{name}`: is no name of a credential"))
            }
            SecretAt::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                // Systemd sees to it that nobody else reads it.
                Some(dir) => of_file(&Path::new(&dir).join(name), false),
                None => Err(format!(
                    "credential `{name}`: the service was given none; write LoadCredential={name}:FILE into its unit"
                )),
            },
        }
    }
}

fn of_file(path: &Path, must_be_private: bool) -> Result<String, String> {
    let say = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let meta = std::fs::metadata(path).map_err(|e| say(&e))?;
    if meta.len() > LONGEST {
        return Err(say(&format!("has more than {LONGEST} bytes")));
    }
    if must_be_private && meta.permissions().mode() & 0o077 != 0 {
        return Err(say(&"holds a secret, and others may read it; set its mode to 0600"));
    }
    one_line(&std::fs::read_to_string(path).map_err(|e| say(&e))?, say)
}

fn one_line(text: &str, say: impl Fn(&dyn std::fmt::Display) -> String) -> Result<String, String> {
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(say(&"is empty")),
        secret if secret.contains(['\r', '\n', '\0']) => Err(say(&"holds more than one line")),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = |text: &str| {
            let mut at = SecretAt::File(PathBuf::from("s"));
            at.anchor(dir.path());
            let path = dir.path().join("s");
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
            at.read().map_err(|e| e.replace(&*dir.path().to_string_lossy(), ""))
        };
        assert_eq!(read("secret\n"), Ok("secret".to_owned()));
        assert_eq!(read("\n"), Err("/s: is empty".to_owned()));
        assert_eq!(read("a\nb\n"), Err("/s: holds more than one line".to_owned()));
        let path = dir.path().join("s");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(SecretAt::File(path).read().is_err_and(|e| e.contains("0600")));
        assert!(SecretAt::Env("PORTREEVE_NO_SUCH_VARIABLE".to_owned()).read().is_err());
        assert!(SecretAt::Credential("../x".to_owned()).read().is_err());
        let said: SecretAt =
            toml::from_str::<std::collections::BTreeMap<String, SecretAt>>("s = { file = \"x\" }")
                .expect("a table")
                .remove("s")
                .expect("a secret");
        assert_eq!(said, SecretAt::File("x".into()));
    }
}
