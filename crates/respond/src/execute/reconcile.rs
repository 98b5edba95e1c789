//! Holding devices to the ledger: what expired is taken back, what vanished is put back, what became protected is let
//! go, what is not ours is named and left alone.

use super::{ExecuteError, Executor, known};
use crate::connector::{Effect, Known, Present};
use crate::ledger::{Entry, Kind, StepState};
use crate::plan::{Plan, Step};
use std::collections::BTreeSet;

/// What one round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    pub in_force: u32,
    pub expired: Vec<String>,
    pub restored: Vec<String>,
    /// Taken back, because the target is protected now.
    pub released: Vec<String>,
    /// In force by the ledger, and reading does not show it: needs a person.
    pub not_in_force: Vec<String>,
    pub unknown: Vec<String>,
    pub strangers: Vec<String>,
}

/// A step is put back at most so often; after that a person should look who takes it away.
const MOST_RESTORES: usize = 3;

const ACTOR: &str = "portreeve";

impl Executor<'_> {
    pub fn reconcile(&mut self) -> Result<Reconciled, ExecuteError> {
        let mut round = Reconciled::default();
        let mut marks: BTreeSet<String> = BTreeSet::new();
        for (digest, _) in self.ledger.plans()? {
            let plan = self.ledger.plan(&digest)?;
            self.recover(&plan, &digest, ACTOR)?;
            for step in &plan.steps {
                marks.insert(step.order.mark.clone());
                let record = self.record(&digest, step)?;
                let undoing = matches!(
                    record.state,
                    StepState::UndoNotEffective | StepState::UndoUnknown | StepState::UndoFailed
                );
                let held = matches!(
                    record.state,
                    StepState::Verified | StepState::NotEffective | StepState::Unknown
                );
                if step.is_final || !(held || undoing) {
                    continue;
                }
                let known = known(step, &record);
                let name = format!("{} {} at {}", step.order.act.id(), step.order.target, step.device);
                let over = step.order.until.is_some_and(|until| until <= (self.now)());
                if over {
                    self.expire(&digest, step, &known, &name, &mut round)?;
                } else if held && self.guard.check(&step.order).is_err() {
                    let report = self.undo_step(&digest, step, &known, ACTOR)?;
                    round.released.push(format!("{name}: {}", report.state));
                } else if held {
                    self.hold(&plan, &digest, step, &known, &name, &mut round)?;
                }
            }
        }
        self.strangers(&marks, &mut round)?;
        Ok(round)
    }

    fn expire(
        &mut self,
        digest: &str,
        step: &Step,
        known: &Known,
        name: &str,
        round: &mut Reconciled,
    ) -> Result<(), ExecuteError> {
        // The device may have let go by itself.
        let gone = match self.devices.control(&step.device) {
            Ok(control) => control.verify_undone(&step.order, known),
            Err(fault) => Effect::unread(&fault),
        };
        if let Effect::Effective(why) = gone {
            self.write(ACTOR, digest, Some(step.number), Kind::Expired, serde_json::json!({"why": why}))?;
            round.expired.push(name.to_owned());
            return Ok(());
        }
        let report = self.undo_step(digest, step, known, ACTOR)?;
        match report.state {
            StepState::Expired => round.expired.push(name.to_owned()),
            _ => round.unknown.push(format!("{name}: expired and {}: {}", report.state, report.why)),
        }
        Ok(())
    }

    fn hold(
        &mut self,
        plan: &Plan,
        digest: &str,
        step: &Step,
        known: &Known,
        name: &str,
        round: &mut Reconciled,
    ) -> Result<(), ExecuteError> {
        let effect = match self.devices.control(&step.device) {
            Ok(control) => control.verify(&step.order, known),
            Err(fault) => Effect::unread(&fault),
        };
        match effect {
            Effect::Effective(why) => {
                round.in_force += 1;
                if self.record(digest, step)?.state != StepState::Verified {
                    self.write(
                        ACTOR,
                        digest,
                        Some(step.number),
                        Kind::Verified,
                        serde_json::json!({"why": why}),
                    )?;
                }
            }
            Effect::Unknown(why) => round.unknown.push(format!("{name}: {why}")),
            Effect::NotEffective(why) => {
                let entries = self.ledger.of_plan(digest)?;
                let verified_once =
                    entries.iter().any(|e| e.step == Some(step.number) && e.kind == Kind::Verified);
                let restored = restores(&entries, step.number);
                if !verified_once || restored >= MOST_RESTORES {
                    round.not_in_force.push(format!("{name}: {why}"));
                    return Ok(());
                }
                self.write(
                    ACTOR,
                    digest,
                    Some(step.number),
                    Kind::Restoring,
                    serde_json::json!({"why": why}),
                )?;
                self.write(
                    ACTOR,
                    digest,
                    Some(step.number),
                    Kind::NotEffective,
                    serde_json::json!({"why": why}),
                )?;
                let report = self.send(digest, step, None, ACTOR)?;
                match report.state {
                    StepState::Verified => round.restored.push(format!("{name} ({})", plan.case)),
                    state => round.not_in_force.push(format!("{name}: {state}: {}", report.why)),
                }
            }
        }
        Ok(())
    }

    fn strangers(&mut self, marks: &BTreeSet<String>, round: &mut Reconciled) -> Result<(), ExecuteError> {
        let told: BTreeSet<String> = self
            .ledger
            .since(i64::MIN)?
            .iter()
            .filter(|e| e.kind == Kind::Stranger)
            .map(|e| e.json().get("what").and_then(|w| w.as_str()).unwrap_or_default().to_owned())
            .collect();
        for device in self.devices.names() {
            let present = match self.devices.control(&device).and_then(|c| c.present()) {
                Ok(Some(present)) => present,
                Ok(None) => continue,
                Err(fault) => {
                    round.unknown.push(format!("{device}: {fault}"));
                    continue;
                }
            };
            for Present { what, mark } in present {
                if mark.as_ref().is_some_and(|m| marks.contains(m)) {
                    continue;
                }
                let name = format!("{what} at {device} ({})", mark.as_deref().unwrap_or("no mark"));
                if !told.contains(&name) {
                    self.write(ACTOR, "", None, Kind::Stranger, serde_json::json!({"what": name}))?;
                }
                round.strangers.push(name);
            }
        }
        Ok(())
    }
}

fn restores(entries: &[Entry], step: u16) -> usize {
    entries.iter().filter(|e| e.step == Some(step) && e.kind == Kind::Restoring).count()
}
