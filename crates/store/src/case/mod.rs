//! A case: what the engine says, and what people made of it. The engine never changes the second, people never the
//! first.
//!
//! A case has one part for each of the engine's cases in it; there are several once cases were merged. `revision`
//! grows with each change by people and with each change of the verdict, so that nobody closes a case on a verdict
//! they have not seen; it does not grow where the engine only adds to the document.

pub mod clock;
pub mod decision;
pub mod document;
pub mod engine;
pub mod entity;
pub mod list;
pub mod merge;
pub mod note;
pub mod snapshot;
pub mod task;
pub mod timeline;
pub mod work;

use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, PersonId, SuppressionId, words};
use portreeve_model::answer::Decision;

words! {
    Status, "status" {
        New = "new",
        Open = "open",
        InProgress = "in_progress",
        /// For somebody outside: a user's answer, another team.
        Waiting = "waiting",
        Closed = "closed",
    }
}

words! {
    Tier, "tier" {
        L1 = "l1",
        T2 = "t2",
        T3 = "t3",
    }
}

words! {
    /// What it turned out to be.
    Disposition, "disposition" {
        TruePositiveImpact = "true_positive_impact",
        TruePositiveNoImpact = "true_positive_no_impact",
        /// It happened as reported, and was allowed to.
        BenignPositive = "benign_positive",
        /// The detection is wrong.
        FalsePositiveLogic = "false_positive_logic",
        /// What it was told is wrong.
        FalsePositiveData = "false_positive_data",
        NotApplicable = "not_applicable",
        Undetermined = "undetermined",
    }
}

words! {
    /// Traffic Light Protocol 2.0.
    Tlp, "TLP" {
        Clear = "clear",
        Green = "green",
        Amber = "amber",
        AmberStrict = "amber_strict",
        Red = "red",
    }
}

words! {
    /// Permissible Actions Protocol.
    Pap, "PAP" {
        Clear = "clear",
        Green = "green",
        Amber = "amber",
        Red = "red",
    }
}

/// 0 to 100 in thousandths: equal in every database, and in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Risk(i64);

impl Risk {
    pub fn from_points(points: f64) -> Risk {
        // A number that is none becomes 0.
        Risk((points.clamp(0.0, 100.0) * 1_000.0).round() as i64)
    }

    pub fn points(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

impl<'a> From<Risk> for crate::db::Value<'a> {
    fn from(v: Risk) -> Self {
        crate::db::Value::Int(v.0)
    }
}

/// Who did something, and when. The name is what a reader needs years later: `person:7 anna`, `token:3 backup`.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub actor: &'a str,
    pub at: Micros,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    pub id: CaseId,

    // The engine's.
    pub title: String,
    pub principal: String,
    pub decision: Decision,
    pub risk: Risk,
    pub first_seen: Micros,
    pub last_seen: Micros,
    pub detected_at: Micros,
    /// What a line of the queue shows besides: JSON as the engine's side gave it.
    pub brief: String,
    /// How often the verdict changed, and when it did last.
    pub verdicts: i64,
    pub verdict_at: Micros,

    // People's.
    pub status: Status,
    pub owner: Option<PersonId>,
    pub tier: Tier,
    pub disposition: Option<Disposition>,
    pub closing_reason: Option<String>,
    pub closed_at: Option<Micros>,
    pub tlp: Tlp,
    pub pap: Pap,
    /// Only its members and its owner may see it.
    pub restricted: bool,
    pub overridden: Option<Decision>,
    pub merged_into: Option<CaseId>,

    // Both's.
    pub created_at: Micros,
    pub updated_at: Micros,
    pub revision: i64,
    /// The place of its last change in the order of all changes of cases.
    pub change: i64,
    /// The verdict changed after the case was closed, and nobody has looked since.
    pub resurfaced: bool,
    pub next_due: Option<Micros>,
    /// Out of the queue, because this was found benign.
    pub suppressed: Option<SuppressionId>,
}

impl Case {
    /// The decision in force.
    pub fn queue(&self) -> Decision {
        self.overridden.unwrap_or(self.decision)
    }

    /// Whether it waits for somebody. What is to be closed, or was withdrawn, and nobody has taken waits for nobody.
    pub fn queued(&self) -> bool {
        let untaken = self.queue() == Decision::Close && self.status == Status::New;
        self.merged_into.is_none()
            && self.suppressed.is_none()
            && (self.status != Status::Closed && !untaken || self.resurfaced)
    }
}

pub(crate) const NEVER: Micros = i64::MAX;

pub(crate) const COLUMNS: &str = "id, title, principal, decision, risk, first_seen, last_seen, detected_at, brief,
    verdicts, verdict_at, status, owner, tier, disposition, closing_reason, closed_at, tlp, pap, restricted, override,
    merged_into, created_at, updated_at, revision, change, resurfaced, next_due,
    suppressed";

pub(crate) fn read(r: &mut Row) -> Result<Case> {
    Ok(Case {
        id: CaseId(r.int()?),
        title: r.text()?,
        principal: r.text()?,
        decision: r.decision()?,
        risk: Risk(r.int()?),
        first_seen: r.int()?,
        last_seen: r.int()?,
        detected_at: r.int()?,
        brief: r.text()?,
        verdicts: r.int()?,
        verdict_at: r.int()?,
        status: r.word()?,
        owner: r.maybe_int()?.map(PersonId),
        tier: r.word()?,
        disposition: r.maybe_word()?,
        closing_reason: r.maybe_text()?,
        closed_at: r.maybe_int()?,
        tlp: r.word()?,
        pap: r.word()?,
        restricted: r.flag()?,
        overridden: r.maybe_decision()?,
        merged_into: r.maybe_int()?.map(CaseId),
        created_at: r.int()?,
        updated_at: r.int()?,
        revision: r.int()?,
        change: r.int()?,
        resurfaced: r.flag()?,
        next_due: Some(r.int()?).filter(|due| *due != NEVER),
        suppressed: r.maybe_int()?.map(SuppressionId),
    })
}

pub fn find(tx: &mut Tx<'_>, id: CaseId) -> Result<Option<Case>> {
    tx.one(&format!("select {COLUMNS} from cases where id = $1"), values![id], read)
}

pub fn get(tx: &mut Tx<'_>, id: CaseId) -> Result<Case> {
    find(tx, id)?.ok_or_else(|| Error::not_found("case", id))
}

/// The case that holds this case of the engine.
pub fn of_engine(tx: &mut Tx<'_>, engine_id: &str) -> Result<Option<CaseId>> {
    tx.one("select case_id from case_parts where engine_id = $1", values![engine_id], |r| {
        Ok(CaseId(r.int()?))
    })
}

/// Those who may see it while it is restricted, besides its owner.
pub fn members(tx: &mut Tx<'_>, id: CaseId) -> Result<Vec<PersonId>> {
    tx.all("select person_id from case_members where case_id = $1 order by person_id", values![id], |r| {
        Ok(PersonId(r.int()?))
    })
}

/// Who looks at cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Viewer {
    /// Sees restricted cases too.
    #[default]
    All,
    /// Sees those that are not restricted, of which they are a member, or which they own.
    Person(PersonId),
}

/// Of a row of `cases`, for the person in this parameter.
pub(crate) fn visible_to(parameter: &str) -> String {
    format!(
        "(restricted = 0 or owner = {parameter}
          or cases.id in (select case_id from case_members where person_id = {parameter}))"
    )
}

/// Whether somebody may see it at all; false too where there is none such.
pub fn is_visible(tx: &mut Tx<'_>, id: CaseId, viewer: Viewer) -> Result<bool> {
    let found = match viewer {
        Viewer::All => tx.number("select count(*) from cases where id = $1", values![id])?,
        Viewer::Person(person) => {
            let sql = format!("select count(*) from cases where id = $1 and {}", visible_to("$2"));
            tx.number(&sql, values![id, person])?
        }
    };
    Ok(found == 1)
}

/// The case and all that were merged into it.
pub(crate) const FAMILY: &str = "with recursive family (id) as (
        select cast($1 as bigint) union select c.id from cases c join family f on c.merged_into = f.id
    ) select id from family";

pub(crate) fn conflict(id: CaseId, now: i64) -> Error {
    Error::Conflict { what: "case", id: id.to_string(), now }
}

/// The case at the revision that the caller has read.
pub(crate) fn at_revision(tx: &mut Tx<'_>, id: CaseId, expect: i64) -> Result<Case> {
    let case = get(tx, id)?;
    if case.revision == expect { Ok(case) } else { Err(conflict(id, case.revision)) }
}

/// Writes everything but its clocks and what is searched.
pub(crate) fn save(tx: &mut WriteTx<'_>, case: &mut Case, now: Micros) -> Result<()> {
    case.updated_at = now;
    case.change = tx.next("change")?;
    tx.execute(
        "update cases set title = $2, principal = $3, decision = $4, risk = $5, first_seen = $6, last_seen = $7,
            detected_at = $8, brief = $9, verdicts = $10, verdict_at = $11, status = $12, owner = $13, tier = $14,
            disposition = $15, closing_reason = $16, closed_at = $17, tlp = $18, pap = $19, restricted = $20,
            override = $21, merged_into = $22, updated_at = $23, revision = $24, change = $25, resurfaced = $26,
            queue = $27, queued = $28, suppressed = $29
         where id = $1",
        values![
            case.id,
            &case.title,
            &case.principal,
            case.decision,
            case.risk,
            case.first_seen,
            case.last_seen,
            case.detected_at,
            &case.brief,
            case.verdicts,
            case.verdict_at,
            case.status,
            case.owner,
            case.tier,
            case.disposition,
            case.closing_reason.as_deref(),
            case.closed_at,
            case.tlp,
            case.pap,
            case.restricted,
            case.overridden,
            case.merged_into,
            case.updated_at,
            case.revision,
            case.change,
            case.resurfaced,
            case.queue(),
            case.queued(),
            case.suppressed,
        ],
    )?;
    Ok(())
}

/// It has something new beside its own state: a note, a step, an entry.
pub(crate) fn touch(tx: &mut WriteTx<'_>, id: CaseId, now: Micros) -> Result<()> {
    let change = tx.next("change")?;
    match tx
        .execute("update cases set updated_at = $2, change = $3 where id = $1", values![id, now, change])?
    {
        0 => Err(Error::not_found("case", id)),
        _ => Ok(()),
    }
}

/// What was said with an action must say something.
pub(crate) fn reason(field: &'static str, text: &str) -> Result<()> {
    match text.trim().len() {
        0 => Err(Error::invalid(field, "is empty; say why")),
        1..=8_000 => Ok(()),
        n => Err(Error::invalid(field, format!("{n} bytes; at most 8,000"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_is_bounded_and_comes_back() {
        for (points, read) in [(0.0, 0.0), (97.123_4, 97.123), (250.0, 100.0), (-1.0, 0.0), (f64::NAN, 0.0)] {
            assert_eq!(Risk::from_points(points).points(), read, "{points}");
        }
    }
}
