//! The first screen: what waits, worst first, and beside it the answer to the chosen case.

use super::chart::{PathStep, path};
use super::link;
use super::shell::Shell;
use super::text::Whole;
use crate::brief::Brief;
use askama::Template;
use portreeve_report::wire;

pub struct QueueView {
    pub filter: Filter,
    /// Of all pages.
    pub total: i64,
    pub lines: Vec<Line>,
    /// Cursor of the next page; empty on the last.
    pub next: String,
    pub selected: Option<Answer>,
}

/// The state of the page, as its address holds it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `escalate` or `investigate`; empty: both.
    pub queue: String,
    pub q: String,
    /// `me`, `nobody`, or a name.
    pub owner: String,
    pub tier: String,
    /// `closed` for what waits for nobody; empty: what waits.
    pub standing: String,
    pub after: String,
    pub case: Option<i64>,
}

pub struct Line {
    pub number: i64,
    pub title: String,
    pub principal: String,
    pub brief: Brief,
    pub status: String,
    /// Empty: nobody.
    pub owner: String,
    pub tier: String,
    /// When the evidence first sufficed.
    pub since: i64,
    pub due: Option<i64>,
    pub resurfaced: bool,
}

/// The chosen case.
pub struct Answer {
    pub number: i64,
    pub revision: i64,
    /// The decision in force.
    pub decision: String,
    pub owner: String,
    pub tier: String,
    /// Nothing more is to be done with it from here.
    pub closed: bool,
    pub case: wire::Case,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a QueueView,
}

/// `GET /queue`.
pub fn queue(shell: &Shell, view: &QueueView) -> String {
    super::text::page(&Page { shell, v: view })
}

pub(super) struct Chip {
    href: String,
    text: String,
    on: bool,
}

impl Filter {
    pub fn url(&self) -> String {
        let case = self.case.map(|c| c.to_string()).unwrap_or_default();
        link::query(
            "/queue",
            &[
                ("queue", &self.queue),
                ("q", &self.q),
                ("owner", &self.owner),
                ("tier", &self.tier),
                ("standing", &self.standing),
                ("after", &self.after),
                ("case", &case),
            ],
        )
    }

    fn select(&self, case: impl Whole) -> String {
        Filter { case: Some(case.whole()), ..self.clone() }.url()
    }

    fn after(&self, cursor: &str) -> String {
        Filter { after: cursor.to_owned(), case: None, ..self.clone() }.url()
    }

    fn title(&self) -> &'static str {
        match self.queue.as_str() {
            _ if self.standing == "closed" => "Closed",
            "escalate" => "Escalate",
            "investigate" => "Investigate",
            _ => "All that waits",
        }
    }

    fn chips(&self) -> Vec<Chip> {
        let base = Filter { after: String::new(), case: None, ..self.clone() };
        let mut chips = Vec::new();
        for (id, text) in [("", "anybody's"), ("me", "mine"), ("nobody", "nobody's")] {
            let to = Filter { owner: id.to_owned(), ..base.clone() };
            chips.push(Chip { href: to.url(), text: text.to_owned(), on: self.owner == id });
        }
        for (id, text) in [("", "all tiers"), ("l1", "L1"), ("t2", "T2"), ("t3", "T3")] {
            let to = Filter { tier: id.to_owned(), ..base.clone() };
            chips.push(Chip { href: to.url(), text: text.to_owned(), on: self.tier == id });
        }
        let closed = self.standing == "closed";
        let to = if closed { String::new() } else { "closed".to_owned() };
        let to = Filter { standing: to, queue: String::new(), ..base.clone() };
        chips.push(Chip { href: to.url(), text: "closed".to_owned(), on: closed });
        if !self.q.is_empty() {
            let to = Filter { q: String::new(), ..base };
            chips.push(Chip { href: to.url(), text: format!("without “{}”", self.q), on: false });
        }
        chips
    }
}

impl QueueView {
    fn is_selected(&self, number: impl Whole) -> bool {
        let number = number.whole();
        self.selected.as_ref().is_some_and(|a| a.number == number)
    }

    /// The one row that the tab key stops at: the chosen, else the first.
    fn has_stop(&self, number: impl Whole) -> bool {
        let number = number.whole();
        match self.selected.as_ref().filter(|a| self.lines.iter().any(|l| l.number == a.number)) {
            Some(a) => a.number == number,
            None => self.lines.first().is_some_and(|l| l.number == number),
        }
    }
}

impl Line {
    /// Addresses that the line does not show.
    fn more(&self) -> usize {
        self.brief.addresses.saturating_sub(self.brief.from.len())
    }

    fn dots(&self) -> String {
        self.brief.criteria.iter().map(|c| sign_of(&c.state)).collect()
    }

    /// The same for who does not see.
    fn criteria(&self) -> String {
        let all: Vec<String> =
            self.brief.criteria.iter().map(|c| format!("{} {}", c.id, word_of(&c.state))).collect();
        all.join(", ")
    }
}

impl Answer {
    fn first_questions(&self) -> &[wire::Question] {
        &self.case.questions[..self.case.questions.len().min(3)]
    }

    fn path(&self) -> Vec<PathStep> {
        path(&self.case)
    }
}

/// An answer or the state of a criterion: a sign, a word and a class, so that colour says nothing alone.
pub(super) fn sign_of(state: impl AsRef<str>) -> &'static str {
    match state.as_ref() {
        "true" | "yes" => "●",
        "false" | "no" => "○",
        _ => "◌",
    }
}

pub(super) fn word_of(state: impl AsRef<str>) -> String {
    match state.as_ref() {
        "true" => "met".to_owned(),
        "false" => "not met".to_owned(),
        "unknown" => "cannot tell".to_owned(),
        other => other.to_owned(),
    }
}

pub(super) fn class_of(state: impl AsRef<str>) -> &'static str {
    match state.as_ref() {
        "true" | "yes" => "is-yes",
        "false" | "no" => "is-no",
        _ => "is-open",
    }
}
