//! Reading alone: how fast each product's records are framed, recognised and parsed, one thread. The records are those of
//! the fixtures (and of the test lines inside sources without code), repeated; what they hold is what a real log holds.

use anyhow::Context;
use nix::sys::resource::{UsageWho, getrusage};
use portreeve_model::intern::Interner;
use portreeve_model::{EventTime, RawRef, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::reader::{Limits, read};
use portreeve_sources::{Catalog, Emit, Recogniser, Shape, Source, all, mapping};
use std::path::{Path, PathBuf};

/// Records read for one figure.
const RECORDS: usize = 200_000;

/// Records of one product, and the form that most of them have.
pub(crate) struct Lines {
    pub(crate) source: &'static Source,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) form: &'static str,
}

fn clock() -> Clock {
    Clock::utc()
        .near(EventTime::from_civil(2026, 1, 1, 0, 0, 0, 0), EventTime::from_civil(2026, 12, 31, 0, 0, 0, 0))
}

/// The fixtures of every source.
pub(crate) fn lines() -> anyhow::Result<Vec<Lines>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources/fixtures");
    let mut found = Vec::new();
    for source in all() {
        let mut records: Vec<Vec<u8>> =
            mapping::test_lines(source).iter().map(|l| l.as_bytes().to_vec()).collect();
        let folder = root.join(source.row.folder()).join(source.name);
        if folder.is_dir() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?.flatten().map(|e| e.path()).collect();
            files.sort();
            for file in files.iter().filter(|f| f.extension().is_some_and(|e| e != "snap")) {
                let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
                read(&mut &bytes[..], Some(bytes.len() as u64), 0, &Limits::default(), &mut |raw| {
                    records.push(raw.bytes.to_vec());
                    true
                });
            }
        }
        let most = |sign: &[u8]| records.iter().filter(|r| r.starts_with(sign)).count() * 2 > records.len();
        let form = match () {
            () if most(b"{") => "json",
            () if most(b"<Event") => "xml",
            () if records.iter().filter(|r| r.starts_with(b"{") || r.starts_with(b"<Event")).count() * 3
                > records.len() =>
            {
                "several"
            }
            () => "text",
        };
        if !records.is_empty() {
            found.push(Lines { source, records, form });
        }
    }
    Ok(found)
}

/// Seconds of processor time of this process.
pub(crate) fn cpu() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Reads the records over and over; thousand records per CPU-second.
pub(crate) fn rate<'l>(
    catalog: &'static Catalog,
    records: impl Iterator<Item = &'l [u8]> + Clone,
    wanted: usize,
) -> anyhow::Result<f64> {
    let clock = clock();
    let mut interner = Interner::new(SymbolTable::new());
    let (mut events, mut scratch) = (Vec::new(), Vec::new());
    let mut recogniser = Recogniser::new(catalog);
    let mut run = |n: usize| {
        let mut shapes = 0usize;
        for bytes in records.clone().cycle().take(n) {
            let record = frame::frame(bytes, RawRef::default(), &clock, &mut scratch);
            shapes += usize::from(record.shape != Shape::Text);
            if let Some(source) = recogniser.recognise(&record) {
                source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
            }
            events.clear();
        }
        shapes
    };
    run(2_000);
    let from = cpu()?;
    std::hint::black_box(run(wanted));
    Ok(wanted as f64 / (cpu()? - from) / 1e3)
}

/// Each product by itself, then all of them mixed against the mean of the parts, then with fewer products known.
pub(crate) fn run(names: &[String]) -> anyhow::Result<()> {
    let all = lines()?;
    if names.first().is_some_and(|n| n == "mixed") {
        return mixed(&all);
    }
    println!("{:22} {:>8} {:>8} {:>9} {:>6}", "source", "form", "bytes", "k/CPU s", "goal");
    for l in all.iter().filter(|l| names.is_empty() || names.iter().any(|n| n == l.source.name)) {
        let rate = rate(Catalog::built_in(), l.records.iter().map(Vec::as_slice), RECORDS)?;
        let bytes = l.records.iter().map(Vec::len).sum::<usize>() / l.records.len();
        let goal = if l.form == "text" { 400 } else { 250 };
        println!("{:22} {:>8} {bytes:>8} {rate:>9.0} {goal:>6}", l.source.name, l.form);
    }
    if !names.is_empty() {
        return Ok(());
    }
    mixed(&all)
}

/// Ten products, as many as a relay of a company may write into one file, and then all of them at once.
fn mixed(all: &[Lines]) -> anyhow::Result<()> {
    let ten: Vec<&Lines> = all.iter().filter(|l| TEN.contains(&l.source.name)).collect();
    woven(&ten)?;
    woven(&all.iter().collect::<Vec<_>>())?;
    known(all, &ten)
}

/// The same records product by product, and and a new product every record.
fn woven(all: &[&Lines]) -> anyhow::Result<()> {
    let longest = all.iter().map(|l| l.records.len()).max().unwrap_or(0);
    let of = |l: &&Lines| -> Vec<Vec<u8>> { l.records.iter().cycle().take(longest).cloned().collect() };
    let apart: Vec<Vec<u8>> = all.iter().flat_map(of).collect();
    // As a relay writes them: no two neighbours are of one product, the hardest a file can be.
    let woven: Vec<&[u8]> = (0..longest)
        .flat_map(|n| (0..all.len()).map(move |p| p * longest + n))
        .filter_map(|at| apart.get(at).map(Vec::as_slice))
        .collect();
    // In turn, so that a machine whose speed drifts does not decide.
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let one = rate(Catalog::built_in(), apart.iter().map(Vec::as_slice), RECORDS)?;
        pairs.push((one, rate(Catalog::built_in(), woven.iter().copied(), RECORDS)?));
    }
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (one, other) = pairs.get(pairs.len() / 2).copied().context("a pair")?;
    println!(
        "\n{} records of {} products, product by product: {one:.0} k/CPU s; a new product every record: {other:.0}; slower by {:.0} %",
        apart.len(),
        all.len(),
        (one / other - 1.0) * 100.0
    );
    Ok(())
}

/// The same ten products with ten, forty and all known.
fn known(all: &[Lines], ten: &[&Lines]) -> anyhow::Result<()> {
    let of_ten = || ten.iter().flat_map(|l| l.records.iter().map(Vec::as_slice));
    for known in [ten.len(), 40, all.len()] {
        let mut sources: Vec<&'static Source> = ten.iter().map(|l| l.source).collect();
        let more = all.iter().map(|l| l.source).filter(|s| !TEN.contains(&s.name));
        sources.extend(more.take(known.saturating_sub(sources.len())));
        let count = sources.len();
        let catalog: &'static Catalog = Box::leak(Box::new(Catalog::of(sources)));
        println!(
            "the same ten products with {count} known: {:.0} k/CPU s",
            rate(catalog, of_ten(), RECORDS * 2)?
        );
    }
    Ok(())
}

const TEN: [&str; 10] = [
    "cisco_asa",
    "fortigate",
    "openssh",
    "openvpn",
    "netscaler",
    "windows_security",
    "okta",
    "entra",
    "cloudtrail",
    "kubernetes_audit",
];
