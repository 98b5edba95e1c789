//! Whatever the order in which records arrive, and wherever the service is stopped and started, the cases are those of a
//! hunt over the same files.

use super::*;
use crate::discover::discover;
use crate::run::Options;
use portreeve_context::Options as ContextOptions;
use portreeve_model::case::Case;
use portreeve_sources::Catalog;
use portreeve_sources::decode::reader::{Limits, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn acme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/acme")
}

/// The sample company, and what a hunt finds in it.
struct Company {
    names: Arc<SymbolTable>,
    tables: Tables,
    content: Content,
    /// As they stand in the files.
    events: Vec<Event>,
    hunted: BTreeMap<String, Case>,
    now: EventTime,
}

fn bare(mut case: Case) -> Case {
    crate::evidence::each(&mut case, &mut |line| {
        (line.file, line.text, line.source) = Default::default();
    });
    case.coverage.sources.clear();
    case
}

fn company() -> &'static Company {
    static COMPANY: OnceLock<Company> = OnceLock::new();
    COMPANY.get_or_init(|| {
        let names = SymbolTable::new();
        let context = ContextOptions { dir: Some(acme().join("context")), ..ContextOptions::default() };
        let tables = Tables::load(&context, names.clone()).expect("the sample's context");
        let content = Content::embedded().expect("content");
        let options = Options {
            paths: vec![acme().join("logs")],
            since: None,
            until: None,
            zone: None,
            year: None,
            threads: 2,
            source: None,
            catalog: Catalog::built_in(),
            mask: false,
            state: None,
            progress: None,
        };
        let outcome = crate::run(&options, &tables, &names, &content).expect("a hunt");
        let now = outcome.report.last.expect("events").plus(3_600_000_000);
        let hunted = outcome.cases.into_iter().map(|c| (c.id.clone(), bare(c))).collect();
        let mut events = Vec::new();
        for (n, input) in discover(&options.paths).0.iter().enumerate() {
            let number = u32::try_from(n).expect("few files");
            let rules = OriginRules::default();
            let mut reading = Reading::new(number, &input.relative, &tables, options.catalog, &rules, &names);
            reading.arrived(now);
            let mut file = crate::read::open(input).expect("a file");
            let mut position = 0;
            read(&mut *file, None, number, &Limits::default(), &mut |record| {
                position += 1;
                let place = Some((record.at.line, record.at.offset));
                reading.record(record.bytes, position, place, &mut events);
                true
            });
            reading.pass(now.plus(7_200_000_000), &mut events);
            assert_eq!(reading.open_since(), None);
            assert!(reading.report().0.counts.adds_up());
        }
        Company { names, tables, content, events, hunted, now }
    })
}

/// The cases that are left after all changes.
fn applied(cases: &mut BTreeMap<String, Case>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Case(case) => {
                cases.insert(case.id.clone(), bare(*case));
            }
            Change::Renamed { from, .. } | Change::Withdrawn(from) => {
                assert!(cases.remove(&from).is_some(), "{from} was never told");
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

/// Tells all events in an order that `late_us` disturbs, with stops between, and holds the cases to the hunt's.
fn told(seed: u64, late_us: u64, twice: bool, settings: &Settings, restarts: bool) {
    let company = company();
    let mut random = Random(seed);
    let mut order: Vec<(i64, Event)> = company
        .events
        .iter()
        .map(|e| (e.time.0 + i64::try_from(random.below(late_us + 1)).expect("small"), e.clone()))
        .collect();
    order.sort_by_key(|(at, _)| *at);
    let dir = tempfile::tempdir().expect("a folder");
    let open = || History::open(dir.path(), company.names.clone()).expect("a history");
    let live = |history| {
        Live::open(history, &company.tables, &company.names, &company.content, settings.clone())
            .expect("whole")
    };
    let mut service = live(open());
    let mut cases = BTreeMap::new();
    let (mut at, mut upto) = (0, 0);
    while at < order.len() {
        let many = usize::try_from(random.below(900)).expect("small") + 1;
        let mut part: Vec<Event> = order.iter().skip(at).take(many).map(|(_, e)| e.clone()).collect();
        if twice && random.below(3) == 0 {
            let again = usize::try_from(random.below(400)).expect("small");
            part.extend(order.iter().skip(at.saturating_sub(again)).take(again).map(|(_, e)| e.clone()));
        }
        at += many;
        service.take(&mut part, company.now).expect("disk");
        if random.below(2) == 0 {
            applied(&mut cases, service.judge(false).expect("disk"));
        }
        if random.below(4) == 0 {
            upto += 1;
            service.save(upto).expect("disk");
        }
        if restarts && random.below(40) == 0 {
            upto += 1;
            drop(service.close(upto).expect("disk"));
            service = live(open());
            // What was told before a stop is told again after it, as far as it still holds.
            cases.clear();
            applied(&mut cases, service.judge(true).expect("disk"));
        }
    }
    // All at once, or by and by as the service does while others speak: it ends in the same.
    let at_once = seed.is_multiple_of(2);
    while !service.is_settled() {
        applied(&mut cases, service.judge(at_once).expect("disk"));
    }
    assert_eq!(cases.keys().collect::<Vec<_>>(), company.hunted.keys().collect::<Vec<_>>());
    for (id, case) in &cases {
        assert_eq!(case, &company.hunted[id], "{id}");
    }
    assert!(service.judge(true).expect("disk").is_empty(), "nothing new, nothing told");
    let lost: Vec<String> = cases.keys().take(2).cloned().collect();
    service.tell_again(&lost);
    let again: Vec<String> = service
        .judge(true)
        .expect("disk")
        .into_iter()
        .map(|c| match c {
            Change::Case(case) => case.id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(again, lost, "what did not arrive is told again, and nothing else");
    let counts = service.counts();
    assert_eq!(
        counts.events,
        service.history().since(EventTime::MIN).expect("disk").count() as u64
            + u64::try_from(service.fold.unsaved().len()).expect("few")
    );
    // Equal stamps are told in the order of the files.
    assert!(counts.late > 0);
}

#[test]
fn in_order() {
    told(1, 0, false, &Settings::default(), false);
}

#[test]
fn ten_minutes_late_and_delivered_twice() {
    told(2, 600_000_000, true, &Settings::default(), false);
}

#[test]
fn days_late_with_little_room() {
    let small = Settings { events_at_hand: 2_000, kept_hot_us: 3_600_000_000, ..Settings::default() };
    told(3, 3 * 86_400_000_000, true, &small, false);
}

#[test]
fn stopped_and_started_anywhere() {
    let small = Settings { events_at_hand: 5_000, ..Settings::default() };
    told(4, 900_000_000, true, &small, true);
}

#[test]
fn all_at_once_ends_a_round_that_was_begun() {
    let company = company();
    let dir = tempfile::tempdir().expect("a folder");
    let history = History::open(dir.path(), company.names.clone()).expect("a history");
    let settings = Settings::default();
    let mut live =
        Live::open(history, &company.tables, &company.names, &company.content, settings).expect("empty");
    live.take(&mut company.events.clone(), company.now).expect("disk");
    // As after a share of a round: nothing is new, and everybody is still due.
    live.fold.take_touched();
    (live.stale, live.due) = (false, live.fold.engine().principals());
    let mut cases = BTreeMap::new();
    applied(&mut cases, live.judge(true).expect("disk"));
    assert!(live.is_settled());
    assert_eq!(cases, company.hunted);
}

#[test]
fn far_in_the_future_is_counted_and_moves_nothing() {
    let company = company();
    let dir = tempfile::tempdir().expect("a folder");
    let history = History::open(dir.path(), company.names.clone()).expect("a history");
    let mut live =
        Live::open(history, &company.tables, &company.names, &company.content, Settings::default())
            .expect("empty");
    let day = 86_400_000_000;
    let mut events: Vec<Event> = company.events.iter().take(10).cloned().collect();
    // Exactly a day ahead is inside.
    for (n, ahead) in [day, day + 1].into_iter().enumerate() {
        events.push(Event { time: company.now.plus(ahead), key: n as u64, ..Event::default() });
    }
    live.take(&mut events, company.now).expect("disk");
    assert_eq!((live.counts().events, live.counts().far_future), (11, 1));
}
