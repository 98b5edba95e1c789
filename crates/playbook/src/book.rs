//! The playbook's rows as `content/playbooks/T1133.yml` words and orders them. Code has the functions, the book the
//! texts; each names the other by id, and [`Book::mismatches`] says where they part.

use crate::{escalation::CRITERIA, l1::STEPS, questions::QUESTIONS, t2::ACTIONS};
use portreeve_model::action::ActionKind;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    pub id: String,
    pub name: String,
    pub tactics: Vec<String>,
    pub technique: String,
    pub log_sources: Part<Row>,
    pub indicators: Part<Row>,
    pub questions: Part<QuestionRow>,
    pub escalation: Part<CriterionRow>,
    pub l1: Part<Row>,
    pub t2: Part<Row>,
    pub containment: Part<ContainmentRow>,
}

/// One row of the playbook's table: its own words, and what they come apart into.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part<T> {
    pub says: String,
    pub rows: Vec<T>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub id: String,
    pub text: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionRow {
    pub id: String,
    /// Which row of the playbook asks it.
    pub row: String,
    /// In few words, for narrow places.
    pub label: String,
    pub text: String,
    /// When the answer is which.
    pub yes: String,
    pub no: String,
    pub unknown: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionRow {
    /// "E1" … "E4".
    pub number: String,
    pub id: String,
    pub text: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainmentRow {
    pub id: String,
    pub title: String,
    pub text: String,
}

impl Book {
    /// Every row that a detection or a question may name: `indicators.unfamiliar_place`, `questions`.
    pub fn has_row(&self, name: &str) -> bool {
        let Some((part, id)) = name.split_once('.') else {
            return matches!(name, "questions" | "escalation" | "l1" | "t2" | "indicators" | "containment");
        };
        let among = |rows: &[Row]| rows.iter().any(|r| r.id == id);
        match part {
            "log_sources" => among(&self.log_sources.rows),
            "indicators" => among(&self.indicators.rows),
            "questions" => self.questions.rows.iter().any(|q| q.id == id),
            "escalation" => self.escalation.rows.iter().any(|c| c.id == id),
            "l1" => among(&self.l1.rows),
            "t2" => among(&self.t2.rows),
            "containment" => self.containment.rows.iter().any(|c| c.id == id),
            _ => false,
        }
    }

    /// Where book and code part: an id without a function, a function without an id, an id that is there twice.
    pub fn mismatches(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut hold = |part: &str, written: Vec<&str>, coded: Vec<&str>| {
            for (n, id) in written.iter().enumerate() {
                if !coded.contains(id) {
                    problems.push(format!("{part}: {id} has no code; there are {}", coded.join(", ")));
                }
                if written[..n].contains(id) {
                    problems.push(format!("{part}: {id} is there twice"));
                }
            }
            for id in coded.iter().filter(|id| !written.contains(id)) {
                problems.push(format!("{part}: {id} is missing"));
            }
        };
        let ids = |rows: &[Row]| -> Vec<String> { rows.iter().map(|r| r.id.clone()).collect() };
        let (l1, t2) = (ids(&self.l1.rows), ids(&self.t2.rows));
        hold(
            "questions",
            self.questions.rows.iter().map(|q| q.id.as_str()).collect(),
            QUESTIONS.iter().map(|q| q.id).collect(),
        );
        hold(
            "escalation",
            self.escalation.rows.iter().map(|c| c.id.as_str()).collect(),
            CRITERIA.iter().map(|c| c.id).collect(),
        );
        hold("l1", l1.iter().map(String::as_str).collect(), STEPS.iter().map(|s| s.id).collect());
        hold("t2", t2.iter().map(String::as_str).collect(), ACTIONS.iter().map(|a| a.id).collect());
        hold(
            "containment",
            self.containment.rows.iter().map(|c| c.id.as_str()).collect(),
            ActionKind::ALL.iter().map(|a| a.id()).collect(),
        );
        for q in self.questions.rows.iter().filter(|q| !self.has_row(&q.row)) {
            problems.push(format!("questions: {} names the row {}, which is not here", q.id, q.row));
        }
        problems
    }

    /// Title of an action and its place in the order.
    pub(crate) fn action(&self, kind: ActionKind) -> (usize, String) {
        let rows = &self.containment.rows;
        match rows.iter().position(|r| r.id == kind.id()) {
            Some(at) => (at, rows[at].title.clone()),
            None => (rows.len(), kind.id().replace('_', " ")),
        }
    }
}
