//! Is a second factor fully enforced on all remote access? Per service, group and account: how many logins with one,
//! without, and not known, with the reasons; what to enforce next.
//!
//! A login counts once. Unknown is never no, and never yes: a service is called fully enforced only where every login is
//! shown with a factor.

mod factors;
mod login;
mod tally;

use factors::{Gather, STALE_DAYS, Visit};
use portreeve_engine::Engine;
use portreeve_engine::correlate::Rules;
use portreeve_engine::detect::Subject;
use portreeve_engine::detect::ops::mfa::policy_of;
use portreeve_engine::fold::infrastructure::SeenKind;
use portreeve_model::event::Service;
use portreeve_model::facts::{Account, AccountKind, MfaPolicy, Status};
use portreeve_model::mfa_audit::{Because, Counts, Kind, LoggingRow, MfaAudit, UserRow};
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Sym};
use std::collections::BTreeMap;
use tally::{At, Services, User, Whose};

/// The time asked about, both ends included. What lies before it still tells what was usual.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    pub since: EventTime,
    pub until: EventTime,
}

impl Period {
    fn holds(&self, at: EventTime) -> bool {
        self.since <= at && at <= self.until
    }
}

/// Audits everything that the engine took in.
pub fn audit(engine: &Engine<'_>, rules: &Rules, period: Period) -> MfaAudit {
    let mut found = MfaAudit::default();
    let Some((first, last)) = engine.span() else { return found };
    let period = Period { since: period.since.max(first), until: period.until.min(last) };
    if period.until < period.since {
        found.missing.push(format!(
            "logins: the logs reach from {first} to {last}, and none lies in the time asked for"
        ));
        return found;
    }
    (found.from, found.until) = (Some(period.since), Some(period.until));
    let (mut services, mut gather) = (Services::default(), Gather::default());
    let mut unlogged: BTreeMap<String, u64> = BTreeMap::new();
    for dossier in engine.dossiers_in_order() {
        let account = engine.context().account(dossier.principal);
        if account.kind == AccountKind::Machine {
            continue;
        }
        let whose = whose(&engine.name(account.name), &engine.name(account.role), &account);
        let (mut user, mut visits) = (User::default(), Vec::new());
        engine.each_session(dossier, rules, &mut |seen| {
            let s = seen.subject;
            if !login::is_login(s, seen.entered) {
                return;
            }
            visits.push(Visit::of(s.session, seen.suspicious));
            if !period.holds(s.session.start) {
                return;
            }
            let login = login::of(s);
            found.totals.add(login.kind, login.factor);
            let source = engine.name(s.session.source);
            // Where no record names a gateway or tenant, the product stands for it.
            let gateway = engine.name(s.session.gateway.or(s.session.source));
            user.add(s, &login, &gateway);
            if login.kind == Kind::Unknown && matches!(login.because, Because::NotLogged | Because::Key) {
                *unlogged.entry(source.clone()).or_default() += 1;
            }
            let from_public = login::from_public(s);
            let at = At {
                service: s.session.service,
                gateway: &gateway,
                group: engine.name(s.session.group),
                source,
                required: required(s),
                from_public,
                whose,
            };
            services.add(s, &login, at);
        });
        gather.account(engine, dossier, &account, &visits, &period);
        if user.logins() > 0 {
            let row = user.row(&|sym: Sym| engine.name(sym), &account);
            match whose {
                Whose::Person => found.users.push(row),
                Whose::ServiceAccount => found.service_accounts.push(row),
                Whose::BreakGlass => found.break_glass.push(row),
            }
        }
    }
    (found.services, found.enforce_next) = services.rows();
    for users in [&mut found.users, &mut found.service_accounts, &mut found.break_glass] {
        users.sort_by(|a, b| order(b).cmp(&order(a)).then_with(|| a.name.cmp(&b.name)));
    }
    found.factors = gather.done();
    found.logging = unlogged
        .into_iter()
        .map(|(source, logins)| LoggingRow { source, logins, ..LoggingRow::default() })
        .collect();
    found.logging.sort_by(|a, b| b.logins.cmp(&a.logins).then_with(|| a.source.cmp(&b.source)));
    found.missing = missing(engine, &found.totals, period);
    found
}

/// Those with most to close first; privileged ones before others.
fn order(row: &UserRow) -> (bool, bool, u64, u64) {
    (row.counts.without > 0, row.privileged == Some(true), row.counts.without, row.counts.unknown)
}

fn required(s: &Subject<'_>) -> Option<bool> {
    match policy_of(s) {
        MfaPolicy::Required => Some(true),
        MfaPolicy::NotRequired => Some(false),
        MfaPolicy::Unknown => None,
    }
}

/// Break-glass accounts by their role in users.csv, or by their name; service accounts as the directory or the name says.
fn whose(name: &str, role: &str, account: &Account) -> Whose {
    let emergency = |text: &str| {
        let bare: String = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        bare.contains("breakglass") || bare.contains("emergencyaccess")
    };
    if emergency(name) || emergency(role) {
        Whose::BreakGlass
    } else if account.kind == AccountKind::Service || account.status == Status::Service {
        Whose::ServiceAccount
    } else {
        Whose::Person
    }
}

/// What the answers lack.
fn missing(engine: &Engine<'_>, totals: &Counts, period: Period) -> Vec<String> {
    let mut all = Vec::new();
    let coverage = engine.coverage();
    let seen = engine.seen_kinds();
    if totals.logins == 0 {
        all.push("logins: none in this time; nothing can be said of any service".to_owned());
    }
    if !coverage.mfa_policy {
        all.push("mfa_policy.csv: not given; where a second factor is demanded is unknown".to_owned());
    }
    if !coverage.directory {
        all.push("users.csv: not given; which accounts are privileged is unknown".to_owned());
    }
    if !coverage.egress {
        all.push("egress.csv: not given; own addresses count as public ones".to_owned());
    }
    if !seen.any(SeenKind::MfaProvider) && !seen.any(SeenKind::Service(Service::Idp)) {
        all.push(
            "identity provider: none of its logs is here; what gateways leave to it stays unknown".to_owned(),
        );
    }
    let held = engine.span().map_or(0, |(first, _)| period.until.since(first)) / DAY_US;
    if held < STALE_DAYS {
        all.push(format!(
            "stale factors: the logs cover {held} days of the {STALE_DAYS} that they take to show"
        ));
    }
    let dropped: u64 = engine.evicted().iter().filter(|(k, _)| *k == "dossier records").map(|(_, n)| n).sum();
    if dropped > 0 {
        all.push(format!(
            "steps of factors: {dropped} of the oldest were dropped to stay within budget; logins before them are \
             unknown where only those would tell; audit a shorter time"
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_counted_apart_by_directory_or_name() {
        let person = Account::default();
        let service = Account { kind: AccountKind::Service, ..Account::default() };
        let listed = Account { status: Status::Service, ..Account::default() };
        for (name, role, account, wanted) in [
            ("anna", "Accountant", &person, Whose::Person),
            ("breakglass-01", "", &person, Whose::BreakGlass),
            ("admin2", "Break-Glass account", &person, Whose::BreakGlass),
            ("admin3", "Emergency access", &service, Whose::BreakGlass),
            ("glassbreaker", "Break room manager", &person, Whose::Person),
            ("svc_scan", "", &service, Whose::ServiceAccount),
            ("scanner", "", &listed, Whose::ServiceAccount),
        ] {
            assert_eq!(whose(name, role, account), wanted, "{name} {role}");
        }
    }
}
