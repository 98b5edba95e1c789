//! What people do to a case: take it, hand it on, close it. Each names the revision that it was decided on, and writes
//! its line of the timeline.

use super::{
    By, Case, Disposition, Pap, Status, Tier, Tlp, at_revision, clock, members, reason, save, snapshot, task,
    timeline,
};
use crate::db::value::values;
use crate::db::{Micros, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, PersonId, SnapshotId};

/// Gives it to somebody, or to nobody. A new case is open from then on.
pub fn assign(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    owner: Option<PersonId>,
    by: By<'_>,
) -> Result<Case> {
    let name = match owner {
        Some(person) => Some(crate::people::get(tx, person)?.name),
        None => None,
    };
    change(tx, id, expect, by, |case| {
        open_only(case)?;
        case.owner = owner;
        if owner.is_some() && case.status == Status::New {
            case.status = Status::Open;
        }
        Ok(match name {
            Some(name) => format!("assigned to {name}"),
            None => "given back".to_owned(),
        })
    })
}

/// Any state but closed; for that, `close` asks what it was.
pub fn set_status(tx: &mut WriteTx<'_>, id: CaseId, expect: i64, status: Status, by: By<'_>) -> Result<Case> {
    if status == Status::Closed {
        return Err(Error::invalid("status", "a case is closed with a disposition and a reason"));
    }
    change(tx, id, expect, by, |case| {
        open_only(case)?;
        let said = format!("status {} → {status}", case.status);
        case.status = status;
        Ok(said)
    })
}

pub struct Closing<'a> {
    pub disposition: Disposition,
    pub reason: &'a str,
    /// Close although steps are begun or blocked. They stay as they are.
    pub leave_tasks: bool,
}

pub fn close(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    closing: &Closing<'_>,
    by: By<'_>,
) -> Result<Case> {
    reason("reason", closing.reason)?;
    let unfinished = task::unfinished(tx, id)?;
    if unfinished > 0 && !closing.leave_tasks {
        return Err(Error::NotNow(format!(
            "{unfinished} steps of case {id} are begun or blocked; finish them, or say that they stay so"
        )));
    }
    let case = change(tx, id, expect, by, |case| {
        if case.status == Status::Closed && !case.resurfaced {
            return Err(Error::NotNow(format!("case {} is closed already", case.id)));
        }
        merged_not(case)?;
        case.status = Status::Closed;
        case.disposition = Some(closing.disposition);
        case.closing_reason = Some(closing.reason.to_owned());
        case.closed_at = Some(by.at);
        case.resurfaced = false;
        Ok(format!("closed as {}: {}", closing.disposition, closing.reason))
    })?;
    clock::meet(tx, id, clock::Kind::Resolve, by.at)?;
    super::get(tx, case.id)
}

pub fn reopen(tx: &mut WriteTx<'_>, id: CaseId, expect: i64, why: &str, by: By<'_>) -> Result<Case> {
    reason("reason", why)?;
    change(tx, id, expect, by, |case| {
        if case.status != Status::Closed {
            return Err(Error::NotNow(format!("case {} is not closed", case.id)));
        }
        case.status = Status::Open;
        case.disposition = None;
        case.closing_reason = None;
        case.closed_at = None;
        case.resurfaced = false;
        Ok(format!("reopened: {why}"))
    })?;
    clock::unmeet(tx, id, clock::Kind::Resolve)?;
    super::get(tx, id)
}

/// To the next tier. What was known is frozen; the owner of that tier is to be found.
pub fn escalate(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    tier: Tier,
    why: &str,
    by: By<'_>,
) -> Result<(Case, SnapshotId)> {
    reason("reason", why)?;
    at_revision(tx, id, expect)?;
    let frozen = snapshot::freeze(tx, id, why, by)?;
    let case = change(tx, id, expect, by, |case| {
        open_only(case)?;
        if tier <= case.tier {
            return Err(Error::NotNow(format!("case {} is with {} already", case.id, case.tier)));
        }
        let said = format!("escalated {} → {tier}: {why}", case.tier);
        case.tier = tier;
        case.owner = None;
        if case.status == Status::New {
            case.status = Status::Open;
        }
        Ok(said)
    })?;
    Ok((case, frozen))
}

/// Back to a lower tier.
pub fn hand_back(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    tier: Tier,
    why: &str,
    by: By<'_>,
) -> Result<Case> {
    reason("reason", why)?;
    change(tx, id, expect, by, |case| {
        open_only(case)?;
        if tier >= case.tier {
            return Err(Error::NotNow(format!("{tier} is not below {}", case.tier)));
        }
        let said = format!("handed back {} → {tier}: {why}", case.tier);
        case.tier = tier;
        case.owner = None;
        Ok(said)
    })
}

pub fn set_sharing(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    tlp: Tlp,
    pap: Pap,
    by: By<'_>,
) -> Result<Case> {
    change(tx, id, expect, by, |case| {
        let said = format!("TLP {} → {tlp}, PAP {} → {pap}", case.tlp, case.pap);
        case.tlp = tlp;
        case.pap = pap;
        Ok(said)
    })
}

/// Only these may see it from now on, and its owner; `None` for everybody.
pub fn restrict(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    to: Option<&[PersonId]>,
    by: By<'_>,
) -> Result<Case> {
    at_revision(tx, id, expect)?;
    for gone in members(tx, id)?.iter().filter(|m| !to.unwrap_or_default().contains(m)) {
        tx.execute("delete from case_members where case_id = $1 and person_id = $2", values![id, *gone])?;
    }
    for member in to.unwrap_or_default() {
        crate::people::get(tx, *member)?;
        tx.execute(
            "insert into case_members (case_id, person_id) values ($1, $2) on conflict do nothing",
            values![id, *member],
        )?;
    }
    change(tx, id, expect, by, |case| {
        case.restricted = to.is_some();
        Ok(match to {
            Some(members) => format!("restricted to {} people", members.len()),
            None => "open to everybody".to_owned(),
        })
    })
}

/// Something speaks for it that nobody has looked at: a closed case is in the queue again, one that waits does so no
/// more, and it is to be contained until then. What people decided stays.
pub fn come_up(tx: &mut WriteTx<'_>, id: CaseId, why: &str, contain_by: Micros, by: By<'_>) -> Result<Case> {
    let case = super::get(tx, id)?;
    let clocks = clock::of_case(tx, id)?;
    let sooner = clocks.iter().find(|c| c.kind == clock::Kind::Contain).is_none_or(|c| c.due > contain_by);
    change(tx, id, case.revision, by, |case| {
        match case.status {
            Status::Closed => case.resurfaced = true,
            Status::Waiting => case.status = Status::Open,
            Status::New | Status::Open | Status::InProgress => {}
        }
        Ok(format!("came up: {why}"))
    })?;
    if sooner {
        clock::start(tx, id, clock::Kind::Contain, by.at, contain_by)?;
    }
    super::get(tx, id)
}

/// What it waited for has come.
pub fn waits_no_more(tx: &mut WriteTx<'_>, id: CaseId, why: &str, by: By<'_>) -> Result<Case> {
    let case = super::get(tx, id)?;
    if case.status != Status::Waiting {
        return Ok(case);
    }
    change(tx, id, case.revision, by, |case| {
        case.status = Status::Open;
        Ok(format!("waits no more: {why}"))
    })
}

/// Who looked at a closed case that came up again, and leaves it closed.
pub fn stays_closed(tx: &mut WriteTx<'_>, id: CaseId, expect: i64, why: &str, by: By<'_>) -> Result<Case> {
    reason("reason", why)?;
    change(tx, id, expect, by, |case| {
        if !case.resurfaced {
            return Err(Error::NotNow(format!("case {} did not come up again", case.id)));
        }
        case.resurfaced = false;
        Ok(format!("stays closed: {why}"))
    })
}

fn open_only(case: &Case) -> Result<()> {
    if case.status == Status::Closed {
        return Err(Error::NotNow(format!("case {} is closed; reopen it first", case.id)));
    }
    merged_not(case)
}

fn merged_not(case: &Case) -> Result<()> {
    match case.merged_into {
        None => Ok(()),
        Some(into) => Err(Error::NotNow(format!("case {} was merged into case {into}; work there", case.id))),
    }
}

/// Changes the state of a case on the revision that was read, with a line of the timeline that says so.
pub(crate) fn change(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    by: By<'_>,
    f: impl FnOnce(&mut Case) -> Result<String>,
) -> Result<Case> {
    let mut case = at_revision(tx, id, expect)?;
    let was = case.status;
    let mut said = f(&mut case)?;
    case.revision += 1;
    // What somebody works on is not out of sight.
    if let Some(suppression) = case.suppressed.take()
        && case.status != Status::Closed
    {
        said.push_str(&format!("; no longer silenced by suppression {suppression}"));
        clock::resume_all(tx, id, by.at)?;
    }
    save(tx, &mut case, by.at)?;
    say(tx, id, &said, by)?;
    if was == case.status {
        return Ok(case);
    }
    if was == Status::New {
        clock::meet(tx, id, clock::Kind::Acknowledge, by.at)?;
    }
    // While somebody outside has to answer, no deadline of ours runs.
    match (was, case.status) {
        (_, Status::Waiting) => clock::pause_all(tx, id, by.at)?,
        (Status::Waiting, _) => clock::resume_all(tx, id, by.at)?,
        _ => {}
    }
    super::get(tx, id)
}

/// A line of the timeline about what a person did beside the case's state; who follows the case hears of it.
pub(crate) fn tell(tx: &mut WriteTx<'_>, case: CaseId, said: &str, by: By<'_>) -> Result<()> {
    super::touch(tx, case, by.at)?;
    say(tx, case, said, by)
}

/// A line of the timeline about what a person did.
pub(crate) fn say(tx: &mut WriteTx<'_>, case: CaseId, said: &str, by: By<'_>) -> Result<()> {
    let at: Micros = by.at;
    timeline::write(
        tx,
        &timeline::NewEntry {
            case,
            kind: timeline::Kind::Analyst,
            at,
            certainty: "exact",
            recorded_at: at,
            actor: by.actor,
            said,
            data: None,
            once: None,
        },
    )?;
    Ok(())
}
