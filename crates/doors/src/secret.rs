//! Credentials with which a door goes out: where they lie, and that they are never shown.

use crate::door::DoorError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A secret in memory: wiped when dropped, and shown as `***`.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret lies. The configuration holds only this, never the secret.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}

impl SecretRef {
    /// Reads it anew each time, so that a rotated secret is taken without a restart.
    pub(crate) fn open(&self, door: &'static str) -> Result<Secret, DoorError> {
        let text = match self {
            SecretRef::File(path) => private(path)?,
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| DoorError::config(door, format!("environment variable {name} is not set")))?,
            SecretRef::Credential(name) => {
                let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    DoorError::config(
                        door,
                        format!("credential {name}: systemd gave no credentials directory"),
                    )
                })?;
                let path = Path::new(&dir).join(name);
                std::fs::read_to_string(&path).map_err(|e| DoorError::file(path, e))?
            }
        };
        let text = Zeroizing::new(text);
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(DoorError::config(door, "a secret is empty")),
            text => Ok(Secret::new(text)),
        }
    }
}

fn private(path: &Path) -> Result<String, DoorError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).map_err(|e| DoorError::file(path, e))?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(DoorError::file(path, "holds a secret, and others may read it; set its mode to 0600"));
    }
    std::fs::read_to_string(path).map_err(|e| DoorError::file(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_read_where_only_its_owner_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        std::fs::write(&path, "s3cret\n").expect("written");
        let mode = |m| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(m)).expect("a mode");
        mode(0o600);
        let secret = SecretRef::File(path.clone()).open("okta").expect("private");
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("s3cret", "***"));
        mode(0o644);
        assert!(SecretRef::File(path).open("okta").expect_err("open to all").to_string().contains("0600"));
        let written: SecretRef =
            serde_json::from_str(r#"{"env":"PORTREEVE_NO_SUCH_TOKEN"}"#).expect("a place");
        assert!(written.open("okta").is_err());
    }
}
