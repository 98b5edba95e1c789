//! What context knows, as the engine may ask it. The tables behind it are immutable for a run, so the same
//! question always has the same answer, whenever and on whichever thread it is asked.

use crate::event::Event;
use crate::intern::Sym;
use crate::net::Ip;
use crate::place::{Country, Place, Point};
use crate::time::EventTime;

/// One entry of a threat-intelligence list that was valid at the time asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntelHit {
    /// Which list or bundle.
    pub list: String,
    /// What the entry says: indicator name, comment, actor.
    pub label: String,
    /// When the list or the entry dates from, if it says.
    pub dated: Option<EventTime>,
    /// 0 to 100, as the list states or 50 where it states nothing.
    pub confidence: u8,
    /// The entry names an anonymiser (Tor exit) and not an attacker.
    pub anonymiser: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum AccountKind {
    #[default]
    Person,
    /// A second account of a person for administration (`adm-`, `a-`).
    AdminOfPerson,
    Service,
    Machine,
    /// Built-in, shared or generic: root, administrator, guest.
    Generic,
    Anonymous,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Status {
    /// Not in the directory, or no directory.
    #[default]
    Unknown,
    Active,
    OnLeave,
    Disabled,
    Terminated,
    Service,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Active => "active",
            Status::OnLeave => "on leave",
            Status::Disabled => "disabled",
            Status::Terminated => "terminated",
            Status::Service => "service",
        }
    }
}

/// The person or service behind an account name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Account {
    /// Canonical name: the key of the principal. Never [`Sym::NONE`] for a name that is one.
    pub name: Sym,
    pub kind: AccountKind,
    pub status: Status,
    /// Stands in the directory.
    pub listed: bool,
    pub aliases: Vec<Sym>,
    pub department: Sym,
    pub role: Sym,
    /// `None` where there is no directory.
    pub privileged: Option<bool>,
    pub home_country: Country,
    pub home_city: Sym,
    pub home: Option<Point>,
    pub start: Option<EventTime>,
    /// For an administrator's second account: the person (canonical). For the person: the second account.
    pub paired: Sym,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Criticality {
    #[default]
    Unknown,
    Low,
    Medium,
    High,
    Critical,
}

/// A host of the company.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Host {
    /// Canonical name: short, lower case.
    pub name: Sym,
    pub listed: bool,
    pub ip: Ip,
    pub owner: Sym,
    pub criticality: Criticality,
    /// "domain controller", "jump host", "laptop" … as the asset list says.
    pub kind: Sym,
    /// Domain controller, hypervisor, backup, certificate authority, identity: whoever holds it holds all.
    pub tier0: bool,
    /// People's own device.
    pub endpoint: bool,
    /// Reached from outside by design: bastion, jump host, gateway, published server.
    pub entry_point: bool,
}

/// Whether a service asks for a second factor, as policy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MfaPolicy {
    #[default]
    Unknown,
    Required,
    NotRequired,
}

/// Something in the context directory that explains an otherwise suspicious event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Explained {
    /// `authorized_testing.csv`.
    Testing { purpose: String },
    /// `tickets.csv`: a change or maintenance ticket of or for this person.
    Ticket { id: String, category: String, summary: String },
    /// `oncall.csv`.
    OnCall,
    /// `travel.csv`, valid for the place.
    Travel { country: String, city: String },
}

/// Which tables exist, so that a missing one gives `unknown (needs X)` and not `no`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    pub geo: bool,
    pub asn: bool,
    pub intel: bool,
    pub directory: bool,
    pub travel: bool,
    pub mfa_policy: bool,
    pub vpn_pools: bool,
    pub vlans: bool,
    pub assets: bool,
    pub egress: bool,
}

/// The questions that the engine and the playbook may ask. Implemented by the `context` crate over files, and
/// by [`NoContext`]. Answers depend on the arguments alone.
pub trait Context: Send + Sync {
    fn coverage(&self) -> Coverage;

    /// Where an address is and whose network it is. For a private address: its VLAN, pool or office label.
    fn place(&self, ip: Ip) -> Place;

    /// Entries of intelligence lists that name the address and were valid at that time.
    fn intel(&self, ip: Ip, at: EventTime) -> Vec<IntelHit>;

    /// The account behind a spelling. Every spelling has one, listed or not; `Sym::NONE` gives the default.
    fn account(&self, user: Sym) -> Account;

    /// The host behind a spelling (name, FQDN) or, with [`Context::host_of_ip`], an address.
    fn host(&self, name: Sym) -> Host;
    fn host_of_ip(&self, ip: Ip) -> Option<Host>;

    /// The gateway whose VPN pool holds the address.
    fn vpn_pool(&self, ip: Ip) -> Option<Sym>;

    /// Does this VLAN admit people of that department? `None` where no list tells.
    fn vlan_admits(&self, vlan: u16, department: Sym) -> Option<bool>;

    /// Policy for a login described by an event: service, gateway (observer) and group.
    fn mfa_policy(&self, event: &Event) -> MfaPolicy;

    /// Places announced for this account at that time (12 h before to 36 h after).
    fn travel(&self, account: Sym, at: EventTime) -> Vec<Place>;

    /// Own offices and egress points that are places.
    fn offices(&self) -> Vec<Place>;

    /// What explains an event of this account from this address at this time.
    fn explained(&self, account: Sym, ip: Ip, at: EventTime) -> Vec<Explained>;
}

/// No context directory at all: the program still works and says what it could not judge.
pub struct NoContext {
    table: std::sync::Arc<crate::intern::SymbolTable>,
}

impl NoContext {
    pub fn new(table: std::sync::Arc<crate::intern::SymbolTable>) -> Self {
        NoContext { table }
    }
}

impl Context for NoContext {
    fn coverage(&self) -> Coverage {
        Coverage::default()
    }

    fn place(&self, ip: Ip) -> Place {
        let class = if ip.is_some() && ip.is_private() {
            crate::net::NetworkClass::Private
        } else {
            crate::net::NetworkClass::Unknown
        };
        Place { class, ..Place::default() }
    }

    fn intel(&self, _: Ip, _: EventTime) -> Vec<IntelHit> {
        Vec::new()
    }

    fn account(&self, user: Sym) -> Account {
        let text = self.table.text(user);
        let (name, kind) = canonical_account(&text);
        Account { name: self.table.intern(&name), kind, ..Account::default() }
    }

    fn host(&self, name: Sym) -> Host {
        let text = self.table.text(name);
        Host { name: self.table.intern(&canonical_host(&text)), ..Host::default() }
    }

    fn host_of_ip(&self, _: Ip) -> Option<Host> {
        None
    }

    fn vpn_pool(&self, _: Ip) -> Option<Sym> {
        None
    }

    fn vlan_admits(&self, _: u16, _: Sym) -> Option<bool> {
        None
    }

    fn mfa_policy(&self, _: &Event) -> MfaPolicy {
        MfaPolicy::Unknown
    }

    fn travel(&self, _: Sym, _: EventTime) -> Vec<Place> {
        Vec::new()
    }

    fn offices(&self) -> Vec<Place> {
        Vec::new()
    }

    fn explained(&self, _: Sym, _: Ip, _: EventTime) -> Vec<Explained> {
        Vec::new()
    }
}

/// A spelling without a directory: domain and realm cut off, lower case, and what kind of account the name
/// itself betrays. `HELM\Anna`, `anna@helm.example` and `anna` are one; ARNs keep their last part.
pub fn canonical_account(spelling: &str) -> (String, AccountKind) {
    // A stray separator at the end separates nothing.
    let text = spelling.trim().trim_end_matches('\\');
    if text.starts_with("system:") {
        let kind = match text {
            "system:anonymous" => AccountKind::Anonymous,
            t if t.starts_with("system:serviceaccount:") => AccountKind::Service,
            _ => AccountKind::Machine,
        };
        return (text.to_ascii_lowercase(), kind);
    }
    let mut name = text;
    if name.starts_with("arn:") {
        name = name.rsplit('/').next().unwrap_or(name);
    }
    if let Some((_, account)) = name.rsplit_once('\\') {
        name = account;
    }
    if let Some((account, _)) = name.split_once('@').filter(|(account, _)| !account.is_empty()) {
        name = account;
    }
    if name.is_empty() {
        name = text;
    }
    let name = name.to_lowercase();
    let kind = account_kind(&name);
    (name, kind)
}

/// What a canonical (lower case, bare) name betrays by itself.
pub fn account_kind(name: &str) -> AccountKind {
    const SERVICE: [&str; 9] = ["svc_", "svc-", "svc.", "sa-", "sa_", "srv-", "srv_", "service-", "service_"];
    const ADMIN: [&str; 6] = ["adm-", "adm_", "adm.", "a-", "admin-", "da-"];
    const GENERIC: [&str; 13] = [
        "root",
        "administrator",
        "admin",
        "guest",
        "test",
        "user",
        "vpn",
        "backup",
        "operator",
        "support",
        "default",
        "oracle",
        "postgres",
    ];
    if name.ends_with('$') || name.starts_with("host/") || name == "pre-logon" {
        AccountKind::Machine
    } else if name == "anonymous" || name == "anonymous logon" {
        AccountKind::Anonymous
    } else if SERVICE.iter().any(|p| name.starts_with(p)) || name.ends_with("-svc") || name.ends_with("_svc")
    {
        AccountKind::Service
    } else if ADMIN.iter().any(|p| name.starts_with(p) && name.len() > p.len()) {
        AccountKind::AdminOfPerson
    } else if GENERIC.contains(&name) {
        AccountKind::Generic
    } else {
        AccountKind::Person
    }
}

/// Short, lower case: `MUC-DC01.ad.helm.example` and `muc-dc01` are one. Addresses stay whole.
pub fn canonical_host(spelling: &str) -> String {
    let text = spelling.trim().trim_start_matches('\\').trim_end_matches('$').trim_end_matches('.');
    if Ip::parse(text.as_bytes()).is_some() {
        return text.to_owned();
    }
    text.split('.').next().unwrap_or(text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_account() {
        for text in
            ["anna", "HELM\\Anna", "anna@helm.example", "ad.helm.example\\ANNA", "arn:aws:iam::1:user/anna"]
        {
            assert_eq!(canonical_account(text).0, "anna", "{text}");
        }
        assert_eq!(canonical_account("@odd").0, "@odd");
        assert_eq!(canonical_account("system:serviceaccount:ns:x").1, AccountKind::Service);
        assert_eq!(canonical_account("system:anonymous").1, AccountKind::Anonymous);
    }

    #[test]
    fn names_betray_their_kind() {
        assert_eq!(account_kind("svc_backup"), AccountKind::Service);
        assert_eq!(account_kind("adm-anna"), AccountKind::AdminOfPerson);
        assert_eq!(account_kind("web01$"), AccountKind::Machine);
        assert_eq!(account_kind("root"), AccountKind::Generic);
        assert_eq!(account_kind("adele"), AccountKind::Person);
    }

    #[test]
    fn hosts() {
        assert_eq!(canonical_host("MUC-DC01.ad.helm.example"), "muc-dc01");
        assert_eq!(canonical_host("10.1.2.3"), "10.1.2.3");
        assert_eq!(canonical_host("WEB01$"), "web01");
    }
}
