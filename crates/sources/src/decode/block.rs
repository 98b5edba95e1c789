//! Records of several lines that are no JSON and no XML: RADIUS accounting in FreeRADIUS's `detail` form, the export
//! format of the systemd journal, and Windows events as Splunk keeps them.

use super::split::{self, Piece, Sink};
use super::table::escape;
use std::io::{self, BufRead, BufReader, Read};

/// How blocks stand in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A line, then indented ones; a blank line ends it.
    Detail,
    /// `FIELD=value` lines, or a name alone and a length with any bytes; a blank line ends it.
    Journal,
    /// A date alone on its line, then `LogName=` and other lines, until the next date.
    Windows,
}

/// Fields of one journal entry that are kept; the journal itself allows 1,024.
const FIELDS: usize = 1_024;

pub(crate) fn recognise(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"__CURSOR=") {
        return Some(Kind::Journal);
    }
    let end = memchr::memchr(b'\n', head)?;
    let (first, rest) = (&head[..end], &head[end + 1..]);
    let second = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    let name = second.trim_ascii_start();
    let indented = matches!(second.first(), Some(b'\t' | b' ')) && !name.is_empty();
    let pair = crate::decode::find::find(name, b" = ").is_some_and(|n| {
        name[..n].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'.'))
    });
    if is_date(first) && second.starts_with(b"LogName=") {
        return Some(Kind::Windows);
    }
    let plain = first.first().is_some_and(u8::is_ascii_alphanumeric);
    (plain && indented && pair).then_some(Kind::Detail)
}

pub(crate) fn read(from: impl Read, kind: Kind, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    match kind {
        Kind::Detail => runs(from, limit, |line| !matches!(line.first(), Some(b'\t' | b' ')), sink),
        Kind::Windows => runs(from, limit, is_date, sink),
        Kind::Journal => journal(from, limit, sink),
    }
}

/// `03/04/2026 05:06:07 AM`, and nothing else.
fn is_date(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let plain =
        |b: &u8| b.is_ascii_digit() || matches!(b, b'/' | b':' | b' ' | b'.' | b',' | b'A' | b'P' | b'M');
    (16..=30).contains(&line.len())
        && line.first().is_some_and(u8::is_ascii_digit)
        && line.iter().all(plain)
        && line.iter().filter(|b| **b == b'/').count() == 2
        && line.iter().filter(|b| **b == b':').count() == 2
}

/// Runs of lines, each of which begins with a line of its own kind.
fn runs(from: impl Read, limit: usize, begins: impl Fn(&[u8]) -> bool, sink: Sink<'_>) -> io::Result<()> {
    let mut held: Vec<u8> = Vec::new();
    let (mut number, mut offset, mut too_long, mut on) = (0, 0, false, true);
    let end = split::lines(from, limit, &mut |piece| {
        let line = piece.bytes.trim_ascii_end();
        if begins(line) || held.is_empty() {
            on = held.is_empty() || sink(Piece { bytes: &held, shown: &held, number, offset, too_long });
            held.clear();
            too_long = piece.too_long;
            (number, offset) = (piece.number, piece.offset);
            held.extend_from_slice(line);
        } else if held.len() + line.len() < limit && !piece.too_long {
            held.push(b'\n');
            held.extend_from_slice(line);
        } else {
            too_long = true;
            held.truncate(1_024);
        }
        on
    });
    if on && !held.is_empty() {
        sink(Piece { bytes: &held, shown: &held, number, offset, too_long });
    }
    end
}

/// One entry of the journal while it is read.
#[derive(Default)]
struct Entry {
    json: Vec<u8>,
    raw: Vec<u8>,
    fields: usize,
    too_long: bool,
    number: u32,
    offset: u64,
}

impl Entry {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.fields += 1;
        if self.fields > FIELDS || name.is_empty() {
            return;
        }
        self.json.extend_from_slice(if self.json.is_empty() { b"{\"" } else { b",\"" });
        escape(name, &mut self.json);
        self.json.extend_from_slice(b"\":\"");
        escape(value, &mut self.json);
        self.json.push(b'"');
    }

    fn give(&mut self, limit: usize, sink: Sink<'_>) -> bool {
        if self.fields == 0 {
            return true;
        }
        self.json.push(b'}');
        let too_long = self.too_long || self.raw.len() > limit;
        if too_long {
            self.json.truncate(1_024);
        }
        let piece = Piece {
            bytes: &self.json,
            shown: self.raw.trim_ascii_end(),
            number: self.number,
            offset: self.offset,
            too_long,
        };
        let on = sink(piece);
        self.json.clear();
        self.raw.clear();
        self.fields = 0;
        self.too_long = false;
        on
    }
}

fn journal(from: impl Read, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256 * 1_024, from);
    let mut entry = Entry::default();
    let (mut line, mut offset, mut number) = (Vec::new(), 0u64, 0u32);
    let most = limit as u64 + 1;
    loop {
        line.clear();
        let begin = offset;
        let n = match (&mut from).take(most).read_until(b'\n', &mut line) {
            Ok(n) => n,
            Err(error) => {
                entry.give(limit, sink);
                return Err(error);
            }
        };
        if n == 0 {
            entry.give(limit, sink);
            return Ok(());
        }
        offset += n as u64;
        number = number.saturating_add(1);
        // A line longer than any record: pass over the rest of it.
        if n as u64 == most && !line.ends_with(b"\n") {
            entry.too_long = true;
            offset += pass_line(&mut from)?;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.is_empty() {
            if !entry.give(limit, sink) {
                return Ok(());
            }
            continue;
        }
        if entry.fields == 0 {
            (entry.number, entry.offset) = (number, begin);
        }
        let room = !entry.too_long && entry.raw.len() <= limit;
        if let Some(eq) = memchr::memchr(b'=', text) {
            if room {
                entry.raw.extend_from_slice(&line);
                entry.field(&text[..eq], &text[eq + 1..]);
            }
            continue;
        }
        // A name alone: eight bytes of length, then the value.
        let name = text.to_vec();
        let mut length = [0u8; 8];
        if from.read_exact(&mut length).is_err() {
            entry.give(limit, sink);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = u64::from_le_bytes(length);
        line.clear();
        let got = (&mut from).take(length.min(most)).read_to_end(&mut line)? as u64;
        offset += 8 + got;
        let lines = memchr::memchr_iter(b'\n', &line).count();
        number = number.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        if length > most {
            entry.too_long = true;
            offset += io::copy(&mut (&mut from).take(length - got), &mut io::sink())?;
        } else if room {
            entry.raw.extend_from_slice(&name);
            entry.raw.push(b'=');
            entry.raw.extend_from_slice(&line);
            entry.raw.push(b'\n');
            entry.field(&name, &line);
        }
        if got < length.min(most) {
            entry.give(limit, sink);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The line end after the value.
        let mut end = [0u8; 1];
        if from.read(&mut end)? == 1 {
            offset += 1;
        }
    }
}

/// Passes over the rest of a line; how many bytes that were.
fn pass_line(from: &mut impl BufRead) -> io::Result<u64> {
    let mut passed = 0;
    loop {
        let block = from.fill_buf()?;
        if block.is_empty() {
            return Ok(passed);
        }
        let end = memchr::memchr(b'\n', block);
        let used = end.map_or(block.len(), |n| n + 1);
        from.consume(used);
        passed += used as u64;
        if end.is_some() {
            return Ok(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(bytes: &[u8], kind: Kind) -> Vec<(u32, u64, bool, String)> {
        let mut got = Vec::new();
        // A block that is cut off is an error, and what came before it is there.
        drop(read(bytes, kind, 1_000, &mut |p| {
            got.push((p.number, p.offset, p.too_long, String::from_utf8_lossy(p.bytes).into_owned()));
            true
        }));
        got
    }

    #[test]
    fn radius_detail() {
        let text = b"Fri Jan  2 03:04:05 2026\n\tUser-Name = \"anna\"\n\tAcct-Status-Type = Start\n\nFri Jan  2 03:04:06 2026\r\n\tUser-Name = \"bruno\"\r\n";
        assert_eq!(recognise(text), Some(Kind::Detail));
        let got = blocks(text, Kind::Detail);
        assert_eq!(got[0].3, "Fri Jan  2 03:04:05 2026\n\tUser-Name = \"anna\"\n\tAcct-Status-Type = Start");
        assert_eq!((got[1].0, got[1].3.as_str()), (5, "Fri Jan  2 03:04:06 2026\n\tUser-Name = \"bruno\""));
        assert_eq!(recognise(b"Oct 23 07:21:42 gw1 sshd[77]: a\n\tat b\n"), None);
    }

    #[test]
    fn windows_events_of_splunk() {
        let text = b"03/04/2026 05:06:07 AM\nLogName=Security\nEventCode=4624\nMessage=An account was logged on.\n\nSubject:\n\tAccount Name:\t\tanna\n03/04/2026 05:06:08 PM\nLogName=Security\n";
        assert_eq!(recognise(text), Some(Kind::Windows));
        let got = blocks(text, Kind::Windows);
        assert_eq!((got.len(), got[1].0), (2, 8));
        assert!(got[0].3.ends_with("Subject:\n\tAccount Name:\t\tanna"), "{got:?}");
        assert_eq!(recognise(b"03/04/2026 05:06:07 AM\nother\n"), None);
    }

    #[test]
    fn journal_entries() {
        let mut bytes =
            b"__CURSOR=s=1;i=2\n_HOSTNAME=gw1\nMESSAGE=a \"b\"=c\n\n__CURSOR=x\nMESSAGE\n".to_vec();
        bytes.extend_from_slice(&5u64.to_le_bytes());
        bytes.extend_from_slice(b"a\n\nb\x1b\n_PID=7\n\n");
        assert_eq!(recognise(&bytes), Some(Kind::Journal));
        let got = blocks(&bytes, Kind::Journal);
        assert_eq!(
            got,
            [
                (1, 0, false, r#"{"__CURSOR":"s=1;i=2","_HOSTNAME":"gw1","MESSAGE":"a \"b\"=c"}"#.to_owned()),
                (5, 48, false, r#"{"__CURSOR":"x","MESSAGE":"a\n\nb\u001b","_PID":"7"}"#.to_owned())
            ]
        );
    }

    #[test]
    fn hostile_lengths() {
        let mut bytes = b"__CURSOR=1\nMESSAGE\n".to_vec();
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        bytes.extend_from_slice(&[b'x'; 5_000]);
        assert_eq!(blocks(&bytes, Kind::Journal).len(), 1);
        let long = [b"__CURSOR=1\n".to_vec(), vec![b'y'; 5_000], b"\n\n__CURSOR=2\n\n".to_vec()].concat();
        let got = blocks(&long, Kind::Journal);
        assert!(got[0].2, "{got:?}");
    }

    proptest! {
        #[test]
        fn anything_goes_in(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'='), Just(b'\t'), Just(b'A'), Just(0u8), any::<u8>()], 0..300)) {
            blocks(&bytes, Kind::Journal);
            blocks(&bytes, Kind::Detail);
            blocks(&bytes, Kind::Windows);
        }
    }
}
