//! Base64 as products write it around raw records, and gzip within.

use std::io::Read;

/// Unpacked bytes of one compressed record.
const UNPACKED: u64 = 1 << 20;

/// The text behind base64, if it is one: letters of the alphabet only, nothing but printable text behind it.
pub(crate) fn text(encoded: &[u8]) -> Option<Vec<u8>> {
    let encoded = encoded.trim_ascii();
    if encoded.len() < 16 {
        return None;
    }
    let bytes = decode(encoded)?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).take(UNPACKED).read_to_end(&mut plain).ok()?;
        plain
    } else {
        bytes
    };
    let printable = |b: &u8| *b >= 0x20 || matches!(b, b'\n' | b'\r' | b'\t' | 0);
    (!bytes.is_empty() && bytes.iter().all(printable) && std::str::from_utf8(&bytes).is_ok()).then_some(bytes)
}

fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let plain = encoded.strip_suffix(b"==").or_else(|| encoded.strip_suffix(b"=")).unwrap_or(encoded);
    if plain.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(plain.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0u32, 0u32);
    for b in plain {
        let six = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(six)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_counts() {
        let good = |encoded: &str| text(encoded.as_bytes()).map(|t| String::from_utf8_lossy(&t).into_owned());
        assert_eq!(good("PDM4Pk9jdCAyMyAwNzoyMTo0Mg==").as_deref(), Some("<38>Oct 23 07:21:42"));
        assert_eq!(good("PDM4Pk9jdCAyMyAwNzoyMTo0Mg").as_deref(), Some("<38>Oct 23 07:21:42"));
        for bad in ["short", "not base64 at all, really", "AAECAwQFBgcICQoLDA0ODw==", "abcdefghijklmnopq"] {
            assert_eq!(good(bad), None, "{bad}");
        }
    }
}
