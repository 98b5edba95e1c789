//! What the ledger holds about cases, as reports read it. It asks the ledger alone: no device, no clock but the one it
//! is given.

use portreeve_model::case::Case;
use portreeve_report::Done;
use portreeve_report::actions::{self, Aftermath, LeftOut, Moment, Reentry, Taken};
use portreeve_respond::act::Act;
use portreeve_respond::ledger::{Entry, Kind, Ledger, LedgerError, step_record};
use portreeve_respond::plan::{Plan, Step, short};
use portreeve_respond::target::Target;
use portreeve_respond::watch::{About, Alarm, Reentries, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// As reports write a time of the ledger.
pub fn time(at: i64) -> String {
    jiff::Timestamp::from_microsecond(at)
        .map_or_else(|_| at.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// What the ledger holds about one case.
pub fn aftermath(ledger: &Ledger, case: &str, now: i64) -> Result<Aftermath, LedgerError> {
    let mut all = gathered(ledger, Some(case))?;
    Ok(all.remove(case).unwrap_or_default().finish(case, now))
}

/// What it holds about every case that was taken up.
pub fn aftermaths(ledger: &Ledger, now: i64) -> Result<BTreeMap<String, Aftermath>, LedgerError> {
    let all = gathered(ledger, None)?;
    Ok(all.into_iter().map(|(case, of)| (case.clone(), of.finish(&case, now))).collect())
}

/// The steps of one case that did not hold, as the ledger has them.
pub fn reentries(ledger: &Ledger, case: &str) -> Result<Vec<Reentry>, LedgerError> {
    let known = inside(ledger)?;
    Ok(by_step(known.get(case).into_iter().flatten()))
}

/// What a hunt shows: what was done about its cases, and which steps did not hold. `tally` is what it saw itself; of the
/// contained cases it shows what the ledger knew before, too.
pub fn done(ledger: &Ledger, tally: Option<&Tally>, cases: &[Case], now: i64) -> Result<Done, LedgerError> {
    let mut done = Done { after: aftermaths(ledger, now)?, as_of: time(now), ..Done::default() };
    let known = inside(ledger)?;
    let none = Tally::default();
    let tally = tally.unwrap_or(&none);
    done.ineffective = by_step(tally.inside());
    let found = Reentries::of(tally);
    for case in cases {
        let people = std::iter::once(&case.principal).chain(&case.principals);
        let users: Vec<&str> =
            people.flat_map(|p| std::iter::once(&p.name).chain(&p.aliases)).map(|n| n.raw()).collect();
        let addresses: Vec<IpAddr> = case.source_ips.iter().map(|(ip, _)| ip.to_std()).collect();
        let about = About {
            case: &case.id,
            users: &users,
            addresses: &addresses,
            first: case.first_seen.0,
            last: case.last_seen.0,
        };
        let own = known.get(&case.id).into_iter().flatten();
        let concerning = by_step(own.chain(found.concerning(&about)));
        if !concerning.is_empty() {
            done.reentry.insert(case.id.clone(), concerning);
        }
    }
    Ok(done)
}

/// What the ledger knows to have got in, by the contained case.
fn inside(ledger: &Ledger) -> Result<BTreeMap<String, Vec<Alarm>>, LedgerError> {
    let mut all: BTreeMap<String, Vec<Alarm>> = BTreeMap::new();
    for entry in ledger.since(i64::MIN)?.into_iter().filter(|e| e.kind == Kind::Reentry) {
        match serde_json::from_str::<Alarm>(&entry.body) {
            Ok(alarm) if alarm.ineffective => all.entry(alarm.case.clone()).or_default().push(alarm),
            _ => {}
        }
    }
    Ok(all)
}

/// One line a step, whatever the number of sightings; each sighting once.
fn by_step<'a>(alarms: impl IntoIterator<Item = &'a Alarm>) -> Vec<Reentry> {
    fn key(a: &Alarm) -> (&str, u16, i64, &str) {
        (&a.plan, a.step, a.at, &a.what)
    }
    let mut all: Vec<&Alarm> = alarms.into_iter().collect();
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    all.dedup_by(|a, b| key(a) == key(b));
    let mut steps: Vec<Reentry> = Vec::new();
    for group in all.chunk_by(|a, b| (&a.plan, a.step) == (&b.plan, b.step)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let times = u64::try_from(group.len()).unwrap_or(u64::MAX);
        steps.push(Reentry { times, last: time(last.at), ..reentry(first) });
    }
    steps
}

fn reentry(a: &Alarm) -> Reentry {
    Reentry {
        case_id: a.case.clone(),
        plan: short(&a.plan).to_owned(),
        step: a.step,
        act: a.act.clone(),
        title: Act::by_id(&a.act).map_or("containment", Act::title).to_owned(),
        target: a.target.clone(),
        device: a.device.clone(),
        times: 1,
        first: time(a.at),
        last: time(a.at),
        what: a.what.clone(),
        evidence: a.evidence.clone(),
    }
}

/// What plans of one case hold, before it is put together.
#[derive(Default)]
struct Gathered {
    actions: Vec<Taken>,
    gaps: Vec<LeftOut>,
    sightings: Vec<actions::Sighting>,
    /// Act, target and device of each step.
    planned: BTreeSet<(String, String, String)>,
}

fn gathered(ledger: &Ledger, only: Option<&str>) -> Result<BTreeMap<String, Gathered>, LedgerError> {
    let mut all: BTreeMap<String, Gathered> = BTreeMap::new();
    for (digest, _) in ledger.plans()? {
        let plan = ledger.plan(&digest)?;
        if only.is_some_and(|case| plan.case != case) {
            continue;
        }
        let entries = ledger.of_plan(&digest)?;
        all.entry(plan.case.clone()).or_default().add(&plan, &digest, &entries);
    }
    Ok(all)
}

impl Gathered {
    fn add(&mut self, plan: &Plan, digest: &str, entries: &[Entry]) {
        let allowed = Allowed::of(entries);
        for step in &plan.steps {
            self.actions.push(taken(plan, digest, step, entries, &allowed));
            self.planned.insert((
                step.order.act.id().to_owned(),
                step.order.target.to_string(),
                step.device.clone(),
            ));
        }
        self.gaps.extend(plan.left_out.iter().map(|l| LeftOut {
            act: l.act.clone(),
            proposal: Act::by_id(&l.act).map_or("", proposal).to_owned(),
            target: l.target.clone(),
            device: l.device.clone(),
            why: l.why.clone(),
        }));
        for entry in entries.iter().filter(|e| e.kind == Kind::Reentry) {
            let Ok(alarm) = serde_json::from_str::<Alarm>(&entry.body) else { continue };
            self.sightings.push(actions::Sighting {
                at: time(alarm.at),
                plan: short(digest).to_owned(),
                step: alarm.step,
                target: alarm.target,
                got_in: alarm.ineffective,
                what: alarm.what,
                evidence: alarm.evidence,
            });
        }
    }

    fn finish(mut self, case: &str, now: i64) -> Aftermath {
        // What one plan left out, another may hold; what several left out is told once.
        let mut told = BTreeSet::new();
        self.gaps.retain(|gap: &LeftOut| {
            let key = (gap.act.clone(), gap.target.clone(), gap.device.clone());
            !self.planned.contains(&key) && told.insert(key)
        });
        Aftermath::new(case, &time(now), self.actions, self.gaps, self.sightings)
    }
}

/// Who let a plan be carried out, as the entry says with which execution began.
#[derive(Default)]
struct Allowed {
    by: Vec<String>,
    emergency: bool,
}

impl Allowed {
    fn of(entries: &[Entry]) -> Allowed {
        let Some(begun) = entries.iter().rev().find(|e| e.kind == Kind::Begun) else {
            return Allowed::default();
        };
        let body = begun.json();
        if let Some(by) = body.get("break_glass").and_then(|b| b.as_str()) {
            return Allowed { by: vec![by.to_owned()], emergency: true };
        }
        // An automation is allowed by the people who signed it.
        let people = body.get("approved_by").or_else(|| body.get("signed_by")).and_then(|p| p.as_array());
        let names = people.into_iter().flatten().filter_map(|n| n.as_str()).map(str::to_owned);
        Allowed { by: names.collect(), emergency: false }
    }
}

fn taken(plan: &Plan, digest: &str, step: &Step, entries: &[Entry], allowed: &Allowed) -> Taken {
    let record = step_record(entries, step.number);
    let hours = i64::from(plan.watch_hours) * 3_600_000_000;
    let why = |entry: &Entry| entry.json().get("why").and_then(|w| w.as_str()).unwrap_or_default().to_owned();
    let history = entries
        .iter()
        .filter(|e| e.step == Some(step.number) && !matches!(e.kind, Kind::Reentry | Kind::Word))
        .map(|e| Moment {
            at: time(e.at),
            state: e.kind.id().to_owned(),
            actor: e.actor.clone(),
            why: why(e),
        });
    Taken {
        plan: short(digest).to_owned(),
        step: step.number,
        act: step.order.act.id().to_owned(),
        title: step.order.act.title().to_owned(),
        proposal: proposal(step.order.act).to_owned(),
        d3fend: step.order.act.d3fend().to_owned(),
        target: target(&step.order.target),
        device: step.device.clone(),
        connector: step.connector.clone(),
        tested: step.proof.clone(),
        state: record.state.name().replace(' ', "_"),
        proof: record.why,
        since: time(if record.at == 0 { plan.made_at } else { record.at }),
        verified_at: record.verified_at.map(time),
        until: step.order.until.map(time),
        watched_until: record.verified_at.map(|at| time(at.saturating_add(hours))),
        effect: step.effect.clone(),
        leaves_open: step.leaves_open.clone(),
        undo: step.undo.clone(),
        is_final: step.is_final,
        requests: step.requests.clone(),
        approved_by: allowed.by.clone(),
        emergency: allowed.emergency,
        history: history.collect(),
    }
}

fn target(target: &Target) -> actions::Target {
    let value = match target {
        Target::Address { net } if net.is_host() => net.net().addr().to_string(),
        Target::Account { name } | Target::Role { name } | Target::Service { name } => name.raw().to_owned(),
        other => other.to_string(),
    };
    actions::Target { kind: target.kind().name().to_owned(), value }
}

/// The proposal of the playbook that an act carries out.
fn proposal(act: Act) -> &'static str {
    use portreeve_model::action::ActionKind;
    ActionKind::ALL.into_iter().find(|k| Act::of(*k).contains(&act)).map_or("", ActionKind::id)
}
