//! What happened, and what was done about it, in the order of events. Entries are only added.

use super::FAMILY;
use crate::db::value::values;
use crate::db::{Micros, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, EntryId, words};

words! {
    Kind, "kind of entry" {
        /// A record of a log.
        Log = "log",
        /// A detection spoke.
        Alert = "alert",
        /// A person did something to the case.
        Analyst = "analyst",
        /// Containment.
        Action = "action",
        /// The verdict changed.
        Revision = "revision",
        /// A user answered.
        Answer = "answer",
    }
}

pub struct NewEntry<'a> {
    pub case: CaseId,
    pub kind: Kind,
    /// When it happened.
    pub at: Micros,
    /// How sure that time is, in the engine's words.
    pub certainty: &'a str,
    pub recorded_at: Micros,
    pub actor: &'a str,
    pub said: &'a str,
    /// JSON.
    pub data: Option<&'a str>,
    /// A name that is used once in a case: told again, the entry is not written again.
    pub once: Option<&'a str>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub id: EntryId,
    /// Where it was written; another than the case asked for once cases were merged.
    pub case: CaseId,
    pub kind: Kind,
    pub at: Micros,
    pub certainty: String,
    pub recorded_at: Micros,
    pub actor: String,
    pub said: String,
    pub data: Option<String>,
}

/// Adds an entry, and lets those who follow the case know; `None` where it was there.
pub fn append(tx: &mut WriteTx<'_>, new: &NewEntry<'_>) -> Result<Option<EntryId>> {
    let added = write(tx, new)?;
    if added.is_some() {
        super::touch(tx, new.case, new.recorded_at)?;
    }
    Ok(added)
}

/// As `append`, where the case is saved anyway.
pub(crate) fn write(tx: &mut WriteTx<'_>, new: &NewEntry<'_>) -> Result<Option<EntryId>> {
    if new.once.is_some_and(|o| o.is_empty() || o.len() > 200) {
        return Err(Error::invalid("once", "1 to 200 bytes"));
    }
    if new.once.is_some() {
        let there = tx.number(
            "select id from timeline where case_id = $1 and once = $2",
            values![new.case, new.once],
        )?;
        if there != 0 {
            return Ok(None);
        }
    }
    let id = EntryId(tx.next("entry")?);
    tx.execute(
        "insert into timeline (id, case_id, kind, at, certainty, recorded_at, actor, said, data, once)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        values![
            id,
            new.case,
            new.kind,
            new.at,
            new.certainty,
            new.recorded_at,
            new.actor,
            new.said,
            new.data,
            new.once,
        ],
    )?;
    Ok(Some(id))
}

/// Entries of a case and of those merged into it, in the order of events, behind the given one.
pub fn of_case(
    tx: &mut Tx<'_>,
    case: CaseId,
    after: Option<(Micros, EntryId)>,
    limit: usize,
) -> Result<Vec<Entry>> {
    let (at, id) = after.unwrap_or((i64::MIN, EntryId(0)));
    tx.all(
        &format!(
            "select id, case_id, kind, at, certainty, recorded_at, actor, said, data from timeline
             where case_id in ({FAMILY}) and (at, id) > ($2, $3) order by at, id limit $4"
        ),
        values![case, at, id, limit as i64],
        |r| {
            Ok(Entry {
                id: EntryId(r.int()?),
                case: CaseId(r.int()?),
                kind: r.word()?,
                at: r.int()?,
                certainty: r.text()?,
                recorded_at: r.int()?,
                actor: r.text()?,
                said: r.text()?,
                data: r.maybe_text()?,
            })
        },
    )
}
