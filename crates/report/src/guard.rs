//! Output that may be shown anywhere: characters that terminals, editors and browsers obey are written as escapes.

use portreeve_model::untrusted::is_obeyed;
use serde::Serialize;
use std::io::{self, Write};

/// Writes a value as JSON, on one line or indented.
pub(crate) fn json(value: &impl Serialize, pretty: bool, to: &mut dyn Write) -> io::Result<()> {
    let mut guarded = Guarded { to, escape: |c| format!("\\u{:04x}", u32::from(c)) };
    if pretty {
        serde_json::to_writer_pretty(&mut guarded, value)?;
    } else {
        serde_json::to_writer(&mut guarded, value)?;
    }
    to.write_all(b"\n")
}

/// A page: what would be obeyed is shown as `\u{202e}`.
pub(crate) fn page(to: &mut dyn Write) -> impl Write {
    Guarded { to, escape: |c| c.escape_unicode().to_string() }
}

/// JSON has such characters in strings alone, and writers of text hand it over in pieces of whole characters.
struct Guarded<'w> {
    to: &'w mut dyn Write,
    escape: fn(char) -> String,
}

impl Write for Guarded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let plain = |b: &u8| !matches!(b, 0..=0x08 | 0x0b..=0x1f | 0x7f | 0xc2 | 0xe2 | 0xef);
        if bytes.iter().all(plain) {
            self.to.write_all(bytes)?;
            return Ok(bytes.len());
        }
        for c in String::from_utf8_lossy(bytes).chars() {
            if is_obeyed(c) && !matches!(c, '\n' | '\t') {
                self.to.write_all((self.escape)(c).as_bytes())?;
            } else {
                self.to.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_and_still_the_same() {
        let name = "J\u{fc}rgen \u{202e}gnp.exe \u{7f}\u{85}\u{1b}[31m \u{6f22}\u{feff}";
        for pretty in [false, true] {
            let mut out = Vec::new();
            json(&serde_json::json!({"name": name}), pretty, &mut out).expect("written");
            let text = String::from_utf8(out).expect("UTF-8");
            assert!(!text.chars().any(|c| is_obeyed(c) && c != '\n'), "{text:?}");
            let back: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(back["name"], name);
        }
    }
}
