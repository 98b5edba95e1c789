//! Signed tokens (JWS, RFC 7515) and the keys that verify them (JWK, RFC 7517), as identity providers use them.
//!
//! Three algorithms, all with public keys. `none` and the symmetric ones are not in the type, so that a token cannot ask for
//! them (RFC 8725, 2.1 and 3.1); a key verifies only what its own kind signs. Signatures are `ring`'s.

use crate::draw::from_base64url;
use portreeve_model::untrusted::escape_for_terminal;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JwtFault {
    #[error("the token cannot be read: {0}")]
    Garbled(&'static str),
    #[error("the token is signed with `{0}`, which is not allowed here")]
    Algorithm(String),
    #[error("the token asks for extensions (`crit`) that nobody here knows")]
    Critical,
    #[error("the token is of type `{0}`, not an ID token")]
    Kind(String),
    #[error("no key of the provider fits the token")]
    NoKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the provider's keys cannot be read")]
    KeySet,
}

/// A provider's public keys.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256, uncompressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A set holds a handful; providers with many tenants a few dozen.
const MOST_KEYS: usize = 200;

impl KeySet {
    /// Keys of other kinds, for encryption, or broken are left out; a set without any key left verifies nothing.
    pub fn parse(json: &[u8]) -> Result<KeySet, JwtFault> {
        let set: Jwks = serde_json::from_slice(json).map_err(|_| JwtFault::KeySet)?;
        if set.keys.len() > MOST_KEYS {
            return Err(JwtFault::KeySet);
        }
        let keys = set.keys.into_iter().filter_map(|key| Key::read(serde_json::from_value(key).ok()?));
        Ok(KeySet { keys: keys.collect() })
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtFault> {
        let mut fitting = self.keys.iter().filter(|k| k.algorithm == algorithm).peekable();
        let tried: Vec<&Key> = match kid {
            Some(kid) => fitting.filter(|k| k.kid.as_deref() == Some(kid)).collect(),
            // Without a name there must be no choice (OpenID Connect Core, 10.1).
            None => fitting.next().filter(|_| fitting.peek().is_none()).into_iter().collect(),
        };
        if tried.is_empty() {
            return Err(JwtFault::NoKey);
        }
        tried.iter().any(|k| k.material.verifies(message, signature)).then_some(()).ok_or(JwtFault::Signature)
    }
}

impl Key {
    fn read(jwk: Jwk) -> Option<Key> {
        if jwk.usage.as_deref().is_some_and(|u| u != "sig") {
            return None;
        }
        let part = |text: &Option<String>| text.as_deref().and_then(from_base64url);
        let (algorithm, material) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (Algorithm::Rs256, Material::Rsa { n: plain(part(&jwk.n)?), e: part(&jwk.e)? }),
            ("EC", Some("P-256")) => {
                let (x, y) = (part(&jwk.x)?, part(&jwk.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                (Algorithm::Es256, Material::P256([vec![4], x, y].concat()))
            }
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Material::Ed25519(part(&jwk.x)?)),
            _ => return None,
        };
        // A key that names an algorithm is for that one alone.
        let named = jwk.alg.as_deref();
        let fits =
            named.is_none_or(|a| a == algorithm.name() || (a == "Ed25519" && algorithm == Algorithm::EdDsa));
        fits.then_some(Key { kid: jwk.kid, algorithm, material })
    }
}

/// Some providers write the modulus with a zero before it, as DER has it; ring wants the number alone.
fn plain(mut n: Vec<u8>) -> Vec<u8> {
    let zeros = n.iter().take_while(|b| **b == 0).count();
    n.drain(..zeros);
    n
}

impl Material {
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // ring refuses less than 2048 bits.
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Material::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok(),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// What a verified token says, and how it was signed.
#[derive(Clone, PartialEq, Debug)]
pub struct Verified {
    pub claims: Map<String, Value>,
    pub algorithm: Algorithm,
}

const LONGEST: usize = 64 * 1024;

/// The claims of a token whose signature is right. What the claims say is the caller's to judge.
pub fn verify(token: &str, keys: &KeySet, allowed: &[Algorithm]) -> Result<Verified, JwtFault> {
    if token.len() > LONGEST {
        return Err(JwtFault::Garbled("it is too long"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(JwtFault::Garbled("it has not three parts"));
    };
    let decode = |part: &str| from_base64url(part).ok_or(JwtFault::Garbled("a part is no base64url"));
    let signed = &token[..header.len() + 1 + claims.len()];
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| JwtFault::Garbled("the header is no JSON"))?;
    let algorithm = allowed
        .iter()
        .copied()
        .find(|a| a.name() == header.alg)
        .ok_or_else(|| JwtFault::Algorithm(shown(&header.alg)))?;
    if header.crit.is_some() {
        return Err(JwtFault::Critical);
    }
    // An access token (`at+jwt`, RFC 9068) or a logout token is signed with the same key.
    if let Some(kind) = header.typ.filter(|t| !t.eq_ignore_ascii_case("JWT")) {
        return Err(JwtFault::Kind(shown(&kind)));
    }
    keys.verify(header.kid.as_deref(), algorithm, signed.as_bytes(), &decode(signature)?)?;
    let claims = serde_json::from_slice(&decode(claims)?)
        .map_err(|_| JwtFault::Garbled("the claims are no JSON object"))?;
    Ok(Verified { claims, algorithm })
}

/// Enough of a foreign text to be recognised in an error.
fn shown(text: &str) -> String {
    escape_for_terminal(&text.chars().take(40).collect::<String>())
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
