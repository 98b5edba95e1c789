//! The playbook's decision for escalation: a file per criterion, and the decision.

mod baseline_anomaly;
pub mod decide;
mod known_malicious_range;
mod lateral_movement;
mod privilege_inconsistent_with_role;

use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion as Supports;
use portreeve_model::facts::Explained;

pub struct Criterion {
    pub id: &'static str,
    pub judge: fn(&CaseView<'_>, &[(&'static str, Answer)]) -> Judgement,
}

/// A criterion's state, and what explains it away.
pub struct Judgement {
    pub answer: Answer,
    pub explained: Vec<Explained>,
}

pub static CRITERIA: &[&Criterion] = &[
    &known_malicious_range::CRITERION,
    &baseline_anomaly::CRITERION,
    &lateral_movement::CRITERION,
    &privilege_inconsistent_with_role::CRITERION,
];

/// The question's answer as the criterion's state, explained where every signal behind it is.
fn from_question(
    case: &CaseView<'_>,
    answers: &[(&'static str, Answer)],
    id: &str,
    supports: Supports,
) -> Judgement {
    let answer = answers.iter().find(|(q, _)| *q == id).map(|(_, a)| a.clone()).unwrap_or_default();
    let mut explained: Vec<Explained> = Vec::new();
    let signals: Vec<_> = case.supporting(supports).collect();
    if !signals.is_empty() && signals.iter().all(|s| !s.explained.is_empty()) {
        for e in signals.iter().flat_map(|s| &s.explained) {
            if !explained.contains(e) {
                explained.push(e.clone());
            }
        }
    }
    Judgement { answer, explained }
}

pub fn sentence(explained: &Explained) -> String {
    match explained {
        Explained::Testing { purpose } => format!("authorised test: {purpose}"),
        Explained::Ticket { id, category, summary } => format!("ticket {id} ({category}): {summary}"),
        Explained::OnCall => "on call at that time".to_owned(),
        Explained::Travel { country, city } => format!("announced travel to {city}, {country}"),
    }
}
