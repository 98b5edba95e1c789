//! Guessing is slow: failed sign-ins are counted by account, by address, and by the two together, and each further one
//! locks for twice as long.
//!
//! An attempt is counted as failed *before* the password is looked at, under one lock, and taken back when it turns out
//! right; a thousand attempts at the same moment are a thousand counts. Names that do not exist are counted like those
//! that do, so a lock says nothing about a name.
//!
//! Whoever fails at another's account from his own address locks himself out of it long before he locks its owner out:
//! the count over all addresses is more generous, and its lock short.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// When a count locks, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Failures until the first lock.
    pub free: u32,
    pub first_lock_s: u32,
    pub longest_lock_s: u32,
    /// Without a failure for so long, all is forgotten.
    pub forget_s: u32,
}

/// Failures of one account, address or pair. Pure, so that a store that several nodes share can keep it in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    pub failures: u32,
    /// Of the last attempt.
    pub last: i64,
    pub locked_until: i64,
}

/// Try again later. The same for names that exist and names that do not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("too many failed attempts; try again in {seconds} s")]
pub struct Locked {
    pub seconds: u32,
}

const SECOND: i64 = 1_000_000;

impl Tally {
    /// Is an attempt allowed now? It is counted as failed at once.
    pub fn attempt(&mut self, policy: Policy, now: i64) -> Result<(), Locked> {
        self.open(now)?;
        if self.is_forgotten(policy, now) {
            *self = Tally::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        if let Some(doublings) = self.failures.checked_sub(policy.free.max(1)) {
            let lock = u64::from(policy.first_lock_s) << doublings.min(31);
            let lock = lock.min(u64::from(policy.longest_lock_s));
            self.locked_until =
                now.saturating_add(i64::try_from(lock).unwrap_or(i64::MAX).saturating_mul(SECOND));
        }
        Ok(())
    }

    fn open(&self, now: i64) -> Result<(), Locked> {
        let left = self.locked_until.saturating_sub(now);
        if left <= 0 {
            return Ok(());
        }
        Err(Locked { seconds: u32::try_from(left.div_ceil_by(SECOND)).unwrap_or(u32::MAX) })
    }

    /// Takes one attempt back, which turned out right.
    pub fn take_back(&mut self, policy: Policy) {
        self.failures = self.failures.saturating_sub(1);
        if self.failures < policy.free {
            self.locked_until = 0;
        }
    }

    fn is_forgotten(&self, policy: Policy, now: i64) -> bool {
        self.locked_until <= now && now.saturating_sub(self.last) > i64::from(policy.forget_s) * SECOND
    }
}

trait DivCeil {
    fn div_ceil_by(self, by: i64) -> i64;
}

impl DivCeil for i64 {
    /// For what is above zero.
    fn div_ceil_by(self, by: i64) -> i64 {
        self / by + i64::from(self % by != 0)
    }
}

/// The three counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policies {
    /// One account from one address.
    pub pair: Policy,
    /// One account from anywhere.
    pub account: Policy,
    /// One address at any account.
    pub address: Policy,
}

impl Default for Policies {
    fn default() -> Policies {
        let hour = 60 * 60;
        Policies {
            pair: Policy { free: 5, first_lock_s: 30, longest_lock_s: 12 * hour, forget_s: 24 * hour },
            account: Policy { free: 50, first_lock_s: 30, longest_lock_s: hour / 4, forget_s: 24 * hour },
            address: Policy { free: 30, first_lock_s: 60, longest_lock_s: 12 * hour, forget_s: 24 * hour },
        }
    }
}

/// Counts of one node, in memory of a fixed bound.
pub struct Limiter {
    policies: Policies,
    capacity: usize,
    tallies: Mutex<HashMap<Digest, (Kind, Tally)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Pair,
    Account,
    Address,
}

/// Tallies kept at most: about 80 bytes each.
pub const CAPACITY: usize = 100_000;

/// An attempt that was let through. Dropped, it stays counted as failed.
#[must_use = "an attempt counts as failed unless `passed` is called"]
pub struct Attempt<'l> {
    limiter: &'l Limiter,
    keys: [(Kind, Digest); 3],
}

impl Attempt<'_> {
    /// Everything was right, the last factor included: called after the password alone, it would let who knows the
    /// password guess codes for ever.
    pub fn passed(self) {
        self.limiter.passed(&self.keys);
    }
}

impl Limiter {
    pub fn new(policies: Policies) -> Limiter {
        Limiter::with_capacity(policies, CAPACITY)
    }

    pub fn with_capacity(policies: Policies, capacity: usize) -> Limiter {
        Limiter { policies, capacity: capacity.max(16), tallies: Mutex::new(HashMap::new()) }
    }

    /// Before a password, a code or a key is looked at. `account` is the name as it was typed.
    pub fn attempt(&self, account: &str, address: IpAddr, now: i64) -> Result<Attempt<'_>, Locked> {
        let keys = keys(account, address);
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        // All three are asked before one is counted: who is locked out does not lock others out by knocking on.
        let locked = keys.iter().filter_map(|(_, key)| tallies.get(key)?.1.open(now).err()).max();
        if let Some(locked) = locked {
            return Err(locked);
        }
        if tallies.len() + keys.len() > self.capacity {
            self.make_room(&mut tallies, now);
        }
        for (kind, key) in keys {
            let (_, tally) = tallies.entry(key).or_insert((kind, Tally::default()));
            tally.attempt(self.policy(kind), now)?;
        }
        Ok(Attempt { limiter: self, keys })
    }

    fn passed(&self, keys: &[(Kind, Digest); 3]) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, key) in keys {
            // Who has the account's secrets is its owner. An address has only this one attempt back, or a guesser would
            // clear his address with an account of his own.
            if *kind == Kind::Address {
                if let Some((_, tally)) = tallies.get_mut(key) {
                    tally.take_back(self.policy(*kind));
                }
            } else {
                tallies.remove(key);
            }
        }
    }

    fn policy(&self, kind: Kind) -> Policy {
        match kind {
            Kind::Pair => self.policies.pair,
            Kind::Account => self.policies.account,
            Kind::Address => self.policies.address,
        }
    }

    /// First what is forgotten anyway; then an eighth: what is not locked and failed least, so that many made-up names do
    /// not wash a lock away.
    fn make_room(&self, tallies: &mut HashMap<Digest, (Kind, Tally)>, now: i64) {
        tallies.retain(|_, (kind, tally)| !tally.is_forgotten(self.policy(*kind), now));
        let most = self.capacity - self.capacity / 8;
        if tallies.len() > most {
            let mut by_weight: Vec<_> = tallies
                .iter()
                .map(|(key, (_, t))| (t.locked_until.max(now), t.failures, t.last, *key))
                .collect();
            by_weight.sort_unstable();
            for (.., key) in by_weight.iter().take(tallies.len() - most) {
                tallies.remove(key);
            }
        }
    }

    /// Tallies held now.
    pub fn held(&self) -> usize {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn keys(account: &str, address: IpAddr) -> [(Kind, Digest); 3] {
    let account = account.trim().to_lowercase();
    let address = network(address).to_string();
    [
        (Kind::Pair, Digest::of(format!("pair\n{address}\n{account}").as_bytes())),
        (Kind::Account, Digest::of(format!("account\n{account}").as_bytes())),
        (Kind::Address, Digest::of(format!("address\n{address}").as_bytes())),
    ]
}

/// What one customer of a provider has: an IPv4 address, or an IPv6 /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    const NOW: i64 = 1_700_000_000 * SECOND;
    const RULE: Policy = Policy { free: 3, first_lock_s: 10, longest_lock_s: 60, forget_s: 1000 };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limiter() -> Limiter {
        Limiter::new(Policies::default())
    }

    fn fail(limiter: &Limiter, account: &str, address: &str, now: i64) -> Result<(), Locked> {
        limiter.attempt(account, ip(address), now).map(drop)
    }

    #[test]
    fn each_further_failure_locks_twice_as_long() {
        let mut tally = Tally::default();
        for _ in 0..3 {
            tally.attempt(RULE, NOW).unwrap();
        }
        let mut now = NOW;
        for lock in [10, 20, 40, 60, 60] {
            assert_eq!(tally.attempt(RULE, now), Err(Locked { seconds: lock }), "just failed");
            let almost = now + i64::from(lock) * SECOND - 1;
            assert_eq!(tally.attempt(RULE, almost), Err(Locked { seconds: 1 }));
            now += i64::from(lock) * SECOND;
            tally.attempt(RULE, now).unwrap();
        }
        assert!(tally.attempt(RULE, now + 1001 * SECOND).is_ok());
        assert_eq!(tally.failures, 1, "forgotten");
    }

    #[test]
    fn a_burst_at_one_moment_does_not_pass() {
        let limiter = limiter();
        let passed = AtomicU32::new(0);
        let threads = 32;
        let barrier = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..50 {
                        if fail(&limiter, "anna", "192.0.2.1", NOW).is_ok() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), Policies::default().pair.free);
    }

    #[test]
    fn success_clears_the_account_and_not_the_address() {
        let limiter = limiter();
        for _ in 0..4 {
            fail(&limiter, "anna", "192.0.2.1", NOW).unwrap();
        }
        limiter.attempt("Anna ", ip("192.0.2.1"), NOW).unwrap().passed();
        for _ in 0..5 {
            fail(&limiter, "anna", "192.0.2.1", NOW).unwrap();
        }
        assert!(fail(&limiter, "anna", "192.0.2.1", NOW).is_err());
        // A guesser's own account, signed in to after each guess, does not clear his address.
        let limiter = self::limiter();
        let mut guesses = 0;
        for n in 0..1000 {
            let Ok(attempt) = limiter.attempt("mallory", ip("192.0.2.9"), NOW) else { break };
            attempt.passed();
            if fail(&limiter, &format!("name{n}"), "192.0.2.9", NOW).is_ok() {
                guesses += 1;
            }
        }
        assert_eq!(guesses, Policies::default().address.free);
    }

    #[test]
    fn a_guesser_locks_himself_out_and_not_the_owner() {
        let limiter = limiter();
        while fail(&limiter, "anna", "203.0.113.7", NOW).is_ok() {}
        assert!(fail(&limiter, "anna", "192.0.2.1", NOW).is_ok(), "her own address");
        assert!(fail(&limiter, "bert", "203.0.113.7", NOW).is_ok(), "a colleague behind the same address");
    }

    #[test]
    fn many_addresses_lock_the_account_for_a_quarter_of_an_hour_at_most() {
        let limiter = limiter();
        let mut passed = 0;
        for n in 0..1000 {
            let address = format!("198.51.{}.{}", n / 250, n % 250 + 1);
            passed += u32::from(fail(&limiter, "anna", &address, NOW).is_ok());
        }
        assert_eq!(passed, Policies::default().account.free);
        let later = NOW + 15 * 60 * SECOND;
        assert!(fail(&limiter, "anna", "192.0.2.1", later).is_ok());
    }

    #[test]
    fn one_line_has_one_count() {
        let limiter = limiter();
        for n in 0..5 {
            fail(&limiter, "anna", &format!("2001:db8:0:1::{n}"), NOW).unwrap();
        }
        assert!(fail(&limiter, "anna", "2001:db8:0:1:ffff::1", NOW).is_err(), "the same /64");
        assert!(fail(&limiter, "anna", "2001:db8:0:2::1", NOW).is_ok(), "the next one");
        for _ in 0..5 {
            fail(&limiter, "bert", "192.0.2.1", NOW).unwrap();
        }
        assert!(
            fail(&limiter, "bert", "::ffff:192.0.2.1", NOW).is_err(),
            "the same, as a socket may write it"
        );
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_names_does_not_wash_a_lock_away() {
        let limiter = Limiter::with_capacity(Policies::default(), 1000);
        while fail(&limiter, "anna", "192.0.2.1", NOW).is_ok() {}
        for n in 0..20_000u32 {
            let address = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
            let _counted = fail(&limiter, &format!("name{n}"), &address, NOW + 1);
            assert!(limiter.held() <= 1000);
        }
        assert!(fail(&limiter, "anna", "192.0.2.1", NOW + 2).is_err());
    }

    proptest! {
        #[test]
        fn within_any_day_only_so_many_guesses_pass(gaps in proptest::collection::vec(0i64..4000, 0..400)) {
            let limiter = limiter();
            let (mut now, mut passed) = (NOW, Vec::new());
            for gap in gaps {
                now += gap * SECOND;
                if fail(&limiter, "anna", "192.0.2.1", now).is_ok() {
                    passed.push(now);
                }
            }
            // Five free ones, eleven between locks that double from 30 s (17 hours in all), then one every twelve hours.
            for window in passed.windows(5 + 11 + 1) {
                prop_assert!(window[16] - window[0] > 24 * 3600 * SECOND);
            }
        }

        #[test]
        fn any_name_is_counted(account in "\\PC{0,80}", now in 0..=i64::MAX) {
            let limiter = limiter();
            prop_assert!(fail(&limiter, &account, "192.0.2.1", now).is_ok());
        }
    }
}
