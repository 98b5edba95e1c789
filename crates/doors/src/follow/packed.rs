//! A rotated file that was packed with gzip, read as a stream.

use crate::follow::known::{Head, Known, Reached, SAMPLE, sum};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};

pub(crate) struct Packed {
    from: MultiGzDecoder<BufReader<File>>,
    /// Unpacked and not cut yet; its first byte stands where the file is reached.
    pub(crate) buffer: Vec<u8>,
    /// Up to [`SAMPLE`] bytes before the buffer.
    before: Vec<u8>,
    pub(crate) ended: bool,
}

impl Packed {
    pub(crate) fn open(file: File) -> Packed {
        let from = MultiGzDecoder::new(BufReader::with_capacity(128 << 10, file));
        Packed { from, buffer: Vec::new(), before: Vec::new(), ended: false }
    }

    /// At the place that was reached. `None` where the content is another.
    pub(crate) fn open_at(file: File, reached: Reached) -> io::Result<Option<Packed>> {
        let mut packed = Packed::open(file);
        let mut left = reached.offset;
        while left > 0 {
            packed.fill(usize::try_from(left).unwrap_or(usize::MAX).min(256 << 10))?;
            if packed.buffer.is_empty() {
                return Ok(None);
            }
            let used = packed.buffer.len();
            left -= used as u64;
            packed.used(used);
        }
        Ok((packed.tail() == reached.tail).then_some(packed))
    }

    /// Unpacks until this many bytes are there, or all are.
    pub(crate) fn fill(&mut self, length: usize) -> io::Result<()> {
        let have = self.buffer.len();
        if have < length && !self.ended {
            let want = length - have;
            let got = (&mut self.from).take(want as u64).read_to_end(&mut self.buffer)?;
            self.ended = got < want;
        }
        Ok(())
    }

    /// Takes bytes from the front of the buffer.
    pub(crate) fn used(&mut self, n: usize) {
        let n = n.min(self.buffer.len());
        let gone = self.buffer.get(n.saturating_sub(SAMPLE)..n).unwrap_or_default();
        self.before.extend_from_slice(gone);
        let surplus = self.before.len().saturating_sub(SAMPLE);
        self.before.drain(..surplus);
        self.buffer.drain(..n);
    }

    /// The sum of the bytes before the buffer.
    pub(crate) fn tail(&self) -> u64 {
        sum(&self.before)
    }

    pub(crate) fn head(&mut self) -> io::Result<Head> {
        self.fill(SAMPLE)?;
        let head = self.buffer.get(..SAMPLE).unwrap_or(&self.buffer);
        Ok(Head(u32::try_from(head.len()).unwrap_or(u32::MAX), sum(head)))
    }
}

/// Does this packed file hold what was read before? Then it is returned at the place that was reached.
pub(crate) fn is_content_of(
    known: &Known,
    open: impl Fn() -> io::Result<File>,
) -> io::Result<Option<Packed>> {
    let mut packed = Packed::open(open()?);
    packed.fill(known.head.0 as usize)?;
    let head = packed.buffer.get(..known.head.0 as usize);
    if head.map(sum) != Some(known.head.1) {
        return Ok(None);
    }
    Packed::open_at(open()?, known.reached)
}
