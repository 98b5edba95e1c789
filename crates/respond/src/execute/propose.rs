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
            self.refuse(plan, &digest, &word.by, &no.to_string(), None)?;
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
            // A plan that is not its own says nothing about what it may do.
            let own = (plan.made_by == automation.actor()).then_some(automation);
            self.refuse(plan, &digest, &automation.actor(), &no.to_string(), own)?;
            return Err(no);
        }
        let (digest, written) = self.ledger.store_with(plan, None)?;
        written.iter().for_each(|entry| (self.progress)(entry));
        Ok(digest)
    }

    /// Writes down that a proposal was refused. Who it names is what it says of itself. What an automation tries again
    /// for the same case, signed as it was, is written once.
    fn refuse(
        &mut self,
        plan: &Plan,
        digest: &str,
        by: &str,
        why: &str,
        automation: Option<&Automation>,
    ) -> Result<(), ExecuteError> {
        let mut body = serde_json::json!({
            "case": plan.case, "digest": digest, "by": by, "why": why, "steps": plan.steps.len(),
        });
        if let Some(automation) = automation {
            if automation.was_refused(self.ledger, &plan.case)? {
                return Ok(());
            }
            body["automation"] = automation.as_signed().into();
        }
        self.write("portreeve", "", None, Kind::Refused, body)
    }
}
