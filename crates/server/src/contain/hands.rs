//! Who acts: one at a time, on a thread of its own, because a device may take minutes. What was begun goes on after the
//! page is closed, and after a crash; between acts, devices are held to the ledger.

use super::watch::Lookout;
use super::{ContainError, Site, handed, keys};
use crate::app::App;
use crate::config::Occasion;
use crate::desk::Fault;
use crate::hub::News;
use crate::line::now;
use portreeve_model::{Event, SymbolTable};
use portreeve_respond::config::Config;
use portreeve_respond::execute::{Reconciled, StepReport};
use portreeve_respond::ledger::{Kind, Ledger, StepState};
use portreeve_respond::operator::Word;
use portreeve_respond::plan::{Plan, short};
use portreeve_respond::secret::Secret;
use portreeve_respond::watch::{Alarm, Tally};
use portreeve_store::case::timeline::{self, NewEntry};
use portreeve_store::case::{clock, engine};
use portreeve_store::{CaseId, Error, PersonId, people};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sightings are written down so often.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct Contain {
    path: PathBuf,
    every: Duration,
    app: OnceLock<Weak<App>>,
    /// Held by who acts.
    hands: Mutex<()>,
    work: Mutex<Work>,
    watch: Mutex<Option<Lookout>>,
}

#[derive(Default)]
struct Work {
    running: BTreeSet<String>,
    /// Why the last run of a plan did not begin or broke off.
    said: BTreeMap<String, String>,
    threads: Vec<JoinHandle<()>>,
    round: Option<Round>,
}

/// The last time that devices were held to the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) at: i64,
    /// What needs a person.
    pub(crate) trouble: Vec<String>,
}

/// Something that is carried out.
pub(crate) struct Job {
    pub(crate) digest: String,
    pub(crate) word: Word,
    /// New passwords are for them.
    pub(crate) person: PersonId,
    pub(crate) what: What,
}

pub(crate) enum What {
    Apply,
    /// These steps; none named: all.
    RollBack(Vec<u16>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Contain {
    /// The configuration must be readable now; it is read again for each act.
    pub(crate) fn open(path: &Path, every: Duration) -> Result<Contain, ContainError> {
        let config = Config::read(path)?;
        Ledger::open(&config.ledger)?;
        Ok(Contain {
            path: path.to_owned(),
            every,
            app: OnceLock::new(),
            hands: Mutex::default(),
            work: Mutex::default(),
            watch: Mutex::default(),
        })
    }

    pub(crate) fn attach(&self, app: &Arc<App>) {
        self.app.set(Arc::downgrade(app)).ok();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_running(&self, digest: &str) -> bool {
        lock(&self.work).running.contains(digest)
    }

    /// Why the last run did not begin or broke off; empty where it did neither.
    pub(crate) fn said(&self, digest: &str) -> String {
        lock(&self.work).said.get(digest).cloned().unwrap_or_default()
    }

    pub(crate) fn last_round(&self) -> Option<Round> {
        lock(&self.work).round.clone()
    }

    /// Begins on a thread of its own. What comes through the receiver is the end, or why there was none.
    pub(crate) fn start(self: &Arc<Self>, job: Job) -> Result<Receiver<Result<(), Fault>>, Fault> {
        let app = self.app.get().and_then(Weak::upgrade);
        let app = app.ok_or_else(|| Fault::Busy { why: "the service ends".to_owned() })?;
        let mut work = lock(&self.work);
        if !work.running.insert(job.digest.clone()) {
            let text = "the plan is being carried out or taken back at this moment".to_owned();
            return Err(Fault::Conflict { text });
        }
        let (to, done) = mpsc::channel();
        let (contain, digest) = (self.clone(), job.digest.clone());
        let begun = std::thread::Builder::new().name("containment".to_owned()).spawn(move || {
            // However it ends, it does not run any more.
            let running = Running { contain: &contain, digest: job.digest.clone() };
            let end = contain.run(&app, job);
            drop(running);
            // Who asked may have gone.
            to.send(end).ok();
        });
        match begun {
            Ok(thread) => {
                work.threads.retain(|t| !t.is_finished());
                work.threads.push(thread);
                Ok(done)
            }
            Err(error) => {
                work.running.remove(&digest);
                Err(Fault::Inside(format!("no thread for containment: {error}")))
            }
        }
    }

    fn site(&self, app: &App) -> Result<Site, ContainError> {
        let people = app.store.read(|tx| keys::operators(tx, &app.accounts.seal))?;
        Site::open(app, self, people)
    }

    fn run(&self, app: &App, job: Job) -> Result<(), Fault> {
        let _one = lock(&self.hands);
        let end = self.carry_out(app, &job);
        if let Err(fault) = &end {
            lock(&self.work).said.insert(job.digest.clone(), fault.to_string());
        } else {
            lock(&self.work).said.remove(&job.digest);
        }
        app.hub.tell(News::Plan { digest: job.digest });
        end
    }

    fn carry_out(&self, app: &App, job: &Job) -> Result<(), Fault> {
        let mut site = self.site(app)?;
        let (steps, lost, verb) = match &job.what {
            What::Apply => {
                let (steps, lost) = self.apply(app, &mut site, (&job.digest, &job.word), job.person)?;
                (steps, lost, "carried out")
            }
            What::RollBack(only) => {
                let steps = site.with(&app.hub, |e| e.roll_back(&job.digest, only, &job.word))?;
                (steps, Vec::new(), "taken back")
            }
        };
        let plan = site.ledger.plan(&job.digest)?;
        let contained = steps.iter().all(|s| s.state == StepState::Verified);
        let ineffective =
            steps.iter().any(|s| matches!(s.state, StepState::NotEffective | StepState::Failed));
        let said = format!("plan {} {verb}: {}", short(&job.digest), summary(&steps));
        self.renew_watch(app, &mut site.ledger);
        self.told(app, &plan, &job.word.by, &said, |tx, case, at| match (&job.what, contained) {
            (What::Apply, true) => clock::meet(tx, case, clock::Kind::Contain, at),
            (What::Apply, false) if ineffective => {
                let once = format!("{}:{at}", job.digest);
                let told = (said.as_str(), job.word.by.as_str(), at);
                app.hooks.containment(tx, case, Occasion::ContainmentIneffective, (&job.digest, &once), told)
            }
            (What::Apply, false) => Ok(()),
            (What::RollBack(_), _) => Ok(()),
        });
        if lost.is_empty() { Ok(()) } else { Err(Fault::Conflict { text: lost.join("; ") }) }
    }

    /// Carries a plan out. New passwords are sealed for this person as they come; a fault of the store is told at the
    /// end, when all that can be done is done.
    fn apply(
        &self,
        app: &App,
        site: &mut Site,
        (digest, word): (&str, &Word),
        person: PersonId,
    ) -> Result<(Vec<StepReport>, Vec<String>), ContainError> {
        let mut lost = Vec::new();
        let mut keep = |step: u16, secret: &Secret| {
            let of = (digest, person, step);
            let kept = app.store.write(|tx| handed::keep(tx, &app.accounts.seal, of, secret, now().0));
            if let Err(error) = kept {
                tracing::error!(plan = short(digest), step, %error, "a new password is lost");
                lost.push(format!(
                    "the new password of step {step} could not be kept ({error}); reset it again"
                ));
            }
        };
        let report = site.with_keeper(&app.hub, &mut keep, |e| e.apply(digest, word))?;
        Ok((report.steps, lost))
    }

    /// Writes into the case's timeline what was done. The ledger has it already: a store that does not take it stops
    /// nothing.
    fn told(
        &self,
        app: &App,
        plan: &Plan,
        actor: &str,
        said: &str,
        mut and: impl FnMut(&mut portreeve_store::WriteTx<'_>, CaseId, i64) -> Result<(), Error>,
    ) {
        let at = now().0;
        let written = app.store.write(|tx| {
            let Some(case) = engine::case_of(tx, &plan.case)? else { return Ok(None) };
            let entry = NewEntry {
                case,
                kind: timeline::Kind::Action,
                at,
                certainty: "exact",
                recorded_at: at,
                actor,
                said,
                data: None,
                once: None,
            };
            timeline::append(tx, &entry)?;
            and(tx, case, at)?;
            Ok::<_, Error>(Some(case))
        });
        match written {
            Ok(Some(case)) => app.hub.tell(News::Case { number: case.0, is_new: false }),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, said, "the timeline does not have what the ledger has"),
        }
    }

    /// Plans that a crash stopped in their middle go on, while the word that began them still holds.
    fn go_on(self: &Arc<Self>, app: &App) -> Result<(), ContainError> {
        let mut site = self.site(app)?;
        for (digest, _) in site.ledger.plans()? {
            let plan = site.ledger.plan(&digest)?;
            let begun = site.ledger.of_plan(&digest)?.into_iter().rev().find(|e| e.kind == Kind::Begun);
            let word =
                begun.and_then(|b| serde_json::from_value::<Word>(b.json().get("started_by")?.clone()).ok());
            let Some(word) = word else { continue };
            let open = site.ledger.states(&plan, &digest)?;
            if !open.iter().any(|r| r.state == StepState::Planned || r.state == StepState::Sent) {
                continue;
            }
            tracing::warn!(plan = short(&digest), "a crash stopped this plan in its middle");
            let Some(person) = app.store.read(|tx| people::by_name(tx, &word.by))? else { continue };
            let _one = lock(&self.hands);
            match self.apply(app, &mut site, (&digest, &word), person.id) {
                Ok((steps, lost)) => {
                    let done = [vec![summary(&steps)], lost].concat().join("; ");
                    let said = format!("plan {} went on after a restart: {done}", short(&digest));
                    self.told(app, &plan, "portreeve", &said, |_, _, _| Ok(()));
                }
                Err(error) => {
                    let why = format!("stopped by a restart, and not gone on with: {error}");
                    tracing::warn!(plan = short(&digest), why);
                    lock(&self.work).said.insert(digest.clone(), why);
                }
            }
        }
        self.renew_watch(app, &mut site.ledger);
        Ok(())
    }

    /// Holds devices to the ledger: takes back what expired, puts back what vanished. Not while somebody acts.
    fn round(&self, app: &App) {
        let _one = match self.hands.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let done = self.site(app).and_then(|mut site| {
            let done = site.with(&app.hub, |e| e.reconcile())?;
            self.renew_watch(app, &mut site.ledger);
            Ok(done)
        });
        let trouble = match &done {
            Ok(done) => trouble(done),
            Err(error) => vec![error.to_string()],
        };
        for what in &trouble {
            tracing::warn!(what, "containment needs a person");
        }
        lock(&self.work).round = Some(Round { at: now().0, trouble });
    }

    /// Events of one origin, as they are read.
    pub(crate) fn hear(&self, events: &[Event], names: &Arc<SymbolTable>, origin: &str) {
        if events.is_empty() {
            return;
        }
        if let Some(lookout) = lock(&self.watch).as_mut() {
            lookout.named_by(names);
            events.iter().for_each(|event| lookout.hear(event, origin));
        }
    }

    fn renew_watch(&self, app: &App, ledger: &mut Ledger) {
        let fresh = match Lookout::new(ledger, &app.grounds().names) {
            Ok(fresh) => fresh,
            Err(error) => return tracing::error!(%error, "what is contained is not watched for"),
        };
        let old = std::mem::replace(&mut *lock(&self.watch), fresh);
        if let Some(tally) = old.map(|o| o.tally) {
            self.write_down(app, ledger, &tally);
        }
    }

    fn sightings(&self, app: &App) {
        let tally = match lock(&self.watch).as_mut() {
            Some(lookout) => std::mem::take(&mut lookout.tally),
            None => return,
        };
        if tally == Tally::default() {
            return;
        }
        let ledger = Config::read(&self.path).map_err(ContainError::from);
        match ledger.and_then(|c| Ok(Ledger::open(&c.ledger)?)) {
            Ok(mut ledger) => self.write_down(app, &mut ledger, &tally),
            Err(error) => tracing::error!(%error, "sightings after containment are not written down"),
        }
    }

    fn write_down(&self, app: &App, ledger: &mut Ledger, tally: &Tally) {
        if *tally == Tally::default() {
            return;
        }
        let new = match tally.record(ledger, now().0) {
            Ok(new) => new,
            Err(error) => return tracing::error!(%error, "sightings after containment are not written down"),
        };
        for alarm in new {
            app.hub.tell(News::Plan { digest: alarm.plan.clone() });
            if alarm.ineffective
                && let Ok(plan) = ledger.plan(&alarm.plan)
            {
                tracing::warn!(plan = short(&alarm.plan), "containment ineffective");
                let said = ineffective(&alarm);
                self.told(app, &plan, "portreeve", &said, |tx, case, at| {
                    let once = format!("{}:{}:{at}", alarm.plan, alarm.step);
                    let told = (said.as_str(), "portreeve", at);
                    let occasion = Occasion::ContainmentIneffective;
                    app.hooks.containment(tx, case, occasion, (&alarm.plan, &once), told)?;
                    clock::unmeet(tx, case, clock::Kind::Contain)
                });
            }
        }
    }

    /// Waits for what is being done.
    pub(crate) fn finish(&self) {
        let threads = std::mem::take(&mut lock(&self.work).threads);
        for thread in threads {
            thread.join().ok();
        }
    }
}

struct Running<'a> {
    contain: &'a Contain,
    digest: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut work = lock(&self.contain.work);
        work.running.remove(&self.digest);
        if std::thread::panicking() {
            work.said
                .insert(self.digest.clone(), "a defect of this program; the log has its place".to_owned());
        }
    }
}

fn ineffective(alarm: &Alarm) -> String {
    format!(
        "containment ineffective: {} of plan {} step {}: {} ({})",
        alarm.target,
        short(&alarm.plan),
        alarm.step,
        alarm.what,
        alarm.evidence
    )
}

/// `2 verified, 1 unknown`.
fn summary(steps: &[StepReport]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for step in steps {
        *counts.entry(step.state.name()).or_default() += 1;
    }
    let words: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    if words.is_empty() { "no step".to_owned() } else { words.join(", ") }
}

fn trouble(done: &Reconciled) -> Vec<String> {
    let of = |what: &str, list: &[String]| list.iter().map(|l| format!("{what}: {l}")).collect::<Vec<_>>();
    [of("not in force", &done.not_in_force), of("unknown", &done.unknown), of("not ours", &done.strangers)]
        .concat()
}

/// The thread of a service, until `over` is dropped.
pub(crate) fn rounds(app: &App, contain: &Arc<Contain>, over: &Receiver<()>) {
    if let Err(error) = contain.go_on(app) {
        tracing::error!(%error, "what a restart may have left open is not looked at yet");
    }
    let mut last: Option<Instant> = None;
    loop {
        if last.is_none_or(|l| l.elapsed() >= contain.every) {
            contain.round(app);
            last = Some(Instant::now());
        }
        match over.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => contain.sightings(app),
            _ => return contain.sightings(app),
        }
    }
}
