//! For tests: keys that sign, and tokens made with them.

use super::Algorithm;
use crate::draw::to_base64url;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::OnceLock;

/// Made once for the whole run, by openssl: ring makes no RSA keys.
pub(crate) fn rsa_key() -> RsaKeyPair {
    static DER: OnceLock<Vec<u8>> = OnceLock::new();
    let der = DER.get_or_init(|| {
        let output = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"])
            .output()
            .expect("Debian package openssl is missing");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    });
    // Versions of openssl differ in which form DER is.
    RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).expect("an RSA key")
}

pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm) -> Signer {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::Rs256 => Signer::Rsa(Box::new(rsa_key())),
            Algorithm::Es256 => {
                let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &random).unwrap();
                Signer::P256(EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), &random).unwrap())
            }
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Signer::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Signer::Rsa(_) => Algorithm::Rs256,
            Signer::P256(_) => Algorithm::Es256,
            Signer::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The public half, as a provider publishes it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Signer::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": to_base64url(&public.n), "e": to_base64url(&public.e)})
            }
            Signer::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC",
                    "crv": "P-256",
                    "x": to_base64url(&point[1..33]),
                    "y": to_base64url(&point[33..]),
                })
            }
            Signer::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rsa(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).unwrap();
                out
            }
            Signer::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm().name(), "kid": kid, "typ": "JWT"});
        self.token_with(&header, claims)
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        format!("{signed}.{}", to_base64url(&self.sign(signed.as_bytes())))
    }
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", to_base64url(header.to_string().as_bytes()), to_base64url(claims.to_string().as_bytes()))
}

/// The old attack: an HMAC whose key is the public key, as anybody can make it.
pub(crate) fn hs256(kid: &str, claims: &Value, key: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let signed = unsigned(&json!({"alg": "HS256", "kid": kid, "typ": "JWT"}), claims);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", to_base64url(&mac.finalize().into_bytes()))
}
