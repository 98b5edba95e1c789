//! How a plan gets into the ledger: together with the word of who proposes it, or not at all. A refused proposal
//! leaves the refusal and no plan.

use super::{ExecuteError, Executor};
use crate::approve::NotApproved;
use crate::automation::Automation;
use crate::ledger::{Draft, Kind};
use crate::operator::{Purpose, Word};
use crate::plan::Plan;

impl Executor<'_> {
    /// Stores a plan with its proposer's signed word. Gives the plan's digest.
    pub fn propose(&mut self, plan: &Plan, word: &Word) -> Result<String, ExecuteError> {
        let digest = plan.digest();
        let heard = self.hear(&digest, word, Some(Purpose::Propose)).map(|_| ());
        let right = heard.and_then(|()| match word.by == plan.made_by {
            true => Ok(()),
            false => Err(NotApproved::NotProposed(plan.made_by.clone())),
        });
        if let Err(no) = right {
            self.refuse(plan, &digest, &word.by, &no.to_string(), false)?;
            return Err(no.into());
        }
        let draft = Draft {
            at: (self.now)(),
            actor: &word.by,
            plan: &digest,
            step: None,
            kind: Kind::Word,
            body: serde_json::to_value(word).unwrap_or_default(),
        };
        let (digest, written) = self.ledger.store_with(plan, Some(&draft))?;
        written.iter().for_each(|entry| (self.progress)(entry));
        Ok(digest)
    }

    /// Stores what an automation planned, if the people who signed it suffice for it. Gives the plan's digest.
    pub fn propose_automated(
        &mut self,
        plan: &Plan,
        automation: &Automation,
    ) -> Result<String, ExecuteError> {
        let digest = plan.digest();
        let right = if plan.made_by == automation.actor() {
            automation.may(plan, self.operators, (self.now)()).map(|_| ()).map_err(ExecuteError::from)
        } else {
            Err(NotApproved::NotProposed(plan.made_by.clone()).into())
        };
        if let Err(no) = right {
            self.refuse(plan, &digest, &automation.actor(), &no.to_string(), true)?;
            return Err(no);
        }
        let (digest, written) = self.ledger.store_with(plan, None)?;
        written.iter().for_each(|entry| (self.progress)(entry));
        Ok(digest)
    }

    /// Writes down that a proposal was refused. Who it names is what it says of itself. `once`: what an automation tries
    /// again and again for the same case is written once.
    fn refuse(
        &mut self,
        plan: &Plan,
        digest: &str,
        by: &str,
        why: &str,
        once: bool,
    ) -> Result<(), ExecuteError> {
        let said = |e: &crate::ledger::Entry, key: &str| {
            e.json().get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
        };
        let same = |e: &crate::ledger::Entry| {
            e.kind == Kind::Refused
                && said(e, "case") == plan.case
                && said(e, "by") == by
                && said(e, "why") == why
        };
        if once && self.ledger.since(i64::MIN)?.iter().any(same) {
            return Ok(());
        }
        let body = serde_json::json!({
            "case": plan.case, "digest": digest, "by": by, "why": why, "steps": plan.steps.len(),
        });
        self.write("portreeve", "", None, Kind::Refused, body)
    }
}
