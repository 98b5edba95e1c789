//! The ledger: what was planned, allowed, sent and seen, in one chain that only grows. It is written before each
//! step, and it, not the device, is the truth about what we did.
//!
//! An entry's hash is SHA-256 over the hash before it and every field. Checkpoints sign the last hash, so that a
//! chain cut short or written anew is found too (`audit`).

pub mod audit;
mod state;

pub use state::{StepRecord, StepState};

use crate::operator::Word;
use crate::plan::{Plan, hex};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("ledger {}: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("ledger {}: entry {seq}: {why}", path.display())]
    Broken { path: PathBuf, seq: u64, why: String },
    #[error("no plan has the digest {0}; `portreeve respond status` lists them")]
    NoPlan(String),
    #[error("more than one plan begins with {0}; write more of the digest")]
    Ambiguous(String),
    #[error("plan {plan} has no step {step}")]
    NoStep { plan: String, step: u16 },
    /// Somebody else is at this step, or it was done.
    #[error("step {step} is {state}, which does not allow this")]
    NotNow { step: u16, state: StepState },
}

/// The kinds of entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Planned,
    /// A person's word: approval, rejection, break-glass, attestation.
    Word,
    /// A plan was not taken, because who proposed it may not. It is not in the ledger.
    Refused,
    /// Execution began, with how it was allowed.
    Begun,
    Sent,
    Acknowledged,
    Verified,
    NotEffective,
    Unknown,
    /// The device refused; nothing changed.
    Failed,
    /// Not sent, with the reason.
    Skipped,
    UndoSent,
    UndoAcknowledged,
    RolledBack,
    UndoNotEffective,
    UndoUnknown,
    UndoFailed,
    Expired,
    /// It had vanished from the device and is sent again.
    Restoring,
    /// Something at the device that is not ours.
    Stranger,
    /// The user, address, device or session of a contained case was seen again.
    Reentry,
    Checkpoint,
}

impl Kind {
    pub fn id(self) -> &'static str {
        match self {
            Kind::Planned => "planned",
            Kind::Word => "word",
            Kind::Refused => "refused",
            Kind::Begun => "begun",
            Kind::Sent => "sent",
            Kind::Acknowledged => "acknowledged",
            Kind::Verified => "verified",
            Kind::NotEffective => "not_effective",
            Kind::Unknown => "unknown",
            Kind::Failed => "failed",
            Kind::Skipped => "skipped",
            Kind::UndoSent => "undo_sent",
            Kind::UndoAcknowledged => "undo_acknowledged",
            Kind::RolledBack => "rolled_back",
            Kind::UndoNotEffective => "undo_not_effective",
            Kind::UndoUnknown => "undo_unknown",
            Kind::UndoFailed => "undo_failed",
            Kind::Expired => "expired",
            Kind::Restoring => "restoring",
            Kind::Stranger => "stranger",
            Kind::Reentry => "reentry",
            Kind::Checkpoint => "checkpoint",
        }
    }

    pub const ALL: [Kind; 22] = [
        Kind::Planned,
        Kind::Word,
        Kind::Refused,
        Kind::Begun,
        Kind::Sent,
        Kind::Acknowledged,
        Kind::Verified,
        Kind::NotEffective,
        Kind::Unknown,
        Kind::Failed,
        Kind::Skipped,
        Kind::UndoSent,
        Kind::UndoAcknowledged,
        Kind::RolledBack,
        Kind::UndoNotEffective,
        Kind::UndoUnknown,
        Kind::UndoFailed,
        Kind::Expired,
        Kind::Restoring,
        Kind::Stranger,
        Kind::Reentry,
        Kind::Checkpoint,
    ];

    pub fn by_id(id: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.id() == id)
    }
}

/// One entry, as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// Microseconds since 1970, UTC, by this machine's clock.
    pub at: i64,
    /// Milliseconds since this machine started: shows a clock that was set.
    pub uptime: i64,
    pub actor: String,
    /// The plan's digest, or empty.
    pub plan: String,
    pub step: Option<u16>,
    pub kind: Kind,
    /// JSON.
    pub body: String,
    pub prev: String,
    pub hash: String,
}

impl Entry {
    fn hash_of(&self) -> String {
        let mut hasher = Sha256::new();
        let step = self.step.map_or(-1, i64::from);
        let head = format!("{}\n{}\n{}\n{step}\n{}\n", self.seq, self.at, self.uptime, self.kind.id());
        hasher.update(head.as_bytes());
        for text in [&self.prev, &self.actor, &self.plan, &self.body] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hex(&hasher.finalize())
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What to append.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub at: i64,
    pub actor: &'a str,
    pub plan: &'a str,
    pub step: Option<u16>,
    pub kind: Kind,
    pub body: serde_json::Value,
}

/// Where a step stands, by the entries of its plan.
pub fn step_record(entries: &[Entry], step: u16) -> StepRecord {
    state::of_step(entries, step)
}

/// The first entry's predecessor.
const ROOT: &str = "portreeve/ledger/v1";

pub struct Ledger {
    path: PathBuf,
    db: Connection,
}

impl Ledger {
    /// Opens or makes it. Every commit reaches the disk before it returns, but for [`Kind::Acknowledged`].
    pub fn open(path: &Path) -> Result<Ledger, LedgerError> {
        let wrong = |source| LedgerError::Database { path: path.to_owned(), source };
        let db = Connection::open(path).map_err(wrong)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(wrong)?;
        db.execute_batch(
            "pragma journal_mode = wal;
             pragma synchronous = full;
             create table if not exists entries(
                 seq integer primary key, at integer not null, uptime integer not null, actor text not null,
                 plan text not null, step integer, kind text not null, body text not null,
                 prev text not null, hash text not null) strict;
             create index if not exists entries_plan on entries(plan, seq);
             create trigger if not exists entries_stay before update on entries
                 begin select raise(abort, 'entries are never changed'); end;
             create trigger if not exists entries_remain before delete on entries
                 begin select raise(abort, 'entries are never deleted'); end;",
        )
        .map_err(wrong)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Names of people and what was done to their accounts.
            let _kept = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
        }
        Ok(Ledger { path: path.to_owned(), db })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn wrong(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Database { path: self.path.clone(), source }
    }

    /// Appends, whatever the state.
    pub fn append(&mut self, draft: &Draft<'_>) -> Result<Entry, LedgerError> {
        self.append_where(draft, |_| Ok(()))
    }

    /// Appends only if the step is in one of these states at this moment: of two that try at once, one gets it.
    pub fn append_if(&mut self, draft: &Draft<'_>, states: &[StepState]) -> Result<Entry, LedgerError> {
        self.append_where(draft, |entries| {
            let step = draft.step.unwrap_or(0);
            let state = state::of_step(entries, step).state;
            if states.contains(&state) { Ok(()) } else { Err(LedgerError::NotNow { step, state }) }
        })
    }

    fn append_where(
        &mut self,
        draft: &Draft<'_>,
        allow: impl Fn(&[Entry]) -> Result<(), LedgerError>,
    ) -> Result<Entry, LedgerError> {
        let path = self.path.clone();
        let wrong = |source| LedgerError::Database { path: path.clone(), source };
        // A device's word is no proof, and what follows it is reading. A killed process leaves it; a power failure may
        // leave the step as sent, which is read again all the same. It reaches the disk with the entry after it.
        let waits = if draft.kind == Kind::Acknowledged { "normal" } else { "full" };
        self.db.pragma_update(None, "synchronous", waits).map_err(wrong)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let entries = if draft.step.is_some() { read(&tx, &path, draft.plan)? } else { Vec::new() };
        allow(&entries)?;
        let entry = link(&tx, draft).map_err(wrong)?;
        tx.commit().map_err(wrong)?;
        Ok(entry)
    }

    /// The entries of one plan, in order.
    pub fn of_plan(&self, plan: &str) -> Result<Vec<Entry>, LedgerError> {
        read(&self.db, &self.path, plan)
    }

    /// All entries since a time, in order.
    pub fn since(&self, at: i64) -> Result<Vec<Entry>, LedgerError> {
        let mut statement = self
            .db
            .prepare_cached("select * from entries where at >= ?1 order by seq")
            .map_err(|e| self.wrong(e))?;
        let rows = statement.query_map([at], row).map_err(|e| self.wrong(e))?;
        collect(rows, &self.path)
    }

    /// Stores a plan. Storing the same plan again changes nothing.
    pub fn store(&mut self, plan: &Plan) -> Result<String, LedgerError> {
        self.store_with(plan, None).map(|(digest, _)| digest)
    }

    /// Stores a plan together with the word that proposes it: both are written, or neither. Gives the digest and what
    /// was written.
    pub(crate) fn store_with(
        &mut self,
        plan: &Plan,
        word: Option<&Draft<'_>>,
    ) -> Result<(String, Vec<Entry>), LedgerError> {
        let (text, digest) = (plan.text(), plan.digest());
        let path = self.path.clone();
        let wrong = |source| LedgerError::Database { path: path.clone(), source };
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let mut written = Vec::new();
        if !read(&tx, &path, &digest)?.iter().any(|e| e.kind == Kind::Planned) {
            let draft = Draft {
                at: plan.made_at,
                actor: &plan.made_by,
                plan: &digest,
                step: None,
                kind: Kind::Planned,
                // As a string, so that what was hashed comes back byte for byte.
                body: serde_json::Value::String(text),
            };
            written.push(link(&tx, &draft).map_err(wrong)?);
        }
        if let Some(word) = word {
            written.push(link(&tx, word).map_err(wrong)?);
        }
        tx.commit().map_err(wrong)?;
        Ok((digest, written))
    }

    /// The digest that begins so.
    pub fn find(&self, prefix: &str) -> Result<String, LedgerError> {
        let all = self.plans()?;
        let mut fitting = all.iter().filter(|(digest, _)| !prefix.is_empty() && digest.starts_with(prefix));
        match (fitting.next(), fitting.next()) {
            (Some((digest, _)), None) => Ok(digest.clone()),
            (Some(_), Some(_)) => Err(LedgerError::Ambiguous(prefix.to_owned())),
            (None, _) => Err(LedgerError::NoPlan(prefix.to_owned())),
        }
    }

    /// Digest and time of every plan, oldest first.
    pub fn plans(&self) -> Result<Vec<(String, i64)>, LedgerError> {
        let mut statement = self
            .db
            .prepare_cached("select plan, at from entries where kind = 'planned' order by seq")
            .map_err(|e| self.wrong(e))?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).map_err(|e| self.wrong(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrong(e))
    }

    /// The plan of this digest; its text must still have it.
    pub fn plan(&self, digest: &str) -> Result<Plan, LedgerError> {
        let entries = self.of_plan(digest)?;
        let entry = entries
            .iter()
            .find(|e| e.kind == Kind::Planned)
            .ok_or_else(|| LedgerError::NoPlan(digest.to_owned()))?;
        let broken = |why: String| LedgerError::Broken { path: self.path.clone(), seq: entry.seq, why };
        let text: String = serde_json::from_str(&entry.body).map_err(|e| broken(e.to_string()))?;
        if crate::plan::digest(&text) != digest {
            return Err(broken("the plan is not the one of this digest".into()));
        }
        serde_json::from_str(&text).map_err(|e| broken(e.to_string()))
    }

    /// The words of people on a plan, in order.
    pub fn words(&self, digest: &str) -> Result<Vec<Word>, LedgerError> {
        let entries = self.of_plan(digest)?;
        Ok(entries
            .iter()
            .filter(|e| e.kind == Kind::Word)
            .filter_map(|e| serde_json::from_str(&e.body).ok())
            .collect())
    }

    /// Where each step of a plan stands.
    pub fn states(&self, plan: &Plan, digest: &str) -> Result<Vec<StepRecord>, LedgerError> {
        let entries = self.of_plan(digest)?;
        Ok(plan.steps.iter().map(|s| state::of_step(&entries, s.number)).collect())
    }

    /// The last sequence number and hash.
    pub fn head(&self) -> Result<(u64, String), LedgerError> {
        self.db
            .query_row("select seq, hash from entries order by seq desc limit 1", [], |r| {
                Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?))
            })
            .optional()
            .map(|head| head.unwrap_or((0, ROOT.to_owned())))
            .map_err(|e| self.wrong(e))
    }
}

/// Writes an entry behind the last one.
fn link(db: &Connection, draft: &Draft<'_>) -> rusqlite::Result<Entry> {
    let last: Option<(u64, String)> = db
        .query_row("select seq, hash from entries order by seq desc limit 1", [], |r| {
            Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?))
        })
        .optional()?;
    let (seq, prev) = last.unwrap_or((0, ROOT.to_owned()));
    let mut entry = Entry {
        seq: seq + 1,
        at: draft.at,
        uptime: uptime(),
        actor: draft.actor.to_owned(),
        plan: draft.plan.to_owned(),
        step: draft.step,
        kind: draft.kind,
        body: draft.body.to_string(),
        prev,
        hash: String::new(),
    };
    entry.hash = entry.hash_of();
    db.execute(
        "insert into entries values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            entry.seq as i64,
            entry.at,
            entry.uptime,
            entry.actor,
            entry.plan,
            entry.step,
            entry.kind.id(),
            entry.body,
            entry.prev,
            entry.hash
        ],
    )?;
    Ok(entry)
}

fn row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Entry, (u64, String)>> {
    let seq = r.get::<_, i64>(0)?.unsigned_abs();
    let kind: String = r.get(6)?;
    let Some(kind) = Kind::by_id(&kind) else { return Ok(Err((seq, format!("no kind is called {kind}")))) };
    Ok(Ok(Entry {
        seq,
        at: r.get(1)?,
        uptime: r.get(2)?,
        actor: r.get(3)?,
        plan: r.get(4)?,
        step: r.get(5)?,
        kind,
        body: r.get(7)?,
        prev: r.get(8)?,
        hash: r.get(9)?,
    }))
}

fn read(db: &Connection, path: &Path, plan: &str) -> Result<Vec<Entry>, LedgerError> {
    let wrong = |source| LedgerError::Database { path: path.to_owned(), source };
    let mut statement =
        db.prepare_cached("select * from entries where plan = ?1 order by seq").map_err(wrong)?;
    let rows = statement.query_map([plan], row).map_err(wrong)?;
    collect(rows, path)
}

fn collect(
    rows: impl Iterator<Item = rusqlite::Result<Result<Entry, (u64, String)>>>,
    path: &Path,
) -> Result<Vec<Entry>, LedgerError> {
    let mut entries = Vec::new();
    for row in rows {
        match row {
            Ok(Ok(entry)) => entries.push(entry),
            Ok(Err((seq, why))) => return Err(LedgerError::Broken { path: path.to_owned(), seq, why }),
            Err(source) => return Err(LedgerError::Database { path: path.to_owned(), source }),
        }
    }
    Ok(entries)
}

/// Milliseconds since the machine started, 0 where it does not say.
fn uptime() -> i64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = text.split_whitespace().next().and_then(|s| s.parse().ok()).unwrap_or(0.0);
    (seconds * 1000.0) as i64
}
