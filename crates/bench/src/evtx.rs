//! Windows event files: reading them with all that follows, against unpacking them alone.

use crate::formats::cpu;
use anyhow::{Context, bail};
use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::reader::{Limits, read};
use portreeve_sources::{Emit, Recogniser};

/// Small files are read so often that a run takes a while.
const TIMES: usize = 40;

/// `evtx FILE …`: any .evtx files.
pub(crate) fn run(files: &[String]) -> anyhow::Result<()> {
    if files.is_empty() {
        bail!("evtx needs files");
    }
    let all: Vec<Vec<u8>> =
        files.iter().map(|f| std::fs::read(f).with_context(|| f.clone())).collect::<anyhow::Result<_>>()?;
    let clock = Clock::utc().near(EventTime(0), EventTime(1));
    let once = |parse: bool| -> anyhow::Result<(f64, u64)> {
        let mut interner = Interner::new(SymbolTable::new());
        let (mut events, mut scratch) = (Vec::new(), Vec::new());
        let mut recogniser = Recogniser::default();
        let mut records = 0;
        let from = cpu()?;
        for bytes in (0..TIMES).flat_map(|_| &all) {
            read(&mut &bytes[..], Some(bytes.len() as u64), 0, &Limits::default(), &mut |raw| {
                records += 1;
                if parse {
                    let record = frame::frame(raw.bytes, raw.at, &clock, &mut scratch);
                    if let Some(source) = recogniser.recognise(&record) {
                        source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
                    }
                    events.clear();
                }
                true
            });
        }
        Ok((cpu()? - from, records))
    };
    let best = |parse: bool| -> anyhow::Result<(f64, u64)> {
        let runs: Vec<(f64, u64)> = (0..5).map(|_| once(parse)).collect::<anyhow::Result<_>>()?;
        runs.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).context("a run")
    };
    let (alone, records) = best(false)?;
    let (whole, _) = best(true)?;
    println!(
        "{records} records: unpacked alone {:.0} k/CPU s, unpacked and read {:.0} k/CPU s, {:.2} times",
        records as f64 / alone / 1e3,
        records as f64 / whole / 1e3,
        whole / alone
    );
    Ok(())
}
