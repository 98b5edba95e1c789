//! The content of one object to records: unpacked where it is gzip, then cut as lines or as the elements of a list.

use crate::cut::{Elements, Lines, Piece};
use flate2::write::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// How an object's content is cut.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "S3Format")]
pub enum Format {
    /// By its beginning: `{"Records":[` (CloudTrail), `[`, or lines.
    #[default]
    Auto,
    /// Each line is a record.
    Lines,
    /// The elements of `Records`.
    Records,
    /// The elements of the list that the whole content is.
    Array,
}

/// The content itself is damaged or of no use; to read it again changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Useless {
    #[error("cannot be unpacked: {0}")]
    Packed(String),
    #[error("is more than {0} bytes when unpacked")]
    TooMuch(usize),
    #[error("{0}")]
    Json(#[from] crate::cut::Fault),
    #[error("is {0}, which is not read here")]
    Kind(&'static str),
}

/// How much is looked at to see what it is.
const LOOK: usize = 512;
/// Packed bytes that are unpacked at once: at gzip's best, a thousand times as many come out.
const SLICE: usize = 4 << 10;

pub(crate) struct Content {
    format: Format,
    limit: usize,
    /// Bytes that may come out.
    left: usize,
    most: usize,
    unpack: Unpack,
    cut: Cut,
}

enum Unpack {
    /// The first bytes have not come.
    Unknown,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

enum Cut {
    Unknown(Vec<u8>),
    Lines(Lines),
    Elements(Box<Elements>),
}

impl Content {
    pub(crate) fn new(format: Format, record_bytes: usize, unpacked_bytes: usize) -> Content {
        Content {
            format,
            limit: record_bytes,
            left: unpacked_bytes,
            most: unpacked_bytes,
            unpack: Unpack::Unknown,
            cut: Cut::Unknown(Vec::new()),
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) -> Result<(), Useless> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Unpack::Unknown = self.unpack {
            self.unpack = match bytes {
                // The second byte may come later, but a first byte of 1f begins no text.
                [0x1f, ..] => Unpack::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
                [b'P', b'A', b'R', b'1', ..] => return Err(Useless::Kind("Parquet")),
                [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(Useless::Kind("packed with zstd")),
                [b'B', b'Z', b'h', ..] => return Err(Useless::Kind("packed with bzip2")),
                [b'P', b'K', 3, 4, ..] => return Err(Useless::Kind("a ZIP archive")),
                _ => Unpack::Plain,
            };
        }
        if let Unpack::Plain = self.unpack {
            return self.plain(bytes, each);
        }
        for slice in bytes.chunks(SLICE) {
            let Unpack::Gzip(decoder) = &mut self.unpack else { break };
            decoder.write_all(slice).map_err(|e| Useless::Packed(e.to_string()))?;
            let out = std::mem::take(decoder.get_mut());
            self.plain(&out, each)?;
        }
        Ok(())
    }

    fn plain(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) -> Result<(), Useless> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(Useless::TooMuch(self.most))?;
        match &mut self.cut {
            Cut::Unknown(begin) => {
                begin.extend_from_slice(bytes);
                if begin.len() < LOOK {
                    return Ok(());
                }
                self.decide(each)
            }
            Cut::Lines(lines) => {
                lines.feed(bytes, each);
                Ok(())
            }
            Cut::Elements(elements) => Ok(elements.feed(bytes, each)?),
        }
    }

    /// Looks at the beginning, and cuts it.
    fn decide(&mut self, each: &mut impl FnMut(Piece<'_>)) -> Result<(), Useless> {
        let Cut::Unknown(begin) = &mut self.cut else { return Ok(()) };
        let mut begin = std::mem::take(begin);
        if begin.starts_with(b"\xef\xbb\xbf") {
            begin.drain(..3);
        }
        let key = match self.format {
            Format::Lines => None,
            Format::Records => Some(Some("Records")),
            Format::Array => Some(None),
            Format::Auto => recognised(&begin),
        };
        self.cut = match key {
            None => Cut::Lines(Lines::new(self.limit)),
            Some(key) => Cut::Elements(Box::new(Elements::of(key, self.limit))),
        };
        match &mut self.cut {
            Cut::Lines(lines) => lines.feed(&begin, each),
            Cut::Elements(elements) => elements.feed(&begin, each)?,
            Cut::Unknown(_) => {}
        }
        Ok(())
    }

    pub(crate) fn end(mut self, each: &mut impl FnMut(Piece<'_>)) -> Result<(), Useless> {
        if let Unpack::Gzip(decoder) = &mut self.unpack {
            decoder.try_finish().map_err(|e| Useless::Packed(e.to_string()))?;
            let out = std::mem::take(decoder.get_mut());
            self.plain(&out, each)?;
        }
        let unknown = matches!(&self.cut, Cut::Unknown(begin) if !begin.is_empty());
        if unknown {
            self.decide(each)?;
        }
        match &mut self.cut {
            Cut::Unknown(_) => {}
            Cut::Lines(lines) => lines.end(each),
            Cut::Elements(elements) => elements.end()?,
        }
        Ok(())
    }
}

/// `Some` of the key, for what has a list; `None` for lines.
fn recognised(begin: &[u8]) -> Option<Option<&'static str>> {
    // Without white space, which may stand anywhere.
    let compact: Vec<u8> = begin.iter().copied().filter(|b| !b.is_ascii_whitespace()).take(11).collect();
    if compact.starts_with(br#"{"Records":"#) {
        Some(Some("Records"))
    } else if compact.starts_with(b"[{") {
        Some(None)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).expect("packed");
        packed.finish().expect("packed")
    }

    fn read(format: Format, bytes: &[u8], size: usize) -> (Vec<String>, Result<(), Useless>) {
        let (mut content, mut out) = (Content::new(format, 1_000, 100_000), Vec::new());
        let mut each = |p: Piece<'_>| match p {
            Piece::Record(r) => out.push(String::from_utf8_lossy(r).into_owned()),
            Piece::TooLong(r) => out.push(format!("LONG {}", r.len())),
        };
        for chunk in bytes.chunks(size) {
            if let Err(useless) = content.feed(chunk, &mut each) {
                return (out, Err(useless));
            }
        }
        let end = content.end(&mut each);
        (out, end)
    }

    fn check(format: Format, text: &str, expect: &[&str]) {
        for size in [1, 7, 100_000] {
            for bytes in [
                text.as_bytes().to_vec(),
                gzip(text.as_bytes()),
                [gzip(&text.as_bytes()[..1]), gzip(&text.as_bytes()[1..])].concat(),
            ] {
                let (got, end) = read(format, &bytes, size);
                assert_eq!(
                    (got.iter().map(String::as_str).collect::<Vec<_>>(), end),
                    (expect.to_vec(), Ok(())),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn contents() {
        let trail = "\u{feff}{\n \"Records\" : [ {\"eventVersion\":\"1.08\"}, {\"a\":[1]} ] }";
        check(Format::Auto, trail, &[r#"{"eventVersion":"1.08"}"#, r#"{"a":[1]}"#]);
        check(Format::Auto, " [ {\"a\":1},{\"b\":2}]", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(Format::Auto, "{\"a\":1}\n{\"b\":2}\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(Format::Auto, "2 123 eni-1 10.0.0.1\r\n[odd line]\n", &["2 123 eni-1 10.0.0.1", "[odd line]"]);
        check(Format::Lines, "[{\"a\":1}]", &["[{\"a\":1}]"]);
        check(Format::Array, "[1,2]", &["1", "2"]);
    }

    #[test]
    fn what_is_damaged_or_too_much() {
        let whole = gzip("line\n".repeat(1_000).as_bytes());
        let (got, end) = read(Format::Auto, &whole[..whole.len() - 20], 10);
        assert!(matches!(end, Err(Useless::Packed(_))), "{end:?} after {}", got.len());
        let bomb = gzip(&vec![b'x'; 50_000_000]);
        assert_eq!(read(Format::Auto, &bomb, 1_000_000).1, Err(Useless::TooMuch(100_000)));
        assert_eq!(read(Format::Auto, b"PAR1....", 100).1, Err(Useless::Kind("Parquet")));
        let (got, end) = read(Format::Auto, b"{\"Records\":[{\"a\":1},{\"b\"", 100);
        assert_eq!((got.len(), end), (1, Err(Useless::Json(crate::cut::Fault::Ends))));
        assert_eq!(read(Format::Auto, b"", 1), (vec![], Ok(())));
    }
}
