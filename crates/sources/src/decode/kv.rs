//! Key-value text: `key=value key="quoted value"`, as firewalls write it. Borrowed, single pass.

use super::find::find;
use std::borrow::Cow;

/// Iterates over `key=value` pairs separated by blanks or commas. Quoted values (`"` or `'`) may hold both;
/// `\"` inside quotes does not end them. Text that is no pair is passed over.
pub struct Pairs<'a> {
    rest: &'a [u8],
}

pub fn pairs(text: &[u8]) -> Pairs<'_> {
    Pairs { rest: text }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.rest;
            // The key is the last word before `=`.
            let (mut from, mut eq) = (0, 0);
            loop {
                let b = *text.get(eq)?;
                if b == b'=' {
                    break;
                }
                eq += 1;
                if SEPARATOR[usize::from(b)] {
                    from = eq;
                }
            }
            let key = &text[from..eq];
            let value = &text[eq + 1..];
            let (value, used) = match value.first() {
                Some(quote @ (b'"' | b'\'')) => quoted(value, *quote),
                _ => {
                    let end = value.iter().position(|b| SEPARATOR[usize::from(*b)]).unwrap_or(value.len());
                    (&value[..end], end)
                }
            };
            self.rest = &text[eq + 1 + used..];
            if !key.is_empty() {
                return Some((key, value));
            }
        }
    }
}

/// What stands between pairs.
const SEPARATOR: [bool; 256] = {
    let mut t = [false; 256];
    t[b' ' as usize] = true;
    t[b',' as usize] = true;
    t[b'\t' as usize] = true;
    t[b';' as usize] = true;
    t
};

/// The text between quotes and the bytes used, quotes included. An unclosed quote runs to the end.
fn quoted(text: &[u8], quote: u8) -> (&[u8], usize) {
    let mut at = 1;
    while let Some(next) = memchr::memchr2(quote, b'\\', &text[at.min(text.len())..]) {
        at += next;
        if text[at] == quote {
            return (&text[1..at], at + 1);
        }
        at += 2;
        if at >= text.len() {
            break;
        }
    }
    (text.get(1..).unwrap_or_default(), text.len())
}

/// `key:"value"; other:"value"`: fields with a colon and quotes; `\"` inside does not end them. A doubled colon is one.
pub struct ColonPairs<'a> {
    rest: &'a [u8],
}

pub fn colon_pairs(text: &[u8]) -> ColonPairs<'_> {
    ColonPairs { rest: text }
}

impl<'a> Iterator for ColonPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let at = find(self.rest, b":\"")?;
        let key = self.rest[..at].rsplit(|b| matches!(b, b' ' | b';' | b'[')).next().unwrap_or_default();
        let (value, used) = quoted(&self.rest[at + 1..], b'"');
        self.rest = &self.rest[at + 1 + used..];
        Some((key.strip_suffix(b":").unwrap_or(key), value))
    }
}

/// The CEF extension: `key=value with blanks nextkey=…`; a value ends before the next ` word=`. `\=` and `\\`
/// are escapes.
pub struct CefPairs<'a> {
    rest: &'a [u8],
}

pub fn cef_pairs(extension: &[u8]) -> CefPairs<'_> {
    CefPairs { rest: extension }
}

impl<'a> Iterator for CefPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_ascii_start();
        let eq = memchr::memchr(b'=', text)?;
        let key = text[..eq].rsplit(|b| *b == b' ').next().unwrap_or_default();
        let value = &text[eq + 1..];
        // Find the next unescaped `=` whose key follows a blank; the value ends at that blank.
        let mut from = 0;
        let end = loop {
            let Some(next) = memchr::memchr(b'=', &value[from..]).map(|n| n + from) else {
                break value.len();
            };
            if next > 0 && value[next - 1] == b'\\' {
                from = next + 1;
                continue;
            }
            let word = value[..next].iter().rposition(|b| *b == b' ');
            match word {
                Some(blank) if blank + 1 < next && value[blank + 1..next].iter().all(is_key_byte) => {
                    break blank;
                }
                _ => from = next + 1,
            }
        };
        self.rest = &value[end..];
        Some((key, value[..end].trim_ascii()))
    }
}

fn is_key_byte(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']')
}

/// The eight header fields of a CEF record (`CEF:0|vendor|product|version|id|name|severity|`) and its
/// extension. `\|` does not end a field.
pub fn cef(text: &[u8]) -> Option<([&[u8]; 7], &[u8])> {
    let text = text.strip_prefix(b"CEF:").unwrap_or(text);
    let mut fields: [&[u8]; 7] = [b""; 7];
    let mut rest = text;
    for field in &mut fields {
        let end = unescaped(rest, b'|')?;
        *field = &rest[..end];
        rest = &rest[end + 1..];
    }
    Some((fields, rest))
}

fn unescaped(text: &[u8], wanted: u8) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = memchr::memchr(wanted, text.get(from..)?)? + from;
        let slashes = text[..at].iter().rev().take_while(|b| **b == b'\\').count();
        if slashes % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Undoes CEF's escapes (`\=`, `\|`, `\\`, `\n`); borrows where there are none.
pub fn cef_unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\\') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    // A line break stands in sentences; in a single word `\n` begins the name behind a domain.
    let spaced = value.contains(&b' ');
    let mut bytes = value.iter().copied();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => match bytes.next() {
                Some(b'n' | b'r') if spaced => out.push(b' '),
                Some(other @ (b'=' | b'|' | b'\\' | b'"')) => out.push(other),
                // No escape: `DOMAIN\anna` from a writer that does not escape.
                Some(other) => out.extend_from_slice(&[b'\\', other]),
                None => out.push(b'\\'),
            },
            b => out.push(b),
        }
    }
    Cow::Owned(out)
}

/// Vendor, product, version, event id; the separator; the attributes.
pub type Leef<'a> = ([&'a [u8]; 4], u8, &'a [u8]);

/// A LEEF record, versions 1 and 2.
pub fn leef(text: &[u8]) -> Option<Leef<'_>> {
    let two = text.starts_with(b"LEEF:2");
    let rest = text.strip_prefix(b"LEEF:")?;
    let mut parts = rest.splitn(if two { 7 } else { 6 }, |b| *b == b'|');
    parts.next()?;
    let fields = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    if !two {
        // Tabs by the book; some vendors' templates put bars.
        let attributes = parts.next().unwrap_or_default();
        let bars = memchr::memchr(b'\t', attributes).is_none() && memchr::memchr(b'|', attributes).is_some();
        return Some((fields, if bars { b'|' } else { b'\t' }, attributes));
    }
    let delimiter = parts.next()?;
    let separator = match delimiter {
        [b'0', b'x' | b'X', hex @ ..] | [b'x' | b'X', hex @ ..] => {
            std::str::from_utf8(hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok()).unwrap_or(b'\t')
        }
        [one] => *one,
        _ => b'\t',
    };
    Some((fields, separator, parts.next().unwrap_or_default()))
}

/// The attributes of a LEEF record.
pub fn leef_pairs(attributes: &[u8], separator: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    attributes.split(move |b| *b == separator).filter_map(|pair| {
        let eq = memchr::memchr(b'=', pair)?;
        Some((pair[..eq].trim_ascii(), pair[eq + 1..].trim_ascii()))
    })
}

/// Splits one CSV line at commas; quoted fields may hold commas, `""` is a quote. Fields come without their
/// outer quotes; a doubled quote inside stays doubled.
pub fn csv_fields(line: &[u8]) -> CsvFields<'_> {
    CsvFields { rest: Some(line) }
}

pub struct CsvFields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for CsvFields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        if let Some(b'"') = text.first() {
            let mut at = 1;
            while let Some(n) = text.get(at..).and_then(|t| memchr::memchr(b'"', t)) {
                at += n;
                if text.get(at + 1) == Some(&b'"') {
                    at += 2;
                    continue;
                }
                let field = &text[1..at];
                let after = &text[at + 1..];
                self.rest = memchr::memchr(b',', after).map(|c| &after[c + 1..]);
                return Some(field);
            }
            self.rest = None;
            return Some(&text[1..]);
        }
        let end = memchr::memchr(b',', text);
        self.rest = end.map(|e| &text[e + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    }
}

/// The text after `marker`, up to `end` (or the end of the text).
pub fn after<'a>(text: &'a [u8], marker: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let from = find(text, marker)? + marker.len();
    let rest = &text[from..];
    if end.is_empty() {
        return Some(rest);
    }
    Some(&rest[..find(rest, end).unwrap_or(rest.len())])
}

/// As [`after`], but `None` where `end` is missing: for text that must be closed.
pub fn between<'a>(text: &'a [u8], marker: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let from = find(text, marker)? + marker.len();
    let rest = &text[from..];
    Some(&rest[..find(rest, end)?])
}

/// The next blank-separated word, and what follows it.
pub fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

/// Decimal digits to a number; 0 for anything else, saturating.
pub fn number(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text[..end].iter().fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show<'a>(items: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
        items
            .map(|(k, v)| format!("{}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v)))
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn pairs_with_quotes() {
        assert_eq!(show(pairs(b"a=1 b=\"two words, x=y\" c='z' d= e=5")), "a=1|b=two words, x=y|c=z|d=|e=5");
        assert_eq!(show(pairs(br#"m="say \"hi\"" n=2"#)), r#"m=say \"hi\"|n=2"#);
        assert_eq!(show(pairs(b"a=\"unclosed x=1")), "a=unclosed x=1");
        assert_eq!(show(pairs(b"noise a=1")), "a=1");
        assert_eq!(show(pairs(b"\"\\")), "");
        assert_eq!(show(pairs(b"a=\"\\")), "a=\\");
    }

    #[test]
    fn pairs_with_colons() {
        assert_eq!(
            show(colon_pairs(br#"x[a:"1"; b::"two \"words\"; c:"; d:"" ; e:"z"#)),
            r#"a=1|b=two \"words\"; c:|d=|e=z"#
        );
        assert_eq!(show(colon_pairs(br#"a: "no" b:1"#)), "");
    }

    #[test]
    fn cef_extension() {
        let (head, ext) =
            cef(b"CEF:0|V|P \\| x|1|id|name|3|src=1.2.3.4 msg=a b = c\\=d suser=anna smith cs1=x")
                .expect("cef");
        assert_eq!(head[2], b"P \\| x");
        assert_eq!(show(cef_pairs(ext)), "src=1.2.3.4|msg=a b = c\\=d|suser=anna smith|cs1=x");
        assert_eq!(&*cef_unescape(b"c\\=d"), b"c=d");
        assert_eq!(&*cef_unescape(b"CORP\\\\anna"), b"CORP\\anna");
        assert_eq!(&*cef_unescape(b"CORP\\nina"), b"CORP\\nina");
        assert_eq!(&*cef_unescape(b"one\\ntwo three"), b"one two three");
    }

    #[test]
    fn leef_attributes() {
        let (head, sep, attrs) = leef(b"LEEF:2.0|V|P|1|id|^|a=1^b=two words").expect("leef");
        assert_eq!(head[3], b"id");
        assert_eq!(show(leef_pairs(attrs, sep)), "a=1|b=two words");
        let (_, sep, attrs) = leef(b"LEEF:1.0|V|P|1|id|a=1\tb=2").expect("leef");
        assert_eq!(show(leef_pairs(attrs, sep)), "a=1|b=2");
        let (_, sep, attrs) = leef(b"LEEF:1.0|V|P|1|id|a=1|b=two words").expect("leef");
        assert_eq!(show(leef_pairs(attrs, sep)), "a=1|b=two words");
    }

    #[test]
    fn csv() {
        let fields: Vec<&[u8]> = csv_fields(br#"1,"a , b",,"say ""x""",z"#).collect();
        assert_eq!(fields, [&b"1"[..], b"a , b", b"", br#"say ""x"""#, b"z"]);
        assert_eq!(csv_fields(b"").count(), 1);
        assert_eq!(csv_fields(b"a,").count(), 2);
        assert_eq!(csv_fields(b"\"open").next(), Some(&b"open"[..]));
    }

    #[test]
    fn pieces() {
        assert_eq!(after(b"User <anna> IP", b"User <", b">"), Some(&b"anna"[..]));
        assert_eq!(between(b"User <anna", b"User <", b">"), None);
        assert_eq!(word(b"  one two  "), (&b"one"[..], &b"two  "[..]));
        assert_eq!(number(b"12x"), 12);
        assert_eq!(number(b"99999999999999999999999"), u64::MAX);
    }
}
