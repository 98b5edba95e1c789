//! Words for the shell of another host. OpenSSH hands one string to the login shell there, so that a command is never
//! text of ours but words, each in quotes.

/// A command for a POSIX shell, of which every word is data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellCommand(Vec<u8>);

/// A word that no POSIX shell can be given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a word with a NUL byte cannot be handed to a shell")]
pub(crate) struct NulByte;

impl ShellCommand {
    pub(crate) fn new<W: AsRef<[u8]>>(words: &[W]) -> Result<ShellCommand, NulByte> {
        let mut text = Vec::new();
        for word in words {
            let word = word.as_ref();
            if word.contains(&0) {
                return Err(NulByte);
            }
            if !text.is_empty() {
                text.push(b' ');
            }
            // Within single quotes nothing has a meaning but the quote itself.
            text.push(b'\'');
            for b in word {
                match b {
                    b'\'' => text.extend_from_slice(b"'\\''"),
                    b => text.push(*b),
                }
            }
            text.push(b'\'');
        }
        Ok(ShellCommand(text))
    }

    /// Bytes that a word takes in quotes.
    pub(crate) fn length(word: &[u8]) -> usize {
        3 + word.iter().map(|b| if *b == b'\'' { 4 } else { 1 }).sum::<usize>()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// What a real shell makes of the words.
    fn through_sh(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut command = vec![b"printf".to_vec(), b"%s\\0".to_vec()];
        command.extend_from_slice(words);
        let text = ShellCommand::new(&command).expect("no NUL");
        let out = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(OsStr::from_bytes(text.as_bytes()))
            .output()
            .expect("a shell");
        let mut parts: Vec<Vec<u8>> = out.stdout.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(parts.pop(), Some(Vec::new()));
        parts
    }

    #[test]
    fn every_word_arrives_as_it_was() {
        let words: Vec<Vec<u8>> = [
            &b"a b"[..],
            b"",
            b"it's",
            b"'; touch /tmp/x; '",
            b"$(id)",
            b"`id`",
            b"${HOME}",
            b"-rf",
            b"a\nb\r\n",
            b"\\",
            b"\\'",
            b"!!",
            b"\x1b[2J",
            b"\xff\xfe",
            b"*",
            b"~",
            b"#",
            b"a=b",
        ]
        .iter()
        .map(|w| w.to_vec())
        .collect();
        assert_eq!(through_sh(&words), words);
    }

    #[test]
    fn the_length_of_a_word_is_told_before() {
        for word in [&b"a b"[..], b"", b"it's", b"''"] {
            let two = ShellCommand::new(&[word, word]).expect("no NUL");
            assert_eq!(two.as_bytes().len() + 1, 2 * ShellCommand::length(word));
        }
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(ShellCommand::new(&[b"a\0b"]), Err(NulByte));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_bytes_get_out_of_their_word(
            words in prop::collection::vec(prop::collection::vec(1u8..=255, 0..40), 1..6)
        ) {
            prop_assert_eq!(through_sh(&words), words);
        }
    }
}
