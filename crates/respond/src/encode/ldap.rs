//! LDAP: values in filters (RFC 4515) and in distinguished names (RFC 4514).

/// Bytes other than letters and digits become `\xx`.
pub fn filter(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for b in value.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@') {
            out.push(char::from(b));
        } else {
            hex(&mut out, b);
        }
    }
    out
}

/// The same for one value of a distinguished name.
pub fn dn(value: &str) -> String {
    filter(value)
}

fn hex(out: &mut String, b: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('\\');
    out.push(char::from(HEX[usize::from(b >> 4)]));
    out.push(char::from(HEX[usize::from(b & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_filter_obeys_is_hidden() {
        assert_eq!(filter("a*)(uid=*"), "a\\2a\\29\\28uid\\3d\\2a");
        assert_eq!(dn("a,b+c\"d\\e"), "a\\2cb\\2bc\\22d\\5ce");
        assert_eq!(filter("\0\n"), "\\00\\0a");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_obeyed(value in any::<String>()) {
            let text = filter(&value);
            prop_assert!(!text.contains(['*', '(', ')', '\0', '\n', '&', '|', '!', '=', ',']));
            let mut back = Vec::new();
            let mut bytes = text.bytes();
            while let Some(b) = bytes.next() {
                if b == b'\\' {
                    let two: String = bytes.by_ref().take(2).map(char::from).collect();
                    back.push(u8::from_str_radix(&two, 16).unwrap());
                } else {
                    back.push(b);
                }
            }
            prop_assert_eq!(back, value.into_bytes());
        }
    }
}
