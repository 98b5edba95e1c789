//! The steps of the playbook as people go through them.

use super::{By, get, work};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, PersonId, words};

words! {
    State, "state of a step" {
        ToDo = "to_do",
        InProgress = "in_progress",
        Blocked = "blocked",
        Done = "done",
        /// Not needed in this case.
        Skipped = "skipped",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    pub case: CaseId,
    /// The playbook's id of the step.
    pub step: String,
    pub title: String,
    pub state: State,
    pub assignee: Option<PersonId>,
    pub due: Option<Micros>,
    pub finding: String,
    pub done_by: Option<String>,
    pub done_at: Option<Micros>,
    pub revision: i64,
}

/// Steps that the case is to have. Those that it has keep what people wrote.
pub fn ensure(tx: &mut WriteTx<'_>, case: CaseId, steps: &[(&str, &str)]) -> Result<()> {
    for ((step, title), place) in steps.iter().zip(1_i64..) {
        if step.is_empty() || step.len() > 200 {
            return Err(Error::invalid("step", "1 to 200 bytes"));
        }
        tx.execute(
            "insert into tasks (case_id, step, title, place, state, finding, revision)
             values ($1, $2, $3, $4, $5, '', 1)
             on conflict (case_id, step) do update set title = excluded.title, place = excluded.place",
            values![case, *step, *title, place, State::ToDo],
        )?;
    }
    Ok(())
}

pub struct Change<'a> {
    pub state: State,
    pub assignee: Option<PersonId>,
    pub due: Option<Micros>,
    /// What was found; a step is not done without saying it.
    pub finding: &'a str,
}

pub fn set(
    tx: &mut WriteTx<'_>,
    case: CaseId,
    step: &str,
    expect: i64,
    change: &Change<'_>,
    by: By<'_>,
) -> Result<Task> {
    get(tx, case)?;
    let before = task(tx, case, step)?;
    if before.revision != expect {
        return Err(Error::Conflict { what: "step", id: step.to_owned(), now: before.revision });
    }
    if matches!(change.state, State::Done | State::Blocked | State::Skipped) {
        super::reason("finding", change.finding)?;
    }
    let (done_by, done_at) = match (change.state, before.state) {
        (State::Done, State::Done) => (before.done_by.clone(), before.done_at),
        (State::Done, _) => (Some(by.actor.to_owned()), Some(by.at)),
        _ => (None, None),
    };
    tx.execute(
        "update tasks set state = $3, assignee = $4, due = $5, finding = $6, done_by = $7, done_at = $8,
            revision = revision + 1
         where case_id = $1 and step = $2",
        values![case, step, change.state, change.assignee, change.due, change.finding, done_by, done_at,],
    )?;
    if change.state != before.state {
        let finding = if change.finding.is_empty() { String::new() } else { format!(": {}", change.finding) };
        work::tell(tx, case, &format!("step {step} {} → {}{finding}", before.state, change.state), by)?;
    }
    task(tx, case, step)
}

const COLUMNS: &str = "case_id, step, title, state, assignee, due, finding, done_by, done_at, revision";

fn read(r: &mut Row) -> Result<Task> {
    Ok(Task {
        case: CaseId(r.int()?),
        step: r.text()?,
        title: r.text()?,
        state: r.word()?,
        assignee: r.maybe_int()?.map(PersonId),
        due: r.maybe_int()?,
        finding: r.text()?,
        done_by: r.maybe_text()?,
        done_at: r.maybe_int()?,
        revision: r.int()?,
    })
}

fn task(tx: &mut Tx<'_>, case: CaseId, step: &str) -> Result<Task> {
    tx.one(
        &format!("select {COLUMNS} from tasks where case_id = $1 and step = $2"),
        values![case, step],
        read,
    )?
    .ok_or_else(|| Error::not_found("step", step))
}

/// In the playbook's order.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Task>> {
    tx.all(
        &format!("select {COLUMNS} from tasks where case_id = $1 order by place, step"),
        values![case],
        read,
    )
}

/// What somebody has still to do, in all cases.
pub fn of_person(tx: &mut Tx<'_>, person: PersonId) -> Result<Vec<Task>> {
    tx.all(
        &format!(
            "select {COLUMNS} from tasks where assignee = $1 and state in ('to_do', 'in_progress', 'blocked')
             order by coalesce(due, {}), case_id, place",
            super::NEVER
        ),
        values![person],
        read,
    )
}

/// Begun or blocked.
pub(crate) fn unfinished(tx: &mut Tx<'_>, case: CaseId) -> Result<i64> {
    tx.number(
        "select count(*) from tasks where case_id = $1 and state in ('in_progress', 'blocked')",
        values![case],
    )
}
