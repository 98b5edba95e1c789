//! For whom an archive is encrypted, and who signs it. No password and no key is ever printed, logged or put into a
//! package; an archive has no password at all.

use crate::error::{Error, Result};
use crate::pack::{SIGNATURE, beside};
use crate::work::{SUMS, write};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// `age1…` as it is, or files with one a line.
pub(crate) fn recipients(given: &[String]) -> Result<Vec<age::x25519::Recipient>> {
    given
        .iter()
        .map(|text| text.parse().map_err(|e| Error::usage(format!("recipient `{text}`: {e}"))))
        .collect()
}

/// What a user gives with --recipient, as recipients one by one.
pub fn read_recipients(given: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in given {
        if text.starts_with("age1") {
            all.push(text.clone());
            continue;
        }
        let path = Path::new(text);
        let lines = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let before = all.len();
        all.extend(
            lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned),
        );
        if all.len() == before {
            return Err(Error::usage(format!("{text}: no recipient in it")));
        }
    }
    recipients(&all)?;
    Ok(all)
}

/// A minisign key that can sign.
pub struct Signer {
    key: minisign::SecretKey,
}

impl Signer {
    /// Reads a key as `minisign -G` writes it. One with a password needs it; nothing asks on the terminal.
    pub fn read(path: &Path, password: Option<String>) -> Result<Signer> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let wrong = |e: minisign::PError| Error::usage(format!("{}: {e}", path.display()));
        let boxed = || minisign::SecretKeyBox::from_string(&text).map_err(wrong);
        if let Ok(key) = boxed()?.into_unencrypted_secret_key() {
            return Ok(Signer { key });
        }
        let Some(password) = password else {
            return Err(Error::usage(format!(
                "{}: the key has a password; give it in PORTREEVE_SIGN_PASSWORD or --sign-password-file",
                path.display()
            )));
        };
        Ok(Signer { key: boxed()?.into_secret_key(Some(password)).map_err(wrong)? })
    }

    fn sign(&self, file: &Path, signature: &Path, comment: &str) -> Result<()> {
        let data = File::open(file).map_err(Error::file(file))?;
        let signed = minisign::sign(
            None,
            &self.key,
            BufReader::new(data),
            Some(comment),
            Some("signature of a portreeve package"),
        )
        .map_err(|e| Error::package(format!("{}: {e}", file.display())))?;
        write(signature, signed.to_string().as_bytes())
    }

    /// Signs the sums inside a package, once: an archive made again has the same bytes.
    pub(crate) fn sums(&self, dir: &Path, comment: &str) -> Result<()> {
        let to = dir.join(SIGNATURE);
        if to.is_file() { Ok(()) } else { self.sign(&dir.join(SUMS), &to, comment) }
    }

    pub(crate) fn archive(&self, archive: &Path, comment: &str) -> Result<PathBuf> {
        let to = beside(archive, "minisig");
        self.sign(archive, &to, comment)?;
        Ok(to)
    }
}

/// A minisign public key, as text or as a file.
pub fn public_key(given: &str) -> Result<minisign::PublicKey> {
    let wrong = |e: minisign::PError| Error::usage(format!("{given}: {e}"));
    if given.starts_with("RW") && !Path::new(given).exists() {
        return minisign::PublicKey::from_base64(given).map_err(wrong);
    }
    let path = Path::new(given);
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    minisign::PublicKeyBox::from_string(&text).and_then(|b| b.into_public_key()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_that_is_none_is_refused_before_anything_is_collected() {
        assert!(read_recipients(&["age1nonsense".to_owned()]).is_err());
        let dir = tempfile::tempdir().expect("a folder");
        let key = age::x25519::Identity::generate().to_public().to_string();
        let file = dir.path().join("who");
        std::fs::write(&file, format!("# us\n\n{key}\n")).expect("written");
        let given = [file.display().to_string(), key.clone()];
        assert_eq!(read_recipients(&given).expect("two"), [key.clone(), key]);
        std::fs::write(&file, "# nobody\n").expect("written");
        assert!(read_recipients(&given).is_err());
    }

    #[test]
    fn a_key_with_a_password_needs_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a pair");
        std::fs::write(&path, pair.sk.to_box(None).expect("a box").into_string()).expect("written");
        assert!(Signer::read(&path, None).is_ok());
        let locked = minisign::KeyPair::generate_encrypted_keypair(Some("right".to_owned())).expect("a pair");
        std::fs::write(&path, locked.sk.to_box(None).expect("a box").into_string()).expect("written");
        assert!(Signer::read(&path, None).is_err_and(|e| e.to_string().contains("PORTREEVE_SIGN_PASSWORD")));
        assert!(Signer::read(&path, Some("wrong".to_owned())).is_err());
        assert!(Signer::read(&path, Some("right".to_owned())).is_ok());
    }
}
