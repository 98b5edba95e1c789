//! The audit log: read, and proven whole.

use super::stamp::moment;
use super::{Fault, Stamp, Who, look_at_service};
use crate::app::App;
use portreeve_access::permit::Verb;
use portreeve_store::audit::{self, Query};
use portreeve_store::{Word, hex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AuditEntry {
    pub seq: i64,
    pub at: Stamp,
    pub actor: String,
    pub verb: String,
    pub object: String,
    pub address: String,
    /// `done`, `denied` or `failed`.
    pub outcome: String,
    /// JSON, or empty.
    pub detail: String,
    /// SHA-256 of the entry, over the hash of the one before it.
    pub hash: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditInput {
    pub actor: Option<String>,
    pub object: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// 1 to 1,000; 100 where nothing is said.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    pub next: Option<String>,
}

pub fn list(app: &App, who: &Who, input: &AuditInput) -> Result<AuditPage, Fault> {
    let (from, to) = (moment("from", input.from.as_deref())?, moment("to", input.to.as_deref())?);
    let before = input.after.as_deref().filter(|a| !a.is_empty()).map(str::parse).transpose();
    let before =
        before.map_err(|_| Fault::invalid("after", "is no cursor of ours; ask for the first page"))?;
    let limit = input.limit.unwrap_or(100).clamp(1, 1_000);
    // What was read until now belongs to the answer.
    app.store.flush_audit()?;
    look_at_service(app, who, Verb::AuditRead, |tx| {
        let some = |text| Option::<&String>::map(text, String::as_str).filter(|t| !t.is_empty());
        let query = Query {
            actor: some(input.actor.as_ref()),
            object: some(input.object.as_ref()),
            from,
            to,
            before,
        };
        let mut entries = audit::list(tx, &query, limit + 1)?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|e| e.seq.to_string());
        let entries = entries.into_iter().map(|e| AuditEntry {
            seq: e.seq,
            at: Stamp(e.entry.at),
            actor: e.entry.actor,
            verb: e.entry.verb,
            object: e.entry.object,
            address: e.entry.address,
            outcome: e.entry.outcome.word().to_owned(),
            detail: e.entry.detail,
            hash: hex(&e.hash),
        });
        Ok(AuditPage { entries: entries.collect(), next })
    })
}

/// What reading the whole chain found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AuditVerified {
    pub entries: i64,
    /// The last entry and its hash: kept elsewhere, they prove later that nothing before was changed.
    pub seq: i64,
    pub hash: String,
    /// Empty: nothing was changed.
    pub faults: Vec<String>,
}

pub fn verify(app: &App, who: &Who) -> Result<AuditVerified, Fault> {
    look_at_service(app, who, Verb::AuditVerify, |tx| {
        let found = audit::verify(tx, None)?;
        Ok(AuditVerified {
            entries: found.entries,
            seq: found.head.seq,
            hash: hex(&found.head.hash),
            faults: found.faults,
        })
    })
}
