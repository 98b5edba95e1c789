//! The deterministic run: the fixtures, disturbed in the same way every time. `steady ROUNDS [SEED]`.

use anyhow::Context;
use portreeve_fuzz::{Numbers, any_source, decode, disturb, source_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One input that takes longer hangs.
const SLOWEST: Duration = Duration::from_secs(2);

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|e| e != "snap") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let rounds: usize = args.next().map_or(Ok(1), |n| n.parse()).context("ROUNDS is a number")?;
    let seed: u64 = args.next().map_or(Ok(1), |n| n.parse()).context("SEED is a number")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut logs, mut described) = (Vec::new(), Vec::new());
    files(&root.join("crates/sources/fixtures"), &mut logs)?;
    files(&root.join("content/sources"), &mut described)?;
    logs.sort();
    described.sort();
    let whole: Vec<Vec<u8>> = logs.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let lines: Vec<&[u8]> =
        whole.iter().flat_map(|f| f.split(|b| *b == b'\n')).filter(|l| !l.is_empty()).collect();
    let texts: Vec<Vec<u8>> = described.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let mut numbers = Numbers::new(seed);
    let (mut runs, mut slowest) = (0u64, Duration::ZERO);
    let mut timed = |what: &str, bytes: &[u8], run: fn(&[u8])| -> anyhow::Result<()> {
        let from = Instant::now();
        run(bytes);
        let took = from.elapsed();
        anyhow::ensure!(took < SLOWEST, "{what} took {took:?} for {:?}", String::from_utf8_lossy(bytes));
        slowest = slowest.max(took);
        runs += 1;
        Ok(())
    };
    for _ in 0..rounds {
        for line in &lines {
            let other = lines.get(numbers.below(lines.len())).copied().unwrap_or_default();
            timed("any_source", &disturb(line, other, &mut numbers), any_source)?;
        }
        for file in &whole {
            let other = whole.get(numbers.below(whole.len())).map_or(&b""[..], |f| f.as_slice());
            timed("decode", &disturb(file, other, &mut numbers), decode)?;
        }
        for text in &texts {
            timed("source_file", &disturb(text, b"", &mut numbers), source_file)?;
        }
    }
    writeln!(std::io::stdout(), "{runs} disturbed inputs, none panicked; the slowest took {slowest:?}")?;
    Ok(())
}
