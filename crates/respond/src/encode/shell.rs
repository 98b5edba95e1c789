//! Words for a POSIX shell, which the far side of SSH has.

/// One word in single quotes, unless it is plain. A single quote inside becomes `'\''`.
pub fn word(out: &mut String, word: &str) {
    let plain = !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b))
        && !word.starts_with('=');
    if plain {
        out.push_str(word);
        return;
    }
    out.push('\'');
    for part in word.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(before) => {
                out.push_str(before);
                out.push_str("'\\''");
            }
            None => out.push_str(part),
        }
    }
    out.push('\'');
}

/// A whole command line.
pub fn line<W: AsRef<str>>(words: &[W]) -> String {
    let mut out = String::new();
    for w in words {
        if !out.is_empty() {
            out.push(' ');
        }
        word(&mut out, w.as_ref());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn quotes_are_as_a_person_would_write_them() {
        assert_eq!(line(&["nft", "-f", "-"]), "nft -f -");
        assert_eq!(line(&["x", "", "a b", "it's"]), r"x '' 'a b' 'it'\''s'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_real_shell_gives_back_each_word(words in proptest::collection::vec("[^\\x00]{0,12}|[$`'\"\\\\\n*;&|<>(){}!#~ -]{0,12}", 1..5)) {
            let mut all = vec!["printf".to_owned(), "%s\\0".to_owned()];
            all.extend(words.iter().cloned());
            let out = Command::new("sh").arg("-c").arg(line(&all)).output().unwrap();
            let expect: Vec<u8> = words.iter().flat_map(|w| w.bytes().chain([0])).collect();
            prop_assert_eq!(out.stdout, expect);
        }
    }
}
