//! What is stored in place of a secret that is too random to be guessed: its SHA-256.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// SHA-256 of a token. It can be looked up, and shows nothing of the token. For what people choose there is
/// [`crate::password`]. Comparing two need not take constant time: whoever measures where they differ learns of a digest
/// that he cannot steer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(secret: &[u8]) -> Digest {
        Digest(Sha256::digest(secret).into())
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The first bytes, to tell two apart in a log.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256() {
        let digest = Digest::of(b"abc");
        assert_eq!(format!("{digest:?}"), "ba7816bf…");
        assert_eq!(Digest::from_slice(digest.as_bytes()), Some(digest));
        assert_eq!(Digest::from_slice(&[0; 31]), None);
        assert_ne!(digest, Digest::of(b"abd"));
    }
}
