//! How much may be done before somebody should look up from the keys.

use crate::act::Act;
use crate::approve::Policy;
use crate::guard::Guard;
use crate::ledger::{Entry, Kind, Ledger};
use crate::plan::{Plan, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A limit that stands against a run, in words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Exceeded(pub String);

const HOUR: i64 = 3_600_000_000;

pub(crate) fn check(
    ledger: &Ledger,
    plan: &Plan,
    open: &[&Step],
    guard: &Guard,
    policy: &Policy,
    now: i64,
) -> Result<(), Exceeded> {
    let entries = ledger.since(now - 24 * HOUR).map_err(|e| Exceeded(e.to_string()))?;
    let limits = &policy.limits;
    let mut plans = Plans::new(ledger);
    let mut by_act: BTreeMap<Act, u32> = BTreeMap::new();
    let mut of_case = 0_u32;
    let mut accounts: BTreeSet<String> = BTreeSet::new();
    for entry in entries.iter().filter(|e| e.kind == Kind::Sent) {
        let Some((case, step)) = plans.step(entry) else { continue };
        if entry.at > now - HOUR {
            *by_act.entry(step.order.act).or_default() += 1;
        }
        if case == plan.case {
            of_case += 1;
        }
        if takes_an_account(step.order.act) {
            accounts.extend(step.order.target.user().map(|u| u.raw().to_lowercase()));
        }
    }
    for step in open {
        let count = by_act.entry(step.order.act).or_default();
        *count += 1;
        if *count > limits.per_hour {
            return Err(Exceeded(format!(
                "{} {} within an hour (limits.per_hour)",
                count,
                step.order.act.id()
            )));
        }
        of_case += 1;
        if takes_an_account(step.order.act) {
            accounts.extend(step.order.target.user().map(|u| u.raw().to_lowercase()));
        }
    }
    if of_case > limits.per_case {
        return Err(Exceeded(format!("{of_case} steps for this case within a day (limits.per_case)")));
    }
    if let Some(users) = guard.active_users {
        let most = (users * limits.percent_of_users / 100).max(3);
        let many = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
        if many > most {
            return Err(Exceeded(format!(
                "{many} accounts within a day, of {users} active users (limits.percent_of_users: {})",
                limits.percent_of_users
            )));
        }
    }
    for device in open.iter().map(|s| s.device.as_str()).collect::<BTreeSet<_>>() {
        let bad = in_a_row(&entries, device, now - HOUR, &mut plans);
        if bad >= limits.breaker {
            return Err(Exceeded(format!(
                "{device}: {bad} steps in a row failed or stayed unknown within the last hour (limits.breaker); look at it with `portreeve respond doctor`"
            )));
        }
    }
    Ok(())
}

fn takes_an_account(act: Act) -> bool {
    matches!(act, Act::DisableAccount | Act::ResetPassword | Act::RequirePasswordChange | Act::ResetFactors)
}

/// Bad ends at a device since its last good one.
fn in_a_row(entries: &[Entry], device: &str, since: i64, plans: &mut Plans<'_>) -> u32 {
    let mut bad = 0;
    for entry in entries.iter().filter(|e| e.at > since) {
        let ends = matches!(
            entry.kind,
            Kind::Verified | Kind::Failed | Kind::Unknown | Kind::NotEffective | Kind::RolledBack
        );
        if !ends || plans.step(entry).is_none_or(|(_, step)| step.device != device) {
            continue;
        }
        bad = if matches!(entry.kind, Kind::Verified | Kind::RolledBack) { 0 } else { bad + 1 };
    }
    bad
}

/// Plans by digest, read once.
struct Plans<'a> {
    ledger: &'a Ledger,
    read: BTreeMap<String, Option<Plan>>,
}

impl<'a> Plans<'a> {
    fn new(ledger: &'a Ledger) -> Plans<'a> {
        Plans { ledger, read: BTreeMap::new() }
    }

    fn step(&mut self, entry: &Entry) -> Option<(String, Step)> {
        if !self.read.contains_key(&entry.plan) {
            self.read.insert(entry.plan.clone(), self.ledger.plan(&entry.plan).ok());
        }
        let plan = self.read.get(&entry.plan)?.as_ref()?;
        Some((plan.case.clone(), plan.step_of(entry.step?)?.clone()))
    }
}
