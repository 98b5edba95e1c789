//! Sources, gateways and the organisation: who attempted what from where, and what all accounts together use.

use crate::memo::Map;
use crate::trail::Trail;
use portreeve_model::event::{Act, Event, Mac, Service};
use portreeve_model::signal::Evidence;
use portreeve_model::{EventTime, Ip, Sym};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attempts kept per source and per account; older ones are only counted.
pub const ATTEMPTS: usize = 192;
/// Sources kept, and attempts of them all; beyond it, half of those that never succeeded go, longest ago first.
const SOURCES: usize = 200_000;
pub const ATTEMPTS_OF_ALL: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attempt {
    pub time: EventTime,
    /// Canonical account, for a source; unset where masked.
    pub account: Sym,
    pub ip: Ip,
    pub service: Service,
    pub times: u16,
    pub blocked_after_password: bool,
    pub no_such_user: bool,
    pub evidence: Evidence,
}

/// What one address tried.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Source {
    pub attempts: Trail<Attempt, ATTEMPTS>,
    /// Failures in all, those kept and those not.
    pub failures: u64,
    pub first: EventTime,
    pub last: EventTime,
    /// First success per account from this address.
    pub successes: Vec<(EventTime, Sym)>,
    /// Distinct remote ports or hosts it was denied at (sweeps).
    pub denied: u64,
}

/// First use of a value by an account, for organisation counts as of a time.
#[derive(Clone)]
pub struct FirstUses<K> {
    uses: Map<K, Arc<Vec<(EventTime, Sym)>>>,
}

impl<K> Default for FirstUses<K> {
    fn default() -> Self {
        FirstUses { uses: Map::default() }
    }
}

impl<K: std::hash::Hash + Eq> FirstUses<K> {
    pub fn add(&mut self, value: K, principal: Sym, at: EventTime) {
        let all = self.uses.entry(value).or_default();
        // Most uses are not the first: then nothing is written, and what clones share stays shared.
        match all.iter().position(|(_, p)| *p == principal) {
            Some(known) if all[known].0 <= at => {}
            Some(known) => Arc::make_mut(all)[known].0 = at,
            None if all.len() < 64 => Arc::make_mut(all).push((at, principal)),
            None => {}
        }
    }

    /// How many other accounts had used it before that time (64 at most).
    pub fn others_before(&self, value: &K, principal: Sym, at: EventTime) -> usize {
        self.uses.get(value).map_or(0, |all| all.iter().filter(|(t, p)| *p != principal && *t < at).count())
    }
}

/// Which kinds of log spoke, and when: what makes the difference between no and unknown.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Seen {
    /// By kind of evidence, first and last time and number of events.
    spans: BTreeMap<SeenKind, (EventTime, EventTime, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SeenKind {
    /// Logons, connections or commands inside.
    Inner,
    /// An MFA provider's own log.
    MfaProvider,
    Edr,
    Commands,
    Directory,
    Nac,
    Service(Service),
}

impl Seen {
    fn note(&mut self, kind: SeenKind, at: EventTime) {
        let span = self.spans.entry(kind).or_insert((at, at, 0));
        span.0 = span.0.min(at);
        span.1 = span.1.max(at);
        span.2 += 1;
    }

    pub fn any(&self, kind: SeenKind) -> bool {
        self.spans.contains_key(&kind)
    }

    /// Did this kind of log speak in or around the span, within `slack_us`?
    pub fn covers(&self, kind: SeenKind, from: EventTime, to: EventTime, slack_us: i64) -> bool {
        self.spans
            .get(&kind)
            .is_some_and(|(first, last, _)| *first <= to.plus(slack_us) && *last >= from.minus(slack_us))
    }

    pub fn span(&self, kind: SeenKind) -> Option<(EventTime, EventTime)> {
        self.spans.get(&kind).map(|(a, b, _)| (*a, *b))
    }
}

/// A change on a gateway or in the organisation's policy.
#[derive(Clone, PartialEq, Debug)]
pub struct GatewayChange {
    pub event: Event,
    /// Canonical account that did it, and the one that it was done to.
    pub actor: Sym,
    pub target: Sym,
}

/// An EDR alert on a host.
#[derive(Clone, Debug)]
pub struct HostAlert {
    /// The person whom the alert names, canonical; unset where it names the system or nobody.
    pub person: Sym,
    pub event: Event,
}

#[derive(Clone, Default)]
pub struct Infrastructure {
    pub sources: Map<Ip, Arc<Source>>,
    pub seen: Seen,
    pub asns: FirstUses<u32>,
    pub countries: FirstUses<[u8; 2]>,
    pub addresses: FirstUses<Ip>,
    pub devices: FirstUses<Sym>,
    /// (host, department or unset) first reached by accounts.
    pub hosts: FirstUses<(Sym, Sym)>,
    /// (right, department) first used by accounts.
    pub rights: FirstUses<(Sym, Sym)>,
    /// Who last showed a hardware address with 802.1X; as many as the company has devices.
    pub dot1x: Map<Mac, Sym>,
    /// Accounts created, made administrators or given rights, by canonical name of the object.
    pub created: Map<Sym, Arc<Vec<GatewayChange>>>,
    /// Alerts by canonical host.
    pub host_alerts: Map<Sym, Arc<Vec<HostAlert>>>,
    pub evicted_sources: u64,
    /// Attempts that sources hold.
    attempts: usize,
    /// So many sources and attempts are held before any goes; 0 for the budget. More where nearly all succeeded, or each
    /// new one would look for others in vain.
    room: (usize, usize),
}

impl Infrastructure {
    pub fn source(&mut self, ip: Ip, at: EventTime) -> &mut Source {
        let room = (self.room.0.max(SOURCES), self.room.1.max(ATTEMPTS_OF_ALL));
        if self.attempts >= room.1 || self.sources.len() >= room.0 && !self.sources.contains_key(&ip) {
            self.evict();
        }
        let begun = || Arc::new(Source { first: at, last: at, ..Source::default() });
        let source = Arc::make_mut(self.sources.entry(ip).or_insert_with(begun));
        source.last = source.last.max(at);
        source
    }

    /// An attempt from an address.
    pub fn fail(&mut self, attempt: Attempt) {
        let source = self.source(attempt.ip, attempt.time);
        source.failures += u64::from(attempt.times.max(1));
        let dropped = source.attempts.push(attempt);
        self.attempts += usize::from(!dropped);
    }

    /// Drops the older half of the sources that never succeeded. Decided by event time alone, so the same in
    /// every run.
    fn evict(&mut self) {
        let mut ages: Vec<(EventTime, Ip)> = self
            .sources
            .iter()
            .filter(|(_, s)| s.successes.is_empty())
            .map(|(ip, s)| (s.last, *ip))
            .collect();
        ages.sort_unstable();
        for (_, ip) in ages.iter().take(ages.len().div_ceil(2)) {
            self.attempts -= self.sources.remove(ip).map_or(0, |s| s.attempts.len());
            self.evicted_sources += 1;
        }
        self.room = (self.sources.len() / 4 * 5, self.attempts / 4 * 5);
    }

    pub fn note(&mut self, event: &Event) {
        let at = event.time;
        let inner = event.src_ip.is_some() && event.src_ip.is_private() && !event.src_ip.is_loopback();
        match event.act {
            Act::Logon | Act::Flow if inner => self.seen.note(SeenKind::Inner, at),
            Act::Exec => {
                self.seen.note(SeenKind::Commands, at);
                self.seen.note(SeenKind::Inner, at);
            }
            Act::Mfa => self.seen.note(SeenKind::MfaProvider, at),
            Act::Alert if event.service == Service::Edr => self.seen.note(SeenKind::Edr, at),
            Act::Nac => self.seen.note(SeenKind::Nac, at),
            _ => {}
        }
        if event.service == Service::Directory {
            self.seen.note(SeenKind::Directory, at);
            self.seen.note(SeenKind::Inner, at);
        }
        self.seen.note(SeenKind::Service(event.service), at);
    }
}

impl Source {
    pub fn succeed(&mut self, account: Sym, at: EventTime) {
        if self.successes.len() < 64 && !self.successes.iter().any(|(_, a)| *a == account) {
            self.successes.push((at, account));
        }
    }
}
