//! A case: what the engine says with its evidence, what people made of it, and what can be done.

use super::chart::{Gantt, Hop, Mark, Web, gantt, hops, marks, web};
use super::plans::PlanCard;
use super::shell::Shell;
use super::suppressions::{Draft, Preview};
use askama::Template;
use portreeve_report::actions::Aftermath;
use portreeve_report::wire;

pub struct CaseView {
    pub number: i64,
    pub revision: i64,
    pub status: String,
    /// Empty: nobody.
    pub owner: String,
    pub tier: String,
    pub tlp: String,
    pub pap: String,
    pub restricted: bool,
    pub members: Vec<String>,
    /// The decision in force.
    pub decision: String,
    pub overridden: Option<Override>,
    pub disposition: String,
    pub closing_reason: String,
    pub resurfaced: bool,
    /// The case that this one is part of.
    pub merged_into: Option<i64>,
    /// Cases that are part of this one.
    pub merged: Vec<i64>,
    /// The engine's other cases in this one: id, title, and whether it stands by it no more.
    pub parts: Vec<(String, String, bool)>,
    pub clocks: Vec<Clock>,
    pub case: wire::Case,
    pub timeline: Vec<Moment>,
    pub tasks: Vec<Task>,
    pub notes: Vec<Note>,
    pub verdicts: Vec<Verdict>,
    pub related: Vec<Related>,
    pub containment: ContainmentView,
    /// Names of people who may own it.
    pub people: Vec<String>,
    /// Of the suppression that was asked about, before it is made.
    pub preview: Option<Preview>,
    pub draft: Draft,
    pub benign_fault: String,
    /// The suppression that keeps it out of the queue.
    pub suppressed: Option<i64>,
    pub asks: Vec<Ask>,
    /// Just made: shown once.
    pub ask_link: Option<String>,
    pub ask_fault: String,
    /// Names of webhooks that take a question to a person.
    pub webhooks: Vec<String>,
}

/// A question to a person, and the answer.
#[derive(Default)]
pub struct Ask {
    pub id: i64,
    pub person: String,
    pub question: String,
    pub by: String,
    pub at: i64,
    pub state: String,
    /// `yes`, `no` or `unsure`; empty where none came.
    pub answer: String,
    pub remark: String,
    pub answered_at: Option<i64>,
    pub address: String,
    pub device: String,
    pub strength: String,
    /// By whom and how.
    pub confirmed: String,
}

pub struct Override {
    pub before: String,
    pub reason: String,
    pub by: String,
    pub at: i64,
}

pub struct Clock {
    /// `acknowledge`, `contain` or `resolve`.
    pub kind: String,
    pub due: i64,
    pub paused: bool,
    pub met_at: Option<i64>,
    pub is_breached: bool,
}

/// An entry of the timeline.
pub struct Moment {
    pub at: i64,
    pub certainty: String,
    /// `log`, `alert`, `analyst`, `action`, `revision` or `answer`.
    pub kind: String,
    pub actor: String,
    pub said: String,
    pub evidence: Vec<wire::Evidence>,
}

/// What people made of a step of the playbook.
pub struct Task {
    pub step: String,
    pub state: String,
    pub assignee: String,
    pub finding: String,
    pub done_by: String,
    pub revision: i64,
}

pub struct Note {
    pub id: i64,
    pub revision: i64,
    /// Markdown, shown as it was written.
    pub body: String,
    pub author: String,
    pub at: i64,
    pub edited: bool,
    pub is_mine: bool,
}

pub struct Verdict {
    pub number: i64,
    pub turn: String,
    pub why: String,
    pub changed: String,
    pub at: i64,
    pub before: String,
    pub after: String,
    pub risk_before: f64,
    pub risk_after: f64,
    pub late: bool,
}

pub struct Related {
    pub number: i64,
    pub title: String,
    pub status: String,
    pub owner: String,
    pub closing_reason: String,
    /// What both hold.
    pub why: Vec<String>,
}

/// What was done, and what may be. Proposals are in the case.
#[derive(Default)]
pub struct ContainmentView {
    pub aftermath: Option<Aftermath>,
    /// Is there any device to act upon?
    pub configured: bool,
    /// The newest first.
    pub plans: Vec<PlanCard>,
    /// What a person should look at.
    pub trouble: Vec<String>,
}

#[derive(Template)]
#[template(path = "case.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a CaseView,
    gantt: Gantt,
    marks: Vec<Mark>,
    web: Web,
    timeline: Vec<&'a Moment>,
    steps: Vec<Step<'a>>,
    world: &'static str,
}

/// A step with what was made of it.
struct Step<'a> {
    tier: &'static str,
    step: &'a wire::Step,
    task: Option<&'a Task>,
}

impl Step<'_> {
    fn state(&self) -> &str {
        match (self.task, self.step.state.as_str()) {
            // What the records answer needs nobody.
            (Some(t), "done") if t.state == "to_do" => "done",
            (Some(t), _) => &t.state,
            (None, "done") => "done",
            (None, _) => "to_do",
        }
    }

    fn revision(&self) -> i64 {
        self.task.map_or(0, |t| t.revision)
    }

    fn finding(&self) -> &str {
        self.task.map_or("", |t| &t.finding)
    }

    fn is_done(&self) -> bool {
        matches!(self.state(), "done" | "skipped")
    }
}

impl CaseView {
    fn tasks_open(&self) -> usize {
        self.tasks.iter().filter(|t| !matches!(t.state.as_str(), "done" | "skipped")).count()
    }

    fn open(&self) -> Vec<String> {
        self.containment.aftermath.as_ref().map(|a| a.open(&self.case)).unwrap_or_default()
    }

    fn hops(&self) -> Vec<Hop> {
        hops(&self.case)
    }
}

/// Entries that a case brings along by itself.
pub fn moments_of(case: &wire::Case) -> Vec<Moment> {
    let entry = |e: &wire::Entry| Moment {
        at: super::chart::micros(&e.time),
        certainty: e.certainty.clone(),
        kind: e.kind.clone(),
        actor: String::new(),
        said: e.text.clone(),
        evidence: e.evidence.iter().map(copy).collect(),
    };
    case.timeline.iter().map(entry).collect()
}

fn copy(e: &wire::Evidence) -> wire::Evidence {
    wire::Evidence {
        file: e.file.clone(),
        line: e.line,
        offset: e.offset,
        time: e.time.clone(),
        source: e.source.clone(),
        raw: e.raw.clone(),
    }
}

/// `GET /cases/{number}`.
pub fn case(shell: &Shell, view: &CaseView) -> String {
    let mut timeline: Vec<&Moment> = view.timeline.iter().collect();
    timeline.sort_by_key(|m| m.at);
    let step = |tier| move |step| Step { tier, step, task: view.tasks.iter().find(|t| t.step == step.id) };
    let (l1, t2) = (view.case.l1_steps.iter(), view.case.t2_actions.iter());
    super::text::page(&Page {
        shell,
        v: view,
        gantt: gantt(&view.case.sessions),
        marks: marks(view.case.sessions.iter()),
        web: web(&hops(&view.case)),
        timeline,
        steps: l1.map(step("L1")).chain(t2.map(step("T2"))).collect(),
        world: super::assets::at("world.svg"),
    })
}
