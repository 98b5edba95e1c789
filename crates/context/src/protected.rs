//! What the context says about whom and what containment must not touch lightly.

use crate::Tables;
use portreeve_model::Ip;
use portreeve_model::facts::{AccountKind, Context, Status};
use portreeve_model::net::NetworkClass;

/// One account with all its spellings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub names: Vec<String>,
    pub privileged: bool,
    pub service: bool,
    /// Disabled or departed: administers nothing any more.
    pub gone: bool,
    /// An account for emergencies, by its role or department.
    pub break_glass: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Protected {
    /// Own egress as ranges in the usual notation, with their labels.
    pub egress: Vec<(String, String)>,
    pub accounts: Vec<Standing>,
    /// Hosts whose isolation would stop everybody: domain controllers, hypervisors, gateways.
    pub hosts: Vec<String>,
    /// Accounts in use; `None` without a directory.
    pub active_users: Option<u32>,
}

impl Tables {
    pub fn protected(&self) -> Protected {
        let text = |sym| self.names.text(sym).to_string();
        let mut out = Protected::default();
        for (cidr, label) in &self.egress_cidrs {
            let range = match cidr.base.to_std() {
                std::net::IpAddr::V4(ip) => format!("{ip}/{}", cidr.bits.saturating_sub(96)),
                std::net::IpAddr::V6(ip) => format!("{ip}/{}", cidr.bits),
            };
            out.egress.push((range, text(*label)));
        }
        let mut active = 0;
        let mut accounts: Vec<_> = self.accounts.values().filter(|a| a.listed).collect();
        accounts.sort_by_key(|a| text(a.name));
        for account in accounts {
            let gone = matches!(account.status, Status::Disabled | Status::Terminated);
            let service = account.status == Status::Service || account.kind == AccountKind::Service;
            active += u32::from(!gone && !service);
            let words = format!("{} {}", text(account.role), text(account.department)).to_lowercase();
            out.accounts.push(Standing {
                names: std::iter::once(account.name)
                    .chain(account.aliases.iter().copied())
                    .map(text)
                    .collect(),
                privileged: account.privileged == Some(true),
                service,
                gone,
                break_glass: ["break glass", "break-glass", "breakglass", "emergency access"]
                    .iter()
                    .any(|w| words.contains(w)),
            });
        }
        out.active_users = (!out.accounts.is_empty()).then_some(active);
        let mut hosts: Vec<String> =
            self.hosts.values().filter(|h| h.tier0 || h.entry_point).map(|h| text(h.name)).collect();
        hosts.sort();
        hosts.dedup();
        out.hosts = hosts;
        out
    }

    /// The kind of network of an address, where many people may share one: mobile, relay, commercial VPN, hosting.
    pub fn shared_class(&self, ip: std::net::IpAddr) -> Option<&'static str> {
        let place = self.place(Ip::from(ip));
        matches!(
            place.class,
            NetworkClass::Mobile
                | NetworkClass::Relay
                | NetworkClass::CommercialVpn
                | NetworkClass::Satellite
        )
        .then(|| place.class.name())
    }
}
