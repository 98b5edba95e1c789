//! Words of nftables scripts: addresses and comments.

/// A comment: at most 127 bytes of letters, digits and a few marks, so that nothing in it can end its quotes.
/// Returns `None` for a text that holds anything else.
pub fn comment(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 127
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.: ".contains(&b));
    fits.then(|| format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_cannot_end_its_quotes() {
        assert_eq!(comment("portreeve-0123456789ab").as_deref(), Some("\"portreeve-0123456789ab\""));
        for bad in ["a\"b", "a\nb", "a\\b", "", "a}b", "a;b"] {
            assert_eq!(comment(bad), None, "{bad:?}");
        }
        assert_eq!(comment(&"x".repeat(128)), None);
    }
}
