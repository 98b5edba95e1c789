//! What became better and worse between two audits.

use super::wire::{AuditFile, Logins, Period, Service, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Against an earlier audit. What is as it was stands in neither list.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The time of the earlier audit.
    pub before: Period,
    pub totals_before: Logins,
    pub services: Vec<ServiceChange>,
    pub users: Vec<UserChange>,
    /// Services and accounts that are as they were.
    pub unchanged_services: u64,
    pub unchanged_users: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ServiceChange {
    /// `worse`, `mixed`, `better`, `new`, `gone`.
    pub change: String,
    pub service: String,
    pub gateway: String,
    pub standing_before: Option<String>,
    pub standing: Option<String>,
    pub before: Option<Logins>,
    pub now: Option<Logins>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct UserChange {
    /// `worse`, `mixed`, `better`, `new`, `gone`.
    pub change: String,
    pub name: String,
    pub before: Option<Logins>,
    pub now: Option<Logins>,
}

/// In the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Change {
    Worse,
    Mixed,
    Better,
    New,
    Gone,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Worse => "worse",
            Change::Mixed => "mixed",
            Change::Better => "better",
            Change::New => "new",
            Change::Gone => "gone",
        }
    }
}

pub(super) fn difference(before: &AuditFile, now: &AuditFile) -> Difference {
    let service = |s: &Service| ((s.service.clone(), s.gateway.clone()), s.counts);
    let (services, unchanged_services) =
        changes(before.services.iter().map(service), now.services.iter().map(service));
    let (users, unchanged_users) = changes(people(before), people(now));
    let standing = |file: &AuditFile, service: &str, gateway: &str| {
        let mut all = file.services.iter();
        all.find(|s| s.service == service && s.gateway == gateway).map(|s| s.standing.clone())
    };
    Difference {
        before: before.period.clone(),
        totals_before: before.totals,
        services: services
            .into_iter()
            .map(|(change, (service, gateway), was, is)| ServiceChange {
                change: change.name().to_owned(),
                standing_before: standing(before, &service, &gateway),
                standing: standing(now, &service, &gateway),
                service,
                gateway,
                before: was,
                now: is,
            })
            .collect(),
        users: users
            .into_iter()
            .map(|(change, name, was, is)| UserChange {
                change: change.name().to_owned(),
                name,
                before: was,
                now: is,
            })
            .collect(),
        unchanged_services,
        unchanged_users,
    }
}

/// Every account, whichever table it stands in.
fn people(file: &AuditFile) -> impl Iterator<Item = (String, Logins)> {
    let all = file.users.iter().chain(&file.service_accounts).chain(&file.break_glass);
    all.map(|u: &User| (u.name.clone(), u.counts))
}

type Changed<K> = (Change, K, Option<Logins>, Option<Logins>);

fn changes<K: Ord + Clone>(
    before: impl Iterator<Item = (K, Logins)>,
    now: impl Iterator<Item = (K, Logins)>,
) -> (Vec<Changed<K>>, u64) {
    let mut sides: BTreeMap<K, (Option<Logins>, Option<Logins>)> = BTreeMap::new();
    for (key, counts) in before {
        sides.entry(key).or_default().0 = Some(counts);
    }
    for (key, counts) in now {
        sides.entry(key).or_default().1 = Some(counts);
    }
    let (mut found, mut unchanged) = (Vec::new(), 0);
    for (key, (was, is)) in sides {
        match change(was.as_ref(), is.as_ref()) {
            Some(change) => found.push((change, key, was, is)),
            None => unchanged += 1,
        }
    }
    // What has most logins without a factor now first, within its kind of change; names are in order already.
    found.sort_by_key(|(change, _, _, is)| (*change, std::cmp::Reverse(is.map_or(0, |c| c.without))));
    (found, unchanged)
}

fn change(was: Option<&Logins>, is: Option<&Logins>) -> Option<Change> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (was, is) = match (was, is) {
        (None, _) => return Some(Change::New),
        (_, None) => return Some(Change::Gone),
        (Some(was), Some(is)) => (was, is),
    };
    let step = |n: fn(&Logins) -> u64| step(share(n(was), was.logins), share(n(is), is.logins));
    let (without, unknown) = (step(|c| c.without), step(|c| c.unknown));
    // An assertion is less than a factor that was seen, and more than not knowing.
    let asserted = step(|c| c.claimed.saturating_add(c.delegated));
    match (without, unknown, asserted) {
        (Equal, Equal, Equal) => None,
        (Less | Equal, Less | Equal, Less | Equal) => Some(Change::Better),
        (Greater | Equal, Greater | Equal, Greater | Equal) => Some(Change::Worse),
        (Less | Equal, Less | Equal, Greater) => Some(Change::Better),
        (Greater | Equal, Greater | Equal, Less) => Some(Change::Worse),
        _ => Some(Change::Mixed),
    }
}

/// In percent; any is more than none.
fn share(n: u64, of: u64) -> u64 {
    if n == 0 || of == 0 {
        return 0;
    }
    let share = u128::from(n) * 100 / u128::from(of);
    u64::try_from(share).unwrap_or(u64::MAX).max(1)
}

/// Two periods never have the same share: it moved where it moved by so much, or where none became any or any none.
const MOVED_PERCENT: u64 = 10;

fn step(was: u64, is: u64) -> std::cmp::Ordering {
    let moved = (was == 0) != (is == 0) || was.abs_diff(is) >= MOVED_PERCENT;
    if moved { is.cmp(&was) } else { std::cmp::Ordering::Equal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(logins: u64, without: u64, unknown: u64) -> Logins {
        Logins { logins, with: logins - without - unknown, without, unknown, ..Logins::default() }
    }

    #[test]
    fn shares_are_held_against_each_other_not_numbers() {
        let of = |was: Logins, is: Logins| change(Some(&was), Some(&is));
        assert_eq!(of(logins(100, 10, 0), logins(200, 20, 0)), None);
        assert_eq!(of(logins(100, 20, 0), logins(200, 20, 0)), Some(Change::Better));
        assert_eq!(of(logins(100, 20, 0), logins(100, 29, 0)), None);
        assert_eq!(of(logins(100, 20, 0), logins(100, 30, 0)), Some(Change::Worse));
        // One of a thousand is not none.
        assert_eq!(of(logins(1_000, 0, 0), logins(1_000, 1, 0)), Some(Change::Worse));
        assert_eq!(of(logins(1_000, 1, 0), logins(1_000, 0, 0)), Some(Change::Better));
        // What was unknown turned out to be without: neither.
        assert_eq!(of(logins(100, 0, 50), logins(100, 50, 0)), Some(Change::Mixed));
    }

    #[test]
    fn new_and_gone() {
        let was = [("a", logins(1, 0, 0)), ("b", logins(1, 0, 0))];
        let is = [("b", logins(1, 0, 0)), ("c", logins(1, 1, 0))];
        let (found, unchanged) = changes(was.into_iter(), is.into_iter());
        let found: Vec<_> = found.iter().map(|(change, key, ..)| (*change, *key)).collect();
        assert_eq!(found, [(Change::New, "c"), (Change::Gone, "a")]);
        assert_eq!(unchanged, 1);
    }

    #[test]
    fn numbers_of_a_forged_file_are_only_numbers() {
        let huge = Logins {
            without: u64::MAX,
            claimed: u64::MAX,
            delegated: u64::MAX,
            logins: 1,
            ..Logins::default()
        };
        assert_eq!(change(Some(&huge), Some(&logins(1, 0, 0))), Some(Change::Better));
        assert_eq!(change(Some(&Logins::default()), Some(&logins(1, 1, 0))), Some(Change::Worse));
    }
}
