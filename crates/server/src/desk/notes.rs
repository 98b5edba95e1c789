//! Notes of a case, as Markdown. Every version stays.

use super::cases::{guarded, look_at};
use super::{Doing, Fault, Stamp, Who, change};
use crate::app::App;
use crate::hub::News;
use portreeve_access::permit::Verb;
use portreeve_store::case::note;
use portreeve_store::{CaseId, Error, NoteId, WriteTx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Note {
    pub id: i64,
    /// Another case than the one asked for once cases were merged.
    pub case: i64,
    /// For If-Match.
    pub revision: i64,
    /// Markdown as it was written: text of a person, to be encoded wherever it is shown.
    pub body: String,
    pub author: String,
    pub created_at: Stamp,
    pub edited_at: Stamp,
}

impl From<note::Note> for Note {
    fn from(n: note::Note) -> Note {
        Note {
            id: n.id.0,
            case: n.case.0,
            revision: n.revision,
            body: n.body,
            author: n.author,
            created_at: Stamp(n.created_at),
            edited_at: Stamp(n.edited_at),
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteInput {
    pub body: String,
}

pub fn list(app: &App, who: &Who, number: i64) -> Result<Vec<Note>, Fault> {
    look_at(app, who, number, |tx, case| {
        Ok(note::of_case(tx, case.id)?.into_iter().map(Note::from).collect())
    })
}

pub fn write(app: &App, who: &Who, number: i64, input: &NoteInput) -> Result<Note, Fault> {
    let object = format!("case:{number}");
    let done = change(app, who, &Doing::new(Verb::CaseNote, &object), |tx, by| {
        let case = guarded(tx, who, Verb::CaseNote, CaseId(number))?;
        Ok(Note::from(note::write(tx, case.id, &input.body, by)?))
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

/// The note, if it is of this case and this person may write notes there.
fn of_case(tx: &mut WriteTx<'_>, who: &Who, number: i64, id: i64) -> Result<NoteId, Error> {
    let case = guarded(tx, who, Verb::CaseNote, CaseId(number))?;
    let note = note::note(tx, NoteId(id))?;
    if note.case != case.id { Err(Error::not_found("note", id)) } else { Ok(note.id) }
}

pub fn edit(
    app: &App,
    who: &Who,
    (number, id): (i64, i64),
    revision: i64,
    input: &NoteInput,
) -> Result<Note, Fault> {
    let object = format!("case:{number}");
    let doing = Doing::new(Verb::CaseNote, &object).with(serde_json::json!({ "note": id, "edited": true }));
    let done = change(app, who, &doing, |tx, by| {
        let note = of_case(tx, who, number, id)?;
        Ok(Note::from(note::edit(tx, note, revision, &input.body, by)?))
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

pub fn delete(app: &App, who: &Who, (number, id): (i64, i64), revision: i64) -> Result<(), Fault> {
    let object = format!("case:{number}");
    let doing = Doing::new(Verb::CaseNote, &object).with(serde_json::json!({ "note": id, "deleted": true }));
    change(app, who, &doing, |tx, by| {
        let note = of_case(tx, who, number, id)?;
        note::delete(tx, note, revision, by)
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(())
}
