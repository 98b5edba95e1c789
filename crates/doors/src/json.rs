//! Where JSON values begin and end, without building them: a record is the bytes as they were sent.
//!
//! The grammar is checked, any size goes, nesting is bounded and costs no stack. Not checked: UTF-8, escapes and
//! control characters inside strings, and the form of a number beyond its characters; a log line that is slightly wrong
//! is evidence all the same.

use memchr::{memchr, memchr2};

/// Deeper values are refused.
const MAX_DEPTH: usize = 512;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the JSON ends too early")]
    Ends,
    #[error("not JSON at byte {0}")]
    Odd(usize),
    #[error("the JSON is nested deeper than {MAX_DEPTH}")]
    Deep,
}

/// Reads one value after the other.
#[derive(Clone, Debug)]
pub(crate) struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

/// Open objects (1) and arrays (0), a bit each.
struct Nest {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nest {
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        let bits = self.bits.get_mut(word).ok_or(Fault::Deep)?;
        *bits = (*bits & !(1 << bit)) | (u64::from(object) << bit);
        self.depth += 1;
        Ok(())
    }

    fn top(&self) -> Option<bool> {
        let at = self.depth.checked_sub(1)?;
        Some(self.bits.get(at / 64)? >> (at % 64) & 1 == 1)
    }
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Json<'a> {
        Json { text, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing but white space is left, which is then read.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.space();
        self.at >= self.text.len()
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.get(self.at).copied()
    }

    /// One value of any kind, whole.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Fault> {
        self.space();
        let from = self.at;
        let mut open = Nest { bits: [0; MAX_DEPTH / 64], depth: 0 };
        loop {
            self.space();
            match self.next()? {
                b'{' if !self.take(b'}') => {
                    open.push(true)?;
                    self.key()?;
                    continue;
                }
                b'[' if !self.take(b']') => {
                    open.push(false)?;
                    continue;
                }
                b'{' | b'[' => {}
                b'"' => self.text_end()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' | b'0'..=b'9' => self.number(),
                _ => return Err(Fault::Odd(self.at - 1)),
            }
            loop {
                let Some(object) = open.top() else {
                    return Ok(self.text.get(from..self.at).unwrap_or_default());
                };
                self.space();
                match (self.next()?, object) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => open.depth -= 1,
                    _ => return Err(Fault::Odd(self.at - 1)),
                }
            }
        }
    }

    /// The inside of a string, as it is written.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Fault> {
        self.space();
        if self.next()? != b'"' {
            return Err(Fault::Odd(self.at - 1));
        }
        let from = self.at;
        self.text_end()?;
        Ok(self.text.get(from..self.at - 1).unwrap_or_default())
    }

    /// Goes through the members of an object; `each` reads the value that it is called for.
    pub(crate) fn object<E: From<Fault>>(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Json<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.space();
        if self.next()? != b'{' {
            return Err(Fault::Odd(self.at - 1).into());
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(key, self)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(Fault::Odd(self.at - 1).into()),
            }
        }
    }

    /// Goes through the elements of an array; `each` reads the value that it is called for.
    pub(crate) fn array<E: From<Fault>>(
        &mut self,
        mut each: impl FnMut(&mut Json<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.space();
        if self.next()? != b'[' {
            return Err(Fault::Odd(self.at - 1).into());
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(Fault::Odd(self.at - 1).into()),
            }
        }
    }

    fn key(&mut self) -> Result<&'a [u8], Fault> {
        let key = self.string()?;
        self.space();
        if self.next()? != b':' {
            return Err(Fault::Odd(self.at - 1));
        }
        Ok(key)
    }

    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<u8, Fault> {
        let byte = *self.text.get(self.at).ok_or(Fault::Ends)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads white space, and this byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn text_end(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let found = memchr2(b'"', b'\\', rest).ok_or(Fault::Ends)?;
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Ok(());
            }
            self.next()?;
        }
    }

    fn word(&mut self, rest: &[u8]) -> Result<(), Fault> {
        let there = self.text.get(self.at..).unwrap_or_default();
        if !there.starts_with(rest) {
            return Err(if there.len() < rest.len() { Fault::Ends } else { Fault::Odd(self.at) });
        }
        self.at += rest.len();
        Ok(())
    }

    fn number(&mut self) {
        while matches!(self.text.get(self.at), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            self.at += 1;
        }
    }
}

/// The text that the inside of a string stands for. What is no escape stays as it is.
pub(crate) fn unescape(inside: &[u8], into: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(at) = memchr(b'\\', rest) {
        into.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        let Some((&escape, after)) = rest.split_first() else {
            into.push(b'\\');
            return;
        };
        let plain = match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'"' | b'\\' | b'/' => escape,
            b'u' => {
                rest = code_point(after, into);
                continue;
            }
            _ => {
                into.push(b'\\');
                escape
            }
        };
        into.push(plain);
        rest = after;
    }
    into.extend_from_slice(rest);
}

/// What follows `\u`; half of a pair becomes U+FFFD.
fn code_point<'a>(after: &'a [u8], into: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, mut rest)) = hex4(after) else {
        into.extend_from_slice(b"\\u");
        return after;
    };
    let mut code = first;
    if (0xD800..0xDC00).contains(&first)
        && let Some((second, past)) = rest.strip_prefix(b"\\u").and_then(hex4)
        && (0xDC00..0xE000).contains(&second)
    {
        code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        rest = past;
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let each = digits.iter().map(|d| char::from(*d).to_digit(16));
    Some((each.reduce(|a, d| Some(a? << 4 | d?))??, rest))
}

/// Writes text as a JSON string. What is not UTF-8 becomes U+FFFD.
pub(crate) fn quote(text: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    for piece in text.utf8_chunks() {
        for &byte in piece.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
                b'\n' => into.extend_from_slice(b"\\n"),
                b'\r' => into.extend_from_slice(b"\\r"),
                b'\t' => into.extend_from_slice(b"\\t"),
                0..0x20 => {
                    let hex = |n: u8| *b"0123456789abcdef".get(usize::from(n)).unwrap_or(&b'0');
                    into.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
                }
                _ => into.push(byte),
            }
        }
        if !piece.invalid().is_empty() {
            into.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<(), Fault> {
        let mut json = Json::new(text.as_bytes());
        json.value()?;
        if json.is_at_end() { Ok(()) } else { Err(Fault::Odd(json.at())) }
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json() {
        let texts = [
            "{}",
            "[]",
            " [ ] ",
            "{ }",
            "null",
            "true",
            "false",
            "0",
            "-1.5e+3",
            "\"\"",
            "\"a\\\"b\\\\\"",
            "[1,[2,{\"a\":[]}],3]",
            "{\"a\":{\"b\":[{}]},\"c\":1}",
            "{\"a\":1,}",
            "[1,]",
            "[,]",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "",
            "tru",
            "trux",
            "nul",
            "\"abc",
            "\"abc\\",
            "[",
            "{",
            "{\"a\":[1,2",
            "]",
            "}",
            "{\"a\" : 1 , \"b\" : [ ] }",
            "[[[[]]]]",
            "[[[[]]]",
        ];
        for text in texts {
            let says = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(whole(text).is_ok(), says, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let nested = |n: usize| "[".repeat(n) + "1" + &"]".repeat(n);
        assert_eq!(whole(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(whole(&nested(MAX_DEPTH + 1)), Err(Fault::Deep));
        assert_eq!(whole(&"[{\"a\":".repeat(500_000)), Err(Fault::Deep));
    }

    #[test]
    fn values_stand_side_by_side() {
        let mut json = Json::new(b"{\"a\":1}{\"b\":\"}\"} [2]");
        assert_eq!(json.value(), Ok(&b"{\"a\":1}"[..]));
        assert_eq!(json.value(), Ok(&b"{\"b\":\"}\"}"[..]));
        assert_eq!(json.value(), Ok(&b"[2]"[..]));
        assert!(json.is_at_end());
    }

    #[test]
    fn members_and_elements() {
        let mut seen = Vec::new();
        let mut json = Json::new(b" { \"a\" : [ 1 , {\"x\":2} ] , \"b\" : null } ");
        json.object::<Fault>(|key, json| {
            if key == b"a" {
                json.array::<Fault>(|json| json.value().map(|v| seen.push(v.to_vec())))
            } else {
                json.value().map(|v| seen.push(v.to_vec()))
            }
        })
        .expect("JSON");
        assert_eq!(seen, [&b"1"[..], b"{\"x\":2}", b"null"]);
    }

    #[test]
    fn strings_come_back_as_they_were() {
        for text in ["", "plain", "a\"b\\c/d", "\u{0}\u{1f}\n\r\t", "ünï 漢 🦀", "\\u0041"] {
            let (mut quoted, mut back) = (Vec::new(), Vec::new());
            quote(text.as_bytes(), &mut quoted);
            assert_eq!(serde_json::from_slice::<String>(&quoted).expect("a string"), text);
            let inside = Json::new(&quoted).string().expect("a string");
            unescape(inside, &mut back);
            assert_eq!(back, text.as_bytes());
        }
        let plain = |inside: &str| {
            let mut out = Vec::new();
            unescape(inside.as_bytes(), &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(plain(r"\ud83e\udd80 \u00fc \ud800 \udd80x \uZZ \q"), "🦀 ü \u{FFFD} \u{FFFD}x \\uZZ \\q");
        let mut lossy = Vec::new();
        quote(b"a\xffb", &mut lossy);
        assert_eq!(lossy, "\"a\u{FFFD}b\"".as_bytes());
    }
}
