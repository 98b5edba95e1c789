//! Re-entry: for a stated time after containment, whatever the contained user, address, device or session does is
//! raised as *containment ineffective*.

use crate::ledger::{Draft, Kind, Ledger, LedgerError, StepState};
use crate::plan::Plan;
use crate::target::Target;
use crate::value::Net;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Something that a log tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sighting {
    /// Microseconds since 1970, UTC, event time.
    pub at: i64,
    pub user: String,
    pub address: Option<IpAddr>,
    pub device: String,
    pub session: String,
    /// Did it get in? A refused attempt shows that the intruder is there and that containment holds.
    pub succeeded: bool,
    /// In the words of the log, and where it stands.
    pub what: String,
    pub evidence: String,
}

/// A sighting that a containment should have prevented, or that it did prevent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    pub case: String,
    pub plan: String,
    pub step: u16,
    /// What the step did, and the device at which it did so, as the configuration names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub act: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    pub target: String,
    pub at: i64,
    /// `true`: containment ineffective. `false`: tried, and was kept out.
    pub ineffective: bool,
    /// Who was seen, and from where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    pub what: String,
    pub evidence: String,
}

struct Watched {
    case: String,
    plan: String,
    step: u16,
    act: &'static str,
    device: String,
    target: Target,
    name: String,
    from: i64,
    to: i64,
}

/// Everything under watch at the time it was made.
pub struct Watch {
    watched: Vec<Watched>,
}

impl Watch {
    /// Takes up every step that was proven. It is watched from its proof until the plan's hours are over, or until it
    /// was taken back.
    pub fn new(ledger: &Ledger) -> Result<Watch, LedgerError> {
        let mut watched = Vec::new();
        for (digest, _) in ledger.plans()? {
            let plan: Plan = ledger.plan(&digest)?;
            for (step, record) in plan.steps.iter().zip(ledger.states(&plan, &digest)?) {
                let Some(from) = record.verified_at else { continue };
                let mut to = from + i64::from(plan.watch_hours) * 3_600_000_000;
                if matches!(record.state, StepState::RolledBack | StepState::Expired) {
                    to = to.min(record.at);
                }
                watched.push(Watched {
                    case: plan.case.clone(),
                    plan: digest.clone(),
                    step: step.number,
                    act: step.order.act.id(),
                    device: step.device.clone(),
                    target: step.order.target.clone(),
                    name: step.order.target.to_string(),
                    from,
                    to,
                });
            }
        }
        Ok(Watch { watched })
    }

    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// The first moment that matters.
    pub fn since(&self) -> Option<i64> {
        self.watched.iter().map(|w| w.from).min()
    }

    /// Is somebody watched who is called so? This and what follows let a reader of many events pass over most of them:
    /// where none of the four is watched, [`Watch::see`] finds nothing.
    pub fn knows_user(&self, name: &str) -> bool {
        let seen = Sighting { user: name.to_owned(), ..Sighting::default() };
        !name.is_empty() && self.watched.iter().any(|w| concerns(&w.target, &seen))
    }

    pub fn knows_device(&self, name: &str) -> bool {
        let seen = Sighting { device: name.to_owned(), ..Sighting::default() };
        !name.is_empty() && self.watched.iter().any(|w| concerns(&w.target, &seen))
    }

    pub fn knows_session(&self, id: &str) -> bool {
        let seen = Sighting { session: id.to_owned(), ..Sighting::default() };
        !id.is_empty() && self.watched.iter().any(|w| concerns(&w.target, &seen))
    }

    pub fn knows_address(&self, address: IpAddr) -> bool {
        let seen = Sighting { address: Some(address), ..Sighting::default() };
        self.watched.iter().any(|w| concerns(&w.target, &seen))
    }

    /// What this sighting means, for each step that it concerns.
    pub fn see(&self, sighting: &Sighting) -> Vec<Alarm> {
        self.watched
            .iter()
            .filter(|w| w.from < sighting.at && sighting.at <= w.to && concerns(&w.target, sighting))
            .map(|w| Alarm {
                case: w.case.clone(),
                plan: w.plan.clone(),
                step: w.step,
                act: w.act.to_owned(),
                device: w.device.clone(),
                target: w.name.clone(),
                at: sighting.at,
                ineffective: sighting.succeeded,
                user: sighting.user.clone(),
                address: sighting.address,
                what: sighting.what.clone(),
                evidence: sighting.evidence.clone(),
            })
            .collect()
    }
}

fn concerns(target: &Target, s: &Sighting) -> bool {
    let user = |name: &str| !s.user.is_empty() && crate::guard::fold(name) == crate::guard::fold(&s.user);
    let address = |net: Net| s.address.is_some_and(|ip| net.overlaps(Net::host(ip)));
    match target {
        Target::Address { net } => address(*net),
        Target::Account { name } | Target::Role { name } => user(name.raw()),
        Target::Session(stay) => {
            stay.user.as_ref().is_some_and(|u| user(u.raw()))
                || stay.id.as_ref().is_some_and(|id| id.raw() == s.session)
                || stay.public.is_some_and(address)
                // An address of a pool is somebody else's by now, if the log names somebody else.
                || (s.user.is_empty() && stay.inner.is_some_and(address))
        }
        Target::Device(device) => device
            .host
            .as_ref()
            .is_some_and(|h| !s.device.is_empty() && h.raw().eq_ignore_ascii_case(&s.device)),
        Target::Key { owner, .. } => owner.as_ref().is_some_and(|u| user(u.raw())),
        Target::Service { .. } => false,
    }
}

/// What a whole reading of logs amounts to, in bounded memory: what got in, each; what was kept out, counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    inside: BTreeMap<(String, u16), Vec<Alarm>>,
    tried: BTreeMap<(String, u16), (u64, Alarm)>,
    /// What got in.
    pub got_in: u64,
    /// What was kept out.
    pub kept_out: u64,
}

/// So many sightings of a step are written down one by one; the count goes on.
const MOST_ALARMS: usize = 1_000;

impl Tally {
    pub fn add(&mut self, alarm: Alarm) {
        let key = (alarm.plan.clone(), alarm.step);
        if alarm.ineffective {
            self.got_in += 1;
            let list = self.inside.entry(key).or_default();
            if list.len() < MOST_ALARMS {
                list.push(alarm);
            }
        } else {
            self.kept_out += 1;
            self.tried.entry(key).or_insert_with(|| (0, alarm)).0 += 1;
        }
    }

    /// The first attempt at each step that was kept out, with how many there were.
    pub fn tried(&self) -> impl Iterator<Item = (u64, &Alarm)> {
        self.tried.values().map(|(count, first)| (*count, first))
    }

    /// What got in, by step and in the order in which it was seen; of each step the first thousand.
    pub fn inside(&self) -> impl Iterator<Item = &Alarm> {
        self.inside.values().flatten()
    }

    /// Writes down what got in, each once however often its log is read, and that there were attempts, once a step.
    /// Gives back what is new.
    pub fn record(&self, ledger: &mut Ledger, now: i64) -> Result<Vec<Alarm>, LedgerError> {
        let key = |a: &Alarm| match a.ineffective {
            true => (a.plan.clone(), a.step, Some((a.at, a.what.clone()))),
            false => (a.plan.clone(), a.step, None),
        };
        let mut known = BTreeSet::new();
        for entry in ledger.since(i64::MIN)?.into_iter().filter(|e| e.kind == Kind::Reentry) {
            if let Ok(alarm) = serde_json::from_str::<Alarm>(&entry.body) {
                known.insert(key(&alarm));
            }
        }
        let mut new = Vec::new();
        for alarm in self.inside.values().flatten().chain(self.tried.values().map(|(_, first)| first)) {
            if !known.insert(key(alarm)) {
                continue;
            }
            ledger.append(&Draft {
                at: now,
                actor: "portreeve",
                plan: &alarm.plan,
                step: Some(alarm.step),
                kind: Kind::Reentry,
                body: serde_json::to_value(alarm).unwrap_or_default(),
            })?;
            new.push(alarm.clone());
        }
        Ok(new)
    }
}

/// What got in after containment, found by the case that it concerns.
pub struct Reentries<'t> {
    by_case: BTreeMap<&'t str, Vec<&'t Alarm>>,
    by_user: BTreeMap<String, Vec<&'t Alarm>>,
    /// Of sightings that name nobody.
    by_address: BTreeMap<IpAddr, Vec<&'t Alarm>>,
}

/// Whom a case is about, and when.
pub struct About<'c> {
    pub case: &'c str,
    pub users: &'c [&'c str],
    pub addresses: &'c [IpAddr],
    /// Microseconds since 1970, UTC; both included.
    pub first: i64,
    pub last: i64,
}

impl<'t> Reentries<'t> {
    pub fn of(tally: &'t Tally) -> Reentries<'t> {
        let mut found =
            Reentries { by_case: BTreeMap::new(), by_user: BTreeMap::new(), by_address: BTreeMap::new() };
        for alarm in tally.inside() {
            found.by_case.entry(&alarm.case).or_default().push(alarm);
            if !alarm.user.is_empty() {
                found.by_user.entry(crate::guard::fold(&alarm.user)).or_default().push(alarm);
            } else if let Some(address) = alarm.address {
                found.by_address.entry(address).or_default().push(alarm);
            }
        }
        found
    }

    /// What shows that a containment did not hold and belongs to this case: the containment was the case's own, or
    /// who got in is whom the case is about, within its time. In the order of time, each once.
    pub fn concerning(&self, about: &About<'_>) -> Vec<&'t Alarm> {
        let own = self.by_case.get(about.case).into_iter().flatten();
        let within = |a: &&&Alarm| (about.first..=about.last).contains(&a.at);
        let users: BTreeSet<String> = about.users.iter().map(|u| crate::guard::fold(u)).collect();
        let people = users.iter().filter_map(|u| self.by_user.get(u)).flatten().filter(within);
        let from = about.addresses.iter().filter_map(|a| self.by_address.get(a)).flatten().filter(within);
        let mut found: Vec<&Alarm> = own.chain(people).chain(from).copied().collect();
        found.sort_by(|a, b| (a.at, &a.plan, a.step, &a.what).cmp(&(b.at, &b.plan, b.step, &b.what)));
        found.dedup_by(|a, b| std::ptr::eq(*a, *b));
        found
    }
}
