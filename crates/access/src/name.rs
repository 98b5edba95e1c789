//! The name by which a person or a service account signs in.

use portreeve_model::untrusted::{escape_for_terminal, is_obeyed};
use serde::{Deserialize, Serialize};
use std::fmt;

/// 1 to 64 characters, none of which a terminal or a browser obeys. Kept as it was written; two that differ in case
/// alone are one ([`Name::key`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("name `{shown}`: {why}")]
pub struct NameFault {
    pub shown: String,
    pub why: &'static str,
}

const LONGEST: usize = 64;

impl Name {
    pub fn new(text: &str) -> Result<Name, NameFault> {
        let fault = |why| {
            let start: String = text.chars().take(40).collect();
            Err(NameFault { shown: escape_for_terminal(&start), why })
        };
        if text.is_empty() {
            return fault("is empty");
        }
        if text.chars().count() > LONGEST {
            return fault("is longer than 64 characters");
        }
        if text.trim() != text {
            return fault("begins or ends with a space");
        }
        if text.chars().any(|c| is_obeyed(c) || (c.is_whitespace() && c != ' ')) {
            return fault("holds control, direction or invisible characters");
        }
        Ok(Name(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What must be unique.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameFault;
    fn try_from(text: String) -> Result<Name, NameFault> {
        Name::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "anna.berg", "Jürgen Müller", "anna@example.org", "漢字"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(65);
        for bad in ["", " anna", "anna ", "an\nna", "an\u{202e}na", "an\u{200b}na", "a\u{a0}b", &long] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Name::new("Anna").unwrap().key(), Name::new("aNNA").unwrap().key());
        assert_eq!(
            Name::new("a\x1b[2J").unwrap_err().to_string(),
            "name `a\\u{1b}[2J`: holds control, direction or invisible characters"
        );
        assert!(serde_json::from_str::<Name>(r#""a\u0000b""#).is_err());
    }
}
