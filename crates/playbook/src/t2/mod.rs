//! The playbook's T2 analyst actions, done as far as the logs allow.

mod edr_alerts;
mod intel_history;
mod lateral_graph;
mod tools_and_commands;

use crate::view::{Answer, CaseView, Taken};

pub struct T2Action {
    pub id: &'static str,
    pub take: fn(&CaseView<'_>, &[(&'static str, Answer)]) -> Taken,
}

pub static ACTIONS: &[&T2Action] =
    &[&intel_history::ACTION, &lateral_graph::ACTION, &tools_and_commands::ACTION, &edr_alerts::ACTION];

/// Answer to a question that was already asked.
fn answer_to(answers: &[(&'static str, Answer)], id: &str) -> Answer {
    answers.iter().find(|(q, _)| *q == id).map(|(_, a)| a.clone()).unwrap_or_default()
}
