//! The items of one `_bulk` body: a line that says what to do, and the document in the next one.

use super::super::keep::Cut;
use super::seen::{Key, Seen};
use crate::intake::Origin;
use crate::json::{Fault, Json};
use memchr::memchr;
use std::collections::HashSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Index,
    Update,
    Delete,
}

impl Op {
    pub(super) fn name(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Index => "index",
            Op::Update => "update",
            Op::Delete => "delete",
        }
    }
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A record, once it is stored.
    Taken,
    /// Stored before under the same id.
    Known,
    /// Longer than a record may be.
    TooLong,
    /// The document is no JSON object.
    Odd,
    /// `update` and `delete`: evidence is not changed.
    Unsupported,
}

/// Where something stands in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    pub(super) fn whole(body: &[u8]) -> Span {
        Span { from: 0, to: u32::try_from(body.len()).unwrap_or_default() }
    }

    pub(super) fn of<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) op: Op,
    /// Inside of the string, as it was written; empty where the path names it.
    pub(super) index: Span,
    /// Likewise; empty where none was sent.
    pub(super) id: Span,
    pub(super) fate: Fate,
}

/// A whole body that is not of the form: nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error(
        "Malformed action/metadata line [{0}], expected one of [create, delete, index, update] with an object"
    )]
    Action(usize),
    #[error("The bulk request must be terminated by a newline [\\n] after the document of line [{0}]")]
    NoDocument(usize),
    #[error("request body is required")]
    Nothing,
}

/// What one body comes to.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) cut: Cut,
    pub(super) items: Vec<Item>,
    /// To be remembered once the records are stored.
    pub(super) keys: Vec<Key>,
}

/// `path_index`: where an item names none.
pub(super) fn cut(
    body: &[u8],
    record_bytes: usize,
    path_index: &str,
    origin: &Origin,
    seen: &Seen,
) -> Result<Bulk, Malformed> {
    let mut bulk = Bulk { cut: Cut::new(record_bytes), items: Vec::new(), keys: Vec::new() };
    let mut here = HashSet::new();
    let mut lines = Lines { body, at: 0, number: 0 };
    while let Some(line) = lines.next_full() {
        let number = lines.number;
        let (op, index, id) = action(line, body).ok_or(Malformed::Action(number))?;
        let document = match op {
            Op::Delete => None,
            _ => Some(lines.next().ok_or(Malformed::NoDocument(number))?),
        };
        let mut item = Item { op, index, id, fate: Fate::Taken };
        let named = if index == Span::default() { path_index.as_bytes() } else { index.of(body) };
        let key = (op == Op::Create && id != Span::default())
            .then(|| seen.key(origin.name().as_bytes(), named, id.of(body)));
        item.fate = match document {
            _ if matches!(op, Op::Update | Op::Delete) => Fate::Unsupported,
            Some(_) if key.is_some_and(|key| here.contains(&key) || seen.has(key)) => Fate::Known,
            Some(document) if !is_object(document) => {
                bulk.cut.odd("a document that is no JSON object", document);
                Fate::Odd
            }
            Some(document) if !bulk.cut.push(document) => Fate::TooLong,
            _ => Fate::Taken,
        };
        match item.fate {
            Fate::Known | Fate::Unsupported => bulk.cut.refuse(),
            Fate::Taken => {
                if let Some(key) = key {
                    here.insert(key);
                    bulk.keys.push(key);
                }
            }
            Fate::TooLong | Fate::Odd => {}
        }
        bulk.items.push(item);
    }
    if bulk.items.is_empty() { Err(Malformed::Nothing) } else { Ok(bulk) }
}

pub(super) fn is_object(document: &[u8]) -> bool {
    let mut json = Json::new(document);
    json.peek() == Some(b'{') && json.value().is_ok() && json.is_at_end()
}

/// `{"create":{"_index":"logs","_id":"1"}}`
fn action(line: &[u8], body: &[u8]) -> Option<(Op, Span, Span)> {
    let mut json = Json::new(line);
    let mut found = None;
    let mut members = 0;
    json.object::<Fault>(|key, json| {
        members += 1;
        let op = match key {
            b"create" => Op::Create,
            b"index" => Op::Index,
            b"update" => Op::Update,
            b"delete" => Op::Delete,
            _ => return Err(Fault::Odd(json.at())),
        };
        let (mut index, mut id) = (Span::default(), Span::default());
        json.object::<Fault>(|key, json| {
            let value = json.value()?;
            match key {
                b"_index" => index = span(inside(value), body),
                b"_id" => id = span(inside(value), body),
                _ => {}
            }
            Ok(())
        })?;
        found = Some((op, index, id));
        Ok(())
    })
    .ok()?;
    found.filter(|_| members == 1 && json.is_at_end())
}

/// A string's inside; other scalars as they are, `null` as nothing.
fn inside(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        b"null" => &[],
        [b'{' | b'[', ..] => &[],
        other => other,
    }
}

/// Where a part of the body stands in it.
fn span(part: &[u8], body: &[u8]) -> Span {
    let from = (part.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    match (part.is_empty(), u32::try_from(from), u32::try_from(from.wrapping_add(part.len()))) {
        (false, Ok(from), Ok(to)) => Span { from, to },
        _ => Span::default(),
    }
}

struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    /// Of the last line, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.body.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += end + 1;
        self.number += 1;
        let line = rest.get(..end).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The next line that is not blank.
    fn next_full(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = self.next()?;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, records: &[&str], fates: &[(Op, Fate)]) -> Bulk {
        let bulk = cut(body.as_bytes(), 100, "logs", &Origin::new("edge"), &Seen::new(10)).expect("items");
        let got: Vec<_> =
            bulk.cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!(got, records, "{body}");
        assert_eq!(bulk.items.iter().map(|i| (i.op, i.fate)).collect::<Vec<_>>(), fates, "{body}");
        assert_eq!(bulk.cut.len(), bulk.items.len(), "each item is counted once: {body}");
        bulk
    }

    #[test]
    fn documents_as_they_were_sent() {
        let body = "{\"create\":{}}\n{\"a\":  1}\r\n\n{ \"index\" : { \"_index\":\"x\", \"_id\":\"7\" } }\n{\"b\":2}";
        let bulk = check(
            body,
            &["{\"a\":  1}", "{\"b\":2}"],
            &[(Op::Create, Fate::Taken), (Op::Index, Fate::Taken)],
        );
        let last = bulk.items.last().expect("two");
        assert_eq!((last.index.of(body.as_bytes()), last.id.of(body.as_bytes())), (&b"x"[..], &b"7"[..]));
    }

    #[test]
    fn each_item_has_its_own_fate() {
        check(
            "{\"create\":{\"_id\":\"1\"}}\n{}\n{\"create\":{\"_id\":\"1\"}}\n{}\n{\"delete\":{\"_id\":\"1\"}}\n\
             {\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"index\":{}}\nplain\n{\"index\":{}}\n[1]\n",
            &["{}"],
            &[
                (Op::Create, Fate::Taken),
                (Op::Create, Fate::Known),
                (Op::Delete, Fate::Unsupported),
                (Op::Update, Fate::Unsupported),
                (Op::Index, Fate::Odd),
                (Op::Index, Fate::Odd),
            ],
        );
        let long = format!("{{\"create\":{{}}}}\n{{\"a\":\"{}\"}}\n", "x".repeat(100));
        check(&long, &[], &[(Op::Create, Fate::TooLong)]);
    }

    #[test]
    fn what_is_not_of_the_form_is_refused_whole() {
        let fails = |body: &str| {
            cut(body.as_bytes(), 100, "", &Origin::new("edge"), &Seen::new(10)).expect_err("malformed")
        };
        assert_eq!(fails(""), Malformed::Nothing);
        assert_eq!(fails("\n\n"), Malformed::Nothing);
        assert_eq!(fails("{\"create\":{}}"), Malformed::NoDocument(1));
        assert_eq!(fails("{\"create\":{}}\n{}\nplain\n"), Malformed::Action(3));
        assert_eq!(fails("{\"upsert\":{}}\n{}\n"), Malformed::Action(1));
        assert_eq!(fails("{}\n{}\n"), Malformed::Action(1));
        assert_eq!(fails("{\"create\":{},\"index\":{}}\n{}\n"), Malformed::Action(1));
        assert_eq!(fails("{\"create\":1}\n{}\n"), Malformed::Action(1));
        assert_eq!(fails(&"[".repeat(100_000)), Malformed::Action(1));
    }
}
