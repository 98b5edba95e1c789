//! Taking back: in the reverse order, each step by what was there before it, and read again afterwards.

use super::{ExecuteError, Executor, StepReport, known, poll};
use crate::connector::{Effect, Known};
use crate::ledger::{Kind, StepState};
use crate::operator::{Purpose, Word};
use crate::plan::Step;

impl Executor<'_> {
    /// Takes a plan back, or only some of its steps. One person of T2 or above suffices: what was contained may be
    /// let go faster than it was caught, and re-entry is watched for.
    pub fn roll_back(
        &mut self,
        digest: &str,
        only: &[u16],
        word: &Word,
    ) -> Result<Vec<StepReport>, ExecuteError> {
        let plan = self.ledger.plan(digest)?;
        self.hear(digest, word, Some(Purpose::RollBack))?;
        self.say(digest, word)?;
        self.recover(&plan, digest, &word.by)?;
        let mut reports = Vec::new();
        for step in plan.steps.iter().rev().filter(|s| only.is_empty() || only.contains(&s.number)) {
            let record = self.record(digest, step)?;
            if !record.state.may_be_in_force() {
                reports.push(StepReport {
                    number: step.number,
                    state: record.state,
                    why: record.why,
                    handover: None,
                });
                continue;
            }
            if step.is_final {
                let why = format!("cannot be taken back: {}", step.undo);
                reports.push(StepReport { number: step.number, state: record.state, why, handover: None });
                continue;
            }
            let known = known(step, &record);
            reports.push(self.undo_step(digest, step, &known, &word.by)?);
        }
        Ok(reports)
    }

    /// Sends the undo of one step and reads it.
    pub(super) fn undo_step(
        &mut self,
        digest: &str,
        step: &Step,
        known: &Known,
        actor: &str,
    ) -> Result<StepReport, ExecuteError> {
        let body = serde_json::json!({"before": known.seen.before});
        let states = [
            StepState::Sent,
            StepState::Acknowledged,
            StepState::Verified,
            StepState::NotEffective,
            StepState::Unknown,
            StepState::UndoSent,
            StepState::UndoAcknowledged,
            StepState::UndoNotEffective,
            StepState::UndoUnknown,
            StepState::UndoFailed,
        ];
        self.write_if(actor, digest, step.number, Kind::UndoSent, body, &states)?;
        let outcome = match self.devices.control(&step.device) {
            Ok(control) => control.undo(&step.order, known),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(ack) => {
                let body = serde_json::json!({"why": ack.says});
                self.write(actor, digest, Some(step.number), Kind::UndoAcknowledged, body)?;
            }
            Err(fault) if fault.may_have_acted() => {}
            Err(fault) => {
                let why = super::said(&fault);
                self.write(
                    actor,
                    digest,
                    Some(step.number),
                    Kind::UndoFailed,
                    serde_json::json!({"why": why}),
                )?;
                return Ok(StepReport {
                    number: step.number,
                    state: StepState::UndoFailed,
                    why,
                    handover: None,
                });
            }
        }
        self.prove_undone(digest, step, known, actor)
    }

    /// Reads that the effect is gone and writes it down.
    pub(super) fn prove_undone(
        &mut self,
        digest: &str,
        step: &Step,
        known: &Known,
        actor: &str,
    ) -> Result<StepReport, ExecuteError> {
        let (within, _) = self.times(step);
        let effect = match self.devices.control(&step.device) {
            Ok(control) => poll(within, || control.verify_undone(&step.order, known)),
            Err(fault) => Effect::unread(&fault),
        };
        let over = step.order.until.is_some_and(|until| until <= (self.now)());
        let (kind, state) = match &effect {
            Effect::Effective(_) if over => (Kind::Expired, StepState::Expired),
            Effect::Effective(_) => (Kind::RolledBack, StepState::RolledBack),
            Effect::NotEffective(_) => (Kind::UndoNotEffective, StepState::UndoNotEffective),
            Effect::Unknown(_) => (Kind::UndoUnknown, StepState::UndoUnknown),
        };
        let why = effect.why().to_owned();
        self.write(actor, digest, Some(step.number), kind, serde_json::json!({"why": why}))?;
        Ok(StepReport { number: step.number, state, why, handover: None })
    }
}
