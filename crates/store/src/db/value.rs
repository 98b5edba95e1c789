//! What goes into a statement and comes out of a row.
//!
//! PostgreSQL's text cannot hold the character NUL, and SQLite's functions stop at it; names in logs may hold it.
//! Refusing such a name would let an intruder keep his case from being written, so NUL is escaped on its way in and
//! restored on its way out, in both databases alike, with a character that Unicode leaves to programs (U+10FFFF).

use crate::error::{Error, Result};
use portreeve_model::answer::Decision;
use std::borrow::Cow;

/// Microseconds since 1970, UTC.
pub type Micros = i64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

const ESCAPE: char = '\u{10FFFF}';

/// As the databases hold it.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.extend([ESCAPE, '0']),
            ESCAPE => out.extend([ESCAPE, ESCAPE]),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As it was given.
pub(crate) fn restored(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => match chars.next() {
                Some('0') => out.push('\0'),
                Some(c) => out.push(c),
                None => out.push(ESCAPE),
            },
            c => out.push(c),
        }
    }
    out
}

macro_rules! into_value {
    ($($from:ty => |$v:ident| $to:expr;)*) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from($v: $from) -> Value<'a> { $to }
        }
    )*};
}

into_value! {
    i64 => |v| Value::Int(v);
    i32 => |v| Value::Int(i64::from(v));
    bool => |v| Value::Int(i64::from(v));
    &'a str => |v| Value::Text(Cow::Borrowed(v));
    &'a String => |v| Value::Text(Cow::Borrowed(v));
    String => |v| Value::Text(Cow::Owned(v));
    &'a [u8] => |v| Value::Bytes(Cow::Borrowed(v));
    &'a [u8; 32] => |v| Value::Bytes(Cow::Borrowed(v));
    &'a Vec<u8> => |v| Value::Bytes(Cow::Borrowed(v));
    Vec<u8> => |v| Value::Bytes(Cow::Owned(v));
    Decision => |v| Value::Int(rank(v));
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(v: Option<T>) -> Value<'a> {
        v.map_or(Value::Null, Into::into)
    }
}

/// A decision as the databases order it.
pub(crate) fn rank(decision: Decision) -> i64 {
    match decision {
        Decision::Close => 0,
        Decision::Investigate => 1,
        Decision::Escalate => 2,
    }
}

/// The parameters of a statement.
macro_rules! values {
    ($($v:expr),* $(,)?) => { &[$($crate::db::value::Value::from($v)),*] };
}
pub(crate) use values;

/// One row, read column by column in the order of the statement.
#[derive(Debug)]
pub(crate) struct Row {
    cells: std::vec::IntoIter<Value<'static>>,
}

impl Row {
    pub(crate) fn new(cells: Vec<Value<'static>>) -> Row {
        Row { cells: cells.into_iter() }
    }

    pub(crate) fn cells(self) -> impl Iterator<Item = Value<'static>> {
        self.cells
    }

    fn next(&mut self) -> Value<'static> {
        self.cells.next().unwrap_or(Value::Null)
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        match self.next() {
            Value::Int(v) => Ok(v),
            other => Err(wrong("number", &other)),
        }
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        match self.next() {
            Value::Text(v) => Ok(v.into_owned()),
            other => Err(wrong("text", &other)),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.next() {
            Value::Bytes(v) => Ok(v.into_owned()),
            other => Err(wrong("bytes", &other)),
        }
    }

    /// Bytes of which there are always 32: a SHA-256.
    pub(crate) fn sha256(&mut self) -> Result<[u8; 32]> {
        let bytes = self.bytes()?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_short| wrong("SHA-256", &Value::Bytes(Cow::Borrowed(bytes.as_slice()))))
    }

    pub(crate) fn maybe_int(&mut self) -> Result<Option<i64>> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Int(v) => Ok(Some(v)),
            other => Err(wrong("number", &other)),
        }
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Text(v) => Ok(Some(v.into_owned())),
            other => Err(wrong("text", &other)),
        }
    }

    pub(crate) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Bytes(v) => Ok(Some(v.into_owned())),
            other => Err(wrong("bytes", &other)),
        }
    }

    pub(crate) fn decision(&mut self) -> Result<Decision> {
        decision(self.int()?)
    }

    pub(crate) fn maybe_decision(&mut self) -> Result<Option<Decision>> {
        self.maybe_int()?.map(decision).transpose()
    }

    pub(crate) fn word<W: crate::word::Word>(&mut self) -> Result<W> {
        let text = self.text()?;
        W::of(&text).ok_or_else(|| wrong(W::WHAT, &Value::Text(Cow::Borrowed(&text))))
    }

    pub(crate) fn maybe_word<W: crate::word::Word>(&mut self) -> Result<Option<W>> {
        let Some(text) = self.maybe_text()? else { return Ok(None) };
        W::of(&text).map(Some).ok_or_else(|| wrong(W::WHAT, &Value::Text(Cow::Borrowed(&text))))
    }

    /// A list of words that was written as JSON by [`list`].
    pub(crate) fn list<L: FromIterator<String>>(&mut self) -> Result<L> {
        let text = self.text()?;
        let words: Vec<String> = serde_json::from_str(&text)
            .map_err(|_not| wrong("list of words", &Value::Text(Cow::Borrowed(&text))))?;
        Ok(words.into_iter().collect())
    }
}

/// A list of words as one column.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let words: Vec<&String> = words.into_iter().collect();
    serde_json::to_string(&words).unwrap_or_else(|_never| "[]".into())
}

fn decision(rank: i64) -> Result<Decision> {
    match rank {
        0 => Ok(Decision::Close),
        1 => Ok(Decision::Investigate),
        2 => Ok(Decision::Escalate),
        other => Err(wrong("decision", &Value::Int(other))),
    }
}

fn wrong(wanted: &'static str, found: &Value<'_>) -> Error {
    let found = match found {
        Value::Null => "nothing".to_owned(),
        Value::Int(v) => v.to_string(),
        Value::Text(v) => format!("{:?}", v.chars().take(40).collect::<String>()),
        Value::Bytes(v) => format!("{} bytes", v.len()),
    };
    Error::Column { wanted, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escaped("anna\u{1F600}"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn text_comes_back(text in "[\\PC\0\u{10FFFF}0a]{0,20}") {
            let kept = escaped(&text).into_owned();
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(restored(kept), text);
        }

        #[test]
        fn different_texts_stay_different(a in "[\0\u{10FFFF}0]{0,6}", b in "[\0\u{10FFFF}0]{0,6}") {
            prop_assert_eq!(escaped(&a) == escaped(&b), a == b);
        }
    }
}
