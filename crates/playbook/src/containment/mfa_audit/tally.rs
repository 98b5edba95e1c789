//! Counting logins per service, group and account.

use super::login::Login;
use portreeve_engine::detect::Subject;
use portreeve_model::case::EvidenceLine;
use portreeve_model::event::{Factor, Service};
use portreeve_model::mfa_audit::{Because, Counts, EnforceRow, GroupRow, Kind, Reason, ServiceRow, UserRow};
use portreeve_model::signal::Evidence;
use portreeve_model::{EventTime, Sym};
use std::collections::{BTreeMap, BTreeSet};

/// Records shown of a reason.
const EXAMPLES: usize = 2;

/// Whose login it is, for counting apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    Person,
    ServiceAccount,
    BreakGlass,
}

/// Distinct accounts. They come one after the other, so that the last one tells whether another is new.
#[derive(Default)]
struct Accounts {
    last: Option<Sym>,
    number: u64,
}

impl Accounts {
    fn add(&mut self, account: Sym) {
        if self.last != Some(account) {
            self.last = Some(account);
            self.number += 1;
        }
    }
}

#[derive(Default)]
struct Cause {
    logins: u64,
    accounts: Accounts,
    /// In order of time and record.
    examples: Vec<Evidence>,
}

#[derive(Default)]
struct Reasons(BTreeMap<(Kind, Because), Cause>);

impl Reasons {
    fn add(&mut self, login: &Login, account: Sym) {
        let cause = self.0.entry((login.kind, login.because)).or_default();
        cause.logins += 1;
        cause.accounts.add(account);
        let shown = login.kind.is_open() || login.kind == Kind::Claimed;
        if let Some(evidence) = login.evidence.filter(|_| shown) {
            cause.examples.push(evidence);
            cause.examples.sort_unstable();
            cause.examples.truncate(EXAMPLES);
        }
    }

    /// What is open first, and within a kind the commonest.
    fn rows(self) -> Vec<Reason> {
        let row = |((kind, because), cause): ((Kind, Because), Cause)| Reason {
            kind,
            because,
            logins: cause.logins,
            accounts: cause.accounts.number,
            examples: cause.examples.into_iter().map(line).collect(),
        };
        let mut rows: Vec<Reason> = self.0.into_iter().map(row).collect();
        rows.sort_by_key(|r| (r.kind.urgency(), std::cmp::Reverse(r.logins), r.because));
        rows
    }
}

pub(super) fn line(evidence: Evidence) -> EvidenceLine {
    EvidenceLine { time: evidence.time, raw: evidence.raw, ..EvidenceLine::default() }
}

#[derive(Default)]
struct Group {
    required: Option<bool>,
    counts: Counts,
    accounts: Accounts,
    reasons: Reasons,
    without: Without,
}

/// Logins without a factor that enforcing one would end.
#[derive(Default)]
struct Without {
    logins: u64,
    from_public: u64,
    accounts: Accounts,
    privileged: Accounts,
    service_accounts: Accounts,
    because: BTreeMap<Because, u64>,
}

#[derive(Default)]
struct ServiceTally {
    sources: BTreeSet<String>,
    counts: Counts,
    service_accounts: u64,
    break_glass: u64,
    accounts: Accounts,
    groups: BTreeMap<String, Group>,
}

/// Logins by service and gateway.
#[derive(Default)]
pub(super) struct Services(BTreeMap<(Service, String), ServiceTally>);

/// What is counted of one login, besides the login itself.
pub(super) struct At<'a> {
    pub(super) service: Service,
    pub(super) gateway: &'a str,
    pub(super) group: String,
    pub(super) source: String,
    pub(super) required: Option<bool>,
    pub(super) from_public: bool,
    pub(super) whose: Whose,
}

impl Services {
    pub(super) fn add(&mut self, s: &Subject<'_>, login: &Login, at: At<'_>) {
        let account = s.session.principal;
        let service = self.0.entry((at.service, at.gateway.to_owned())).or_default();
        if !at.source.is_empty() {
            service.sources.insert(at.source);
        }
        service.counts.add(login.kind, login.factor);
        service.accounts.add(account);
        service.service_accounts += u64::from(at.whose == Whose::ServiceAccount);
        service.break_glass += u64::from(at.whose == Whose::BreakGlass);
        let group = service.groups.entry(at.group).or_default();
        group.required = at.required;
        group.counts.add(login.kind, login.factor);
        group.accounts.add(account);
        group.reasons.add(login, account);
        if login.kind == Kind::Without && at.whose != Whose::BreakGlass {
            let without = &mut group.without;
            without.logins += 1;
            without.from_public += u64::from(at.from_public);
            without.accounts.add(account);
            if s.account.privileged == Some(true) {
                without.privileged.add(account);
            }
            if at.whose == Whose::ServiceAccount {
                without.service_accounts.add(account);
            }
            *without.because.entry(login.because).or_default() += 1;
        }
    }

    /// Services with what stands against them, and what to enforce next.
    pub(super) fn rows(self) -> (Vec<ServiceRow>, Vec<EnforceRow>) {
        let (mut services, mut enforce) = (Vec::new(), Vec::new());
        for ((service, gateway), tally) in self.0 {
            let mut groups = Vec::new();
            for (name, group) in tally.groups {
                if group.without.logins > 0 {
                    let mut because: Vec<(Because, u64)> = group.without.because.into_iter().collect();
                    because.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
                    enforce.push(EnforceRow {
                        service,
                        gateway: gateway.clone().into(),
                        group: name.clone().into(),
                        required: group.required,
                        without: group.without.logins,
                        from_public: group.without.from_public,
                        accounts: group.without.accounts.number,
                        privileged: group.without.privileged.number,
                        service_accounts: group.without.service_accounts.number,
                        because,
                    });
                }
                groups.push(GroupRow {
                    group: name.into(),
                    required: group.required,
                    counts: group.counts,
                    accounts: group.accounts.number,
                    reasons: group.reasons.rows(),
                });
            }
            services.push(ServiceRow {
                service,
                gateway: gateway.into(),
                sources: tally.sources.into_iter().collect(),
                counts: tally.counts,
                service_accounts: tally.service_accounts,
                break_glass: tally.break_glass,
                accounts: tally.accounts.number,
                standing: tally.counts.standing(),
                groups,
            });
        }
        // Logins from public addresses, times one more than the privileged accounts among them.
        let removed = |r: &EnforceRow| r.from_public.saturating_mul(r.privileged + 1);
        enforce.sort_by(|a, b| {
            (removed(b), b.without)
                .cmp(&(removed(a), a.without))
                .then_with(|| (a.service, &a.gateway, &a.group).cmp(&(b.service, &b.gateway, &b.group)))
        });
        (services, enforce)
    }
}

/// The logins of one account.
#[derive(Default)]
pub(super) struct User {
    counts: Counts,
    services: BTreeMap<(Service, String), Counts>,
    factors: BTreeSet<Factor>,
    reasons: Reasons,
    last: EventTime,
    last_open: Option<EventTime>,
}

impl User {
    pub(super) fn add(&mut self, s: &Subject<'_>, login: &Login, gateway: &str) {
        let session = s.session;
        self.counts.add(login.kind, login.factor);
        let counts = self.services.entry((session.service, gateway.to_owned())).or_default();
        counts.add(login.kind, login.factor);
        if login.kind == Kind::With && login.factor != Factor::None {
            self.factors.insert(login.factor);
        }
        self.reasons.add(login, session.principal);
        self.last = self.last.max(session.start);
        if login.kind.is_open() {
            self.last_open = self.last_open.max(Some(session.start));
        }
    }

    pub(super) fn logins(&self) -> u64 {
        self.counts.logins
    }

    pub(super) fn row(self, s: &dyn Fn(Sym) -> String, account: &portreeve_model::facts::Account) -> UserRow {
        UserRow {
            name: s(account.name).into(),
            department: s(account.department).into(),
            role: s(account.role).into(),
            status: account.status.name().to_owned(),
            privileged: account.privileged,
            listed: account.listed,
            counts: self.counts,
            services: self.services.into_iter().map(|((s, g), c)| (s, g.into(), c)).collect(),
            factors: self.factors.into_iter().collect(),
            reasons: self.reasons.rows(),
            last: self.last,
            last_open: self.last_open,
        }
    }
}
