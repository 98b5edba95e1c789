//! Lists of cases, and one case with all that is known of it.

use super::{Fault, Stamp, Who, look, look_at_service};
use crate::app::App;
use crate::brief::Brief;
use portreeve_access::permit::{self, CasesSeen, Object, Verb};
use portreeve_store::case::list::{self, Cursor, Order, Owner, Query, Standing};
use portreeve_store::case::{self, Case, Viewer, clock, decision, document, engine, entity, merge, timeline};
use portreeve_store::{CaseId, EntryId, Error, PersonId, Tx, Word, hex, people};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody, as a case names them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Somebody {
    pub id: i64,
    pub name: String,
}

/// A case as a line of a list.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct CaseLine {
    pub number: i64,
    pub title: String,
    pub principal: String,
    /// In force: the engine's, or what a person decided otherwise.
    pub decision: String,
    pub engine_decision: String,
    pub overridden: bool,
    /// 0 to 100.
    pub risk: f64,
    pub first_seen: Stamp,
    pub last_seen: Stamp,
    pub detected_at: Stamp,
    pub status: String,
    pub owner: Option<Somebody>,
    pub tier: String,
    pub disposition: Option<String>,
    pub closing_reason: Option<String>,
    pub closed_at: Option<Stamp>,
    pub tlp: String,
    pub pap: String,
    pub restricted: bool,
    /// The verdict changed after the case was closed.
    pub resurfaced: bool,
    pub merged_into: Option<i64>,
    /// The suppression that keeps it out of the queue.
    pub suppressed: Option<i64>,
    /// The next deadline.
    pub next_due: Option<Stamp>,
    pub created_at: Stamp,
    pub updated_at: Stamp,
    /// For If-Match.
    pub revision: i64,
    /// What a line of the queue shows besides.
    pub brief: Brief,
}

/// Names of people, looked up once each.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<PersonId, String>);

impl Names {
    pub(crate) fn of(&mut self, tx: &mut Tx<'_>, id: PersonId) -> Result<Somebody, Error> {
        if let Some(name) = self.0.get(&id) {
            return Ok(Somebody { id: id.0, name: name.clone() });
        }
        let name = people::get(tx, id)?.name;
        self.0.insert(id, name.clone());
        Ok(Somebody { id: id.0, name })
    }
}

pub(crate) fn line(tx: &mut Tx<'_>, case: Case, names: &mut Names) -> Result<CaseLine, Error> {
    Ok(CaseLine {
        number: case.id.0,
        decision: case.queue().name().to_owned(),
        engine_decision: case.decision.name().to_owned(),
        overridden: case.overridden.is_some(),
        risk: case.risk.points(),
        first_seen: Stamp(case.first_seen),
        last_seen: Stamp(case.last_seen),
        detected_at: Stamp(case.detected_at),
        status: case.status.word().to_owned(),
        owner: case.owner.map(|o| names.of(tx, o)).transpose()?,
        tier: case.tier.word().to_owned(),
        disposition: case.disposition.map(|d| d.word().to_owned()),
        closing_reason: case.closing_reason,
        closed_at: case.closed_at.map(Stamp),
        tlp: case.tlp.word().to_owned(),
        pap: case.pap.word().to_owned(),
        restricted: case.restricted,
        resurfaced: case.resurfaced,
        merged_into: case.merged_into.map(|m| m.0),
        suppressed: case.suppressed.map(|s| s.0),
        next_due: case.next_due.map(Stamp),
        created_at: Stamp(case.created_at),
        updated_at: Stamp(case.updated_at),
        revision: case.revision,
        // Written by an older version it may have other fields; what it lacks is empty.
        brief: serde_json::from_str(&case.brief).unwrap_or_default(),
        title: case.title,
        principal: case.principal,
    })
}

/// What a list of cases is to hold. What is empty fits always.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListInput {
    /// Decision in force: `escalate`, `investigate` or `close`.
    pub queue: Option<String>,
    /// `queued` (the default), `closed`, `suppressed` or `all`.
    pub standing: Option<String>,
    pub status: Option<String>,
    /// `me`, `nobody`, or the id of a person.
    pub owner: Option<String>,
    pub tier: Option<String>,
    pub disposition: Option<String>,
    /// Only those whose verdict changed after they were closed.
    pub resurfaced: Option<bool>,
    /// Somewhere in title, principal, entities or notes; or the number of the case.
    pub q: Option<String>,
    pub principal: Option<String>,
    pub address: Option<String>,
    /// Changed at or after this time (RFC 3339).
    pub updated_since: Option<String>,
    /// With a deadline before this time.
    pub due_before: Option<String>,
    /// `priority` (the default), `due`, `created`, `updated` or `change`.
    pub order: Option<String>,
    /// Cases of a page, 1 to 500; 50 where nothing is said.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct CasePage {
    pub cases: Vec<CaseLine>,
    /// For `after`; null on the last page.
    pub next: Option<String>,
}

pub(crate) fn parsed<T: std::str::FromStr<Err = Error>>(text: Option<&str>) -> Result<Option<T>, Error> {
    text.map(str::trim).filter(|t| !t.is_empty()).map(str::parse).transpose()
}

pub(crate) fn decision_of(
    field: &'static str,
    text: &str,
) -> Result<portreeve_model::answer::Decision, Error> {
    use portreeve_model::answer::Decision;
    [Decision::Close, Decision::Investigate, Decision::Escalate]
        .into_iter()
        .find(|d| d.name() == text)
        .ok_or_else(|| Error::invalid(field, "escalate, investigate or close"))
}

/// Which cases this person's lists are made of.
pub(crate) fn viewer(who: &Who) -> Result<Viewer, Fault> {
    match permit::cases_seen(&who.actor) {
        CasesSeen::None => Err(permit::allows(&who.actor, Verb::CaseList, &Object::Service)
            .or_err()
            .map_or_else(Fault::Denied, |()| Fault::SignIn)),
        CasesSeen::All => Ok(Viewer::All),
        // A service account is nobody's member.
        CasesSeen::OpenAndOwn { .. } => Ok(Viewer::Person(who.person.unwrap_or(PersonId(0)))),
    }
}

fn query<'a>(input: &'a ListInput, who: &Who) -> Result<Query<'a>, Fault> {
    let some = |text: &'a Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty());
    Ok(Query {
        queue: some(&input.queue).map(|t| decision_of("queue", t)).transpose()?,
        standing: match some(&input.standing) {
            None | Some("queued") => Standing::Queued,
            Some("closed") => Standing::Closed,
            Some("suppressed") => Standing::Suppressed,
            Some("all") => Standing::All,
            Some(_) => return Err(Fault::invalid("standing", "queued, closed, suppressed or all")),
        },
        status: parsed(some(&input.status))?,
        owner: match some(&input.owner) {
            None => Owner::Anybody,
            Some("nobody") => Owner::Nobody,
            Some("me") => Owner::Is(who.person()?),
            Some(id) => Owner::Is(PersonId(
                id.parse().map_err(|_| Fault::invalid("owner", "me, nobody, or the id of a person"))?,
            )),
        },
        tier: parsed(some(&input.tier))?,
        disposition: parsed(some(&input.disposition))?,
        resurfaced: input.resurfaced.unwrap_or(false),
        text: some(&input.q),
        principal: some(&input.principal),
        address: some(&input.address),
        entity: None,
        updated_since: super::stamp::moment("updated_since", input.updated_since.as_deref())?,
        due_before: super::stamp::moment("due_before", input.due_before.as_deref())?,
        viewer: viewer(who)?,
        order: parsed::<Order>(some(&input.order))?.unwrap_or_default(),
    })
}

pub fn list(app: &App, who: &Who, input: &ListInput) -> Result<CasePage, Fault> {
    look_at_service(app, who, Verb::CaseList, |tx| page(tx, who, input))
}

fn page(tx: &mut Tx<'_>, who: &Who, input: &ListInput) -> Result<CasePage, Error> {
    let after: Option<Cursor> = parsed(input.after.as_deref())?;
    let page = list::page(tx, &query(input, who)?, after.as_ref(), input.limit.unwrap_or(50))?;
    let mut names = Names::default();
    let cases = page.cases.into_iter().map(|c| line(tx, c, &mut names)).collect::<Result<_, _>>()?;
    Ok(CasePage { cases, next: page.next.map(|n| n.to_string()) })
}

/// A page of cases, and how many there are in all.
pub(crate) struct Queue {
    pub(crate) page: CasePage,
    pub(crate) total: i64,
}

pub(crate) fn queue(app: &App, who: &Who, input: &ListInput) -> Result<Queue, Fault> {
    look_at_service(app, who, Verb::CaseList, |tx| {
        let total = list::count(tx, &query(input, who)?)?;
        Ok(Queue { page: page(tx, who, input)?, total })
    })
}

/// The queue in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct QueueCount {
    pub queue: String,
    pub status: String,
    pub tier: String,
    pub owner: Option<i64>,
    pub cases: i64,
}

pub fn counts(app: &App, who: &Who) -> Result<Vec<QueueCount>, Fault> {
    look_at_service(app, who, Verb::CaseList, |tx| {
        let counts = list::counts(tx, viewer(who)?)?;
        Ok(counts
            .into_iter()
            .map(|c| QueueCount {
                queue: c.queue.name().to_owned(),
                status: c.status.word().to_owned(),
                tier: c.tier.word().to_owned(),
                owner: c.owner.map(|o| o.0),
                cases: c.cases,
            })
            .collect())
    })
}

/// A case with what its permission rests on.
pub(crate) struct Guarded {
    pub(crate) case: Case,
    members: Vec<String>,
}

impl Guarded {
    pub(crate) fn of(tx: &mut Tx<'_>, id: CaseId) -> Result<Guarded, Error> {
        let case = case::get(tx, id)?;
        let mut members = Vec::new();
        if case.restricted {
            let people = case::members(tx, id)?.into_iter().chain(case.owner);
            members.extend(people.map(|p| format!("person:{p}")));
            if members.is_empty() {
                // Restricted to nobody is not open to everybody.
                members.push("nobody".to_owned());
            }
        }
        Ok(Guarded { case, members })
    }

    /// As the permit table asks about it.
    pub(crate) fn object(&self) -> Object<'_> {
        Object::Case(self.facts())
    }

    /// What plans of it rest on as well.
    pub(crate) fn facts(&self) -> permit::Case<'_> {
        permit::Case {
            members: &self.members,
            tlp: match self.case.tlp {
                case::Tlp::Clear => permit::Tlp::Clear,
                case::Tlp::Green => permit::Tlp::Green,
                case::Tlp::Amber => permit::Tlp::Amber,
                case::Tlp::AmberStrict => permit::Tlp::AmberStrict,
                case::Tlp::Red => permit::Tlp::Red,
            },
            pap: match self.case.pap {
                case::Pap::Clear => permit::Pap::Clear,
                case::Pap::Green => permit::Pap::Green,
                case::Pap::Amber => permit::Pap::Amber,
                case::Pap::Red => permit::Pap::Red,
            },
            escalated: self.case.tier != case::Tier::L1,
        }
    }
}

/// The case, if this person may do this to it. Who may read no case learns nothing of it, not even that it is not there.
pub(crate) fn guarded(tx: &mut Tx<'_>, who: &Who, verb: Verb, id: CaseId) -> Result<Case, Error> {
    match Guarded::of(tx, id) {
        Ok(guarded) => {
            who.may(verb, &guarded.object())?;
            Ok(guarded.case)
        }
        Err(Error::NotFound { what, id }) => {
            who.may(verb, &Object::Case(permit::Case::default()))?;
            Err(Error::NotFound { what, id })
        }
        Err(error) => Err(error),
    }
}

/// One of the engine's cases in a case.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Part {
    pub engine_id: String,
    pub withdrawn_at: Option<Stamp>,
    /// SHA-256 of the document, in hex.
    pub sha256: String,
    /// The whole case as the engine wrote it (`docs/cases.v1.json`).
    pub document: serde_json::Value,
}

/// A case with everything that a page of it shows first.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct CaseWhole {
    pub case: CaseLine,
    pub parts: Vec<Part>,
    pub members: Vec<Somebody>,
    /// Cases that were merged into this one.
    pub merged: Vec<i64>,
    pub decisions: Vec<Decided>,
    pub clocks: Vec<ClockView>,
}

/// A deadline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ClockView {
    /// `acknowledge`, `contain` or `resolve`.
    pub kind: String,
    pub started_at: Stamp,
    pub due: Stamp,
    /// It stands since then.
    pub paused_at: Option<Stamp>,
    pub met_at: Option<Stamp>,
    /// Missed, or met too late.
    pub is_breached: bool,
}

/// A decision of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Decided {
    pub before: String,
    pub decision: String,
    pub reason: String,
    pub actor: String,
    pub at: Stamp,
    pub withdrawn_at: Option<Stamp>,
    pub withdrawn_by: Option<String>,
}

/// Looks at one case.
pub(crate) fn look_at<T>(
    app: &App,
    who: &Who,
    number: i64,
    mut f: impl FnMut(&mut Tx<'_>, Case) -> Result<T, Error>,
) -> Result<T, Fault> {
    look(app, who, Verb::CaseRead, &format!("case:{number}"), |tx| {
        let case = guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        f(tx, case)
    })
}

pub fn read(app: &App, who: &Who, number: i64) -> Result<CaseWhole, Fault> {
    look_at(app, who, number, whole)
}

pub(crate) fn whole(tx: &mut Tx<'_>, case: Case) -> Result<CaseWhole, Error> {
    let (id, mut names) = (case.id, Names::default());
    let parts = document::of_case(tx, id)?.into_iter().map(|d| {
        Ok(Part {
            engine_id: d.engine_id,
            withdrawn_at: d.withdrawn_at.map(Stamp),
            sha256: hex(&d.sha256),
            document: serde_json::from_str(&d.text)
                .map_err(|e| Fault::Inside(format!("document of case {id}: {e}")))?,
        })
    });
    let parts = parts.collect::<Result<_, Error>>()?;
    let members = case::members(tx, id)?;
    let decisions = decision::of_case(tx, id)?.into_iter().map(|d| Decided {
        before: d.before.name().to_owned(),
        decision: d.decision.name().to_owned(),
        reason: d.reason,
        actor: d.actor,
        at: Stamp(d.at),
        withdrawn_at: d.withdrawn_at.map(Stamp),
        withdrawn_by: d.withdrawn_by,
    });
    let now = crate::line::now().0;
    let clocks = clock::of_case(tx, id)?.into_iter().map(|c| ClockView {
        is_breached: c.is_breached(now),
        kind: c.kind.word().to_owned(),
        started_at: Stamp(c.started_at),
        due: Stamp(c.due),
        paused_at: c.paused_at.map(Stamp),
        met_at: c.met_at.map(Stamp),
    });
    Ok(CaseWhole {
        parts,
        decisions: decisions.collect(),
        clocks: clocks.collect(),
        members: members.into_iter().map(|m| names.of(tx, m)).collect::<Result<_, _>>()?,
        merged: merge::merged(tx, id)?.into_iter().map(|m| m.0).collect(),
        case: line(tx, case, &mut names)?,
    })
}

/// An entry of the timeline.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Entry {
    pub id: i64,
    /// Where it was written; another case than the one asked for once cases were merged.
    pub case: i64,
    pub kind: String,
    pub at: Stamp,
    pub certainty: String,
    pub recorded_at: Stamp,
    pub actor: String,
    pub said: String,
    pub data: Option<serde_json::Value>,
}

impl From<timeline::Entry> for Entry {
    fn from(e: timeline::Entry) -> Entry {
        Entry {
            id: e.id.0,
            case: e.case.0,
            kind: e.kind.word().to_owned(),
            at: Stamp(e.at),
            certainty: e.certainty,
            recorded_at: Stamp(e.recorded_at),
            actor: e.actor,
            said: e.said,
            data: e.data.and_then(|d| serde_json::from_str(&d).ok()),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct TimelinePage {
    pub entries: Vec<Entry>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageInput {
    /// 1 to 1,000; 200 where nothing is said.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

pub fn timeline(app: &App, who: &Who, number: i64, input: &PageInput) -> Result<TimelinePage, Fault> {
    let wrong = || Fault::invalid("after", "is no cursor of ours; ask for the first page");
    let after = match input.after.as_deref().filter(|a| !a.is_empty()) {
        None => None,
        Some(text) => {
            let (at, id) = text.split_once('.').ok_or_else(wrong)?;
            Some((at.parse().map_err(|_| wrong())?, EntryId(id.parse().map_err(|_| wrong())?)))
        }
    };
    let limit = input.limit.unwrap_or(200).clamp(1, 1_000);
    look_at(app, who, number, |tx, case| {
        let mut entries = timeline::of_case(tx, case.id, after, limit + 1)?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|e| format!("{}.{}", e.at, e.id));
        Ok(TimelinePage { entries: entries.into_iter().map(Entry::from).collect(), next })
    })
}

/// A change of the verdict.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct VerdictChange {
    pub number: i64,
    pub engine_id: String,
    /// `raised`, `lowered`, `withdrawn`, `late` or `changed`.
    pub kind: String,
    /// Because of records that came late.
    pub late: bool,
    pub why: String,
    pub changed: serde_json::Value,
    pub at: Stamp,
    pub decision_before: String,
    pub decision_after: String,
    pub risk_before: f64,
    pub risk_after: f64,
}

impl From<engine::Verdict> for VerdictChange {
    fn from(v: engine::Verdict) -> VerdictChange {
        VerdictChange {
            number: v.number,
            engine_id: v.engine_id,
            kind: v.turn.word().to_owned(),
            late: v.late,
            why: v.why,
            changed: serde_json::from_str(&v.changed).unwrap_or_default(),
            at: Stamp(v.at),
            decision_before: v.decision_before.name().to_owned(),
            decision_after: v.decision_after.name().to_owned(),
            risk_before: v.risk_before.points(),
            risk_after: v.risk_after.points(),
        }
    }
}

pub fn verdicts(app: &App, who: &Who, number: i64) -> Result<Vec<VerdictChange>, Fault> {
    look_at(app, who, number, |tx, case| {
        Ok(engine::verdicts(tx, case.id)?.into_iter().map(VerdictChange::from).collect())
    })
}

/// Another case, and what it shares with this one.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct RelatedCase {
    pub case: CaseLine,
    pub shared: Vec<Shared>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Shared {
    pub kind: String,
    pub value: String,
    /// Cases that have it: the fewer, the more it says.
    pub cases: usize,
}

pub fn related(app: &App, who: &Who, number: i64) -> Result<Vec<RelatedCase>, Fault> {
    look_at(app, who, number, |tx, case| related_to(tx, who, case.id))
}

pub(crate) fn related_to(tx: &mut Tx<'_>, who: &Who, id: CaseId) -> Result<Vec<RelatedCase>, Error> {
    let mut names = Names::default();
    let found = entity::related(tx, id, viewer(who)?, 20)?;
    let related = found.into_iter().map(|r| {
        let other = case::get(tx, r.case)?;
        let shared = r.shared.into_iter().map(|(e, cases)| Shared {
            kind: e.kind.word().to_owned(),
            value: e.value,
            cases,
        });
        Ok(RelatedCase { case: line(tx, other, &mut names)?, shared: shared.collect() })
    });
    related.collect()
}

/// Cases that wait: those to escalate, those to investigate. Part of every page, and no look at any case.
pub(crate) fn waiting(app: &App, who: &Who) -> Result<(i64, i64), Fault> {
    let counts = app.store.read(|tx| list::counts(tx, viewer(who)?))?;
    let of = |name| counts.iter().filter(|c| c.queue.name() == name).map(|c| c.cases).sum();
    Ok((of("escalate"), of("investigate")))
}
