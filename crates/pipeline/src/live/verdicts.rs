//! Cases from what was folded: those that changed since they were last asked for.

use hashbrown::HashMap;
use portreeve_engine::Engine;
use portreeve_engine::correlate::{Draft, Rules};
use portreeve_model::case::{Case, Person};
use portreeve_model::{EventTime, Sym};
use portreeve_playbook::{Book, Member, Of, Stays, answer, campaigns, ids, in_campaign, stays};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::time::{Duration, Instant};

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// New, or otherwise than before.
    Case(Box<Case>),
    /// It has another id, because it began earlier or later than was known. Its new state comes with [`Change::Case`].
    Renamed { from: String, to: String },
    /// What was known later took it back.
    Withdrawn(String),
}

/// Principals that are judged between two looks at the clock.
const SLICE: usize = 256;

/// What is remembered of a case: enough to tell whether it changed, and who belongs to its campaign.
struct Told {
    id: String,
    principal: Person,
    related: Vec<(String, String)>,
    first: EventTime,
    last: EventTime,
    /// Of the case without its campaign.
    print: u64,
    /// Of the case as it was last given.
    given: u64,
}

pub(super) struct Verdicts<'c> {
    rules: Rules,
    book: &'c Book,
    /// In the order of the principals' names.
    drafts: Vec<Draft>,
    /// In the order of the drafts.
    told: Vec<Told>,
    prints: foldhash::fast::FixedState,
}

impl<'c> Verdicts<'c> {
    pub(super) fn new(rules: Rules, book: &'c Book) -> Verdicts<'c> {
        Verdicts {
            rules,
            book,
            drafts: Vec::new(),
            told: Vec::new(),
            prints: foldhash::fast::FixedState::with_seed(0x7072_7476),
        }
    }

    /// Forgets that these cases were given; true where there is one of them.
    pub(super) fn tell_again(&mut self, ids: &[String]) -> bool {
        let mut any = false;
        for told in self.told.iter_mut().filter(|t| ids.contains(&t.id)) {
            (told.given, any) = (0, true);
        }
        any
    }

    /// Those of whom there are drafts, whether or not they are still held.
    pub(super) fn principals(&self) -> impl Iterator<Item = Sym> {
        self.drafts.iter().map(|d| d.principal)
    }

    /// Sessions as they are judged now; nothing is told of it, and nothing kept.
    pub(super) fn look(&self, engine: &Engine<'_>, of: &Of, since: EventTime, most: usize) -> Stays {
        stays(engine, &self.rules, of, since, most)
    }

    /// Judges everything.
    pub(super) fn whole(&mut self, engine: &Engine<'_>, threads: usize) -> Vec<Change> {
        self.drafts = engine.judge(&self.rules, threads);
        let all: Vec<usize> = (0..self.drafts.len()).collect();
        self.tell(engine, &all)
    }

    /// Judges the principals that were touched; then those that are due because others were, from the last, for
    /// about so long.
    pub(super) fn some(
        &mut self,
        engine: &Engine<'_>,
        threads: usize,
        touched: &[Sym],
        due: &mut Vec<Sym>,
        share: Duration,
    ) -> Vec<Change> {
        let mut of: HashMap<u32, ()> = HashMap::new();
        let mut fresh: Vec<Draft> = Vec::new();
        let mut judge = |some: &[Sym]| {
            let new: Vec<Sym> = some.iter().copied().filter(|s| of.insert(s.0, ()).is_none()).collect();
            fresh.extend(engine.judge_these(&new, &self.rules, threads));
        };
        judge(touched);
        let begun = Instant::now();
        while !due.is_empty() {
            judge(&due.split_off(due.len().saturating_sub(SLICE)));
            if begun.elapsed() >= share {
                break;
            }
        }
        let related = |drafts: &[Draft]| -> BTreeMap<(u32, EventTime, EventTime), Vec<(u32, EventTime)>> {
            let key = |d: &Draft| (d.principal.0, d.first, d.last);
            let other = |n: usize| drafts.get(n).map(|d| (d.principal.0, d.first));
            drafts
                .iter()
                .filter(|d| !d.related.is_empty())
                .map(|d| (key(d), d.related.iter().filter_map(|(n, _)| other(*n)).collect()))
                .collect()
        };
        let was = related(&self.drafts);
        let before = self.drafts.len();
        self.drafts.retain(|d| !of.contains_key(&d.principal.0));
        if fresh.is_empty() && self.drafts.len() == before {
            return Vec::new();
        }
        // By name, and those of one principal as they came.
        self.drafts.extend(fresh);
        self.drafts.sort_by_cached_key(|d| engine.name(d.principal));
        engine.relate(&mut self.drafts);
        let is = related(&self.drafts);
        let moved = |d: &Draft| {
            let key = (d.principal.0, d.first, d.last);
            was.get(&key) != is.get(&key)
        };
        let again: Vec<usize> = (0..self.drafts.len())
            .filter(|n| self.drafts.get(*n).is_some_and(|d| of.contains_key(&d.principal.0) || moved(d)))
            .collect();
        self.tell(engine, &again)
    }

    fn print(&self, case: &Case) -> u64 {
        struct Into<H>(H);
        impl<H: Hasher> Write for Into<H> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.write(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut to = Into(self.prints.build_hasher());
        // Writing into a hasher cannot fail.
        write!(to, "{case:?}").ok();
        to.0.finish()
    }

    /// Answers the playbook for these drafts, and gives what differs from what was given before.
    fn tell(&mut self, engine: &Engine<'_>, again: &[usize]) -> Vec<Change> {
        let ids = ids(engine, &self.drafts);
        let again: BTreeSet<usize> = again.iter().copied().collect();
        let mut cases: BTreeMap<usize, Case> = BTreeMap::new();
        let mut known: HashMap<String, Told> =
            std::mem::take(&mut self.told).into_iter().map(|t| (t.id.clone(), t)).collect();
        // Those that did not change are as they were; all others are answered.
        let mut next: Vec<(usize, Told)> = Vec::with_capacity(self.drafts.len());
        for n in 0..self.drafts.len() {
            let old = ids.get(n).and_then(|id| known.remove(id));
            let given = old.as_ref().map_or(0, |t| t.given);
            match old {
                Some(told) if !again.contains(&n) => {
                    next.push((n, told));
                    continue;
                }
                _ => {}
            }
            let Some(case) = answer(engine, &self.rules, self.book, &self.drafts, &ids, n) else { continue };
            let told = Told {
                id: case.id.clone(),
                principal: case.principal.clone(),
                related: case.related.clone(),
                first: case.first_seen,
                last: case.last_seen,
                print: self.print(&case),
                given,
            };
            cases.insert(n, case);
            next.push((n, told));
        }
        let members: Vec<Member<'_>> = next
            .iter()
            .map(|(_, t)| Member { id: &t.id, related: &t.related, principal: &t.principal })
            .collect();
        let named = campaigns(&members);
        let mut changes = Vec::new();
        let mut fresh: Vec<(String, String, EventTime, EventTime)> = Vec::new();
        for ((n, told), campaign) in next.iter_mut().zip(named) {
            let mut print = self.prints.build_hasher();
            print.write_u64(told.print);
            print.write(format!("{campaign:?}").as_bytes());
            let print = print.finish();
            if print == told.given {
                continue;
            }
            if told.given == 0 {
                let name = told.principal.name.raw().to_owned();
                fresh.push((told.id.clone(), name, told.first, told.last));
            }
            told.given = print;
            let case = match cases.remove(n) {
                Some(case) => Some(case),
                None => answer(engine, &self.rules, self.book, &self.drafts, &ids, *n),
            };
            changes.extend(case.map(|case| Change::Case(Box::new(in_campaign(case, campaign)))));
        }
        // Who is gone may have another id now.
        let mut gone: Vec<Told> = known.into_values().collect();
        gone.sort_by(|a, b| a.id.cmp(&b.id));
        let mut ends = Vec::new();
        for old in gone {
            let heir = fresh.iter().position(|(_, name, first, last)| {
                *name == old.principal.name.raw() && *first <= old.last && old.first <= *last
            });
            ends.push(match heir {
                Some(at) => Change::Renamed { from: old.id, to: fresh.remove(at).0 },
                None => Change::Withdrawn(old.id),
            });
        }
        self.told = next.into_iter().map(|(_, told)| told).collect();
        ends.extend(changes);
        ends
    }
}
