//! Samples of records without what they tell of people and places: the shape of a line is enough to see why it was not
//! understood.

use portreeve_model::case::RunReport;

/// Masks the samples of all inputs.
pub(crate) fn samples(report: &mut RunReport) {
    for (_, text) in report.inputs.iter_mut().flat_map(|i| i.samples.iter_mut()) {
        *text = mask(text.raw()).into();
    }
}

/// Digits become 0. Letters become x within values: in quotes, behind `=`, and in words that hold a digit, `@`, `\\` or
/// a dot between letters. Keys and plain words stay.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote: Option<char> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '"' | '\'') {
            // A quoted word that a colon follows is a key.
            let inner = &rest[1..];
            if quote.is_none()
                && let Some(end) = inner.find(c)
                && inner[end + 1..].trim_start().starts_with(':')
            {
                out.push_str(&rest[..end + 2]);
                rest = &inner[end + 1..];
                continue;
            }
            quote = if quote == Some(c) { None } else { quote.or(Some(c)) };
            out.push(c);
            rest = inner;
            continue;
        }
        let end = rest.find(|c: char| {
            c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',' | ';' | '[' | ']' | '(' | ')')
        });
        let end = match end {
            Some(0) => c.len_utf8(),
            Some(end) => end,
            None => rest.len(),
        };
        let (word, after) = rest.split_at(end);
        let dotted = word.trim_end_matches('.').contains('.');
        let value = quote.is_some()
            || out.ends_with('=')
            || dotted
            || word.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '\\'));
        out.extend(word.chars().map(|c| match c {
            c if c.is_numeric() => '0',
            c if value && c.is_alphabetic() => 'x',
            c => c,
        }));
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn shape_without_names() {
        assert_eq!(
            mask("login of anna@example.com from 192.0.2.1 failed"),
            "login of xxxx@xxxxxxx.xxx from 000.0.0.0 failed"
        );
        assert_eq!(mask("user=anna host=\"gw 1\" ok"), "user=xxxx host=\"xx 0\" ok");
        assert_eq!(mask(r#"{"user": "anna", "n": 7}"#), r#"{"user": "xxxx", "n": 0}"#);
        assert_eq!(mask(r"ACME\anna 'Anna B'"), r"xxxx\xxxx 'xxxx x'");
        assert_eq!(mask("\u{00fc}=\u{00fc}"), "\u{00fc}=x");
    }
}
