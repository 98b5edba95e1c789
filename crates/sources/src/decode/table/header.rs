//! When a text is a table: the marks of Zeek and the W3C, and a first line that could only be names over a second one that
//! could not.

use super::cell::each_cell;
use super::{COLUMNS, Kind, NAME};

/// What the beginning of a text says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Table(Kind),
    No,
    /// The beginning is too short to tell.
    More,
}

/// Headers of products whose rows are read as lines, because their logs come without one as well.
const LINES: [&[u8]; 2] = [b"ID,Date,Time,Description", b"Domain,Receive Time,Serial"];

/// Columns that hold a raw record: a table of only one or two columns is one if it has such.
const RAW: [&[u8]; 12] = [
    b"_raw",
    b"raw",
    b"message",
    b"@message",
    b"event.original",
    b"payload",
    b"utf8(payload)",
    b"rawdata",
    b"syslogmessage",
    b"full_message",
    b"line",
    b"raw_log",
];

/// What the Event Viewer writes over its exports.
const VIEWER: [&[u8]; 5] = [b"Level", b"Date and Time", b"Source", b"Event ID", b"Task Category"];

/// Is a text that begins so a table? `all` says that there is no more of it.
pub(crate) fn recognise(head: &[u8], all: bool) -> Verdict {
    match head.first() {
        Some(b'#') => return commented(head, all),
        Some(b'{' | b'[' | b'<' | b'0'..=b'9') | None => return Verdict::No,
        _ => {}
    }
    let Some(end) = memchr::memchr(b'\n', head) else {
        // A first line without any mark of a table needs no second look.
        let short = head.len() < 16 * 1_024 && separators(head) > 0;
        return if short && !all { Verdict::More } else { Verdict::No };
    };
    let first = head[..end].trim_ascii_end();
    let rest = &head[end + 1..];
    // Excel's hint, and PowerShell's.
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', by] = first {
        return match header(rest, all, &[*by]) {
            Verdict::Table(kind) => Verdict::Table(kind),
            other => other,
        };
    }
    header(head, all, b"\t;,")
}

pub(super) fn separators(line: &[u8]) -> usize {
    line.iter().filter(|b| matches!(b, b',' | b'\t' | b';')).count()
}

/// Lines with `#` before the first record.
fn commented(head: &[u8], all: bool) -> Verdict {
    let mut rest = head;
    for _ in 0..64 {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return if all || head.len() > 32 * 1_024 { Verdict::No } else { Verdict::More };
        };
        let line = rest[..end].trim_ascii_end();
        rest = &rest[end + 1..];
        if line.starts_with(b"#separator ") || line.starts_with(b"#fields\t") {
            return Verdict::Table(Kind::Zeek);
        }
        if line.starts_with(b"#Fields:") {
            return Verdict::Table(Kind::W3c);
        }
        if line.starts_with(b"#TYPE ") {
            return header(rest, all, b",;\t");
        }
        if !line.is_empty() && line.first() != Some(&b'#') {
            return Verdict::No;
        }
    }
    Verdict::No
}

/// Is the first line a header, and the second a row of it?
fn header(head: &[u8], all: bool, by: &[u8]) -> Verdict {
    let more = if all || head.len() >= 32 * 1_024 { Verdict::No } else { Verdict::More };
    let Some(end) = memchr::memchr(b'\n', head) else { return more };
    let first = head[..end].trim_ascii_end();
    if LINES.iter().any(|l| first.starts_with(l)) {
        return Verdict::No;
    }
    let rest = &head[end + 1..];
    if is_flow(first) {
        return Verdict::Table(Kind::Spaced);
    }
    for by in by.iter().copied() {
        let Some(names) = names(first, by) else { continue };
        if rest.is_empty() {
            return more;
        }
        let (values, whole) = first_row(rest, by);
        if !whole && !all && head.len() < 32 * 1_024 {
            return Verdict::More;
        }
        let filled = values.iter().rposition(|v| !v.is_empty()).map_or(0, |n| n + 1);
        let fits =
            if whole { values.len() >= names.len() && filled <= names.len() } else { filled <= names.len() };
        let same = names.iter().zip(&values).filter(|(n, v)| n.eq_ignore_ascii_case(v)).count();
        // A row holds a number, a stamp or an address somewhere, or text that is no name; and does not repeat the names.
        let telling = values.iter().any(|v| !v.is_empty() && !is_name(v));
        if fits && telling && same < 2 {
            return Verdict::Table(Kind::Delimited(by));
        }
    }
    Verdict::No
}

/// The cells of a header line, if all of them are names.
pub(super) fn names(line: &[u8], by: u8) -> Option<Vec<Vec<u8>>> {
    let mut cells = Vec::new();
    let open = each_cell(line, by, &mut |_, cell| cells.push(cell.to_vec()));
    while cells.last().is_some_and(Vec::is_empty) {
        cells.pop();
    }
    if open || cells.is_empty() || cells.len() > COLUMNS || !cells.iter().all(|c| is_name(c)) {
        return None;
    }
    // The Event Viewer does not name its last column.
    if cells.iter().map(Vec::as_slice).eq(VIEWER) {
        cells.push(b"Message".to_vec());
    }
    let raw = || cells.iter().any(|c| RAW.iter().any(|r| c.eq_ignore_ascii_case(r)));
    if cells.len() < 3 && !raw() {
        return None;
    }
    let mut sorted: Vec<&Vec<u8>> = cells.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|w| w[0] != w[1]).then_some(cells)
}

/// Could this be the name of a column: letters, and nothing that only values have.
fn is_name(cell: &[u8]) -> bool {
    let Some(first) = cell.first() else { return false };
    if cell.len() > NAME
        || first.is_ascii_digit()
        || !cell.iter().any(|b| b.is_ascii_alphabetic() || *b >= 0x80)
    {
        return false;
    }
    let (mut digits, mut words) = (0, 1);
    for (n, b) in cell.iter().enumerate() {
        match b {
            0..0x20 | b'<' | b'>' | b'{' | b'}' | b'=' | b'|' | b'"' | b'\\' | b'\'' | 0x7f => return false,
            b'@' if n > 0 => return false,
            // `07:21`, `://`, `fe80::1`.
            b':' if matches!(cell.get(n + 1), Some(b'0'..=b'9' | b'/' | b':')) => return false,
            b' ' => words += 1,
            _ => {}
        }
        digits = if b.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 4 || words > 8 {
            return false;
        }
    }
    let words: [&[u8]; 9] =
        [b"true", b"false", b"null", b"none", b"yes", b"no", b"n/a", b"success", b"failure"];
    !words.iter().any(|w| cell.eq_ignore_ascii_case(w))
}

/// `version account-id interface-id srcaddr dstaddr …`
fn is_flow(line: &[u8]) -> bool {
    let telling: [&[u8]; 6] =
        [b"interface-id", b"srcaddr", b"dstaddr", b"log-status", b"pkt-srcaddr", b"flow-direction"];
    let plain = line.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b' ' | b'-' | b'0'..=b'9'));
    plain && line.split(|b| *b == b' ').filter(|w| telling.contains(w)).count() > 1
}

/// Cells of the first row, and whether it ends in what there is.
fn first_row(text: &[u8], by: u8) -> (Vec<Vec<u8>>, bool) {
    let mut end = 0;
    loop {
        let line_end = memchr::memchr(b'\n', text.get(end..).unwrap_or_default()).map(|n| n + end);
        let row = &text[..line_end.unwrap_or(text.len())];
        let mut cells = Vec::new();
        let open = each_cell(row.trim_ascii_end(), by, &mut |_, cell| cells.push(cell.to_vec()));
        match line_end {
            // No more than a few hundred lines are tried.
            Some(n) if open && cells.len() <= COLUMNS && end < 32 * 1_024 => end = n + 1,
            Some(_) => return (cells, !open),
            None => return (cells, false),
        }
    }
}
