//! The scope of a suppression, changed in place: what that would have silenced and what it lets back is said before, and
//! what falls out of it is in the queue again as if it had ended.

use super::benign::{
    Asked, BenignInput, SuppressionPreview, given, has_to_do, may_despite, preview, readable, silence_waiting,
};
use super::cases::{guarded, viewer};
use super::suppressions::{SuppressionView, author, bring_back, may_end};
use super::{Doing, Fault, Who, change, look};
use crate::app::App;
use crate::benign::{documents, uncovered};
use crate::hub::News;
use portreeve_access::permit::{Object, Verb};
use portreeve_report::wire;
use portreeve_store::case::{self, Viewer};
use portreeve_store::suppression::{self, Scope, Suppression};
use portreeve_store::{CaseId, Error, SuppressionId, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole scope, as it is to be: what is left out is no part of it any more.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeInput {
    /// Why it is changed; a preview needs none.
    pub reason: String,
    pub user: Option<String>,
    /// `192.0.2.0/24`, or an address.
    pub network: Option<String>,
    pub asn: Option<i64>,
    /// A country or a city, as the cases call it.
    pub place: Option<String>,
    /// The name of a way out that several use.
    pub egress: Option<String>,
    /// Only what rests on this detection alone.
    pub detection: Option<String>,
    /// What waits now and is covered is silenced as well.
    pub waiting: bool,
    /// Although it would have silenced cases that turned out to be real. A scope that is narrower needs none.
    pub despite: bool,
    /// What falls out of it stays out of the queue until the engine says something new of it; otherwise it comes back.
    pub leave_silenced: bool,
}

impl ScopeInput {
    /// Its criteria stay: they are those of the case in which it was decided.
    fn scope(&self, found: &Suppression) -> Result<Scope, Fault> {
        let parts = BenignInput {
            user: self.user.clone(),
            network: self.network.clone(),
            asn: self.asn,
            place: self.place.clone(),
            egress: self.egress.clone(),
            detection: self.detection.clone(),
            ..BenignInput::default()
        };
        let scope = Scope { criteria: found.scope.criteria.clone(), ..given(&parts)? };
        scope.check()?;
        if scope == found.scope {
            return Err(Fault::invalid("scope", "is as it was"));
        }
        Ok(scope)
    }
}

/// What a change of the scope would have done and would do.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct ScopePreview {
    /// As for a new suppression with this scope.
    pub silences: SuppressionPreview,
    /// All that it covers was covered before.
    pub narrower: bool,
    /// Cases that it keeps out of the queue now and that would be in it again; none that is restricted to others.
    pub back: Vec<i64>,
}

/// The case in which it was decided, and the engine's documents of it.
fn decided_in(tx: &mut Tx<'_>, found: &Suppression) -> Result<(CaseId, Vec<wire::Case>), Error> {
    match found.case {
        None => Ok((CaseId(0), Vec::new())),
        Some(case) => Ok((case, readable(documents(tx, case)?)?)),
    }
}

/// What is silenced by it and not covered any more.
fn falls_out(tx: &mut Tx<'_>, id: SuppressionId, scope: &Scope) -> Result<Vec<CaseId>, Error> {
    let mut out = Vec::new();
    for case in suppression::silenced(tx, id)? {
        if !uncovered(scope, &documents(tx, case)?).is_empty() {
            out.push(case);
        }
    }
    Ok(out)
}

/// A narrower scope shows more and hides nothing, as its end does. Any other silences as a new one would, and asks what a
/// new one asks.
fn may_change(tx: &mut Tx<'_>, who: &Who, found: &Suppression, narrower: bool) -> Result<(), Error> {
    match found.case {
        _ if narrower => may_end(tx, who, found),
        Some(case) => guarded(tx, who, Verb::CaseSuppress, case).map(|_| ()),
        None => Ok(who.may(Verb::SuppressionReview, &Object::Suppression { by: author(found) })?),
    }
}

fn looked_at(
    tx: &mut Tx<'_>,
    found: &Suppression,
    scope: Scope,
    viewer: Viewer,
    now: i64,
) -> Result<ScopePreview, Error> {
    let (this, cases) = decided_in(tx, found)?;
    let narrower = scope.is_within(&found.scope);
    if found.case.is_some() && !narrower {
        has_to_do(&scope, &cases)?;
    }
    let mut back = Vec::new();
    for case in falls_out(tx, found.id, &scope)? {
        if viewer == Viewer::All || case::is_visible(tx, case, viewer)? {
            back.push(case.0);
        }
    }
    let asked = Asked { scope, until: found.expires_at };
    Ok(ScopePreview { silences: preview(tx, &asked, (this, &cases), viewer, now)?, narrower, back })
}

/// What the change would have silenced, and what would come back. Changes nothing.
pub fn propose(app: &App, who: &Who, id: i64, input: &ScopeInput) -> Result<ScopePreview, Fault> {
    let object = format!("suppression:{id}");
    who.may_any(app, &[Verb::CaseSuppress], &object)?;
    let (viewer, now) = (viewer(who)?, crate::line::now().0);
    look(app, who, Verb::CaseSuppress, &object, |tx| {
        let found = suppression::get(tx, SuppressionId(id))?;
        let scope = input.scope(&found)?;
        may_change(tx, who, &found, scope.is_within(&found.scope))?;
        looked_at(tx, &found, scope, viewer, now)
    })
}

/// What came of it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Rescoped {
    pub suppression: SuppressionView,
    /// Cases that are in the queue again.
    pub back: Vec<i64>,
    /// Cases that waited and are silenced now.
    pub silenced: Vec<i64>,
}

/// Its scope is another from now on. What waited before stays, unless `waiting` says otherwise.
pub fn change_scope(
    app: &App,
    who: &Who,
    id: i64,
    revision: i64,
    input: &ScopeInput,
) -> Result<Rescoped, Fault> {
    let object = format!("suppression:{id}");
    who.may_any(app, &[Verb::CaseSuppress], &object)?;
    let reason = input.reason.trim();
    if reason.is_empty() {
        return Err(Fault::invalid("reason", "is empty; say why"));
    }
    let (viewer, now) = (viewer(who)?, crate::line::now().0);
    // Looked at before the change: it may take a while, and the store has one writer. What it rests on is the revision.
    let (before, scope, seen) = app.store.read(|tx| {
        let found = suppression::get(tx, SuppressionId(id))?;
        let scope = input.scope(&found)?;
        let seen = match may_change(tx, who, &found, scope.is_within(&found.scope)) {
            Ok(()) => Some(looked_at(tx, &found, scope.clone(), viewer, now)?),
            // Refused in the change itself, which writes that down.
            Err(_) => None,
        };
        Ok((found, scope, seen))
    })?;
    if let Some(seen) = seen.as_ref().filter(|s| !s.narrower) {
        may_despite(&seen.silences, input.despite)?;
    }
    let waiting = match &seen {
        Some(seen) if input.waiting => seen.silences.covered(),
        _ => Vec::new(),
    };
    let narrower = scope.is_within(&before.scope);
    let verb = if narrower { Verb::SuppressionReview } else { Verb::CaseSuppress };
    let detail = serde_json::json!({ "scope": input, "before": super::benign::parts_of(&before.scope) });
    let done = change(app, who, &Doing::new(verb, &object).with(detail), |tx, by| {
        let found = suppression::get(tx, before.id)?;
        may_change(tx, who, &found, narrower)?;
        let changed = suppression::rescope(tx, found.id, revision, &scope, reason, by)?;
        if found.scope != before.scope {
            // Somebody was quicker, and the revision that was named is theirs.
            let id = id.to_string();
            return Err(Error::Conflict { what: "suppression", id, now: found.revision });
        }
        let mut back = Vec::new();
        if !input.leave_silenced {
            let why = format!("the scope of suppression {id} was changed: {reason}");
            let out = falls_out(tx, found.id, &scope)?;
            back = bring_back(tx, out, &why, by)?;
        }
        let silenced = silence_waiting(app, tx, &changed, &waiting, (reason, by))?;
        let changed = suppression::get(tx, changed.id)?;
        Ok(Rescoped { suppression: SuppressionView::of(tx, changed, by.at)?, back, silenced })
    })?;
    for number in &done.back {
        app.hub.tell(News::Case { number: *number, is_new: true });
    }
    for number in &done.silenced {
        app.hub.tell(News::Case { number: *number, is_new: false });
    }
    Ok(done)
}
