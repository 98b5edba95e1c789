//! The one place that lets a connector act. Before each request the ledger has it; after each request the effect is
//! read by another way. What a crash left open is read first and never sent blindly again.

mod limits;
mod propose;
mod reconcile;
mod undo;

pub use limits::Exceeded;
pub use reconcile::Reconciled;

use crate::approve::{Allowed, NotApproved, Policy, allowed, genuine};
use crate::automation::{Automation, NotAlone};
use crate::config::Devices;
use crate::connector::{Can, Effect, Known, Order, Seen};
use crate::fault::Fault;
use crate::guard::Guard;
use crate::ledger::{Draft, Entry, Kind, Ledger, LedgerError, StepRecord, StepState};
use crate::operator::{Operator, Purpose, Tier, Word};
use crate::plan::{Plan, Step};
use crate::secret::Secret;
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("not approved: {0}")]
    NotApproved(#[from] NotApproved),
    #[error(transparent)]
    NotAlone(#[from] NotAlone),
    /// The world is not as it was when the plan was made. Nothing was sent.
    #[error("the plan does not hold any more, make a new one: {}", .0.join("; "))]
    Stale(Vec<String>),
    #[error("a limit stands against it: {0}")]
    Limit(Exceeded),
}

/// Tells the caller of each entry, as soon as it is written.
pub type Progress<'a> = dyn FnMut(&Entry) + 'a;

/// Gets a new password as soon as the device has it, before anything else can go wrong; with the number of the step.
pub type HandOver<'a> = dyn FnMut(u16, &Secret) + 'a;

/// What execution works with.
pub struct Executor<'a> {
    pub ledger: &'a mut Ledger,
    pub devices: &'a mut Devices,
    pub guard: &'a Guard,
    pub policy: &'a Policy,
    pub operators: &'a [Operator],
    /// Microseconds since 1970, UTC.
    pub now: &'a dyn Fn() -> i64,
    pub progress: &'a mut Progress<'a>,
    /// For who has to keep new passwords; they are in the report as well.
    pub hand_over: &'a mut HandOver<'a>,
}

/// How a step ended in this run.
#[derive(Debug)]
pub struct StepReport {
    pub number: u16,
    pub state: StepState,
    pub why: String,
    /// What only the person at the screen may see, once: a new password.
    pub handover: Option<Secret>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    pub allowed: Allowed,
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Is every step that was to be done proven?
    pub fn is_contained(&self) -> bool {
        self.steps.iter().all(|s| s.state == StepState::Verified)
    }
}

impl Executor<'_> {
    /// A person's word about a plan, checked and written down.
    pub fn say(&mut self, digest: &str, word: &Word) -> Result<(), ExecuteError> {
        let plan = self.ledger.plan(digest)?;
        let operator = self.hear(digest, word, None)?;
        let too_low = |needs: Tier| NotApproved::TooLow { who: word.by.clone(), tier: operator.tier, needs };
        match word.purpose {
            Purpose::Approve if word.by == plan.made_by => {
                return Err(NotApproved::OwnProposal(word.by.clone()).into());
            }
            Purpose::Approve if operator.tier < plan.need.tier => return Err(too_low(plan.need.tier).into()),
            Purpose::BreakGlass | Purpose::RollBack | Purpose::Attest if operator.tier < Tier::T2 => {
                return Err(too_low(Tier::T2).into());
            }
            _ => {}
        }
        let body = serde_json::to_value(word).unwrap_or_default();
        self.write(&word.by, digest, None, Kind::Word, body)?;
        Ok(())
    }

    /// Carries a plan out, or goes on where a crash or a stop left it. `word` is the person who starts it.
    pub fn apply(&mut self, digest: &str, word: &Word) -> Result<Report, ExecuteError> {
        let plan = self.ledger.plan(digest)?;
        self.hear(digest, word, Some(Purpose::Apply))?;
        let words = self.ledger.words(digest)?;
        let now = (self.now)();
        let proposer = plan.made_by.clone();
        let allowed = allowed(&words, digest, &plan.need, &proposer, self.operators, self.policy, now)?;
        let started = serde_json::to_value(word).unwrap_or_default();
        self.carry_out(&plan, digest, allowed, &word.by, started)
    }

    /// Carries out what an automation has planned, if the people who signed it suffice for what it became.
    pub fn apply_automated(&mut self, digest: &str, automation: &Automation) -> Result<Report, ExecuteError> {
        let plan = self.ledger.plan(digest)?;
        let signed_by = automation.may(&plan, self.operators, (self.now)())?;
        let words = self.ledger.words(digest)?;
        if let Some(no) = words.iter().find(|w| w.purpose == Purpose::Reject) {
            return Err(NotApproved::Rejected(no.by.clone()).into());
        }
        let allowed = Allowed::Automation { name: automation.name.clone(), signed_by };
        let started = serde_json::json!({"automation": automation.digest()});
        self.carry_out(&plan, digest, allowed, &automation.actor(), started)
    }

    fn carry_out(
        &mut self,
        plan: &Plan,
        digest: &str,
        allowed: Allowed,
        actor: &str,
        started: serde_json::Value,
    ) -> Result<Report, ExecuteError> {
        let begun = self.ledger.of_plan(digest)?.iter().rev().any(|e| e.kind == Kind::Begun);
        let now = (self.now)();
        // What a crash left open is looked at before anything else.
        self.recover(plan, digest, actor)?;
        let records = self.ledger.states(plan, digest)?;
        let open: Vec<&Step> = plan
            .steps
            .iter()
            .zip(&records)
            .filter(|(_, r)| {
                matches!(
                    r.state,
                    StepState::Planned | StepState::Failed | StepState::Skipped | StepState::NotEffective
                )
            })
            .map(|(s, _)| s)
            .collect();
        let glass = matches!(allowed, Allowed::BreakGlass { .. });
        if !glass {
            limits::check(self.ledger, plan, &open, self.guard, self.policy, now)
                .map_err(ExecuteError::Limit)?;
        }
        let fresh = self.reread(&open, &records)?;
        if !begun || !open.is_empty() {
            let how = match &allowed {
                Allowed::By(people) => serde_json::json!({"approved_by": people, "started_by": started}),
                Allowed::BreakGlass { by, reason } => {
                    serde_json::json!({"break_glass": by, "reason": reason, "started_by": started})
                }
                Allowed::Automation { name, signed_by } => {
                    serde_json::json!({"automation": name, "signed_by": signed_by, "started_by": started})
                }
            };
            self.write(actor, digest, None, Kind::Begun, how)?;
        }
        let mut reports = Vec::new();
        let mut sent_to: Vec<String> = Vec::new();
        for step in &plan.steps {
            let record = self.record(digest, step)?;
            let report = match record.state {
                StepState::Planned | StepState::Failed | StepState::Skipped | StepState::NotEffective => {
                    let earlier_open =
                        self.ledger.states(plan, digest)?.iter().zip(&plan.steps).any(|(r, s)| {
                            s.order.act.stage() < step.order.act.stage() && r.state != StepState::Verified
                        });
                    if step.is_final && !step.order.act.is_light() && earlier_open {
                        self.skip(
                            digest,
                            step,
                            actor,
                            "nothing brings this back, and an earlier step is not proven",
                        )?
                    } else {
                        let seen = if sent_to.contains(&step.device) {
                            None
                        } else {
                            fresh.iter().find(|(n, _)| *n == step.number).map(|(_, s)| s.clone())
                        };
                        sent_to.push(step.device.clone());
                        self.send(digest, step, seen, actor)?
                    }
                }
                state => StepReport { number: step.number, state, why: record.why, handover: None },
            };
            reports.push(report);
        }
        Ok(Report { allowed, steps: reports })
    }

    /// Takes a word that was said just now, by who it names, for what it is used for. The ledger holds old words: one
    /// that is played again must not act again.
    fn hear(&self, digest: &str, word: &Word, purpose: Option<Purpose>) -> Result<&Operator, NotApproved> {
        let operator = genuine(word, digest, self.operators)?;
        let stale = (self.now)().abs_diff(word.at) > u64::from(self.policy.approval_minutes) * 60_000_000;
        if stale || purpose.is_some_and(|p| p != word.purpose) {
            return Err(NotApproved::Played { who: word.by.clone(), purpose: word.purpose.name() });
        }
        Ok(operator)
    }

    /// A person says what he saw of a step whose effect cannot be read. It is his word, and stands as that; what was
    /// read is not overruled by it.
    pub fn attest(
        &mut self,
        digest: &str,
        number: u16,
        effective: bool,
        word: &Word,
    ) -> Result<(), ExecuteError> {
        let plan = self.ledger.plan(digest)?;
        self.hear(digest, word, Some(Purpose::Attest))?;
        let Some(step) = plan.step_of(number) else {
            return Err(LedgerError::NoStep { plan: digest.to_owned(), step: number }.into());
        };
        let state = self.record(digest, step)?.state;
        if !matches!(state, StepState::Unknown | StepState::Acknowledged) {
            return Err(LedgerError::NotNow { step: number, state }.into());
        }
        self.say(digest, word)?;
        let kind = if effective { Kind::Verified } else { Kind::NotEffective };
        let body = serde_json::json!({"why": format!("{} says: {}", word.by, word.reason), "attested": word});
        self.write_if(&word.by, digest, number, kind, body, &[StepState::Unknown, StepState::Acknowledged])
    }

    /// Reads every open step's target again and holds it against the plan. Any difference stops the whole, before
    /// anything is sent.
    fn reread(&mut self, open: &[&Step], records: &[StepRecord]) -> Result<Vec<(u16, Seen)>, ExecuteError> {
        let mut stale = Vec::new();
        let mut fresh = Vec::new();
        for step in open {
            let attempted =
                records.get(usize::from(step.number).wrapping_sub(1)).is_some_and(|r| r.attempts > 0);
            match self.look(step) {
                Ok(seen) => {
                    if seen.ids != step.seen.ids {
                        stale.push(format!(
                            "step {}: {} was {} and is {}",
                            step.number,
                            step.order.target,
                            step.seen.ids.join(", "),
                            seen.ids.join(", ")
                        ));
                    } else if !attempted && seen != step.seen {
                        stale.push(format!(
                            "step {}: {}: when planned: {}; now: {}",
                            step.number, step.order.target, step.seen.says, seen.says
                        ));
                    }
                    fresh.push((step.number, seen));
                }
                Err(why) => stale.push(format!("step {}: {why}", step.number)),
            }
        }
        if stale.is_empty() { Ok(fresh) } else { Err(ExecuteError::Stale(stale)) }
    }

    /// Guards, then reads, then guards what it was resolved to.
    fn look(&mut self, step: &Step) -> Result<Seen, String> {
        let refused = |refusals: Vec<crate::guard::Refusal>| {
            let all: Vec<String> = refusals.into_iter().map(|r| format!("{} ({})", r.why, r.rule)).collect();
            format!("never touched: {}", all.join("; "))
        };
        self.guard.check(&step.order).map_err(refused)?;
        let control = self.devices.control(&step.device).map_err(|f| f.to_string())?;
        let seen = control.read(&step.order).map_err(|f| f.to_string())?;
        self.guard.check_resolved(&step.order, &seen).map_err(refused)?;
        Ok(seen)
    }

    fn send(
        &mut self,
        digest: &str,
        step: &Step,
        seen: Option<Seen>,
        actor: &str,
    ) -> Result<StepReport, ExecuteError> {
        // An earlier step at the same device may have changed what this one sees.
        let seen = match seen {
            Some(seen) => seen,
            None => match self.look(step) {
                Ok(seen) if seen.ids == step.seen.ids => seen,
                Ok(seen) => {
                    let why = format!("the name now means {}", seen.ids.join(", "));
                    return self.skip(digest, step, actor, &why);
                }
                Err(why) => return self.skip(digest, step, actor, &why),
            },
        };
        if step.order.until.is_some_and(|until| until <= (self.now)()) {
            return self.skip(digest, step, actor, "its time is over");
        }
        let key = idempotency_key(digest, step);
        let body = serde_json::json!({"key": key, "seen": seen, "requests": step.requests});
        self.write_if(
            actor,
            digest,
            step.number,
            Kind::Sent,
            body,
            &[StepState::Planned, StepState::Failed, StepState::Skipped, StepState::NotEffective],
        )?;
        let outcome = match self.devices.control(&step.device) {
            Ok(control) => control.apply(&step.order, &seen),
            Err(fault) => Err(fault),
        };
        let (ack, handover) = match outcome {
            Ok(mut ack) => {
                let handover = ack.handover.take();
                if let Some(secret) = &handover {
                    (self.hand_over)(step.number, secret);
                }
                let body = serde_json::json!({"why": ack.says, "ack": ack});
                self.write(actor, digest, Some(step.number), Kind::Acknowledged, body)?;
                (Some(ack), handover)
            }
            Err(fault) if fault.may_have_acted() => (None, None),
            Err(fault) => {
                let why = fault.to_string();
                self.write(actor, digest, Some(step.number), Kind::Failed, serde_json::json!({"why": why}))?;
                return Ok(StepReport { number: step.number, state: StepState::Failed, why, handover: None });
            }
        };
        let known = Known { seen, ack };
        let mut report = self.prove(digest, step, &known, actor)?;
        report.handover = handover;
        Ok(report)
    }

    /// Reads the effect until it shows or the connector's time is over; then, where something may come back by
    /// itself, once more after a while. The result is written down.
    fn prove(
        &mut self,
        digest: &str,
        step: &Step,
        known: &Known,
        actor: &str,
    ) -> Result<StepReport, ExecuteError> {
        let effect = self.observe(step, known);
        let kind = match &effect {
            Effect::Effective(_) => Kind::Verified,
            Effect::NotEffective(_) => Kind::NotEffective,
            Effect::Unknown(_) => Kind::Unknown,
        };
        let why = effect.why().to_owned();
        self.write(actor, digest, Some(step.number), kind, serde_json::json!({"why": why}))?;
        let state = self.record(digest, step)?.state;
        Ok(StepReport { number: step.number, state, why, handover: None })
    }

    fn observe(&mut self, step: &Step, known: &Known) -> Effect {
        let (within, settle) = self.times(step);
        let control = match self.devices.control(&step.device) {
            Ok(control) => control,
            Err(fault) => return Effect::unread(&fault),
        };
        let effect = poll(within, || control.verify(&step.order, known));
        if settle.is_zero() || !matches!(effect, Effect::Effective(_)) {
            return effect;
        }
        std::thread::sleep(settle);
        match control.verify(&step.order, known) {
            Effect::NotEffective(why) => {
                Effect::NotEffective(format!("it came back within {} s: {why}", settle.as_secs()))
            }
            other => other,
        }
    }

    fn times(&self, step: &Step) -> (Duration, Duration) {
        self.can(&step.device, &step.order).map_or((Duration::ZERO, Duration::ZERO), |c| (c.within, c.settle))
    }

    fn can(&self, device: &str, order: &Order) -> Option<&'static Can> {
        self.devices.connector(device)?.can(order.act, order.target.kind())
    }

    /// Steps that a crash left between sending and reading: their effect is read, nothing is sent.
    fn recover(&mut self, plan: &Plan, digest: &str, actor: &str) -> Result<(), ExecuteError> {
        for step in &plan.steps {
            let record = self.record(digest, step)?;
            match record.state {
                StepState::Sent | StepState::Acknowledged => {
                    let known = known(step, &record);
                    self.prove(digest, step, &known, actor)?;
                }
                StepState::UndoSent | StepState::UndoAcknowledged => {
                    let known = known(step, &record);
                    self.prove_undone(digest, step, &known, actor)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn skip(
        &mut self,
        digest: &str,
        step: &Step,
        actor: &str,
        why: &str,
    ) -> Result<StepReport, ExecuteError> {
        self.write(actor, digest, Some(step.number), Kind::Skipped, serde_json::json!({"why": why}))?;
        Ok(StepReport { number: step.number, state: StepState::Skipped, why: why.to_owned(), handover: None })
    }

    fn record(&self, digest: &str, step: &Step) -> Result<StepRecord, ExecuteError> {
        Ok(crate::ledger::step_record(&self.ledger.of_plan(digest)?, step.number))
    }

    fn write(
        &mut self,
        actor: &str,
        plan: &str,
        step: Option<u16>,
        kind: Kind,
        body: serde_json::Value,
    ) -> Result<(), ExecuteError> {
        let at = (self.now)();
        let entry = self.ledger.append(&Draft { at, actor, plan, step, kind, body })?;
        (self.progress)(&entry);
        Ok(())
    }

    fn write_if(
        &mut self,
        actor: &str,
        plan: &str,
        step: u16,
        kind: Kind,
        body: serde_json::Value,
        states: &[StepState],
    ) -> Result<(), ExecuteError> {
        let at = (self.now)();
        let draft = Draft { at, actor, plan, step: Some(step), kind, body };
        let entry = self.ledger.append_if(&draft, states)?;
        (self.progress)(&entry);
        Ok(())
    }
}

fn known(step: &Step, record: &StepRecord) -> Known {
    Known { seen: record.seen.clone().unwrap_or_else(|| step.seen.clone()), ack: record.ack.clone() }
}

/// The same for the same step of the same plan, whenever it is asked.
fn idempotency_key(digest: &str, step: &Step) -> String {
    crate::plan::digest(&serde_json::json!([digest, step.number, step.order]).to_string())
}

/// Reads until the effect shows, at most for `within`.
fn poll(within: Duration, mut read: impl FnMut() -> Effect) -> Effect {
    let start = Instant::now();
    let mut nap = Duration::from_millis(20);
    loop {
        let effect = read();
        if matches!(effect, Effect::Effective(_)) || start.elapsed() >= within {
            return effect;
        }
        std::thread::sleep(nap.min(within));
        nap = (nap * 2).min(Duration::from_secs(5));
    }
}

/// Faults of a device that is asked something outside a plan.
pub(crate) fn said(fault: &Fault) -> String {
    fault.to_string()
}
