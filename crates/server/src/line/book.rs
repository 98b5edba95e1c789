//! Cases as the engine sees them, into the store: with their evidence, who and what they are about, and how the verdict
//! changed.

use super::duties;
use crate::benign::{self, Weighed};
use crate::brief::Brief;
use crate::config::Deadlines;
use crate::hub::{Hub, News};
use crate::out::Hooks;
use portreeve_lake::{Evidence, Lake};
use portreeve_model::case::Case;
use portreeve_model::{EventTime, RawRef};
use portreeve_pipeline::evidence;
use portreeve_pipeline::history::Origins;
use portreeve_pipeline::live::Change;
use portreeve_report::wire;
use portreeve_store::case::Risk;
use portreeve_store::case::engine::{self, EngineCase, Taken};
use portreeve_store::case::entity::{Entity, Kind};
use portreeve_store::{Error, Store, suppression};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Cases of one transaction.
const AT_ONCE: usize = 32;
/// How often writing is tried, and how long it is waited for between.
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);

pub(crate) struct Book {
    pub(crate) store: Store,
    pub(crate) lake: Arc<Lake>,
    pub(crate) hub: Hub,
    pub(crate) hooks: Arc<Hooks>,
    /// While everything is judged anew: the ids that were told.
    pub(crate) told: Option<BTreeSet<String>>,
    /// Withdrawals that the store did not take: id, why, whether late.
    owed: Vec<(String, String, bool)>,
    /// What is told now is found late, for something other than new records.
    pub(crate) late: bool,
    /// Counts what the engine said, for the order in which the store takes it.
    pub(crate) round: i64,
    pub(crate) products: evidence::Products,
    pub(crate) origins: Arc<Mutex<Origins>>,
    deadlines: Deadlines,
}

impl Book {
    pub(crate) fn new(
        store: Store,
        lake: Arc<Lake>,
        hub: Hub,
        hooks: Arc<Hooks>,
        origins: Arc<Mutex<Origins>>,
        deadlines: Deadlines,
    ) -> Book {
        Book {
            hooks,
            deadlines,
            origins,
            owed: Vec::new(),
            store,
            lake,
            hub,
            told: None,
            late: false,
            round: 0,
            products: evidence::Products::default(),
        }
    }

    /// Everything is told anew; `late` where it is not for new records.
    pub(crate) fn begin(&mut self, late: bool) {
        (self.told, self.late) = (Some(BTreeSet::new()), late);
    }

    /// Everything was told: what the store holds besides is withdrawn, where the records are still there that it rested on.
    /// False where the store could not be asked: then it is to be called again.
    pub(crate) fn complete(&mut self, since: Option<EventTime>) -> bool {
        let since = since.map_or(i64::MAX, |t| t.0);
        let known = self.patiently(|store| store.read(|tx| engine::standing(tx, since)));
        let (Some(known), Some(told)) = (known, self.told.as_ref()) else { return self.told.is_none() };
        let gone: Vec<String> = known.into_iter().filter(|id| !told.contains(id)).collect();
        let late = std::mem::take(&mut self.late);
        self.told = None;
        for id in gone {
            self.withdraw(&id, "what is known now does not show it any more", late);
        }
        true
    }

    /// Writes what changed; the ids of the cases that the store did not take, to be told again.
    pub(crate) fn write(&mut self, changes: Vec<Change>) -> Vec<String> {
        for (id, why, late) in std::mem::take(&mut self.owed) {
            self.withdraw(&id, &why, late);
        }
        let mut renamed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut cases = Vec::new();
        for change in changes {
            match change {
                Change::Renamed { from, to } => renamed.entry(to).or_default().push(from),
                Change::Withdrawn(id) => self.withdraw(&id, "later records explain it", true),
                Change::Case(case) => cases.push(*case),
            }
        }
        if let Some(told) = &mut self.told {
            told.extend(cases.iter().map(|c| c.id.clone()));
        }
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner).names().to_vec();
        let mut owed = Vec::new();
        for some in cases.chunks_mut(AT_ONCE) {
            self.attach(some, &origins);
            if !self.write_some(some, &renamed) {
                owed.extend(some.iter().map(|c| c.id.clone()));
            }
        }
        owed
    }

    fn write_some(&mut self, cases: &[Case], renamed: &BTreeMap<String, Vec<String>>) -> bool {
        self.round = self.round.max(super::now().0) + 1;
        let (round, late, deadlines) = (self.round, self.late, self.deadlines);
        let said: Vec<Said> = cases.iter().map(Said::of).collect();
        let now = super::now().0;
        let none = Vec::new();
        let taken = self.patiently(|store| {
            store.write(|tx| {
                let in_force = suppression::active(tx, now)?;
                said.iter()
                    .map(|s| {
                        let supersedes = renamed.get(&s.wire.case_id).unwrap_or(&none);
                        let taken = engine::take(tx, &s.as_engine_case(supersedes, round, late), now)?;
                        duties::set(tx, taken, (s.decision, &s.wire), &deadlines, now)?;
                        let weighed = if matches!(taken, Taken::Unchanged(_) | Taken::Stale(_)) {
                            Weighed::Same
                        } else {
                            benign::weigh(tx, &in_force, taken.case(), now)?
                        };
                        let back = weighed == Weighed::Back;
                        self.hooks.engine(tx, taken, back, (&s.wire.reason, now))?;
                        Ok((taken, weighed))
                    })
                    .collect::<Result<Vec<(Taken, Weighed)>, Error>>()
            })
        });
        let Some(taken) = taken else { return false };
        for ((taken, weighed), said) in taken.into_iter().zip(&said) {
            if !matches!(taken, Taken::Unchanged(_) | Taken::Stale(_)) {
                // One that comes back is new to whoever looks at the queue; one that is silenced is not.
                let is_new = match weighed {
                    Weighed::Same => matches!(taken, Taken::Created(_)),
                    Weighed::Silenced => false,
                    Weighed::Back => true,
                };
                self.hub.tell(News::Case { number: taken.case().0, is_new });
                tracing::debug!(case = taken.case().0, id = said.wire.case_id, ?weighed, "case written");
            }
        }
        true
    }

    fn withdraw(&mut self, id: &str, why: &str, late: bool) {
        let now = super::now().0;
        let taken = self.patiently(|store| {
            store.write(|tx| {
                let taken = engine::withdraw(tx, id, why, late, now)?;
                if let Some(taken) = taken {
                    self.hooks.engine(tx, taken, false, (why, now))?;
                }
                Ok(taken)
            })
        });
        match taken {
            Some(Some(taken)) => self.hub.tell(News::Case { number: taken.case().0, is_new: false }),
            Some(None) => {}
            None => self.owed.push((id.to_owned(), why.to_owned(), late)),
        }
    }

    /// Tries again while the store does not answer: a verdict is not dropped because a database restarts.
    fn patiently<T>(&self, mut ask: impl FnMut(&Store) -> Result<T, Error>) -> Option<T> {
        for n in 1..=TRIES {
            match ask(&self.store) {
                Ok(done) => return Some(done),
                Err(error) if n < TRIES && error.may_pass() => {
                    tracing::warn!(%error, "the store does not take cases; trying again");
                    std::thread::sleep(BETWEEN);
                }
                Err(error) => {
                    tracing::error!(%error, "the store did not take what the engine says; it is told again");
                    return None;
                }
            }
        }
        None
    }

    /// Fetches the records that cases rest on.
    fn attach(&mut self, cases: &mut [Case], origins: &[String]) {
        let mut wanted: BTreeMap<(RawRef, EventTime), Evidence> = BTreeMap::new();
        for case in cases.iter_mut() {
            evidence::each(case, &mut |line| {
                let origin = origins.get(line.raw.input as usize).cloned().unwrap_or_default();
                line.file = origin.clone().into();
                let asked =
                    Evidence { origin, line: line.raw.line, offset: line.raw.offset, time: line.time };
                wanted.insert((line.raw, line.time), asked);
            });
        }
        let asked: Vec<Evidence> = wanted.values().cloned().collect();
        let found = match self.lake.view().fetch(&asked) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "records of cases cannot be read");
                return;
            }
        };
        let texts: BTreeMap<(RawRef, EventTime), Vec<u8>> =
            wanted.into_keys().zip(found).filter_map(|(key, raw)| Some((key, raw?))).collect();
        for case in cases.iter_mut() {
            let products = &mut self.products;
            let mut sources: BTreeSet<String> = case.coverage.sources.iter().cloned().collect();
            evidence::each(case, &mut |line| {
                let Some(raw) = texts.get(&(line.raw, line.time)) else { return };
                line.source = products.of(raw, line.raw).to_owned();
                if !line.source.is_empty() {
                    sources.insert(line.source.clone());
                }
                line.text = evidence::shown(raw).into();
            });
            case.coverage.sources = sources.into_iter().collect();
        }
    }
}

/// What is said of one case.
struct Said {
    wire: wire::Case,
    decision: portreeve_model::answer::Decision,
    brief: String,
    verdict: String,
    search: Vec<String>,
    entities: Vec<Entity>,
    document: String,
    times: [i64; 3],
}

impl Said {
    fn of(case: &Case) -> Said {
        let wire = wire::Case::from(case);
        let criteria: Vec<String> = wire.criteria.iter().map(|c| format!("{}={}", c.id, c.state)).collect();
        let answers: Vec<String> = wire.questions.iter().map(|q| format!("{}={}", q.id, q.answer)).collect();
        let verdict = format!("{} {} {}", wire.decision, criteria.join(" "), answers.join(" "));
        let mut entities = BTreeSet::new();
        let mut add = |kind, value: &str| {
            if !value.is_empty() {
                entities.insert(Entity::new(kind, value));
            }
        };
        add(Kind::Principal, &wire.principal.name);
        wire.source_ips.iter().for_each(|ip| add(Kind::Address, ip));
        for s in wire.sessions.iter().filter(|s| s.suspect) {
            add(Kind::Device, &s.device);
            add(Kind::Gateway, &s.gateway);
            s.public_ips.iter().chain(&s.tunnel_ips).for_each(|ip| add(Kind::Address, ip));
        }
        for action in &wire.containment {
            add(Kind::Host, &action.subject.host);
            add(Kind::Session, &action.subject.session);
        }
        let mut search: Vec<String> = wire.principal.aliases.clone();
        search.push(wire.case_id.clone());
        search.extend(wire.campaign.iter().cloned());
        let document = serde_json::to_string(&wire).unwrap_or_default();
        let brief = serde_json::to_string(&Brief::of(&wire)).unwrap_or_default();
        Said {
            decision: case.decision,
            brief,
            verdict,
            search,
            entities: entities.into_iter().collect(),
            document,
            times: [case.first_seen.0, case.last_seen.0, case.detected_at.0],
            wire,
        }
    }

    fn as_engine_case<'a>(&'a self, supersedes: &'a [String], as_of: i64, late: bool) -> EngineCase<'a> {
        EngineCase {
            engine_id: &self.wire.case_id,
            supersedes,
            as_of,
            title: &self.wire.title,
            principal: &self.wire.principal.name,
            decision: self.decision,
            risk: Risk::from_points(self.wire.risk_score),
            first_seen: self.times[0],
            last_seen: self.times[1],
            detected_at: self.times[2],
            verdict: &self.verdict,
            why: &self.wire.reason,
            changed: "{}",
            late,
            brief: &self.brief,
            search: &self.search,
            entities: &self.entities,
            document: &self.document,
        }
    }
}
