//! What a scenario hands back: who, from where, when, and what was done. The labels are computed from it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::clock::Millis;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Attack,
    LookAlike,
}

/// Whether the second factor was passed by the account holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondFactor {
    /// Bypassed, absent, replayed, worn down.
    Bypassed,
    Passed,
}

/// What was done, as the labels ask for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deeds {
    pub(crate) second_factor: SecondFactor,
    pub(crate) lateral: bool,
    pub(crate) privilege: bool,
    /// The access as such departs from what the account does.
    pub(crate) anomaly: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) kind: Kind,
    pub(crate) scenario: &'static str,
    pub(crate) family: &'static str,
    /// People whose accounts it is about.
    pub(crate) people: Vec<usize>,
    /// Accounts that are no person's: `system:anonymous`, a local user of an appliance.
    pub(crate) accounts: Vec<String>,
    pub(crate) others: Vec<String>,
    pub(crate) ips: Vec<Ipv4Addr>,
    /// Addresses of the incident that others use too.
    pub(crate) shared: Vec<Ipv4Addr>,
    pub(crate) tunnels: Vec<Ipv4Addr>,
    pub(crate) stages: BTreeMap<&'static str, Millis>,
    pub(crate) notes: &'static str,
    pub(crate) deeds: Deeds,
    /// Answers the logs cannot decide: question, all that count as right.
    pub(crate) acceptable: Vec<(&'static str, &'static [&'static str])>,
    pub(crate) acceptable_criteria: Vec<(&'static str, &'static [&'static str])>,
    /// The expected answer where the ground truth alone does not give it.
    pub(crate) answers: Vec<(&'static str, &'static str)>,
    /// Context files without which it cannot be told from an attack.
    pub(crate) needs_context: Vec<&'static str>,
}

impl Incident {
    pub(crate) fn attack(scenario: &'static str, family: &'static str, notes: &'static str) -> Incident {
        Incident {
            kind: Kind::Attack,
            scenario,
            family,
            people: Vec::new(),
            accounts: Vec::new(),
            others: Vec::new(),
            ips: Vec::new(),
            shared: Vec::new(),
            tunnels: Vec::new(),
            stages: BTreeMap::new(),
            notes,
            deeds: Deeds {
                second_factor: SecondFactor::Bypassed,
                lateral: false,
                privilege: false,
                anomaly: true,
            },
            acceptable: Vec::new(),
            acceptable_criteria: Vec::new(),
            answers: Vec::new(),
            needs_context: Vec::new(),
        }
    }

    pub(crate) fn look_alike(scenario: &'static str, family: &'static str, notes: &'static str) -> Incident {
        let mut incident = Incident::attack(scenario, family, notes);
        incident.kind = Kind::LookAlike;
        incident.deeds =
            Deeds { second_factor: SecondFactor::Passed, lateral: false, privilege: false, anomaly: false };
        // One novelty alone is weak; whether it is shown as an anomaly is the program's choice, as long as it does
        // not escalate.
        incident.acceptable_criteria.push(("baseline_anomaly", ANY_STATE));
        incident
    }

    pub(crate) fn person(mut self, id: usize) -> Incident {
        self.people.push(id);
        self
    }

    pub(crate) fn from(mut self, ip: Ipv4Addr) -> Incident {
        self.ips.push(ip);
        self
    }

    pub(crate) fn accept(mut self, question: &'static str, answers: &'static [&'static str]) -> Incident {
        self.acceptable.push((question, answers));
        self
    }

    pub(crate) fn stage(&mut self, name: &'static str, at: Millis) {
        self.stages.insert(name, at);
    }
}

pub(crate) const NO_OR_UNKNOWN: &[&str] = &["no", "unknown"];
pub(crate) const YES_OR_UNKNOWN: &[&str] = &["yes", "unknown"];
pub(crate) const YES_OR_NO: &[&str] = &["no", "yes"];
pub(crate) const ANY_ANSWER: &[&str] = &["no", "yes", "unknown"];
pub(crate) const ANY_STATE: &[&str] = &["false", "true", "unknown"];
