//! Lists of another host: fields with NUL behind each, which no name can forge, and what find says of a file.

use super::super::{Found, Kind};
use portreeve_model::EventTime;
use std::io::{self, Write};

/// Takes a stream of NUL-terminated fields apart.
pub(super) struct Fields<'f> {
    width: usize,
    row: Vec<Vec<u8>>,
    open: Vec<u8>,
    each: &'f mut dyn FnMut(&[Vec<u8>]) -> bool,
    /// Nobody wants more.
    pub(super) full: bool,
}

impl<'f> Fields<'f> {
    pub(super) fn new(width: usize, each: &'f mut dyn FnMut(&[Vec<u8>]) -> bool) -> Fields<'f> {
        Fields { width, row: Vec::new(), open: Vec::new(), each, full: false }
    }
}

impl Write for Fields<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|b| *b == 0) {
            match part.strip_suffix(b"\0") {
                None => self.open.extend_from_slice(part),
                Some(part) => {
                    self.open.extend_from_slice(part);
                    self.row.push(std::mem::take(&mut self.open));
                }
            }
            if self.open.len() > 1 << 20 {
                return Err(io::Error::other("a field is longer than any name"));
            }
            if self.row.len() == self.width {
                self.full = !(self.each)(&self.row);
                self.row.clear();
                if self.full {
                    return Err(io::Error::other("enough"));
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What find prints of a file, as [`found`] reads it.
pub(super) const FIELDS: &str = "%y\\0%m\\0%i\\0%U\\0%G\\0%s\\0%A@\\0%T@\\0%C@\\0%B@\\0%p\\0%l\\0";

pub(super) fn found(row: &[Vec<u8>]) -> Option<Found> {
    let [kind, mode, inode, uid, gid, size, accessed, modified, changed, born, path, link] = row else {
        return None;
    };
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let kind = match kind.as_slice() {
        b"f" => Kind::File,
        b"d" => Kind::Folder,
        b"l" => Kind::Link,
        b"p" => Kind::Fifo,
        b"s" => Kind::Socket,
        b"c" => Kind::Character,
        b"b" => Kind::Block,
        _ => Kind::Other,
    };
    Some(Found {
        path: path.clone(),
        kind,
        mode: u32::from_str_radix(&text(mode), 8).ok()?,
        inode: text(inode).parse().ok()?,
        uid: text(uid).parse().ok()?,
        gid: text(gid).parse().ok()?,
        size: text(size).parse().ok()?,
        accessed: seconds(accessed)?,
        modified: seconds(modified)?,
        changed: seconds(changed)?,
        born: seconds(born).filter(|t| t.0 > 0),
        link: (kind == Kind::Link).then(|| link.clone()),
    })
}

/// `1700000000.1234567890`.
pub(super) fn seconds(text: &[u8]) -> Option<EventTime> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros = fraction.get(..6).map_or(Ok(0), str::parse::<i64>).ok()?;
    Some(EventTime(whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_any_pieces() {
        for step in 1..7 {
            let (mut rows, mut bytes) = (Vec::new(), &b"a\0b\0\0c\nd\0"[..]);
            let mut each = |row: &[Vec<u8>]| {
                rows.push(row.to_vec());
                true
            };
            let mut fields = Fields::new(2, &mut each);
            while !bytes.is_empty() {
                let (now, rest) = bytes.split_at(step.min(bytes.len()));
                fields.write_all(now).expect("taken");
                bytes = rest;
            }
            assert_eq!(rows, [[b"a".to_vec(), b"b".to_vec()], [b"".to_vec(), b"c\nd".to_vec()]]);
        }
    }

    #[test]
    fn times_of_find() {
        assert_eq!(seconds(b"1700000000.1234567890"), Some(EventTime(1_700_000_000_123_456)));
        assert_eq!(seconds(b"0"), Some(EventTime(0)));
        assert_eq!(seconds(b"-"), None);
    }
}
