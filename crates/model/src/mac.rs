//! Hardware addresses.

/// A hardware address; 0 where unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub u64);

impl Mac {
    pub const NONE: Mac = Mac(0);

    /// `aabb.ccdd.eeff`, `aa:bb:cc:dd:ee:ff`, `AA-BB-CC-DD-EE-FF`, `aabbccddeeff`.
    pub fn parse(text: &[u8]) -> Mac {
        let (mut value, mut digits) = (0u64, 0);
        for b in text.trim_ascii() {
            match (*b as char).to_digit(16) {
                Some(d) => {
                    value = value << 4 | u64::from(d);
                    digits += 1;
                }
                None if matches!(b, b'.' | b':' | b'-') => {}
                None => return Mac::NONE,
            }
            if digits > 12 {
                return Mac::NONE;
            }
        }
        if digits == 12 { Mac(value) } else { Mac::NONE }
    }

    pub fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Locally administered, as randomised addresses of phones are: a weak identity.
    pub fn is_random(self) -> bool {
        self.0 >> 41 & 1 == 1
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, shift) in (0..6).rev().enumerate() {
            let octet = self.0 >> (shift * 8) & 0xff;
            write!(f, "{}{octet:02x}", if n > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_in_every_spelling() {
        let want = Mac::parse(b"00:11:22:aa:bb:cc");
        assert_eq!(want.to_string(), "00:11:22:aa:bb:cc");
        for text in ["0011.22aa.bbcc", "00-11-22-AA-BB-CC", "001122aabbcc"] {
            assert_eq!(Mac::parse(text.as_bytes()), want, "{text}");
        }
        assert_eq!(Mac::parse(b"10.54.1.2"), Mac::NONE);
        assert!(Mac::parse(b"02:00:00:00:00:01").is_random() && !want.is_random());
    }
}
