//! A decoded byte stream to records: lines, and multi-line XML events. In blocks, with
//! memory bounded by the longest record that is kept.

use std::io::{self, Read};

const BLOCK: usize = 256 * 1_024;

/// One record of a stream, before framing.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    /// As it stands in the file, where `bytes` were made of it: the row of a table.
    pub(crate) shown: &'a [u8],
    /// Line or record number, from 1.
    pub(crate) number: u32,
    pub(crate) offset: u64,
    /// Longer than the limit: `bytes` is only its beginning.
    pub(crate) too_long: bool,
}

/// Called for each record; returns false to stop.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(Piece<'_>) -> bool;

/// Lines of text. Blank ones are counted as lines and not given.
pub(crate) fn lines(mut from: impl Read, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut buffer: Vec<u8> = vec![0; BLOCK];
    let (mut filled, mut offset, mut number) = (0usize, 0u64, 0u32);
    let mut skipping = false;
    loop {
        if filled == buffer.len() {
            if filled > limit {
                // The line is longer than any that is kept: give its beginning once, then pass over the rest.
                if !skipping {
                    skipping = true;
                    number = number.saturating_add(1);
                    let bytes = &buffer[..limit.min(1_024)];
                    if !sink(Piece { bytes, shown: bytes, number, offset, too_long: true }) {
                        return Ok(());
                    }
                }
                offset += filled as u64;
                filled = 0;
            } else {
                buffer.resize(buffer.len() * 2, 0);
            }
        }
        let n = match from.read(&mut buffer[filled..]) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                // What arrived before the error is still worth reading.
                finish(&buffer[..filled], offset, number, skipping, sink);
                return Err(e);
            }
        };
        if n == 0 {
            finish(&buffer[..filled], offset, number, skipping, sink);
            return Ok(());
        }
        let end = filled + n;
        let mut start = 0;
        for nl in memchr::memchr_iter(b'\n', &buffer[filled..end]).map(|p| p + filled) {
            if skipping {
                skipping = false;
            } else {
                number = number.saturating_add(1);
                let line = &buffer[start..nl];
                let too_long = line.len() > limit;
                let bytes = if too_long { &line[..limit.min(1_024)] } else { line };
                let offset = offset + start as u64;
                if !is_blank(bytes) && !sink(Piece { bytes, shown: bytes, number, offset, too_long }) {
                    return Ok(());
                }
            }
            start = nl + 1;
        }
        buffer.copy_within(start..end, 0);
        offset += start as u64;
        filled = end - start;
    }
}

fn finish(rest: &[u8], offset: u64, number: u32, skipping: bool, sink: Sink<'_>) {
    if !skipping && !is_blank(rest) {
        sink(Piece { bytes: rest, shown: rest, number: number.saturating_add(1), offset, too_long: false });
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | 0))
}

/// `<Event>` elements that may run over several lines.
pub(crate) fn xml(mut from: impl Read, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    const END: &[u8] = b"</Event>";
    let (mut held, mut block) = (Vec::new(), vec![0u8; BLOCK]);
    let (mut offset, mut number) = (0u64, 0u32);
    loop {
        let n = from.read(&mut block)?;
        if n == 0 {
            if crate::decode::find::find(&held, b"<Event ")
                .or(crate::decode::find::find(&held, b"<Event>"))
                .is_some()
            {
                let number = number.saturating_add(1);
                sink(Piece { bytes: &held, shown: &held, number, offset, too_long: false });
            }
            return Ok(());
        }
        held.extend_from_slice(&block[..n]);
        let mut start = 0;
        while let Some(end) = crate::decode::find::find(&held[start..], END).map(|p| start + p + END.len()) {
            let from = crate::decode::find::find(&held[start..end], b"<Event ")
                .or(crate::decode::find::find(&held[start..end], b"<Event>"))
                .unwrap_or(0);
            number = number.saturating_add(1);
            let bytes = &held[start + from..end];
            let offset = offset + (start + from) as u64;
            if !sink(Piece { bytes, shown: bytes, number, offset, too_long: false }) {
                return Ok(());
            }
            start = end;
        }
        held.drain(..start);
        offset += start as u64;
        if held.len() > limit {
            number = number.saturating_add(1);
            let bytes = &held[..limit.min(1_024)];
            if !sink(Piece { bytes, shown: bytes, number, offset, too_long: true }) {
                return Ok(());
            }
            offset += held.len() as u64;
            held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in parts of the sizes asked for.
    struct Chunks<'a> {
        bytes: &'a [u8],
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Chunks<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes.get(self.turn % self.sizes.len().max(1)).copied().unwrap_or(1).max(1);
            self.turn += 1;
            let n = size.min(to.len()).min(self.bytes.len());
            to[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    fn collect(
        bytes: &[u8],
        sizes: &[usize],
        how: impl Fn(Chunks<'_>, Sink<'_>) -> io::Result<()>,
    ) -> Vec<(u32, u64, bool, Vec<u8>)> {
        let mut got = Vec::new();
        let from = Chunks { bytes, sizes: sizes.to_vec(), turn: 0 };
        how(from, &mut |p: Piece<'_>| {
            got.push((p.number, p.offset, p.too_long, p.bytes.to_vec()));
            true
        })
        .expect("memory does not fail");
        got
    }

    #[test]
    fn lines_with_and_without_an_end() {
        let got = collect(b"one\r\n\n\0\0\ntwo\nthree", &[3], |f, s| lines(f, 1_000, s));
        let want = [(1, 0, b"one\r".to_vec()), (4, 9, b"two".to_vec()), (5, 13, b"three".to_vec())];
        assert_eq!(got.iter().map(|g| (g.0, g.1, g.3.clone())).collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_very_long_line_is_one_record_and_the_next_is_read() {
        let mut text = vec![b'x'; 3 << 20];
        text.extend_from_slice(b"\nnext\n");
        let got = collect(&text, &[1 << 16], |f, s| lines(f, 1 << 20, s));
        assert_eq!(got.len(), 2);
        assert!(got[0].2 && !got[1].2);
        assert_eq!((got[1].0, got[1].3.as_slice()), (2, b"next".as_slice()));
    }

    #[test]
    fn xml_events_over_lines() {
        let text =
            "<?xml version=\"1.0\"?>\n<Events>\n<Event xmlns='x'>\n<a/>\n</Event>\n<Event>b</Event></Events>";
        let got = collect(text.as_bytes(), &[7], |f, s| xml(f, 1_000, s));
        assert_eq!(got.len(), 2);
        assert_eq!(got[1].3, b"<Event>b</Event>");
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), any::<u8>()], 0..300), sizes in proptest::collection::vec(1usize..20, 1..5)) {
            prop_assert_eq!(collect(&bytes, &sizes, |f, s| lines(f, 64, s)), collect(&bytes, &[1_000], |f, s| lines(f, 64, s)));
        }
    }
}
