//! Public keys as authenticators hand them over (COSE, RFC 9052 and 9053), and the signatures they verify.

use super::Refused;
use super::cbor::{self, Value};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// ES256, EdDSA, RS256 (Windows Hello on a TPM); by their numbers in IANA's COSE registry, as they are offered.
pub(super) const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PublicKey<'b> {
    Es256 { x: &'b [u8; 32], y: &'b [u8; 32] },
    EdDsa { x: &'b [u8; 32] },
    Rs256 { n: &'b [u8], e: &'b [u8] },
}

impl<'b> PublicKey<'b> {
    pub(super) fn parse(cose: &'b [u8]) -> Result<PublicKey<'b>, Refused> {
        let map = cbor::read_all(cose).ok_or(Refused::Garbled("the public key is no CBOR"))?;
        let int = |label| map.int_key(label).and_then(Value::as_int);
        let bytes = |label| map.int_key(label).and_then(Value::as_bytes);
        let coordinate = |label| bytes(label).and_then(|b| <&[u8; 32]>::try_from(b).ok());
        // 1: kty, 3: alg, -1: crv (or n), -2: x (or e), -3: y.
        let key = match (int(1), int(3)) {
            (Some(2), Some(ES256)) if int(-1) == Some(1) => {
                coordinate(-2).zip(coordinate(-3)).map(|(x, y)| PublicKey::Es256 { x, y })
            }
            (Some(1), Some(EDDSA)) if int(-1) == Some(6) => coordinate(-2).map(|x| PublicKey::EdDsa { x }),
            (Some(3), Some(RS256)) => bytes(-1)
                .zip(bytes(-2))
                .filter(|(n, e)| (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len()))
                .map(|(n, e)| PublicKey::Rs256 { n, e }),
            _ => return Err(Refused::Algorithm),
        };
        key.ok_or(Refused::Garbled("the public key lacks a part"))
    }

    pub(super) fn algorithm(&self) -> i64 {
        match self {
            PublicKey::Es256 { .. } => ES256,
            PublicKey::EdDsa { .. } => EDDSA,
            PublicKey::Rs256 { .. } => RS256,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            PublicKey::Es256 { x, y } => {
                let point = [&[4][..], &x[..], &y[..]].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }
            PublicKey::EdDsa { x } => UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok(),
            PublicKey::Rs256 { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}
