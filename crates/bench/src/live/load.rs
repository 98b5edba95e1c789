//! Load at a pace, over syslog, Splunk's collector or the bulk API, and what became of it.

use super::http::Client;
use super::lines::Lines;
use super::service::{Running, token};
use super::{Asked, Table};
use anyhow::{Context, bail};
use jiff::Timestamp;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often lines that are due are sent.
const TICK: Duration = Duration::from_millis(20);
/// Lines of one request.
const BATCH: u64 = 500;
/// Lines of one write to a socket, at most.
const BURST: u64 = 2_000;
/// Without any progress for so long, it will not be judged any more.
const PATIENCE: Duration = Duration::from_secs(120);
/// After that all figures know of the last record.
const SETTLES: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Syslog,
    Hec,
    Bulk,
}

/// What those who send count together.
#[derive(Default)]
pub(super) struct Sent {
    /// Over HTTP, what was answered with success.
    pub(super) lines: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Microseconds in which a socket took nothing.
    blocked_us: AtomicU64,
    /// When the last line was handed over; microseconds after the beginning.
    ended_us: AtomicU64,
    /// Answers that said: come again; and those that nobody expects.
    again_429: AtomicU64,
    again_503: AtomicU64,
    other: AtomicU64,
    pub(super) over: AtomicBool,
}

impl Sent {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// How much, for how long.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Lines a second of one who sends.
    pub(super) rate: f64,
    pub(super) during: Duration,
    pub(super) begun: Instant,
    /// At the end of the time, not of the lines: what the service did not take by then is not sent.
    pub(super) stops: bool,
}

/// Sends lines over one connection with octet counting.
pub(super) fn over_syslog(to: SocketAddr, mut lines: Lines, pace: Pace, sent: &Sent) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to).with_context(|| to.to_string())?;
    let (begun, mut done) = (pace.begun, 0u64);
    let all = (pace.rate * pace.during.as_secs_f64()).round() as u64;
    let (mut bytes, mut line) = (Vec::new(), Vec::new());
    while done < all && !(pace.stops && begun.elapsed() >= pace.during) {
        let due = ((begun.elapsed().as_secs_f64() * pace.rate) as u64).min(all);
        if due <= done {
            std::thread::sleep(TICK);
            continue;
        }
        let some = (due - done).min(BURST);
        lines.at(Timestamp::now());
        bytes.clear();
        for _ in 0..some {
            line.clear();
            lines.push(&mut line);
            write!(bytes, "{} ", line.len())?;
            bytes.extend_from_slice(&line);
        }
        let from = Instant::now();
        stream.write_all(&bytes)?;
        let took = from.elapsed();
        if took > Duration::from_millis(2) {
            Sent::add(&sent.blocked_us, took.as_micros() as u64);
        }
        done += some;
        Sent::add(&sent.lines, some);
        Sent::add(&sent.bytes, bytes.len() as u64);
    }
    sent.ended_us.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
    stream.shutdown(Shutdown::Write)?;
    // The other side closes when it has read all.
    stream.set_read_timeout(Some(Duration::from_secs(600)))?;
    let mut nothing = [0; 64];
    while stream.read(&mut nothing)? > 0 {}
    Ok(())
}

/// Sends batches of lines over one connection that is kept.
fn over_http(
    to: SocketAddr,
    way: Way,
    source: usize,
    mut lines: Lines,
    pace: Pace,
    sent: &Sent,
) -> anyhow::Result<()> {
    let mut client = Client::connect(to)?;
    let scheme = if way == Way::Hec { "Splunk" } else { "Bearer" };
    client.headers = format!("Authorization: {scheme} {}\r\n", token(source));
    let (path, kind) = match way {
        Way::Hec => ("/services/collector", "application/json"),
        _ => ("/es/logs/_bulk", "application/x-ndjson"),
    };
    let (begun, mut done) = (pace.begun, 0u64);
    let all = (pace.rate * pace.during.as_secs_f64()).round() as u64;
    let (mut body, mut line) = (Vec::new(), Vec::new());
    while done < all && !(pace.stops && begun.elapsed() >= pace.during) {
        let due = ((begun.elapsed().as_secs_f64() * pace.rate) as u64).min(all);
        let some = BATCH.min(all - done);
        if due < done + some {
            std::thread::sleep(TICK);
            continue;
        }
        lines.at(Timestamp::now());
        body.clear();
        for _ in 0..some {
            line.clear();
            lines.push(&mut line);
            enveloped(way, &line, &mut body);
        }
        loop {
            let from = Instant::now();
            let answer = client.post(path, kind, &body)?;
            let took = from.elapsed();
            Sent::add(&sent.blocked_us, took.as_micros() as u64);
            match answer.status {
                200 if way == Way::Bulk && !answer.text().contains("\"errors\":false") => {
                    bail!("bulk: {}", answer.text().chars().take(400).collect::<String>());
                }
                200 => break,
                429 => Sent::add(&sent.again_429, 1),
                503 => Sent::add(&sent.again_503, 1),
                _ => {
                    Sent::add(&sent.other, 1);
                    answer.good(path)?;
                    continue;
                }
            }
            std::thread::sleep(answer.retry_after.unwrap_or(Duration::from_secs(1)));
        }
        done += some;
        Sent::add(&sent.lines, some);
        Sent::add(&sent.bytes, body.len() as u64);
    }
    sent.ended_us.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
    Ok(())
}

/// As the collector's event, or as the document of a shipper that reads lines.
fn enveloped(way: Way, line: &[u8], to: &mut Vec<u8>) {
    let (before, after): (&[u8], &[u8]) = match way {
        Way::Hec => (b"{\"event\":\"", b"\"}"),
        _ => (b"{\"create\":{}}\n{\"message\":\"", b"\"}\n"),
    };
    to.extend_from_slice(before);
    for byte in line {
        if matches!(byte, b'"' | b'\\') {
            to.push(b'\\');
        }
        to.push(*byte);
    }
    to.extend_from_slice(after);
}

/// A line of the record over time.
struct Moment {
    after: f64,
    sent: u64,
    kept: f64,
    judged: f64,
    backlog_mb: f64,
    held_back: bool,
    rss: f64,
}

/// What a run gave.
pub(super) struct Outcome {
    pub(super) kept: u64,
    pub(super) judged: u64,
}

/// Runs the load and says what became of it. `beside` runs meanwhile, and is waited for.
pub(super) fn run(
    service: &Running,
    way: Way,
    asked: &Asked,
    rate: f64,
    stops: bool,
    beside: &(dyn Fn(&Sent) -> anyhow::Result<()> + Sync),
) -> anyhow::Result<Outcome> {
    let senders = asked.number("--sources", 1)?.max(1);
    let connections =
        if way == Way::Syslog { senders } else { asked.number("--connections", 2)?.max(senders) };
    let users = asked.number("--users", 20_000)?;
    let during = asked.minutes()?;
    let sent = Sent::default();
    let mut client = Client::connect(service.address)?;
    let cpu_before = service.cpu()?;
    let own_before = crate::formats::cpu()?;
    let begun = Instant::now();
    let pace = Pace { rate: rate / connections as f64, during, begun, stops };
    let mut moments = Vec::new();
    let every = (during.as_secs_f64() / 15.0).max(1.0);
    let (mut sent_after, mut own) = (0.0, 0.0);
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let sent = &sent;
        let mut threads = Vec::new();
        for n in 0..connections {
            let source = (n % senders) as usize;
            let to =
                if way == Way::Syslog { service.syslog.get(source).copied() } else { Some(service.address) };
            let to = to.context("no door")?;
            threads.push(scope.spawn(move || {
                let lines = Lines::new(users, n + 1);
                match way {
                    Way::Syslog => over_syslog(to, lines, pace, sent),
                    _ => over_http(to, way, source, lines, pace, sent),
                }
            }));
        }
        let other = scope.spawn(move || beside(sent));
        let (mut last, mut moved) = (-1.0, Instant::now());
        let mut next = every;
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let f = service.figures(&mut client)?;
            let (kept, judged) = (f.get("records_kept_total"), f.get("records_judged_total"));
            let after = begun.elapsed().as_secs_f64();
            let senders_done = threads.iter().all(|t| t.is_finished());
            if senders_done && sent_after == 0.0 {
                (sent_after, own) = (after, crate::formats::cpu()? - own_before);
                sent.over.store(true, Ordering::Release);
            }
            let all = senders_done
                && other.is_finished()
                && judged >= Sent::get(&sent.lines) as f64
                && judged >= kept;
            if after >= next || all {
                moments.push(Moment {
                    after,
                    sent: Sent::get(&sent.lines),
                    kept,
                    judged,
                    backlog_mb: f.get("backlog_bytes") / 1e6,
                    held_back: f.get("held_back") > 0.0,
                    rss: service.memory("VmRSS")?,
                });
                next = after + every;
            }
            if kept + judged > last {
                (last, moved) = (kept + judged, Instant::now());
            }
            if all || moved.elapsed() > PATIENCE || f.get("stopped") > 0.0 {
                break;
            }
        }
        sent.over.store(true, Ordering::Release);
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        other.join().map_err(|_| anyhow::anyhow!("a part of the bench panicked"))?
    })?;
    let took = begun.elapsed().as_secs_f64();
    let cpu = service.cpu()? - cpu_before;
    let waited = sent_after;
    let sent_after = Sent::get(&sent.ended_us) as f64 / 1e6;
    // Some figures are renewed every few seconds only.
    std::thread::sleep(SETTLES);
    let f = service.figures(&mut client)?;
    tell_moments(&moments);
    let (kept, judged) = (f.get("records_kept_total") as u64, f.get("records_judged_total") as u64);
    let lines = Sent::get(&sent.lines);
    let planned = (rate * during.as_secs_f64()).round() as u64;
    let mut table = Table::default();
    table.row("asked for", format!("{rate:.0} records/s for {:.0} s: {planned}", during.as_secs_f64()));
    table.row(
        "sent",
        format!(
            "{lines} ({:.1} MB) in {sent_after:.1} s: {:.0} records/s",
            Sent::get(&sent.bytes) as f64 / 1e6,
            lines as f64 / sent_after.max(0.001)
        ),
    );
    table.row("not taken in time", planned.saturating_sub(lines));
    table.row("kept", kept);
    table.row("judged", judged);
    table.row("lost (sent, not kept)", i128::from(lines) - i128::from(kept));
    table.row("journal unreadable", f.get("journal_lost_total"));
    table.row("dead letters", f.get("dead_letters_total"));
    table.row(
        "refused, to be brought again",
        format!(
            "{} at the line, {} at doors",
            f.get("records_refused_total"),
            f.get("door_records_refused_total")
        ),
    );
    if way != Way::Syslog {
        table.row(
            "answered 429 / 503 / other",
            format!(
                "{} / {} / {}",
                Sent::get(&sent.again_429),
                Sent::get(&sent.again_503),
                Sent::get(&sent.other)
            ),
        );
    }
    table.row(
        "senders waited",
        format!("{:.1} s of {:.1} s", Sent::get(&sent.blocked_us) as f64 / 1e6, waited * connections as f64),
    );
    table.row("behind at the end", format!("{:.1} s until all was judged", (took - sent_after).max(0.0)));
    table.row("judged per second", format!("{:.0} over the whole run", judged as f64 / took));
    table.row(
        "events folded",
        format!(
            "{} ({} twice, {} late)",
            f.get("events_total"),
            f.get("events_duplicate_total"),
            f.get("events_late_total") + f.get("events_very_late_total")
        ),
    );
    let name = ["understood", "fragment", "irrelevant", "unknown", "broken"];
    table.row(
        "records read as",
        name.map(|n| format!("{n} {}", f.get(&format!("source_records_total/{n}")))).join(", "),
    );
    table.row(
        "CPU of the service",
        format!(
            "{cpu:.1} s: {:.1} s a million records, {:.2} cores",
            cpu * 1e6 / judged.max(1) as f64,
            cpu / took
        ),
    );
    table.row("CPU of the load", format!("{own:.1} s"));
    table.row(
        "memory",
        format!("peak {:.0} MiB, now {:.0} MiB", service.memory("VmHWM")?, service.memory("VmRSS")?),
    );
    table.row("on disk", format!("{:.1} MB", super::service::size_of(&service.data()) as f64 / 1e6));
    table.print();
    for line in service.complaints().iter().take(5) {
        println!("  service: {line}");
    }
    Ok(Outcome { kept, judged })
}

fn tell_moments(moments: &[Moment]) {
    println!(
        "{:>8} {:>11} {:>11} {:>11} {:>10} {:>11} {:>5} {:>8}",
        "after s", "sent", "kept", "judged", "behind", "backlog MB", "held", "RSS MiB"
    );
    for m in moments {
        println!(
            "{:>8.1} {:>11} {:>11} {:>11} {:>10} {:>11.1} {:>5} {:>8.0}",
            m.after,
            m.sent,
            m.kept,
            m.judged,
            m.sent.saturating_sub(m.judged as u64),
            m.backlog_mb,
            if m.held_back { "yes" } else { "" },
            m.rss
        );
    }
}
