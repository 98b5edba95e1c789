//! Randomness of the operating system, and how bytes are written in links, cookies and JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The operating system gave no randomness. Nothing secret can be made then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the operating system gives no randomness; is /dev/urandom there, and is getrandom allowed?")]
pub struct NoRandomness;

pub fn draw<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// base64url without padding (RFC 4648, section 5), as WebAuthn, OpenID Connect and cookies write bytes.
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Only the one form that [`to_base64url`] writes: no padding, no other alphabet, no stray bits at the end.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_the_same_bytes() {
        assert_ne!(draw::<32>().unwrap(), draw::<32>().unwrap());
        assert_eq!(to_base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url("-_8"), Some(vec![0xfb, 0xff]));
        for other in ["-_8=", "+/8", "-_9", "-_8 ", "\n-_8"] {
            assert_eq!(from_base64url(other), None, "{other:?}");
        }
    }
}
