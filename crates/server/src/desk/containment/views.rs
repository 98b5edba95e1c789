//! What is asked about containment and what is answered, as the API writes it and the page draws it.

use crate::desk::Stamp;
use portreeve_report::actions::Aftermath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was planned and done about a case.
#[derive(Clone, Default, Serialize, JsonSchema)]
pub struct Containment {
    /// Is containment configured at all? If not, nothing below means that nothing was done.
    pub configured: bool,
    /// The newest first.
    pub plans: Vec<PlanView>,
    /// As exports have it.
    pub aftermath: Option<Aftermath>,
    /// When devices were last held to the ledger.
    pub held_at: Option<Stamp>,
    /// What a person should look at, of all cases.
    pub trouble: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PlanView {
    /// What is approved: SHA-256 of the plan, in hex.
    pub digest: String,
    /// The engine's case that it was made for.
    pub engine_id: String,
    pub made_by: String,
    pub made_at: Stamp,
    /// `l1`, `t2` or `t3`: who may approve, at least.
    pub needs_tier: String,
    /// So many people, none of them who proposed it.
    pub needs_people: u8,
    /// `proposed`, `approved`, `rejected`, `running`, `interrupted`, `done`, `in_force` or `taken_back`.
    pub standing: String,
    /// Why it may not be carried out now; empty where it may.
    pub lacks: String,
    /// Approvals that count hold until then.
    pub approved_until: Option<Stamp>,
    /// Why the last attempt did not begin or broke off; empty where it did neither.
    pub said: String,
    pub words: Vec<WordView>,
    pub steps: Vec<StepView>,
    pub left_out: Vec<LeftOut>,
    /// What this person may do to it: `containment.approve` and others.
    pub may: Vec<String>,
    /// A new password waits for whoever carried it out, to be seen once.
    pub hands_over: bool,
}

/// Somebody's word on a plan. It is signed in the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct WordView {
    /// `propose`, `approve`, `reject`, `break_glass`, `roll_back` or `attest`.
    pub purpose: String,
    pub by: String,
    pub reason: String,
    pub at: Stamp,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct StepView {
    pub number: u16,
    pub act: String,
    pub title: String,
    pub target: String,
    pub device: String,
    pub connector: String,
    /// How far the connector is tested: `proven`, `contract-tested` or `manual`.
    pub tested: String,
    pub because: String,
    /// What the device said when it was planned.
    pub seen: String,
    /// Exactly what is sent, secrets masked.
    pub requests: Vec<String>,
    pub effect: String,
    pub leaves_open: String,
    pub undo: String,
    pub is_final: bool,
    /// Whom it hits besides.
    pub blast_radius: String,
    pub heavy: Vec<String>,
    pub caution: String,
    pub until: Option<Stamp>,
    /// As the ledger has it: `planned`, `sent`, `verified` …
    pub state: String,
    /// What was read, or why not.
    pub proof: String,
    pub since: Option<Stamp>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct LeftOut {
    pub act: String,
    pub target: String,
    pub device: String,
    pub why: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanInput {
    /// How long blocks last; 24 where nothing is said.
    pub hours: Option<u32>,
    /// Only these acts (`block_address`, `disable_account` …); all where none is named.
    pub only: Vec<String>,
    /// Heavier acts as well: `isolate_device`, `reset_factors`.
    pub with: Vec<String>,
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyInput {
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackInput {
    pub reason: String,
    /// Numbers of steps; all where none is named.
    #[serde(default)]
    pub steps: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestInput {
    pub number: u16,
    /// Did you see that it holds?
    pub effective: bool,
    pub reason: String,
}

/// What only who carried a plan out may see, once.
#[derive(Serialize, JsonSchema)]
pub struct HandOver {
    pub step: u16,
    pub secret: String,
}

/// A key with which the service signs for a person, for `operators` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct OperatorView {
    pub name: String,
    pub tier: String,
    /// Ed25519, base64.
    pub public_key: String,
}
