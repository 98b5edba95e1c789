//! How text of others gets into a page: escaped, and with nothing in it that a browser obeys instead of showing it.

use askama::Template;
use askama::filters::Safe;
use portreeve_model::untrusted::is_obeyed;

/// A page as it leaves: marks of direction, invisible joiners and controls are shown as `\u{202e}`.
pub(super) fn page(template: &impl Template) -> String {
    // Writing to a String fails only where a `Display` of ours does; none does.
    let text = template.render().expect("every Display of a view succeeds");
    if !text.chars().any(shown) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if shown(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

fn shown(c: char) -> bool {
    is_obeyed(c) && !matches!(c, '\n' | '\t')
}

/// For the value of a field, which comes back with the form: must be the very same text, so what a browser would obey
/// is a character reference there.
pub(super) fn value(text: impl AsRef<str>) -> Safe<String> {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => reference(&mut out, c),
            _ if shown(c) => reference(&mut out, c),
            _ => out.push(c),
        }
    }
    Safe(out)
}

fn reference(out: &mut String, c: char) {
    out.push_str(&format!("&#x{:x};", u32::from(c)));
}

/// A whole number, however often a template borrowed it.
pub trait Whole {
    fn whole(&self) -> i64;
}

impl Whole for i64 {
    fn whole(&self) -> i64 {
        *self
    }
}

impl Whole for usize {
    fn whole(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

impl<T: Whole> Whole for &T {
    fn whole(&self) -> i64 {
        (**self).whole()
    }
}

/// `in_progress` for the eye.
pub(super) fn words(id: impl AsRef<str>) -> String {
    id.as_ref().replace('_', " ")
}

/// `3 cases`, `1 case`.
pub(super) fn count(n: impl Whole, one: &str) -> String {
    let n = n.whole();
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// A span of time in its two largest units: `3 d 4 h`, `12 min`, `8 s`.
pub(super) fn span(micros: impl Whole) -> String {
    let s = micros.whole().unsigned_abs() / 1_000_000;
    let (d, h, m) = (s / 86_400, s % 86_400 / 3_600, s % 3_600 / 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{m} min"),
        (0, _, _) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_gives_back_what_it_was_given() {
        let Safe(text) = value("a\"b'<\u{202e}&\n漢");
        assert_eq!(text, "a&#x22;b&#x27;&#x3c;&#x202e;&#x26;\n漢");
    }

    #[test]
    fn spans() {
        let s = 1_000_000_i64;
        assert_eq!(span(8 * s), "8 s");
        assert_eq!(span(-720 * s), "12 min");
        assert_eq!(span(7_260 * s), "2 h 1 min");
        assert_eq!(span(273_600 * s), "3 d 4 h");
    }
}
