//! Whatever the bytes, every source gives an answer.

use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, RawRef, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::{Emit, all};
use proptest::prelude::*;

/// A share of all sources, `turn` by `turn`, and those that claim the record.
fn some_sources(bytes: &[u8], turn: usize) {
    const SHARE: usize = 12;
    let clock = Clock::utc().near(EventTime(0), EventTime(1));
    let names = SymbolTable::new();
    let mut interner = Interner::new(names);
    let mut scratch = Vec::new();
    let record = frame::frame(bytes, RawRef::default(), &clock, &mut scratch);
    let mut events = Vec::new();
    for (n, source) in all().enumerate() {
        if !source.claims(&record) && !(n + turn).is_multiple_of(SHARE) {
            continue;
        }
        source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
    }
}

/// Lines of the fixtures, cut and disturbed.
fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, _, folder) in crate::fixtures::folders() {
        for path in crate::fixtures::entries(&folder)
            .into_iter()
            .filter(|p| p.extension().is_some_and(|e| e != "snap"))
        {
            let bytes = std::fs::read(path).expect("readable");
            all.extend(bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
        }
    }
    all
}

#[test]
fn every_fixture_cut_at_every_place() {
    for (n, line) in seeds().iter().enumerate() {
        for (turn, end) in (0..line.len()).step_by(1 + line.len() / 32).enumerate() {
            some_sources(&line[..end], n + turn);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn disturbed_lines(pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), put in proptest::collection::vec(any::<u8>(), 0..8), cut in 0usize..12) {
        let seeds = seeds();
        let mut line = seeds[pick.index(seeds.len())].clone();
        let at = at.index(line.len());
        let end = (at + cut).min(line.len());
        line.splice(at..end, put);
        (0..12).for_each(|turn| some_sources(&line, turn));
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        (0..12).for_each(|turn| some_sources(&bytes, turn));
    }
}
