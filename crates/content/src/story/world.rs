//! `examples/world.yml`: the little company in which the examples of detections happen, as a context.

use portreeve_model::event::Event;
use portreeve_model::facts::{
    Account, AccountKind, Context, Coverage, Criticality, Explained, Host, IntelHit, MfaPolicy, Status,
    account_kind, canonical_host,
};
use portreeve_model::net::{Cidr, NetworkClass};
use portreeve_model::place::{Country, Place, Point};
use portreeve_model::{EventTime, Ip, Sym, SymbolTable};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The company as its file tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub(super) accounts: BTreeMap<String, Person>,
    places: BTreeMap<String, Spot>,
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) hosts: BTreeMap<String, Machine>,
    pools: BTreeMap<String, String>,
    vlans: BTreeMap<u16, Vec<String>>,
    mfa: Vec<Policy>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    #[serde(default)]
    department: String,
    #[serde(default)]
    home: Option<String>,
    #[serde(default)]
    status: Option<Standing>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    person: Option<String>,
    #[serde(default = "yes")]
    listed: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    OnLeave,
    Disabled,
    Terminated,
    Service,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Service,
    Generic,
    Anonymous,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spot {
    country: String,
    city: String,
    lat: f32,
    lon: f32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) ip: String,
    class: Class,
    place: String,
    asn: u32,
    name: String,
    /// On a list of threat intelligence with this confidence.
    #[serde(default)]
    confidence: Option<u8>,
    #[serde(default)]
    anonymiser: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Class {
    Own,
    Isp,
    Mobile,
    Hosting,
    CommercialVpn,
    Tor,
    Relay,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    #[serde(default)]
    pub(super) ip: Option<String>,
    kind: String,
    /// So many of them, numbered from 1.
    #[serde(default)]
    count: Option<u32>,
    #[serde(default = "yes")]
    listed: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    group: String,
    required: bool,
}

fn yes() -> bool {
    true
}

/// Reads the file and holds it to itself: places, persons and addresses that it names must be there.
pub(crate) fn read(text: &str) -> Result<World, String> {
    let world: World = yaml_serde::from_str(text).map_err(|e| e.to_string())?;
    let place = |of: &str, name: &str| match world.places.contains_key(name) {
        true => Ok(()),
        false => Err(format!("{of} is at {name}, which is no place")),
    };
    for (name, network) in &world.networks {
        place(name, &network.place)?;
        if !Ip::parse(network.ip.as_bytes()).is_public() {
            return Err(format!("network {name}: {} is no public address", network.ip));
        }
    }
    for (name, person) in &world.accounts {
        person.home.iter().try_for_each(|home| place(name, home))?;
        if let Some(of) = person.person.as_ref().filter(|p| !world.accounts.contains_key(*p)) {
            return Err(format!("account {name} belongs to {of}, who is not there"));
        }
    }
    for (name, host) in &world.hosts {
        if let Some(ip) = host.ip.as_ref().filter(|ip| !Ip::parse(ip.as_bytes()).is_private()) {
            return Err(format!("host {name}: {ip} is no inner address"));
        }
    }
    if let Some(cidr) = world.pools.keys().find(|c| Cidr::parse(c).is_none()) {
        return Err(format!("pool {cidr} is no prefix"));
    }
    Ok(world)
}

/// The world as the engine asks it.
pub struct WorldContext {
    names: Arc<SymbolTable>,
    accounts: BTreeMap<String, Account>,
    /// First address of each network's /24, with what lists say of it.
    networks: BTreeMap<Ip, (Place, Vec<IntelHit>)>,
    hosts: BTreeMap<String, Host>,
    pools: Vec<(Cidr, Sym)>,
    vlans: BTreeMap<u16, Vec<Sym>>,
    mfa: Vec<Policy>,
}

impl World {
    /// The address of a network's name, `home` or `home+3`.
    pub(super) fn address(&self, name: &str) -> Result<Ip, String> {
        let (name, plus) = name.split_once('+').unwrap_or((name, "0"));
        let plus: u8 = plus.parse().map_err(|_| format!("`{plus}` is no number of addresses"))?;
        let network = self.networks.get(name).ok_or_else(|| {
            let all: Vec<&str> = self.networks.keys().map(String::as_str).collect();
            format!("there is no network `{name}`; there are {}", all.join(", "))
        })?;
        Ok(Ip(Ip::parse(network.ip.as_bytes()).0 + u128::from(plus)))
    }

    /// The inner address of a host; unset where it has none.
    pub(super) fn host(&self, name: &str) -> Result<Ip, String> {
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if let Some(host) = self.hosts.get(name).filter(|h| h.count.is_none()) {
            return Ok(host.ip.as_ref().map_or(Ip::NONE, |ip| Ip::parse(ip.as_bytes())));
        }
        let number: Option<u32> = name[bare.len()..].parse().ok();
        match (self.hosts.get(bare), number) {
            (Some(host), Some(n)) if n >= 1 && host.count.is_some_and(|count| n <= count) => {
                let first = host.ip.as_ref().map_or(Ip::NONE, |ip| Ip::parse(ip.as_bytes()));
                Ok(if first.is_some() { Ip(first.0 + u128::from(n - 1)) } else { Ip::NONE })
            }
            _ => {
                let all: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
                Err(format!("there is no host `{name}`; there are {}", all.join(", ")))
            }
        }
    }

    /// The context of one story; the names go into its table.
    pub fn context(&self, names: &Arc<SymbolTable>) -> WorldContext {
        let mut accounts: BTreeMap<String, Account> =
            self.accounts.iter().map(|(name, p)| (name.clone(), self.account(name, p, names))).collect();
        for (name, person) in &self.accounts {
            let second = names.intern(name);
            if let Some(first) = person.person.as_ref().and_then(|p| accounts.get_mut(p)) {
                first.paired = second;
            }
        }
        let mut hosts = BTreeMap::new();
        for (name, machine) in &self.hosts {
            let numbered = (1..=machine.count.unwrap_or(0)).map(|n| format!("{name}{n}"));
            let all: Vec<String> = match machine.count {
                Some(_) => numbered.collect(),
                None => vec![name.clone()],
            };
            for name in all {
                let host = Host {
                    name: names.intern(&name),
                    listed: machine.listed,
                    ip: self.host(&name).unwrap_or_default(),
                    criticality: Criticality::Medium,
                    kind: names.intern(&machine.kind),
                    tier0: matches!(machine.kind.as_str(), "domain controller" | "identity"),
                    endpoint: matches!(machine.kind.as_str(), "laptop" | "desktop"),
                    entry_point: matches!(machine.kind.as_str(), "gateway" | "bastion"),
                    ..Host::default()
                };
                hosts.insert(name, host);
            }
        }
        WorldContext {
            accounts,
            hosts,
            networks: self
                .networks
                .iter()
                .map(|(name, n)| (Ip::parse(n.ip.as_bytes()).prefix(), self.network(name, n, names)))
                .collect(),
            pools: self
                .pools
                .iter()
                .filter_map(|(cidr, gateway)| Some((Cidr::parse(cidr)?, names.intern(gateway))))
                .collect(),
            vlans: self
                .vlans
                .iter()
                .map(|(vlan, all)| (*vlan, all.iter().map(|d| names.intern(d)).collect()))
                .collect(),
            mfa: self.mfa.clone(),
            names: names.clone(),
        }
    }

    fn spot(&self, name: &str, names: &SymbolTable) -> (Country, Sym, Option<Point>) {
        self.places.get(name).map_or((Country::NONE, Sym::NONE, None), |p| {
            (Country::parse(&p.country), names.intern(&p.city), Some(Point { lat: p.lat, lon: p.lon }))
        })
    }

    fn account(&self, name: &str, person: &Person, names: &SymbolTable) -> Account {
        let (country, city, home) =
            person.home.as_ref().map_or_else(Default::default, |home| self.spot(home, names));
        Account {
            name: names.intern(name),
            kind: match person.kind {
                Some(Kind::Service) => AccountKind::Service,
                Some(Kind::Generic) => AccountKind::Generic,
                Some(Kind::Anonymous) => AccountKind::Anonymous,
                None => account_kind(name),
            },
            status: match person.status {
                _ if !person.listed => Status::Unknown,
                None => Status::Active,
                Some(Standing::OnLeave) => Status::OnLeave,
                Some(Standing::Disabled) => Status::Disabled,
                Some(Standing::Terminated) => Status::Terminated,
                Some(Standing::Service) => Status::Service,
            },
            listed: person.listed,
            department: names.intern(&person.department),
            privileged: person.listed.then_some(person.privileged),
            home_country: country,
            home_city: city,
            home,
            paired: person.person.as_ref().map_or(Sym::NONE, |p| names.intern(p)),
            ..Account::default()
        }
    }

    fn network(&self, name: &str, network: &Network, names: &SymbolTable) -> (Place, Vec<IntelHit>) {
        let (country, city, point) = self.spot(&network.place, names);
        let place = Place {
            country,
            city,
            point,
            radius_km: 0,
            asn: network.asn,
            as_name: names.intern(&network.name),
            class: match network.class {
                Class::Own => NetworkClass::Own,
                Class::Isp => NetworkClass::Isp,
                Class::Mobile => NetworkClass::Mobile,
                Class::Hosting => NetworkClass::Hosting,
                Class::CommercialVpn => NetworkClass::CommercialVpn,
                Class::Tor => NetworkClass::Tor,
                Class::Relay => NetworkClass::Relay,
            },
            label: names.intern(name),
        };
        let hits = network.confidence.map(|confidence| IntelHit {
            list: "example list".to_owned(),
            label: name.to_owned(),
            dated: None,
            confidence,
            anonymiser: network.anonymiser,
        });
        (place, hits.into_iter().collect())
    }
}

impl Context for WorldContext {
    fn coverage(&self) -> Coverage {
        Coverage {
            geo: true,
            asn: true,
            intel: true,
            directory: true,
            travel: true,
            mfa_policy: true,
            vpn_pools: true,
            vlans: true,
            assets: true,
            egress: true,
        }
    }

    fn place(&self, ip: Ip) -> Place {
        let private = Place { class: NetworkClass::Private, ..Place::default() };
        match self.networks.get(&ip.prefix()) {
            Some((place, _)) => *place,
            None if ip.is_private() => private,
            None => Place::default(),
        }
    }

    fn intel(&self, ip: Ip, _: EventTime) -> Vec<IntelHit> {
        self.networks.get(&ip.prefix()).map_or(Vec::new(), |(_, hits)| hits.clone())
    }

    fn account(&self, user: Sym) -> Account {
        let text = self.names.text(user);
        let unlisted = || Account { name: user, kind: account_kind(&text), ..Account::default() };
        self.accounts.get(&*text).cloned().unwrap_or_else(unlisted)
    }

    fn host(&self, name: Sym) -> Host {
        let text = canonical_host(&self.names.text(name));
        let unlisted = || Host { name: self.names.intern(&text), ..Host::default() };
        self.hosts.get(&text).cloned().unwrap_or_else(unlisted)
    }

    fn host_of_ip(&self, ip: Ip) -> Option<Host> {
        self.hosts.values().find(|h| ip.is_some() && h.ip == ip).cloned()
    }

    fn vpn_pool(&self, ip: Ip) -> Option<Sym> {
        self.pools.iter().find(|(cidr, _)| cidr.contains(ip)).map(|(_, gateway)| *gateway)
    }

    fn vlan_admits(&self, vlan: u16, department: Sym) -> Option<bool> {
        self.vlans.get(&vlan).filter(|_| department.is_some()).map(|all| all.contains(&department))
    }

    fn mfa_policy(&self, event: &Event) -> MfaPolicy {
        let group = self.names.text(event.group);
        match self.mfa.iter().find(|p| *p.group == *group).map(|p| p.required) {
            Some(true) => MfaPolicy::Required,
            Some(false) => MfaPolicy::NotRequired,
            None => MfaPolicy::Unknown,
        }
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
