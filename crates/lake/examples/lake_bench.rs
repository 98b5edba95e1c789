//! Measures the lake: `cargo run --release -p portreeve-lake --example lake_bench -- DIR ROWS [DAYS]`.
//!
//! Writes made-up events of 30 days (or DAYS) into DIR (kept, so that a second run only searches) and says what took how long.

use portreeve_lake::{Block, Col, Evidence, Journal, JournalBatch, JournalOptions, Lake, Query, Recorded};
use portreeve_model::event::{Act, Event, Outcome, Service};
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip, SymbolTable};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

type Any = Box<dyn std::error::Error>;

const USERS: u64 = 20_000;
const BEGIN: i64 = 1_790_000_000 / 86_400 * DAY_US;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn record(out: &mut Vec<u8>, rng: &mut Rng, time: i64, user: &str, ip: Ip, sid: u64) {
    out.clear();
    let (a, b) = (rng.below(60_000), rng.below(1_000_000));
    // Writing to a vector cannot fail.
    write!(
        out,
        "<166>{} fw1 %ASA-6-722055: Group <staff> User <{user}> IP <{ip}> Client Type: Cisco AnyConnect VPN Agent \
         for Windows 5.1.{} port {a} bytes {b} session {sid:x} Duration: 0h:{}m:{}s policy DfltGrpPolicy",
        EventTime(time),
        rng.below(9),
        rng.below(60),
        rng.below(60)
    )
    .ok();
}

fn cpu() -> Duration {
    // utime and stime of this process, in ticks of 10 ms.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, r)| r);
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn out(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").ok();
}

fn journal(dir: &Path) -> Result<(), Any> {
    let mut rng = Rng(7);
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    let mut one = Vec::new();
    for n in 0..1_000 {
        let user = format!("user{}", rng.below(USERS));
        record(&mut one, &mut rng, BEGIN + n * 10, &user, Ip::v4(203, 0, 113, 7), n as u64);
        bytes.extend_from_slice(&one);
        ends.push(u32::try_from(bytes.len())?);
    }
    for (name, compression) in [
        ("none", None),
        ("zstd -5", Some(-5)),
        ("zstd -3", Some(-3)),
        ("zstd -1", Some(-1)),
        ("zstd 1", Some(1)),
    ] {
        let at = dir.join("journal");
        let mut journal = Journal::open(&at, JournalOptions { compression, ..JournalOptions::default() }, 0)?;
        let (started, before) = (Instant::now(), cpu());
        let batch = JournalBatch {
            origin: "edge",
            door: "syslog",
            arrival: EventTime(BEGIN),
            bytes: &bytes,
            ends: &ends,
            places: &[],
        };
        // 500 groups of 1,000 records, each with a sync, as 100,000 a second with one every 10 ms.
        for _ in 0..500 {
            journal.append(&[batch])?;
            journal.sync()?;
        }
        let (wall, used) = (started.elapsed(), cpu() - before);
        out(format_args!(
            "journal, {name}: 500,000 records of {} B, 500 syncs: {wall:.2?}, CPU {used:.2?}: {:.1} % of a core at 100,000/s; {} MB",
            bytes.len() / 1_000,
            used.as_secs_f64() / 5.0 * 100.0,
            journal.bytes() >> 20
        ));
        drop(journal);
        std::fs::remove_dir_all(&at)?;
    }
    Ok(())
}

fn fill(lake: &Lake, rows: u64, days: i64) -> Result<(), Any> {
    let mut rng = Rng(42);
    let names = SymbolTable::default();
    let users: Vec<_> = (0..USERS).map(|n| names.intern(&format!("user{n:05}@acme.example"))).collect();
    let (source, host, group) = (names.intern("cisco_asa"), names.intern("fw1"), names.intern("staff"));
    let step = days * DAY_US / i64::try_from(rows)?;
    let mut block = Block::new();
    let mut raw = Vec::new();
    let (started, before) = (Instant::now(), cpu());
    let mut pushing = Duration::ZERO;
    for seq in 1..=rows {
        let time = BEGIN + i64::try_from(seq)? * step;
        // A few people are busy and most are not.
        let who = rng.below(USERS).min(rng.below(USERS)).min(rng.below(USERS));
        let ip = Ip::v4(203, (who >> 8) as u8, who as u8, rng.below(4) as u8);
        let sid = who * 1_000 + seq / 100_000;
        let user = names.text(users[who as usize]);
        record(&mut raw, &mut rng, time, &user, ip, sid);
        let event = Event {
            time: EventTime(time),
            key: rng.next(),
            src_ip: ip,
            dst_ip: Ip::v4(10, 0, rng.below(8) as u8, rng.below(200) as u8),
            act: Act::ALL[rng.below(18) as usize],
            outcome: if rng.below(9) == 0 { Outcome::Failure } else { Outcome::Success },
            service: Service::Vpn,
            source,
            user: users[who as usize],
            host,
            group,
            sid: names.intern(&format!("{sid:x}")),
            bytes_in: rng.below(1 << 20),
            duration_s: rng.below(3_600) as u32,
            ..Event::default()
        };
        let at = Instant::now();
        let line = u32::try_from(seq)?;
        let recorded = Recorded {
            seq,
            arrival: EventTime(time),
            origin: "edge",
            line,
            offset: seq * 200,
            raw: &raw,
            ..Recorded::default()
        };
        block.push_event(&event, &names, &recorded);
        pushing += at.elapsed();
        if block.len() == 50_000 || seq == rows {
            lake.push(std::mem::take(&mut block));
        }
        if seq % 500_000 == 0 || seq == rows {
            lake.flush(seq)?;
        }
    }
    let (wall, used) = (started.elapsed(), cpu() - before);
    out(format_args!(
        "fill: {rows} rows: {wall:.1?}, CPU {used:.1?} ({:.2} µs a row with the making of it; pushing {:.2} µs)",
        used.as_secs_f64() * 1e6 / rows as f64,
        pushing.as_secs_f64() * 1e6 / rows as f64
    ));
    let (started, before) = (Instant::now(), cpu());
    let done = lake.compact(EventTime(BEGIN + (days + 2) * DAY_US))?;
    out(format_args!("compact: {done:?}: {:.1?}, CPU {:.1?}", started.elapsed(), cpu() - before));
    Ok(())
}

fn ask(lake: &Lake, what: &str, query: &Query) -> Result<(), Any> {
    for turn in ["first", "again"] {
        let (started, before) = (Instant::now(), cpu());
        let page = lake.search(query)?;
        out(format_args!(
            "{what} ({turn}): {} rows in {:.0?}, CPU {:.0?}, {:?}",
            page.rows.len(),
            started.elapsed(),
            cpu() - before,
            page.looked
        ));
    }
    Ok(())
}

fn main() -> Result<(), Any> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(rows)) = (args.next(), args.next()) else {
        return Err("usage: lake_bench DIR ROWS [DAYS]".into());
    };
    let days: i64 = args.next().map_or(Ok(30), |d| d.parse())?;
    let (dir, rows) = (Path::new(&dir), rows.parse::<u64>()?);
    std::fs::create_dir_all(dir)?;
    journal(dir)?;
    let opened = Instant::now();
    let lake = Lake::local(&dir.join("lake"))?;
    out(format_args!("open: {:.1?}", opened.elapsed()));
    if lake.view().rows() == 0 {
        fill(&lake, rows, days)?;
    }
    let view = lake.view();
    out(format_args!(
        "{} rows, {} files, {} MB",
        view.rows(),
        view.manifest().files.len(),
        view.manifest().bytes() >> 20
    ));
    let from = EventTime(BEGIN + (days - 7) / 2 * DAY_US);
    let week = Query { from: Some(from), to: Some(from.plus(7 * DAY_US)), ..Query::default() };
    let user = |n: u64| Some(format!("user{n:05}"));
    ask(&lake, "newest 100 of a week", &week)?;
    ask(&lake, "busy user, week, 100", &Query { user: user(3), ..week.clone() })?;
    ask(&lake, "busy user, week, all", &Query { user: user(3), limit: 100_000, ..week.clone() })?;
    ask(&lake, "middling user, week, all", &Query { user: user(9_000), limit: 100_000, ..week.clone() })?;
    ask(&lake, "rare user, week, all", &Query { user: user(19_800), limit: 100_000, ..week.clone() })?;
    ask(&lake, "nobody, week", &Query { user: Some("nobody".into()), ..week.clone() })?;
    ask(&lake, "nobody, all days", &Query { user: Some("nobody".into()), ..Query::default() })?;
    ask(&lake, "address, week, 100", &Query { address: Some(Ip::v4(203, 0, 9, 2)), ..week.clone() })?;
    ask(
        &lake,
        "middling user, failures, week",
        &Query { user: user(9_000), outcome: Some("failure".into()), ..week.clone() },
    )?;
    let hour = Query { to: Some(from.plus(HOUR_US)), ..week.clone() };
    ask(&lake, "text in an hour, absent", &Query { text: Some("no such text".into()), ..hour.clone() })?;
    ask(&lake, "text in a week, 100", &Query { text: Some("SESSION 2".into()), ..week.clone() })?;
    let started = Instant::now();
    let hours = view.hours(&Query { user: user(3), ..week.clone() })?;
    out(format_args!(
        "hours of a user in a week: {} in {:.0?}",
        hours.0.iter().sum::<u64>(),
        started.elapsed()
    ));
    let started = Instant::now();
    let by = view.count_by(Col::Act, &Query { user: user(3), ..week.clone() }, 20)?;
    out(format_args!("acts of a user in a week: {} in {:.0?}", by.rows, started.elapsed()));
    let started = Instant::now();
    let by = view.count_by(Col::UserKey, &week, 20)?;
    out(format_args!("users of a week: {} rows in {:.0?}", by.rows, started.elapsed()));
    let page = lake.search(&Query { user: user(9_000), limit: 50, ..week })?;
    let wanted: Vec<Evidence> = page
        .rows
        .iter()
        .map(|r| Evidence { origin: r.origin.clone(), line: r.line, offset: r.offset, time: r.time })
        .collect();
    let started = Instant::now();
    let got = view.fetch(&wanted)?;
    let same = got.iter().zip(&page.rows).filter(|(g, r)| g.as_ref() == Some(&r.raw)).count();
    out(format_args!("evidence: {same} of {} records in {:.0?}", wanted.len(), started.elapsed()));
    Ok(())
}
