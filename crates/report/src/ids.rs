//! Ids and times of the exports: the same case has the same ids wherever and whenever it is exported, so that a
//! second import changes what the first one made.

use crate::actions::Aftermath;
use crate::wire::Case;
use jiff::Timestamp;
use uuid::Uuid;

/// A name in no case: Portreeve itself.
pub(crate) fn own(kind: &str) -> String {
    Uuid::new_v5(&namespace(), kind.as_bytes()).to_string()
}

/// The id of one thing of a case.
pub(crate) fn of(case: &Case, kind: &str, key: &str) -> String {
    let name = serde_json::json!([case.case_id, case.principal.name, kind, key]).to_string();
    Uuid::new_v5(&namespace(), name.as_bytes()).to_string()
}

fn namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://github.com/portreeve/portreeve")
}

pub(crate) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// With exactly three digits, as STIX and CACAO want it.
pub(crate) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// First seen, or 1970 where the case has no time.
pub(crate) fn first_seen(case: &Case) -> Timestamp {
    time(&case.first_seen).unwrap_or_default()
}

pub(crate) fn last_seen(case: &Case) -> Timestamp {
    time(&case.last_seen).unwrap_or_default().max(first_seen(case))
}

/// When the case was made.
pub(crate) fn created(case: &Case) -> Timestamp {
    time(&case.detected_at).unwrap_or_else(|| first_seen(case))
}

/// When something was last done or seen.
pub(crate) fn modified(case: &Case, after: &Aftermath) -> Timestamp {
    let done = after.actions.iter().map(|a| a.since.as_str());
    let seen = after.sightings.iter().map(|s| s.at.as_str());
    done.chain(seen).filter_map(time).fold(created(case), Timestamp::max)
}
