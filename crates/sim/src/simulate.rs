//! Writes a company: scenarios first, since they bend people's days; then the days; then context and labels.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::attacks::{self, Stage};
use crate::book::{Book, Delivery};
use crate::clock::{self, DAY, HOUR, MINUTE};
use crate::company::{Company, Status};
use crate::gazetteer::NetworkKind;
use crate::incident::Incident;
use crate::rng::Rng;
use crate::scene::{Bent, Scene};
use crate::writers::{
    Pen, asa, cloudtrail, defender, dhcp, entra, fortigate, globalprotect, ios, ise, kubernetes, netscaler,
    okta, openssh, openvpn, rd_gateway, sysmon, windows,
};
use crate::{Plan, SimError, context_files, days, labels, lookalikes};

/// What was written.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Summary {
    pub company: String,
    pub accounts: usize,
    pub files: usize,
    /// Log records, and their bytes before compression.
    pub records: u64,
    pub bytes: u64,
    pub attacks: usize,
    pub lookalikes: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} accounts", self.company, self.accounts)?;
        writeln!(f, "{} records, {} MB before compression", self.records, self.bytes.div_ceil(1_000_000))?;
        write!(
            f,
            "{} attacks and {} look-alikes; the truth is in labels/labels.json",
            self.attacks, self.lookalikes
        )
    }
}

/// Writes `logs/`, `context/` and `labels/` into `out`; the same plan gives the same bytes.
///
/// Files of an earlier run of the same name are overwritten, others are left alone.
pub fn simulate(plan: &Plan, out: &Path) -> Result<Summary, SimError> {
    if !(10..=20_000).contains(&plan.users) {
        return Err(SimError::Plan { what: "that many users", given: plan.users, allowed: "10 to 20000" });
    }
    if !(5..=400).contains(&plan.days) {
        return Err(SimError::Plan { what: "that many days", given: plan.days, allowed: "5 to 400" });
    }
    let company = Company::found(plan.seed, plan.users);
    let mut book = Book::new(out, &company.aws_account);
    declare(&company, &mut book);

    let rng = Rng::fork(plan.seed, "scenarios", 0, 0);
    let mut scene = Scene::new(Pen { company: &company, book: &mut book, rng, mark: None }, plan);
    ordinary_context(&mut scene);
    let blocks = company.plan.abroad(NetworkKind::Hosting, &company.countries_text());
    for _ in 0..60 {
        let block = *scene.pen.rng.pick(&blocks);
        let ip = company.plan.address(&block, &mut scene.pen.rng);
        scene.extra.listed.push(ip);
    }
    let (attacks, benign) = how_many(plan);
    if benign == lookalikes::ALL.len() {
        let from = scene.day(2);
        let from = scene.midnight(from);
        scene.pen.book.wrong_clock = Some((fortigate::FILE, from, from + DAY, 4 * HOUR));
    }
    play(&mut scene, plan, attacks::ALL, attacks, "attack");
    play(&mut scene, plan, lookalikes::ALL, benign, "look-alike");
    let Scene { bent, extra, incidents, .. } = scene;

    let ordinary = Bent::default();
    let start = clock::midnight(plan.start);
    for day in 0..i64::from(plan.days) {
        for person in &company.people {
            if let Some(Status::OnLeave | Status::Terminated) = extra.statuses.get(&person.id) {
                continue;
            }
            let how = bent.get(&(person.id, day)).unwrap_or(&ordinary);
            days::person_day(&company, &mut book, plan, person, day, how);
        }
        days::background(&company, &mut book, plan, day);
        if day % 4 == 1 {
            // A collector that was restarted sends its last minutes again.
            let from = start + day * DAY + 10 * HOUR;
            book.repeat(fortigate::FILE, from, from + 12 * MINUTE);
            book.repeat(okta::FILE, from, from + 4 * MINUTE);
        }
        book.flush(start + (day + 1) * DAY)?;
    }
    book.finish()?;

    context_files::write(out, &company, plan, &book, &extra)?;
    let truth = labels::compute(&company, plan, &book, &extra, &incidents);
    labels::write(out, &truth, &book, &incidents)?;
    Ok(Summary {
        company: company.name.to_owned(),
        accounts: company.people.len(),
        files: book.names().len(),
        records: book.lines,
        bytes: book.bytes,
        attacks: truth.incidents.len(),
        lookalikes: truth.lookalikes.len(),
    })
}

/// The on-call rota, journeys that were called off, tickets of everyday work: context that explains nothing.
fn ordinary_context(scene: &mut Scene<'_>) {
    let company = scene.pen.company;
    let technicians: Vec<&str> = company
        .people
        .iter()
        .filter(|p| p.department == "IT" && p.status == Status::Active)
        .map(|p| p.login.as_str())
        .collect();
    for week in 0..=i64::from(scene.plan.days) / 7 {
        if technicians.is_empty() {
            break;
        }
        let user = (*scene.pen.rng.pick(&technicians)).to_owned();
        let (from, to) = (scene.date(week * 7), scene.date(week * 7 + 7));
        scene.extra.on_call.push([user.clone(), format!("{from}T00:00:00Z"), format!("{to}T00:00:00Z")]);
        let number = 2001 + week;
        let who = scene.pen.rng.pick(&company.people).login.clone();
        scene.extra.tickets.push([
            format!("REQ-{number}"),
            format!("{from}T08:15:00Z"),
            format!("{from}T15:40:00Z"),
            "accounts".to_owned(),
            user,
            who,
            "Access to a shared folder".to_owned(),
        ]);
    }
}

/// 40 people for 10 days see 6 attacks and 5 look-alikes, 400 for 30 days all of them.
fn how_many(plan: &Plan) -> (usize, usize) {
    let (users, days) = (plan.users as usize, plan.days as usize);
    (
        (users / 20 + days / 5 + 2).min(attacks::ALL.len()),
        (users / 30 + days / 5 + 2).min(lookalikes::ALL.len()),
    )
}

fn play(scene: &mut Scene<'_>, plan: &Plan, stages: &[Stage], count: usize, purpose: &str) {
    let mut order: Vec<(usize, &Stage)> = stages.iter().enumerate().collect();
    Rng::fork(plan.seed, "order", 0, purpose.len() as u64).shuffle(&mut order);
    let mut played = 0;
    for (number, stage) in order {
        if played == count {
            return;
        }
        scene.pen.rng = Rng::fork(plan.seed, purpose, number as u64, 0);
        let incident: Option<Incident> = stage(scene);
        scene.pen.mark = None;
        if let Some(incident) = incident {
            scene.finish(incident);
            played += 1;
        }
    }
}

fn declare(company: &Company, book: &mut Book) {
    let names: Vec<String> = {
        let rng = Rng::fork(0, "declare", 0, 0);
        let pen = Pen { company, book, rng, mark: None };
        [false, true].map(|second| asa::device(&pen, second).file).to_vec()
    };
    for name in &names {
        book.declare(name, "cisco_asa", Delivery::Plain);
    }
    let plain = [
        (fortigate::FILE, "fortigate"),
        (globalprotect::FILE, "globalprotect"),
        (netscaler::FILE, "netscaler"),
        (openvpn::FILE, "openvpn"),
        (okta::FILE, "okta"),
        (entra::FILE, "entra"),
        (kubernetes::FILE, "kubernetes_audit"),
        (windows::XML_FILE, "windows_security"),
        (defender::FILE, "defender"),
        (ise::FILE, "cisco_ise"),
        (ios::FILE, "cisco_ios"),
        (dhcp::FILE, "isc_dhcp"),
        (rd_gateway::FILE, "rd_gateway"),
        (sysmon::FILE, "sysmon"),
    ];
    for (name, source) in plain {
        book.declare(name, source, Delivery::Plain);
    }
    for name in [windows::DC_FILE, windows::SERVER_FILE] {
        book.declare(name, "windows_security", Delivery::Gzip);
    }
    book.declare(cloudtrail::FILE, "cloudtrail", Delivery::CloudTrail);
    for server in &company.servers {
        if server.kind.starts_with("linux") {
            book.declare(&openssh::file(&server.host), "openssh", Delivery::Plain);
        }
    }
    book.tear(openvpn::FILE);
}
