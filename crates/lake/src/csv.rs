//! Cells of a table in CSV (RFC 4180). What stands in them was often written by an intruder, and files of it are opened
//! in spreadsheets: no cell is a formula there, and none ends before it should.

/// One cell. A number stays one, with its sign. All else stands in quotation marks, because some spreadsheets separate cells
/// by `;` or tabs; where it would be taken for a formula, an apostrophe stands before it, which spreadsheets do not show.
pub fn cell(text: &str) -> String {
    if text.is_empty() || is_number(text) {
        return text.to_owned();
    }
    let mark = if is_formula(text) { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

fn is_number(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    plain && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Some trim what stands before; wide forms of the signs are signs where text is East Asian.
fn is_formula(text: &str) -> bool {
    const SIGNS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let skipped = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    text.starts_with(['\t', '\r', '\n']) || text.trim_start_matches(skipped).starts_with(SIGNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for sign in ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\u{feff}=", "\0@", "\u{ff1d}", "\t\r="] {
            for rest in [
                "",
                "1+1",
                "cmd|' /C calc'!A0",
                "HYPERLINK(\"http://x.example\")",
                "1;=2",
                "e5",
                "inf",
                "nan",
            ] {
                let text = format!("{sign}{rest}");
                let number = text.parse::<f64>().is_ok_and(f64::is_finite);
                let written = cell(&text);
                assert_eq!(number, !written.starts_with("\"'"), "{text:?}: {written:?}");
                let inner = written.strip_prefix("\"'").and_then(|w| w.strip_suffix('"'));
                assert!(number || inner.is_some_and(|i| i.replace("\"\"", "\"") == text), "{written:?}");
            }
        }
        assert_eq!(cell("x;=1+1"), "\"x;=1+1\"", "no separator ends it");
        assert_eq!(cell("anna \"a\""), "\"anna \"\"a\"\"\"");
        for number in ["-1.5", "+3", "1e-7", "0", "00012", ""] {
            assert_eq!(cell(number), number);
        }
    }
}
