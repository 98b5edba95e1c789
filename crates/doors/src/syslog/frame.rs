//! A stream of bytes to syslog messages (RFC 6587, RFC 5425): octet counts, or a byte that ends each message.
//!
//! Which of the two it is, is told by the message itself: `34 <13>…` is counted, all else goes on to the next line feed
//! or NUL. A message in several lines stays whole where it is counted; senders that end messages with NUL because
//! theirs have line feeds inside need `framing: nul`, since a line feed in a stream looks like any other.

use memchr::{memchr, memchr2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How messages are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Each message by how it begins: counted, or ended by a line feed or NUL.
    #[default]
    Auto,
    /// Octet counts only (RFC 5425).
    Octet,
    /// Line feeds only.
    Lf,
    /// NUL only: messages may have line feeds inside.
    Nul,
}

/// What was cut out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Record(&'a [u8]),
    /// The beginning of a message that is longer than it may be; the rest is passed over.
    TooLong(&'a [u8]),
}

/// The stream cannot be followed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("a message does not begin with its length, as octet counting demands")]
    NoCount,
    #[error("a message is said to be {0} bytes long, more than a whole request may be")]
    Absurd(u64),
}

/// Digits of an octet count. More is no count.
const DIGITS: usize = 10;

#[derive(Debug)]
pub(crate) struct Cutter {
    framing: Framing,
    /// Bytes of one message.
    limit: usize,
    /// Bytes that a message may be said to have, so that it is passed over and not the connection ended.
    most: u64,
    skip: Skip,
    /// Bytes of the message at the front that were already searched for its end.
    searched: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Skip {
    Nothing,
    Octets(u64),
    ToEnd,
}

enum Count {
    /// Length of the message, and of what stands before it.
    Of(u64, usize),
    /// Cannot be told yet.
    Open,
    No,
}

impl Cutter {
    pub(crate) fn new(framing: Framing, limit: usize, most: usize) -> Cutter {
        let limit = limit.max(1);
        let most = u64::try_from(most.max(limit)).unwrap_or(u64::MAX);
        Cutter { framing, limit, most, skip: Skip::Nothing, searched: 0 }
    }

    /// Cuts what is whole from the front; tells how many bytes are done with. The rest is to be given again, with more
    /// behind it. It is never longer than the limit and a count.
    pub(crate) fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) -> Result<usize, Lost> {
        let mut done = 0;
        loop {
            let rest = bytes.get(done..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(done);
            }
            match self.skip {
                Skip::Nothing => {}
                Skip::Octets(left) => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    done += now;
                    let left = left - now as u64;
                    self.skip = if left == 0 { Skip::Nothing } else { Skip::Octets(left) };
                    continue;
                }
                Skip::ToEnd => {
                    match self.end_of(rest) {
                        Some(end) => (done, self.skip) = (done + end + 1, Skip::Nothing),
                        None => return Ok(bytes.len()),
                    }
                    continue;
                }
            }
            match self.count(rest) {
                Count::Open => return Ok(done),
                Count::Of(length, _) if length > self.most => return Err(Lost::Absurd(length)),
                Count::Of(length, head) if length > self.limit as u64 => {
                    let have = rest.get(head..).unwrap_or_default();
                    // Its beginning is only worth keeping once there is something of it.
                    let enough = have.len() as u64 >= length.min(1_024);
                    if !enough {
                        return Ok(done);
                    }
                    let begin = have.len().min(usize::try_from(length).unwrap_or(usize::MAX)).min(self.limit);
                    each(Piece::TooLong(have.get(..begin).unwrap_or(have)));
                    done += head + begin;
                    self.skip = Skip::Octets(length - begin as u64);
                    if self.skip == Skip::Octets(0) {
                        self.skip = Skip::Nothing;
                    }
                }
                Count::Of(length, head) => {
                    let end = head + usize::try_from(length).unwrap_or(usize::MAX);
                    let Some(message) = rest.get(head..end) else { return Ok(done) };
                    give(trimmed(message), &mut each);
                    done += end;
                }
                Count::No if self.framing == Framing::Octet => return Err(Lost::NoCount),
                Count::No => {
                    let from = self.searched.min(rest.len());
                    match self.end_of(rest.get(from..).unwrap_or_default()) {
                        Some(end) => {
                            let end = from + end;
                            self.searched = 0;
                            let message = rest.get(..end).unwrap_or_default();
                            if message.len() > self.limit {
                                each(Piece::TooLong(message.get(..self.limit).unwrap_or(message)));
                            } else {
                                give(trimmed(message), &mut each);
                            }
                            done += end + 1;
                        }
                        None if rest.len() > self.limit => {
                            self.searched = 0;
                            each(Piece::TooLong(rest.get(..self.limit).unwrap_or(rest)));
                            self.skip = Skip::ToEnd;
                            return Ok(bytes.len());
                        }
                        None => {
                            self.searched = rest.len();
                            return Ok(done);
                        }
                    }
                }
            }
        }
    }

    /// What is left when the peer has closed the connection: a last message that no line feed ends is whole; one that is
    /// shorter than its count is not, and is given back.
    pub(crate) fn end<'a>(&self, rest: &'a [u8], each: impl FnMut(Piece<'_>)) -> Option<&'a [u8]> {
        if rest.is_empty() || self.skip != Skip::Nothing {
            return None;
        }
        match self.count(rest) {
            Count::No if self.framing != Framing::Octet => {
                give(trimmed(rest), each);
                None
            }
            _ => Some(rest),
        }
    }

    fn end_of(&self, bytes: &[u8]) -> Option<usize> {
        match self.framing {
            Framing::Auto => memchr2(b'\n', b'\0', bytes),
            Framing::Octet | Framing::Lf => memchr(b'\n', bytes),
            Framing::Nul => memchr(b'\0', bytes),
        }
    }

    fn count(&self, rest: &[u8]) -> Count {
        if matches!(self.framing, Framing::Lf | Framing::Nul) {
            return Count::No;
        }
        // Some senders put a line feed behind each counted message as well.
        let before = match self.framing {
            Framing::Octet => rest.iter().take_while(|b| matches!(b, b'\n' | b'\r' | b'\0')).count(),
            _ => 0,
        };
        let rest = rest.get(before..).unwrap_or_default();
        let mut length = 0u64;
        for (at, byte) in rest.iter().take(DIGITS + 1).enumerate() {
            match byte {
                // A count has no leading zero, so `0` begins no count.
                b'0'..=b'9' if at < DIGITS && (at > 0 || *byte != b'0') => {
                    length = length * 10 + u64::from(byte - b'0');
                }
                b' ' if at > 0 => {
                    let head = before + at + 1;
                    return match (self.framing, rest.get(at + 1)) {
                        (Framing::Octet, _) | (_, Some(b'<')) => Count::Of(length, head),
                        (_, None) => Count::Open,
                        // A line that begins with a number, such as a date.
                        _ => Count::No,
                    };
                }
                _ => return Count::No,
            }
        }
        Count::Open
    }
}

fn give(message: &[u8], mut each: impl FnMut(Piece<'_>)) {
    // Nothing between two ends is no message.
    if !message.is_empty() {
        each(Piece::Record(message));
    }
}

/// Without what ends a line.
pub(crate) fn trimmed(message: &[u8]) -> &[u8] {
    let ends = |b: &u8| matches!(b, b'\n' | b'\r' | b'\0');
    let tail = message.iter().rev().take_while(|b| ends(b)).count();
    message.get(..message.len() - tail).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a stream through, in pieces of these sizes, as a connection does.
    fn cut(framing: Framing, limit: usize, stream: &[u8], sizes: &[usize]) -> (Vec<String>, Option<Lost>) {
        let mut cutter = Cutter::new(framing, limit, 10_000);
        let (mut buffer, mut out, mut fed) = (Vec::new(), Vec::new(), 0);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let mut sizes = sizes.iter().copied().cycle();
        while fed < stream.len() {
            let next = (fed + sizes.next().unwrap_or(1).max(1)).min(stream.len());
            buffer.extend_from_slice(&stream[fed..next]);
            fed = next;
            let result = cutter.cut(&buffer, |piece| match piece {
                Piece::Record(r) => out.push(text(r)),
                Piece::TooLong(r) => out.push(format!("LONG {}", text(&r[..r.len().min(3)]))),
            });
            match result {
                Ok(done) => drop(buffer.drain(..done)),
                Err(lost) => return (out, Some(lost)),
            }
            assert!(buffer.len() <= limit.max(1_024) + 12, "{} bytes are kept", buffer.len());
        }
        let cut_off = cutter.end(&buffer, |piece| match piece {
            Piece::Record(r) => out.push(text(r)),
            Piece::TooLong(_) => {}
        });
        if let Some(rest) = cut_off {
            out.push(format!("CUT {}", text(rest)));
        }
        (out, None)
    }

    fn check(framing: Framing, stream: &str, expect: &[&str]) {
        for size in [1, 2, 3, 7, 1_000] {
            let (got, lost) = cut(framing, 100, stream.as_bytes(), &[size]);
            assert_eq!(
                (got.iter().map(String::as_str).collect::<Vec<_>>(), lost),
                (expect.to_vec(), None),
                "{size}"
            );
        }
    }

    #[test]
    fn each_message_by_how_it_begins() {
        check(
            Framing::Auto,
            "<13>one\n<13>two\r\n<13>three\0<13>four",
            &["<13>one", "<13>two", "<13>three", "<13>four"],
        );
        check(
            Framing::Auto,
            "8 <13>one\n10 <13>a\nb\nc\n<13>line\n7 <13>two",
            &["<13>one", "<13>a\nb\nc", "<13>line", "<13>two"],
        );
        check(
            Framing::Auto,
            "2026-01-02 a\n2026 Jan 2 b\n007 <13>\n\n\n",
            &["2026-01-02 a", "2026 Jan 2 b", "007 <13>"],
        );
        check(Framing::Nul, "<13>a\nb\0<13>c\0", &["<13>a\nb", "<13>c"]);
        check(Framing::Lf, "8 <13>one\n", &["8 <13>one"]);
        check(Framing::Octet, "3 a\nb\n4 {\"a}4 x  y", &["a\nb", "{\"a}", "x  y"]);
        check(Framing::Auto, "9 <13>shor", &["CUT 9 <13>shor"]);
    }

    #[test]
    fn wrong_counts_cost_what_they_cover_and_no_more() {
        check(Framing::Auto, "5 <13>hello\n<13>next\n", &["<13>h", "ello", "<13>next"]);
        check(Framing::Auto, "12 <13>a\n<13>b\n<13>c\n", &["<13>a\n<13>b", "<13>c"]);
        let (got, lost) = cut(Framing::Auto, 100, b"99999999 <13>x", &[4]);
        assert_eq!((got.len(), lost), (0, Some(Lost::Absurd(99_999_999))));
        let (_, lost) = cut(Framing::Octet, 100, b"x", &[4]);
        assert_eq!(lost, Some(Lost::NoCount));
        // No count has so many digits.
        check(Framing::Auto, "12345678901 <13>x\n", &["12345678901 <13>x"]);
    }

    #[test]
    fn a_message_that_is_too_long_ends_where_it_says() {
        let long = "y".repeat(3_000);
        for size in [1, 50, 5_000] {
            let stream = format!("<13>a\n{long}\n<13>b\n3004 <13>{long}<13>c\n");
            let (got, lost) = cut(Framing::Auto, 100, stream.as_bytes(), &[size]);
            assert_eq!(
                (got, lost),
                (
                    vec![
                        "<13>a".into(),
                        "LONG yyy".into(),
                        "<13>b".into(),
                        "LONG <13".into(),
                        "<13>c".into()
                    ],
                    None
                )
            );
        }
    }

    proptest! {
        #[test]
        fn how_the_network_cuts_it_changes_nothing(
            stream in "(<13>[a-z \n]{0,9}[\n\0]|[1-9] <[a-z\n]{8}|[0-9]{1,12}|[ \n\0\r]){0,40}",
            sizes in prop::collection::vec(1usize..20, 1..8),
        ) {
            for framing in [Framing::Auto, Framing::Octet, Framing::Lf, Framing::Nul] {
                let whole = cut(framing, 30, stream.as_bytes(), &[100_000]);
                let pieces = cut(framing, 30, stream.as_bytes(), &sizes);
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
