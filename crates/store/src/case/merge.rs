//! Two cases that are one, and back. Nothing is lost: the merged case keeps its number, its notes and its state, and
//! only lends the engine's cases in it to the other.

use super::engine::over_parts;
use super::{By, Case, FAMILY, at_revision, get, reason, save, work};
use crate::db::value::values;
use crate::db::{Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::CaseId;

/// Merges the second into the first, which goes on. Both at the revisions that were read.
pub fn merge(
    tx: &mut WriteTx<'_>,
    into: (CaseId, i64),
    from: (CaseId, i64),
    why: &str,
    by: By<'_>,
) -> Result<Case> {
    reason("reason", why)?;
    if into.0 == from.0 {
        return Err(Error::invalid("case", "a case is not merged into itself"));
    }
    let mut goes_on = at_revision(tx, into.0, into.1)?;
    let mut merged = at_revision(tx, from.0, from.1)?;
    for case in [&goes_on, &merged] {
        if let Some(other) = case.merged_into {
            return Err(Error::NotNow(format!("case {} was merged into case {other} already", case.id)));
        }
    }
    tx.execute("update case_parts set case_id = $1 where case_id = $2", values![into.0, from.0])?;
    merged.merged_into = Some(into.0);
    over_parts(tx, &mut goes_on)?;
    for case in [&mut goes_on, &mut merged] {
        case.revision += 1;
        save(tx, case, by.at)?;
    }
    work::say(tx, into.0, &format!("case {} was merged into this one: {why}", from.0), by)?;
    work::say(tx, from.0, &format!("merged into case {}: {why}", into.0), by)?;
    get(tx, into.0)
}

/// Takes a merged case out again, with all that was its own.
pub fn unmerge(tx: &mut WriteTx<'_>, id: CaseId, expect: i64, why: &str, by: By<'_>) -> Result<Case> {
    reason("reason", why)?;
    let mut case = at_revision(tx, id, expect)?;
    let Some(out_of) = case.merged_into else {
        return Err(Error::NotNow(format!("case {id} was not merged into another")));
    };
    // Where the other was merged on, its parts lie further up.
    let mut top = get(tx, out_of)?;
    while let Some(above) = top.merged_into {
        top = get(tx, above)?;
    }
    tx.execute(
        &format!("update case_parts set case_id = $1 where case_id = $2 and home_id in ({FAMILY})"),
        values![id, top.id],
    )?;
    case.merged_into = None;
    for case in [&mut case, &mut top] {
        over_parts(tx, case)?;
        case.revision += 1;
        save(tx, case, by.at)?;
    }
    work::say(tx, top.id, &format!("case {id} was taken out again: {why}"), by)?;
    work::say(tx, id, &format!("taken out of case {} again: {why}", top.id), by)?;
    get(tx, id)
}

/// The cases that were merged into this one, also by way of others.
pub fn merged(tx: &mut Tx<'_>, id: CaseId) -> Result<Vec<CaseId>> {
    tx.all(
        &format!("select id from cases where id in ({FAMILY}) and id <> $1 order by id"),
        values![id],
        |r| Ok(CaseId(r.int()?)),
    )
}
