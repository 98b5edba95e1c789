//! What people do to a case: take it, hand it on, decide otherwise, close it, merge it. Each rests on the revision that
//! was read.

use super::cases::{CaseLine, Names, decision_of, guarded, line, parsed};
use super::{Doing, Fault, Who, change};
use crate::app::App;
use crate::config::Occasion;
use crate::hub::News;
use portreeve_access::permit::Verb;
use portreeve_store::case::{By, Case, Pap, Tier, Tlp, decision, merge as merging, work};
use portreeve_store::{CaseId, Error, PersonId, WriteTx, people};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change of one case.
fn on_case(
    app: &App,
    who: &Who,
    (verb, number): (Verb, i64),
    said: impl Serialize,
    mut f: impl FnMut(&mut WriteTx<'_>, Case, By<'_>) -> Result<Case, Error>,
) -> Result<CaseLine, Fault> {
    let object = format!("case:{number}");
    let detail = serde_json::to_value(said).map_err(|e| Fault::Inside(e.to_string()))?;
    let done = change(app, who, &Doing::new(verb, &object).with(detail), |tx, by| {
        let case = guarded(tx, who, verb, CaseId(number))?;
        let case = f(tx, case, by)?;
        line(tx, case, &mut Names::default())
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignInput {
    /// `me`, `nobody`, or the id or name of a person.
    pub owner: String,
}

/// By id or name. A name of digits alone is found by its id.
fn somebody(tx: &mut WriteTx<'_>, field: &'static str, text: &str) -> Result<PersonId, Error> {
    let found = match text.trim().parse() {
        Ok(id) => people::get(tx, PersonId(id)).ok(),
        Err(_) => people::by_name(tx, text.trim())?,
    };
    found.map(|p| p.id).ok_or_else(|| Error::invalid(field, "names nobody; give the id or name of a person"))
}

pub fn assign(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &AssignInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseAssign, number), input, |tx, case, by| {
        let owner = match input.owner.trim() {
            "nobody" => None,
            "me" => Some(who.person()?),
            other => Some(somebody(tx, "owner", other)?),
        };
        work::assign(tx, case.id, revision, owner, by)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusInput {
    /// `new`, `open`, `in_progress` or `waiting`.
    pub status: String,
}

pub fn status(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &StatusInput,
) -> Result<CaseLine, Fault> {
    let status = input.status.parse()?;
    on_case(app, who, (Verb::CaseAssign, number), input, |tx, case, by| {
        work::set_status(tx, case.id, revision, status, by)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierInput {
    /// `l1`, `t2` or `t3`; the one above or below where nothing is said.
    #[serde(default)]
    pub tier: String,
    pub reason: String,
}

impl TierInput {
    fn tier(&self, now: Tier, next: [Option<Tier>; 3]) -> Result<Tier, Error> {
        if !self.tier.trim().is_empty() {
            return self.tier.parse();
        }
        let next = match now {
            Tier::L1 => next[0],
            Tier::T2 => next[1],
            Tier::T3 => next[2],
        };
        next.ok_or_else(|| Error::NotNow(format!("there is no tier beyond {now}")))
    }
}

pub fn escalate(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &TierInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseEscalate, number), input, |tx, case, by| {
        let tier = input.tier(case.tier, [Some(Tier::T2), Some(Tier::T3), None])?;
        let case = work::escalate(tx, case.id, revision, tier, &input.reason, by)?.0;
        app.hooks.case(tx, &case, Occasion::CaseEscalated, (&input.reason, by.actor, by.at))?;
        Ok(case)
    })
}

pub fn hand_back(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &TierInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseEscalate, number), input, |tx, case, by| {
        let tier = input.tier(case.tier, [None, Some(Tier::L1), Some(Tier::T2)])?;
        work::hand_back(tx, case.id, revision, tier, &input.reason, by)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseInput {
    /// `true_positive_impact`, `true_positive_no_impact`, `benign_positive`, `false_positive_logic`,
    /// `false_positive_data`, `not_applicable` or `undetermined`.
    pub disposition: String,
    pub reason: String,
    /// Although steps are begun or blocked.
    #[serde(default)]
    pub leave_tasks: bool,
}

pub fn close(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &CloseInput,
) -> Result<CaseLine, Fault> {
    let disposition = input.disposition.parse()?;
    let closing = work::Closing { disposition, reason: &input.reason, leave_tasks: input.leave_tasks };
    on_case(app, who, (Verb::CaseClose, number), input, |tx, case, by| {
        let case = work::close(tx, case.id, revision, &closing, by)?;
        app.hooks.case(tx, &case, Occasion::CaseClosed, (&input.reason, by.actor, by.at))?;
        Ok(case)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonInput {
    pub reason: String,
}

pub fn reopen(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &ReasonInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseReopen, number), input, |tx, case, by| {
        let case = work::reopen(tx, case.id, revision, &input.reason, by)?;
        app.hooks.case(tx, &case, Occasion::CaseReopened, (&input.reason, by.actor, by.at))?;
        Ok(case)
    })
}

/// A closed case came up again, and stays closed.
pub fn stays_closed(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &ReasonInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseClose, number), input, |tx, case, by| {
        work::stays_closed(tx, case.id, revision, &input.reason, by)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideInput {
    /// `escalate`, `investigate` or `close`.
    pub decision: String,
    pub reason: String,
}

pub fn decide(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &DecideInput,
) -> Result<CaseLine, Fault> {
    let decided = decision_of("decision", &input.decision)?;
    on_case(app, who, (Verb::CaseDecide, number), input, |tx, case, by| {
        decision::decide(tx, case.id, revision, decided, &input.reason, by)
    })
}

/// The engine's decision counts again.
pub fn withdraw(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &ReasonInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseDecide, number), input, |tx, case, by| {
        decision::withdraw(tx, case.id, revision, &input.reason, by)
    })
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharingInput {
    /// `clear`, `green`, `amber`, `amber_strict` or `red`; what is not given stays.
    pub tlp: Option<String>,
    /// `clear`, `green`, `amber` or `red`.
    pub pap: Option<String>,
}

/// TLP:RED is for named people: the case is then restricted to its owner and who said so, until more are named.
pub fn sharing(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &SharingInput,
) -> Result<CaseLine, Fault> {
    let (tlp, pap) = (parsed::<Tlp>(input.tlp.as_deref())?, parsed::<Pap>(input.pap.as_deref())?);
    on_case(app, who, (Verb::CaseRestrict, number), input, |tx, case, by| {
        let (tlp, pap) = (tlp.unwrap_or(case.tlp), pap.unwrap_or(case.pap));
        let mut now = work::set_sharing(tx, case.id, revision, tlp, pap, by)?;
        if tlp == Tlp::Red && !now.restricted {
            let members: Vec<PersonId> = who.person.into_iter().collect();
            now = work::restrict(tx, case.id, now.revision, Some(&members), by)?;
        }
        Ok(now)
    })
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestrictInput {
    /// Ids or names of people; whoever restricts is always among them. Null or not given: open to everybody.
    pub members: Option<Vec<String>>,
}

pub fn restrict(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &RestrictInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseRestrict, number), input, |tx, case, by| {
        let members = match &input.members {
            None => None,
            Some(all) => {
                let ids = all.iter().map(|text| somebody(tx, "members", text));
                let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
                ids.extend(who.person.filter(|me| !ids.contains(me)));
                Some(ids)
            }
        };
        if members.is_none() && case.tlp == Tlp::Red {
            return Err(Error::NotNow(format!(
                "case {number} is TLP:RED and stays with its members; lower the TLP first"
            )));
        }
        work::restrict(tx, case.id, revision, members.as_deref(), by)
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeInput {
    /// The case that goes into this one.
    pub from: i64,
    /// Its revision.
    pub from_revision: i64,
    pub reason: String,
}

pub fn merge(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &MergeInput,
) -> Result<CaseLine, Fault> {
    let done = on_case(app, who, (Verb::CaseMerge, number), input, |tx, case, by| {
        let from = guarded(tx, who, Verb::CaseMerge, CaseId(input.from))?;
        merging::merge(tx, (case.id, revision), (from.id, input.from_revision), &input.reason, by)
    })?;
    app.hub.tell(News::Case { number: input.from, is_new: false });
    Ok(done)
}

pub fn unmerge(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &ReasonInput,
) -> Result<CaseLine, Fault> {
    on_case(app, who, (Verb::CaseMerge, number), input, |tx, case, by| {
        if let Some(into) = case.merged_into {
            guarded(tx, who, Verb::CaseMerge, into)?;
        }
        merging::unmerge(tx, case.id, revision, &input.reason, by)
    })
}
