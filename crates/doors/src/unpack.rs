//! Unpacks what peers compress, piece by piece and within limits: a small body may not become a large one.

use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, Write};
use zstd::stream::raw::{Decoder as Zstd, InBuffer, Operation, OutBuffer};

/// Bytes that one byte may become. Logs compress to a tenth, repeated ones to a hundredth.
const MAX_RATIO: usize = 200;
/// Short bodies may pass the ratio by this much.
const SLACK: usize = 64 << 10;
/// Windows of 8 MiB, the most that RFC 9659 lets a server be asked for.
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    /// Zlib, as the standard has it, or bare deflate, as some send it.
    Deflate,
    Zstd,
}

impl Coding {
    /// By its name in `Content-Encoding` or `grpc-encoding`.
    pub(crate) fn of(name: &str) -> Option<Coding> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Coding::Identity,
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "zstd" => Coding::Zstd,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("what is packed is larger than allowed")]
    TooLarge,
    #[error("what is packed is damaged or ends too early")]
    Damaged,
}

/// A body on its way out of its packing.
pub(crate) struct Unpack {
    how: How,
    /// Bytes fed so far.
    packed: usize,
}

enum How {
    Plain(Out),
    Gzip(Box<MultiGzDecoder<Out>>),
    /// The first byte, while it is alone: two tell zlib from bare deflate.
    Unsure(Option<u8>, Out),
    Inflate {
        inflate: Box<Decompress>,
        ended: bool,
        out: Out,
    },
    Zstd {
        zstd: Box<Zstd<'static>>,
        ended: bool,
        out: Out,
    },
}

struct Out {
    bytes: Vec<u8>,
    most: usize,
    /// What the ratio allows so far.
    allowed: usize,
    over: bool,
}

impl Write for Out {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.most.min(self.allowed) {
            self.over = true;
            return Err(io::Error::other(Fault::TooLarge));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpack {
    /// At most this many bytes come out.
    pub(crate) fn new(coding: Coding, most: usize) -> Result<Unpack, Fault> {
        let out = Out { bytes: Vec::new(), most, allowed: SLACK, over: false };
        let how = match coding {
            Coding::Identity => How::Plain(out),
            Coding::Gzip => How::Gzip(Box::new(MultiGzDecoder::new(out))),
            Coding::Deflate => How::Unsure(None, out),
            Coding::Zstd => {
                let mut zstd = Zstd::new().map_err(|_| Fault::Damaged)?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                zstd.set_parameter(window).map_err(|_| Fault::Damaged)?;
                How::Zstd { zstd: Box::new(zstd), ended: false, out }
            }
        };
        Ok(Unpack { how, packed: 0 })
    }

    pub(crate) fn feed(&mut self, packed: &[u8]) -> Result<(), Fault> {
        if packed.is_empty() {
            return Ok(());
        }
        self.packed += packed.len();
        let allowed = self.packed.saturating_mul(MAX_RATIO).saturating_add(SLACK);
        self.out_mut().allowed = allowed;
        let fed = match &mut self.how {
            How::Plain(out) => out.write_all(packed),
            How::Gzip(gzip) => gzip.write_all(packed),
            How::Unsure(..) => return self.decide(packed),
            How::Inflate { inflate, ended, out } => run_inflate(inflate, ended, packed, out),
            How::Zstd { zstd, ended, out } => run_zstd(zstd, ended, packed, out),
        };
        fed.map_err(|_| self.fault())
    }

    /// All of it, if it is whole.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, (Fault, Vec<u8>)> {
        let nothing_fed = self.packed == 0;
        let whole = match &mut self.how {
            How::Plain(_) => true,
            How::Gzip(gzip) => gzip.try_finish().is_ok(),
            How::Unsure(..) => false,
            How::Inflate { ended, .. } | How::Zstd { ended, .. } => *ended,
        };
        let fault = self.fault();
        let bytes = std::mem::take(&mut self.out_mut().bytes);
        // An empty body is empty, whatever it says it is packed with.
        if whole || nothing_fed { Ok(bytes) } else { Err((fault, bytes)) }
    }

    /// What came out so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        match &self.how {
            How::Gzip(gzip) => &gzip.get_ref().bytes,
            How::Plain(out) | How::Unsure(_, out) | How::Inflate { out, .. } | How::Zstd { out, .. } => {
                &out.bytes
            }
        }
    }

    fn out_mut(&mut self) -> &mut Out {
        match &mut self.how {
            How::Gzip(gzip) => gzip.get_mut(),
            How::Plain(out) | How::Unsure(_, out) | How::Inflate { out, .. } | How::Zstd { out, .. } => out,
        }
    }

    fn fault(&mut self) -> Fault {
        if self.out_mut().over { Fault::TooLarge } else { Fault::Damaged }
    }

    /// RFC 1950: the first byte's low half is 8, and both are a multiple of 31.
    fn decide(&mut self, packed: &[u8]) -> Result<(), Fault> {
        let How::Unsure(first, out) = &mut self.how else { return Ok(()) };
        let head: Vec<u8> = first.iter().chain(packed.iter().take(2)).copied().collect();
        let [one, two, ..] = head[..] else {
            *first = head.first().copied();
            return Ok(());
        };
        let zlib = one & 15 == 8 && u16::from_be_bytes([one, two]) % 31 == 0;
        let out = std::mem::replace(out, Out { bytes: Vec::new(), most: 0, allowed: 0, over: false });
        let held = *first;
        self.how = How::Inflate { inflate: Box::new(Decompress::new(zlib)), ended: false, out };
        if let Some(held) = held {
            self.packed -= 1;
            self.feed(&[held])?;
        }
        self.packed -= packed.len();
        self.feed(packed)
    }
}

fn run_inflate(inflate: &mut Decompress, ended: &mut bool, packed: &[u8], out: &mut Out) -> io::Result<()> {
    let mut rest = packed;
    let mut room = [0; 32 << 10];
    while !*ended {
        let (fed, made) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(rest, &mut room, FlushDecompress::None)?;
        let fed = usize::try_from(inflate.total_in() - fed).unwrap_or(usize::MAX);
        let made = usize::try_from(inflate.total_out() - made).unwrap_or(usize::MAX);
        out.write_all(room.get(..made).unwrap_or_default())?;
        rest = rest.get(fed..).unwrap_or_default();
        *ended = status == Status::StreamEnd;
        if fed == 0 && made == 0 && !*ended {
            break;
        }
    }
    // Something follows the end.
    if rest.is_empty() { Ok(()) } else { Err(io::Error::other(Fault::Damaged)) }
}

fn run_zstd(zstd: &mut Zstd<'_>, ended: &mut bool, packed: &[u8], out: &mut Out) -> io::Result<()> {
    let mut from = InBuffer::around(packed);
    let mut room = [0; 32 << 10];
    loop {
        let mut to = OutBuffer::around(&mut room[..]);
        let before = from.pos();
        let left = zstd.run(&mut from, &mut to)?;
        let made = to.as_slice().len();
        let full = made == 32 << 10;
        out.write_all(to.as_slice())?;
        *ended = left == 0;
        if from.pos() == packed.len() && !full {
            return Ok(());
        }
        if from.pos() == before && made == 0 {
            return Err(io::Error::other(Fault::Damaged));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(coding: Coding, text: &[u8]) -> Vec<u8> {
        let fast = flate2::Compression::new(6);
        match coding {
            Coding::Identity => text.to_vec(),
            Coding::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), fast);
                to.write_all(text).and_then(|()| to.finish()).expect("memory")
            }
            Coding::Deflate => {
                let mut to = flate2::write::ZlibEncoder::new(Vec::new(), fast);
                to.write_all(text).and_then(|()| to.finish()).expect("memory")
            }
            Coding::Zstd => zstd::encode_all(text, 3).expect("memory"),
        }
    }

    fn unpack(coding: Coding, packed: &[u8], piece: usize, most: usize) -> Result<Vec<u8>, Fault> {
        let mut unpack = Unpack::new(coding, most)?;
        for piece in packed.chunks(piece) {
            unpack.feed(piece)?;
        }
        unpack.finish().map_err(|(fault, _)| fault)
    }

    const ALL: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];

    #[test]
    fn comes_out_as_it_went_in_whatever_the_pieces() {
        let text: Vec<u8> =
            (0..200_000_u32).flat_map(|n| (n.wrapping_mul(n) % 9_973).to_le_bytes()).collect();
        for coding in ALL {
            let packed = pack(coding, &text);
            for piece in [1, 7, 4_096, usize::MAX] {
                assert!(unpack(coding, &packed, piece, 1 << 20) == Ok(text.clone()), "{coding:?} {piece}");
            }
            assert_eq!(unpack(coding, b"", 1, 10), Ok(Vec::new()));
        }
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        let bare = bare.write_all(&text).and_then(|()| bare.finish()).expect("memory");
        assert!(unpack(Coding::Deflate, &bare, 3, 1 << 20) == Ok(text.clone()));
        let twice = [pack(Coding::Gzip, b"one "), pack(Coding::Gzip, b"two")].concat();
        assert_eq!(unpack(Coding::Gzip, &twice, 5, 100), Ok(b"one two".to_vec()));
    }

    #[test]
    fn what_is_cut_or_damaged_is_said_to_be() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| (n.wrapping_mul(n) % 9_973).to_le_bytes()).collect();
        for coding in ALL {
            let packed = pack(coding, &text);
            for cut in [1, 2, 10, packed.len() / 2, packed.len() - 1] {
                let got = unpack(coding, &packed[..cut], 999, 1 << 20);
                assert_eq!(got, Err(Fault::Damaged), "{coding:?} {cut}");
            }
            let junk = [&packed[..], b"and more"].concat();
            assert_eq!(unpack(coding, &junk, 999, 1 << 20), Err(Fault::Damaged), "{coding:?}");
            assert_eq!(unpack(coding, b"plain text", 999, 1 << 20), Err(Fault::Damaged), "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_ends_where_the_limit_is() {
        let zeros = vec![0; 4 << 20];
        for coding in ALL {
            let packed = pack(coding, &zeros);
            let mut bomb = Unpack::new(coding, 1 << 30).expect("a decoder");
            let fed = packed.chunks(100).try_for_each(|piece| bomb.feed(piece));
            assert_eq!(fed, Err(Fault::TooLarge), "{coding:?}: by the ratio");
            assert!(bomb.so_far().len() <= packed.len() * MAX_RATIO + SLACK, "{coding:?}");
            let text: Vec<u8> =
                (0..200_000_u32).flat_map(|n| (n.wrapping_mul(n) % 9_973).to_le_bytes()).collect();
            assert_eq!(unpack(coding, &pack(coding, &text), 99, 1_000), Err(Fault::TooLarge), "{coding:?}");
        }
    }
}
