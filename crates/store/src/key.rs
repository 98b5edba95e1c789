//! Names as they are compared and looked up: folded, in one spelling, and short enough for an index.

use portreeve_model::Ip;
use sha2::{Digest, Sha256};

/// PostgreSQL refuses a row whose indexed text is longer than about 2,700 bytes, and a log may hold such a name. What
/// is longer than this keeps its beginning and, for the rest, a hash.
const LONGEST: usize = 256;

pub(crate) fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Two names with the same key are the same name.
pub(crate) fn key(text: &str) -> String {
    let folded = folded(text);
    if folded.len() <= LONGEST {
        return folded;
    }
    let hash = hex(&Sha256::digest(folded.as_bytes()));
    let cut = folded.floor_char_boundary(LONGEST - 65);
    format!("{}#{hash}", &folded[..cut])
}

/// Addresses have many spellings; other texts are names.
pub(crate) fn address_key(text: &str) -> String {
    match Ip::parse(text.as_bytes()).some() {
        Some(ip) => ip.to_string(),
        None => key(text),
    }
}

/// Searched for in a `like`, where `%` and `_` of the text stand for themselves.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in folded(text).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        for nibble in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_apart() {
        let (a, b) = ("ä".repeat(4_000), format!("{}b", "ä".repeat(3_999)));
        assert!(key(&a).len() <= LONGEST && key(&a) != key(&b));
        assert_eq!(key("  Anna "), "anna");
    }

    #[test]
    fn spellings_of_an_address_are_one() {
        assert_eq!(address_key("::ffff:192.0.2.7"), address_key("192.0.2.7"));
        assert_eq!(address_key("2001:DB8::0001"), "2001:db8::1");
        assert_eq!(address_key("No-Address"), "no-address");
    }

    #[test]
    fn signs_of_patterns_are_plain() {
        assert_eq!(containing("5%_\\"), "%5\\%\\_\\\\%");
    }
}
