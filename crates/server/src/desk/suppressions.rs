//! Suppressions as they stand: what each silenced, which are due to be looked at again, and their end.

use super::benign::{LONGEST_DAYS, ScopePart, is_real, parts_of};
use super::cases::{guarded, viewer};
use super::{Doing, Fault, Stamp, Who, change, look_at_service};
use crate::app::App;
use crate::hub::News;
use portreeve_access::permit::{Object, Verb};
use portreeve_model::time::DAY_US;
use portreeve_store::case::{self, By, Viewer};
use portreeve_store::suppression::{self, Suppression};
use portreeve_store::{CaseId, Error, SuppressionId, Tx, Word, WriteTx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One is to be looked at again after so long, and so long before it ends.
const REVIEW_US: i64 = 30 * DAY_US;
const ENDS_SOON_US: i64 = 7 * DAY_US;
/// Cases that one of them names.
const MOST_HITS: usize = 200;
const PAGE: usize = 100;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SuppressionView {
    pub id: i64,
    pub scope: Vec<ScopePart>,
    /// Criteria that a case may meet and still be silenced.
    pub criteria: Vec<String>,
    pub reason: String,
    pub author: String,
    /// Where it was decided.
    pub case: Option<i64>,
    pub created_at: Stamp,
    pub expires_at: Stamp,
    /// `in_force`, `over` or `ended`.
    pub state: String,
    /// Verdicts of cases that it silenced, each once.
    pub hits: i64,
    pub last_hit: Option<Stamp>,
    /// Cases that it keeps out of the queue now.
    pub silenced: usize,
    /// Cases that it silenced and that turned out to be real.
    pub real: i64,
    /// Why it is to be looked at again; empty where it is not.
    pub due: Vec<String>,
    pub reviewed_at: Option<Stamp>,
    pub reviewed_by: Option<String>,
    pub ended_at: Option<Stamp>,
    pub ended_by: Option<String>,
    /// When its scope was changed last, and by whom; none where it is as it was made.
    pub scope_at: Option<Stamp>,
    pub scope_by: Option<String>,
    /// For If-Match.
    pub revision: i64,
}

impl SuppressionView {
    pub(crate) fn of(tx: &mut Tx<'_>, s: Suppression, now: i64) -> Result<SuppressionView, Error> {
        let (silenced, real) = (suppression::silenced(tx, s.id)?.len(), suppression::real(tx, s.id)?);
        let state = match (s.ended_at, s.expires_at > now) {
            (Some(_), _) => "ended",
            (None, true) => "in_force",
            (None, false) => "over",
        };
        let mut due = Vec::new();
        if state == "in_force" {
            if real > 0 {
                due.push("it silenced what turned out to be real".to_owned());
            }
            // Who changes its scope looks at it.
            if s.reviewed_at.unwrap_or(s.created_at).max(s.since()) < now - REVIEW_US {
                due.push("nobody looked at it for 30 days".to_owned());
            }
            if s.expires_at < now + ENDS_SOON_US {
                due.push("it ends within 7 days".to_owned());
            }
        }
        Ok(SuppressionView {
            id: s.id.0,
            scope: parts_of(&s.scope),
            criteria: s.scope.criteria,
            reason: s.reason,
            author: s.author,
            case: s.case.map(|c| c.0),
            created_at: Stamp(s.created_at),
            expires_at: Stamp(s.expires_at),
            state: state.to_owned(),
            hits: s.hits,
            last_hit: s.last_hit.map(Stamp),
            silenced,
            real,
            due,
            reviewed_at: s.reviewed_at.map(Stamp),
            reviewed_by: s.reviewed_by,
            ended_at: s.ended_at.map(Stamp),
            ended_by: s.ended_by,
            scope_at: s.scope_at.map(Stamp),
            scope_by: s.scope_by,
            revision: s.revision,
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuppressionsInput {
    /// `in_force` (the default), `due` (to be looked at again) or `all`.
    pub standing: Option<String>,
    /// `next` of the page before; for `all`.
    pub after: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SuppressionsPage {
    pub suppressions: Vec<SuppressionView>,
    pub next: Option<String>,
}

pub fn list(app: &App, who: &Who, input: &SuppressionsInput) -> Result<SuppressionsPage, Fault> {
    let some = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
    let after = some(&input.after).map(|a| a.parse().map(SuppressionId)).transpose();
    let after = after.map_err(|_| Fault::invalid("after", "is no cursor of ours; ask for the first page"))?;
    let standing = some(&input.standing).unwrap_or_else(|| "in_force".to_owned());
    if !["in_force", "due", "all"].contains(&standing.as_str()) {
        return Err(Fault::invalid("standing", "in_force, due or all"));
    }
    let now = crate::line::now().0;
    look_at_service(app, who, Verb::SuppressionRead, |tx| {
        let (found, next) = if standing == "all" {
            let mut page = suppression::all(tx, after, PAGE + 1)?;
            let more = page.len() > PAGE;
            page.truncate(PAGE);
            let next = page.last().filter(|_| more).map(|s| s.id.to_string());
            (page, next)
        } else {
            (suppression::active(tx, now)?, None)
        };
        let views = found.into_iter().map(|s| SuppressionView::of(tx, s, now));
        let mut suppressions = views.collect::<Result<Vec<_>, Error>>()?;
        if standing == "due" {
            suppressions.retain(|s| !s.due.is_empty());
        }
        Ok(SuppressionsPage { suppressions, next })
    })
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SuppressionWhole {
    pub suppression: SuppressionView,
    /// Cases that it silenced, the newest first; 200 at most, and none that is restricted to others.
    pub cases: Vec<SilencedCase>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SilencedCase {
    pub number: i64,
    pub title: String,
    /// When it was silenced first.
    pub at: Stamp,
    pub status: String,
    pub disposition: Option<String>,
    pub real: bool,
    /// It is out of the queue now, by this one.
    pub silenced: bool,
}

pub fn read(app: &App, who: &Who, id: i64) -> Result<SuppressionWhole, Fault> {
    let now = crate::line::now().0;
    let viewer = viewer(who)?;
    look_at_service(app, who, Verb::SuppressionRead, |tx| {
        let found = suppression::get(tx, SuppressionId(id))?;
        let mut cases = Vec::new();
        for (case, at) in suppression::hits(tx, found.id, MOST_HITS)? {
            if viewer != Viewer::All && !case::is_visible(tx, case, viewer)? {
                continue;
            }
            let case = case::get(tx, case)?;
            cases.push(SilencedCase {
                number: case.id.0,
                at: Stamp(at),
                status: case.status.word().to_owned(),
                disposition: case.disposition.map(|d| d.word().to_owned()),
                real: is_real(case.disposition),
                silenced: case.suppressed == Some(found.id),
                title: case.title,
            });
        }
        Ok(SuppressionWhole { suppression: SuppressionView::of(tx, found, now)?, cases })
    })
}

/// Who wrote it, as the permit table asks.
pub(super) fn author(s: &Suppression) -> &str {
    id_of(&s.author)
}

fn id_of(actor: &str) -> &str {
    actor.split(' ').next().unwrap_or_default()
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewInput {
    /// For so many days from now on, 1 to 365; where nothing is said, its end stays.
    pub days: Option<u32>,
    /// RFC 3339.
    pub until: Option<String>,
}

/// Somebody looked at it and keeps it, as long as it was, or for as long as they say.
pub fn review(
    app: &App,
    who: &Who,
    id: i64,
    revision: i64,
    input: &ReviewInput,
) -> Result<SuppressionView, Fault> {
    let object = format!("suppression:{id}");
    who.may_any(app, &[Verb::SuppressionReview], &object)?;
    let now = crate::line::now().0;
    let longest = now + i64::from(LONGEST_DAYS) * DAY_US;
    let wanted = match (super::stamp::moment("until", input.until.as_deref())?, input.days) {
        (Some(at), _) => Some(at),
        (None, Some(days)) => Some(now + i64::from(days.min(LONGEST_DAYS + 1)) * DAY_US),
        (None, None) => None,
    };
    if wanted.is_some_and(|at| at > longest) {
        return Err(Fault::invalid("until", format!("at most {LONGEST_DAYS} days from now")));
    }
    let detail = serde_json::to_value(input).map_err(|e| Fault::Inside(e.to_string()))?;
    change(app, who, &Doing::new(Verb::SuppressionReview, &object).with(detail), |tx, by| {
        let found = suppression::get(tx, SuppressionId(id))?;
        who.may(Verb::SuppressionReview, &Object::Suppression { by: author(&found) })?;
        // Nor does who made its scope what it is.
        if let Some(changed_by) = found.scope_by.as_deref().map(id_of) {
            who.may(Verb::SuppressionReview, &Object::Suppression { by: changed_by })?;
        }
        let until = wanted.unwrap_or(found.expires_at);
        let kept = suppression::review(tx, found.id, revision, until, by)?;
        SuppressionView::of(tx, kept, by.at)
    })
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndInput {
    pub reason: String,
    /// What it silenced stays out of the queue; otherwise all of it comes back.
    pub leave_silenced: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Ended {
    pub suppression: SuppressionView,
    /// Cases that are in the queue again.
    pub back: Vec<i64>,
}

/// Its author may end it as well: that shows more, and hides nothing.
pub(super) fn may_end(tx: &mut Tx<'_>, who: &Who, found: &Suppression) -> Result<(), Error> {
    match found.case {
        Some(case) if author(found) == who.actor.id => guarded(tx, who, Verb::CaseSuppress, case).map(|_| ()),
        _ => Ok(who.may(Verb::SuppressionReview, &Object::Suppression { by: author(found) })?),
    }
}

/// Those of these that are in the queue again.
pub(super) fn bring_back(
    tx: &mut WriteTx<'_>,
    silenced: Vec<CaseId>,
    why: &str,
    by: By<'_>,
) -> Result<Vec<i64>, Error> {
    let mut back = Vec::new();
    for case in silenced {
        if suppression::bring_back(tx, case, why, by)? {
            back.push(case.0);
        }
    }
    Ok(back)
}

pub fn end(app: &App, who: &Who, id: i64, revision: i64, input: &EndInput) -> Result<Ended, Fault> {
    let object = format!("suppression:{id}");
    who.may_any(app, &[Verb::SuppressionReview, Verb::CaseSuppress], &object)?;
    if input.reason.trim().is_empty() {
        return Err(Fault::invalid("reason", "is empty; say why"));
    }
    let detail = serde_json::to_value(input).map_err(|e| Fault::Inside(e.to_string()))?;
    let done = change(app, who, &Doing::new(Verb::SuppressionReview, &object).with(detail), |tx, by| {
        let found = suppression::get(tx, SuppressionId(id))?;
        may_end(tx, who, &found)?;
        let ended = suppression::end(tx, found.id, revision, by)?;
        let mut back = Vec::new();
        if !input.leave_silenced {
            let why = format!("suppression {id} was ended: {}", input.reason.trim());
            let silenced = suppression::silenced(tx, found.id)?;
            back = bring_back(tx, silenced, &why, by)?;
        }
        Ok(Ended { suppression: SuppressionView::of(tx, ended, by.at)?, back })
    })?;
    for number in &done.back {
        app.hub.tell(News::Case { number: *number, is_new: true });
    }
    Ok(done)
}
