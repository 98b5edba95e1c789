//! Text that an attacker may have chosen. It has no `Display`: every edge must pick its encoder.

/// User names, agents, commands, URLs, host names: anything that came out of a log record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Untrusted(String);

impl Untrusted {
    pub fn new(text: impl Into<String>) -> Self {
        Untrusted(text.into())
    }

    /// The bare text, for an encoder to work on. Never hand this to a terminal, a page or a shell as it is.
    pub fn raw(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For a terminal or a log line: control characters, bidirectional overrides and line separators become
    /// visible escapes, so that nothing moves the cursor, hides text or forges a line.
    pub fn for_terminal(&self) -> String {
        escape_for_terminal(&self.0)
    }
}

impl std::fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Untrusted(text.to_owned())
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Untrusted(text)
    }
}

/// Is this a character that a terminal, an editor or a browser obeys instead of showing it: controls, marks of
/// direction, invisible joiners?
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// See [`Untrusted::for_terminal`].
pub fn escape_for_terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        let name = Untrusted::from("a\x1b[2Jb\r\n\u{202e}c");
        assert_eq!(name.for_terminal(), "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c");
        assert_eq!(Untrusted::from("Jürgen 漢字").for_terminal(), "Jürgen 漢字");
    }
}
