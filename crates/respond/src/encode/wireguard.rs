//! WireGuard: configuration files as `wg` and `wg-quick` read them. A peer is taken out by making comments of its
//! lines, so that what was there, its preshared key with it, stays where it was and nowhere else.

use crate::value::{KeyId, Refused};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// 32 bytes as base64, the one spelling that `wg` prints.
pub fn public_key(id: &KeyId) -> Result<&str, Refused> {
    let raw = id.raw();
    let fits = raw.len() == 44 && STANDARD.decode(raw).is_ok_and(|bytes| bytes.len() == 32);
    if fits {
        return Ok(raw);
    }
    Err(Refused {
        kind: "WireGuard public key",
        shown: id.to_string().chars().take(40).collect(),
        why: "is not 32 bytes as base64",
    })
}

/// What stands before each line that was taken out. `None` for a mark that could end the comment.
pub fn prefix(mark: &str) -> Option<String> {
    let fits = !mark.is_empty() && mark.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then(|| format!("#{mark}# "))
}

/// The field of a line, in small letters, and its value. Comments are none.
fn field(line: &str) -> Option<(String, &str)> {
    let line = line.split('#').next().unwrap_or("");
    let (name, value) = line.split_once('=')?;
    Some((name.trim().to_ascii_lowercase(), value.trim()))
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn is_peer(line: &str) -> bool {
    line.split('#').next().unwrap_or("").trim().eq_ignore_ascii_case("[peer]")
}

/// Lines with their ends, section by section; what stands before the first header is a section too.
fn sections(text: &str) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.split_inclusive('\n') {
        if is_header(line) {
            all.push(Vec::new());
        }
        if let Some(last) = all.last_mut() {
            last.push(line);
        }
    }
    all
}

fn is_of(section: &[&str], key: &str) -> bool {
    section.first().is_some_and(|l| is_peer(l))
        && section.iter().filter_map(|l| field(l)).any(|(n, v)| n == "publickey" && v == key)
}

/// Has the file a peer with this key?
pub fn has_peer(text: &str, key: &str) -> bool {
    sections(text).iter().any(|section| is_of(section, key))
}

/// The preshared key of a peer.
pub fn preshared_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let all = sections(text);
    let section = all.into_iter().find(|section| is_of(section, key))?;
    section.into_iter().filter_map(field).find(|(n, _)| n == "presharedkey").map(|(_, v)| v)
}

/// Does `wg-quick` write the file anew, without comments, when the interface goes down?
pub fn is_saved(text: &str) -> bool {
    text.lines().filter_map(field).any(|(n, v)| n == "saveconfig" && v.eq_ignore_ascii_case("true"))
}

/// The file with the peer's lines as comments. Comments and empty lines stay as they are, and so does each other
/// peer.
pub fn without_peer(text: &str, key: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    for section in sections(text) {
        let gone = is_of(&section, key);
        for line in section {
            let says = !line.trim().is_empty() && !line.trim_start().starts_with('#');
            if gone && says {
                out.push_str(prefix);
            }
            out.push_str(line);
        }
    }
    out
}

/// The file with the lines of a mark back; `None` where there are none.
pub fn with_peer(text: &str, prefix: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let bare = line.strip_prefix(prefix);
        found |= bare.is_some();
        out.push_str(bare.unwrap_or(line));
    }
    found.then_some(out)
}

/// Keys that stand in comments of ours, with the mark.
pub fn taken_out(text: &str) -> Vec<(String, String)> {
    let of = |line: &str| {
        let (mark, rest) = line.strip_prefix('#')?.split_once("# ")?;
        let (name, key) = field(rest)?;
        (mark.starts_with("portreeve-") && name == "publickey").then(|| (key.to_owned(), mark.to_owned()))
    };
    text.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const PREFIX: &str = "#portreeve-0123456789ab# ";

    fn conf() -> String {
        format!(
            "[Interface]\nPrivateKey = x\n\n# anna\n[Peer]\npublickey={A} # laptop\nPresharedKey = {B}\nAllowedIPs = 10.0.0.2/32\n\n# bob\n[peer]\nPublicKey = {B}\nAllowedIPs = 10.0.0.3/32"
        )
    }

    #[test]
    fn one_peer_is_taken_out_and_put_back() {
        let before = conf();
        assert!(has_peer(&before, A) && has_peer(&before, B));
        assert_eq!(preshared_key(&before, A), Some(B));
        assert_eq!(preshared_key(&before, B), None, "the other's key is not taken for it");
        let after = without_peer(&before, A, PREFIX);
        assert!(!has_peer(&after, A) && has_peer(&after, B));
        assert_eq!(after.matches(PREFIX).count(), 4);
        assert_eq!(taken_out(&after), [(A.to_owned(), "portreeve-0123456789ab".to_owned())]);
        assert_eq!(without_peer(&after, A, PREFIX), after, "a second time changes nothing");
        assert_eq!(with_peer(&after, PREFIX).unwrap(), before);
        assert_eq!(with_peer(&before, PREFIX), None);
        let edited = after.replace("10.0.0.3/32", "10.0.0.9/32");
        assert!(with_peer(&edited, PREFIX).unwrap().contains("10.0.0.9/32"));
    }

    #[test]
    fn a_key_is_a_key() {
        let key = |text: &str| public_key(&KeyId::new(text).unwrap()).is_ok();
        assert!(key(A));
        for bad in ["AAAA", "SHA256:abc", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", "remove"] {
            assert!(!key(bad), "{bad}");
        }
        assert!(prefix("a\nb").is_none() && prefix("").is_none());
        assert!(is_saved("[Interface]\nSaveConfig = true\n") && !is_saved("#SaveConfig = true\n"));
    }

    proptest! {
        #[test]
        fn undo_gives_back_each_byte(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("[Peer]".to_owned()), Just("[Interface]".to_owned()), Just(format!("PublicKey = {A}")),
                    Just(format!("PublicKey={B}")), Just("# c".to_owned()), Just(String::new()),
                    Just("\r".to_owned()), "[ -~]{0,12}"
                ],
                0..14,
            )
        ) {
            let text = parts.join("\n");
            let out = without_peer(&text, A, PREFIX);
            prop_assert!(!has_peer(&out, A));
            prop_assert_eq!(has_peer(&out, B) , has_peer(&text, B) && sections(&text).iter().any(|s| is_of(s, B) && !is_of(s, A)));
            prop_assert_eq!(with_peer(&out, PREFIX).unwrap_or(out), text);
        }
    }
}
