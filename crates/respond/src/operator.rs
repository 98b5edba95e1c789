//! Who asks and who allows. An operator is a key: what he proposes, approves and takes back is signed with it.

use crate::fault::Fault;
use crate::secret::{Secret, random};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// What a person may do. L1 proposes; T2 approves what can be undone; T3 what cannot, and what hits many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    L1,
    T2,
    T3,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::L1 => "L1",
            Tier::T2 => "T2",
            Tier::T3 => "T3",
        })
    }
}

/// A person of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub name: String,
    pub tier: Tier,
    /// Ed25519, base64, as `portreeve respond operator` prints it.
    pub public_key: PublicKey,
    /// Accounts of this person, which are never acted upon.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Addresses of this person, which are never blocked.
    #[serde(default)]
    pub addresses: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl TryFrom<String> for PublicKey {
    type Error = String;
    fn try_from(text: String) -> Result<PublicKey, String> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| "public_key: is no base64".to_owned())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| "public_key: is not 32 bytes".to_owned())?;
        VerifyingKey::from_bytes(&bytes)
            .map(PublicKey)
            .map_err(|_| "public_key: is no Ed25519 key".to_owned())
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        STANDARD.encode(key.0.as_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

/// A private key, of an operator or of the ledger's checkpoints.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    pub fn generate() -> Result<PrivateKey, Fault> {
        let mut seed = Zeroizing::new([0; 32]);
        random(seed.as_mut_slice())?;
        Ok(PrivateKey(SigningKey::from_bytes(&seed)))
    }

    /// As its file holds it: base64 of the seed.
    pub fn from_secret(secret: &Secret) -> Result<PrivateKey, Fault> {
        let wrong = || Fault::Credential("the key is not 32 bytes of base64".into());
        let bytes = Zeroizing::new(STANDARD.decode(secret.expose().trim()).map_err(|_| wrong())?);
        let seed: [u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong())?;
        Ok(PrivateKey(SigningKey::from_bytes(&seed)))
    }

    pub fn to_secret(&self) -> Secret {
        Secret::new(STANDARD.encode(self.0.as_bytes()))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.0.sign(text.as_bytes()).to_bytes())
    }
}

impl PublicKey {
    pub fn verifies(&self, text: &str, signature: &str) -> bool {
        STANDARD
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| self.0.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

/// What a signature is for; a signature for one purpose is worth nothing for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Propose,
    Approve,
    Reject,
    /// One person alone, loudly.
    BreakGlass,
    Apply,
    RollBack,
    Attest,
    /// An automation as it stands.
    Automate,
}

impl Purpose {
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Propose => "propose",
            Purpose::Approve => "approve",
            Purpose::Reject => "reject",
            Purpose::BreakGlass => "break_glass",
            Purpose::Apply => "apply",
            Purpose::RollBack => "roll_back",
            Purpose::Attest => "attest",
            Purpose::Automate => "automate",
        }
    }
}

/// A person's word about a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Word {
    pub by: String,
    pub purpose: Purpose,
    /// The plan's digest.
    pub plan: String,
    pub reason: String,
    /// Microseconds since 1970, UTC.
    pub at: i64,
    pub signature: String,
}

/// The text that is signed. Lengths stand before the free texts, so that no text can be taken for two.
fn signed_text(by: &str, purpose: Purpose, plan: &str, reason: &str, at: i64) -> String {
    format!(
        "portreeve word v1\n{}\n{plan}\n{at}\n{} {by}\n{} {reason}\n",
        purpose.name(),
        by.len(),
        reason.len()
    )
}

impl Word {
    pub fn sign(by: &str, key: &PrivateKey, purpose: Purpose, plan: &str, reason: &str, at: i64) -> Word {
        Word {
            by: by.to_owned(),
            purpose,
            plan: plan.to_owned(),
            reason: reason.to_owned(),
            at,
            signature: key.sign(&signed_text(by, purpose, plan, reason, at)),
        }
    }

    pub fn is_of(&self, key: &PublicKey) -> bool {
        key.verifies(&signed_text(&self.by, self.purpose, &self.plan, &self.reason, self.at), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_for_its_purpose_plan_and_person_alone() {
        let key = PrivateKey::generate().unwrap();
        let word = Word::sign("anna", &key, Purpose::Approve, "abc", "because", 7);
        assert!(word.is_of(&key.public()));
        let changed: [fn(&mut Word); 5] = [
            |w| w.purpose = Purpose::RollBack,
            |w| w.plan = "abd".into(),
            |w| w.by = "bert".into(),
            |w| w.reason = "other".into(),
            |w| w.at = 8,
        ];
        for change in changed {
            let mut other = word.clone();
            change(&mut other);
            assert!(!other.is_of(&key.public()), "{other:?}");
        }
        assert!(!word.is_of(&PrivateKey::generate().unwrap().public()));
    }

    #[test]
    fn a_key_goes_through_its_file() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_secret(&key.to_secret()).unwrap();
        assert_eq!(key.public(), again.public());
        let text = String::from(key.public());
        assert_eq!(PublicKey::try_from(text).unwrap(), key.public());
        assert!(PrivateKey::from_secret(&Secret::new("AAAA")).is_err());
    }
}
