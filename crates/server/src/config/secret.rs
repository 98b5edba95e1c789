//! Where a secret lies: never in the configuration itself, which is copied, mailed and put under version control.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `{ file = "…" }`, or `{ credential = "…" }` for one that systemd hands over (`LoadCredential=`).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretAt {
    /// A file with the secret and nothing else.
    File(PathBuf),
    /// Of those that systemd hands over.
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

    fn path(&self) -> Result<PathBuf, String> {
        match self {
            SecretAt::File(path) => Ok(path.clone()),
            SecretAt::Credential(name) if name.is_empty() || name.contains('/') => {
                Err(format!("credential `{name}`: is no name of a credential"))
            }
            SecretAt::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(dir) => Ok(Path::new(&dir).join(name)),
                None => Err(format!(
                    "credential `{name}`: the service was given none; write LoadCredential={name}:FILE into its unit"
                )),
            },
        }
    }

    /// The secret as it is now, without the line's end behind it.
    pub(crate) fn read(&self) -> Result<String, String> {
        let path = self.path()?;
        let say = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        if std::fs::metadata(&path).map_err(|e| say(&e))?.len() > LONGEST {
            return Err(say(&format!("has more than {LONGEST} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| say(&e))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(say(&"is empty")),
            secret if secret.contains(['\r', '\n', '\0']) => Err(say(&"holds more than one line")),
            secret => Ok(secret.to_owned()),
        }
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
            std::fs::write(dir.path().join("s"), text).expect("written");
            at.read().map_err(|e| e.replace(&*dir.path().to_string_lossy(), ""))
        };
        assert_eq!(read("secret\n"), Ok("secret".to_owned()));
        assert_eq!(read("\n"), Err("/s: is empty".to_owned()));
        assert_eq!(read("a\nb\n"), Err("/s: holds more than one line".to_owned()));
        assert!(SecretAt::Credential("../x".to_owned()).read().is_err());
        let said: SecretAt =
            toml::from_str::<std::collections::BTreeMap<String, SecretAt>>("s = { file = \"x\" }")
                .expect("a table")
                .remove("s")
                .expect("a secret");
        assert_eq!(said, SecretAt::File("x".into()));
    }
}
