//! Tables that say so themselves: Zeek's logs, and the extended log format of the W3C.

use super::Columns;
use super::cell::{escape, one_cell};
use crate::decode::split::{self, Piece, Sink};
use std::io::{self, Read};

/// Zeek: tab separated, with a header of lines that begin with `#`.
pub(super) fn zeek(from: impl Read, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut by = b'\t';
    let (mut unset, mut empty) = (b"-".to_vec(), b"(empty)".to_vec());
    let mut columns = Columns::default();
    let (mut path, mut out, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    split::lines(from, limit, &mut |piece| {
        let line = piece.bytes.strip_suffix(b"\r").unwrap_or(piece.bytes);
        if piece.too_long {
            return sink(Piece { ..piece });
        }
        if let Some(text) = line.strip_prefix(b"#") {
            if let Some(separator) = text.strip_prefix(b"separator ") {
                let separator = undo_hex(separator, &mut plain);
                by = separator.first().copied().unwrap_or(b'\t');
                return true;
            }
            let Some(cut) = memchr::memchr(by, text) else { return true };
            let (name, value) = (&text[..cut], &text[cut + 1..]);
            match name {
                b"unset_field" => unset = value.to_vec(),
                b"empty_field" => empty = value.to_vec(),
                b"path" => {
                    path = value.to_vec();
                    columns.fix(b"_path", &path);
                }
                b"fields" => {
                    columns = Columns::of(value.split(|b| *b == by));
                    columns.fix(b"_path", &path);
                }
                _ => {}
            }
            return true;
        }
        if columns.keys.is_empty() {
            return sink(Piece { ..piece });
        }
        columns.begin(&mut out);
        for (n, cell) in line.split(|b| *b == by).enumerate() {
            if cell != unset.as_slice() && cell != empty.as_slice() {
                columns.put(n, undo_hex(cell, &mut plain), &mut out);
            }
        }
        !columns.end(&mut out) || sink(Piece { bytes: &out, shown: piece.bytes, ..piece })
    })
}

/// `\x09` and `\\` undone.
fn undo_hex<'t>(text: &'t [u8], room: &'t mut Vec<u8>) -> &'t [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    room.clear();
    let mut rest = text;
    while let Some(n) = memchr::memchr(b'\\', rest) {
        room.extend_from_slice(&rest[..n]);
        rest = &rest[n..];
        let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
        match rest.get(1) {
            Some(b'x') if let (Some(high), Some(low)) = (hex(rest.get(2)), hex(rest.get(3))) => {
                room.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = &rest[4..];
            }
            Some(b'\\') => {
                room.push(b'\\');
                rest = &rest[2..];
            }
            _ => {
                room.push(b'\\');
                rest = &rest[1..];
            }
        }
    }
    room.extend_from_slice(rest);
    room
}

/// The extended log format of the W3C: blanks or tabs between values, or commas as Exchange has them; quoted values may
/// hold both. Without `#Fields:` the first line names the columns.
pub(super) fn spaced(from: impl Read, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut columns = Columns::default();
    let (mut by, mut software, mut header) = (b' ', Vec::new(), Vec::new());
    let mut out = Vec::new();
    let mut commented = false;
    split::lines(from, limit, &mut |piece| {
        let line = piece.bytes.trim_ascii_end();
        if piece.too_long {
            return sink(Piece { ..piece });
        }
        if line.first() == Some(&b'#') {
            commented = true;
            if let Some(name) = line.strip_prefix(b"#Software:") {
                software = name.trim_ascii().to_vec();
                columns.fix(b"_w3c", &software);
            } else if let Some(names) = line.strip_prefix(b"#Fields:") {
                let names = names.trim_ascii();
                by = [b',', b'\t'].into_iter().find(|b| names.contains(b)).unwrap_or(b' ');
                columns =
                    Columns::of(names.split(|b| *b == by).map(<[u8]>::trim_ascii).filter(|n| !n.is_empty()));
                columns.fix(b"_w3c", &software);
            }
            return true;
        }
        if columns.keys.is_empty() {
            if commented {
                return sink(Piece { ..piece });
            }
            columns = Columns::of(line.split(|b| *b == b' ').filter(|n| !n.is_empty()));
            header = line.to_vec();
            return true;
        }
        if line == header.as_slice() {
            return true;
        }
        // CloudFront names its fields with blanks between and separates values by tabs.
        let by = if by == b' ' && memchr::memchr(b'\t', line).is_some() { b'\t' } else { by };
        columns.begin(&mut out);
        let (mut at, mut n) = (0, 0);
        while at <= line.len() {
            if by == b' ' && line.get(at) == Some(&b' ') {
                at += 1;
                continue;
            }
            let unset = line.get(at) == Some(&b'-') && line.get(at + 1).is_none_or(|b| *b == by);
            let mut some = false;
            let next = one_cell(line, at, by, &mut |part| {
                if !unset && (some || columns.key(n, &mut out)) {
                    some = true;
                    escape(part, &mut out);
                }
            });
            if some {
                out.push(b'"');
            }
            n += 1;
            at = next.unwrap_or(line.len()) + 1;
        }
        !columns.end(&mut out) || sink(Piece { bytes: &out, shown: piece.bytes, ..piece })
    })
}
