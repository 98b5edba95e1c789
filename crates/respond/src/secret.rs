//! Credentials: where they lie, and that they are never shown.

use crate::fault::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A secret in memory: wiped when dropped, and shown as `***` wherever it is printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret lies. The configuration holds only this, never the secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
    /// A file made by `portreeve respond seal`: encrypted with the key of the vault.
    Sealed(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "file {}", path.display()),
            SecretRef::Env(name) => write!(f, "environment {name}"),
            SecretRef::Credential(name) => write!(f, "systemd credential {name}"),
            SecretRef::Sealed(path) => write!(f, "sealed file {}", path.display()),
        }
    }
}

/// Opens what a [`SecretRef`] points at. `key` unseals; without it, sealed files stay shut.
#[derive(Clone, Default)]
pub struct Vault {
    key: Option<Zeroizing<[u8; 32]>>,
}

const SEALED: &str = "portreeve-sealed-v1:";

impl Vault {
    /// The key is in the file that `PORTREEVE_SEAL_KEY` names, or in the systemd credential `portreeve-seal-key`:
    /// 32 bytes as base64.
    pub fn from_environment() -> Result<Vault, Fault> {
        let path = match std::env::var_os("PORTREEVE_SEAL_KEY") {
            Some(path) => Some(PathBuf::from(path)),
            None => credential_path("portreeve-seal-key").filter(|p| p.is_file()),
        };
        match path {
            Some(path) => Vault::with_key_file(&path),
            None => Ok(Vault::default()),
        }
    }

    pub fn with_key_file(path: &Path) -> Result<Vault, Fault> {
        let text = read_private(path)?;
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| Fault::Credential(format!("{}: is not base64", path.display())))?;
        let key: [u8; 32] = bytes
            .try_into()
            .map_err(|_| Fault::Credential(format!("{}: is not 32 bytes", path.display())))?;
        Ok(Vault { key: Some(Zeroizing::new(key)) })
    }

    /// A new key, as its file holds it.
    pub fn new_key() -> Result<Secret, Fault> {
        let mut key = Zeroizing::new([0; 32]);
        random(key.as_mut_slice())?;
        Ok(Secret::new(STANDARD.encode(*key)))
    }

    pub fn open(&self, from: &SecretRef) -> Result<Secret, Fault> {
        let text = match from {
            SecretRef::File(path) => read_private(path)?,
            SecretRef::Env(name) => std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| Fault::Credential(format!("environment variable {name} is not set")))?,
            SecretRef::Credential(name) => {
                let path = credential_path(name).ok_or_else(|| {
                    Fault::Credential(format!("{name}: systemd gave no credentials directory"))
                })?;
                // systemd has set owner and mode.
                read(&path)?
            }
            SecretRef::Sealed(path) => return self.unseal(path, &read(path)?),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Fault::Credential(format!("{from}: is empty")));
        }
        Ok(Secret::new(text))
    }

    /// The text of a sealed file.
    pub fn seal(&self, secret: &Secret) -> Result<String, Fault> {
        let cipher = self.cipher()?;
        let mut nonce = [0; 24];
        random(&mut nonce)?;
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), secret.expose().as_bytes())
            .map_err(|_| Fault::Credential("cannot be sealed".into()))?;
        let mut whole = nonce.to_vec();
        whole.extend(sealed);
        Ok(format!("{SEALED}{}\n", STANDARD.encode(whole)))
    }

    fn unseal(&self, path: &Path, text: &str) -> Result<Secret, Fault> {
        let wrong = |why: &str| Fault::Credential(format!("{}: {why}", path.display()));
        let body = text.trim().strip_prefix(SEALED).ok_or_else(|| wrong("is no sealed file"))?;
        let whole = STANDARD.decode(body).map_err(|_| wrong("is no base64"))?;
        let Some((nonce, sealed)) = whole.split_at_checked(24) else {
            return Err(wrong("is cut short"));
        };
        let plain = self
            .cipher()?
            .decrypt(XNonce::from_slice(nonce), sealed)
            .map_err(|_| wrong("was sealed with another key, or was changed"))?;
        let text = String::from_utf8(plain).map_err(|_| wrong("does not hold text"))?;
        Ok(Secret::new(text))
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, Fault> {
        let key = self.key.as_ref().ok_or_else(|| {
            Fault::Credential("no key to seal with: PORTREEVE_SEAL_KEY names its file".into())
        })?;
        Ok(XChaCha20Poly1305::new(key.as_slice().into()))
    }
}

fn credential_path(name: &str) -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(name))
}

fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|e| Fault::Credential(format!("{}: {e}", path.display())))
}

/// Reads a file that nobody but its owner may read; others are refused, because the secret in them is known.
fn read_private(path: &Path) -> Result<Zeroizing<String>, Fault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let meta =
            std::fs::metadata(path).map_err(|e| Fault::Credential(format!("{}: {e}", path.display())))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(Fault::Credential(format!(
                "{}: others may read it (mode {:o}); set it to 600",
                path.display(),
                meta.permissions().mode() & 0o777
            )));
        }
    }
    read(path)
}

/// Fills with random bytes of the system.
pub fn random(bytes: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(bytes).map_err(|e| Fault::Credential(format!("no random bytes: {e}")))
}

/// A password of 24 characters from an alphabet of 64 without look-alikes trouble: 144 bits.
pub fn new_password() -> Result<Secret, Fault> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_.+=%@";
    let mut bytes = Zeroizing::new([0; 24]);
    random(bytes.as_mut_slice())?;
    // One of each class that directories ask for stands at a fixed place.
    let mut text = String::from("aA7-");
    text.extend(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b & 63)])));
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = file(dir.path(), "open", "x", 0o644);
        let shut = file(dir.path(), "shut", "hunter2\n", 0o600);
        let vault = Vault::default();
        assert!(
            matches!(vault.open(&SecretRef::File(open)), Err(Fault::Credential(why)) if why.contains("mode 644"))
        );
        assert_eq!(vault.open(&SecretRef::File(shut)).unwrap().expose(), "hunter2");
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let key = file(dir.path(), "key", Vault::new_key().unwrap().expose(), 0o600);
        let other = file(dir.path(), "other", Vault::new_key().unwrap().expose(), 0o600);
        let vault = Vault::with_key_file(&key).unwrap();
        let text = vault.seal(&Secret::new("hunter2")).unwrap();
        assert!(!text.contains("hunter2"));
        let sealed = file(dir.path(), "sealed", &text, 0o644);
        assert_eq!(vault.open(&SecretRef::Sealed(sealed.clone())).unwrap().expose(), "hunter2");
        assert!(Vault::with_key_file(&other).unwrap().open(&SecretRef::Sealed(sealed.clone())).is_err());
        assert!(Vault::default().open(&SecretRef::Sealed(sealed.clone())).is_err());
        let mut changed = text.into_bytes();
        let at = changed.len() - 6;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(&sealed, changed).unwrap();
        assert!(vault.open(&SecretRef::Sealed(sealed)).is_err());
    }

    #[test]
    fn passwords_differ_and_hold_every_class() {
        let (a, b) = (new_password().unwrap(), new_password().unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), 28);
    }
}
