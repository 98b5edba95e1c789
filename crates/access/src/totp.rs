//! One-time codes (RFC 6238: HMAC-SHA-1, six digits, thirty seconds), as every authenticator app knows them, and the
//! recovery codes for when the app is lost.

use crate::digest::Digest;
use crate::draw::{NoRandomness, draw};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

const STEP_S: i64 = 30;
const DIGITS: u32 = 6;
/// Steps before and after now that are taken: clocks differ, and people type slowly.
const WINDOW: i64 = 1;

/// The secret that the app and the service share: 160 bits, as RFC 4226 recommends. Stored sealed
/// ([`crate::keys::Key::seal`]).
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; 20]>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TotpFault {
    #[error("the code is wrong or too old; is the phone's clock right?")]
    Wrong,
    #[error("this code was used already; wait for the next one")]
    Used,
}

impl TotpSecret {
    pub fn generate() -> Result<TotpSecret, NoRandomness> {
        Ok(TotpSecret(Zeroizing::new(draw()?)))
    }

    pub fn from_slice(bytes: &[u8]) -> Option<TotpSecret> {
        bytes.try_into().ok().map(|b| TotpSecret(Zeroizing::new(b)))
    }

    /// For sealing.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// For who types it by hand.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32(self.0.as_slice()))
    }

    /// What the QR code holds (Key URI Format, as apps read it).
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let encode = |text: &str| {
            text.bytes().fold(String::new(), |mut out, b| {
                if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                    out.push(char::from(b));
                } else {
                    out.push_str(&format!("%{b:02X}"));
                }
                out
            })
        };
        let (issuer, account) = (encode(issuer), encode(account));
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_S}",
            *self.to_base32()
        ))
    }

    /// Checks a code at `now` (microseconds). `last_step` is what the last successful check of this secret returned; what
    /// is returned now is to be stored in its place, in the same transaction, before anybody is let in.
    pub fn check(&self, code: &str, now: i64, last_step: Option<i64>) -> Result<i64, TotpFault> {
        let digits: Vec<u8> = code.bytes().filter(|b| *b != b' ').collect();
        if digits.len() != DIGITS as usize || !digits.iter().all(u8::is_ascii_digit) {
            return Err(TotpFault::Wrong);
        }
        let given = digits.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
        let step = now.div_euclid(1_000_000).div_euclid(STEP_S);
        // All of the window is computed, whichever fits. The newest step that fits counts, so that it cannot be used twice
        // where two steps happen to share a code.
        let (mut found, mut fits) = (0i64, Choice::from(0));
        for candidate in step - WINDOW..=step + WINDOW {
            let same = self.code(candidate, DIGITS).ct_eq(&given);
            found.conditional_assign(&candidate, same);
            fits |= same;
        }
        match (bool::from(fits), last_step) {
            (false, _) => Err(TotpFault::Wrong),
            (true, Some(last)) if found <= last => Err(TotpFault::Used),
            (true, _) => Ok(found),
        }
    }

    /// RFC 4226, section 5.3.
    fn code(&self, step: i64, digits: u32) -> u32 {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        mac.update(&step.to_be_bytes());
        let tag: [u8; 20] = mac.finalize().into_bytes().into();
        let at = usize::from(tag[19] & 0xf);
        let word = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
        word % 10u32.pow(digits)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(***)")
    }
}

/// RFC 4648, section 6, without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    let (mut held, mut bits) = (0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
    out
}

pub const RECOVERY_CODES: usize = 10;
const RECOVERY_CHARS: usize = 16;

/// Ten codes of 80 bits, each good once. The texts are shown once; the digests are stored.
pub struct RecoveryCodes {
    pub texts: Vec<Zeroizing<String>>,
    pub digests: Vec<Digest>,
}

impl RecoveryCodes {
    pub fn generate() -> Result<RecoveryCodes, NoRandomness> {
        let mut codes = RecoveryCodes { texts: Vec::new(), digests: Vec::new() };
        for _ in 0..RECOVERY_CODES {
            let plain = Zeroizing::new(base32(&draw::<10>()?));
            let groups: Vec<&str> = (0..RECOVERY_CHARS).step_by(4).map(|i| &plain[i..i + 4]).collect();
            codes.texts.push(Zeroizing::new(groups.join("-").to_lowercase()));
            codes.digests.push(Digest::of(plain.as_bytes()));
        }
        Ok(codes)
    }
}

/// Which of the stored codes is this? The caller deletes that one in the same transaction.
pub fn recovery(stored: &[Digest], code: &str) -> Option<usize> {
    let plain: String = code
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_uppercase())
        // What base32 leaves out for being misread.
        .map(|c| match c {
            '0' => 'O',
            '1' => 'I',
            '8' => 'B',
            c => c,
        })
        .take(RECOVERY_CHARS + 1)
        .collect();
    if plain.len() != RECOVERY_CHARS {
        return None;
    }
    let digest = Digest::of(plain.as_bytes());
    stored.iter().position(|s| *s == digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rfc() -> TotpSecret {
        TotpSecret::from_slice(b"12345678901234567890").unwrap()
    }

    /// RFC 6238, appendix B, SHA-1.
    #[test]
    fn the_rfcs_own_values() {
        for (second, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(rfc().code(second / 30, 8), code, "{second}");
            let six = format!("{:06}", code % 1_000_000);
            assert_eq!(rfc().check(&six, second * 1_000_000, None), Ok(second / 30));
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn the_older_rfcs_values() {
        let codes =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (count, code) in (0..).zip(codes) {
            assert_eq!(rfc().code(count, 6), code);
        }
    }

    #[test]
    fn base32_as_the_rfc_writes_it() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }

    const NOW: i64 = 1_234_567_890 * 1_000_000;

    fn code_at(step: i64) -> String {
        format!("{:06}", rfc().code(step, 6))
    }

    #[test]
    fn one_step_early_or_late_is_on_time() {
        let step = NOW / 30_000_000;
        for (off, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let answer = rfc().check(&code_at(step + off), NOW, None);
            assert_eq!(answer.ok(), good.then_some(step + off), "{off}");
        }
    }

    #[test]
    fn a_code_is_good_once_and_no_older_one_after_it() {
        let step = NOW / 30_000_000;
        let last = rfc().check(&code_at(step), NOW, None).unwrap();
        assert_eq!(rfc().check(&code_at(step), NOW, Some(last)), Err(TotpFault::Used));
        assert_eq!(rfc().check(&code_at(step - 1), NOW, Some(last)), Err(TotpFault::Used));
        assert_eq!(rfc().check(&code_at(step + 1), NOW, Some(last)), Ok(step + 1));
    }

    #[test]
    fn what_is_no_code() {
        for text in ["", "12345", "1234567", "12345a", "+12345", "１２３４５６", "-12345", "12 34 5"] {
            assert_eq!(rfc().check(text, NOW, None), Err(TotpFault::Wrong), "{text}");
        }
        let spaced = code_at(NOW / 30_000_000);
        assert!(rfc().check(&format!("{} {}", &spaced[..3], &spaced[3..]), NOW, None).is_ok());
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        assert_eq!(
            *rfc().uri("Portreeve (SOC)", "anna&co@example.org"),
            "otpauth://totp/Portreeve%20%28SOC%29:anna%26co%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Portreeve%20%28SOC%29&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(format!("{:?}", rfc()), "TotpSecret(***)");
    }

    #[test]
    fn recovery_codes_are_found_however_they_are_typed() {
        let mut codes = RecoveryCodes::generate().unwrap();
        assert_eq!(codes.texts.len(), RECOVERY_CODES);
        assert_eq!(codes.texts[0].len(), 19, "{}", *codes.texts[0]);
        let third = codes.texts[3].clone();
        assert_eq!(recovery(&codes.digests, &third), Some(3));
        assert_eq!(recovery(&codes.digests, &third.to_uppercase().replace('-', " ")), Some(3));
        assert_eq!(recovery(&codes.digests, &third[..18]), None);
        assert_eq!(recovery(&codes.digests, ""), None);
        codes.digests.remove(3);
        assert_eq!(recovery(&codes.digests, &third), None, "used up");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(code in "\\PC{0,12}", now in any::<i64>(), last in any::<Option<i64>>()) {
            if let Ok(step) = rfc().check(&code, now, last) {
                prop_assert!(last.is_none_or(|l| step > l));
            }
            recovery(&[Digest::of(b"x")], &code);
        }
    }
}
