//! A record, split into the fields that a mapping asks for.

use super::file::Shape;
use super::pattern::Pattern;
use crate::decode::json::{self, PathSet, Value};
use crate::decode::kv;
use crate::record::{Record, Shape as Found};
use crate::source::Why;
use std::borrow::Cow;

/// Fields that one mapping may ask for; bounds what lies on the stack for a record.
pub(crate) const FIELDS: usize = 64;

/// How a record gives its fields.
pub(crate) enum Split {
    Json {
        paths: PathSet,
        fields: Vec<InJson>,
        prefix: Box<[u8]>,
    },
    /// Keys by their length, with the index of the field.
    Pairs {
        keys: Keys,
        format: Pairs,
    },
    /// Column numbers of the fields.
    Columns {
        separator: u8,
        fields: Vec<Option<usize>>,
    },
    /// The rules' patterns fill the fields.
    Text,
}

/// Where a field stands in an object: which picked path, and what of it where that is an array.
pub(crate) struct InJson {
    path: usize,
    element: Option<Element>,
}

/// Which element of a list, and what of it.
struct Element {
    which: Which,
    then: Option<PathSet>,
}

enum Which {
    Number(usize),
    /// The first object of which this path is this.
    Where(PathSet, Box<[u8]>),
}

#[derive(Clone, Copy)]
pub(crate) enum Pairs {
    KeyValue(Option<u8>),
    Cef,
    Leef,
}

/// Names and their index, found by length first.
pub(crate) struct Keys {
    by_length: Vec<Vec<(Box<[u8]>, usize)>>,
}

impl Keys {
    fn new(names: &[String]) -> Keys {
        let mut by_length: Vec<Vec<(Box<[u8]>, usize)>> = Vec::new();
        for (n, name) in names.iter().enumerate() {
            if by_length.len() <= name.len() {
                by_length.resize_with(name.len() + 1, Vec::new);
            }
            if let Some(list) = by_length.get_mut(name.len()) {
                list.push((name.as_bytes().into(), n));
            }
        }
        Keys { by_length }
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        self.by_length.get(key.len())?.iter().find(|(k, _)| **k == *key).map(|(_, n)| *n)
    }
}

/// A field's value, still as it stands in the record.
#[derive(Clone, Copy, Default)]
pub(crate) enum Raw<'a> {
    #[default]
    Missing,
    Plain(&'a [u8]),
    Json(&'a [u8]),
    Cef(&'a [u8]),
}

impl<'a> Raw<'a> {
    pub(crate) fn text(self) -> Cow<'a, [u8]> {
        match self {
            Raw::Missing => Cow::Borrowed(b""),
            Raw::Plain(b) => Cow::Borrowed(b),
            Raw::Json(b) => json::unescape(b),
            Raw::Cef(b) => kv::cef_unescape(b),
        }
    }
}

pub(crate) type Values<'a> = [Raw<'a>; FIELDS];

impl Split {
    pub(crate) fn new(
        shape: Shape,
        names: &[String],
        columns: &[String],
        separator: Option<u8>,
        prefix: &str,
    ) -> Result<Split, String> {
        Ok(match shape {
            Shape::Json => {
                // Several fields may stand in one array, which is picked once.
                let (mut paths, mut fields): (Vec<&str>, Vec<InJson>) = Default::default();
                for name in names {
                    let (path, element) = element(name)?;
                    let at = paths.iter().position(|p| *p == path).unwrap_or_else(|| {
                        paths.push(path);
                        paths.len() - 1
                    });
                    fields.push(InJson { path: at, element });
                }
                Split::Json { paths: PathSet::new(paths), fields, prefix: prefix.as_bytes().into() }
            }
            Shape::KeyValue => Split::Pairs { keys: Keys::new(names), format: Pairs::KeyValue(separator) },
            Shape::Cef => Split::Pairs { keys: Keys::new(names), format: Pairs::Cef },
            Shape::Leef => Split::Pairs { keys: Keys::new(names), format: Pairs::Leef },
            Shape::Csv => Split::Columns {
                separator: separator.unwrap_or(b','),
                fields: columns.iter().map(|c| names.iter().position(|n| n == c)).collect(),
            },
            Shape::Text => Split::Text,
        })
    }

    pub(crate) fn suits(&self, record: &Record<'_>) -> bool {
        match self {
            Split::Json { prefix, .. } if prefix.is_empty() => record.shape == Found::Json,
            Split::Json { prefix, .. } => record.body.starts_with(prefix),
            Split::Pairs { format: Pairs::Cef, .. } => record.shape == Found::Cef,
            Split::Pairs { format: Pairs::Leef, .. } => record.shape == Found::Leef,
            _ => matches!(record.shape, Found::Text),
        }
    }

    /// Fills the fields that the record has.
    pub(crate) fn read<'a>(&self, record: &Record<'a>, found: &mut Values<'a>) -> Result<(), Why> {
        let mut put = |n: usize, value: Raw<'a>| {
            if let Some(place) = found.get_mut(n) {
                *place = value;
            }
        };
        match self {
            Split::Json { paths, fields, prefix } => {
                let mut picked = [Value::Missing; FIELDS];
                let object = record.body.get(prefix.len()..).unwrap_or_default();
                paths.pick(object, &mut picked).map_err(|_| Why::Malformed("JSON"))?;
                for (n, field) in fields.iter().enumerate() {
                    let value = picked.get(field.path).copied().unwrap_or_default();
                    put(n, json_value(value, field.element.as_ref()));
                }
            }
            Split::Pairs { keys, format: Pairs::KeyValue(separator) } => match separator {
                Some(separator) => {
                    for (key, value) in kv::leef_pairs(record.body, *separator) {
                        if let Some(n) = keys.find(key) {
                            put(n, Raw::Plain(unquoted(value)));
                        }
                    }
                }
                None => {
                    for (key, value) in kv::pairs(record.body) {
                        if let Some(n) = keys.find(key) {
                            put(n, Raw::Plain(value));
                        }
                    }
                }
            },
            Split::Pairs { keys, format: Pairs::Cef } => {
                let (head, extension) = kv::cef(record.body).ok_or(Why::Malformed("CEF"))?;
                let names =
                    ["cef.vendor", "cef.product", "cef.version", "cef.id", "cef.name", "cef.severity"];
                for (name, value) in names.iter().zip(head.iter().skip(1)) {
                    if let Some(n) = keys.find(name.as_bytes()) {
                        put(n, Raw::Cef(value));
                    }
                }
                for (key, value) in kv::cef_pairs(extension) {
                    if let Some(n) = keys.find(key) {
                        put(n, Raw::Cef(value));
                    }
                }
            }
            Split::Pairs { keys, format: Pairs::Leef } => {
                let (head, separator, attributes) = kv::leef(record.body).ok_or(Why::Malformed("LEEF"))?;
                for (name, value) in
                    ["leef.vendor", "leef.product", "leef.version", "leef.id"].iter().zip(head)
                {
                    if let Some(n) = keys.find(name.as_bytes()) {
                        put(n, Raw::Plain(value));
                    }
                }
                for (key, value) in kv::leef_pairs(attributes, separator) {
                    if let Some(n) = keys.find(key) {
                        put(n, Raw::Plain(value));
                    }
                }
            }
            Split::Columns { separator: b',', fields } => {
                for (value, field) in kv::csv_fields(record.body).zip(fields) {
                    if let Some(n) = field {
                        put(*n, Raw::Plain(value));
                    }
                }
            }
            Split::Columns { separator, fields } => {
                for (value, field) in record.body.split(|b| b == separator).zip(fields) {
                    if let Some(n) = field {
                        put(*n, Raw::Plain(unquoted(value.trim_ascii())));
                    }
                }
            }
            Split::Text => {}
        }
        Ok(())
    }
}

/// Tries a pattern on the record; its values go to the fields.
pub(crate) fn match_text<'a>(pattern: &Pattern, record: &Record<'a>, found: &mut Values<'a>) -> bool {
    let mut values = [None; FIELDS];
    if !pattern.read(record.body.trim_ascii(), &mut values) {
        return false;
    }
    for (place, value) in found.iter_mut().zip(values) {
        if let Some(value) = value {
            *place = Raw::Plain(value);
        }
    }
    true
}

/// `list[0].name`, `list[type=host].name`: the path of the list, and what of it.
fn element(name: &str) -> Result<(&str, Option<Element>), String> {
    let Some((path, rest)) = name.split_once('[') else { return Ok((name, None)) };
    let wrong = || format!("`{name}`: write elements as `list[0]`, `list[0].name` or `list[type=host].name`");
    let (which, after) = rest.split_once(']').ok_or_else(wrong)?;
    let which = match which.split_once('=') {
        Some((key, value)) => Which::Where(PathSet::new([key]), value.as_bytes().into()),
        None => Which::Number(which.parse().map_err(|_| wrong())?),
    };
    let then = match after {
        "" => None,
        after => Some(PathSet::new([after.strip_prefix('.').ok_or_else(wrong)?])),
    };
    Ok((path, Some(Element { which, then })))
}

/// What one path finds in one object.
fn one<'a>(path: &PathSet, object: &'a [u8]) -> Value<'a> {
    let mut found = [Value::Missing];
    match path.pick(object, &mut found) {
        Ok(()) => found[0],
        Err(_) => Value::Missing,
    }
}

impl Element {
    fn of<'a>(&self, list: Value<'a>) -> Value<'a> {
        let mut elements = json::elements(list.nested());
        let element = match &self.which {
            Which::Number(number) => elements.nth(*number),
            Which::Where(path, value) => {
                elements.find(|e| one(path, e.nested()).bytes().eq_ignore_ascii_case(value))
            }
        };
        match (&self.then, element) {
            (_, None) => Value::Missing,
            (None, Some(element)) => element,
            (Some(path), Some(element)) => one(path, element.nested()),
        }
    }
}

fn json_value<'a>(value: Value<'a>, element: Option<&Element>) -> Raw<'a> {
    let value = element.map_or(value, |e| e.of(value));
    // Where a list stands and one value is asked for, its first stands for it.
    let value = match value {
        Value::Nested(list) if list.first() == Some(&b'[') => json::elements(list).next().unwrap_or_default(),
        value => value,
    };
    match value {
        Value::Text(b) => Raw::Json(b),
        Value::Bare(b) | Value::Nested(b) => Raw::Plain(b),
        Value::Missing | Value::Null => Raw::Missing,
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        other => other,
    }
}
