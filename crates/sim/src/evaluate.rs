//! Scores the cases of a hunt against the labels of a simulated company.
//!
//! A case is *true* when it is about an attack: it quotes a labelled record, or names the account together with an
//! address of the attack (or with no address at all), or an address only the attacker used, while the times overlap
//! (two hours before to a day after). The right account at the right time with other addresses is *weak*: neither
//! found nor false. Every other open case is *false*. Only answers that a label pins down are counted.

mod cases;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::SimError;
use crate::clock::{HOUR, MINUTE, Millis};
use crate::evaluate::cases::{Case, Decision, canonical};
use crate::labels::{self, CRITERIA, Label, Labels, QUESTIONS};

/// Right out of counted.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Mark {
    pub right: usize,
    pub counted: usize,
}

/// What became of the attacks, or look-alikes, of one scenario.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct PerScenario {
    pub scenario: String,
    pub of: usize,
    /// With an escalated case.
    pub escalated: usize,
    /// With a case that is escalated or to be investigated.
    pub open: usize,
}

/// An attack without an escalated case.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Missed {
    pub id: String,
    pub scenario: String,
    /// The best decision any case on it had; none where there is no case.
    pub best: Option<String>,
    pub risk_score: Option<f64>,
}

/// How a hunt did.
#[derive(Clone, Debug, Default, Serialize, PartialEq)]
pub struct Evaluation {
    pub seed: u64,
    pub company: String,
    pub employees: u32,
    pub days: u32,
    pub cases: usize,
    pub attacks: usize,
    pub attacks_escalated: usize,
    pub attacks_open: usize,
    pub missed: Vec<Missed>,
    pub lookalikes: usize,
    pub lookalikes_escalated: usize,
    pub escalations: usize,
    pub true_escalations: usize,
    pub false_escalations: usize,
    pub false_escalations_per_day_and_1000_users: f64,
    pub false_open: usize,
    pub false_open_per_day_and_1000_users: f64,
    /// Right account, other addresses.
    pub weak: usize,
    /// Per question; attacks with an open case, and look-alikes with any case.
    pub answers: BTreeMap<String, Mark>,
    pub answers_together: Mark,
    pub criteria: BTreeMap<String, Mark>,
    pub criteria_together: Mark,
    /// Wrong answers and criteria: `A003 mfa_bypassed_or_absent: no, should be yes`.
    pub wrong: Vec<String>,
    /// Ids of the cases that were escalated without an attack behind them.
    pub false_cases: Vec<String>,
    pub per_attack: Vec<PerScenario>,
    pub per_lookalike: Vec<PerScenario>,
}

/// Scores `cases_json` (an array, an object with `cases`, or one object a line) against `truth` (a label file, its
/// folder, or the folder `simulate` wrote).
pub fn evaluate(truth: &Path, cases_json: &Path) -> Result<Evaluation, SimError> {
    let labels = labels::read(truth)?;
    let lines = cases::labelled_lines(truth);
    let cases = cases::read(cases_json)?;
    Ok(score(&labels, &lines, &cases))
}

/// Labelled records by incident: base name of the file, line.
pub(crate) type Lines = BTreeMap<String, BTreeSet<(String, u64)>>;

struct Incident<'a> {
    label: &'a Label,
    attack: bool,
    names: BTreeSet<String>,
    main: BTreeSet<String>,
    ips: BTreeSet<String>,
    /// Addresses nobody else uses.
    own: BTreeSet<String>,
    any: BTreeSet<String>,
    lines: BTreeSet<(String, u64)>,
    from: Millis,
    to: Millis,
    success: Millis,
}

/// How strongly a case is about an incident; the order is the strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Weak,
    Address,
    Account,
    Both,
    Record,
}

impl<'a> Incident<'a> {
    fn new(label: &'a Label, lines: &Lines) -> Incident<'a> {
        let mut names = BTreeSet::new();
        let mut main = BTreeSet::new();
        let spellings = |name: &String| {
            let mut all = vec![canonical(name), name.to_lowercase()];
            for alias in label.aliases.get(name).into_iter().flatten() {
                all.extend([canonical(alias), alias.to_lowercase()]);
            }
            all
        };
        for name in &label.principals {
            main.extend(spellings(name));
        }
        names.extend(main.iter().cloned());
        for name in &label.other_principals {
            names.extend(spellings(name));
        }
        let attack = label.kind == "attack";
        let ips: BTreeSet<String> = label.attacker_ips.iter().chain(&label.ips).cloned().collect();
        let own = ips.iter().filter(|ip| !label.shared_ips.contains(ip)).cloned().collect();
        let any = ips.iter().chain(&label.tunnel_ips).cloned().collect();
        let from = cases::instant(&label.start).unwrap_or_default();
        let success = label.stages.get("first_success").and_then(|t| cases::instant(t)).unwrap_or(from);
        Incident {
            label,
            attack,
            names,
            main,
            own,
            any,
            ips,
            lines: lines.get(&label.id).cloned().unwrap_or_default(),
            from,
            to: cases::instant(&label.end).unwrap_or(from),
            success,
        }
    }

    fn matches(&self, case: &Case) -> Option<Match> {
        if case.records.iter().any(|r| self.lines.contains(r)) {
            return Some(Match::Record);
        }
        let account = case.principals.iter().any(|p| self.names.contains(p));
        let address = case.ips.iter().any(|ip| self.any.contains(ip));
        let (Some(first), Some(last)) = (case.first, case.last) else {
            return (account && address).then_some(Match::Both);
        };
        if last < self.from - 2 * HOUR || first > self.to + 24 * HOUR {
            return None;
        }
        if account && address {
            return Some(Match::Both);
        }
        if account && self.attack {
            return Some(if case.ips.is_empty() { Match::Account } else { Match::Weak });
        }
        if account {
            // A look-alike: its own account while it happens, whatever the address.
            let tight = last >= self.from - 15 * MINUTE && first <= self.to + 2 * HOUR;
            let mine = case.principals.iter().any(|p| self.main.contains(p));
            return (tight && mine).then_some(Match::Account);
        }
        if self.attack {
            return case.ips.iter().any(|ip| self.own.contains(ip)).then_some(Match::Address);
        }
        let nameless = case.principals.is_empty() || self.names.is_empty();
        (nameless && case.ips.iter().any(|ip| self.ips.contains(ip))).then_some(Match::Address)
    }
}

/// Scores cases against labels.
pub(crate) fn score(labels: &Labels, lines: &Lines, cases: &[Case]) -> Evaluation {
    let attacks: Vec<Incident> = labels.incidents.iter().map(|l| Incident::new(l, lines)).collect();
    let benign: Vec<Incident> = labels.lookalikes.iter().map(|l| Incident::new(l, lines)).collect();
    let mut on_attack: Vec<Vec<(usize, Match)>> = vec![Vec::new(); attacks.len()];
    let mut on_benign: Vec<Vec<(usize, Match)>> = vec![Vec::new(); benign.len()];
    let mut result = Evaluation {
        seed: labels.seed,
        company: labels.company.clone(),
        employees: labels.employees,
        days: labels.window.days,
        cases: cases.len(),
        attacks: attacks.len(),
        lookalikes: benign.len(),
        ..Evaluation::default()
    };
    for (at, case) in cases.iter().enumerate() {
        let mut is_true = false;
        let mut weak = false;
        for (incident, hits) in attacks.iter().zip(&mut on_attack) {
            match incident.matches(case) {
                Some(Match::Weak) => weak = true,
                Some(how) => {
                    is_true = true;
                    hits.push((at, how));
                }
                None => {}
            }
        }
        for (incident, hits) in benign.iter().zip(&mut on_benign) {
            if let Some(how) = incident.matches(case) {
                if how >= Match::Both {
                    weak = false;
                }
                if !is_true {
                    hits.push((at, how));
                }
            }
        }
        if case.decision == Decision::Escalate {
            result.escalations += 1;
            result.true_escalations += usize::from(is_true);
        }
        if !is_true && weak {
            result.weak += 1;
        } else if !is_true && case.decision != Decision::Close {
            result.false_open += 1;
            if case.decision == Decision::Escalate {
                result.false_escalations += 1;
                result.false_cases.push(case.id.clone());
            }
        }
    }
    let exposure = f64::from(labels.window.days) * f64::from(labels.employees) / 1000.0;
    let rate = |n: usize| if exposure > 0.0 { n as f64 / exposure } else { 0.0 };
    result.false_escalations_per_day_and_1000_users = rate(result.false_escalations);
    result.false_open_per_day_and_1000_users = rate(result.false_open);
    for question in QUESTIONS {
        result.answers.insert(question.to_owned(), Mark::default());
    }
    for criterion in CRITERIA {
        result.criteria.insert(criterion.to_owned(), Mark::default());
    }
    tally(&mut result, cases, &attacks, &on_attack, true);
    tally(&mut result, cases, &benign, &on_benign, false);
    result.answers_together = together(&result.answers);
    result.criteria_together = together(&result.criteria);
    result
}

fn together(marks: &BTreeMap<String, Mark>) -> Mark {
    Mark { right: marks.values().map(|m| m.right).sum(), counted: marks.values().map(|m| m.counted).sum() }
}

fn tally(
    result: &mut Evaluation,
    cases: &[Case],
    incidents: &[Incident<'_>],
    hits: &[Vec<(usize, Match)>],
    attack: bool,
) {
    let mut scenarios: BTreeMap<&str, PerScenario> = BTreeMap::new();
    for (incident, hits) in incidents.iter().zip(hits) {
        let found: Vec<(&Case, Match)> =
            hits.iter().filter_map(|(at, how)| Some((cases.get(*at)?, *how))).collect();
        let escalated = found.iter().any(|(c, _)| c.decision == Decision::Escalate);
        let open = found.iter().any(|(c, _)| c.decision != Decision::Close);
        let row = scenarios.entry(&incident.label.scenario).or_default();
        row.of += 1;
        row.escalated += usize::from(escalated);
        row.open += usize::from(open);
        if attack {
            result.attacks_escalated += usize::from(escalated);
            result.attacks_open += usize::from(open);
            if !escalated {
                let best = found.iter().map(|(c, _)| c).max_by(|a, b| a.risk.total_cmp(&b.risk));
                result.missed.push(Missed {
                    id: incident.label.id.clone(),
                    scenario: incident.label.scenario.clone(),
                    best: best.map(|c| c.decision.name().to_owned()),
                    risk_score: best.map(|c| c.risk),
                });
            }
        } else {
            result.lookalikes_escalated += usize::from(escalated);
        }
        // The case that speaks for the incident: escalated before open, the stronger match, the nearer in time.
        let judged = found
            .iter()
            .filter(|(c, _)| {
                if attack {
                    c.decision != Decision::Close
                } else {
                    incident.names.is_empty() || c.principals.iter().any(|p| incident.names.contains(p))
                }
            })
            .max_by_key(|(c, how)| {
                let away = c.first.map_or(Millis::MAX, |t| (t - incident.success).abs());
                (
                    attack && c.decision == Decision::Escalate,
                    *how,
                    std::cmp::Reverse(away),
                    std::cmp::Reverse(c.id.clone()),
                )
            });
        if let Some((case, _)) = judged {
            judge(result, incident.label, case);
        }
    }
    let rows =
        scenarios.into_iter().map(|(name, row)| PerScenario { scenario: name.to_owned(), ..row }).collect();
    if attack {
        result.per_attack = rows;
    } else {
        result.per_lookalike = rows;
    }
}

fn judge(result: &mut Evaluation, label: &Label, case: &Case) {
    let both = [
        (&label.expected_answers, &label.acceptable_answers, &case.answers, true),
        (&label.expected_criteria, &label.acceptable_criteria, &case.criteria, false),
    ];
    for (expected, acceptable, given, answers) in both {
        for (id, want) in expected {
            let fine = acceptable.get(id).cloned().unwrap_or_else(|| vec![want.clone()]);
            if fine.len() >= 3 {
                continue;
            }
            let marks = if answers { &mut result.answers } else { &mut result.criteria };
            let Some(mark) = marks.get_mut(id) else { continue };
            let got = given.get(id).map_or("missing", String::as_str);
            mark.counted += 1;
            if fine.iter().any(|f| f == got) {
                mark.right += 1;
            } else {
                result.wrong.push(format!(
                    "{} {} {id}: {got}, should be {}",
                    label.id,
                    label.scenario,
                    fine.join(" or ")
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
