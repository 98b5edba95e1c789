//! The truth about a simulated company: what was an attack, what only looked like one, and what the right answers are.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::book::{Book, Evidence};
use crate::clock::{DAY, Millis, iso};
use crate::company::Company;
use crate::gazetteer::{NetworkKind, city, distance_km};
use crate::incident::{Incident, Kind, SecondFactor};
use crate::scene::Extra;
use crate::{Plan, SimError};

/// Ids of the playbook's questions.
pub const QUESTIONS: [&str; 7] = [
    "ip_seen_before",
    "lateral_movement",
    "mfa_bypassed_or_absent",
    "geo_matches_known_location_or_travel",
    "privilege_inconsistent_with_role",
    "known_malicious_ip",
    "edr_related",
];

/// Ids of the playbook's criteria for escalation.
pub const CRITERIA: [&str; 4] =
    ["known_malicious_range", "baseline_anomaly", "lateral_movement", "privilege_inconsistent_with_role"];

/// The label file, `labels/labels.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Labels {
    pub version: u32,
    pub seed: u64,
    pub window: Window,
    /// Accounts, service accounts included.
    pub users: u32,
    pub employees: u32,
    pub company: String,
    pub domain: String,
    pub questions: Vec<String>,
    pub incidents: Vec<Label>,
    pub lookalikes: Vec<Label>,
}

/// The simulated time; both ends RFC 3339, the end exclusive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    pub start: String,
    pub end: String,
    pub days: u32,
}

/// One attack or look-alike.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Label {
    pub id: String,
    /// `attack` or `benign`.
    pub kind: String,
    pub scenario: String,
    pub family: String,
    pub principals: Vec<String>,
    pub other_principals: Vec<String>,
    /// Every spelling of each account.
    pub aliases: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attacker_ips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// Addresses of the incident that others use too.
    pub shared_ips: Vec<String>,
    pub tunnel_ips: Vec<String>,
    /// RFC 3339, first and last labelled record.
    pub start: String,
    pub end: String,
    /// Labelled records per source, and per file.
    pub sources: BTreeMap<String, usize>,
    pub files: BTreeMap<String, usize>,
    /// `escalate` or `do_not_escalate`.
    pub expected_decision: String,
    pub acceptable_decisions: Vec<String>,
    /// RFC 3339 by name of the stage; `first_success` is when the access was gained.
    pub stages: BTreeMap<String, String>,
    pub notes: String,
    pub reason: String,
    pub expected_answers: BTreeMap<String, String>,
    pub acceptable_answers: BTreeMap<String, Vec<String>>,
    pub expected_criteria: BTreeMap<String, String>,
    pub acceptable_criteria: BTreeMap<String, Vec<String>>,
    /// Context files without which it cannot be told from an attack.
    pub requires_context: Vec<String>,
    /// Up to twelve labelled records of each source; all are in `labels/lines.csv`.
    pub evidence: BTreeMap<String, Vec<Spot>>,
}

/// One labelled record.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Spot {
    pub time: String,
    /// Relative to the `logs` folder.
    pub file: String,
    /// Line from one; in a CloudTrail file the record.
    pub line: usize,
}

/// Computes the labels once all rows are written.
pub(crate) fn compute(
    company: &Company,
    plan: &Plan,
    book: &Book,
    extra: &Extra,
    incidents: &[Incident],
) -> Labels {
    let start = crate::clock::midnight(plan.start);
    let mut labels = Labels {
        version: 2,
        seed: plan.seed,
        window: Window { start: iso(start), end: iso(start + i64::from(plan.days) * DAY), days: plan.days },
        users: company.people.len() as u32,
        employees: plan.users,
        company: company.name.to_owned(),
        domain: company.domain.to_owned(),
        questions: QUESTIONS.map(str::to_owned).to_vec(),
        ..Labels::default()
    };
    for (index, incident) in incidents.iter().enumerate() {
        let none = Vec::new();
        let evidence = book.evidence.get(&index).unwrap_or(&none);
        if evidence.is_empty() {
            // The person had no working day in the window: nothing happened that anyone could find.
            continue;
        }
        let mut label = label(company, book, extra, incident, evidence);
        match incident.kind {
            Kind::Attack => {
                label.id = format!("A{:03}", labels.incidents.len() + 1);
                labels.incidents.push(label);
            }
            Kind::LookAlike => {
                label.id = format!("B{:03}", labels.lookalikes.len() + 1);
                labels.lookalikes.push(label);
            }
        }
    }
    labels
}

fn label(company: &Company, book: &Book, extra: &Extra, incident: &Incident, evidence: &[Evidence]) -> Label {
    let first = evidence.iter().map(|e| e.at).min().unwrap_or_default();
    let last = evidence.iter().map(|e| e.at).max().unwrap_or_default();
    let people: Vec<_> = incident.people.iter().filter_map(|id| company.people.get(*id)).collect();
    let attack = incident.kind == Kind::Attack;
    let mut label = Label {
        kind: if attack { "attack" } else { "benign" }.to_owned(),
        scenario: incident.scenario.to_owned(),
        family: incident.family.to_owned(),
        start: iso(first),
        end: iso(last),
        notes: incident.notes.to_owned(),
        reason: if attack { String::new() } else { incident.notes.to_owned() },
        requires_context: incident.needs_context.iter().map(|f| (*f).to_owned()).collect(),
        expected_decision: if attack { "escalate" } else { "do_not_escalate" }.to_owned(),
        acceptable_decisions: if attack {
            vec!["escalate".to_owned()]
        } else {
            vec!["close".to_owned(), "investigate".to_owned()]
        },
        ..Label::default()
    };
    for person in &people {
        label.principals.push(person.login.clone());
        label.aliases.insert(person.login.clone(), person.aliases(company));
    }
    for account in &incident.accounts {
        label.principals.push(account.clone());
        label
            .aliases
            .insert(account.clone(), vec![account.clone(), format!("{}\\{account}", company.netbios)]);
    }
    for account in &incident.others {
        label.other_principals.push(account.clone());
        label.aliases.insert(account.clone(), vec![account.clone()]);
    }
    let texts = |ips: &[Ipv4Addr]| ips.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>();
    if attack {
        label.attacker_ips = texts(&incident.ips);
    } else {
        label.ips = texts(&incident.ips);
    }
    label.shared_ips = texts(&incident.shared);
    label.tunnel_ips = texts(&incident.tunnels);
    label.stages = incident.stages.iter().map(|(k, at)| ((*k).to_owned(), iso(*at))).collect();
    for spot in evidence {
        *label.sources.entry(spot.source.to_owned()).or_default() += 1;
        *label.files.entry(spot.file.clone()).or_default() += 1;
        let kept = label.evidence.entry(spot.source.to_owned()).or_default();
        if kept.len() < 12 {
            kept.push(Spot { time: iso(spot.at), file: spot.file.clone(), line: spot.line });
        }
    }
    let success = incident.stages.get("first_success").copied().unwrap_or(first);
    for question in QUESTIONS {
        let given = incident.answers.iter().find(|(id, _)| *id == question).map(|(_, answer)| *answer);
        let answer =
            given.unwrap_or_else(|| answer(question, company, book, extra, incident, success, (first, last)));
        label.expected_answers.insert(question.to_owned(), answer.to_owned());
    }
    for (question, answers) in &incident.acceptable {
        let mut answers: Vec<String> = answers.iter().map(|a| (*a).to_owned()).collect();
        if let Some(expected) = label.expected_answers.get(*question)
            && !answers.contains(expected)
        {
            answers.push(expected.clone());
        }
        label.acceptable_answers.insert((*question).to_owned(), answers);
    }
    for criterion in CRITERIA {
        let holds = match criterion {
            "known_malicious_range" => {
                label.expected_answers.get("known_malicious_ip").is_some_and(|a| a == "yes")
            }
            "baseline_anomaly" => incident.deeds.anomaly,
            "lateral_movement" => incident.deeds.lateral,
            _ => incident.deeds.privilege,
        };
        label.expected_criteria.insert(criterion.to_owned(), holds.to_string());
    }
    for (criterion, states) in &incident.acceptable_criteria {
        label
            .acceptable_criteria
            .insert((*criterion).to_owned(), states.iter().map(|s| (*s).to_owned()).collect());
    }
    // Where the answer to a question is a matter of reading, so is the criterion of the same name.
    for (question, criterion) in [
        ("lateral_movement", "lateral_movement"),
        ("privilege_inconsistent_with_role", "privilege_inconsistent_with_role"),
        ("known_malicious_ip", "known_malicious_range"),
    ] {
        if label.acceptable_criteria.contains_key(criterion) {
            continue;
        }
        if let Some(answers) = label.acceptable_answers.get(question) {
            let states = answers.iter().map(|a| match a.as_str() {
                "yes" => "true".to_owned(),
                "no" => "false".to_owned(),
                other => other.to_owned(),
            });
            let states = states.collect();
            label.acceptable_criteria.insert(criterion.to_owned(), states);
        }
    }
    label
}

/// The right answer, from what was done and where the addresses are.
fn answer(
    question: &str,
    company: &Company,
    book: &Book,
    extra: &Extra,
    incident: &Incident,
    success: Millis,
    (first, last): (Millis, Millis),
) -> &'static str {
    let yes_if = |holds: bool| if holds { "yes" } else { "no" };
    match question {
        "ip_seen_before" => {
            let seen = |id: &usize, ip: &Ipv4Addr| {
                book.seen.get(&(*id, *ip)).is_some_and(|at| *at < first.min(success))
            };
            let all = incident.people.iter().all(|id| incident.ips.iter().any(|ip| seen(id, ip)));
            yes_if(all && !incident.people.is_empty() && !incident.ips.is_empty())
        }
        "geo_matches_known_location_or_travel" => place(company, extra, incident),
        "mfa_bypassed_or_absent" => match incident.deeds.second_factor {
            SecondFactor::Bypassed => "yes",
            SecondFactor::Passed => "no",
        },
        "lateral_movement" => yes_if(incident.deeds.lateral),
        "privilege_inconsistent_with_role" => yes_if(incident.deeds.privilege),
        "known_malicious_ip" => yes_if(incident.ips.iter().any(|ip| extra.listed.contains(ip))),
        _ => {
            let about = |id: usize, at: Millis| {
                incident.people.contains(&id) && at >= first - DAY && at <= last + DAY
            };
            yes_if(book.alerts.iter().any(|(id, at)| about(*id, *at)))
        }
    }
}

/// Is the address within 120 km of home, an office, or an announced journey of the person.
fn place(company: &Company, extra: &Extra, incident: &Incident) -> &'static str {
    let Some(block) = incident.ips.iter().find_map(|ip| company.plan.block_of(*ip)) else { return "unknown" };
    if matches!(block.network.kind, NetworkKind::Relay | NetworkKind::Tor | NetworkKind::CommercialVpn) {
        return "unknown";
    }
    let Some(person) = incident.people.first().and_then(|id| company.people.get(*id)) else { return "no" };
    let here = (block.city.lat, block.city.lon);
    let mut known = vec![(person.lat, person.lon)];
    known.extend(company.offices.iter().map(|o| (o.city.lat, o.city.lon)));
    known.extend(extra.travel.iter().filter(|row| row[0] == person.login).map(|row| {
        let c = city(crate::gazetteer::CITIES.iter().find(|c| c.name == row[4]).map_or("Paris", |c| c.name));
        (c.lat, c.lon)
    }));
    let reach = 120.0 + f64::from(block.radius);
    if known.iter().any(|at| distance_km(*at, here) <= reach) { "yes" } else { "no" }
}

/// Writes `labels/labels.json` and `labels/lines.csv`.
pub(crate) fn write(
    out: &Path,
    labels: &Labels,
    book: &Book,
    incidents: &[Incident],
) -> Result<(), SimError> {
    let folder = out.join("labels");
    fs::create_dir_all(&folder).map_err(|cause| SimError::write(&folder, cause))?;
    let path = folder.join("labels.json");
    let text = serde_json::to_string_pretty(labels).map_err(|cause| SimError::write(&path, cause.into()))?;
    fs::write(&path, text + "\n").map_err(|cause| SimError::write(&path, cause))?;
    let mut lines = String::from("incident,file,line\n");
    let (mut attacks, mut benign) = (0, 0);
    for (index, incident) in incidents.iter().enumerate() {
        let Some(evidence) = book.evidence.get(&index) else { continue };
        let id = match incident.kind {
            Kind::Attack => {
                attacks += 1;
                format!("A{attacks:03}")
            }
            Kind::LookAlike => {
                benign += 1;
                format!("B{benign:03}")
            }
        };
        for spot in evidence {
            lines.push_str(&format!("{id},{},{}\n", spot.file, spot.line));
        }
    }
    let path = folder.join("lines.csv");
    fs::write(&path, lines).map_err(|cause| SimError::write(&path, cause))
}

/// Reads a label file; `path` may be the file, its folder, or the simulated company's folder.
pub fn read(path: &Path) -> Result<Labels, SimError> {
    let file = [path.to_path_buf(), path.join("labels.json"), path.join("labels/labels.json")]
        .into_iter()
        .find(|p| p.is_file())
        .unwrap_or_else(|| path.to_path_buf());
    let text = fs::read_to_string(&file).map_err(|cause| SimError::Read { path: file.clone(), cause })?;
    serde_json::from_str(&text).map_err(|cause| SimError::Labels { path: file, cause })
}
