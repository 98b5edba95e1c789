//! What is never touched. Built in, added to by the configuration, never taken from.

use crate::act::Act;
use crate::connector::{Order, Seen};
use crate::target::Target;
use crate::value::{Net, UserName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Why an order is not planned and not sent. Nothing overrides it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// `loopback`, `own_network`, `break_glass` …
    pub rule: String,
    pub why: String,
}

fn refusal(rule: &str, why: impl Into<String>) -> Refusal {
    Refusal { rule: rule.to_owned(), why: why.into() }
}

/// What makes an order heavier than it looks; it asks for a higher approval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// A range and not one address.
    Range,
    /// An inner address.
    Inner,
    /// Others of the company use the address, or many people share it (NAT, relay, cloud).
    Shared,
    /// A privileged account.
    Privileged,
    /// A service account: what runs with it stops.
    ServiceAccount,
    /// A role or service that more than one person uses.
    Many,
}

impl Weight {
    pub fn says(self) -> &'static str {
        match self {
            Weight::Range => "a range, not one address",
            Weight::Inner => "an inner address",
            Weight::Shared => "an address that others use",
            Weight::Privileged => "a privileged account",
            Weight::ServiceAccount => "a service account",
            Weight::Many => "it hits more than one person",
        }
    }
}

/// What is known of an address beyond the case.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Other accounts of the company that logged in from it within 30 days.
    pub others: u32,
    /// `mobile`, `relay`, `commercial VPN`, `cloud` … where many people share the address.
    pub class: String,
}

/// The widest ranges that are blocked at all.
pub const WIDEST_V4: u8 = 24;
pub const WIDEST_V6: u8 = 48;

/// Ranges that no configuration can open.
const NEVER: [(&str, &str, &str); 12] = [
    ("127.0.0.0/8", "loopback", "loopback"),
    ("::1/128", "loopback", "loopback"),
    ("0.0.0.0/8", "unspecified", "this network"),
    ("::/128", "unspecified", "the unspecified address"),
    ("169.254.0.0/16", "link_local", "link-local, and the metadata service of clouds"),
    ("fe80::/10", "link_local", "link-local"),
    ("224.0.0.0/4", "multicast", "multicast"),
    ("ff00::/8", "multicast", "multicast"),
    ("240.0.0.0/4", "reserved", "reserved, and the broadcast address"),
    ("100.100.100.200/32", "link_local", "the metadata service of a cloud"),
    ("fd00:ec2::254/128", "link_local", "the metadata service of a cloud"),
    ("192.0.0.0/24", "reserved", "protocol assignments"),
];

/// Account names that are never disabled, whatever a directory says of them.
const NEVER_ACCOUNTS: [&str; 6] =
    ["root", "krbtgt", "system", "nt authority\\system", "localsystem", "portreeve"];

/// Everything that is protected. Built once per run; only grows.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    nets: Vec<(Net, &'static str, String)>,
    accounts: BTreeMap<String, (&'static str, String)>,
    devices: BTreeMap<String, String>,
    privileged: BTreeSet<String>,
    service: BTreeSet<String>,
    shared: BTreeMap<String, Shared>,
    /// Accounts that log in; for limits in percent.
    pub active_users: Option<u32>,
}

/// One spelling of an account name for comparison: small letters, without domain and realm.
pub fn fold(name: &str) -> String {
    let lower = name.to_lowercase();
    let short = lower.rsplit_once('\\').map_or(lower.as_str(), |(_, n)| n);
    let short = short.split_once('@').map_or(short, |(n, _)| n);
    short.to_owned()
}

impl Guard {
    pub fn new() -> Guard {
        let mut guard = Guard::default();
        for (net, rule, why) in NEVER {
            if let Ok(net) = net.parse::<Net>() {
                guard.nets.push((net, rule, why.to_owned()));
            }
        }
        for name in NEVER_ACCOUNTS {
            guard.accounts.insert(name.to_owned(), ("built_in", "a built-in account".to_owned()));
        }
        guard
    }

    /// An address or range that is ours: `rule` names the kind (`own_egress`, `gateway`, `resolver`, `operator`,
    /// `connector`, `identity_provider`, `never_touch`).
    pub fn protect_net(&mut self, net: Net, rule: &'static str, why: impl Into<String>) {
        self.nets.push((net, rule, why.into()));
    }

    pub fn protect_account(&mut self, name: &str, rule: &'static str, why: impl Into<String>) {
        self.accounts.insert(fold(name), (rule, why.into()));
    }

    pub fn protect_device(&mut self, name: &str, why: impl Into<String>) {
        self.devices.insert(name.to_lowercase(), why.into());
    }

    pub fn privileged(&mut self, name: &str) {
        self.privileged.insert(fold(name));
    }

    pub fn service_account(&mut self, name: &str) {
        self.service.insert(fold(name));
    }

    pub fn shared(&mut self, ip: IpAddr, shared: Shared) {
        self.shared.insert(Net::host(ip).to_string(), shared);
    }

    /// Addresses that this machine and its operator hold: interfaces, gateway and resolvers, the operator's own
    /// line (`SSH_CLIENT`). What cannot be read protects nothing and stops nothing; `doctor` lists what was found.
    pub fn protect_this_machine(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |guard: &mut Guard, text: &str, rule: &'static str, why: &str| {
            if let Ok(net) = text.parse::<Net>() {
                found.push(format!("{net} ({why})"));
                guard.protect_net(net, rule, why);
            }
        };
        if let Ok(client) = std::env::var("SSH_CLIENT")
            && let Some(ip) = client.split_whitespace().next()
        {
            add(self, ip, "operator", "the address from which you are working");
        }
        if let Ok(resolv) = std::fs::read_to_string("/etc/resolv.conf") {
            for line in resolv.lines() {
                if let Some(ip) = line.trim().strip_prefix("nameserver") {
                    add(self, ip.trim(), "resolver", "a name server of this machine");
                }
            }
        }
        // Interfaces' IPv4 addresses are the local ones of the kernel's table of routes.
        if let Ok(trie) = std::fs::read_to_string("/proc/net/fib_trie") {
            let mut last = String::new();
            for line in trie.lines() {
                let line = line.trim();
                if let Some(ip) = line.strip_prefix("|-- ") {
                    last = ip.to_owned();
                } else if line.contains("host LOCAL") {
                    add(self, &last, "own_address", "an address of this machine");
                }
            }
        }
        if let Ok(table) = std::fs::read_to_string("/proc/net/if_inet6") {
            for hex in table.lines().filter_map(|l| l.split_whitespace().next()) {
                if let Ok(bits) = u128::from_str_radix(hex, 16) {
                    let ip = std::net::Ipv6Addr::from(bits);
                    add(self, &ip.to_string(), "own_address", "an address of this machine");
                }
            }
        }
        if let Ok(routes) = std::fs::read_to_string("/proc/net/route") {
            for line in routes.lines().skip(1) {
                let mut columns = line.split_whitespace().skip(1);
                if let (Some("00000000"), Some(gateway)) = (columns.next(), columns.next())
                    && let Ok(bits) = u32::from_str_radix(gateway, 16)
                    && bits != 0
                {
                    let ip = std::net::Ipv4Addr::from(bits.swap_bytes());
                    add(self, &ip.to_string(), "gateway", "the default gateway of this machine");
                }
            }
        }
        found
    }

    /// May this order be planned and sent? Every reason against it, and what makes it heavy.
    pub fn check(&self, order: &Order) -> Result<Vec<Weight>, Vec<Refusal>> {
        let mut against = Vec::new();
        let mut weights = Vec::new();
        match &order.target {
            Target::Address { net } => self.address(*net, &mut against, &mut weights),
            Target::Session(stay) => {
                if !stay.is_named() {
                    against.push(refusal(
                        "empty_target",
                        "nothing names one session; it would mean all of them",
                    ));
                }
                if let Some(public) = stay.public {
                    self.session_address(public, order.act, &mut against);
                }
                if stay.user.is_none() && stay.inner.is_none() && stay.id.is_none() && stay.mac.is_none() {
                    against.push(refusal("empty_target", "an address alone does not name a session"));
                }
            }
            Target::Device(device) => {
                if device.host.is_none() && device.id.is_none() && device.mac.is_none() {
                    against
                        .push(refusal("empty_target", "nothing names one device; it would mean all of them"));
                }
                if let Some(host) = &device.host
                    && let Some(why) = self.device(host.raw())
                {
                    against.push(refusal("never_touch", format!("{host}: {why}")));
                }
            }
            Target::Role { .. } | Target::Service { .. } => weights.push(Weight::Many),
            Target::Account { .. } | Target::Key { .. } => {}
        }
        if let Some(user) = order.target.user() {
            self.account(user, order.act, &mut against, &mut weights);
        }
        if against.is_empty() {
            weights.sort_unstable();
            weights.dedup();
            Ok(weights)
        } else {
            Err(against)
        }
    }

    /// The same for what the device resolved the name to: ids that are a protected account under another spelling.
    pub fn check_resolved(&self, order: &Order, seen: &Seen) -> Result<(), Vec<Refusal>> {
        let harms = harms_account(order.act);
        let found: Vec<Refusal> = seen
            .ids
            .iter()
            .flat_map(|id| std::iter::once(id.as_str()).chain(common_name(id)))
            .filter_map(|id| {
                if harms && let Some((rule, why)) = self.accounts.get(&fold(id)) {
                    return Some(refusal(rule, format!("resolved to {id}: {why}")));
                }
                if order.act == Act::IsolateDevice
                    && let Some(why) = self.device(id)
                {
                    return Some(refusal("never_touch", format!("resolved to {id}: {why}")));
                }
                None
            })
            .collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn device(&self, name: &str) -> Option<&String> {
        let lower = name.to_lowercase();
        let short = lower.split('.').next().unwrap_or("");
        self.devices.get(&lower).or_else(|| self.devices.get(short))
    }

    fn address(&self, net: Net, against: &mut Vec<Refusal>, weights: &mut Vec<Weight>) {
        let widest = if net.is_v4() { WIDEST_V4 } else { WIDEST_V6 };
        if net.net().prefix_len() < widest {
            against.push(refusal("too_wide", format!("{net} is wider than /{widest}")));
        }
        if let Some(v4) = net.embedded_v4()
            && v4.net().prefix_len() < WIDEST_V4
        {
            against.push(refusal(
                "too_wide",
                format!("{net} stands for {v4}, which is wider than /{WIDEST_V4}"),
            ));
        }
        // IPv4 in NAT64 and 6to4 clothes is the same host.
        for net in std::iter::once(net).chain(net.embedded_v4()) {
            for (protected, rule, why) in &self.nets {
                if protected.overlaps(net) {
                    against.push(refusal(rule, format!("{net} overlaps {protected}: {why}")));
                }
            }
        }
        if !net.is_host() {
            weights.push(Weight::Range);
        }
        if is_inner(net) {
            weights.push(Weight::Inner);
        }
        let shared = self.shared.iter().any(|(ip, s)| {
            ip.parse::<Net>().is_ok_and(|ip| ip.overlaps(net)) && (s.others > 0 || !s.class.is_empty())
        });
        if shared {
            weights.push(Weight::Shared);
        }
    }

    /// Ending sessions from an address is light, but never the operator's own.
    fn session_address(&self, net: Net, act: Act, against: &mut Vec<Refusal>) {
        if act == Act::TerminateSession {
            for (protected, rule, why) in &self.nets {
                if *rule == "operator" && protected.overlaps(net) {
                    against.push(refusal(rule, format!("{net}: {why}")));
                }
            }
        }
    }

    fn account(&self, user: &UserName, act: Act, against: &mut Vec<Refusal>, weights: &mut Vec<Weight>) {
        let folded = fold(user.raw());
        if harms_account(act)
            && let Some((rule, why)) =
                self.accounts.get(&folded).or_else(|| self.accounts.get(&user.raw().to_lowercase()))
        {
            against.push(refusal(rule, format!("{user}: {why}")));
        }
        if act == Act::DisableAccount && self.privileged.contains(&folded) {
            let others = self
                .privileged
                .iter()
                .filter(|p| **p != folded && self.accounts.get(*p).is_none_or(|(r, _)| *r != "disabled"))
                .count();
            if others == 0 {
                against.push(refusal(
                    "last_administrator",
                    format!("{user} is the last administrator that is known"),
                ));
            }
        }
        if self.privileged.contains(&folded) {
            weights.push(Weight::Privileged);
        }
        if self.service.contains(&folded) {
            weights.push(Weight::ServiceAccount);
        }
    }

    /// How many addresses and accounts are protected, for `doctor`.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.nets.len(), self.accounts.len(), self.devices.len())
    }

    /// What is known of an address.
    pub fn shared_by(&self, net: Net) -> Option<&Shared> {
        self.shared.get(&net.to_string())
    }
}

/// Acts that take something from the account's owner; ending a session is not among them, for it is asked for again
/// at once.
fn harms_account(act: Act) -> bool {
    !matches!(act, Act::TerminateSession | Act::BlockAddress | Act::CollectForensics | Act::EnforceMfa)
}

/// The first name in a distinguished name: `CN=anna` of `CN=anna,OU=x`.
fn common_name(id: &str) -> Option<&str> {
    let first = id.split(',').next()?;
    first.split_once('=').map(|(_, value)| value)
}

fn is_inner(net: Net) -> bool {
    match net.net().addr() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.segments().first().is_some_and(|s| s & 0xfe00 == 0xfc00),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Device, Stay};

    fn order(act: Act, target: Target) -> Order {
        Order { act, target, until: None, mark: "m".into(), case: "c".into() }
    }

    fn block(guard: &Guard, net: &str) -> Result<Vec<Weight>, Vec<String>> {
        guard
            .check(&order(Act::BlockAddress, Target::address(net.parse().unwrap())))
            .map_err(|r| r.into_iter().map(|r| r.rule).collect())
    }

    #[test]
    fn what_is_never_blocked() {
        let guard = Guard::new();
        for (net, rule) in [
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("64:ff9b::7f00:1", "loopback"),
            ("2002:7f00:1::/48", "loopback"),
            ("169.254.169.254", "link_local"),
            ("fe80::1", "link_local"),
            ("0.0.0.0", "unspecified"),
            ("255.255.255.255", "reserved"),
            ("198.51.0.0/23", "too_wide"),
            ("2001:db8::/47", "too_wide"),
        ] {
            let rules = block(&guard, net).unwrap_err();
            assert!(rules.iter().any(|r| r == rule), "{net}: {rules:?}");
        }
        assert!(block(&guard, "0.0.0.0/0").is_err());
        assert!(block(&guard, "::/0").is_err());
        assert_eq!(block(&guard, "198.51.100.7"), Ok(vec![]));
        assert_eq!(block(&guard, "198.51.100.0/24"), Ok(vec![Weight::Range]));
        assert_eq!(block(&guard, "10.1.2.3"), Ok(vec![Weight::Inner]));
    }

    #[test]
    fn overlap_counts_in_both_directions() {
        let mut guard = Guard::new();
        guard.protect_net("198.51.100.16/28".parse().unwrap(), "own_egress", "the office");
        assert!(block(&guard, "198.51.100.20").is_err());
        assert!(block(&guard, "198.51.100.0/24").is_err());
        assert!(block(&guard, "198.51.100.32").is_ok());
        assert!(block(&guard, "64:ff9b::c633:6414").is_err(), "198.51.100.20 through NAT64");
    }

    #[test]
    fn accounts_are_protected_under_every_spelling() {
        let mut guard = Guard::new();
        guard.protect_account("Break.Glass", "break_glass", "for emergencies");
        for name in ["break.glass", "CORP\\BREAK.GLASS", "break.glass@corp.example", "Root"] {
            let refused =
                guard.check(&order(Act::DisableAccount, Target::account(UserName::new(name).unwrap())));
            assert!(refused.is_err(), "{name}");
        }
        let seen = Seen { ids: vec!["CN=Break.Glass,OU=Admins,DC=corp".into()], ..Seen::default() };
        let o = order(Act::DisableAccount, Target::account(UserName::new("bg").unwrap()));
        assert!(guard.check(&o).is_ok());
        assert_eq!(guard.check_resolved(&o, &seen).unwrap_err()[0].rule, "break_glass");
    }

    #[test]
    fn the_last_administrator_stays() {
        let mut guard = Guard::new();
        guard.privileged("adm-anna");
        let o = order(Act::DisableAccount, Target::account(UserName::new("adm-anna").unwrap()));
        assert_eq!(guard.check(&o).unwrap_err()[0].rule, "last_administrator");
        guard.privileged("adm-bert");
        assert_eq!(guard.check(&o), Ok(vec![Weight::Privileged]));
        guard.protect_account("adm-bert", "disabled", "disabled already");
        assert!(guard.check(&o).is_err(), "an account that is disabled administers nothing");
    }

    #[test]
    fn nothing_named_is_not_everything() {
        let guard = Guard::new();
        assert!(guard.check(&order(Act::TerminateSession, Target::Session(Stay::default()))).is_err());
        let public = Stay { public: Some("198.51.100.7".parse().unwrap()), ..Stay::default() };
        assert!(guard.check(&order(Act::TerminateSession, Target::Session(public))).is_err());
        assert!(guard.check(&order(Act::IsolateDevice, Target::Device(Device::default()))).is_err());
    }
}
