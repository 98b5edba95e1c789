//! Failures before a success: by source, neighbourhood or account, fast or slow.

use super::{Bounds, By, counted};
use crate::detect::{Finding, Subject, Verdict};
use crate::fold::infrastructure::Attempt;
use portreeve_model::Ip;

pub(super) struct Wanted {
    pub(super) by: By,
    pub(super) within_us: i64,
    pub(super) count: Bounds,
    pub(super) accounts: Bounds,
    pub(super) sources: Bounds,
    pub(super) median_gap_us: Option<i64>,
    pub(super) never_succeeded: bool,
    pub(super) no_such_user: bool,
}

pub(super) fn failures(s: &Subject<'_>, wanted: &Wanted) -> Verdict {
    let (from, to) = (s.session.start.minus(wanted.within_us), s.session.start);
    // Closed at both ends: exactly the window apart is inside.
    let inside = |a: &&Attempt| from <= a.time && a.time <= to && (!wanted.no_such_user || a.no_such_user);
    let ip = s.ip();
    let found: Vec<Attempt> = match wanted.by {
        By::Source | By::Prefix if ip.is_none() => return Verdict::Unknown("source_ip"),
        By::Source => {
            s.source().map_or(Vec::new(), |src| src.attempts.iter().filter(inside).copied().collect())
        }
        By::Prefix => of_prefix(s, ip, inside),
        By::Account => s.dossier.attempts.iter().filter(inside).copied().collect(),
        By::AccountAndSource => {
            s.dossier.attempts.iter().filter(inside).filter(|a| a.ip == ip).copied().collect()
        }
    };
    if wanted.never_succeeded
        && s.source().is_some_and(|src| {
            src.successes.iter().any(|(t, _)| {
                *t < from.max(src.first) || *t < to && found.first().is_none_or(|f| *t < f.time)
            })
        })
    {
        return Verdict::Silent;
    }
    let times: usize = found.iter().map(|a| usize::from(a.times)).sum();
    let accounts = distinct(found.iter().filter(|a| a.account.is_some()).map(|a| a.account.0.into()));
    let sources = distinct(found.iter().map(|a| a.ip.0));
    let slow = wanted.median_gap_us.is_none_or(|gap| median_gap_us(&found).is_some_and(|m| m >= gap));
    if times == 0
        || !wanted.count.hold(times)
        || !wanted.accounts.hold(accounts)
        || !wanted.sources.hold(sources)
        || !slow
    {
        return Verdict::Silent;
    }
    let first = found.first().map_or(to, |a| a.time);
    let facts = vec![
        ("failures", counted(times, "failure")),
        ("accounts", counted(accounts, "account")),
        ("sources", counted(sources, "address").replace("addresss", "addresses")),
        ("span", span(to.since(first))),
    ];
    // The newest failures and the first one tell the story.
    let mut evidence: Vec<_> = found.iter().rev().take(8).map(|a| a.evidence).collect();
    evidence.extend(found.first().map(|a| a.evidence));
    evidence.extend(s.session.evidence.first());
    Verdict::Fires(Finding::with(facts, evidence))
}

fn of_prefix(s: &Subject<'_>, ip: Ip, inside: impl Fn(&&Attempt) -> bool) -> Vec<Attempt> {
    let prefix = ip.prefix();
    let sources = &s.engine.infrastructure.sources;
    // An IPv4 neighbourhood has 256 addresses: asked one by one, no order of a map is involved.
    let mut found: Vec<Attempt> = if ip.is_v4() {
        (0..256u128)
            .filter_map(|n| sources.get(&Ip(prefix.0 + n)))
            .flat_map(|x| x.attempts.iter())
            .filter(inside)
            .copied()
            .collect()
    } else {
        sources.get(&ip).into_iter().flat_map(|x| x.attempts.iter()).filter(inside).copied().collect()
    };
    found.sort_unstable_by_key(|a| (a.time, a.ip, a.evidence.raw));
    found
}

fn distinct(values: impl Iterator<Item = u128>) -> usize {
    let mut all: Vec<u128> = values.collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

fn median_gap_us(attempts: &[Attempt]) -> Option<i64> {
    let mut gaps: Vec<i64> = attempts.windows(2).map(|w| w[1].time.since(w[0].time)).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// "12 s", "7 min", "3 h", "5 days".
pub(crate) fn span(us: i64) -> String {
    let s = us.abs() / 1_000_000;
    match s {
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{} min", s / 60),
        7_200..=172_799 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    }
}
