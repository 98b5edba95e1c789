//! The company: its people, offices, gateways, servers and networks, all out of one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::address_plan::{AddressPlan, Block};
use crate::clock::Zone;
use crate::gazetteer::{self, CITIES, COUNTRIES, City, Country, NetworkKind};
use crate::rng::Rng;

/// Through which product a person works from home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gateway {
    /// Cisco ASA of the first country, RADIUS to ISE, push by Okta.
    AsaMain,
    /// Cisco ASA of the second country: local time, no year in its lines.
    AsaSecond,
    FortiGate,
    GlobalProtect,
    OpenVpn,
    NetScaler,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    OnLeave,
    Terminated,
    Service,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::OnLeave => "on leave",
            Status::Terminated => "terminated",
            Status::Service => "service",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: usize,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) login: String,
    pub(crate) department: &'static str,
    pub(crate) role: &'static str,
    pub(crate) privileged: bool,
    pub(crate) office: usize,
    pub(crate) home: &'static City,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    /// Provider at home; the address in it changes now and then.
    pub(crate) isp: Block,
    pub(crate) gateway: Gateway,
    pub(crate) laptop: String,
    pub(crate) mac: [u8; 6],
    pub(crate) user_agent: &'static str,
    pub(crate) status: Status,
    pub(crate) manager: usize,
    pub(crate) started: String,
    /// `adm-` account for server administration.
    pub(crate) admin: Option<String>,
    /// Uses the VPN group that asks for no push, for an old client.
    pub(crate) legacy: bool,
    pub(crate) aws: bool,
    pub(crate) kubernetes: bool,
    /// Chance to work from home on a working day.
    pub(crate) remote: f64,
    /// Local hour at which work starts.
    pub(crate) hour: f64,
    /// Servers this person uses, as indices.
    pub(crate) servers: Vec<usize>,
    pub(crate) okta: String,
    pub(crate) object_id: String,
    pub(crate) sid: u32,
}

impl Person {
    pub(crate) fn email(&self, company: &Company) -> String {
        format!("{}.{}@{}", self.first.to_lowercase(), self.last.to_lowercase(), company.domain)
    }

    /// How the person types the account at a VPN client: three spellings of one account reach the logs.
    pub(crate) fn typed(&self, company: &Company) -> String {
        match self.id % 7 {
            3 => self.login.to_uppercase(),
            5 => self.email(company),
            _ => self.login.clone(),
        }
    }

    pub(crate) fn display(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// `aa:bb:cc:dd:ee:ff` with the given separator.
    pub(crate) fn mac_text(&self, separator: &str) -> String {
        self.mac.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(separator)
    }

    /// `aabb.ccdd.eeff`
    pub(crate) fn mac_cisco(&self) -> String {
        let hex = self.mac_text("");
        format!("{}.{}.{}", &hex[0..4], &hex[4..8], &hex[8..12])
    }

    pub(crate) fn aliases(&self, company: &Company) -> Vec<String> {
        let email = self.email(company);
        vec![
            self.login.clone(),
            email,
            format!("{}\\{}", company.netbios, self.login),
            format!("{}@{}", self.login, company.ad_domain()),
            format!("{}.{}", self.first.to_lowercase(), self.last.to_lowercase()),
        ]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Office {
    pub(crate) code: &'static str,
    pub(crate) city: &'static City,
    pub(crate) egress: Block,
    /// Second octet of its 10.x.0.0/16.
    pub(crate) octet: u8,
    pub(crate) vlan: u32,
}

impl Office {
    /// The address all of the office leaves from.
    pub(crate) fn public(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.egress.first + 2)
    }

    /// Where the gateway of the office listens.
    pub(crate) fn gateway_public(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.egress.first + 3)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) kind: &'static str,
    pub(crate) public: Option<Ipv4Addr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Company {
    pub(crate) name: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) netbios: &'static str,
    pub(crate) countries: [&'static Country; 2],
    pub(crate) zones: [Zone; 2],
    pub(crate) offices: Vec<Office>,
    pub(crate) people: Vec<Person>,
    pub(crate) servers: Vec<Server>,
    pub(crate) plan: AddressPlan,
    pub(crate) aws_account: String,
    pub(crate) tenant: String,
    pub(crate) domain_sid: String,
    /// Relative identifier of each domain account.
    pub(crate) sids: BTreeMap<String, u32>,
}

/// Names already given.
#[derive(Default)]
struct Roll {
    names: BTreeSet<(&'static str, String)>,
    logins: BTreeSet<String>,
    departments: BTreeMap<&'static str, usize>,
}

const NAMES: &[(&str, &str, &str)] = &[
    ("Tidewater Lines", "tidewater.example", "TIDEWATER"),
    ("Helm and Harbour", "helm.example", "HELM"),
    ("Pilot Freight", "pilotfreight.example", "PILOTFREIGHT"),
    ("Lantern Marine", "lantern-marine.example", "LANTERN"),
];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
];

/// Department, its share of the company, roles.
const DEPARTMENTS: &[(&str, u32, &[&str])] = &[
    ("Engineering", 24, &["Software Engineer", "Data Engineer", "Platform Engineer"]),
    ("Sales", 18, &["Account Manager", "Sales Representative"]),
    ("Operations", 18, &["Dispatcher", "Operations Planner"]),
    ("Support", 10, &["Support Agent"]),
    ("Finance", 10, &["Accountant", "Controller"]),
    ("IT", 10, &["System Administrator", "Network Engineer", "Service Desk Analyst"]),
    ("HR", 5, &["HR Partner"]),
    ("Legal", 5, &["Counsel"]),
];

impl Company {
    pub(crate) fn ad_domain(&self) -> String {
        format!("ad.{}", self.domain)
    }

    /// A company of `users` people, service accounts on top.
    pub(crate) fn found(seed: u64, users: u32) -> Company {
        let mut rng = Rng::fork(seed, "company", 0, 0);
        let (name, domain, netbios) = *rng.pick(NAMES);
        let first = rng.below(COUNTRIES.len());
        let second = (first + 1 + rng.below(COUNTRIES.len() - 1)) % COUNTRIES.len();
        let countries = [&COUNTRIES[first], &COUNTRIES[second]];
        let mut plan = AddressPlan::new(&[countries[0].code, countries[1].code], CITIES);
        let offices = offices(&countries, &mut plan);
        let mut company = Company {
            name,
            domain,
            netbios,
            countries,
            zones: [Zone::named(countries[0].zone), Zone::named(countries[1].zone)],
            servers: servers(&offices, users),
            offices,
            people: Vec::new(),
            plan,
            aws_account: rng.text("123456789", 12),
            tenant: rng.uuid(),
            sids: BTreeMap::new(),
            domain_sid: format!(
                "S-1-5-21-{}-{}-{}",
                rng.range(1 << 30, 1 << 32),
                rng.range(1 << 30, 1 << 32),
                rng.range(1 << 30, 1 << 32)
            ),
        };
        let mut roll = Roll::default();
        for id in 0..users as usize {
            let person = company.hire(seed, id, users as usize, &mut roll);
            company.people.push(person);
        }
        for (at, (login, role)) in [
            ("svc-backup", "Backup service"),
            ("svc-deploy", "Deployment service"),
            ("svc-monitor", "Monitoring"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut person = company.hire(seed, users as usize + at, users as usize, &mut roll);
            person.login = login.to_owned();
            person.department = "IT";
            person.role = role;
            person.status = Status::Service;
            person.admin = None;
            person.aws = false;
            person.kubernetes = false;
            person.first = "Service".to_owned();
            person.last = login.trim_start_matches("svc-").to_owned();
            company.people.push(person);
        }
        for person in &company.people {
            company.sids.insert(person.login.clone(), person.sid);
            if let Some(admin) = &person.admin {
                company.sids.insert(admin.clone(), person.sid + 40_000);
            }
        }
        company
    }

    fn hire(&self, seed: u64, id: usize, users: usize, roll: &mut Roll) -> Person {
        let mut rng = Rng::fork(seed, "person", id as u64, 0);
        // A low-discrepancy walk through the departments, so that small companies have each of them.
        let total: u32 = DEPARTMENTS.iter().map(|d| d.1).sum();
        let mut ticket = (id as f64 * 0.618_034 % 1.0 * f64::from(total)) as u32;
        let mut chosen = &DEPARTMENTS[0];
        for department in DEPARTMENTS {
            if ticket < department.1 {
                chosen = department;
                break;
            }
            ticket -= department.1;
        }
        let (department, _, roles) = *chosen;
        let office = id % self.offices.len();
        let site = &self.offices[office];
        let home = site.city;
        let country = self.country_of(office);
        let (mut first, mut last) = ("Alex", "Person");
        for _ in 0..12 {
            first = *rng.pick(country.first_names);
            last = *rng.pick(country.last_names);
            if !roll.names.contains(&(first, last.to_owned())) {
                break;
            }
        }
        // Namesakes are told apart by a number, as mail systems do.
        let last = if roll.names.contains(&(first, last.to_owned())) {
            format!("{last}{}", id + 1)
        } else {
            last.to_owned()
        };
        roll.names.insert((first, last.clone()));
        let initial: String = first.chars().take(1).collect();
        let mut login = format!("{initial}{last}").to_lowercase();
        if roll.logins.contains(&login) {
            login = format!("{login}{}", id + 1);
        }
        roll.logins.insert(login.clone());
        let colleagues = roll.departments.entry(department).or_default();
        *colleagues += 1;
        let rank = *colleagues - 1;
        let role = roles.get(rank % roles.len()).copied().unwrap_or("Employee");
        let isps: Vec<Block> = self.plan.in_city(home.name, NetworkKind::Isp);
        let isp = *rng.pick(&isps);
        let it_admin = role == "System Administrator";
        let usual = 2 + rng.below(2);
        let servers = self.usual_servers(&mut rng, department, usual);
        let gateway = gateway_for(department, self.is_second(office));
        let mut mac = [0u8; 6];
        mac[..3].copy_from_slice(rng.pick::<[u8; 3]>(&[
            [0x3c, 0x52, 0x82],
            [0xa4, 0xbb, 0x6d],
            [0xf8, 0xb4, 0x6a],
        ]));
        for byte in &mut mac[3..] {
            *byte = rng.range(0, 256) as u8;
        }
        Person {
            id,
            login: login.clone(),
            first: first.to_owned(),
            last,
            department,
            role,
            privileged: it_admin,
            office,
            home,
            lat: home.lat + rng.normal() * 0.04,
            lon: home.lon + rng.normal() * 0.05,
            isp,
            gateway,
            legacy: id % 11 == 4
                && matches!(gateway, Gateway::AsaMain | Gateway::AsaSecond | Gateway::FortiGate),
            laptop: format!("{}-LT{:04}", site.code, 100 + id),
            mac,
            user_agent: rng.pick::<&str>(AGENTS),
            status: Status::Active,
            manager: if id < users / 12 + 1 { 0 } else { id % (users / 12 + 1) },
            started: format!("{}-{:02}-01", rng.range(2012, 2025), rng.range(1, 13)),
            admin: it_admin.then(|| format!("adm-{login}")),
            aws: department == "Engineering" && id.is_multiple_of(2) || it_admin,
            kubernetes: role == "Platform Engineer" || it_admin,
            remote: 0.25 + rng.unit() * 0.6,
            hour: 8.5 + rng.normal() * 0.7,
            servers,
            okta: format!("00u{}", rng.token(17)),
            object_id: rng.uuid(),
            sid: 1100 + id as u32,
        }
    }

    fn usual_servers(&self, rng: &mut Rng, department: &str, count: usize) -> Vec<usize> {
        let mut usable: Vec<usize> = (0..self.servers.len())
            .filter(|at| matches!(self.servers[*at].kind, "file server" | "application server"))
            .collect();
        rng.shuffle(&mut usable);
        // One file server that the whole department uses.
        let shared = department.len() % usable.len().max(1);
        let mut chosen: Vec<usize> = usable.into_iter().take(count).collect();
        let files: Vec<usize> =
            (0..self.servers.len()).filter(|at| self.servers[*at].kind == "file server").collect();
        if let Some(server) = files.get(shared % files.len().max(1))
            && !chosen.contains(server)
        {
            chosen.push(*server);
        }
        chosen
    }

    fn country_of(&self, office: usize) -> &'static Country {
        self.countries[usize::from(self.is_second(office))]
    }

    pub(crate) fn is_second(&self, office: usize) -> bool {
        self.offices[office].city.country == self.countries[1].code
    }

    pub(crate) fn zone_of(&self, person: &Person) -> &Zone {
        &self.zones[usize::from(self.is_second(person.office))]
    }

    /// First host of a kind.
    pub(crate) fn first(&self, kind: &str) -> &Server {
        self.servers.iter().find(|s| s.kind == kind).expect("every company has each kind of server")
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Server> {
        self.servers.iter().filter(|s| s.kind == kind).collect()
    }

    pub(crate) fn countries_text(&self) -> [&'static str; 2] {
        [self.countries[0].code, self.countries[1].code]
    }
}

fn gateway_for(department: &str, second: bool) -> Gateway {
    match (department, second) {
        ("Engineering", _) => Gateway::OpenVpn,
        ("Finance" | "HR" | "Legal", _) => Gateway::GlobalProtect,
        ("Support", _) => Gateway::NetScaler,
        ("Sales", true) => Gateway::FortiGate,
        ("Operations", true) => Gateway::AsaSecond,
        ("Sales" | "Operations", false) => Gateway::AsaMain,
        (_, true) => Gateway::FortiGate,
        (_, false) => Gateway::AsaMain,
    }
}

fn offices(countries: &[&'static Country; 2], plan: &mut AddressPlan) -> Vec<Office> {
    let mut offices = Vec::new();
    for (rank, country) in countries.iter().enumerate() {
        for name in country.cities.iter().take(2) {
            let city = gazetteer::city(name);
            let network = gazetteer::NETWORKS
                .iter()
                .find(|n| n.kind == NetworkKind::Business && n.is_in(city))
                .expect("each country has a business provider");
            let at = offices.len() as u8;
            offices.push(Office {
                code: office_code(name),
                city,
                egress: plan.add_office(city, network),
                octet: 20 + at * 10,
                vlan: 100 * (u32::from(at) + 1),
            });
            if rank == 1 && offices.len() >= 4 {
                break;
            }
        }
    }
    offices
}

fn office_code(city: &str) -> &'static str {
    match city {
        "Hamburg" => "HAM",
        "Bremen" => "BRE",
        "Halifax" => "HFX",
        "Moncton" => "MON",
        "Porto" => "OPO",
        "Coimbra" => "CBR",
        "Gothenburg" => "GOT",
        "Linkoping" => "LKP",
        _ => "OFF",
    }
}

fn servers(offices: &[Office], users: u32) -> Vec<Server> {
    let mut servers = Vec::new();
    let main = &offices[0];
    let mut add = |host: String, kind: &'static str, public: Option<u32>| {
        let last = 10 + servers.len() as u8;
        servers.push(Server {
            host,
            ip: Ipv4Addr::new(10, main.octet, 250, last),
            kind,
            public: public.map(|offset| Ipv4Addr::from(main.egress.first + offset)),
        });
    };
    let code = main.code;
    add(format!("{code}-DC01"), "domain controller", None);
    add(format!("{code}-DC02"), "domain controller", None);
    let files = (users / 60).clamp(2, 6);
    for n in 1..=files {
        add(format!("{code}-FS{n:02}"), "file server", None);
    }
    let apps = (users / 30).clamp(3, 12);
    for n in 1..=apps {
        add(format!("{code}-APP{n:02}"), "application server", None);
    }
    for n in 1..=2 {
        add(format!("{code}-SQL{n:02}"), "database server", None);
    }
    add(format!("{code}-JUMP01"), "jump host", None);
    add(format!("{code}-RDGW01"), "rd gateway", Some(6));
    add(format!("{code}-RDS01"), "terminal server", Some(7));
    add("bastion-01".to_owned(), "linux bastion", Some(8));
    add("web-01".to_owned(), "linux web server", Some(9));
    for n in 1..=3 {
        add(format!("prod-app-{n:02}"), "linux server", None);
    }
    add("prod-db-01".to_owned(), "linux database", None);
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_company_has_distinct_people_and_the_servers_scenarios_need() {
        for seed in 0..6 {
            let company = Company::found(seed, 300);
            let mut logins: Vec<&str> = company.people.iter().map(|p| p.login.as_str()).collect();
            logins.sort_unstable();
            logins.dedup();
            assert_eq!(logins.len(), company.people.len());
            let mut mails: Vec<String> = company.people.iter().map(|p| p.email(&company)).collect();
            mails.sort_unstable();
            mails.dedup();
            assert_eq!(mails.len(), company.people.len());
            for kind in ["domain controller", "jump host", "terminal server", "linux bastion"] {
                assert!(company.servers.iter().any(|s| s.kind == kind));
            }
            assert!(company.people.iter().any(|p| p.admin.is_some()));
        }
    }

    #[test]
    fn a_small_company_has_users_on_each_gateway() {
        let company = Company::found(3, 40);
        for gateway in [
            Gateway::AsaMain,
            Gateway::AsaSecond,
            Gateway::FortiGate,
            Gateway::GlobalProtect,
            Gateway::OpenVpn,
            Gateway::NetScaler,
        ] {
            assert!(company.people.iter().any(|p| p.gateway == gateway), "{gateway:?}");
        }
    }
}
