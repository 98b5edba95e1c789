//! Containment of a case: plans, who allowed them, what was done, and back. The ledger is the truth; the store's audit
//! and timeline say who was at the page.

mod views;

pub use views::{
    AttestInput, BackInput, Containment, HandOver, LeftOut, OperatorView, PlanInput, PlanView, StepView,
    WhyInput, WordView,
};

use super::cases::{Guarded, guarded, look_at};
use super::{Doing, Fault, Stamp, Who, change, look_at_service};
use crate::app::App;
use crate::contain::proposals::{self, Asked, Scene};
use crate::contain::{Contain, Job, Site, What, handed, keys, record};
use crate::hub::News;
use crate::line::now;
use portreeve_access::permit::{self, Object, Verb};
use portreeve_report::actions::Aftermath;
use portreeve_report::wire;
use portreeve_respond::approve::{Allowed, NotApproved, allowed, genuine};
use portreeve_respond::config::Config;
use portreeve_respond::ledger::{Kind, Ledger, StepRecord, StepState, step_record};
use portreeve_respond::operator::{Operator, PrivateKey, Purpose, Tier, Word};
use portreeve_respond::plan::{Plan, Step, short};
use portreeve_respond::value::Net;
use portreeve_store::case::timeline::{self, NewEntry};
use portreeve_store::case::{document, engine};
use portreeve_store::people::{self, Person};
use portreeve_store::{CaseId, Error, Tx, WriteTx};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// So long an act is waited for, before the answer says that it is being done.
const PATIENCE: Duration = Duration::from_secs(10);

/// For somebody who may do this at all: who may not is told that, and not how the service is configured.
fn contain_for<'a>(app: &'a App, who: &Who, verb: Verb, object: &str) -> Result<&'a Arc<Contain>, Fault> {
    who.may_any(app, &[verb], object)?;
    contain(app)
}

fn contain(app: &App) -> Result<&Arc<Contain>, Fault> {
    app.contain.as_ref().ok_or_else(|| Fault::Conflict {
        text: "containment is not configured; write [respond] into the configuration of the service"
            .to_owned(),
    })
}

fn tier(tier: Tier) -> String {
    tier.to_string().to_lowercase()
}

/// Everything that the ledger holds about a case.
pub fn state(app: &App, who: &Who, number: i64) -> Result<Containment, Fault> {
    look_at(app, who, number, |_, _| Ok(()))?;
    of_case(app, who, number)
}

/// The same for a page on which the case was looked at already.
pub(crate) fn of_case(app: &App, who: &Who, number: i64) -> Result<Containment, Fault> {
    let Some(contain) = &app.contain else { return Ok(Containment::default()) };
    let config = Config::read(contain.path()).map_err(crate::contain::ContainError::from)?;
    let ledger = Ledger::open(&config.ledger)?;
    let mut all = Vec::new();
    for (digest, _) in ledger.plans()? {
        all.push((ledger.plan(&digest)?, digest));
    }
    let (of_case, parts) = app.store.read(|tx| {
        let case = guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        let mut operators = config.operators.clone();
        operators.extend(keys::operators(tx, &app.accounts.seal)?);
        let scene = Seen { contain, ledger: &ledger, config: &config, operators: &operators };
        let mut views = Vec::new();
        for (plan, digest) in all.iter().rev() {
            if engine::case_of(tx, &plan.case)? == Some(case.id) {
                views.push(scene.view(tx, who, number, plan, digest)?);
            }
        }
        let parts: Vec<String> = document::of_case(tx, case.id)?.into_iter().map(|d| d.engine_id).collect();
        Ok::<_, Error>((views, parts))
    })?;
    // Of several of the engine's cases in one, the one about which something was done.
    let id = of_case.first().map(|p| p.engine_id.clone()).or_else(|| parts.into_iter().next());
    let aftermath = id.map(|id| record::aftermath(&ledger, &id, now().0)).transpose()?;
    let round = contain.last_round();
    Ok(Containment {
        configured: true,
        plans: of_case,
        aftermath,
        held_at: round.as_ref().map(|r| Stamp(r.at)),
        trouble: round.map(|r| r.trouble).unwrap_or_default(),
    })
}

/// What was done about one of the engine's cases, for its exports.
pub(crate) fn aftermath(app: &App, engine_id: &str) -> Result<Aftermath, Fault> {
    let Some(contain) = &app.contain else { return Ok(Aftermath::unknown(engine_id)) };
    let config = Config::read(contain.path()).map_err(crate::contain::ContainError::from)?;
    Ok(record::aftermath(&Ledger::open(&config.ledger)?, engine_id, now().0)?)
}

/// What a plan is looked at with.
struct Seen<'a> {
    contain: &'a Contain,
    ledger: &'a Ledger,
    config: &'a Config,
    operators: &'a [Operator],
}

impl Seen<'_> {
    fn allowed(&self, plan: &Plan, digest: &str) -> Result<Result<Allowed, NotApproved>, Error> {
        let words = self.ledger.words(digest).map_err(Fault::from)?;
        let policy = &self.config.policy;
        Ok(allowed(&words, digest, &plan.need, &plan.made_by, self.operators, policy, now().0))
    }

    fn view(
        &self,
        tx: &mut Tx<'_>,
        who: &Who,
        number: i64,
        plan: &Plan,
        digest: &str,
    ) -> Result<PlanView, Error> {
        let entries = self.ledger.of_plan(digest).map_err(Fault::from)?;
        let words = self.ledger.words(digest).map_err(Fault::from)?;
        let allowed = self.allowed(plan, digest)?;
        let records: Vec<StepRecord> = plan.steps.iter().map(|s| step_record(&entries, s.number)).collect();
        let begun = entries.iter().any(|e| e.kind == Kind::Begun);
        let rejected = matches!(allowed, Err(NotApproved::Rejected(_)));
        let standing = standing(self.contain.is_running(digest), begun, rejected, allowed.is_ok(), &records);
        let minutes = i64::from(self.config.policy.approval_minutes);
        let counts = |w: &&Word| {
            matches!(w.purpose, Purpose::Approve | Purpose::BreakGlass)
                && genuine(w, digest, self.operators).is_ok()
        };
        let until = words.iter().filter(counts).map(|w| w.at + minutes * 60_000_000).max();
        let may = may(tx, who, number, plan, allowed.is_ok())?;
        let hands_over = match who.person() {
            Ok(person) => !handed::waiting(tx, digest, person, now().0)?.is_empty(),
            Err(_) => false,
        };
        Ok(PlanView {
            digest: digest.to_owned(),
            engine_id: plan.case.clone(),
            made_by: plan.made_by.clone(),
            made_at: Stamp(plan.made_at),
            needs_tier: tier(plan.need.tier),
            needs_people: plan.need.people,
            standing: standing.to_owned(),
            lacks: allowed.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            approved_until: until.filter(|_| allowed.is_ok()).map(Stamp),
            said: self.contain.said(digest),
            words: words
                .into_iter()
                .map(|w| WordView {
                    purpose: w.purpose.name().to_owned(),
                    by: w.by,
                    reason: w.reason,
                    at: Stamp(w.at),
                })
                .collect(),
            steps: plan.steps.iter().zip(records).map(|(step, record)| step_view(step, record)).collect(),
            left_out: plan
                .left_out
                .iter()
                .map(|l| LeftOut {
                    act: l.act.clone(),
                    target: l.target.clone(),
                    device: l.device.clone(),
                    why: l.why.clone(),
                })
                .collect(),
            may,
            hands_over,
        })
    }
}

fn standing(running: bool, begun: bool, rejected: bool, allowed: bool, steps: &[StepRecord]) -> &'static str {
    let any = |f: fn(StepState) -> bool| steps.iter().any(|s| f(s.state));
    let in_force = any(StepState::may_be_in_force);
    match () {
        () if running => "running",
        () if begun && any(|s| matches!(s, StepState::Planned | StepState::Sent)) => "interrupted",
        () if in_force => "in_force",
        () if any(|s| matches!(s, StepState::RolledBack | StepState::Expired)) => "taken_back",
        () if begun => "done",
        () if rejected => "rejected",
        () if allowed => "approved",
        () => "proposed",
    }
}

fn step_view(step: &Step, record: StepRecord) -> StepView {
    StepView {
        number: step.number,
        act: step.order.act.id().to_owned(),
        title: step.order.act.title().to_owned(),
        target: step.order.target.to_string(),
        device: step.device.clone(),
        connector: step.connector.clone(),
        tested: step.proof.clone(),
        because: step.because.clone(),
        seen: step.seen.says.clone(),
        requests: step.requests.clone(),
        effect: step.effect.clone(),
        leaves_open: step.leaves_open.clone(),
        undo: step.undo.clone(),
        is_final: step.is_final,
        blast_radius: step.blast_radius.clone(),
        heavy: step.weights.iter().map(|w| w.says().to_owned()).collect(),
        caution: step.caution.clone(),
        until: step.order.until.map(Stamp),
        state: record.state.name().replace(' ', "_"),
        proof: record.why,
        since: (record.at != 0).then_some(Stamp(record.at)),
    }
}

/// The facts of a plan that its permission rests on, with the case in one moment of the store.
fn with_object<T>(
    tx: &mut Tx<'_>,
    number: i64,
    plan: &Plan,
    approved: bool,
    f: impl FnOnce(&Object<'_>) -> T,
) -> Result<T, Error> {
    let case = Guarded::of(tx, CaseId(number))?;
    // Who proposed with the command may be somebody of the page.
    let proposer = people::by_name(tx, &plan.made_by)?.map(|p| format!("person:{}", p.id));
    let plan = permit::Plan {
        case: case.facts(),
        proposer: proposer.as_deref().unwrap_or(&plan.made_by),
        takes_t3: plan.need.tier == Tier::T3,
        approved,
        connectors_changed_by: &[],
    };
    Ok(f(&Object::Plan(plan)))
}

/// Verbs on plans.
const VERBS: [Verb; 5] = [
    Verb::ContainmentApprove,
    Verb::ContainmentReject,
    Verb::ContainmentBreakGlass,
    Verb::ContainmentApply,
    Verb::ContainmentUndo,
];

fn may(tx: &mut Tx<'_>, who: &Who, number: i64, plan: &Plan, approved: bool) -> Result<Vec<String>, Error> {
    with_object(tx, number, plan, approved, |object| {
        let allowed = VERBS.into_iter().filter(|v| who.first.is_none() && who.may(*v, object).is_ok());
        allowed.map(|v| v.id().to_owned()).collect()
    })
}

/// Who asks, with their key; in the transaction that writes down what they do.
fn signer(tx: &mut WriteTx<'_>, app: &App, who: &Who) -> Result<(Person, PrivateKey), Error> {
    let person = people::get(tx, who.person().map_err(Error::from)?)?;
    let key = keys::of(tx, &app.accounts.seal, &person, now().0)?;
    Ok((person, key))
}

/// Somebody does something to a plan of a case: permission, the person's signed word, audit and timeline.
fn on_plan<T: Serialize>(
    app: &App,
    who: &Who,
    at: &PlanAct<'_>,
    mut f: impl FnMut(&mut Site, Word) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let contain = contain_for(app, who, at.verb, &format!("case:{}", at.number))?;
    let (object, number) = (format!("case:{}", at.number), at.number);
    let detail = serde_json::json!({ "plan": at.digest, "reason": at.reason });
    // Names of hosts are looked up here, where nobody waits for the store.
    let mut site = Site::open(app, contain, Vec::new())?;
    let done = change(app, who, &Doing::new(at.verb, &object).with(detail), |tx, by| {
        guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        site.operators = site.all_operators(keys::operators(tx, &app.accounts.seal)?);
        let plan = site.ledger.plan(at.digest).map_err(Fault::from)?;
        // The digest is of a plan of this case, or there is none.
        if engine::case_of(tx, &plan.case)? != Some(CaseId(number)) {
            return Err(Fault::not_found("such plan").into());
        }
        let approved = at.counts_as_approved || {
            let scene =
                Seen { contain, ledger: &site.ledger, config: &site.config, operators: &site.operators };
            scene.allowed(&plan, at.digest)?.is_ok()
        };
        with_object(tx, number, &plan, approved, |object| who.may(at.verb, object))??;
        let (person, key) = signer(tx, app, who)?;
        // Their first word makes their key.
        site.operators = site.all_operators(keys::operators(tx, &app.accounts.seal)?);
        let word = Word::sign(&person.name, &key, at.purpose, at.digest, at.reason, now().0);
        let done = f(&mut site, word)?;
        let said = format!("{} plan {}: {}", at.says, short(at.digest), at.reason);
        let entry = NewEntry {
            case: CaseId(number),
            kind: timeline::Kind::Action,
            at: by.at,
            certainty: "exact",
            recorded_at: by.at,
            actor: by.actor,
            said: &said,
            data: None,
            once: None,
        };
        timeline::append(tx, &entry)?;
        Ok(done)
    })?;
    app.hub.tell(News::Plan { digest: at.digest.to_owned() });
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

/// What somebody does to a plan.
struct PlanAct<'a> {
    number: i64,
    digest: &'a str,
    verb: Verb,
    purpose: Purpose,
    reason: &'a str,
    says: &'static str,
    /// What it needs was asked when it was carried out.
    counts_as_approved: bool,
}

impl<'a> PlanAct<'a> {
    fn new(number: i64, digest: &'a str, reason: &'a str, of: (Verb, Purpose, &'static str)) -> PlanAct<'a> {
        let (verb, purpose, says) = of;
        PlanAct { number, digest, verb, purpose, reason, says, counts_as_approved: false }
    }
}

/// One plan, as it stands now.
fn one(app: &App, who: &Who, number: i64, digest: &str) -> Result<PlanView, Fault> {
    let all = of_case(app, who, number)?.plans;
    all.into_iter().find(|p| p.digest == digest).ok_or_else(|| Fault::not_found("such plan"))
}

/// Reads every device and proposes what it finds to be done. Nothing is changed anywhere.
pub fn plan(app: &App, who: &Who, number: i64, input: &PlanInput) -> Result<PlanView, Fault> {
    let contain = contain_for(app, who, Verb::ContainmentPropose, &format!("case:{number}"))?;
    let (only, with) = (acts("only", &input.only)?, acts("with", &input.with)?);
    let (case, person, operators) = app.store.read(|tx| {
        guarded(tx, who, Verb::ContainmentPropose, CaseId(number))?;
        let person = people::get(tx, who.person().map_err(Error::from)?)?;
        Ok::<_, Error>((proposed(tx, number)?, person, keys::operators(tx, &app.accounts.seal)?))
    })?;
    let mut site = Site::open(app, contain, operators)?;
    // Nobody shuts out the line on which they work.
    site.guard.protect_net(Net::host(who.address), "operator", "the address from which you are working");
    let hours = input.hours.unwrap_or(24);
    if hours == 0 || hours > site.config.policy.max_hours {
        return Err(Fault::invalid("hours", format!("1 to {}", site.config.policy.max_hours)));
    }
    let asked = Asked { by: &person.name, now: now().0, hours, only: &only, with: &with };
    let grounds = app.grounds();
    let made = proposals::plan(
        &case,
        &asked,
        &mut Scene {
            tables: Some(&grounds.tables),
            guard: &mut site.guard,
            devices: &mut site.devices,
            ledger: &site.ledger,
            policy: &site.config.policy,
        },
    );
    if made.steps.is_empty() {
        let why: Vec<String> = made
            .left_out
            .iter()
            .map(|l| {
                format!("{} {}: {}", l.act, portreeve_model::untrusted::escape_for_terminal(&l.target), l.why)
            })
            .collect();
        let why = if why.is_empty() { "the case proposes nothing".to_owned() } else { why.join("; ") };
        return Err(Fault::Conflict { text: format!("nothing to do: {why}") });
    }
    let digest = made.digest();
    let (object, reason) = (format!("case:{number}"), proposal_reason(input, &made));
    let detail = serde_json::json!({ "plan": digest, "steps": made.steps.len(), "reason": reason });
    let doing = Doing::new(Verb::ContainmentPropose, &object).with(detail);
    let digest = change(app, who, &doing, |tx, by| {
        guarded(tx, who, Verb::ContainmentPropose, CaseId(number))?;
        let (person, key) = signer(tx, app, who)?;
        site.operators = site.all_operators(keys::operators(tx, &app.accounts.seal)?);
        let word = Word::sign(&person.name, &key, Purpose::Propose, &digest, &reason, now().0);
        let digest = site.with(&app.hub, |e| e.propose(&made, &word)).map_err(Fault::from)?;
        let said = format!("proposed plan {} with {} steps: {reason}", short(&digest), made.steps.len());
        let entry = NewEntry {
            case: CaseId(number),
            kind: timeline::Kind::Action,
            at: by.at,
            certainty: "exact",
            recorded_at: by.at,
            actor: by.actor,
            said: &said,
            data: None,
            once: None,
        };
        timeline::append(tx, &entry)?;
        app.hooks.waits(tx, CaseId(number), &digest, (&said, by.actor, by.at))?;
        Ok(digest)
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    one(app, who, number, &digest)
}

fn proposal_reason(input: &PlanInput, plan: &Plan) -> String {
    match input.reason.trim() {
        "" => format!("proposed for case {}", plan.case),
        reason => reason.to_owned(),
    }
}

fn acts(field: &'static str, names: &[String]) -> Result<Vec<portreeve_respond::act::Act>, Fault> {
    proposals::acts(names).map_err(|why| Fault::invalid(field, why))
}

/// The engine's case with the proposals of all that stand in it; the most dangerous one gives the name.
fn proposed(tx: &mut Tx<'_>, number: i64) -> Result<wire::Case, Error> {
    let wrong = |e: serde_json::Error| Fault::Inside(format!("document of case {number}: {e}"));
    let mut standing = Vec::new();
    for part in document::of_case(tx, CaseId(number))?.into_iter().filter(|d| d.withdrawn_at.is_none()) {
        standing.push(serde_json::from_str::<wire::Case>(&part.text).map_err(wrong)?);
    }
    standing.sort_by(|a, b| b.risk_score.total_cmp(&a.risk_score));
    let mut all = standing.into_iter();
    let mut first = all.next().ok_or_else(|| Fault::Conflict {
        text: "the engine has withdrawn this case; there is nothing to contain".to_owned(),
    })?;
    for other in all {
        first.containment.extend(other.containment);
        first.principals.push(other.principal);
        first.principals.extend(other.principals);
    }
    Ok(first)
}

/// Allows a plan, for as long as the policy says.
pub fn approve(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &WhyInput,
) -> Result<PlanView, Fault> {
    let of = (Verb::ContainmentApprove, Purpose::Approve, "approved");
    say(app, who, &PlanAct::new(number, digest, &input.reason, of))
}

/// Forbids a plan, for good.
pub fn reject(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &WhyInput,
) -> Result<PlanView, Fault> {
    let of = (Verb::ContainmentReject, Purpose::Reject, "rejected");
    say(app, who, &PlanAct::new(number, digest, &input.reason, of))
}

/// Allows a plan alone, in an emergency. Guards still hold, limits do not.
pub fn break_glass(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &WhyInput,
) -> Result<PlanView, Fault> {
    let of = (Verb::ContainmentBreakGlass, Purpose::BreakGlass, "EMERGENCY: allowed alone");
    say(app, who, &PlanAct::new(number, digest, &input.reason, of))
}

fn say(app: &App, who: &Who, act: &PlanAct<'_>) -> Result<PlanView, Fault> {
    on_plan(app, who, act, |site, word| {
        site.with(&app.hub, |e| e.say(act.digest, &word)).map_err(Fault::from)
    })?;
    one(app, who, act.number, act.digest)
}

/// Says what one saw of a step that cannot be read.
pub fn attest(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &AttestInput,
) -> Result<PlanView, Fault> {
    let of = (Verb::ContainmentApply, Purpose::Attest, "looked at");
    let act = PlanAct { counts_as_approved: true, ..PlanAct::new(number, digest, &input.reason, of) };
    on_plan(app, who, &act, |site, word| {
        site.with(&app.hub, |e| e.attest(digest, input.number, input.effective, &word)).map_err(Fault::from)
    })?;
    one(app, who, number, digest)
}

/// Begins to carry a plan out, or goes on where a crash left it. The answer says how far it is after some seconds.
pub fn apply(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &WhyInput,
) -> Result<PlanView, Fault> {
    let of = (Verb::ContainmentApply, Purpose::Apply, "carries out");
    begin(app, who, &PlanAct::new(number, digest, &input.reason, of), What::Apply)
}

/// Takes a plan back, the newest step first.
pub fn roll_back(
    app: &App,
    who: &Who,
    (number, digest): (i64, &str),
    input: &BackInput,
) -> Result<PlanView, Fault> {
    let steps = input.steps.iter().map(|s| s.parse::<u16>());
    let steps =
        steps.collect::<Result<Vec<u16>, _>>().map_err(|_| Fault::invalid("steps", "numbers of steps"))?;
    let of = (Verb::ContainmentUndo, Purpose::RollBack, "takes back");
    begin(app, who, &PlanAct::new(number, digest, &input.reason, of), What::RollBack(steps))
}

fn begin(app: &App, who: &Who, act: &PlanAct<'_>, what: What) -> Result<PlanView, Fault> {
    let contain = contain_for(app, who, act.verb, &format!("case:{}", act.number))?;
    if act.reason.trim().chars().count() < 3 {
        return Err(Fault::invalid("reason", "say why"));
    }
    if contain.is_running(act.digest) {
        let text = "the plan is being carried out or taken back at this moment".to_owned();
        return Err(Fault::Conflict { text });
    }
    let word = on_plan(app, who, act, |_, word| Ok(word))?;
    let job = Job { digest: act.digest.to_owned(), word, person: who.person()?, what };
    let done = contain.start(job)?;
    if let Ok(end) = done.recv_timeout(PATIENCE) {
        end?;
    }
    one(app, who, act.number, act.digest)
}

/// New passwords of a plan, for whoever carried it out, once. What is read is gone, and the audit says which steps it
/// was of, in one change.
pub fn hand_over(app: &App, who: &Who, (number, digest): (i64, &str)) -> Result<Vec<HandOver>, Fault> {
    let object = format!("case:{number}");
    contain_for(app, who, Verb::ContainmentApply, &object)?;
    let person = who.person()?;
    let waiting = look_at(app, who, number, |tx, _| handed::waiting(tx, digest, person, now().0))?;
    // With its key, a request that comes again is told that it was answered.
    if waiting.is_empty() && who.once.is_none() {
        return Ok(Vec::new());
    }
    let detail = serde_json::json!({ "plan": digest, "handed_over": waiting });
    let doing = Doing::new(Verb::ContainmentApply, &object).with(detail).secret();
    change(app, who, &doing, |tx, by| {
        guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        let taken = handed::take(tx, &app.accounts.seal, (digest, person), by.at)?;
        if !taken.iter().map(|(step, _)| *step).eq(waiting.iter().copied()) {
            let text = "somebody with your name asked at the same moment; ask again".to_owned();
            return Err(Fault::Conflict { text }.into());
        }
        let shown =
            taken.into_iter().map(|(step, secret)| HandOver { step, secret: secret.expose().to_owned() });
        Ok(shown.collect())
    })
}

/// With what keys the service signs: for the configuration of the command, which knows no person of the page.
pub fn operators(app: &App, who: &Who) -> Result<Vec<OperatorView>, Fault> {
    look_at_service(app, who, Verb::ConnectorRead, |tx| {
        let all = keys::operators(tx, &app.accounts.seal)?.into_iter();
        let view = |o: Operator| OperatorView {
            tier: tier(o.tier),
            public_key: o.public_key.to_string(),
            name: o.name,
        };
        Ok(all.map(view).collect())
    })
}
