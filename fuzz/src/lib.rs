//! What hostile bytes are thrown at: the decoders, every source, and the reader of sources' text files. The
//! coverage-guided targets and the deterministic run of CI call the same functions. CONTRIBUTING.md says how to run them.

use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, RawRef, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::join::Joiner;
use portreeve_sources::decode::reader::{Limits, read};
use portreeve_sources::{Emit, Parsed, Recogniser, all, mapping};

/// Small, so that a bomb is found in seconds and not in gigabytes.
fn limits() -> Limits {
    Limits { free_bytes: 1 << 20, bytes: 8 << 20, entries: 64, record_bytes: 1 << 16, ..Limits::default() }
}

fn clock() -> Clock {
    Clock::utc()
        .near(EventTime::from_civil(2026, 1, 1, 0, 0, 0, 0), EventTime::from_civil(2026, 12, 31, 0, 0, 0, 0))
}

/// A whole file: unpacked, split, framed, recognised, parsed, put together.
pub fn decode(bytes: &[u8]) {
    let clock = clock();
    let mut interner = Interner::new(SymbolTable::new());
    let (mut events, mut scratch) = (Vec::new(), Vec::new());
    let (mut recogniser, mut joiner) = (Recogniser::default(), Joiner::default());
    let mut wholes = Vec::new();
    let mut records = 0u32;
    read(&mut &bytes[..], Some(bytes.len() as u64), 0, &limits(), &mut |raw| {
        let record = frame::frame(raw.bytes, raw.at, &clock, &mut scratch);
        if let Some(source) = recogniser.recognise(&record) {
            let parsed = source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
            if let Parsed::Fragment(fragment) = parsed {
                wholes.extend(joiner.take(source, fragment, record.raw, raw.at));
            }
        }
        events.clear();
        records += 1;
        records < 20_000
    });
    let (done, left) = joiner.end_of_input();
    wholes.extend(done);
    wholes.extend(left.into_iter().filter_map(|open| joiner.go_on(open)));
    wholes.extend(joiner.finish());
    for whole in wholes {
        let mut scratch = Vec::new();
        let mut record = frame::frame(&whole.bytes, whole.at, &clock, &mut scratch);
        record.joined = true;
        whole.source.read(&record, &mut Emit::new(&mut interner, &mut events, whole.source, &record));
        events.clear();
    }
}

/// One record, given to every source whether it claims it or not.
pub fn any_source(bytes: &[u8]) {
    let clock = clock();
    let mut interner = Interner::new(SymbolTable::new());
    let (mut events, mut scratch) = (Vec::new(), Vec::new());
    for joined in [false, true] {
        let mut record = frame::frame(bytes, RawRef::default(), &clock, &mut scratch);
        record.joined = joined;
        for source in all() {
            source.claims(&record);
            source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
            events.clear();
        }
    }
}

/// A text file that describes a source, and its own lines.
pub fn source_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(source) = mapping::source(text) {
        mapping::failures(source);
    }
}

/// A small generator of numbers that is the same everywhere.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// Disturbs a seed: cut, repeated, overwritten, crossed with another.
pub fn disturb(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const TELLING: [&[u8]; 16] = [
        b"\"",
        b"\\",
        b"{",
        b"[",
        b"=",
        b"|",
        b",",
        b"\0",
        b"\xff",
        b"\n",
        b"<",
        b"%",
        b"9999999999",
        b"-1",
        b"\xe2\x80\xae",
        b"",
    ];
    let mut out = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(out.len() + 1);
        match numbers.below(6) {
            0 => out.truncate(at),
            1 => {
                let end = (at + numbers.below(12)).min(out.len());
                out.drain(at..end);
            }
            2 => {
                let put = TELLING.get(numbers.below(TELLING.len())).copied().unwrap_or_default();
                out.splice(at..at, put.iter().copied());
            }
            3 => {
                let from = numbers.below(other.len() + 1);
                let end = (from + numbers.below(40)).min(other.len());
                let put: Vec<u8> = other.get(from..end).unwrap_or_default().to_vec();
                out.splice(at..at, put);
            }
            4 => {
                let byte = numbers.below(256) as u8;
                if let Some(b) = out.get_mut(at) {
                    *b = byte;
                }
            }
            _ => {
                let end = (at + numbers.below(30)).min(out.len());
                let part: Vec<u8> = out.get(at..end).unwrap_or_default().to_vec();
                for _ in 0..numbers.below(20) {
                    out.splice(at..at, part.iter().copied());
                }
            }
        }
    }
    out
}
