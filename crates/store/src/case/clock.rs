//! Deadlines of a case: until when it is to be acknowledged, contained, resolved. A clock that is paused runs out
//! later by as long as it stood.

use super::NEVER;
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, words};

words! {
    Kind, "clock" {
        Acknowledge = "acknowledge",
        Contain = "contain",
        Resolve = "resolve",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clock {
    pub case: CaseId,
    pub kind: Kind,
    pub started_at: Micros,
    pub due: Micros,
    /// Stands since then.
    pub paused_at: Option<Micros>,
    pub met_at: Option<Micros>,
}

impl Clock {
    /// Missed, or met too late.
    pub fn is_breached(&self, now: Micros) -> bool {
        self.met_at.or(self.paused_at).unwrap_or(now) > self.due
    }
}

/// Sets a clock, or sets it anew; one that was met stays met.
pub fn start(tx: &mut WriteTx<'_>, case: CaseId, kind: Kind, started_at: Micros, due: Micros) -> Result<()> {
    tx.execute(
        "insert into clocks (case_id, kind, started_at, due) values ($1, $2, $3, $4)
         on conflict (case_id, kind) do update set started_at = excluded.started_at, due = excluded.due",
        values![case, kind, started_at, due],
    )?;
    next_due(tx, case)
}

/// It was done. The first time counts; without such a clock nothing happens.
pub fn meet(tx: &mut WriteTx<'_>, case: CaseId, kind: Kind, at: Micros) -> Result<()> {
    tx.execute(
        "update clocks set met_at = $3, paused_at = null where case_id = $1 and kind = $2 and met_at is null",
        values![case, kind, at],
    )?;
    next_due(tx, case)
}

/// It has to be done again.
pub fn unmeet(tx: &mut WriteTx<'_>, case: CaseId, kind: Kind) -> Result<()> {
    tx.execute("update clocks set met_at = null where case_id = $1 and kind = $2", values![case, kind])?;
    next_due(tx, case)
}

pub fn pause(tx: &mut WriteTx<'_>, case: CaseId, kind: Kind, at: Micros) -> Result<()> {
    let done = tx.execute(
        "update clocks set paused_at = $3
         where case_id = $1 and kind = $2 and paused_at is null and met_at is null",
        values![case, kind, at],
    )?;
    if done == 0 {
        return Err(Error::NotNow(format!("the clock {kind} of case {case} does not run")));
    }
    next_due(tx, case)
}

pub fn resume(tx: &mut WriteTx<'_>, case: CaseId, kind: Kind, at: Micros) -> Result<()> {
    let done = tx.execute(
        "update clocks set due = due + case when $3 > paused_at then $3 - paused_at else 0 end, paused_at = null
         where case_id = $1 and kind = $2 and paused_at is not null",
        values![case, kind, at],
    )?;
    if done == 0 {
        return Err(Error::NotNow(format!("the clock {kind} of case {case} does not stand")));
    }
    next_due(tx, case)
}

/// Every clock that runs stands from now on.
pub fn pause_all(tx: &mut WriteTx<'_>, case: CaseId, at: Micros) -> Result<()> {
    tx.execute(
        "update clocks set paused_at = $2 where case_id = $1 and paused_at is null and met_at is null",
        values![case, at],
    )?;
    next_due(tx, case)
}

/// Every clock that stands runs again, and runs out later by as long as it stood.
pub fn resume_all(tx: &mut WriteTx<'_>, case: CaseId, at: Micros) -> Result<()> {
    tx.execute(
        "update clocks set due = due + case when $2 > paused_at then $2 - paused_at else 0 end, paused_at = null
         where case_id = $1 and paused_at is not null",
        values![case, at],
    )?;
    next_due(tx, case)
}

/// Who sorts by deadlines, and who follows changes, has to hear of it.
fn next_due(tx: &mut WriteTx<'_>, case: CaseId) -> Result<()> {
    let change = tx.next("change")?;
    tx.execute(
        "update cases set change = $3, next_due = coalesce((select min(due) from clocks
            where case_id = $1 and met_at is null and paused_at is null), $2) where id = $1",
        values![case, NEVER, change],
    )?;
    Ok(())
}

const COLUMNS: &str = "case_id, kind, started_at, due, paused_at, met_at";

fn read(r: &mut Row) -> Result<Clock> {
    Ok(Clock {
        case: CaseId(r.int()?),
        kind: r.word()?,
        started_at: r.int()?,
        due: r.int()?,
        paused_at: r.maybe_int()?,
        met_at: r.maybe_int()?,
    })
}

pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Clock>> {
    of_cases(tx, &[case])
}

/// For a page of the queue.
pub fn of_cases(tx: &mut Tx<'_>, cases: &[CaseId]) -> Result<Vec<Clock>> {
    let mut all = Vec::new();
    for case in cases {
        all.extend(tx.all(
            &format!("select {COLUMNS} from clocks where case_id = $1 order by due, kind"),
            values![*case],
            read,
        )?);
    }
    Ok(all)
}
