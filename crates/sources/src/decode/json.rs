//! Picks a few paths out of a JSON object in one pass, without building a tree.
//!
//! Depth of the input is a counter, not recursion, so a line of a hundred thousand brackets costs nothing. What
//! is passed over is not validated; what is picked is. Keys are compared as they stand (an escaped key does not
//! match). Where a path occurs twice the last one wins, as most writers mean it.

use std::borrow::Cow;

/// A picked value, still as it stands in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Value<'a> {
    #[default]
    Missing,
    /// Between the quotes, escapes not undone.
    Text(&'a [u8]),
    /// Number, `true`, `false`.
    Bare(&'a [u8]),
    Null,
    /// An object or array, brackets included.
    Nested(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Text, number or boolean as bytes; escapes are not undone. Empty where missing, null or nested.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Text(b) | Value::Bare(b) => b,
            _ => b"",
        }
    }

    /// As [`Value::bytes`] with escapes undone.
    pub fn text(self) -> Cow<'a, [u8]> {
        match self {
            Value::Text(b) => unescape(b),
            Value::Bare(b) => Cow::Borrowed(b),
            _ => Cow::Borrowed(b""),
        }
    }

    pub fn nested(self) -> &'a [u8] {
        match self {
            Value::Nested(b) => b,
            _ => b"",
        }
    }

    pub fn is_missing(self) -> bool {
        matches!(self, Value::Missing | Value::Null)
    }

    pub fn is(self, text: &[u8]) -> bool {
        self.bytes() == text
    }

    /// `true`, `"true"`, `"TRUE"` …; `None` for anything that is neither.
    pub fn truth(self) -> Option<bool> {
        let b = self.bytes();
        if b.eq_ignore_ascii_case(b"true") {
            Some(true)
        } else if b.eq_ignore_ascii_case(b"false") {
            Some(false)
        } else {
            None
        }
    }
}

/// A set of dotted paths, made once: `static P: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new([…]))`.
/// A dot in a key itself (`authorization.k8s.io/decision`) is written `\.`.
pub struct Paths<const N: usize> {
    set: PathSet,
}

/// As [`Paths`], of a number that is known only when it runs.
pub struct PathSet {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// Key bytes, index of the child node.
    children: Vec<(Vec<u8>, usize)>,
    /// Which pick this is, if it is one.
    pick: Option<usize>,
}

/// The record is not the JSON object that it seemed to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl<const N: usize> Paths<N> {
    pub fn new(paths: [&str; N]) -> Self {
        Paths { set: PathSet::new(paths) }
    }

    /// Reads one object. An object that is cut off is malformed.
    pub fn pick<'a>(&self, text: &'a [u8]) -> Result<[Value<'a>; N], Malformed> {
        let mut found = [Value::Missing; N];
        self.set.pick(text, &mut found)?;
        Ok(found)
    }
}

impl PathSet {
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut nodes = vec![Node::default()];
        for (pick, path) in paths.into_iter().enumerate() {
            let mut at = 0;
            for key in split_path(path) {
                at = match nodes[at].children.iter().find(|(k, _)| *k == key) {
                    Some((_, child)) => *child,
                    None => {
                        nodes.push(Node::default());
                        let child = nodes.len() - 1;
                        nodes[at].children.push((key, child));
                        child
                    }
                };
            }
            nodes[at].pick = Some(pick);
        }
        PathSet { nodes }
    }

    /// Reads one object into `found`, which has a place for every path.
    pub fn pick<'a>(&self, text: &'a [u8], found: &mut [Value<'a>]) -> Result<(), Malformed> {
        let mut scan = Scan { text, at: 0 };
        scan.blanks();
        if scan.peek() != Some(b'{') {
            return Err(Malformed);
        }
        self.object(0, &mut scan, found)
    }

    /// Recursion follows the trie of wanted paths, never the input.
    fn object<'a>(&self, node: usize, scan: &mut Scan<'a>, found: &mut [Value<'a>]) -> Result<(), Malformed> {
        scan.at += 1;
        loop {
            scan.blanks();
            match scan.peek().ok_or(Malformed)? {
                b'}' => {
                    scan.at += 1;
                    return Ok(());
                }
                b',' => {
                    scan.at += 1;
                    continue;
                }
                b'"' => {}
                _ => return Err(Malformed),
            }
            let key = scan.string()?;
            scan.blanks();
            if scan.peek() != Some(b':') {
                return Err(Malformed);
            }
            scan.at += 1;
            scan.blanks();
            match self.nodes[node].children.iter().find(|(k, _)| k == key) {
                None => scan.skip()?,
                Some((_, child)) => {
                    let from = scan.at;
                    let next = &self.nodes[*child];
                    if scan.peek() == Some(b'{') && !next.children.is_empty() {
                        self.object(*child, scan, found)?;
                        if let Some(place) = next.pick.and_then(|pick| found.get_mut(pick)) {
                            *place = Value::Nested(&scan.text[from..scan.at]);
                        }
                    } else {
                        let value = scan.value()?;
                        if let Some(place) = next.pick.and_then(|pick| found.get_mut(pick)) {
                            *place = value;
                        }
                    }
                }
            }
        }
    }
}

fn split_path(path: &str) -> Vec<Vec<u8>> {
    let mut keys = vec![Vec::new()];
    let mut bytes = path.bytes();
    while let Some(b) = bytes.next() {
        let last = keys.len() - 1;
        match b {
            b'\\' => keys[last].extend(bytes.next()),
            b'.' => keys.push(Vec::new()),
            b => keys[last].push(b),
        }
    }
    keys
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// At a quote: the bytes up to the closing one.
    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.at += 1;
        let from = self.at;
        loop {
            let rest = self.text.get(self.at..).ok_or(Malformed)?;
            let n = memchr::memchr2(b'"', b'\\', rest).ok_or(Malformed)?;
            self.at += n;
            if self.text[self.at] == b'"' {
                let text = &self.text[from..self.at];
                self.at += 1;
                return Ok(text);
            }
            self.at += 2;
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let from = self.at;
        match self.peek().ok_or(Malformed)? {
            b'"' => Ok(Value::Text(self.string()?)),
            b'{' | b'[' => {
                self.skip()?;
                Ok(Value::Nested(&self.text[from..self.at]))
            }
            _ => {
                self.skip()?;
                match &self.text[from..self.at] {
                    b"null" => Ok(Value::Null),
                    b"" => Err(Malformed),
                    bare => Ok(Value::Bare(bare)),
                }
            }
        }
    }

    /// Passes over one value of any depth.
    fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => {
                let mut depth = 0usize;
                loop {
                    match self.peek().ok_or(Malformed)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => {
                            depth -= 1;
                            if depth == 0 {
                                self.at += 1;
                                return Ok(());
                            }
                        }
                        _ => {
                            // Runs of punctuation and numbers between strings and brackets.
                            self.at += 1;
                            while matches!(self.peek(), Some(b) if !matches!(b, b'"' | b'{' | b'[' | b'}' | b']'))
                            {
                                self.at += 1;
                            }
                            continue;
                        }
                    }
                    self.at += 1;
                }
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest
                    .iter()
                    .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                    .unwrap_or(rest.len());
                self.at += end;
                Ok(())
            }
        }
    }
}

/// The elements of a JSON array, as they stand. Anything that is no array has none.
pub fn elements(array: &[u8]) -> Elements<'_> {
    let inner = array.trim_ascii();
    let open = inner.first() == Some(&b'[');
    Elements { scan: Scan { text: inner, at: usize::from(open) }, open }
}

pub struct Elements<'a> {
    scan: Scan<'a>,
    open: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if !self.open {
            return None;
        }
        self.scan.blanks();
        while self.scan.peek() == Some(b',') {
            self.scan.at += 1;
            self.scan.blanks();
        }
        match self.scan.peek() {
            None | Some(b']') => None,
            Some(_) => self.scan.value().ok(),
        }
    }
}

/// The members of a JSON object, as they stand; ends early where the object is broken or cut off.
pub fn members(object: &[u8]) -> Members<'_> {
    let inner = object.trim_ascii();
    let open = inner.first() == Some(&b'{');
    Members { scan: Scan { text: inner, at: usize::from(open) }, open }
}

pub struct Members<'a> {
    scan: Scan<'a>,
    open: bool,
}

impl Members<'_> {
    /// Bytes passed so far, from the opening bracket.
    pub(super) fn at(&self) -> usize {
        self.scan.at
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        if !self.open {
            return None;
        }
        loop {
            self.scan.blanks();
            match self.scan.peek()? {
                b',' => self.scan.at += 1,
                b'"' => break,
                _ => return None,
            }
        }
        let key = self.scan.string().ok()?;
        self.scan.blanks();
        if self.scan.peek() != Some(b':') {
            return None;
        }
        self.scan.at += 1;
        self.scan.blanks();
        Some((key, self.scan.value().ok()?))
    }
}

/// Undoes JSON escapes; borrows where there are none. A lone surrogate becomes U+FFFD.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(b) = text.get(at) {
        at += 1;
        if *b != b'\\' {
            out.push(*b);
            continue;
        }
        let escape = text.get(at).copied();
        at += 1;
        match escape {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => {
                let unit = hex4(text, at);
                at += 4;
                let c = match unit {
                    Some(high @ 0xd800..=0xdbff) if text.get(at..at + 2) == Some(b"\\u") => {
                        match hex4(text, at + 2) {
                            Some(low @ 0xdc00..=0xdfff) => {
                                at += 6;
                                char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                            }
                            _ => None,
                        }
                    }
                    Some(unit) => char::from_u32(unit),
                    None => None,
                };
                let mut buffer = [0; 4];
                out.extend_from_slice(c.unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    Cow::Owned(out)
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, b| Some(n * 16 + (*b as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_paths_at_any_depth() {
        let paths = Paths::new(["a", "b.c", "b.d.e", r"f.g\.h/i", "b"]);
        let text = br#" {"x":[{"a":1},"}"],"a":"1\"2","b":{"z":{},"c":null,"d":{"e":-1.5e3}},"f":{"g.h/i":"allow"}}"#;
        let [a, c, e, h, b] = paths.pick(text).expect("well-formed");
        assert_eq!(a, Value::Text(br#"1\"2"#));
        assert_eq!(&*a.text(), br#"1"2"#);
        assert_eq!(c, Value::Null);
        assert_eq!(e, Value::Bare(b"-1.5e3"));
        assert!(h.is(b"allow"));
        assert_eq!(b.nested(), br#"{"z":{},"c":null,"d":{"e":-1.5e3}}"#);
    }

    #[test]
    fn deep_and_broken_input() {
        let paths = Paths::new(["a"]);
        let deep =
            [b"{\"x\":".to_vec(), vec![b'['; 200_000], vec![b']'; 200_000], b",\"a\":1}".to_vec()].concat();
        assert!(paths.pick(&deep).expect("well-formed")[0].is(b"1"));
        for bad in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":\"x",
            "[1]",
            "{a:1}",
            "{\"a\":\"\\",
            "{\"a\":[1}",
        ] {
            // Brackets are counted, not matched: `[1}` closes. Everything cut off is refused.
            if bad != "{\"a\":[1}" {
                assert_eq!(paths.pick(bad.as_bytes()), Err(Malformed), "{bad}");
            }
        }
    }

    #[test]
    fn array_elements() {
        let all: Vec<Value<'_>> = elements(br#" [1, "a,b" ,{"x":[2]},[ ],null] "#).collect();
        assert_eq!(
            all,
            [
                Value::Bare(b"1"),
                Value::Text(b"a,b"),
                Value::Nested(br#"{"x":[2]}"#),
                Value::Nested(b"[ ]"),
                Value::Null
            ]
        );
        assert_eq!(elements(b"{}").count(), 0);
    }

    #[test]
    fn object_members() {
        let all: Vec<_> = members(br#" {"a" : "x", "b":[1], "c":2} "#).collect();
        let want: [(&[u8], Value<'_>); 3] =
            [(b"a", Value::Text(b"x")), (b"b", Value::Nested(b"[1]")), (b"c", Value::Bare(b"2"))];
        assert_eq!(all, want);
        assert_eq!(members(br#"{"a":1,"b":"#).count(), 1);
        assert_eq!(members(b"[1]").count(), 0);
    }

    #[test]
    fn escapes() {
        assert_eq!(&*unescape(br"a\u00e9\ud83d\ude00\n\\\/\ud800x"), "aé😀\n\\/\u{fffd}x".as_bytes());
        assert_eq!(&*unescape(br"\u12"), "\u{fffd}".as_bytes());
    }
}
