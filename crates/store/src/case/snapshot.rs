//! What was known of a case at a moment, frozen: the engine's documents with their hashes, and what people had made of
//! it.

use super::{By, Case, document, get, work};
use crate::db::value::values;
use crate::db::{Micros, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{CaseId, DocumentId, SnapshotId, Word};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub case: CaseId,
    pub at: Micros,
    pub actor: String,
    pub reason: String,
    /// Status, owner, tier and decision as they were, as JSON.
    pub state: String,
}

/// A document as it was frozen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frozen {
    pub engine_id: String,
    pub sha256: [u8; 32],
    pub text: String,
}

/// Freezes it as it is now.
pub fn freeze(tx: &mut WriteTx<'_>, case: CaseId, reason: &str, by: By<'_>) -> Result<SnapshotId> {
    super::reason("reason", reason)?;
    let now = get(tx, case)?;
    let id = SnapshotId(tx.next("snapshot")?);
    tx.execute(
        "insert into snapshots (id, case_id, at, actor, reason, state) values ($1, $2, $3, $4, $5, $6)",
        values![id, case, by.at, by.actor, reason, state(&now)],
    )?;
    tx.execute(
        "insert into snapshot_documents (snapshot_id, engine_id, document_id, sha256)
         select $1, p.engine_id, p.document_id, d.sha256
         from case_parts p join documents d on d.id = p.document_id where p.case_id = $2",
        values![id, case],
    )?;
    work::say(tx, case, &format!("frozen as snapshot {id}: {reason}"), by)?;
    Ok(id)
}

fn state(case: &Case) -> String {
    serde_json::json!({
        "revision": case.revision,
        "decision": case.decision.name(),
        "override": case.overridden.map(|d| d.name()),
        "risk": case.risk.points(),
        "status": case.status.word(),
        "owner": case.owner.map(|o| o.0),
        "tier": case.tier.word(),
        "disposition": case.disposition.map(Word::word),
        "tlp": case.tlp.word(),
        "pap": case.pap.word(),
    })
    .to_string()
}

pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Snapshot>> {
    tx.all(
        "select id, case_id, at, actor, reason, state from snapshots where case_id = $1 order by id",
        values![case],
        |r| {
            Ok(Snapshot {
                id: SnapshotId(r.int()?),
                case: CaseId(r.int()?),
                at: r.int()?,
                actor: r.text()?,
                reason: r.text()?,
                state: r.text()?,
            })
        },
    )
}

/// Its documents. One that is not what was frozen is an error.
pub fn documents(tx: &mut Tx<'_>, id: SnapshotId) -> Result<Vec<Frozen>> {
    let kept = tx.all(
        "select engine_id, document_id, sha256 from snapshot_documents where snapshot_id = $1 order by engine_id",
        values![id],
        |r| Ok((r.text()?, DocumentId(r.int()?), r.sha256()?)),
    )?;
    kept.into_iter()
        .map(|(engine_id, document, sha256)| {
            let text = document::text(tx, document)?;
            if document::hash(&text) != sha256 {
                return Err(Error::Damaged(format!("snapshot {id} is not what was frozen")));
            }
            Ok(Frozen { engine_id, sha256, text })
        })
        .collect()
}
