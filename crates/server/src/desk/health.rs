//! How the service stands, in detail: what works, and what somebody has to look at.

use super::{Doing, Fault, Stamp, Who, change};
use crate::app::App;
use crate::config::Changed;
use crate::service::StartError;
use portreeve_access::permit::{Object, Verb};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Something that somebody has to look at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ProblemView {
    /// `line`, `door`, `store`, `webhook`, or `records`.
    pub part: &'static str,
    /// Which of them; empty where there is only one.
    pub name: String,
    pub why: String,
    pub since: Option<Stamp>,
}

/// A door that fetches, or listens on its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DoorState {
    pub name: String,
    pub open: bool,
    /// Why it is closed; it is opened again by itself.
    pub why: Option<String>,
    pub since: Option<Stamp>,
    /// How often it was opened again since, in vain.
    pub tries: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct StoreState {
    /// `sqlite` or `postgresql`.
    pub database: String,
    pub version: String,
    pub schema: i64,
    pub bytes: i64,
    /// Audit entries that are not written yet.
    pub audit_waiting: usize,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct HealthView {
    pub version: String,
    pub started_at: Stamp,
    /// Everything that was there at the start is judged.
    pub ready: bool,
    pub problems: Vec<ProblemView>,
    pub doors: Vec<DoorState>,
    /// Null while the store does not answer.
    pub store: Option<StoreState>,
    /// Records by their numbers: in the journal, read, judged.
    pub kept: u64,
    pub read: u64,
    pub judged: u64,
    /// Bytes of records that wait to be read.
    pub backlog_bytes: u64,
    /// Since the start; and of them those that made room for newer ones.
    pub dead_letters: u64,
    pub dead_letters_dropped: u64,
}

pub fn health(app: &App, who: &Who) -> Result<HealthView, Fault> {
    // Not by way of the store: it may be what is wrong.
    who.may(Verb::HealthRead, &Object::Service)?;
    Ok(view(app))
}

/// What is wrong with line, doors, records and webhooks.
pub(crate) fn problems(app: &App) -> Vec<ProblemView> {
    let progress = &app.progress;
    let mut problems = Vec::new();
    let mut say = |part, name: &str, why: String, since| {
        problems.push(ProblemView { part, name: name.to_owned(), why, since });
    };
    if let Some(why) = progress.stopped.get() {
        say("line", "", format!("verdicts have stopped: {why}"), None);
    }
    if progress.held_back.load(Ordering::Relaxed) {
        let why = format!("{} bytes of records wait; doors are held back", progress.backlog_bytes());
        say("line", "", why, None);
    }
    let lost = progress.damaged.load(Ordering::Relaxed);
    if lost > 0 {
        let why = format!("{lost} records of the journal could not be read; the log says where");
        say("records", "", why, None);
    }
    let (_, dropped) = app.dead.counts();
    if dropped > 0 {
        let why = format!("{dropped} dead letters made room for newer ones; see doors.dead_bytes");
        say("records", "", why, None);
    }
    for (name, closed) in app.entrances.list() {
        if let Some(closed) = closed {
            say("door", &name, closed.why, Some(Stamp(closed.since)));
        }
    }
    // Open, and yet nothing comes: a broker that is down, an API that is busy.
    let mut troubles = Vec::new();
    app.counters.each(|door, origin, counts| {
        troubles.extend(counts.trouble().map(|why| (format!("{door} {}", origin.name()), why)));
    });
    for (name, why) in troubles {
        say("door", &name, why, None);
    }
    for (name, why) in app.hooks.troubles() {
        say("webhook", &name, why, None);
    }
    problems
}

/// As [`health`], for who was let in already.
pub(crate) fn view(app: &App) -> HealthView {
    let progress = &app.progress;
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let mut problems = problems(app);
    let mut say = |part, why: String| {
        problems.push(ProblemView { part, name: String::new(), why, since: None });
    };
    let (dead_letters, dead_letters_dropped) = app.dead.counts();
    let doors = app.entrances.list().into_iter().map(|(name, closed)| DoorState {
        open: closed.is_none(),
        since: closed.as_ref().map(|c| Stamp(c.since)),
        tries: closed.as_ref().map_or(0, |c| c.tries),
        why: closed.map(|c| c.why),
        name,
    });
    let doors = doors.collect();
    let store = match app.store.health() {
        Ok(health) => {
            if let Some(why) = &health.audit_error {
                say("store", format!("the audit cannot be written: {why}"));
            }
            Some(StoreState {
                database: health.database.to_owned(),
                version: health.version,
                schema: health.schema,
                bytes: health.bytes,
                audit_waiting: health.audit_waiting,
            })
        }
        Err(error) => {
            say("store", error.to_string());
            None
        }
    };
    HealthView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: Stamp(app.started.0),
        ready: progress.ready.load(Ordering::Acquire),
        problems,
        doors,
        store,
        kept: get(&progress.kept),
        read: get(&progress.read),
        judged: get(&progress.judged),
        backlog_bytes: progress.backlog_bytes(),
        dead_letters,
        dead_letters_dropped,
    }
}

/// What somebody has to look at, in words, for the top of every page. The store is not asked: a page that is shown was
/// read from it.
pub(crate) fn troubles(app: &App) -> Vec<String> {
    let said = |p: ProblemView| {
        let named = if p.name.is_empty() { p.part.to_owned() } else { format!("{} {}", p.part, p.name) };
        format!("{named}: {}", p.why)
    };
    problems(app).into_iter().map(said).collect()
}

/// May somebody read the figures? Not written into the audit: a scraper asks four times a minute, for ever.
pub(crate) fn may_read_metrics(who: &Who) -> Result<(), Fault> {
    who.may(Verb::MetricsRead, &Object::Service)
}

/// Reads the configuration and all it names again, as SIGHUP does: see [`App::reload`].
pub fn reload(app: &App, who: &Who) -> Result<Changed, Fault> {
    change(app, who, &Doing::new(Verb::ConfigReload, "service"), |_, _| {
        who.may(Verb::ConfigReload, &Object::Service).map_err(Into::into)
    })?;
    match app.reload() {
        Ok(done) => Ok(done),
        Err(StartError::Store(error)) => Err(error.into()),
        // It names a file of the server and what is wrong with it; who may load it may know.
        Err(error) => Err(Fault::invalid("configuration", error.to_string())),
    }
}

/// What was in force before stays, where something is wrong; both are said in the log. For a signal.
pub fn reload_and_say(app: &App) {
    match app.reload() {
        Ok(Changed { taken, restart }) => {
            let taken = taken.join(", ");
            tracing::info!(%taken, "configuration, context and content were read anew");
            if !restart.is_empty() {
                tracing::warn!(fields = %restart.join(", "), "these count after a restart");
            }
        }
        Err(error) => tracing::error!(%error, "configuration, context and content stay as they were"),
    }
}

/// Origins and when each spoke last, in seconds since 1970, with how its records ended.
pub(crate) fn origins(app: &App) -> Vec<(String, f64, [u64; 5])> {
    let health = app.health.read().unwrap_or_else(PoisonError::into_inner);
    let one = |(name, health): (&String, &crate::line::OriginHealth)| {
        let counts = health.read.as_ref().map(|r| &r.counts);
        let counts =
            counts.map_or([0; 5], |c| [c.understood, c.fragments, c.irrelevant, c.unknown, c.broken]);
        Some((name.clone(), health.last_arrival?.0 as f64 / 1e6, counts))
    };
    health.iter().filter_map(one).collect()
}
