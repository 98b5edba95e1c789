//! The context directory of the simulated company: people, networks, policies, journeys, lists, geolocation.

use std::fs;
use std::path::Path;

use crate::book::Book;
use crate::clock::{self, Millis, iso_seconds};
use crate::company::{Company, Gateway, Status};
use crate::days;
use crate::gazetteer::city;
use crate::mmdb::{Value, Writer};
use crate::scene::Extra;
use crate::stays;
use crate::writers::{asa, fortigate};
use crate::{Plan, SimError};

/// One CSV file: header and rows.
struct Table {
    text: String,
}

impl Table {
    fn new(header: &str) -> Table {
        Table { text: format!("{header}\n") }
    }

    fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<String> = cells.iter().map(|c| quoted(c.as_ref())).collect();
        self.text.push_str(&cells.join(","));
        self.text.push('\n');
    }
}

/// RFC 4180: quoted where a comma, quote or line end asks for it.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), SimError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| SimError::write(folder, cause))?;
    }
    fs::write(path, bytes).map_err(|cause| SimError::write(path, cause))
}

pub(crate) fn write(
    out: &Path,
    company: &Company,
    plan: &Plan,
    book: &Book,
    extra: &Extra,
) -> Result<(), SimError> {
    let root = out.join("context");
    let tables = [
        ("users.csv", users(company, extra)),
        ("travel.csv", rows("user,from,to,country,city", &extra.travel)),
        ("authorized_testing.csv", rows("cidr,account,from,to,purpose", &extra.testing)),
        ("tickets.csv", rows("id,opened,closed,category,requester,subject_user,summary", &extra.tickets)),
        ("oncall.csv", rows("user,from,to", &extra.on_call)),
        ("vpn_pools.csv", pools(company)),
        ("vlans.csv", vlans(company)),
        ("egress.csv", egress(company, plan, extra)),
        ("assets.csv", assets(company)),
        ("mfa_policy.csv", mfa_policy(company)),
        ("log_sources.csv", log_sources(company, book)),
    ];
    for (name, table) in tables {
        save(&root.join(name), table.text.as_bytes())?;
    }
    let start = clock::midnight(plan.start);
    save(&root.join("intel/malicious-addresses.txt"), listed(extra, start).as_bytes())?;
    geolocation(&root.join("geo"), company, start)
}

fn rows<const N: usize>(header: &str, rows: &[[String; N]]) -> Table {
    let mut table = Table::new(header);
    let mut sorted = rows.to_vec();
    sorted.sort();
    for row in &sorted {
        table.row(row);
    }
    table
}

fn users(company: &Company, extra: &Extra) -> Table {
    let mut table = Table::new(
        "username,aliases,email,department,role,privileged,home_country,home_city,home_lat,home_lon,manager,status,start_date",
    );
    for person in &company.people {
        let status = extra.statuses.get(&person.id).copied().unwrap_or(person.status);
        let service = status == Status::Service;
        let manager = company.people.get(person.manager).filter(|m| m.id != person.id);
        let manager = manager.map_or("", |m| m.login.as_str());
        let place = |text: String| if service { String::new() } else { text };
        let started = extra.started.get(&person.id).map_or(person.started.clone(), ToString::to_string);
        let aliases: Vec<String> = person.aliases(company).into_iter().skip(1).collect();
        table.row(&[
            person.login.clone(),
            if service { format!("{}\\{}", company.netbios, person.login) } else { aliases.join(";") },
            place(person.email(company)),
            person.department.to_owned(),
            person.role.to_owned(),
            if person.privileged { "yes" } else { "no" }.to_owned(),
            place(person.home.country.to_owned()),
            place(person.home.name.to_owned()),
            place(format!("{:.4}", person.lat)),
            place(format!("{:.4}", person.lon)),
            manager.to_owned(),
            status.name().to_owned(),
            started,
        ]);
    }
    for person in company.people.iter().filter(|p| p.admin.is_some()) {
        let Some(admin) = &person.admin else { continue };
        let alias = format!("{}\\{admin};{admin}@{}", company.netbios, company.ad_domain());
        let (lat, lon) = (format!("{:.4}", person.lat), format!("{:.4}", person.lon));
        let place = [person.home.country, person.home.name, &lat, &lon];
        let role = "Domain Administrator (admin account)";
        let [country, home, lat, lon] = place;
        table.row(&[
            admin,
            &alias,
            "",
            "IT",
            role,
            "yes",
            country,
            home,
            lat,
            lon,
            &person.login,
            "active",
            &person.started,
        ]);
    }
    for (name, role, home) in [
        ("ext-care", "Vendor (application support)", city("Warsaw")),
        ("ext-redteam", "Vendor (penetration test)", city("London")),
    ] {
        let (lat, lon) = (home.lat.to_string(), home.lon.to_string());
        let alias = format!("{}\\{name}", company.netbios);
        let row = [
            name,
            &alias,
            "",
            "Contractor",
            role,
            "no",
            home.country,
            home.name,
            &lat,
            &lon,
            "",
            "active",
            "2023-04-01",
        ];
        table.row(&row);
    }
    table
}

fn pools(company: &Company) -> Table {
    let mut table = Table::new("cidr,gateway");
    let second = company
        .offices
        .iter()
        .find(|o| o.city.country == company.countries[1].code)
        .map_or("", |o| o.code)
        .to_lowercase();
    let main = company.offices[0].code.to_lowercase();
    for (gateway, name) in [
        (Gateway::AsaMain, format!("asa-{main}-01")),
        (Gateway::AsaSecond, format!("asa-{second}-01")),
        (Gateway::FortiGate, "FGT-01".to_owned()),
        (Gateway::GlobalProtect, "pa-01".to_owned()),
        (Gateway::OpenVpn, "ovpn-01".to_owned()),
    ] {
        table.row(&[stays::pool_cidr(gateway), name]);
    }
    table
}

fn vlans(company: &Company) -> Table {
    let mut table = Table::new("vlan,name,cidr,allowed_departments");
    for office in &company.offices {
        let code = office.code;
        let range = |third: u8| format!("10.{}.{third}.0/19", office.octet);
        for (step, name, cidr, allowed) in [
            (10, "USERS", range(0), "Sales;Operations;Support;IT"),
            (20, "ENGINEERING", range(32), "Engineering;IT"),
            (30, "FINANCE-HR", range(64), "Finance;HR;Legal;IT"),
            (40, "IT-ADMIN", range(96), "IT"),
            (50, "SERVERS", format!("10.{}.250.0/24", office.octet), "IT"),
        ] {
            table.row(&[
                (office.vlan + step).to_string(),
                format!("{code}-{name}"),
                cidr,
                allowed.to_owned(),
            ]);
        }
    }
    table
}

fn egress(company: &Company, plan: &Plan, extra: &Extra) -> Table {
    let mut table = Table::new("cidr,label");
    for office in &company.offices {
        table.row(&[office.egress.cidr(), format!("{} office", office.code)]);
    }
    table.row(&[
        format!("{}/32", days::nat_address(company, plan.seed)),
        "AWS NAT gateway (workloads)".to_owned(),
    ]);
    for row in &extra.egress {
        table.row(row);
    }
    table
}

fn assets(company: &Company) -> Table {
    let mut table = Table::new("host,ip,owner,criticality,type,public_ip");
    for server in &company.servers {
        let criticality = match server.kind {
            "domain controller" => "critical",
            "database server" | "linux database" | "jump host" => "high",
            _ => "medium",
        };
        let public = server.public.map(|ip| ip.to_string()).unwrap_or_default();
        table.row(&[
            server.host.clone(),
            server.ip.to_string(),
            "it-operations".to_owned(),
            criticality.to_owned(),
            server.kind.to_owned(),
            public,
        ]);
    }
    for person in company.people.iter().filter(|p| p.status != Status::Service) {
        let lan = days::lan_address(company, person).to_string();
        table.row(&[person.laptop.as_str(), &lan, &person.login, "low", "laptop", ""]);
    }
    table
}

fn mfa_policy(company: &Company) -> Table {
    let mut table = Table::new("service,gateway,group,mfa_required,notes");
    let pools = pools(company).text;
    for name in pools.lines().skip(1).filter_map(|l| l.split(',').nth(1)) {
        let (service, group) = match name {
            n if n.starts_with("asa") => ("asa-vpn", asa::POLICY),
            "FGT-01" => ("fortigate-sslvpn", fortigate::GROUP),
            "pa-01" => ("globalprotect", "*"),
            _ => ("openvpn", "*"),
        };
        table.row(&[service, name, group, "yes", "push by Okta through RADIUS or SAML"]);
        if name.starts_with("asa") {
            table.row(&[
                service,
                name,
                asa::LEGACY_POLICY,
                "no",
                "exception: old clients, password only (tunnel group AnyConnect-Legacy)",
            ]);
        }
        if name == "FGT-01" {
            table.row(&[
                service,
                name,
                fortigate::LEGACY_GROUP,
                "no",
                "exception: old clients, password only",
            ]);
        }
    }
    for (service, gateway, group, required, notes) in [
        (
            "netscaler",
            "ns-01",
            "CTX_Users",
            "yes",
            "push by Okta through RADIUS; NetScaler itself does not log it",
        ),
        ("okta", "okta", "*", "yes", "not asked inside the offices"),
        ("entra", "entra", "*", "yes", ""),
        ("aws-console", "aws", "*", "yes", ""),
        ("ssh", "bastion-01", "*", "no", "keys only, from inside or over the VPN"),
    ] {
        table.row(&[service, gateway, group, required, notes]);
    }
    table
}

fn log_sources(company: &Company, book: &Book) -> Table {
    let mut table = Table::new("file,source,timezone,notes");
    for (file, source) in book.names() {
        let second_asa = file.starts_with("asa-") && !file.contains(&company.offices[0].code.to_lowercase());
        let (zone, notes) = if second_asa {
            (company.zones[1].name, "no year and no zone in the stamp; local time")
        } else if file.starts_with("paloalto") {
            (company.zones[0].name, "local time; the offset is in the high resolution stamp")
        } else if file.starts_with("fortigate") {
            (company.zones[1].name, "offset in every line")
        } else {
            ("UTC", "")
        };
        table.row(&[file.as_str(), source, zone, notes]);
    }
    table
}

fn listed(extra: &Extra, start: Millis) -> String {
    let mut text = format!(
        "# Known malicious addresses, invented for this company. Updated {}\n# one address or prefix a line\n",
        iso_seconds(start)
    );
    let mut addresses = extra.listed.clone();
    addresses.sort_unstable();
    addresses.dedup();
    for ip in addresses {
        text.push_str(&format!("{ip}\n"));
    }
    text
}

fn geolocation(folder: &Path, company: &Company, built: Millis) -> Result<(), SimError> {
    let mut cities = Writer::new("GeoIP2-City");
    let mut networks = Writer::new("GeoLite2-ASN");
    for block in &company.plan.blocks {
        let city = block.city;
        let names = |text: &str| Value::Map(vec![("en", Value::text(text))]);
        cities.insert(
            block.first,
            block.bits,
            &Value::Map(vec![
                ("city", Value::Map(vec![("names", names(city.name))])),
                (
                    "country",
                    Value::Map(vec![
                        ("iso_code", Value::text(city.country)),
                        ("names", names(city.country_name)),
                    ]),
                ),
                (
                    "location",
                    Value::Map(vec![
                        ("accuracy_radius", Value::U16(block.radius)),
                        ("latitude", Value::Double(city.lat)),
                        ("longitude", Value::Double(city.lon)),
                        ("time_zone", Value::text(city.zone)),
                    ]),
                ),
                ("subdivisions", Value::List(vec![Value::Map(vec![("names", names(city.region))])])),
            ]),
        );
        networks.insert(
            block.first,
            block.bits,
            &Value::Map(vec![
                ("autonomous_system_number", Value::U32(block.network.asn)),
                ("autonomous_system_organization", Value::text(block.network.name)),
            ]),
        );
    }
    let seconds = (built / 1000).max(0) as u64;
    save(&folder.join("city.mmdb"), &cities.finish(seconds))?;
    save(&folder.join("asn.mmdb"), &networks.finish(seconds))?;
    save(&folder.join("README.txt"), README.as_bytes())
}

const README: &str = "city.mmdb and asn.mmdb describe the synthetic address plan of this simulated company, and nothing else.\n\
All of it lies in 198.18.0.0/15, which RFC 2544 reserves for benchmarks. Provider names and AS numbers exist;\n\
the prefixes given to them here are invented and must not be used outside this folder.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
