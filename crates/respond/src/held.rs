//! Our own steps that may be in force: what a device shows to be done already may be an earlier step of ours, and the
//! ledger knows which. Many products keep no mark, so the ledger is asked for all of them.

use crate::act::Act;
use crate::connector::{Control, Order, Seen};
use crate::ledger::{Ledger, LedgerError, StepState};
use crate::target::Target;
use std::fmt;

/// One step of ours that may be in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Digest of its plan.
    pub plan: String,
    pub step: u16,
    pub case: String,
    pub device: String,
    pub act: Act,
    pub target: Target,
    /// What its name meant at the device.
    pub ids: Vec<String>,
    pub mark: String,
    pub state: StepState,
    /// Since when it is in this state; microseconds since 1970, UTC.
    pub since: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = jiff::Timestamp::from_microsecond(self.since)
            .map_or_else(|_| self.since.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let plan = self.plan.get(..12).unwrap_or(&self.plan);
        let case = portreeve_model::untrusted::escape_for_terminal(&self.case);
        write!(f, "step {} of plan {plan} (case {case}, {} since {since})", self.step, self.state)
    }
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    steps: Vec<Holder>,
}

impl Held {
    /// What the ledger holds now.
    pub fn of(ledger: &Ledger) -> Result<Held, LedgerError> {
        let mut steps = Vec::new();
        for (digest, _) in ledger.plans()? {
            let plan = ledger.plan(&digest)?;
            for (step, record) in plan.steps.iter().zip(ledger.states(&plan, &digest)?) {
                if !record.state.may_be_in_force() {
                    continue;
                }
                steps.push(Holder {
                    plan: digest.clone(),
                    step: step.number,
                    case: plan.case.clone(),
                    device: step.device.clone(),
                    act: step.order.act,
                    target: step.order.target.clone(),
                    ids: step.seen.ids.clone(),
                    mark: step.order.mark.clone(),
                    state: record.state,
                    since: record.at,
                });
            }
        }
        Ok(Held { steps })
    }

    /// The step that left this mark at the device.
    pub fn by_mark(&self, device: &str, mark: &str) -> Option<&Holder> {
        self.steps.iter().find(|h| h.device == device && h.mark == mark)
    }

    /// The step that does this at the device; a proven one before one that is not.
    pub fn by_target(&self, device: &str, order: &Order, seen: &Seen) -> Option<&Holder> {
        let all = self.steps.iter().filter(|h| {
            h.device == device
                && h.act == order.act
                && (covers(&h.target, &order.target) || (!seen.ids.is_empty() && h.ids == seen.ids))
        });
        all.min_by_key(|h| h.state != StepState::Verified)
    }

    /// Whose it is that stands at the device already. A mark there is believed before the ledger: where it is a
    /// Portreeve's and no step of ours, another Portreeve holds it.
    pub fn holder(
        &self,
        device: &str,
        order: &Order,
        seen: &Seen,
        control: &mut dyn Control,
    ) -> Option<&Holder> {
        let found = self.by_target(device, order, seen)?;
        // A device that cannot be listed now leaves the ledger's word.
        let present = control.present().ok().flatten().unwrap_or_default();
        let what = found.target.to_string();
        let mark = present.iter().filter(|p| p.what == what).find_map(|p| p.mark.as_deref());
        match mark.filter(|m| is_mark(m)) {
            Some(mark) if mark != found.mark => self.by_mark(device, mark),
            _ => Some(found),
        }
    }
}

/// Is this the form in which a step is marked at a device?
fn is_mark(text: &str) -> bool {
    text.strip_prefix("portreeve-").is_some_and(|d| d.len() == 12 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A range that is blocked blocks each of its addresses.
fn covers(held: &Target, asked: &Target) -> bool {
    match (held.net(), asked.net()) {
        (Some(held), Some(asked)) => held.net().contains(&asked.net()),
        _ => held == asked,
    }
}
