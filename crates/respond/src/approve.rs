//! Who must agree before something is sent.

use crate::act::Act;
use crate::guard::Weight;
use crate::operator::{Operator, Purpose, Tier, Word};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an approval takes: so many people, none of them the proposer, each of this tier or above.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub tier: Tier,
    pub people: u8,
}

impl Default for Need {
    fn default() -> Need {
        Need { tier: Tier::T2, people: 1 }
    }
}

impl Need {
    /// What satisfies both.
    #[must_use]
    pub fn and(self, other: &Need) -> Need {
        Need { tier: self.tier.max(other.tier), people: self.people.max(other.people) }
    }
}

/// The site's rules. They can ask for more than what is built in, never for less.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// By act: `{block_address: {tier: t3, people: 2}}`.
    pub approvals: BTreeMap<Act, Need>,
    /// By weight: `{shared: {tier: t3, people: 2}}`.
    pub weights: BTreeMap<Weight, Need>,
    /// Minutes for which an approval holds; at most 60.
    pub approval_minutes: u32,
    /// The longest that a block may last, hours; at most 30 days.
    pub max_hours: u32,
    /// How long re-entry is watched for, hours.
    pub watch_hours: u32,
    pub limits: Limits,
}

/// How much may be done. The configuration can lower these, not raise them.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Steps of one kind within an hour, over all cases.
    pub per_hour: u32,
    /// Steps for one case.
    pub per_case: u32,
    /// Accounts disabled or reset within a day, in percent of active users (at least three accounts).
    pub percent_of_users: u32,
    /// Steps in a row that failed or stayed unknown at one device, after which it is left alone for an hour.
    pub breaker: u32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            approvals: BTreeMap::new(),
            weights: BTreeMap::new(),
            approval_minutes: 15,
            max_hours: 24 * 7,
            watch_hours: 72,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_hour: 30, per_case: 40, percent_of_users: 5, breaker: 3 }
    }
}

const BUILT_IN_LIMITS: Limits = Limits { per_hour: 100, per_case: 200, percent_of_users: 20, breaker: 10 };

impl Policy {
    /// Values that would loosen what is built in.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut within = |name: &str, value: u32, most: u32| {
            if value == 0 || value > most {
                faults.push(format!("policy: {name}: {value} is not between 1 and {most}"));
            }
        };
        within("approval_minutes", self.approval_minutes, 60);
        within("max_hours", self.max_hours, 24 * 30);
        within("watch_hours", self.watch_hours, 24 * 30);
        within("limits.per_hour", self.limits.per_hour, BUILT_IN_LIMITS.per_hour);
        within("limits.per_case", self.limits.per_case, BUILT_IN_LIMITS.per_case);
        within("limits.percent_of_users", self.limits.percent_of_users, BUILT_IN_LIMITS.percent_of_users);
        within("limits.breaker", self.limits.breaker, BUILT_IN_LIMITS.breaker);
        faults
    }

    /// What a step needs: what can be undone T2, what cannot and what hits many T3, then what the site adds.
    pub fn need(&self, act: Act, weights: &[Weight]) -> Need {
        let mut need = Need::default();
        if act.is_final() && !act.is_light() {
            need.tier = Tier::T3;
        }
        for weight in weights {
            let of_weight = match weight {
                Weight::Range => Need::default(),
                Weight::Inner
                | Weight::Shared
                | Weight::Privileged
                | Weight::ServiceAccount
                | Weight::Many => Need { tier: Tier::T3, people: 1 },
            };
            // Ending sessions hits nobody for long, whoever he is.
            if !act.is_light() || *weight == Weight::Many {
                need = need.and(&of_weight);
            }
            if let Some(more) = self.weights.get(weight) {
                need = need.and(more);
            }
        }
        match self.approvals.get(&act) {
            Some(more) => need.and(more),
            None => need,
        }
    }
}

/// Why a plan may not be executed yet.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotApproved {
    #[error(
        "{have} of {need} approvals by {tier} or above that hold for {minutes} minutes; the proposer's own does not count"
    )]
    TooFew { have: usize, need: u8, tier: Tier, minutes: u32 },
    #[error("{0} has not signed the proposal; who proposes is who made the plan, with the own key")]
    NotProposed(String),
    #[error("{0} has rejected it")]
    Rejected(String),
    #[error("{who} is no operator of the configuration")]
    Stranger { who: String },
    #[error("the signature of {who} does not hold for this plan and purpose")]
    Forged { who: String },
    #[error("{who}: this word ({purpose}) was said for something else or long ago")]
    Played { who: String, purpose: &'static str },
    #[error("a reason is required")]
    NoReason,
    #[error("{who} is {tier}; this takes {needs}")]
    TooLow { who: String, tier: Tier, needs: Tier },
    #[error("{0} proposed the plan and cannot approve it")]
    OwnProposal(String),
}

/// Is this word what it says? Person known, signature right, reason given.
pub fn genuine<'o>(word: &Word, plan: &str, operators: &'o [Operator]) -> Result<&'o Operator, NotApproved> {
    let who = || word.by.clone();
    // One person may have two keys: one of his own, and one that the live service keeps for him.
    let mut named = operators.iter().filter(|o| o.name == word.by).peekable();
    if named.peek().is_none() {
        return Err(NotApproved::Stranger { who: who() });
    }
    let operator = named
        .find(|o| word.plan == plan && word.is_of(&o.public_key))
        .ok_or_else(|| NotApproved::Forged { who: who() })?;
    if word.reason.trim().chars().count() < 3 {
        return Err(NotApproved::NoReason);
    }
    Ok(operator)
}

/// How a plan came to be allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Allowed {
    By(Vec<String>),
    /// One person alone, T2 or above, loudly.
    BreakGlass {
        by: String,
        reason: String,
    },
    /// An automation, by the people who signed it.
    Automation {
        name: String,
        signed_by: Vec<String>,
    },
}

/// Do the words on a plan suffice at `now`?
pub fn allowed(
    words: &[Word],
    plan: &str,
    need: &Need,
    proposer: &str,
    operators: &[Operator],
    policy: &Policy,
    now: i64,
) -> Result<Allowed, NotApproved> {
    let oldest = now - i64::from(policy.approval_minutes) * 60_000_000;
    // A name alone would let anybody propose as somebody else and then approve it himself.
    let signed =
        |w: &&Word| w.purpose == Purpose::Propose && w.by == proposer && genuine(w, plan, operators).is_ok();
    if !words.iter().any(|w| signed(&w)) {
        return Err(NotApproved::NotProposed(proposer.to_owned()));
    }
    let mut people = BTreeSet::new();
    for word in words {
        let Ok(operator) = genuine(word, plan, operators) else { continue };
        match word.purpose {
            Purpose::Reject => return Err(NotApproved::Rejected(word.by.clone())),
            Purpose::BreakGlass if word.at >= oldest && word.at <= now && operator.tier >= Tier::T2 => {
                return Ok(Allowed::BreakGlass { by: word.by.clone(), reason: word.reason.clone() });
            }
            Purpose::Approve
                if word.at >= oldest
                    && word.at <= now
                    && operator.tier >= need.tier
                    && word.by != proposer =>
            {
                people.insert(word.by.clone());
            }
            _ => {}
        }
    }
    if people.len() >= usize::from(need.people) {
        Ok(Allowed::By(people.into_iter().collect()))
    } else {
        Err(NotApproved::TooFew {
            have: people.len(),
            need: need.people,
            tier: need.tier,
            minutes: policy.approval_minutes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::PrivateKey;

    struct People {
        keys: Vec<PrivateKey>,
        operators: Vec<Operator>,
    }

    fn people() -> People {
        let tiers = [("lena", Tier::L1), ("tom", Tier::T2), ("tess", Tier::T2), ("theo", Tier::T3)];
        let keys: Vec<PrivateKey> = tiers.iter().map(|_| PrivateKey::generate().unwrap()).collect();
        let operators = tiers
            .iter()
            .zip(&keys)
            .map(|((name, tier), key)| Operator {
                name: (*name).to_owned(),
                tier: *tier,
                public_key: key.public(),
                accounts: vec![],
                addresses: vec![],
            })
            .collect();
        People { keys, operators }
    }

    impl People {
        fn word(&self, who: usize, purpose: Purpose, at: i64) -> Word {
            Word::sign(&self.operators[who].name, &self.keys[who], purpose, "plan", "it is needed", at)
        }

        fn allowed(&self, words: &[Word], need: Need, now: i64) -> Result<Allowed, NotApproved> {
            let mut all = vec![self.word(1, Purpose::Propose, 0)];
            all.extend(words.iter().cloned());
            allowed(&all, "plan", &need, "tom", &self.operators, &Policy::default(), now)
        }
    }

    const MINUTE: i64 = 60_000_000;
    const T2: Need = Need { tier: Tier::T2, people: 1 };

    #[test]
    fn the_proposer_and_lower_tiers_do_not_count() {
        let p = people();
        assert!(p.allowed(&[p.word(1, Purpose::Approve, 0)], T2, 0).is_err(), "his own");
        assert!(p.allowed(&[p.word(0, Purpose::Approve, 0)], T2, 0).is_err(), "L1");
        assert!(p.allowed(&[p.word(2, Purpose::Approve, 0)], T2, 0).is_ok());
        let t3 = Need { tier: Tier::T3, people: 1 };
        assert!(p.allowed(&[p.word(2, Purpose::Approve, 0)], t3, 0).is_err());
        assert!(p.allowed(&[p.word(3, Purpose::Approve, 0)], t3, 0).is_ok());
    }

    #[test]
    fn a_proposal_in_another_name_is_none() {
        let p = people();
        let ask = |words: &[Word]| allowed(words, "plan", &T2, "lena", &p.operators, &Policy::default(), 0);
        let approval = p.word(1, Purpose::Approve, 0);
        assert_eq!(ask(std::slice::from_ref(&approval)), Err(NotApproved::NotProposed("lena".into())));
        let mut forged = p.word(1, Purpose::Propose, 0);
        forged.by = "lena".into();
        assert!(ask(&[forged, approval.clone()]).is_err(), "tom in the name of lena");
        assert!(ask(&[p.word(0, Purpose::Propose, 0), approval]).is_ok());
    }

    #[test]
    fn one_person_twice_is_one_person() {
        let p = people();
        let two = Need { tier: Tier::T2, people: 2 };
        let twice = [p.word(2, Purpose::Approve, 0), p.word(2, Purpose::Approve, 1)];
        assert!(p.allowed(&twice, two, 1).is_err());
        assert!(p.allowed(&[p.word(2, Purpose::Approve, 0), p.word(3, Purpose::Approve, 0)], two, 0).is_ok());
    }

    #[test]
    fn two_keys_of_one_name_are_one_person() {
        let mut p = people();
        let kept = PrivateKey::generate().unwrap();
        p.operators.push(Operator { public_key: kept.public(), ..p.operators[2].clone() });
        let by = |key: &PrivateKey| Word::sign("tess", key, Purpose::Approve, "plan", "it is needed", 0);
        for key in [&p.keys[2], &kept] {
            assert!(p.allowed(&[by(key)], T2, 0).is_ok());
        }
        let two = Need { tier: Tier::T2, people: 2 };
        assert!(p.allowed(&[by(&p.keys[2]), by(&kept)], two, 0).is_err());
        assert!(p.allowed(&[by(&p.keys[3])], T2, 0).is_err(), "another's key under this name");
    }

    #[test]
    fn approvals_end_and_do_not_come_from_the_future() {
        let p = people();
        let word = [p.word(2, Purpose::Approve, 0)];
        assert!(p.allowed(&word, T2, 15 * MINUTE).is_ok());
        assert!(p.allowed(&word, T2, 15 * MINUTE + 1).is_err());
        assert!(p.allowed(&[p.word(2, Purpose::Approve, 5)], T2, 4).is_err());
    }

    #[test]
    fn a_changed_word_and_a_rejection() {
        let p = people();
        let mut forged = p.word(0, Purpose::Approve, 0);
        forged.by = "tess".into();
        assert!(p.allowed(&[forged], T2, 0).is_err());
        let mut no_reason = Word::sign("tess", &p.keys[2], Purpose::Approve, "plan", " ", 0);
        assert!(p.allowed(std::slice::from_ref(&no_reason), T2, 0).is_err());
        no_reason.reason = "made up later".into();
        assert!(p.allowed(&[no_reason], T2, 0).is_err());
        let both = [p.word(2, Purpose::Approve, 0), p.word(0, Purpose::Reject, 0)];
        assert_eq!(p.allowed(&both, T2, 0), Err(NotApproved::Rejected("lena".into())));
    }

    #[test]
    fn break_glass_is_one_person_of_t2_and_is_told() {
        let p = people();
        let t3x2 = Need { tier: Tier::T3, people: 2 };
        assert!(
            matches!(p.allowed(&[p.word(1, Purpose::BreakGlass, 0)], t3x2, 0), Ok(Allowed::BreakGlass { by, .. }) if by == "tom")
        );
        assert!(p.allowed(&[p.word(0, Purpose::BreakGlass, 0)], T2, 0).is_err(), "L1 has no glass to break");
    }

    #[test]
    fn what_cannot_be_undone_takes_t3_and_the_site_may_ask_for_more() {
        let mut policy = Policy::default();
        assert_eq!(policy.need(Act::BlockAddress, &[]).tier, Tier::T2);
        assert_eq!(policy.need(Act::ResetPassword, &[]).tier, Tier::T3);
        assert_eq!(policy.need(Act::TerminateSession, &[Weight::Privileged]).tier, Tier::T2);
        assert_eq!(policy.need(Act::BlockAddress, &[Weight::Shared]).tier, Tier::T3);
        policy.approvals.insert(Act::BlockAddress, Need { tier: Tier::L1, people: 2 });
        assert_eq!(policy.need(Act::BlockAddress, &[]), Need { tier: Tier::T2, people: 2 }, "never less");
        policy.limits.per_hour = 1000;
        assert_eq!(policy.faults().len(), 1);
    }
}
