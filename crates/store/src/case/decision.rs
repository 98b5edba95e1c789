//! A person decides otherwise than the engine, and says why. The engine's decision stays beside it.

use super::{By, Case, reason, work};
use crate::db::value::values;
use crate::db::{Micros, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, OverrideId};
use portreeve_model::answer::Decision;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    pub id: OverrideId,
    pub case: CaseId,
    /// What was in force.
    pub before: Decision,
    pub decision: Decision,
    pub reason: String,
    pub actor: String,
    pub at: Micros,
    /// When it ended: taken back, or followed by another.
    pub withdrawn_at: Option<Micros>,
    pub withdrawn_by: Option<String>,
}

pub fn decide(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    expect: i64,
    decision: Decision,
    why: &str,
    by: By<'_>,
) -> Result<Case> {
    reason("reason", why)?;
    let before = super::at_revision(tx, id, expect)?.queue();
    end(tx, id, by)?;
    let number = OverrideId(tx.next("override")?);
    tx.execute(
        "insert into overrides (id, case_id, decision_before, decision, reason, actor, at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        values![number, id, before, decision, why, by.actor, by.at],
    )?;
    work::change(tx, id, expect, by, |case| {
        case.overridden = Some(decision);
        Ok(format!("decided {} instead of {}: {why}", decision.name(), before.name()))
    })
}

/// The engine's decision counts again.
pub fn withdraw(tx: &mut WriteTx<'_>, id: CaseId, expect: i64, why: &str, by: By<'_>) -> Result<Case> {
    reason("reason", why)?;
    work::change(tx, id, expect, by, |case| {
        if case.overridden.take().is_none() {
            return Err(Error::NotNow(format!("nobody decided otherwise in case {}", case.id)));
        }
        Ok(format!("the engine's {} counts again: {why}", case.decision.name()))
    })?;
    end(tx, id, by)?;
    super::get(tx, id)
}

fn end(tx: &mut WriteTx<'_>, id: CaseId, by: By<'_>) -> Result<()> {
    tx.execute(
        "update overrides set withdrawn_at = $2, withdrawn_by = $3 where case_id = $1 and withdrawn_at is null",
        values![id, by.at, by.actor],
    )?;
    Ok(())
}

/// All decisions of people on a case, the first first.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Override>> {
    tx.all(
        "select id, case_id, decision_before, decision, reason, actor, at, withdrawn_at, withdrawn_by
         from overrides where case_id = $1 order by id",
        values![case],
        |r| {
            Ok(Override {
                id: OverrideId(r.int()?),
                case: CaseId(r.int()?),
                before: r.decision()?,
                decision: r.decision()?,
                reason: r.text()?,
                actor: r.text()?,
                at: r.int()?,
                withdrawn_at: r.maybe_int()?,
                withdrawn_by: r.maybe_text()?,
            })
        },
    )
}
