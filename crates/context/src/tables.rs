//! The tables and their answers.

mod answers;

use crate::error::{LoadError, Problem};
use crate::geo::Geo;
use crate::intel::Intel;
use crate::log_sources::LogSources;
use crate::network::{Operators, class_of};
use crate::ranges::Ranges;
use crate::rows::{Row, each};
use hashbrown::HashMap;
use portreeve_model::event::{Event, Service};
use portreeve_model::facts::{
    Account, AccountKind, Context, Coverage, Criticality, Explained, Host, IntelHit, MfaPolicy, Status,
    canonical_account, canonical_host,
};
use portreeve_model::net::{Cidr, NetworkClass};
use portreeve_model::place::{Country, Place, Point};
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip, Sym, SymbolTable};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where the context is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub dir: Option<PathBuf>,
    pub geo: Vec<PathBuf>,
    pub asn: Vec<PathBuf>,
    pub intel: Vec<PathBuf>,
    /// Products that `log_sources.csv` may name; any where this is empty.
    pub products: Vec<&'static str>,
}

struct Trip {
    from: EventTime,
    to: EventTime,
    place: Place,
}

struct Policy {
    service: String,
    gateway: String,
    group: String,
    required: bool,
}

struct Testing {
    cidr: Option<Cidr>,
    account: Sym,
    from: EventTime,
    to: EventTime,
    purpose: String,
}

struct Ticket {
    id: String,
    opened: EventTime,
    closed: EventTime,
    category: String,
    summary: String,
    people: Vec<Sym>,
}

/// All tables of a context. Immutable once loaded.
pub struct Tables {
    pub(crate) names: Arc<SymbolTable>,
    pub(crate) geo: Geo,
    pub(crate) intel: Intel,
    operators: Operators,
    pub(crate) accounts: HashMap<Sym, Account>,
    /// Any spelling, lower case, to the canonical account.
    spellings: HashMap<String, Sym>,
    /// Label, place, and whether people sit there: a cloud's NAT or a proxy's exit is no office.
    egress: Ranges<(Sym, Place, bool)>,
    pub(crate) egress_cidrs: Vec<(Cidr, Sym)>,
    pools: Ranges<Sym>,
    vlan_ranges: Ranges<Sym>,
    vlans: HashMap<u16, Vec<Sym>>,
    pub(crate) hosts: HashMap<Sym, Host>,
    host_by_ip: HashMap<Ip, Sym>,
    trips: HashMap<Sym, Vec<Trip>>,
    policies: Vec<Policy>,
    testing: Vec<Testing>,
    tickets: Vec<Ticket>,
    on_call: Vec<(Sym, EventTime, EventTime)>,
    log_sources: LogSources,
    coverage: Coverage,
    warnings: Vec<String>,
    /// Places asked for before; the answer never changes.
    places: RwLock<HashMap<Ip, Place>>,
}

impl Tables {
    /// Loads everything, or says everything that is wrong.
    pub fn load(options: &Options, names: Arc<SymbolTable>) -> Result<Tables, LoadError> {
        let mut t = Tables {
            names,
            geo: Geo::default(),
            intel: Intel::default(),
            operators: Operators::default(),
            accounts: HashMap::new(),
            spellings: HashMap::new(),
            egress: Ranges::default(),
            egress_cidrs: Vec::new(),
            pools: Ranges::default(),
            vlan_ranges: Ranges::default(),
            vlans: HashMap::new(),
            hosts: HashMap::new(),
            host_by_ip: HashMap::new(),
            trips: HashMap::new(),
            policies: Vec::new(),
            testing: Vec::new(),
            tickets: Vec::new(),
            on_call: Vec::new(),
            log_sources: LogSources::default(),
            coverage: Coverage::default(),
            warnings: Vec::new(),
            places: RwLock::new(HashMap::new()),
        };
        let mut problems = Vec::new();
        for path in options.geo.iter().chain(&options.asn) {
            t.geo.add(path, &mut problems);
        }
        let mut warnings = Vec::new();
        for path in &options.intel {
            t.intel.add(path, &mut problems, &mut warnings);
        }
        if let Some(dir) = &options.dir {
            if dir.is_dir() {
                t.directory(dir, &options.products, &mut problems, &mut warnings);
            } else {
                problems.push(Problem {
                    file: dir.display().to_string(),
                    line: 0,
                    text: "is no directory; --context takes the folder with users.csv and its neighbours"
                        .to_owned(),
                });
            }
        }
        t.intel.sort();
        t.warnings = warnings;
        t.coverage.geo = t.geo.has_places;
        t.coverage.asn = t.geo.has_networks;
        t.coverage.intel = !t.intel.is_empty() && t.intel.names_attackers();
        if problems.is_empty() { Ok(t) } else { Err(LoadError { problems }) }
    }

    fn directory(
        &mut self,
        dir: &Path,
        products: &[&str],
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) {
        let mmdb = |p: &PathBuf| p.extension().is_some_and(|e| e == "mmdb");
        let mut databases: Vec<PathBuf> = std::fs::read_dir(dir.join("geo"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(mmdb)
            .collect();
        databases.sort();
        for path in databases {
            self.geo.add(&path, problems);
        }
        if dir.join("intel").is_dir() {
            self.intel.add(&dir.join("intel"), problems, warnings);
        }
        self.coverage.directory = self.users(&dir.join("users.csv"), problems);
        self.pair_administrators();
        self.networks(dir, problems);
        self.coverage.travel = self.travel(&dir.join("travel.csv"), problems);
        self.coverage.assets = self.assets(&dir.join("assets.csv"), problems);
        self.coverage.mfa_policy = self.policies(&dir.join("mfa_policy.csv"), problems);
        self.explanations(dir, problems);
        self.log_sources = LogSources::load(&dir.join("log_sources.csv"), products, problems, warnings);
    }

    fn users(&mut self, path: &Path, problems: &mut Vec<Problem>) -> bool {
        let names = self.names.clone();
        let mut cities: HashMap<(String, Country), Point> = HashMap::new();
        let (mut accounts, mut spellings) = (Vec::new(), Vec::new());
        let found = each(path, &["username"], problems, |row| {
            let username = row.need("username")?;
            let (bare, by_name) = canonical_account(username);
            let name = names.intern(&bare);
            let status = status(&row)?;
            let country = Country::parse(row.get("home_country"));
            let city = row.get("home_city").to_owned();
            let home = point(&row, "home_lat", "home_lon")?;
            if let Some(home) = home {
                cities.insert((city.to_lowercase(), country), home);
            }
            let aliases: Vec<&str> = row
                .get("aliases")
                .split(';')
                .map(str::trim)
                .filter(|a| !a.is_empty())
                .chain([row.get("email")].into_iter().filter(|e| !e.is_empty()))
                .collect();
            spellings.push((username.to_lowercase(), name));
            spellings.push((bare, name));
            for alias in &aliases {
                spellings.push((alias.to_lowercase(), name));
                spellings.push((canonical_account(alias).0, name));
            }
            let kind = if status == Status::Service { AccountKind::Service } else { by_name };
            accounts.push((
                Account {
                    name,
                    kind,
                    status,
                    listed: true,
                    aliases: aliases.iter().map(|a| names.intern(a)).collect(),
                    department: names.intern(row.get("department")),
                    role: names.intern(row.get("role")),
                    privileged: Some(row.yes_no("privileged")?.unwrap_or(false)),
                    home_country: country,
                    home_city: names.intern(&city),
                    home,
                    start: if row.get("start_date").is_empty() { None } else { Some(row.day("start_date")?) },
                    paired: Sym::NONE,
                },
                city,
            ));
            Ok(())
        });
        for (mut account, city) in accounts {
            account.home =
                account.home.or_else(|| cities.get(&(city.to_lowercase(), account.home_country)).copied());
            self.accounts.insert(account.name, account);
        }
        // A username wins over an alias that somebody else has.
        for (spelling, name) in spellings.into_iter().rev() {
            let own = self.names.get(&spelling) == Some(name);
            if own || !self.spellings.contains_key(&spelling) {
                self.spellings.insert(spelling, name);
            }
        }
        found
    }

    /// `adm-anna` belongs to `anna`, if anna is listed, and the other way round.
    fn pair_administrators(&mut self) {
        let mut pairs = Vec::new();
        for account in self.accounts.values() {
            let text = self.names.text(account.name).to_string();
            for bare in administrator_of(&text) {
                if let Some(person) = self.spellings.get(bare).copied().filter(|p| *p != account.name) {
                    pairs.push((account.name, person));
                }
            }
        }
        pairs.sort_by_key(|(a, p)| (a.0, p.0));
        for (admin, person) in pairs {
            if let Some(a) = self.accounts.get_mut(&admin) {
                a.paired = person;
                if a.kind == AccountKind::Person {
                    a.kind = AccountKind::AdminOfPerson;
                }
            }
            if let Some(p) = self.accounts.get_mut(&person) {
                p.paired = admin;
            }
        }
    }

    fn networks(&mut self, dir: &Path, problems: &mut Vec<Problem>) {
        let names = self.names.clone();
        let cidr = |row: &Row<'_>| -> Result<Cidr, Problem> {
            let text = row.need("cidr")?;
            Cidr::parse(text)
                .ok_or_else(|| row.problem(format!("`cidr` is no prefix: {text}; write 10.8.0.0/16")))
        };
        let mut egress = Vec::new();
        self.coverage.egress = each(&dir.join("egress.csv"), &["cidr"], problems, |row| {
            egress.push((cidr(&row)?, names.intern(row.get("label"))));
            Ok(())
        });
        self.egress_cidrs = egress.clone();
        let located: Vec<(Cidr, (Sym, Place, bool))> = egress
            .into_iter()
            .map(|(cidr, label)| {
                let mut place = self.located(Ip(cidr.base.0 | u128::from(cidr.bits < 128)));
                let people = !matches!(
                    place.class,
                    NetworkClass::Hosting | NetworkClass::Relay | NetworkClass::CommercialVpn
                );
                place.class = NetworkClass::Own;
                place.label = label;
                (cidr, (label, place, people))
            })
            .collect();
        self.egress = Ranges::new(located);
        let mut pools = Vec::new();
        self.coverage.vpn_pools = each(&dir.join("vpn_pools.csv"), &["cidr"], problems, |row| {
            pools.push((cidr(&row)?, names.intern(&canonical_host(row.get("gateway")))));
            Ok(())
        });
        self.pools = Ranges::new(pools);
        let (mut ranges, mut vlans) = (Vec::new(), HashMap::new());
        self.coverage.vlans = each(&dir.join("vlans.csv"), &["vlan"], problems, |row| {
            let id: u16 = row
                .need("vlan")?
                .parse()
                .map_err(|_| row.problem(format!("`vlan` is no VLAN number: {}", row.get("vlan"))))?;
            let departments: Vec<Sym> = row
                .get("allowed_departments")
                .split(';')
                .map(str::trim)
                .filter(|d| !d.is_empty())
                .map(|d| names.intern(d))
                .collect();
            vlans.insert(id, departments);
            if !row.get("cidr").is_empty() {
                ranges.push((cidr(&row)?, names.intern(row.get("name"))));
            }
            Ok(())
        });
        self.vlans = vlans;
        self.vlan_ranges = Ranges::new(ranges);
    }

    fn travel(&mut self, path: &Path, problems: &mut Vec<Problem>) -> bool {
        let mut trips = Vec::new();
        let found = each(path, &["user", "from", "to"], problems, |row| {
            let (from, to) = (row.day("from")?, row.day("to")?);
            if to < from {
                return Err(row.problem(format!(
                    "travel ends before it starts ({} > {}); swap from and to",
                    row.get("from"),
                    row.get("to")
                )));
            }
            trips.push((
                row.need("user")?.to_owned(),
                from,
                to,
                Country::parse(row.get("country")),
                row.get("city").to_owned(),
            ));
            Ok(())
        });
        for (user, from, to, country, city) in trips {
            let account = self.account(self.names.intern(&user));
            // Days are in the user's zone, taken from the longitude of home; 15 degrees an hour.
            let east = account.home.map_or(0, |h| (h.lon / 15.0).round() as i64);
            let place = Place {
                country,
                city: self.names.intern(&city),
                point: self.city(&city, country),
                radius_km: 30,
                ..Place::default()
            };
            let trip = Trip { from: from.minus(east * HOUR_US), to: to.plus(DAY_US - east * HOUR_US), place };
            self.trips.entry(account.name).or_default().push(trip);
        }
        found
    }

    /// Coordinates of a city: of the shipped gazetteer, else of a person who lives there.
    fn city(&self, name: &str, country: Country) -> Option<Point> {
        let wanted = name.to_lowercase();
        let listed = include_str!("../data/cities.csv").lines().skip(1).find_map(|line| {
            let mut fields = line.split(',');
            let (city, code) = (fields.next()?, fields.next()?);
            if !city.eq_ignore_ascii_case(&wanted) || country.is_some() && Country::parse(code) != country {
                return None;
            }
            Some(Point { lat: fields.next()?.parse().ok()?, lon: fields.next()?.parse().ok()? })
        });
        listed.or_else(|| {
            let mut homes: Vec<&Account> = self
                .accounts
                .values()
                .filter(|a| {
                    a.home_country == country && self.names.text(a.home_city).to_lowercase() == wanted
                })
                .collect();
            homes.sort_by_key(|a| self.names.text(a.name));
            homes.first().and_then(|a| a.home)
        })
    }

    fn assets(&mut self, path: &Path, problems: &mut Vec<Problem>) -> bool {
        let names = self.names.clone();
        let mut hosts = Vec::new();
        let found = each(path, &["host"], problems, |row| {
            let name = canonical_host(row.need("host")?);
            let kind = row.get("type").to_ascii_lowercase();
            let criticality = match row.get("criticality").to_ascii_lowercase().as_str() {
                "" => Criticality::Unknown,
                "low" => Criticality::Low,
                "medium" | "normal" => Criticality::Medium,
                "high" => Criticality::High,
                "critical" => Criticality::Critical,
                other => {
                    return Err(
                        row.problem(format!("`criticality` is {other}; write low, medium, high or critical"))
                    );
                }
            };
            let ip = Ip::parse(row.get("ip").as_bytes());
            if !row.get("ip").is_empty() && ip.is_none() {
                return Err(row.problem(format!("`ip` is no address: {}", row.get("ip"))));
            }
            let public = Ip::parse(row.get("public_ip").as_bytes());
            let has = |words: &[&str]| words.iter().any(|w| kind.contains(w));
            let host = Host {
                name: names.intern(&name),
                listed: true,
                ip,
                owner: names.intern(row.get("owner")),
                criticality,
                kind: names.intern(row.get("type")),
                tier0: has(&[
                    "domain controller",
                    "hypervisor",
                    "vcenter",
                    "esx",
                    "backup",
                    "pki",
                    "certificate auth",
                    "identity",
                    "adfs",
                    "entra connect",
                ]),
                endpoint: has(&["laptop", "desktop", "workstation", "phone", "notebook", "client"]),
                entry_point: has(&["bastion", "jump", "gateway", "vpn"]) || public.is_some(),
            };
            hosts.push((host, public));
            Ok(())
        });
        for (host, public) in hosts {
            for ip in [host.ip, public].into_iter().filter(|ip| ip.is_some()) {
                self.host_by_ip.insert(ip, host.name);
            }
            self.hosts.insert(host.name, host);
        }
        found
    }

    fn policies(&mut self, path: &Path, problems: &mut Vec<Problem>) -> bool {
        let mut policies = Vec::new();
        let found = each(path, &["mfa_required"], problems, |row| {
            let Some(required) = row.yes_no("mfa_required")? else {
                return Err(row.problem("`mfa_required` is empty; write yes or no"));
            };
            let wild = |v: &str| if v == "*" { String::new() } else { v.to_ascii_lowercase() };
            policies.push(Policy {
                service: wild(row.get("service")),
                gateway: canonical_host(&wild(row.get("gateway"))),
                group: wild(row.get("group")),
                required,
            });
            Ok(())
        });
        self.policies = policies;
        found
    }

    fn explanations(&mut self, dir: &Path, problems: &mut Vec<Problem>) {
        let (mut testing, mut tickets, mut on_call) = (Vec::new(), Vec::new(), Vec::new());
        each(&dir.join("authorized_testing.csv"), &["from", "to"], problems, |row| {
            let text = row.get("cidr");
            let cidr = Cidr::parse(text);
            if !text.is_empty() && cidr.is_none() {
                return Err(row.problem(format!("`cidr` is no prefix: {text}")));
            }
            if cidr.is_none() && row.get("account").is_empty() {
                return Err(row.problem("neither `cidr` nor `account` is given; a test needs one of them"));
            }
            testing.push((
                cidr,
                row.get("account").to_owned(),
                row.time("from", false)?,
                row.time("to", true)?,
                row.get("purpose").to_owned(),
            ));
            Ok(())
        });
        each(&dir.join("tickets.csv"), &["id"], problems, |row| {
            let people: Vec<String> = [row.get("subject_user"), row.get("requester")]
                .into_iter()
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect();
            tickets.push((
                row.need("id")?.to_owned(),
                row.time("opened", false)?,
                row.time("closed", true)?,
                row.get("category").to_owned(),
                row.get("summary").to_owned(),
                people,
            ));
            Ok(())
        });
        each(&dir.join("oncall.csv"), &["user", "from", "to"], problems, |row| {
            on_call.push((row.need("user")?.to_owned(), row.time("from", false)?, row.time("to", true)?));
            Ok(())
        });
        let name = |t: &Tables, user: &str| t.account(t.names.intern(user)).name;
        self.testing = testing
            .into_iter()
            .map(|(cidr, account, from, to, purpose)| Testing {
                cidr,
                account: if account.is_empty() { Sym::NONE } else { name(self, &account) },
                from,
                to,
                purpose,
            })
            .collect();
        self.tickets = tickets
            .into_iter()
            .map(|(id, opened, closed, category, summary, people)| Ticket {
                id,
                opened,
                closed,
                category,
                summary,
                people: people.iter().map(|p| name(self, p)).collect(),
            })
            .collect();
        self.on_call = on_call.into_iter().map(|(user, from, to)| (name(self, &user), from, to)).collect();
    }

    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn log_sources(&self) -> &LogSources {
        &self.log_sources
    }

    /// Accounts, and how many have no home.
    pub(crate) fn people(&self) -> (usize, usize) {
        let people = self.accounts.values().filter(|a| a.kind == AccountKind::Person);
        (self.accounts.len(), people.filter(|a| a.home.is_none()).count())
    }

    /// What databases and lists say of an address, without own ranges.
    fn located(&self, ip: Ip) -> Place {
        let found = self.geo.find(ip);
        let listed = self.intel.class(ip);
        let by_database = class_of(found.kind).filter(|c| *c != NetworkClass::Isp);
        let class =
            listed.or(by_database).unwrap_or_else(|| match self.operators.class(found.asn, &found.as_name) {
                NetworkClass::Unknown if found.kind == "isp" => NetworkClass::Isp,
                class => class,
            });
        let radius_km =
            if class == NetworkClass::Mobile { found.radius_km.max(250) } else { found.radius_km };
        Place {
            country: found.country,
            city: self.names.intern(&found.city),
            point: found.point,
            radius_km,
            asn: found.asn,
            as_name: self.names.intern(&found.as_name),
            class,
            label: Sym::NONE,
        }
    }

    fn placed(&self, ip: Ip) -> Place {
        if let Some((_, place, _)) = self.egress.get(ip) {
            return *place;
        }
        if ip.is_private() {
            let label = self.pools.get(ip).or_else(|| self.vlan_ranges.get(ip)).copied().unwrap_or(Sym::NONE);
            return Place { class: NetworkClass::Private, label, ..Place::default() };
        }
        self.located(ip)
    }
}

/// Accounts of persons that an administrator's account may belong to, by its name.
fn administrator_of(name: &str) -> Vec<&str> {
    const BEFORE: [&str; 6] = ["adm-", "adm_", "adm.", "admin-", "a-", "da-"];
    const AFTER: [&str; 6] = ["-adm", "_adm", ".adm", "-admin", "_admin", "-da"];
    let before = BEFORE.iter().filter_map(|p| name.strip_prefix(p));
    before.chain(AFTER.iter().filter_map(|p| name.strip_suffix(p))).collect()
}

fn status(row: &Row<'_>) -> Result<Status, Problem> {
    Ok(match row.get("status").to_ascii_lowercase().replace('_', " ").as_str() {
        "" | "active" | "enabled" => Status::Active,
        "on leave" | "leave" | "parental leave" | "sabbatical" => Status::OnLeave,
        "disabled" | "suspended" | "locked" | "inactive" => Status::Disabled,
        "terminated" | "left" | "departed" | "leaver" => Status::Terminated,
        "service" => Status::Service,
        other => {
            return Err(row.problem(format!(
                "`status` is {other}; write active, on leave, disabled, terminated or service"
            )));
        }
    })
}

fn point(row: &Row<'_>, lat: &str, lon: &str) -> Result<Option<Point>, Problem> {
    if row.get(lat).is_empty() || row.get(lon).is_empty() {
        return Ok(None);
    }
    let number = |column: &str, most: f32| -> Result<f32, Problem> {
        let value: f32 = row
            .get(column)
            .parse()
            .map_err(|_| row.problem(format!("`{column}` is no number: {}", row.get(column))))?;
        if value.abs() > most {
            Err(row.problem(format!("`{column}` is out of range: {value}")))
        } else {
            Ok(value)
        }
    };
    Ok(Some(Point { lat: number(lat, 90.0)?, lon: number(lon, 180.0)? }))
}

#[cfg(test)]
mod tests;
