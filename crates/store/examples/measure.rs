//! How fast it is here: `cargo run --release -p portreeve-store --example measure -- DATABASE [CASES]`, with a path or a
//! `postgres://` URL of a database that holds nothing yet.

use portreeve_model::answer::Decision;
use portreeve_store::case::engine::{self, EngineCase};
use portreeve_store::case::entity::{self, Entity, Kind};
use portreeve_store::case::list::{self, Order, Owner, Query};
use portreeve_store::case::work;
use portreeve_store::case::{By, Risk, Viewer, document};
use portreeve_store::people::{self, NewPerson};
use portreeve_store::{CaseId, Result, Store};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let location = words.next().ok_or("which database?")?.parse()?;
    let cases: usize = words.next().map_or(Ok(10_000), |n| n.parse())?;
    let store = Store::open(&location, &std::env::temp_dir(), 1)?;
    let mut out = std::io::stdout();

    let roles = BTreeSet::new();
    let new = NewPerson {
        name: "anna",
        display: "Anna",
        zone: "UTC",
        roles: &roles,
        password_hash: None,
        oidc: None,
    };
    let anna = store.write(|tx| people::create(tx, &new, 1))?.id;

    let rate = |from: Instant, n: usize| n as f64 / from.elapsed().as_secs_f64();
    let at = Instant::now();
    for chunk in (0..cases).collect::<Vec<_>>().chunks(100) {
        store.write(|tx| chunk.iter().try_for_each(|n| take(tx, *n, 1)))?;
    }
    writeln!(out, "new cases, 100 a change: {:.0}/s", rate(at, cases))?;

    let at = Instant::now();
    for n in cases..cases + 500 {
        store.write(|tx| take(tx, n, 1))?;
    }
    writeln!(out, "new cases, one a change: {:.0}/s", rate(at, 500))?;

    let at = Instant::now();
    for n in 0..500 {
        store.write(|tx| take(tx, n * 7 % cases, 2))?;
    }
    writeln!(out, "updates by the engine, one a change: {:.0}/s", rate(at, 500))?;

    let at = Instant::now();
    for chunk in (0..cases.min(5_000)).collect::<Vec<_>>().chunks(100) {
        store.write(|tx| chunk.iter().try_for_each(|n| take(tx, *n, 3)))?;
    }
    writeln!(out, "updates by the engine, 100 a change: {:.0}/s", rate(at, cases.min(5_000)))?;

    let at = Instant::now();
    for n in 1..=500_i64 {
        let by = By { actor: "person:1 anna", at: 9 };
        store.write(|tx| {
            let revision = portreeve_store::case::get(tx, CaseId(n))?.revision;
            work::assign(tx, CaseId(n), revision, Some(anna), by)
        })?;
    }
    writeln!(out, "assignments, one a change: {:.0}/s", rate(at, 500))?;

    let base = Query::default();
    let queries = [
        ("first page of 50", base.clone()),
        ("first page of the escalated", Query { queue: Some(Decision::Escalate), ..base.clone() }),
        ("first page by deadline", Query { order: Order::Due, ..base.clone() }),
        ("first page of mine", Query { owner: Owner::Is(anna), ..base.clone() }),
        ("first page, not restricted", Query { viewer: Viewer::Person(anna), ..base.clone() }),
        ("address of a few", Query { address: Some("198.51.100.77"), ..base.clone() }),
        ("words found nowhere", Query { text: Some("nothing has this"), ..base }),
    ];
    for (name, query) in queries {
        let times = timed(|| store.read(|tx| list::page(tx, &query, None, 50)))?;
        writeln!(out, "{name}: {times}")?;
    }
    let times = timed(|| store.read(|tx| list::counts(tx, Viewer::All)))?;
    writeln!(out, "counts of the queue: {times}")?;
    let times = timed(|| store.read(|tx| entity::related(tx, CaseId(77), Viewer::All, 20)))?;
    writeln!(out, "related cases: {times}")?;
    let times = timed(|| store.read(|tx| document::of_case(tx, CaseId(77))))?;
    writeln!(out, "document of a case: {times}")?;
    writeln!(out, "{:?}", store.health()?)?;
    Ok(())
}

fn timed<T>(mut f: impl FnMut() -> Result<T>) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..200 {
        let at = Instant::now();
        f()?;
        times.push(at.elapsed());
    }
    times.sort_unstable();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    Ok(format!("median {:.2} ms, 99 of 100 under {:.2} ms", ms(times[100]), ms(times[197])))
}

fn take(tx: &mut portreeve_store::WriteTx<'_>, n: usize, round: usize) -> Result<()> {
    let engine_id = format!("c-{n:08x}");
    let principal = format!("user{}", n % 4_000);
    let mut entities = vec![
        Entity::new(Kind::Principal, &principal),
        Entity::new(Kind::Address, format!("198.51.{}.{}", n / 200 % 256, n % 200)),
        Entity::new(Kind::Address, format!("10.8.{}.{}", n % 256, n / 7 % 256)),
        Entity::new(Kind::Device, format!("LAPTOP-{}", n % 4_000)),
        Entity::new(Kind::Gateway, "vpn1"),
    ];
    entities.extend((0..5).map(|h| Entity::new(Kind::Host, format!("srv{}", (n * 31 + h) % 900))));
    entities.extend((0..2).map(|s| Entity::new(Kind::Session, format!("{engine_id}-{s}"))));
    let title = format!("Remote access of {principal} from an unfamiliar network");
    // About what a case of the sample company has.
    let line = format!(
        "{{\"time\":\"2026-03-0{round}\",\"raw\":\"%ASA-6-113039: Group <X> User <{principal}> {n}\"}},"
    );
    let document = format!("{{\"timeline\":[{}0]}}", line.repeat(300));
    let said = EngineCase {
        engine_id: &engine_id,
        supersedes: &[],
        as_of: round as i64,
        title: &title,
        principal: &principal,
        decision: if n.is_multiple_of(5) { Decision::Escalate } else { Decision::Investigate },
        risk: Risk::from_points((n * 7_919 % 100_000) as f64 / 1_000.0),
        first_seen: n as i64,
        last_seen: (n + round) as i64,
        detected_at: n as i64,
        verdict: "E1 E2",
        why: "first time from this network",
        changed: "{}",
        late: false,
        brief: "{\"from\":\"RO AS9009\",\"gateway\":\"vpn1\",\"met\":2}",
        search: &[],
        entities: &entities,
        document: &document,
    };
    engine::take(tx, &said, (n * 10 + round) as i64).map(|_| ())
}
