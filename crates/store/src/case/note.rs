//! What people write about a case. Every version of a note stays.

use super::{By, FAMILY, get, work};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::folded;
use crate::word::{CaseId, NoteId};

const LONGEST: usize = 200_000;
const SEARCH_LONGEST: usize = 20_000;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub id: NoteId,
    pub case: CaseId,
    pub revision: i64,
    /// Markdown, as it was written.
    pub body: String,
    /// Of the first version.
    pub author: String,
    pub created_at: Micros,
    pub edited_at: Micros,
    pub deleted_at: Option<Micros>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    pub revision: i64,
    pub body: String,
    pub author: String,
    pub at: Micros,
}

pub fn write(tx: &mut WriteTx<'_>, case: CaseId, body: &str, by: By<'_>) -> Result<Note> {
    check(body)?;
    get(tx, case)?;
    let id = NoteId(tx.next("note")?);
    tx.execute(
        "insert into notes (id, case_id, revision, body, search, author, created_at, edited_at)
         values ($1, $2, 1, $3, $4, $5, $6, $6)",
        values![id, case, body, search(body), by.actor, by.at],
    )?;
    keep(tx, id, 1, body, by)?;
    work::tell(tx, case, &format!("note {id}"), by)?;
    note(tx, id)
}

pub fn edit(tx: &mut WriteTx<'_>, id: NoteId, expect: i64, body: &str, by: By<'_>) -> Result<Note> {
    check(body)?;
    let before = at_revision(tx, id, expect)?;
    tx.execute(
        "update notes set revision = $2, body = $3, search = $4, edited_at = $5 where id = $1",
        values![id, expect + 1, body, search(body), by.at],
    )?;
    keep(tx, id, expect + 1, body, by)?;
    work::tell(tx, before.case, &format!("note {id} edited"), by)?;
    note(tx, id)
}

/// Out of sight; its versions stay.
pub fn delete(tx: &mut WriteTx<'_>, id: NoteId, expect: i64, by: By<'_>) -> Result<()> {
    let before = at_revision(tx, id, expect)?;
    tx.execute("update notes set deleted_at = $2 where id = $1", values![id, by.at])?;
    work::tell(tx, before.case, &format!("note {id} deleted"), by)
}

/// Of a case and of those merged into it, the first first.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Note>> {
    tx.all(
        &format!(
            "select {COLUMNS} from notes where case_id in ({FAMILY}) and deleted_at is null order by id"
        ),
        values![case],
        read,
    )
}

pub fn note(tx: &mut Tx<'_>, id: NoteId) -> Result<Note> {
    tx.one(&format!("select {COLUMNS} from notes where id = $1"), values![id], read)?
        .ok_or_else(|| Error::not_found("note", id))
}

pub fn versions(tx: &mut Tx<'_>, id: NoteId) -> Result<Vec<Version>> {
    tx.all(
        "select revision, body, author, at from note_revisions where note_id = $1 order by revision",
        values![id],
        |r| Ok(Version { revision: r.int()?, body: r.text()?, author: r.text()?, at: r.int()? }),
    )
}

const COLUMNS: &str = "id, case_id, revision, body, author, created_at, edited_at, deleted_at";

fn read(r: &mut Row) -> Result<Note> {
    Ok(Note {
        id: NoteId(r.int()?),
        case: CaseId(r.int()?),
        revision: r.int()?,
        body: r.text()?,
        author: r.text()?,
        created_at: r.int()?,
        edited_at: r.int()?,
        deleted_at: r.maybe_int()?,
    })
}

fn at_revision(tx: &mut Tx<'_>, id: NoteId, expect: i64) -> Result<Note> {
    let found = note(tx, id)?;
    if found.deleted_at.is_some() {
        return Err(Error::not_found("note", id));
    }
    if found.revision != expect {
        return Err(Error::Conflict { what: "note", id: id.to_string(), now: found.revision });
    }
    Ok(found)
}

fn keep(tx: &mut WriteTx<'_>, id: NoteId, revision: i64, body: &str, by: By<'_>) -> Result<()> {
    tx.execute(
        "insert into note_revisions (note_id, revision, body, author, at) values ($1, $2, $3, $4, $5)",
        values![id, revision, body, by.actor, by.at],
    )?;
    Ok(())
}

fn check(body: &str) -> Result<()> {
    match body.trim().len() {
        0 => Err(Error::invalid("note", "is empty")),
        n if n > LONGEST => Err(Error::invalid("note", format!("{n} bytes; at most {LONGEST}"))),
        _ => Ok(()),
    }
}

fn search(body: &str) -> String {
    let folded = folded(body);
    let cut = folded.floor_char_boundary(SEARCH_LONGEST);
    folded[..cut].to_owned()
}
