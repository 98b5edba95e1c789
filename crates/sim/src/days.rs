//! Ordinary days: working hours, home and office, phones on trains, typing errors, and the noise of the Internet.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::Plan;
use crate::book::Book;
use crate::clock::{self, DAY, HOUR, MINUTE, Millis, SECOND};
use crate::company::{Company, Gateway, Person, Status};
use crate::gazetteer::NetworkKind;
use crate::rng::Rng;
use crate::scene::{Bent, Presence};
use crate::stays::{self, Stay};
use crate::writers::{
    Pen, asa, cloudtrail, defender, dhcp, entra, fortigate, globalprotect, ios, ise, kubernetes, netscaler,
    okta, openssh, openvpn, rd_gateway, sysmon, windows,
};

/// The public address of a person's home on a day: providers change it every one to three weeks.
pub(crate) fn home_address(company: &Company, seed: u64, person: &Person, day: i64) -> Ipv4Addr {
    let mut rng = Rng::fork(seed, "provider", person.id as u64, 0);
    let period = rng.range(7, 22);
    let phase = rng.range(0, 22);
    let epoch = (day + phase) / period;
    let mut rng = Rng::fork(seed, "home", person.id as u64, epoch as u64);
    company.plan.address(&person.isp, &mut rng)
}

/// Writes one day of one person.
pub(crate) fn person_day(
    company: &Company,
    book: &mut Book,
    plan: &Plan,
    person: &Person,
    day: i64,
    bent: &Bent,
) {
    let rng = Rng::fork(plan.seed, "day", person.id as u64, day as u64);
    let mut pen = Pen { company, book, rng, mark: bent.mark };
    let midnight = clock::midnight(plan.start) + day * DAY;
    if person.status == Status::Service {
        service_day(&mut pen, person, midnight);
        return;
    }
    let weekend = clock::is_weekend(clock::plus_days(plan.start, day));
    let works = !weekend || bent.any_day || pen.rng.chance(0.04);
    let ill = pen.rng.chance(0.05);
    let remote_draw = pen.rng.chance(person.remote);
    let jitter = pen.rng.normal() * 0.35;
    if bent.presence == Presence::Absent
        || !works
        || (ill && bent.presence == Presence::AsUsual)
        || person.status != Status::Active
    {
        return;
    }
    let remote = match bent.presence {
        Presence::Remote => true,
        Presence::Office => false,
        _ => remote_draw || weekend,
    };
    let zone = company.zone_of(person).clone();
    let hour = bent.hour.unwrap_or(person.hour + jitter);
    let start = zone.instant(midnight, (hour * HOUR as f64) as Millis);
    let end = start + (8.0 * HOUR as f64 + pen.rng.normal() * 40.0 * MINUTE as f64) as Millis;
    if remote {
        let elsewhere =
            if bent.mark.is_none() && pen.rng.chance(0.01) { visiting(&mut pen, person) } else { None };
        let ip = bent.ip.or(elsewhere).unwrap_or_else(|| home_address(company, plan.seed, person, day));
        remote_day(&mut pen, person, bent, ip, start, end);
    } else {
        office_day(&mut pen, person, bent, start, end);
    }
}

fn saw(pen: &mut Pen<'_>, person: &Person, ip: Ipv4Addr, at: Millis) {
    let first = pen.book.seen.entry((person.id, ip)).or_insert(at);
    *first = (*first).min(at);
}

fn remote_day(pen: &mut Pen<'_>, person: &Person, bent: &Bent, ip: Ipv4Addr, start: Millis, end: Millis) {
    saw(pen, person, ip, start);
    let mut stay = Stay::new(person.id, ip, start, end);
    stay.typos = bent.typos;
    if person.legacy {
        stay.second = stays::Second::Exempt;
    }
    if pen.rng.chance(0.06) {
        stay.typos += 1 + pen.rng.below(2) as u32;
    }
    stay.machine.clone_from(&bent.machine);
    stay.novel = bent.novel;
    if bent.ip.is_none()
        && pen.rng.chance(0.04)
        && let Some(mobile) = mobile_address(pen, person)
    {
        let at = start + (end - start) / 2;
        saw(pen, person, mobile, at);
        if matches!(person.gateway, Gateway::AsaMain | Gateway::AsaSecond) {
            stay.roams_to = Some(mobile);
        } else {
            // On the train home: a second, short stay.
            stay.until = at;
            let mut second = Stay::new(person.id, mobile, at + 40 * MINUTE, at + 80 * MINUTE);
            second.work = stays::Work::Nothing;
            stays::run(pen, &second);
        }
    }
    stays::run(pen, &stay);
    let web = start + pen.rng.range(5, 40) * MINUTE;
    web_work(pen, person, ip, web, end, bent.novel, true);
    cloud_work(pen, person, ip, start, end);
    admin_work(pen, person, start, end);
}

/// A day at relatives' in another city of the country.
fn visiting(pen: &mut Pen<'_>, person: &Person) -> Option<Ipv4Addr> {
    let near = |b: &&crate::address_plan::Block| {
        b.network.kind == NetworkKind::Isp
            && b.city.country == person.home.country
            && b.city.name != person.home.name
    };
    let blocks: Vec<_> = pen.company.plan.blocks.iter().filter(near).copied().collect();
    if blocks.is_empty() {
        return None;
    }
    let block = *pen.rng.pick(&blocks);
    Some(pen.company.plan.address(&block, &mut pen.rng))
}

fn mobile_address(pen: &mut Pen<'_>, person: &Person) -> Option<Ipv4Addr> {
    let country = person.home.country;
    let blocks: Vec<_> = pen
        .company
        .plan
        .blocks
        .iter()
        .filter(|b| b.network.kind == NetworkKind::Mobile && b.city.country == country)
        .copied()
        .collect();
    let block = *blocks.first()?;
    Some(pen.company.plan.address(&block, &mut pen.rng))
}

/// The LAN address of a person's laptop in the office.
pub(crate) fn lan_address(company: &Company, person: &Person) -> Ipv4Addr {
    let office = &company.offices[person.office];
    let base = match vlan_of(company, person) - office.vlan {
        20 => 32,
        30 => 64,
        40 => 96,
        _ => 0,
    };
    let number = person.id / company.offices.len().max(1);
    Ipv4Addr::new(10, office.octet, base + (number / 220 % 31) as u8, 20 + (number % 220) as u8)
}

fn office_day(pen: &mut Pen<'_>, person: &Person, bent: &Bent, start: Millis, end: Millis) {
    let office = pen.company.offices[person.office].clone();
    let public = bent.ip.unwrap_or_else(|| office.public());
    let vlan = vlan_of(pen.company, person);
    let (switch, session, port) =
        ios::port_up(pen, start - 5 * MINUTE, person, &person.mac_cisco(), vlan, false);
    ise::dot1x(
        pen,
        start - 5 * MINUTE + 300,
        person,
        &person.mac_text("-"),
        &switch,
        &session,
        &port,
        vlan,
        false,
    );
    let lan = lan_address(pen.company, person);
    let relay = Ipv4Addr::new(10, office.octet, lan.octets()[2], 1);
    dhcp::lease(pen, start - 5 * MINUTE + 3 * SECOND, lan, &person.mac_text(":"), &person.laptop, relay);
    stays::usual(pen, person, lan, start, end);
    saw(pen, person, public, start);
    if bent.mark.is_none() && pen.rng.chance(0.006) {
        // A new phone, enrolled at the desk.
        let at = start + HOUR;
        okta::factor(pen, at, person, public, person.user_agent, "user.mfa.factor.activate", None);
    }
    let web = start + pen.rng.range(5, 40) * MINUTE;
    web_work(pen, person, public, web, end, false, false);
    cloud_work(pen, person, public, start, end);
    admin_work(pen, person, start, end);
}

/// The VLAN of a person's department in the office.
pub(crate) fn vlan_of(company: &Company, person: &Person) -> u32 {
    let base = company.offices[person.office].vlan;
    match person.department {
        "Engineering" => base + 20,
        "Finance" | "HR" | "Legal" => base + 30,
        "IT" => base + 40,
        _ => base + 10,
    }
}

fn web_work(
    pen: &mut Pen<'_>,
    person: &Person,
    ip: Ipv4Addr,
    at: Millis,
    end: Millis,
    novel: bool,
    outside: bool,
) {
    let agent = person.user_agent;
    if pen.rng.chance(0.04) {
        okta::sign_in_failed(pen, at - 30 * SECOND, person, ip, agent, novel);
        let token = pen.rng.uuid();
        let app = "Office 365 Exchange Online";
        entra::sign_in(pen, at + 45 * SECOND, person, ip, agent, &token, app, entra::Went::BadPassword);
    }
    let session = okta::sign_in(pen, at, person, ip, agent, novel, outside);
    for app in ["Expenses", "Wiki", "CRM"].iter().take(1 + pen.rng.below(2)) {
        let when = at + pen.rng.range(10 * SECOND, (end - at).max(MINUTE));
        okta::application(pen, when, person, ip, agent, &session, app);
    }
    let token = pen.rng.uuid();
    let went = if outside && pen.rng.chance(0.3) { entra::Went::Passed } else { entra::Went::Claim };
    let when = at + pen.rng.range(MINUTE, 2 * HOUR);
    entra::sign_in(pen, when, person, ip, agent, &token, "Office 365 Exchange Online", went);
}

fn cloud_work(pen: &mut Pen<'_>, person: &Person, ip: Ipv4Addr, start: Millis, end: Millis) {
    if person.aws && pen.rng.chance(0.6) {
        let at = start + pen.rng.range(10 * MINUTE, 4 * HOUR);
        cloudtrail::console_login(pen, at, person, ip, person.user_agent, true, true);
        for _ in 0..2 + pen.rng.below(4) {
            let when = at + pen.rng.range(MINUTE, (end - at).max(2 * MINUTE));
            let event = *pen.rng.pick(&[
                ("ec2.amazonaws.com", "DescribeInstances"),
                ("s3.amazonaws.com", "ListBuckets"),
                ("cloudwatch.amazonaws.com", "DescribeAlarms"),
                ("rds.amazonaws.com", "DescribeDBInstances"),
            ]);
            cloudtrail::call(
                pen,
                when,
                person,
                ip,
                person.user_agent,
                &cloudtrail::Credential::Console { mfa: true },
                event,
                Value::Null,
                Value::Null,
            );
        }
    }
    if person.aws && pen.rng.chance(0.5) {
        let key = cloudtrail::Credential::Key(cloudtrail::key_of(person));
        for _ in 0..2 + pen.rng.below(5) {
            let when = start + pen.rng.range(MINUTE, (end - start).max(2 * MINUTE));
            let event = *pen.rng.pick(&[
                ("s3.amazonaws.com", "ListObjects"),
                ("ecr.amazonaws.com", "DescribeImages"),
                ("ec2.amazonaws.com", "DescribeInstances"),
            ]);
            cloudtrail::call(
                pen,
                when,
                person,
                ip,
                "aws-cli/2.22.7 md/awscrt#0.23.4 ua/2.0 os/linux",
                &key,
                event,
                json!({}),
                Value::Null,
            );
        }
    }
    if person.kubernetes && pen.rng.chance(0.8) {
        let caller = kubernetes::person(&person.email(pen.company));
        let source = pen.company.offices[0].public();
        for _ in 0..3 + pen.rng.below(6) {
            let when = start + pen.rng.range(MINUTE, (end - start).max(2 * MINUTE));
            let asked = kubernetes::Asked {
                verb: pen.rng.pick::<&str>(&["get", "list"]),
                namespace: "shop",
                resource: pen.rng.pick::<&str>(&["pods", "services", "configmaps"]),
                ..Default::default()
            };
            kubernetes::call(pen, when, &caller, source, asked, 200);
        }
        if pen.rng.chance(0.25) {
            let when = start + pen.rng.range(HOUR, 5 * HOUR);
            let asked = kubernetes::Asked {
                verb: "create",
                namespace: "shop",
                resource: "pods",
                name: "shop-worker-7c9d4b-2xk8p",
                subresource: "exec",
                query: "?command=sh&container=app&stdin=true&tty=true",
            };
            kubernetes::call(pen, when, &caller, source, asked, 101);
        }
    }
}

/// Administrators go to servers with their `adm-` account, through the jump host.
fn admin_work(pen: &mut Pen<'_>, person: &Person, start: Millis, end: Millis) {
    let Some(admin) = person.admin.clone() else { return };
    let jump = pen.company.first("jump host").clone();
    let hosts: Vec<String> = pen
        .company
        .servers
        .iter()
        .filter(|s| matches!(s.kind, "file server" | "application server" | "domain controller"))
        .map(|s| s.host.clone())
        .collect();
    let mut at = start + pen.rng.range(20 * MINUTE, 2 * HOUR);
    for _ in 0..1 + pen.rng.below(3) {
        if at >= end {
            break;
        }
        let host = pen.rng.pick(&hosts).clone();
        windows::ticket_granted(pen, at, &admin, jump.ip);
        let logon = windows::logon(pen, at + SECOND, &host, &admin, jump.ip, &jump.host, 10);
        windows::privileges(pen, at + SECOND + 10, &host, &admin, &logon);
        sysmon::process(
            pen,
            at + 40 * SECOND,
            &host,
            &admin,
            "C:\\Windows\\System32\\mmc.exe",
            "mmc.exe services.msc",
        );
        at += pen.rng.range(30, 150) * MINUTE;
    }
    if pen.rng.chance(0.25) {
        routine(pen, person, &admin, start + pen.rng.clone().range(HOUR, 5 * HOUR));
    }
}

/// What administrators are there for: a joiner's account and group, the firewall, a role in the cloud.
fn routine(pen: &mut Pen<'_>, person: &Person, admin: &str, at: Millis) {
    let jump = pen.company.first("jump host").clone();
    match pen.rng.below(3) {
        0 => {
            let dc = pen.company.first("domain controller").host.clone();
            let logon = windows::logon(pen, at, &dc, admin, jump.ip, &jump.host, 3);
            windows::privileges(pen, at + 10, &dc, admin, &logon);
            let joiner = format!("trainee{}", pen.rng.range(100, 999));
            windows::account_created(pen, at + MINUTE, &dc, admin, &joiner, &logon);
            windows::group_added(pen, at + 2 * MINUTE, &dc, admin, &joiner, "Sales-Share-RW", &logon);
        }
        1 => {
            fortigate::admin_login(pen, at, admin, jump.ip);
            let port = pen.rng.range(8000, 8999);
            let object = format!("svc-{port}");
            let attributes = format!("tcp-portrange[{port}]");
            fortigate::configured(
                pen,
                at + 3 * MINUTE,
                admin,
                jump.ip,
                "Add",
                "firewall.service.custom",
                &object,
                &attributes,
            );
        }
        _ => {
            let office = pen.company.offices[0].public();
            cloudtrail::console_login(pen, at, person, office, person.user_agent, true, true);
            let session = cloudtrail::Credential::Console { mfa: true };
            let request = json!({"roleName": "shop-worker", "policyArn": "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"});
            let event = ("iam.amazonaws.com", "AttachRolePolicy");
            cloudtrail::call(
                pen,
                at + 4 * MINUTE,
                person,
                office,
                person.user_agent,
                &session,
                event,
                request,
                Value::Null,
            );
        }
    }
}

fn service_day(pen: &mut Pen<'_>, person: &Person, midnight: Millis) {
    let server = pen.company.first("application server").clone();
    let source = pen.company.first("jump host").ip;
    for hour in [1, 7, 13, 19] {
        let at = midnight + hour * HOUR + (person.id as i64 % 50) * MINUTE;
        match person.login.as_str() {
            "svc-deploy" => {
                let pid = openssh::accepted(pen, at, "prod-app-01", &person.login, source, true);
                openssh::closed(pen, at + 4 * MINUTE, "prod-app-01", &person.login, pid);
            }
            _ => {
                windows::service_ticket(pen, at, &person.login, source, &server.host);
                windows::logon(pen, at + 100, &server.host, &person.login, source, "-", 3);
            }
        }
    }
}

const GUESSED: &[&str] = &[
    "admin", "root", "test", "guest", "oracle", "ubuntu", "postgres", "vpnuser", "support", "scan", "backup",
    "sales", "info",
];

/// What the Internet does to every company every day, and what machines do to themselves.
pub(crate) fn background(company: &Company, book: &mut Book, plan: &Plan, day: i64) {
    let rng = Rng::fork(plan.seed, "background", 0, day as u64);
    let mut pen = Pen { company, book, rng, mark: None };
    let midnight = clock::midnight(plan.start) + day * DAY;
    let scanners: Vec<Ipv4Addr> = {
        let mut rng = Rng::fork(plan.seed, "scanners", 0, day as u64 / 3);
        let blocks: Vec<_> = company
            .plan
            .blocks
            .iter()
            .filter(|b| b.network.kind == NetworkKind::Hosting && b.city.name != "Ashburn")
            .copied()
            .collect();
        (0..12).map(|_| company.plan.address(rng.pick(&blocks), &mut rng)).collect()
    };
    let scale = 1 + i64::from(plan.users) / 100;
    for _ in 0..60 * scale {
        let at = midnight + pen.rng.range(0, DAY);
        let ip = *pen.rng.pick(&scanners);
        let user = *pen.rng.pick(GUESSED);
        match pen.rng.below(10) {
            0 | 1 => {
                let host = *pen.rng.pick(&["bastion-01", "web-01"]);
                openssh::failed(&mut pen, at, host, user, ip, user == "root");
            }
            2 => {
                let device = asa::device(&pen, pen.rng.clone().chance(0.5));
                device.denied(&mut pen, at, ip, 3389);
            }
            3 => {
                let device = asa::device(&pen, false);
                device.rejected(&mut pen, at, "*****", ip, "User was not found");
            }
            4 => fortigate::failed(&mut pen, at, user, ip, false),
            5 => fortigate::denied(&mut pen, at, ip, 22),
            6 => globalprotect::failed(&mut pen, at, user, ip),
            7 => netscaler::failed(&mut pen, at, user, ip),
            8 => {
                let person = pen.rng.pick(&company.people).clone();
                okta::sign_in_failed(&mut pen, at, &person, ip, "python-requests/2.32.3", true);
            }
            _ => {
                let host = company.first("terminal server").host.clone();
                windows::logon_failed(&mut pen, at, &host, user, ip, 3, false);
            }
        }
    }
    for _ in 0..4 {
        let at = midnight + pen.rng.range(0, DAY);
        let ip = *pen.rng.pick(&scanners);
        let asked = kubernetes::Asked { verb: "list", resource: "nodes", ..Default::default() };
        kubernetes::call(&mut pen, at, &kubernetes::anonymous(), ip, asked, 403);
        openvpn::failed(&mut pen, at + MINUTE, ip);
    }
    for hour in 0..24 {
        for host in ["bastion-01", "web-01", "prod-db-01"] {
            openssh::cron(&mut pen, midnight + hour * HOUR + 17 * MINUTE, host);
        }
    }
    machines(&mut pen, plan, midnight);
    let active: Vec<&Person> = company.people.iter().filter(|p| p.status == Status::Active).collect();
    if pen.rng.chance(0.3) {
        let person = (*pen.rng.pick(&active)).clone();
        let alert = defender::Alert {
            title: "'PUA:Win32/Bundler' unwanted software was prevented",
            category: "UnwantedSoftware",
            severity: "Informational",
            techniques: "",
            device: &person.laptop,
            command: "",
        };
        let at = midnight + pen.rng.range(8 * HOUR, 17 * HOUR);
        defender::raise(&mut pen, at, &person, &person.login, &alert);
    }
    // A contractor of the software house keeps the terminal server; he comes through the RD Gateway on weekdays.
    if !clock::is_weekend(clock::plus_days(plan.start, day)) {
        let ip = contractor_address(company, plan.seed);
        let host =
            format!("{}.{}", company.first("terminal server").host.to_lowercase(), company.ad_domain());
        let at = midnight + 9 * HOUR + pen.rng.range(0, HOUR);
        rd_gateway::session(&mut pen, at, at + 3 * HOUR, "ext-care", ip, &host);
        let (server, gateway) = (company.first("terminal server"), company.first("rd gateway"));
        windows::logon(&mut pen, at + 20 * SECOND, &server.host, "ext-care", gateway.ip, "CARE-PC", 10);
    }
}

/// Workloads call their APIs from inside, the cloud calls itself.
fn machines(pen: &mut Pen<'_>, plan: &Plan, midnight: Millis) {
    let worker = kubernetes::Caller {
        user: "system:serviceaccount:shop:shop-worker".to_owned(),
        groups: vec!["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        agent: "shop-worker/1.4 (linux/amd64)",
    };
    let scheduler = kubernetes::Caller {
        user: "system:kube-scheduler".to_owned(),
        groups: vec!["system:authenticated"],
        agent: "kube-scheduler/v1.31.2 (linux/amd64) kubernetes/5864a46/scheduler",
    };
    let nat = nat_address(pen.company, plan.seed);
    for hour in 0..24 {
        let at = midnight + hour * HOUR + pen.rng.range(0, HOUR);
        let asked = kubernetes::Asked {
            verb: "get",
            namespace: "shop",
            resource: "configmaps",
            name: "shop",
            ..Default::default()
        };
        kubernetes::call(pen, at, &worker, Ipv4Addr::new(10, 244, 1, 7), asked, 200);
        let asked = kubernetes::Asked { verb: "watch", resource: "nodes", ..Default::default() };
        kubernetes::call(pen, at + SECOND, &scheduler, Ipv4Addr::new(10, 96, 0, 4), asked, 200);
        cloudtrail::workload(pen, at + 2 * SECOND, nat, ("s3.amazonaws.com", "GetBucketLocation"));
        if hour % 6 == 0 {
            cloudtrail::service(pen, at + 3 * SECOND);
        }
    }
}

/// The address from which the company's cloud workloads leave.
pub(crate) fn nat_address(company: &Company, seed: u64) -> Ipv4Addr {
    let mut rng = Rng::fork(seed, "nat", 0, 0);
    let amazon = company.plan.blocks.iter().find(|b| b.network.asn == 16509).copied();
    amazon.map_or(Ipv4Addr::UNSPECIFIED, |b| company.plan.address(&b, &mut rng))
}

/// The fixed line of the contractor.
pub(crate) fn contractor_address(company: &Company, seed: u64) -> Ipv4Addr {
    let mut rng = Rng::fork(seed, "contractor", 0, 0);
    let countries = company.countries_text();
    let blocks = company.plan.abroad(NetworkKind::Isp, &countries);
    let warsaw = blocks.iter().find(|b| b.city.name == "Warsaw").or(blocks.first()).copied();
    warsaw.map_or(Ipv4Addr::UNSPECIFIED, |b| company.plan.address(&b, &mut rng))
}
