//! What was done about a case and what came after, as the exports read it. Made by whoever holds the ledger; this
//! crate only shows it.

use crate::{ids, wire};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct Aftermath {
    pub case_id: String,
    /// Was a ledger read? Else nothing below means that nothing was done.
    pub ledger_read: bool,
    /// When the ledger was read; RFC 3339, UTC. Empty without one.
    pub as_of: String,
    /// In the order in which they were carried out.
    pub actions: Vec<Taken>,
    pub next_deadline: Option<Deadline>,
    /// Proposed, and not in the plan.
    pub gaps: Vec<LeftOut>,
    /// Of contained users, addresses, devices and sessions, in time order.
    pub sightings: Vec<Sighting>,
}

/// One step of a plan.
#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct Taken {
    /// Beginning of the plan's digest.
    pub plan: String,
    /// From 1.
    pub step: u16,
    /// `block_address`, `disable_account` …
    pub act: String,
    pub title: String,
    /// The proposal of the case that it carries out: `block_ip` …
    pub proposal: String,
    pub d3fend: String,
    pub target: Target,
    /// The connector's name in the configuration.
    pub device: String,
    pub connector: String,
    /// How far the connector is tested: `proven`, `contract-tested` or `manual`.
    pub tested: String,
    /// `planned`, `sent`, `acknowledged`, `verified`, `not_effective`, `unknown`, `failed`, `skipped`, `rolled_back`,
    /// `expired`, or one of `undo_…`.
    pub state: String,
    /// What was read, or why not.
    pub proof: String,
    /// When it came into this state.
    pub since: String,
    pub verified_at: Option<String>,
    /// When it is taken back by itself.
    pub until: Option<String>,
    pub watched_until: Option<String>,
    pub effect: String,
    pub leaves_open: String,
    pub undo: String,
    /// Nothing brings back what was.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// As they were sent, secrets masked.
    pub requests: Vec<String>,
    pub approved_by: Vec<String>,
    /// Allowed by one person alone.
    pub emergency: bool,
    pub history: Vec<Moment>,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct Target {
    /// `address`, `account`, `session`, `device`, `key`, `role` or `service`.
    pub kind: String,
    /// The address or name; of a session or device, all that names it.
    pub value: String,
}

/// An entry of the ledger.
#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct Moment {
    pub at: String,
    pub state: String,
    pub actor: String,
    pub why: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct LeftOut {
    pub act: String,
    pub proposal: String,
    pub target: String,
    pub device: String,
    pub why: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, Default)]
pub struct Sighting {
    pub at: String,
    pub plan: String,
    pub step: u16,
    pub target: String,
    /// `true`: it got in, containment is ineffective. `false`: it was kept out.
    pub got_in: bool,
    pub what: String,
    /// File and line.
    pub evidence: String,
}

/// A step that did not hold: whom it should have kept out got in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema, Default)]
pub struct Reentry {
    /// The case that was contained.
    pub case_id: String,
    /// Beginning of the plan's digest.
    pub plan: String,
    pub step: u16,
    pub act: String,
    pub title: String,
    pub target: String,
    pub device: String,
    /// How often, and when first and last.
    pub times: u64,
    pub first: String,
    pub last: String,
    /// The first, in the words of its log; file and line.
    pub what: String,
    pub evidence: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    pub at: String,
    pub what: String,
    /// It has passed, and nobody took it back or prolonged it.
    pub overdue: bool,
}

/// Where an action stands, in the words of a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    InForce,
    /// Final and proven: a session that ended, a password that changed.
    Done,
    /// Something may be at the device.
    Unproven,
    /// Taken back or expired.
    Ended,
    NotDone,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Standing::InForce => "in force",
            Standing::Done => "done",
            Standing::Unproven => "not proven",
            Standing::Ended => "ended",
            Standing::NotDone => "not done",
        }
    }

    /// How the page colours it: the words that decisions have.
    pub fn class(self) -> &'static str {
        match self {
            Standing::InForce | Standing::Done => "close",
            Standing::Unproven => "escalate",
            Standing::NotDone => "investigate",
            Standing::Ended => "ended",
        }
    }
}

impl Taken {
    pub fn standing(&self) -> Standing {
        match self.state.as_str() {
            "verified" if self.is_final => Standing::Done,
            "verified" => Standing::InForce,
            "rolled_back" | "expired" => Standing::Ended,
            "planned" | "failed" | "skipped" => Standing::NotDone,
            _ => Standing::Unproven,
        }
    }

    /// What was done to whom, and where.
    pub fn says(&self) -> String {
        format!("{}: {} at {}", self.title, self.target.value, self.device)
    }

    /// When it ends by itself, while there is something to end.
    pub fn ends(&self) -> Option<&str> {
        let holds = matches!(self.standing(), Standing::InForce | Standing::Unproven);
        self.until.as_deref().filter(|_| holds)
    }

    /// Who allowed it, and how.
    pub fn allowed(&self) -> String {
        match (self.approved_by.is_empty(), self.emergency) {
            (true, _) => "approved by nobody".to_owned(),
            (false, true) => format!("EMERGENCY, allowed alone by {}", self.approved_by.join(", ")),
            (false, false) => format!("approved by {}", self.approved_by.join(", ")),
        }
    }
}

impl Reentry {
    /// The step that did not hold.
    pub fn step(&self) -> String {
        let at = if self.device.is_empty() { String::new() } else { format!(" at {}", self.device) };
        format!("step {} of plan {} ({}: {}{at})", self.step, self.plan, self.title, self.target)
    }

    /// Is it another case whose containment did not hold?
    pub fn of_other(&self, case: &str) -> bool {
        self.case_id != case
    }

    /// What was seen.
    pub fn seen(&self) -> String {
        let times = if self.times == 1 { "once".to_owned() } else { format!("{} times", self.times) };
        format!("got in {times}, first {}: {} ({})", self.first, self.what, self.evidence)
    }
}

impl Aftermath {
    /// Of a case without a ledger.
    pub fn unknown(case_id: &str) -> Aftermath {
        Aftermath { case_id: case_id.to_owned(), ..Aftermath::default() }
    }

    /// Of a case with a ledger; the next deadline is found here.
    pub fn new(
        case_id: &str,
        as_of: &str,
        actions: Vec<Taken>,
        gaps: Vec<LeftOut>,
        mut sightings: Vec<Sighting>,
    ) -> Aftermath {
        sightings.sort_by_key(|s| ids::time(&s.at));
        Aftermath {
            case_id: case_id.to_owned(),
            ledger_read: true,
            as_of: as_of.to_owned(),
            next_deadline: deadline(&actions, as_of),
            actions,
            gaps,
            sightings,
        }
    }

    pub(crate) fn after<'a>(&'a self, taken: &'a Taken) -> impl Iterator<Item = &'a Sighting> {
        self.sightings.iter().filter(|s| s.plan == taken.plan && s.step == taken.step)
    }

    /// Actions that were carried out, proven or not.
    pub(crate) fn carried_out(&self) -> impl Iterator<Item = &Taken> {
        self.actions.iter().filter(|a| a.standing() != Standing::NotDone)
    }

    pub(crate) fn count(&self, standing: Standing) -> usize {
        self.actions.iter().filter(|a| a.standing() == standing).count()
    }

    /// How many actions stand where, in a few words.
    pub fn counts(&self) -> String {
        let all = [Standing::InForce, Standing::Done, Standing::Unproven, Standing::Ended, Standing::NotDone];
        let counts: Vec<String> = all
            .into_iter()
            .filter(|s| self.count(*s) > 0)
            .map(|s| format!("{} {}", self.count(s), s.name()))
            .collect();
        if counts.is_empty() { "no action taken".to_owned() } else { counts.join(", ") }
    }

    /// How often somebody got in after containment.
    pub fn inside(&self) -> usize {
        self.sightings.iter().filter(|s| s.got_in).count()
    }

    /// When the first effect was proven.
    pub(crate) fn contained_at(&self) -> Option<&str> {
        let proven = self.actions.iter().filter_map(|a| a.verified_at.as_deref());
        proven.filter(|at| ids::time(at).is_some()).min_by_key(|at| ids::time(at))
    }

    /// Containment that is missing, each with its reason: unproven, refused, left out, never taken up.
    pub fn open(&self, case: &wire::Case) -> Vec<String> {
        if !self.ledger_read {
            return vec!["no ledger was given: what was done is not known".to_owned()];
        }
        let mut open = Vec::new();
        for a in &self.actions {
            let standing = a.standing();
            if matches!(standing, Standing::Unproven | Standing::NotDone) {
                let why = if a.proof.is_empty() { String::new() } else { format!(" ({})", a.proof) };
                open.push(format!("{}: {}{why}", a.says(), a.state.replace('_', " ")));
            }
        }
        for g in &self.gaps {
            let at = if g.device.is_empty() { String::new() } else { format!(" at {}", g.device) };
            open.push(format!("{} {}{at}: left out: {}", g.act.replace('_', " "), g.target, g.why));
        }
        for proposed in &case.containment {
            let same = |target: &str| {
                proposed.subject.address.is_empty()
                    || proposed.id != "block_ip"
                    || target == proposed.subject.address
            };
            let taken = self.actions.iter().any(|a| a.proposal == proposed.id && same(&a.target.value));
            let told = self.gaps.iter().any(|g| g.proposal == proposed.id && same(&g.target));
            if !taken && !told {
                open.push(format!("{}: {}: proposed, in no plan", proposed.title, proposed.target));
            }
        }
        open
    }
}

/// The earliest expiry of what is in force, or end of a watch that goes on.
fn deadline(actions: &[Taken], as_of: &str) -> Option<Deadline> {
    let now = ids::time(as_of);
    let mut all = Vec::new();
    for a in actions {
        let standing = a.standing();
        if let (Standing::InForce | Standing::Unproven, Some(until)) = (standing, &a.until)
            && let Some(at) = ids::time(until)
        {
            all.push((at, until.clone(), format!("expires: {}", a.says())));
        }
        if let (Standing::InForce | Standing::Done, Some(until)) = (standing, &a.watched_until)
            && let Some(at) = ids::time(until)
            && now.is_none_or(|now| at > now)
        {
            all.push((at, until.clone(), format!("no longer watched for re-entry: {}", a.says())));
        }
    }
    let (at, text, what) = all.into_iter().min_by_key(|(at, ..)| *at)?;
    Some(Deadline { at: text, what, overdue: now.is_some_and(|now| at <= now) })
}
