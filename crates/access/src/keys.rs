//! The service's own secrets: one master key, and from it one key for each purpose.

use crate::draw::{NoRandomness, draw};
use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// 32 random bytes that the service keeps beside its database, never in it. Whoever has them can forge links and open
/// what is sealed; whoever loses them has to enrol one-time codes anew.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// What a key is for. A key for one purpose is worth nothing for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Tokens that bind a form to a session.
    Csrf,
    /// One-time links.
    Ask,
    /// What lies sealed in the database: secrets of one-time codes.
    Seal,
    /// What a browser carries while it is at an identity provider.
    SignIn,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Csrf => b"csrf",
            Purpose::Ask => b"ask",
            Purpose::Seal => b"seal",
            Purpose::SignIn => b"sign-in",
        }
    }
}

impl MasterKey {
    pub fn generate() -> Result<MasterKey, NoRandomness> {
        Ok(MasterKey(Zeroizing::new(draw()?)))
    }

    pub fn from_bytes(bytes: [u8; 32]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    /// For the file that holds it, and for nothing else.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for a purpose.
    pub fn key(&self, purpose: Purpose) -> Key {
        let master = Key(self.0.clone());
        Key(Zeroizing::new(master.mac(&[b"portreeve key v1", purpose.label()])))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// A key for one purpose.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

/// Why something sealed does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealFault {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("this was sealed with another key or for somebody else; is the master key the right one?")]
    DoesNotOpen,
}

const SEAL_VERSION: u8 = 1;
const NONCE: usize = 24;

impl Key {
    /// HMAC-SHA256 over the parts, each with its length before it, so that no two lists of parts are the same text.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.hmac(parts).finalize().into_bytes().into()
    }

    /// Is this the tag of these parts? Takes the same time wherever it differs.
    pub fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.hmac(parts).verify_slice(tag).is_ok()
    }

    fn hmac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// Seals bytes for the database. `owner` is bound to them: moved to another row they do not open.
    pub fn seal(&self, owner: &str, plain: &[u8]) -> Result<Vec<u8>, SealFault> {
        let nonce: [u8; NONCE] = draw()?;
        let body = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: owner.as_bytes() })
            .map_err(|_| SealFault::DoesNotOpen)?;
        Ok([&[SEAL_VERSION][..], &nonce, &body].concat())
    }

    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealFault> {
        let [SEAL_VERSION, rest @ ..] = sealed else { return Err(SealFault::DoesNotOpen) };
        let (nonce, body) = rest.split_at_checked(NONCE).ok_or(SealFault::DoesNotOpen)?;
        self.cipher()
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: owner.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| SealFault::DoesNotOpen)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_slice().into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_for_each_purpose() {
        let master = MasterKey::from_bytes([7; 32]);
        let purposes = [Purpose::Csrf, Purpose::Ask, Purpose::Seal, Purpose::SignIn];
        for (i, a) in purposes.iter().enumerate() {
            let tag = master.key(*a).mac(&[b"x"]);
            assert!(master.key(*a).verifies(&[b"x"], &tag), "the same again");
            for b in &purposes[i + 1..] {
                assert!(!master.key(*b).verifies(&[b"x"], &tag), "{a:?} {b:?}");
            }
            assert!(!MasterKey::from_bytes([8; 32]).key(*a).verifies(&[b"x"], &tag));
            assert!(!master.key(*a).verifies(&[b"x"], &tag[..31]));
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = MasterKey::from_bytes([7; 32]).key(Purpose::Ask);
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_ne!(key.mac(&[b"abc"]), key.mac(&[b"abc", b""]));
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone_and_unchanged() {
        let key = MasterKey::generate().unwrap().key(Purpose::Seal);
        let sealed = key.seal("anna", b"secret").unwrap();
        assert_eq!(key.open("anna", &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(sealed, key.seal("anna", b"secret").unwrap(), "never the same twice");
        assert_eq!(key.open("bert", &sealed).unwrap_err(), SealFault::DoesNotOpen);
        for i in 0..sealed.len() {
            let mut other = sealed.clone();
            other[i] ^= 1;
            assert!(key.open("anna", &other).is_err(), "byte {i}");
            assert!(key.open("anna", &sealed[..i]).is_err(), "cut at {i}");
        }
        assert!(MasterKey::generate().unwrap().key(Purpose::Seal).open("anna", &sealed).is_err());
    }
}
