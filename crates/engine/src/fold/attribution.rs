//! Who held which address, and who was on which host: leases answer for events that name only an address.

use crate::memo::Map;
use portreeve_model::time::{DAY_US, MINUTE_US};
use portreeve_model::{EventTime, Ip, Sym};
use std::sync::Arc;

/// Holders remembered per address.
const HOLDERS: usize = 8;
/// Clocks of a gateway and of what lies behind it may differ by this much.
pub const SKEW_US: i64 = 2 * MINUTE_US;
/// A tunnel whose end nobody logged holds its address at most this long.
const OPEN_LEASE_US: i64 = DAY_US;
/// How far after a logon on a host its onward movement still belongs to the session.
const REACH_US: i64 = DAY_US;
const REACHED: usize = 16;

/// A principal's session held this address from `since` to `until`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Holder {
    pub principal: Sym,
    pub session: usize,
    pub since: EventTime,
    /// `None` while it is held.
    pub until: Option<EventTime>,
}

/// A session reached a host as this account.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reached {
    pub principal: Sym,
    pub session: usize,
    pub user: Sym,
    pub time: EventTime,
    pub depth: u8,
}

/// Addresses and hosts, each with its latest holders.
#[derive(Clone, Default)]
pub struct Attribution {
    tunnels: Map<Ip, Arc<Vec<Holder>>>,
    hosts: Map<Sym, Arc<Vec<Reached>>>,
    /// Device names of DHCP leases and 802.1X by address.
    devices: Map<Ip, (Sym, EventTime)>,
    pub evicted: u64,
}

impl Attribution {
    /// A tunnel address was given; whoever held it before holds it no more.
    pub fn lease(&mut self, ip: Ip, principal: Sym, session: usize, since: EventTime) {
        let holders = self.tunnels.entry(ip).or_default();
        if holders.last().is_some_and(|h| h.principal == principal && h.session == session) {
            return;
        }
        let holders = Arc::make_mut(holders);
        if let Some(last) = holders.last_mut().filter(|h| h.until.is_none()) {
            last.until = Some(since);
        }
        if holders.len() == HOLDERS {
            holders.remove(0);
            self.evicted += 1;
        }
        holders.push(Holder { principal, session, since, until: None });
    }

    pub fn release(&mut self, ip: Ip, principal: Sym, session: usize, at: EventTime) {
        let mine = |h: &&mut Holder| h.principal == principal && h.session == session;
        let holders = self.tunnels.get_mut(&ip).map(Arc::make_mut);
        if let Some(holder) = holders.and_then(|all| all.iter_mut().rev().find(mine)) {
            holder.until = Some(holder.until.map_or(at, |u| u.min(at)));
        }
    }

    /// Who held the address at that time, within the skew of two clocks.
    pub fn holder(&self, ip: Ip, at: EventTime) -> Option<Holder> {
        let holders = self.tunnels.get(&ip)?;
        let held = |h: &&Holder| {
            let until = h.until.unwrap_or(h.since.plus(OPEN_LEASE_US));
            h.since.minus(SKEW_US) <= at && at <= until.plus(SKEW_US)
        };
        // Exactly held beats held within the skew.
        let exact = |h: &&Holder| h.since <= at && h.until.is_none_or(|u| at <= u);
        holders
            .iter()
            .rev()
            .find(|h| held(h) && exact(h))
            .or_else(|| holders.iter().rev().find(held))
            .copied()
    }

    /// Was this address ever given to a tunnel?
    pub fn was_leased(&self, ip: Ip) -> bool {
        self.tunnels.contains_key(&ip)
    }

    pub fn reach(&mut self, host: Sym, reached: Reached) {
        let all = Arc::make_mut(self.hosts.entry(host).or_default());
        if let Some(known) = all.iter_mut().find(|r| {
            r.principal == reached.principal && r.session == reached.session && r.user == reached.user
        }) {
            known.time = known.time.max(reached.time);
            return;
        }
        if all.len() == REACHED {
            all.remove(0);
            self.evicted += 1;
        }
        all.push(reached);
    }

    /// The session that was on this host as this account within the last day, the latest first. An unset user
    /// matches any: then only a host reached by a single principal answers.
    pub fn on_host(&self, host: Sym, user: Sym, at: EventTime) -> Option<Reached> {
        let all = self.hosts.get(&host)?;
        let recent = |r: &&Reached| r.time <= at.plus(SKEW_US) && at.since(r.time) <= REACH_US;
        if user.is_some() {
            return all
                .iter()
                .filter(recent)
                .filter(|r| r.user == user)
                .max_by_key(|r| (r.time, r.session))
                .copied();
        }
        let mut found = all.iter().filter(recent);
        let first = found.next()?;
        let latest = found.try_fold(first, |best, r| {
            (r.principal == first.principal).then_some(if r.time >= best.time { r } else { best })
        });
        latest.copied()
    }

    /// The session that alone entered this host from outside within the last hours: what leaves the host then under
    /// another account is likely its doing. A host that several people enter says nothing.
    pub fn sole_entry(&self, host: Sym, at: EventTime) -> Option<Reached> {
        const HOURS_US: i64 = 4 * 60 * MINUTE_US;
        let recent =
            |r: &&Reached| r.depth == 0 && r.time <= at.plus(SKEW_US) && at.since(r.time) <= HOURS_US;
        let mut entries = self.hosts.get(&host)?.iter().filter(recent);
        let first = entries.next()?;
        let mut latest = *first;
        for r in entries {
            if r.principal != first.principal {
                return None;
            }
            latest = if r.time >= latest.time { *r } else { latest };
        }
        // Somebody else at home on the host: then its traffic is not the intruder's alone.
        let others = self
            .hosts
            .get(&host)?
            .iter()
            .any(|r| r.principal != first.principal && at.since(r.time).abs() <= HOURS_US);
        (!others).then_some(latest)
    }

    pub fn device(&mut self, ip: Ip, device: Sym, at: EventTime) {
        self.devices.insert(ip, (device, at));
    }

    pub fn device_at(&self, ip: Ip) -> Option<Sym> {
        self.devices.get(&ip).map(|(d, _)| *d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_address_changes_hands() {
        let (ip, anna, bob) = (Ip::v4(10, 8, 0, 7), Sym(1), Sym(2));
        let at = |m: i64| EventTime(m * MINUTE_US);
        let mut a = Attribution::default();
        a.lease(ip, anna, 0, at(0));
        a.lease(ip, bob, 0, at(60));
        assert_eq!(a.holder(ip, at(30)).map(|h| h.principal), Some(anna));
        assert_eq!(a.holder(ip, at(60)).map(|h| h.principal), Some(bob));
        assert_eq!(a.holder(ip, at(-2)).map(|h| h.principal), Some(anna)); // exactly the skew is inside
        assert_eq!(a.holder(ip, EventTime(-2 * MINUTE_US - 1)), None);
        a.release(ip, bob, 0, at(90));
        assert_eq!(a.holder(ip, at(92)).map(|h| h.principal), Some(bob));
        assert_eq!(a.holder(ip, EventTime(92 * MINUTE_US + 1)), None);
    }

    #[test]
    fn an_unnamed_user_on_a_shared_host_is_nobody() {
        let (host, anna, bob) = (Sym(9), Sym(1), Sym(2));
        let mut a = Attribution::default();
        let reached =
            |principal, t| Reached { principal, session: 0, user: principal, time: EventTime(t), depth: 1 };
        a.reach(host, reached(anna, 10));
        assert_eq!(a.on_host(host, Sym::NONE, EventTime(20)).map(|r| r.principal), Some(anna));
        a.reach(host, reached(bob, 15));
        assert_eq!(a.on_host(host, Sym::NONE, EventTime(20)), None);
        assert_eq!(a.on_host(host, bob, EventTime(20)).map(|r| r.principal), Some(bob));
    }
}
