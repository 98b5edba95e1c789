//! Signatures of what is sent (Standard Webhooks, symmetric): HMAC-SHA256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac};
use portreeve_store::hex;
use sha2::{Digest, Sha256};

/// Keys that are shorter protect nothing; the specification has the same bound.
const SHORTEST: usize = 24;

/// `whsec_` and base64, or a text that is itself the key.
pub(crate) fn key(secret: &str) -> Result<Vec<u8>, String> {
    let key = match secret.strip_prefix("whsec_") {
        Some(rest) => {
            STANDARD.decode(rest.trim()).map_err(|_| "what stands behind whsec_ is no base64".to_owned())?
        }
        None => secret.as_bytes().to_vec(),
    };
    if key.len() < SHORTEST {
        return Err(format!("has fewer than {SHORTEST} bytes; openssl rand -base64 32 makes a good one"));
    }
    Ok(key)
}

/// The value of `webhook-signature`.
pub(crate) fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The value of `webhook-id`: the same for each attempt, without a full stop, which parts what is signed.
pub(crate) fn id(instance: &str, target: &str, once: &str) -> String {
    let sum = Sha256::digest(format!("{instance}\n{target}\n{once}").as_bytes());
    format!("msg_{}", &hex(&sum)[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_has_it() {
        // The example of the specification's own test vectors.
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signed =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(key("too short").is_err() && key("whsec_!").is_err() && key("whsec_YWJj").is_err());
        assert!(key("a text of twenty-four bytes and more").is_ok());
    }
}
