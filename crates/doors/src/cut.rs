//! A stream of bytes to records: lines, or the elements of one array in a JSON text. In bounded memory, whatever comes.

use memchr::{memchr, memchr2};

/// What was cut out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Record(&'a [u8]),
    /// The beginning of one that is too long.
    TooLong(&'a [u8]),
}

/// Lines of a stream that comes in pieces.
pub(crate) struct Lines {
    limit: usize,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    skipping: bool,
}

impl Lines {
    pub(crate) fn new(limit: usize) -> Lines {
        Lines { limit, partial: Vec::new(), skipping: false }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) =
                (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default());
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() {
                give(line, self.limit, &mut each);
            } else {
                self.partial.extend_from_slice(line);
                give(&self.partial, self.limit, &mut each);
                self.partial.clear();
            }
            bytes = rest;
        }
        if self.skipping {
            return;
        }
        self.partial.extend_from_slice(bytes);
        // One more may be the carriage return before a line feed.
        if self.partial.len() > self.limit + 1 {
            each(Piece::TooLong(self.partial.get(..self.limit).unwrap_or_default()));
            self.partial.clear();
            self.skipping = true;
        }
    }

    /// The last line may have no end.
    pub(crate) fn end(&mut self, mut each: impl FnMut(Piece<'_>)) {
        give(&self.partial, self.limit, &mut each);
        self.partial.clear();
    }
}

fn give(line: &[u8], limit: usize, each: &mut impl FnMut(Piece<'_>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > limit {
        each(Piece::TooLong(line.get(..limit).unwrap_or(line)));
    } else if !line.is_empty() {
        each(Piece::Record(line));
    }
}

/// Why a JSON text has no such elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the JSON ends too early")]
    Ends,
    #[error("the JSON closes what it did not open")]
    Odd,
    #[error("the JSON has no list where the records should be")]
    NoList,
}

/// The elements of the array that is the text, or of the array that one member of the object is. Each is handed over as
/// its bytes. The grammar inside an element is not checked: what is slightly wrong is evidence all the same.
pub(crate) struct Elements {
    key: Option<&'static [u8]>,
    limit: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// A text at the first level of the object that may be the key.
    name: Vec<u8>,
    /// The key was read, and its value is next.
    named: bool,
    list: List,
    /// The element that is being read, as far as earlier pieces had it.
    element: Vec<u8>,
    in_element: bool,
    too_long: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum List {
    Ahead,
    /// Its elements are at this depth.
    At(usize),
    Over,
}

impl Elements {
    /// Of the array that the text is, or that the member of this name is.
    pub(crate) fn of(key: Option<&'static str>, limit: usize) -> Elements {
        Elements {
            key: key.map(str::as_bytes),
            limit,
            depth: 0,
            in_text: false,
            escaped: false,
            name: Vec::new(),
            named: false,
            list: List::Ahead,
            element: Vec::new(),
            in_element: false,
            too_long: false,
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) -> Result<(), Fault> {
        // Where the element that is being read begins in these bytes.
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if self.in_text {
                at = self.text(bytes, at);
                continue;
            }
            let in_list = self.list == List::At(self.depth);
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' if !self.in_element => {}
                b',' if in_list => self.close(bytes.get(from..at), &mut each),
                b']' if in_list => {
                    self.close(bytes.get(from..at), &mut each);
                    (self.list, self.depth) = (List::Over, self.depth - 1);
                }
                _ => {
                    if in_list && !self.in_element {
                        (self.in_element, from) = (true, at);
                    }
                    self.structure(byte)?;
                }
            }
            at += 1;
        }
        if self.in_element {
            self.keep(bytes.get(from..));
            if self.too_long && !self.element.is_empty() {
                each(Piece::TooLong(&self.element));
                self.element.clear();
            }
        }
        Ok(())
    }

    /// Reads on in a text; tells where.
    fn text(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        let is_name = self.depth == 1 && self.list == List::Ahead && self.key.is_some();
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        let to = memchr2(b'"', b'\\', rest);
        if is_name {
            let part = rest.get(..to.unwrap_or(rest.len())).unwrap_or_default();
            // No longer than it takes to see that it is not the key.
            let room = self.key.map_or(0, <[u8]>::len) + 1 - self.name.len();
            self.name.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        }
        match to {
            None => bytes.len(),
            Some(n) => {
                match rest.get(n) {
                    Some(b'"') => self.in_text = false,
                    _ => self.escaped = true,
                }
                at + n + 1
            }
        }
    }

    fn structure(&mut self, byte: u8) -> Result<(), Fault> {
        let first_level = self.depth == 1 && self.list == List::Ahead;
        match byte {
            b'"' => {
                self.in_text = true;
                self.name.clear();
            }
            b':' if first_level => self.named = self.key == Some(self.name.as_slice()),
            b',' if first_level => self.named = false,
            b'[' | b'{' => {
                self.depth += 1;
                let starts = match self.key {
                    None => self.depth == 1,
                    Some(_) => first_level && self.named,
                };
                if byte == b'[' && starts && self.list == List::Ahead {
                    self.list = List::At(self.depth);
                }
            }
            b']' | b'}' => self.depth = self.depth.checked_sub(1).ok_or(Fault::Odd)?,
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, part: Option<&[u8]>) {
        let part = part.unwrap_or_default();
        if self.too_long {
            return;
        }
        self.element.extend_from_slice(part);
        if self.element.len() > self.limit {
            self.element.truncate(self.limit);
            self.too_long = true;
        }
    }

    fn close(&mut self, part: Option<&[u8]>, each: &mut impl FnMut(Piece<'_>)) {
        if self.in_element {
            let part = part.unwrap_or_default();
            if self.element.is_empty() && !self.too_long && part.len() <= self.limit {
                each(Piece::Record(part.trim_ascii_end()));
            } else {
                let told = self.too_long;
                self.keep(Some(part));
                match self.too_long {
                    false => each(Piece::Record(self.element.trim_ascii_end())),
                    true if !told => each(Piece::TooLong(&self.element)),
                    true => {}
                }
            }
        }
        self.element.clear();
        (self.in_element, self.too_long) = (false, false);
    }

    /// Was the text whole, and was the list in it?
    pub(crate) fn end(&self) -> Result<(), Fault> {
        match self.list {
            List::Ahead if self.depth == 0 && !self.in_text => Err(Fault::NoList),
            List::Over if self.depth == 0 => Ok(()),
            _ => Err(Fault::Ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Got = (Vec<String>, Result<(), Fault>);

    fn elements(text: &str, key: Option<&'static str>, limit: usize, sizes: &[usize]) -> Got {
        let (mut cut, mut out) = (Elements::of(key, limit), Vec::new());
        let mut sizes = sizes.iter().copied().cycle();
        let mut at = 0;
        while at < text.len() {
            let to = (at + sizes.next().unwrap_or(1).max(1)).min(text.len());
            let fed = cut.feed(&text.as_bytes()[at..to], |p| out.push(shown(p)));
            if fed.is_err() {
                return (out, fed);
            }
            at = to;
        }
        (out, cut.end())
    }

    fn shown(piece: Piece<'_>) -> String {
        match piece {
            Piece::Record(r) => String::from_utf8_lossy(r).into_owned(),
            Piece::TooLong(r) => format!("LONG {}", String::from_utf8_lossy(r.get(..3).unwrap_or(r))),
        }
    }

    fn check(text: &str, key: Option<&'static str>, expect: &[&str], end: Result<(), Fault>) {
        for size in [1, 2, 5, 1_000] {
            let (got, ended) = elements(text, key, 20, &[size]);
            assert_eq!(
                (got.iter().map(String::as_str).collect::<Vec<_>>(), ended),
                (expect.to_vec(), end),
                "{size}: {text}"
            );
        }
    }

    #[test]
    fn arrays() {
        check(
            r#"[{"a":1}, {"b":[1,2]} ,"x,]", 7]"#,
            None,
            &[r#"{"a":1}"#, r#"{"b":[1,2]}"#, r#""x,]""#, "7"],
            Ok(()),
        );
        check(" [ ] ", None, &[], Ok(()));
        check(r#"{"Records":[{"a":"\"]}"},2]}"#, Some("Records"), &[r#"{"a":"\"]}"}"#, "2"], Ok(()));
        let nested =
            r#"{"x":{"Records":[1]},"y":"Records","Records2":[2],"Record":[3],"Records" : [4 , 5],"z":[6]}"#;
        check(nested, Some("Records"), &["4", "5"], Ok(()));
        check(r#"{"x":1}"#, Some("Records"), &[], Err(Fault::NoList));
        check(r#"{"Records":7}"#, Some("Records"), &[], Err(Fault::NoList));
        check(r#"{"Records":{"a":[1]}}"#, Some("Records"), &[], Err(Fault::NoList));
        check(r#"[{"a":1},{"b"#, None, &[r#"{"a":1}"#], Err(Fault::Ends));
        check(r#"[1]]"#, None, &["1"], Err(Fault::Odd));
        check(r#"[{"a":"xxxxxxxxxxxxxxxxxxxxxxxxx"},{"b":2}]"#, None, &[r#"LONG {"a"#, r#"{"b":2}"#], Ok(()));
    }

    #[test]
    fn lines() {
        for size in [1, 3, 100] {
            let (mut cut, mut out) = (Lines::new(5), Vec::new());
            for piece in b"one\r\n\ntwo\nxxxxxxxxx\n12345\r\nlast".chunks(size) {
                cut.feed(piece, |p| out.push(shown(p)));
            }
            cut.end(|p| out.push(shown(p)));
            assert_eq!(out, ["one", "two", "LONG xxx", "12345", "last"], "{size}");
        }
    }

    proptest! {
        #[test]
        fn how_it_is_cut_changes_nothing(
            text in r#"[\[\]{}:,"\\ aR]{0,60}"#,
            sizes in prop::collection::vec(1usize..9, 1..5),
        ) {
            for key in [None, Some("R")] {
                let whole = elements(&text, key, 8, &[1_000]);
                let pieces = elements(&text, key, 8, &sizes);
                // Of a text that turns out wrong, more or less may have been told by then.
                match whole.1 {
                    Err(Fault::Odd) => prop_assert_eq!(pieces.1, Err(Fault::Odd)),
                    _ => prop_assert_eq!(whole, pieces),
                }
            }
        }

        #[test]
        fn what_serde_wrote_is_found_again(values in prop::collection::vec(".{0,30}", 0..6), other in ".{0,9}") {
            let text = serde_json::json!({"a": other, "b": [1, {"Records": ["x"]}], "Records": values}).to_string();
            let (got, end) = elements(&text, Some("Records"), 10_000, &[7]);
            prop_assert_eq!(end, Ok(()));
            let got: Vec<String> = got.iter().map(|t| serde_json::from_str(t).expect("a text")).collect();
            prop_assert_eq!(got, values);
        }
    }
}
