//! A search over many records: one user, one week.

use super::http::Client;
use super::lines::Lines;
use super::service::{Running, Setup};
use super::{Asked, Table, spread};
use crate::workloads::Dice;
use anyhow::bail;
use jiff::{Timestamp, ToSpan};
use portreeve_lake::{Journal, JournalBatch, JournalOptions};
use portreeve_model::EventTime;
use std::path::Path;
use std::time::{Duration, Instant};

/// Lines of one batch, which have one moment.
const BATCH: u64 = 500;
/// Batches between two syncs.
const SYNC: u64 = 64;
/// Without any progress for so long, it will not be read any more.
const PATIENCE: Duration = Duration::from_secs(180);
const WEEK_S: i64 = 7 * 86_400;

pub(super) fn run(asked: &Asked) -> anyhow::Result<()> {
    let rows = asked.number("--rows", 10_000_000)?;
    let days = i64::try_from(asked.number("--days", 60)?)?.max(8);
    let times = asked.number("--times", 50)?;
    let users = asked.number("--users", 20_000)?;
    let end = Timestamp::now();
    let begin = end - (days * 24).hours();
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let filling = Instant::now();
    fill(&data.join("journal"), rows, users, begin, end)?;
    let filled = filling.elapsed().as_secs_f64();
    let reading = Instant::now();
    let service = Running::start(&Setup { dir: Some(dir.path().to_owned()), ..asked.setup()? })?;
    let mut client = Client::connect(service.address)?;
    let (mut last, mut moved) = ((-1.0, -1.0), Instant::now());
    loop {
        let f = service.figures(&mut client)?;
        let (judged, waiting) = (f.get("records_judged_total"), f.get("lake_waiting_rows"));
        if judged >= rows as f64 && waiting == 0.0 {
            break;
        }
        if (judged, waiting) != last {
            (last, moved) = ((judged, waiting), Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            bail!("{judged} of {rows} records were judged, {waiting} rows are not in a file");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let read = reading.elapsed().as_secs_f64();
    let mut table = Table::default();
    table.row(
        "records",
        format!("{rows} over {days} days, {users} users; put into the journal in {filled:.1} s"),
    );
    table.row("read, judged, in files", format!("{read:.1} s: {:.0} records/s", rows as f64 / read));
    table.row("of the lake", format!("{:.1} MB", super::service::size_of(&data.join("lake")) as f64 / 1e6));
    let mut client = service.signed_in()?;
    let mut dice = Dice(7);
    let (mut taken, mut found, mut looked, mut first) = (Vec::new(), 0u64, 0u64, f64::NAN);
    for n in 0..times {
        let room = u64::try_from((end.as_second() - begin.as_second() - WEEK_S).max(1))?;
        let from = begin.as_second() + i64::try_from(dice.below(room))?;
        let span = [from, from + WEEK_S].map(Timestamp::from_second);
        let [from, to] = [span[0].clone()?, span[1].clone()?];
        let path = format!("/api/v1/search?user=u{:05}&from={from}&to={to}&limit=1000", dice.below(users));
        let begun = Instant::now();
        let answer = client.get(&path)?.good("search")?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        if n == 0 {
            first = took;
        }
        taken.push(took);
        let page: serde_json::Value = serde_json::from_slice(&answer.body)?;
        found += page["rows"].as_array().map_or(0, Vec::len) as u64;
        looked += page["looked_at"].as_u64().unwrap_or_default();
    }
    let [median, high, most] = spread(&mut taken);
    table.row(
        "one user, one week",
        format!(
            "{times} searches: first {first:.0} ms, p50 {median:.0} ms, p95 {high:.0} ms, max {most:.0} ms"
        ),
    );
    let each = |n: u64| n as f64 / times.max(1) as f64;
    table.row(
        "of each",
        format!("{:.1} rows found, {:.0} rows whose columns were read", each(found), each(looked)),
    );
    table.row(
        "memory",
        format!("peak {:.0} MiB, now {:.0} MiB", service.memory("VmHWM")?, service.memory("VmRSS")?),
    );
    table.print();
    if found == 0 {
        bail!("no search found anything");
    }
    Ok(())
}

/// Writes lines into the journal as doors would have handed them over.
fn fill(dir: &Path, rows: u64, users: u64, begin: Timestamp, end: Timestamp) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut journal = Journal::open(dir, JournalOptions::default(), 0)?;
    let mut lines = Lines::new(users, 1);
    let length = (end.as_microsecond() - begin.as_microsecond()) as f64;
    let (mut done, mut batches) = (0u64, 0u64);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    while done < rows {
        let at = begin.as_microsecond() + (length * done as f64 / rows as f64) as i64;
        lines.at(Timestamp::from_microsecond(at)?);
        bytes.clear();
        ends.clear();
        let some = BATCH.min(rows - done);
        for _ in 0..some {
            lines.push(&mut bytes);
            ends.push(u32::try_from(bytes.len())?);
        }
        let (bytes, ends, places) = (&bytes[..], &ends[..], &[][..]);
        let batch =
            JournalBatch { origin: "site0", door: "syslog", arrival: EventTime(at), bytes, ends, places };
        journal.append(&[batch])?;
        done += some;
        batches += 1;
        if batches.is_multiple_of(SYNC) {
            journal.sync()?;
        }
    }
    journal.sync()?;
    Ok(())
}
