//! The engine's documents: kept compressed, never changed, deleted when nothing refers to them any more.

use crate::db::value::values;
use crate::db::{Micros, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, DocumentId};
use sha2::{Digest, Sha256};

/// Of zstd. Documents come again and again with the same keys; more costs time and saves little.
const LEVEL: i32 = 3;
/// One that claims to be larger was not written by us.
const LARGEST: usize = 256 << 20;

/// What the engine says now about one of its cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    pub engine_id: String,
    pub as_of: i64,
    pub withdrawn_at: Option<Micros>,
    pub sha256: [u8; 32],
    /// JSON, byte for byte as it was given.
    pub text: String,
}

/// The documents of a case, the strongest first.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Document>> {
    tx.all(
        "select p.engine_id, p.as_of, p.withdrawn_at, d.sha256, d.size, d.body
         from case_parts p join documents d on d.id = p.document_id
         where p.case_id = $1
         order by case when p.withdrawn_at is null then 0 else 1 end, p.decision desc, p.risk desc, p.id",
        values![case],
        |r| {
            Ok(Document {
                engine_id: r.text()?,
                as_of: r.int()?,
                withdrawn_at: r.maybe_int()?,
                sha256: r.sha256()?,
                text: unpacked(r.int()?, &r.bytes()?)?,
            })
        },
    )
}

/// One that a revision or a snapshot keeps. Its hash is checked.
pub fn text(tx: &mut Tx<'_>, id: DocumentId) -> Result<String> {
    let found = tx.one("select sha256, size, body from documents where id = $1", values![id], |r| {
        Ok((r.sha256()?, unpacked(r.int()?, &r.bytes()?)?))
    })?;
    let (sha256, text) = found.ok_or_else(|| Error::not_found("document", id))?;
    if sha256 != hash(&text) {
        return Err(Error::Damaged(format!("document {id} is not the one that was kept")));
    }
    Ok(text)
}

pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn unpacked(size: i64, body: &[u8]) -> Result<String> {
    let wrong = |why: String| Error::Damaged(format!("a document: {why}"));
    let size =
        usize::try_from(size).ok().filter(|s| *s <= LARGEST).ok_or_else(|| wrong("its size".into()))?;
    let bytes = zstd::bulk::decompress(body, size).map_err(|e| wrong(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))
}

pub(crate) fn keep(tx: &mut WriteTx<'_>, text: &str, sha256: &[u8; 32]) -> Result<DocumentId> {
    if text.len() > LARGEST {
        return Err(Error::invalid("document", format!("{} bytes; at most {LARGEST}", text.len())));
    }
    let body = zstd::bulk::compress(text.as_bytes(), LEVEL)
        .map_err(|e| Error::invalid("document", format!("cannot be compressed: {e}")))?;
    let id = DocumentId(tx.next("document")?);
    tx.execute(
        "insert into documents (id, sha256, size, body) values ($1, $2, $3, $4)",
        values![id, sha256, text.len() as i64, body],
    )?;
    Ok(id)
}

/// Deletes it unless something still refers to it.
pub(crate) fn forget(tx: &mut WriteTx<'_>, id: DocumentId) -> Result<()> {
    tx.execute(
        "delete from documents where id = $1
            and not exists (select 1 from case_parts where document_id = $1)
            and not exists (select 1 from verdicts where document_id = $1)
            and not exists (select 1 from snapshot_documents where document_id = $1)",
        values![id],
    )?;
    Ok(())
}
