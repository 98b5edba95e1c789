//! Where in a file a field stands: an error names line and column, also where the text is good TOML and its meaning is not.

use super::{ConfigError, Fault};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the reader of TOML says.
pub(super) fn of_error(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().unwrap_or_default().start;
    let field = DeTable::parse(text).map(|table| field_at(table.get_ref(), at)).unwrap_or_default();
    said(path, text, at, field.join("."), error.message())
}

/// What is wrong with a field that could be read.
pub(super) fn of_fault(path: &Path, text: &str, fault: Fault) -> ConfigError {
    let Fault { field, text: why } = fault;
    let at =
        DeTable::parse(text).ok().and_then(|table| place_of(table.get_ref(), &field)).unwrap_or_default();
    said(path, text, at, field.join("."), &why)
}

fn said(path: &Path, text: &str, at: usize, field: String, why: &str) -> ConfigError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    // One line: the reader of TOML breaks its sentences.
    let text = why.split_whitespace().collect::<Vec<_>>().join(" ");
    ConfigError::At { path: path.to_owned(), line, column, field, text }
}

/// The innermost field that is written at a place.
fn field_at(table: &DeTable<'_>, at: usize) -> Vec<String> {
    for (key, value) in table {
        let inner = inside(value, at);
        if inner.is_some() || covers(key.span(), at) || covers(value.span(), at) {
            let mut field = vec![key.get_ref().to_string()];
            field.extend(inner.unwrap_or_default());
            return field;
        }
    }
    Vec::new()
}

/// The rest of the field's name, where the place is within a table or list. Those that are written with headers have
/// parts outside of their own span.
fn inside(value: &Spanned<DeValue<'_>>, at: usize) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(field_at(table, at)).filter(|f| !f.is_empty()),
        DeValue::Array(list) => list.iter().enumerate().find_map(|(n, item)| {
            let inner = inside(item, at);
            (inner.is_some() || covers(item.span(), at)).then(|| {
                let mut field = vec![n.to_string()];
                field.extend(inner.unwrap_or_default());
                field
            })
        }),
        _ => None,
    }
}

fn covers(span: Range<usize>, at: usize) -> bool {
    span.contains(&at) || span.start == at
}

/// Where a field's value begins; of one that is not written, that of the innermost one around it that is.
fn place_of(table: &DeTable<'_>, field: &[String]) -> Option<usize> {
    let (name, rest) = field.split_first()?;
    let (_, value) = table.iter().find(|(key, _)| *key.get_ref() == name.as_str())?;
    Some(place_in(value, rest))
}

fn place_in(value: &Spanned<DeValue<'_>>, rest: &[String]) -> usize {
    let deeper = match (value.get_ref(), rest.split_first()) {
        (DeValue::Table(table), Some(_)) => place_of(table, rest),
        (DeValue::Array(list), Some((n, rest))) => {
            n.parse::<usize>().ok().and_then(|n| list.get(n)).map(|item| place_in(item, rest))
        }
        _ => None,
    };
    deeper.unwrap_or(value.span().start)
}
