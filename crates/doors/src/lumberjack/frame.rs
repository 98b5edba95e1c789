//! Frames of Lumberjack version 2: a version, a kind, and what belongs to it; numbers are big-endian.
//!
//! logstash-input-beats, PROTOCOL.md. Version 1, which no living shipper speaks, is not read.

use crate::json::quote;

/// Fields of one data frame, and bytes of them: the oldest shippers send a dozen.
const MAX_FIELDS: usize = 1_000;
const MAX_FIELD_BYTES: usize = 1 << 20;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// So many records will come before an answer is expected.
    Window(u32),
    Json {
        sequence: u32,
        record: &'a [u8],
    },
    /// Fields, written as an object.
    Data {
        sequence: u32,
        record: Vec<u8>,
    },
    /// Frames, packed.
    Compressed(&'a [u8]),
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// A frame of so many bytes.
    Whole(Frame<'a>, usize),
    /// So many bytes are needed, at least.
    Needs(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("not version 2 of the Lumberjack protocol")]
    Version,
    #[error("a frame of an unknown kind")]
    Kind,
    #[error("a frame that is larger than this source may send")]
    TooLarge,
    #[error("a packed frame that is damaged")]
    Damaged,
    #[error("packed frames inside of packed frames")]
    Nested,
    #[error("packed frames that end in the middle of one")]
    CutOff,
}

impl<'a> Frame<'a> {
    /// Reads the first frame; none may have more bytes than `most`.
    pub(super) fn read(bytes: &'a [u8], most: usize) -> Result<Read<'a>, Wrong> {
        let mut at = Cursor { bytes, at: 0 };
        match at.frame(most) {
            Ok(frame) => Ok(Read::Whole(frame, at.at)),
            Err(Stop::Needs(bytes)) => Ok(Read::Needs(bytes)),
            Err(Stop::Wrong(wrong)) => Err(wrong),
        }
    }
}

enum Stop {
    Needs(usize),
    Wrong(Wrong),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at + length;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Needs(end))?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Stop> {
        let four = self.take(4)?.first_chunk().ok_or(Stop::Needs(self.at + 4))?;
        Ok(u32::from_be_bytes(*four))
    }

    fn piece(&mut self, most: usize) -> Result<&'a [u8], Stop> {
        let length = self.number()? as usize;
        if length > most { Err(Stop::Wrong(Wrong::TooLarge)) } else { self.take(length) }
    }

    fn frame(&mut self, most: usize) -> Result<Frame<'a>, Stop> {
        // One after the other: a peer of another protocol may send one byte and wait.
        if self.take(1)? != b"2" {
            return Err(Stop::Wrong(Wrong::Version));
        }
        Ok(match self.take(1)? {
            b"W" => Frame::Window(self.number()?),
            b"J" => Frame::Json { sequence: self.number()?, record: self.piece(most)? },
            b"C" => Frame::Compressed(self.piece(most)?),
            b"D" => {
                let sequence = self.number()?;
                let fields = self.number()? as usize;
                if fields > MAX_FIELDS {
                    return Err(Stop::Wrong(Wrong::TooLarge));
                }
                let (begin, mut record) = (self.at, b"{".to_vec());
                for n in 0..fields {
                    let (key, value) = (self.piece(MAX_FIELD_BYTES)?, self.piece(MAX_FIELD_BYTES)?);
                    if self.at - begin > MAX_FIELD_BYTES.min(most) {
                        return Err(Stop::Wrong(Wrong::TooLarge));
                    }
                    if n > 0 {
                        record.push(b',');
                    }
                    quote(key, &mut record);
                    record.push(b':');
                    quote(value, &mut record);
                }
                record.push(b'}');
                Frame::Data { sequence, record }
            }
            _ => return Err(Stop::Wrong(Wrong::Kind)),
        })
    }
}

/// The answer: all up to this number is stored.
pub(super) fn ack(sequence: u32) -> [u8; 6] {
    let [a, b, c, d] = sequence.to_be_bytes();
    [b'2', b'A', a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Frame<'_> {
        for cut in 0..bytes.len() {
            let read = Frame::read(&bytes[..cut], 100).expect("no fault");
            assert!(matches!(read, Read::Needs(n) if n > cut && n <= bytes.len()), "{cut}: {read:?}");
        }
        match Frame::read(bytes, 100) {
            Ok(Read::Whole(frame, used)) if used == bytes.len() => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_read_when_they_are_whole() {
        assert_eq!(whole(b"2W\0\0\x01\0"), Frame::Window(256));
        assert_eq!(whole(b"2J\0\0\0\x07\0\0\0\x02{}"), Frame::Json { sequence: 7, record: b"{}" });
        assert_eq!(whole(b"2C\0\0\0\x03abc"), Frame::Compressed(b"abc"));
        assert_eq!(
            whole(b"2D\0\0\0\x01\0\0\0\x02\0\0\0\x01a\0\0\0\x02b\"\0\0\0\x01c\0\0\0\0"),
            Frame::Data { sequence: 1, record: br#"{"a":"b\"","c":""}"#.to_vec() }
        );
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let wrong = |bytes: &[u8]| Frame::read(bytes, 100).expect_err("wrong");
        assert_eq!(wrong(b"GET / HTTP/1.1"), Wrong::Version);
        assert_eq!(wrong(b"1W\0\0\0\x01"), Wrong::Version);
        assert_eq!(wrong(b"2X"), Wrong::Kind);
        assert_eq!(wrong(b"2J\0\0\0\x01\0\0\0\xff"), Wrong::TooLarge);
        assert_eq!(wrong(b"2C\xff\xff\xff\xff"), Wrong::TooLarge);
        assert_eq!(wrong(b"2D\0\0\0\x01\xff\xff\xff\xff"), Wrong::TooLarge);
        assert_eq!(wrong(b"2D\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff"), Wrong::TooLarge);
    }
}
