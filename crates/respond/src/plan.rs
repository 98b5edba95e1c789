//! A plan: what would be sent to whom, as read and guarded at one moment. Its digest is its name; who approves,
//! approves the digest, and what is executed is what has that digest.

use crate::act::Act;
use crate::approve::{Need, Policy};
use crate::config::Devices;
use crate::connector::{Can, Order, Seen};
use crate::fault::Fault;
use crate::guard::{Guard, Weight};
use crate::held::Held;
use crate::ledger::Ledger;
use crate::target::{Target, TargetKind};
use crate::value::UserName;
use portreeve_model::action::ActionKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the playbook proposes for a case, with its target typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    pub kind: ActionKind,
    pub target: Target,
    /// Other spellings of the account, tried in order where a device does not know the first.
    pub aliases: Vec<UserName>,
    pub because: String,
    /// Whom it hits besides, as the case says.
    pub blast_radius: String,
    pub caution: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// `portreeve/plan/v1`.
    pub schema: String,
    pub case: String,
    pub title: String,
    pub made_by: String,
    /// Microseconds since 1970, UTC.
    pub made_at: i64,
    pub steps: Vec<Step>,
    /// What was proposed and is no step, each with its reason.
    pub left_out: Vec<LeftOut>,
    /// How long re-entry is watched for after the last step, hours.
    pub watch_hours: u32,
    /// What the whole plan needs: the most that a step needs.
    pub need: Need,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub number: u16,
    /// The connector's name in the configuration.
    pub device: String,
    /// The connector's kind and how far it is tested.
    pub connector: String,
    pub proof: String,
    pub order: Order,
    pub because: String,
    pub seen: Seen,
    /// Exactly what is sent, secrets masked.
    pub requests: Vec<String>,
    pub effect: String,
    pub leaves_open: String,
    pub undo: String,
    /// Nothing brings back what was.
    pub is_final: bool,
    pub blast_radius: String,
    pub weights: Vec<Weight>,
    pub caution: String,
    pub need: Need,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftOut {
    /// The act, or the playbook's word for a step that no act carries out.
    pub act: String,
    pub target: String,
    pub device: String,
    pub why: String,
}

/// What a plan is made from, besides its proposals.
pub struct Making<'a> {
    pub case: &'a str,
    pub title: &'a str,
    pub by: &'a str,
    pub now: i64,
    /// Tells our own earlier steps from another hand's work.
    pub ledger: &'a Ledger,
    pub guard: &'a Guard,
    pub policy: &'a Policy,
    /// How long blocks and other acts that can end by themselves last.
    pub hours: u32,
    /// Heavier acts that are only planned when they are asked for.
    pub with: &'a [Act],
    /// Only these acts; empty: all.
    pub only: &'a [Act],
}

/// Acts that a plan holds only when they are asked for: they hit hard and containment seldom needs them.
const ON_REQUEST: [Act; 2] = [Act::ResetFactors, Act::IsolateDevice];

impl Plan {
    /// Reads every device and writes down what would be sent. Nothing is changed anywhere.
    pub fn make(proposals: &[Proposal], devices: &mut Devices, making: &Making<'_>) -> Plan {
        let mut plan = Plan {
            schema: "portreeve/plan/v1".to_owned(),
            case: making.case.to_owned(),
            title: making.title.to_owned(),
            made_by: making.by.to_owned(),
            made_at: making.now,
            steps: Vec::new(),
            left_out: Vec::new(),
            watch_hours: making.policy.watch_hours,
            need: Need::default(),
        };
        for proposal in proposals {
            for act in Act::of(proposal.kind) {
                plan.propose(proposal, *act, devices, making);
            }
        }
        plan.steps.sort_by_key(|s| s.order.act.stage());
        for (step, number) in plan.steps.iter_mut().zip(1..) {
            step.number = number;
        }
        plan.need = plan.steps.iter().fold(Need::default(), |need, s| need.and(&s.need));
        plan
    }

    fn propose(&mut self, proposal: &Proposal, act: Act, devices: &mut Devices, making: &Making<'_>) {
        let leave = |plan: &mut Plan, device: &str, why: String| {
            plan.left_out.push(LeftOut {
                act: act.id().to_owned(),
                target: proposal.target.to_string(),
                device: device.to_owned(),
                why,
            });
        };
        let asked = making.with.contains(&act) || making.only.contains(&act);
        let planned_unasked = making.only.is_empty() && !ON_REQUEST.contains(&act);
        if !(asked || planned_unasked) {
            return;
        }
        let able = devices.able(act, proposal.target.kind());
        if able.is_empty() {
            if let Some(why) = nobody(act, proposal.target.kind()) {
                leave(self, "", why);
            }
            return;
        }
        for (name, can) in able {
            // A random password is better than a change that whoever knows the old one can make himself.
            if act == Act::RequirePasswordChange
                && self.steps.iter().any(|s| {
                    s.device == name && s.order.act == Act::ResetPassword && s.order.target == proposal.target
                })
            {
                continue;
            }
            match self.step(proposal, act, &name, can, devices, making) {
                Ok(step) => {
                    if !self.steps.iter().any(|s| {
                        s.device == step.device && s.order.act == act && s.order.target == step.order.target
                    }) {
                        self.steps.push(step);
                    }
                }
                Err(why) => leave(self, &name, why),
            }
        }
    }

    fn step(
        &self,
        proposal: &Proposal,
        act: Act,
        name: &str,
        can: &'static Can,
        devices: &mut Devices,
        making: &Making<'_>,
    ) -> Result<Step, String> {
        let until = expires(act).then(|| making.now + i64::from(making.hours) * 3_600_000_000);
        let mark = mark(making.case, making.now, act, &proposal.target, name);
        let mut order =
            Order { act, target: proposal.target.clone(), until, mark, case: making.case.to_owned() };
        let refused = |refusals: Vec<crate::guard::Refusal>| {
            let all: Vec<String> = refusals.into_iter().map(|r| format!("{} ({})", r.why, r.rule)).collect();
            format!("never touched: {}", all.join("; "))
        };
        // Every spelling is guarded, whichever the device knows.
        let targets: Vec<Target> = std::iter::once(proposal.target.clone())
            .chain(proposal.aliases.iter().filter_map(|alias| proposal.target.named(alias)))
            .collect();
        let mut weights = Vec::new();
        for target in &targets {
            order.target = target.clone();
            weights.extend(making.guard.check(&order).map_err(refused)?);
        }
        let connector = devices.connector(name).ok_or_else(|| format!("no connector {name}"))?;
        let control = devices.control(name).map_err(|f| f.to_string())?;
        let mut found = None;
        let mut absent = String::new();
        for target in &targets {
            order.target = target.clone();
            match control.read(&order) {
                Ok(seen) => {
                    found = Some(seen);
                    break;
                }
                Err(Fault::NotFound(why)) if absent.is_empty() => absent = why,
                Err(Fault::NotFound(_)) => {}
                Err(other) => return Err(other.to_string()),
            }
        }
        let seen = found.ok_or_else(|| format!("not there: {absent}"))?;
        making.guard.check_resolved(&order, &seen).map_err(refused)?;
        if seen.in_force {
            let held = Held::of(making.ledger).map_err(|e| format!("in force already, and left so: {e}"))?;
            return Err(match held.holder(name, &order, &seen, control) {
                Some(ours) => format!("in force already by {ours}, and left so: {}", seen.says),
                None => format!("in force already by another hand, and left so: {}", seen.says),
            });
        }
        let requests = control.preview(&order, &seen).map_err(|f| f.to_string())?;
        if !seen.also_hits.is_empty() {
            weights.push(Weight::Many);
        }
        weights.sort_unstable();
        weights.dedup();
        let blast_radius = blast(proposal, &order, &seen, making);
        let need = making.policy.need(act, &weights);
        Ok(Step {
            number: 0,
            device: name.to_owned(),
            connector: connector.name.to_owned(),
            proof: connector.proof.name().to_owned(),
            order,
            because: proposal.because.clone(),
            requests,
            effect: can.effect.to_owned(),
            leaves_open: can.leaves_open.to_owned(),
            undo: can.undo.to_owned(),
            is_final: act.is_final(),
            blast_radius,
            weights,
            caution: proposal.caution.clone(),
            need,
            seen,
        })
    }

    /// The text that is stored and hashed.
    pub fn text(&self) -> String {
        // A plan is made of strings, numbers and lists: it can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of [`Plan::text`], in hexadecimal.
    pub fn digest(&self) -> String {
        digest(&self.text())
    }

    pub fn step_of(&self, number: u16) -> Option<&Step> {
        self.steps.iter().find(|s| s.number == number)
    }
}

/// The beginning of a digest, as people write it.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        for nibble in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}

/// What a step leaves at the device to be known by: different for each plan, the same for the same step.
fn mark(case: &str, now: i64, act: Act, target: &Target, device: &str) -> String {
    let target = serde_json::to_string(target).unwrap_or_default();
    let text = serde_json::json!([case, now, act.id(), target, device]).to_string();
    let mut mark = digest(&text);
    mark.truncate(12);
    format!("portreeve-{mark}")
}

/// Acts that end by themselves, or by the reconcile loop, unless they are prolonged.
fn expires(act: Act) -> bool {
    matches!(act, Act::BlockAddress | Act::IsolateDevice)
}

/// What to do where no connector can.
fn nobody(act: Act, on: TargetKind) -> Option<String> {
    let by_hand = match act {
        Act::CollectForensics => "run `portreeve collect` on the host, or over SSH with --ssh",
        Act::EnforceMfa => "a change of policy at the product; `portreeve audit mfa` shows what it removes",
        // Of the acts of one playbook step, these accompany another that is named.
        Act::RequirePasswordChange | Act::RevokeKey if on == TargetKind::Account => return None,
        _ => "do it at the product, or describe the manual step in the configuration",
    };
    let article = if on == TargetKind::Account || on == TargetKind::Address { "an" } else { "a" };
    Some(format!("nothing that is configured does {} to {article} {}; {by_hand}", act.id(), on.name()))
}

fn blast(proposal: &Proposal, order: &Order, seen: &Seen, making: &Making<'_>) -> String {
    let mut parts = Vec::new();
    if !proposal.blast_radius.is_empty() {
        parts.push(proposal.blast_radius.clone());
    }
    if let Some(shared) = order.target.net().and_then(|net| making.guard.shared_by(net)) {
        if shared.others > 0 {
            parts.push(format!("{} other accounts logged in from it within 30 days", shared.others));
        }
        if !shared.class.is_empty() {
            parts.push(format!("shared by many ({})", shared.class));
        }
    }
    if !seen.also_hits.is_empty() {
        let some: Vec<&str> = seen.also_hits.iter().take(5).map(String::as_str).collect();
        let more = seen.also_hits.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("also hits {}{more}", some.join(", ")));
    }
    if matches!(order.act, Act::DisableAccount | Act::ResetPassword)
        && let Some(users) = making.guard.active_users.filter(|u| *u > 0)
    {
        parts.push(format!("1 of {users} active users"));
    }
    parts.join("; ")
}
