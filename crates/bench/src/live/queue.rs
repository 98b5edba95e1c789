//! The first page over a full queue: answered, and painted by a browser.

use super::lines::story;
use super::service::{Running, Setup};
use super::{Asked, Table, spread};
use anyhow::{Context, bail};
use jiff::Timestamp;
use portreeve_model::answer::Decision;
use portreeve_store::case::engine::{self, EngineCase};
use portreeve_store::case::entity::{self, Entity, Kind};
use portreeve_store::case::{self, Risk, clock, document};
use portreeve_store::{Location, Store};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PAINT: &str = include_str!("paint.py");
/// Cases of one transaction.
const AT_ONCE: u64 = 200;
const MINUTE_US: i64 = 60_000_000;

/// A case as the service itself wrote it.
struct Pattern {
    engine_id: String,
    title: String,
    principal: String,
    address: String,
    brief: String,
    document: String,
    entities: Vec<Entity>,
}

pub(super) fn run(asked: &Asked) -> anyhow::Result<()> {
    let cases = asked.number("--cases", 10_000)?;
    let times = asked.number("--times", 200)?;
    let pattern = pattern(asked)?;
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let filling = Instant::now();
    fill(&data, &pattern, cases)?;
    let filled = filling.elapsed();
    let service = Running::start(&Setup { dir: Some(dir.path().to_owned()), ..asked.setup()? })?;
    service.ready(Duration::ZERO)?;
    let mut table = Table::default();
    table.row(
        "in the queue",
        format!(
            "{cases} open cases, each a document of {:.1} KB; written in {:.1} s; {:.1} MB on disk",
            pattern.document.len() as f64 / 1e3,
            filled.as_secs_f64(),
            super::service::size_of(&data) as f64 / 1e6
        ),
    );
    let mut client = service.signed_in()?;
    for (name, path) in [
        ("GET /queue", "/queue"),
        ("GET /queue?q=", "/queue?q=story00"),
        ("GET /api/v1/cases", "/api/v1/cases"),
    ] {
        let (mut taken, mut size) = (Vec::new(), 0);
        for _ in 0..times {
            let begun = Instant::now();
            let answer = client.get(path)?.good(path)?;
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
            size = answer.body.len();
        }
        let [median, high, most] = spread(&mut taken);
        let told =
            format!("p50 {median:.1} ms, p95 {high:.1} ms, max {most:.1} ms; {:.1} KB", size as f64 / 1e3);
        table.row(name, told);
    }
    table.row("painted by Chromium", painted(&service, times.min(50))?);
    table.row("memory", format!("peak {:.0} MiB", service.memory("VmHWM")?));
    table.print();
    Ok(())
}

/// Lets the service make one case.
fn pattern(asked: &Asked) -> anyhow::Result<Pattern> {
    let dir = tempfile::tempdir()?;
    let mut service = Running::start(&Setup { dir: Some(dir.path().to_owned()), ..asked.setup()? })?;
    service.ready(Duration::ZERO)?;
    let (user, lines) = story(0, Timestamp::now(), Duration::from_secs(28));
    let mut bytes = Vec::new();
    for line in &lines {
        write!(bytes, "{} {line}", line.len())?;
    }
    TcpStream::connect(service.syslog.first().context("no door")?)?.write_all(&bytes)?;
    let mut client = service.signed_in()?;
    let begun = Instant::now();
    while !client.get("/api/v1/cases?queue=escalate")?.good("cases")?.text().contains(&user) {
        if begun.elapsed() > Duration::from_secs(60) {
            bail!("the attack gave no case within a minute");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    service.close()?;
    let store = opened(&service.data())?;
    store
        .read(|tx| {
            let mut found = None;
            for engine_id in engine::standing(tx, i64::MIN)? {
                let Some(id) = engine::case_of(tx, &engine_id)? else { continue };
                let of = case::get(tx, id)?;
                let documents = document::of_case(tx, id)?;
                let Some(document) = documents.into_iter().find(|d| d.engine_id == engine_id) else {
                    continue;
                };
                let entities = entity::of_case(tx, id)?;
                let address =
                    entities.iter().find(|e| e.kind == Kind::Address && e.value.starts_with("198."));
                found = Some(Pattern {
                    engine_id,
                    title: of.title,
                    principal: of.principal,
                    address: address.map(|e| e.value.clone()).unwrap_or_default(),
                    brief: of.brief,
                    document: document.text,
                    entities,
                });
            }
            Ok(found)
        })?
        .context("no case is in the store")
}

fn opened(data: &Path) -> anyhow::Result<Store> {
    std::fs::create_dir_all(data)?;
    let now = Timestamp::now().as_microsecond();
    Ok(Store::open(&Location::sqlite(data.join("store.db")), &data.join("evidence"), now)?)
}

/// Writes the pattern so often, each time about somebody else; every tenth is to be escalated.
fn fill(data: &Path, pattern: &Pattern, cases: u64) -> anyhow::Result<()> {
    let store = opened(data)?;
    let now = Timestamp::now().as_microsecond();
    let mut from = 0;
    while from < cases {
        let upto = (from + AT_ONCE).min(cases);
        store.write(|tx| {
            for n in from..upto {
                put(tx, pattern, n, now)?;
            }
            Ok(())
        })?;
        from = upto;
    }
    store.close()?;
    Ok(())
}

fn put(
    tx: &mut portreeve_store::WriteTx<'_>,
    pattern: &Pattern,
    n: u64,
    now: i64,
) -> portreeve_store::Result<()> {
    let person = format!("story{n:05}");
    let id = format!("20261127-{n:06x}");
    let address = format!("185.{}.{}.{}", n / 62_500, n / 250 % 250, 1 + n % 250);
    let renamed = |text: &str| {
        let text = text.replace(&pattern.engine_id, &id).replace(&pattern.principal, &person);
        if pattern.address.is_empty() { text } else { text.replace(&pattern.address, &address) }
    };
    let entities: Vec<Entity> =
        pattern.entities.iter().map(|e| Entity::new(e.kind, renamed(&e.value))).collect();
    let (decision, risk) = if n.is_multiple_of(10) {
        (Decision::Escalate, 60.0 + (n % 397) as f64 / 10.0)
    } else {
        (Decision::Investigate, (n % 597) as f64 / 10.0)
    };
    let seen = now - 600 * MINUTE_US - (n as i64 % 5_000) * 1_000_000;
    let said = EngineCase {
        engine_id: &id,
        supersedes: &[],
        as_of: now,
        title: &renamed(&pattern.title),
        principal: &person,
        decision,
        risk: Risk::from_points(risk),
        first_seen: seen,
        last_seen: seen + MINUTE_US,
        detected_at: seen + MINUTE_US,
        verdict: decision.name(),
        why: "",
        changed: "{}",
        late: false,
        brief: &renamed(&pattern.brief),
        search: &[],
        entities: &entities,
        document: &renamed(&pattern.document),
    };
    let case = engine::take(tx, &said, now)?.case();
    let minutes = if decision == Decision::Escalate { [15, 1_440] } else { [240, 4_320] };
    for (kind, minutes) in [clock::Kind::Acknowledge, clock::Kind::Resolve].into_iter().zip(minutes) {
        clock::start(tx, case, kind, now, now + minutes * MINUTE_US)?;
    }
    Ok(())
}

/// First contentful paint, as Chromium measures it; or why it was not measured.
fn painted(service: &Running, times: u64) -> anyhow::Result<String> {
    let Some((name, value)) = service.cookie().split_once('=') else { bail!("the cookie has no value") };
    let base = format!("http://{}", service.address);
    let ran = Command::new("python3").args(["-c", PAINT, &base, name, value, &times.to_string()]).output();
    Ok(match ran {
        Ok(out) if out.status.success() => String::from_utf8_lossy(&out.stdout).trim().to_owned(),
        Ok(out) => {
            let why =
                String::from_utf8_lossy(&out.stderr).trim().lines().last().unwrap_or_default().to_owned();
            format!("not measured: {why}")
        }
        Err(error) => format!("not measured: python3: {error}"),
    })
}
