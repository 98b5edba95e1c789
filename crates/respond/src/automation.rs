//! What may be contained without a person at the keys. Whoever writes an automation signs it, and needs the privilege
//! of what it does: an automation is worth no more than the people who signed it, asked anew each time it fires.

use crate::act::Act;
use crate::approve::Need;
use crate::ledger::{Kind, Ledger, LedgerError};
use crate::operator::{Operator, Purpose, Word};
use crate::plan::{Plan, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Automation {
    pub name: String,
    pub when: When,
    /// What it does; nothing else of a case's proposals is planned.
    pub acts: Vec<Act>,
    /// How long blocks last.
    pub hours: u32,
    /// The last day on which it fires, `2027-01-31`.
    pub until: String,
    /// Its author and those who agreed: the words that `respond sign-automation` prints.
    #[serde(default, skip_serializing)]
    pub signed: Vec<Word>,
}

/// Which cases. All that is given must hold; only escalated cases fire.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Criteria of the playbook that must be true: `known_malicious_range`, `lateral_movement` …
    pub criteria: Vec<String>,
    /// The least risk score, 0 to 100.
    pub risk: u8,
}

/// What of a case decides.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub escalated: bool,
    pub risk: f64,
    /// Criteria that are true.
    pub criteria: &'a [String],
}

/// Why an automation does not act by itself; its plan then waits for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAlone {
    #[error("automation {name}: its last day was {until}")]
    Over { name: String, until: String },
    #[error("automation {name}: until: `{until}` is no day like 2027-01-31")]
    NoDay { name: String, until: String },
    #[error(
        "automation {name}: {have} people of {need} signed it as it stands, with {tier} or above, which this plan takes; people plan and approve it instead"
    )]
    TooFew { name: String, have: usize, need: usize, tier: crate::operator::Tier },
}

impl Automation {
    /// What is signed: everything but the signatures.
    pub fn digest(&self) -> String {
        digest(&serde_json::to_string(self).unwrap_or_default())
    }

    pub fn fires(&self, facts: Facts<'_>) -> bool {
        facts.escalated
            && facts.risk >= f64::from(self.when.risk)
            && self.when.criteria.iter().all(|c| facts.criteria.contains(c))
    }

    /// Names it with its signatures: signed by more people, it is another.
    pub fn as_signed(&self) -> String {
        let signatures: Vec<&str> = self.signed.iter().map(|w| w.signature.as_str()).collect();
        digest(&serde_json::json!([self.digest(), signatures]).to_string())
    }

    /// Has it fired for this case? Once per case: what a person took back is not done again behind his back, and what
    /// it may not do is refused once for as long as nobody signs it anew.
    pub fn fired(&self, ledger: &Ledger, case: &str) -> Result<bool, LedgerError> {
        for (digest, _) in ledger.plans()? {
            let plan = ledger.plan(&digest)?;
            if plan.case == case && plan.made_by == self.actor() {
                return Ok(true);
            }
        }
        self.was_refused(ledger, case)
    }

    pub(crate) fn was_refused(&self, ledger: &Ledger, case: &str) -> Result<bool, LedgerError> {
        let signed = self.as_signed();
        let mut refused = ledger.since(i64::MIN)?.into_iter().filter(|e| e.kind == Kind::Refused);
        Ok(refused.any(|e| {
            let body = e.json();
            body["case"] == case && body["automation"] == signed.as_str()
        }))
    }

    /// In the ledger, its plans are proposed by this name. It is no operator's, so it approves nothing.
    pub fn actor(&self) -> String {
        format!("automation {}", self.name)
    }

    /// Do the people who signed it suffice for this plan, at this moment: an author, and beside him as many as the
    /// plan needs, all of the tier that it needs?
    pub fn may(&self, plan: &Plan, operators: &[Operator], now: i64) -> Result<Vec<String>, NotAlone> {
        let (name, until) = (self.name.clone(), self.until.clone());
        let day: jiff::civil::Date = match until.parse() {
            Ok(day) => day,
            Err(_) => return Err(NotAlone::NoDay { name, until }),
        };
        let today = jiff::Timestamp::from_microsecond(now)
            .map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).date())
            .unwrap_or(jiff::civil::Date::MAX);
        if today > day {
            return Err(NotAlone::Over { name, until });
        }
        let need: Need = plan.need;
        let digest = self.digest();
        let people: BTreeSet<&str> = self
            .signed
            .iter()
            .filter(|w| w.purpose == Purpose::Automate && w.plan == digest && w.at <= now)
            .filter_map(|w| {
                let operator = operators.iter().find(|o| o.name == w.by)?;
                (operator.tier >= need.tier && w.is_of(&operator.public_key))
                    .then_some(operator.name.as_str())
            })
            .collect();
        let wanted = usize::from(need.people) + 1;
        if people.len() < wanted {
            return Err(NotAlone::TooFew { name, have: people.len(), need: wanted, tier: need.tier });
        }
        Ok(people.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{PrivateKey, Tier};

    fn automation() -> Automation {
        Automation {
            name: "listed addresses".into(),
            when: When { criteria: vec!["known_malicious_range".into()], risk: 5 },
            acts: vec![Act::BlockAddress],
            hours: 4,
            until: "2026-12-31".into(),
            signed: vec![],
        }
    }

    fn plan(tier: Tier) -> Plan {
        Plan {
            schema: String::new(),
            case: "c".into(),
            title: String::new(),
            made_by: "automation listed addresses".into(),
            made_at: 0,
            steps: vec![],
            left_out: vec![],
            watch_hours: 1,
            need: Need { tier, people: 1 },
        }
    }

    fn at(day: &str) -> i64 {
        format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn it_fires_for_escalated_cases_that_meet_all_it_asks() {
        let a = automation();
        let both = ["known_malicious_range".to_owned(), "lateral_movement".to_owned()];
        let facts = |escalated, risk, criteria| Facts { escalated, risk, criteria };
        assert!(a.fires(facts(true, 5.0, &both)));
        assert!(!a.fires(facts(false, 9.0, &both)));
        assert!(!a.fires(facts(true, 4.9, &both)));
        assert!(!a.fires(facts(true, 9.0, &both[1..])));
    }

    #[test]
    fn it_is_worth_no_more_than_who_signed_it() {
        let keys: Vec<(&str, Tier, PrivateKey)> = [("tom", Tier::T2), ("tess", Tier::T2), ("lena", Tier::L1)]
            .map(|(n, t)| (n, t, PrivateKey::generate().unwrap()))
            .into();
        let operators: Vec<Operator> = keys
            .iter()
            .map(|(name, tier, key)| Operator {
                name: (*name).into(),
                tier: *tier,
                public_key: key.public(),
                accounts: vec![],
                addresses: vec![],
            })
            .collect();
        let now = at("2026-12-01");
        let mut a = automation();
        let sign = |a: &Automation, n: usize| {
            let (name, _, key) = &keys[n];
            Word::sign(name, key, Purpose::Automate, &a.digest(), "tested for a month", at("2026-11-30"))
        };
        assert!(a.may(&plan(Tier::T2), &operators, now).is_err(), "nobody signed");
        a.signed = vec![sign(&a, 0), sign(&a, 0), sign(&a, 2)];
        assert!(a.may(&plan(Tier::T2), &operators, now).is_err(), "one person twice, and one of L1");
        a.signed.push(sign(&a, 1));
        assert_eq!(a.may(&plan(Tier::T2), &operators, now), Ok(vec!["tess".into(), "tom".into()]));
        assert!(a.may(&plan(Tier::T3), &operators, now).is_err(), "a heavier plan waits for people");
        assert!(a.may(&plan(Tier::T2), &operators, at("2027-01-01")).is_err(), "its time is over");
        a.acts.push(Act::DisableAccount);
        assert!(a.may(&plan(Tier::T2), &operators, now).is_err(), "changed after it was signed");
    }
}
