//! The MFA audit as JSON, page and table, and the difference to an earlier one.

mod difference;
mod html;
mod terminal;
mod wire;

pub use html::html;
pub use terminal::table;
pub use wire::AuditFile;

use std::io::{self, Write};

/// What an earlier file was refused for.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No JSON of this shape.
    Shape(String),
    /// Another schema, as the file names it.
    Schema(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Shape(why) => {
                write!(f, "{why}; this is no file of `portreeve audit mfa --format json`")
            }
            ReadError::Schema(named) => {
                write!(f, "schema is `{named}`, this version reads {}", wire::SCHEMA)
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads what [`json`] wrote, for `--before`.
pub fn read(text: &str) -> Result<AuditFile, ReadError> {
    let file: AuditFile = serde_json::from_str(text).map_err(|e| ReadError::Shape(e.to_string()))?;
    if file.schema == wire::SCHEMA { Ok(file) } else { Err(ReadError::Schema(file.schema)) }
}

/// Holds `now` against an earlier audit; all formats then show the difference.
pub fn compare(before: &AuditFile, now: &mut AuditFile) {
    now.difference = Some(difference::difference(before, now));
}

pub fn json(file: &AuditFile, to: &mut dyn Write) -> io::Result<()> {
    crate::guard::json(file, true, to)
}

/// JSON Schema (2020-12) of the file.
pub fn schema() -> String {
    let schema = schemars::schema_for!(AuditFile);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_audit_is_refused_with_the_cause() {
        assert!(matches!(read("{}"), Err(ReadError::Shape(_))));
        assert!(matches!(read("not json"), Err(ReadError::Shape(_))));
        let mut out = Vec::new();
        let file = AuditFile::new(&Default::default(), &Default::default());
        json(&file, &mut out).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(read(&text).is_ok());
        let other = text.replace("mfa-audit/v1", "mfa-audit/v9");
        assert_eq!(read(&other).err(), Some(ReadError::Schema("portreeve/mfa-audit/v9".to_owned())));
    }
}
