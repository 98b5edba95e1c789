//! Who reads a record: remembered where neighbours look alike, looked up where they do not.

use crate::catalog::{Catalog, Clash};
use crate::record::{Record, Shape};
use crate::source::Source;
use std::collections::BTreeSet;

/// How many looks are remembered: more than a mixed stream of a whole company has kinds of records. Memory that was not
/// touched costs nothing.
const LOOKS: usize = 1 << 14;

/// Finds who reads a record. Claims decide; what is remembered only says whom to ask first, so the answer does not
/// depend on what was read before.
pub struct Recogniser {
    catalog: &'static Catalog,
    only: Option<&'static Source>,
    named: Option<&'static Source>,
    last: usize,
    /// How the last record began.
    begins: u64,
    /// Look of a record, and who read the last two kinds that looked so, counted from 1: a firewall's traffic and its
    /// logins begin alike.
    looks: Box<[(u32, [u16; 2])]>,
    seen: Vec<u16>,
    clashes: BTreeSet<Clash>,
}

impl Default for Recogniser {
    fn default() -> Self {
        Recogniser::new(Catalog::built_in())
    }
}

impl Recogniser {
    pub fn new(catalog: &'static Catalog) -> Self {
        Recogniser {
            catalog,
            only: None,
            named: None,
            last: usize::MAX,
            begins: 0,
            looks: vec![(0, [0; 2]); LOOKS].into_boxed_slice(),
            seen: Vec::new(),
            clashes: BTreeSet::new(),
        }
    }

    /// Only this source reads, whatever the records look like.
    pub fn only(source: &'static Source) -> Self {
        Recogniser { only: Some(source), looks: Box::default(), ..Recogniser::new(Catalog::built_in()) }
    }

    /// Where this source and others claim a record, it is this one's.
    pub fn named(self, source: Option<&'static Source>) -> Self {
        Recogniser { named: source, ..self }
    }

    /// Sources that were found to claim the same records.
    pub fn clashes(&mut self) -> BTreeSet<Clash> {
        std::mem::take(&mut self.clashes)
    }

    pub fn recognise(&mut self, record: &Record<'_>) -> Option<&'static Source> {
        if self.only.is_some() {
            return self.only;
        }
        if let Some(named) = self.named
            && named.claims(record)
            && named.marked(record)
        {
            return Some(named);
        }
        // A claim may read the whole record: the last source is asked only where the record begins as its last did.
        let begins = begins(record);
        let alike = begins == self.begins;
        self.begins = begins;
        if alike
            && let Some(last) = self.catalog.get(self.last)
            && last.claims(record)
        {
            return Some(last);
        }
        let look = look(record);
        let slot = look as usize % LOOKS;
        if let Some((known, both)) = self.looks.get(slot)
            && *known == look
        {
            for at in both.iter().filter_map(|at| usize::from(*at).checked_sub(1)) {
                if let Some(source) = self.catalog.get(at)
                    && source.claims(record)
                {
                    self.last = at;
                    return Some(source);
                }
            }
        }
        let clashes = &mut self.clashes;
        let at = self.catalog.find(record, &mut self.seen, |clash| {
            clashes.insert(clash);
        })?;
        let source = self.catalog.get(at)?;
        // A general source reads only what nobody else does, and that must be asked each time.
        if !source.general {
            self.last = at;
            if let Some(slot) = self.looks.get_mut(slot) {
                let other = if slot.0 == look { slot.1[0] } else { 0 };
                *slot = (look, [u16::try_from(at + 1).unwrap_or(0), other]);
            }
        }
        Some(source)
    }
}

/// The program that wrote a record, or else its first bytes.
fn begins(record: &Record<'_>) -> u64 {
    let eight = |text: &[u8]| {
        let mut first = [0u8; 8];
        let n = text.len().min(8);
        first[..n].copy_from_slice(&text[..n]);
        u64::from_le_bytes(first)
    };
    match record.header.program {
        b"" => eight(record.body),
        program => eight(program).rotate_left(32) ^ (program.len() as u64),
    }
}

/// What records of one kind have in common: of JSON its first keys, of text the program and the first characters,
/// digits folded.
fn look(record: &Record<'_>) -> u32 {
    const K: u32 = 0x9e37_79b1;
    let mix = |h: u32, b: u8| (h.rotate_left(5) ^ u32::from(b)).wrapping_mul(K);
    let mut h = record.header.program.iter().fold(1u32, |h, b| mix(h, *b));
    let body = record.body;
    if record.shape == Shape::Json {
        let head = &body[..body.len().min(200)];
        let mut at = 0;
        while let Some(open) = head.get(at..).and_then(|t| memchr::memchr(b'"', t)).map(|n| n + at + 1) {
            let Some(close) = memchr::memchr(b'"', &head[open..]).map(|n| n + open) else { break };
            if head[close + 1..].trim_ascii_start().first() == Some(&b':') {
                h = head[open..close].iter().fold(mix(h, b':'), |h, b| mix(h, *b));
            }
            at = close + 1;
        }
        return h | 1;
    }
    let mut digits = false;
    for b in body.iter().take(24) {
        if b.is_ascii_digit() {
            if !digits {
                h = mix(h, b'0');
            }
            digits = true;
        } else {
            digits = false;
            h = mix(h, *b);
        }
    }
    h | 1
}
