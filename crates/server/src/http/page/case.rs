//! A case, and what people do to it from its page.

use super::form::{Done, Fields, Form};
use super::frame::Reader;
use super::queue::main_part;
use crate::app::App;
use crate::desk::notes::{self, NoteInput};
use crate::desk::sheet::{self, Sheet, StandingCase};
use crate::desk::tasks::{self, TaskInput};
use crate::desk::work::{
    self, AssignInput, CloseInput, DecideInput, ReasonInput, RestrictInput, SharingInput, StatusInput,
    TierInput,
};
use crate::desk::{Fault, Who, containment, hand_over};
use crate::ui::{
    self, CaseView, Clock, ContainmentView, Draft, Moment, Note, Override, Related, Shell, Task, Verdict,
};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

type Of = State<Arc<App>>;

/// What one form does to one case.
type Act = fn(&App, &Who, i64, &Fields) -> Result<Done, Fault>;

fn act(act: Act) -> MethodRouter<Arc<App>> {
    post(async move |State(app): Of, Path(number): Path<i64>, form: Form| {
        form.run(app, move |app, who, fields| act(app, who, number, fields)).await
    })
}

pub(super) fn routes() -> Router<Arc<App>> {
    let acts: [(&str, Act); 14] = [
        ("assign", assign),
        ("status", status),
        ("escalate", escalate),
        ("hand-back", hand_back),
        ("decide", decide),
        ("withdraw-override", withdraw),
        ("close", close),
        ("reopen", reopen),
        ("stays-closed", stays_closed),
        ("restrict", restrict),
        ("merge", merge),
        ("unmerge", unmerge),
        ("tasks", task),
        ("notes", note),
    ];
    let router = Router::new()
        .route("/cases/{number}", get(case))
        .route("/cases/{number}/hand-over", get(handed_over))
        .route("/cases/{number}/notes/{note}", post(edit_note))
        .route("/cases/{number}/notes/{note}/delete", post(delete_note));
    acts.into_iter()
        .fold(router, |router, (name, f)| router.route(&format!("/cases/{{number}}/{name}"), act(f)))
}

async fn case(State(app): Of, Path(number): Path<String>, reader: Reader) -> Response {
    let part = reader.asked("part");
    reader
        .show(app, move |app, who, shell| {
            let number = number.parse().map_err(|_| Fault::not_found("such thing"))?;
            let sheet = sheet::read(app, who, number)?;
            let mut view = drawn_with(shell, sheet, &part)?;
            view.containment = match containment::of_case(app, who, number) {
                Ok(found) => super::containment::view(found),
                // A ledger that cannot be read does not take the case away.
                Err(fault) => {
                    let trouble = vec![fault.to_string()];
                    ContainmentView { configured: true, trouble, ..ContainmentView::default() }
                }
            };
            Ok(ui::case(shell, &view))
        })
        .await
}

/// What was read, as its page draws it; the shell then holds what may be done to it.
pub(super) fn drawn_with(shell: &mut Shell, sheet: Sheet, part: &str) -> Result<CaseView, Fault> {
    shell.may = sheet.may.clone();
    shell.zones.theirs = sheet.zone.clone();
    view(sheet, part, &shell.me.as_ref().map(|m| m.name.clone()).unwrap_or_default())
}

fn view(sheet: Sheet, part: &str, me: &str) -> Result<CaseView, Fault> {
    let number = sheet.whole.case.number;
    let case = main_part(&sheet.whole, part)?
        .ok_or_else(|| Fault::Inside(format!("case {number} has no document of the engine")))?;
    let others = sheet.whole.parts.iter().filter(|p| p.engine_id != case.case_id).map(|p| {
        let title = p.document["title"].as_str().unwrap_or_default();
        (p.engine_id.clone(), title.to_owned(), p.withdrawn_at.is_some())
    });
    let parts = others.collect();
    let mut timeline = ui::moments_of(&case);
    timeline.extend(sheet.timeline.into_iter().map(|e| Moment {
        at: e.at.0,
        certainty: e.certainty,
        kind: e.kind,
        actor: e.actor,
        said: e.said,
        evidence: Vec::new(),
    }));
    let line = sheet.whole.case;
    let overridden = sheet.whole.decisions.into_iter().rev().find(|d| d.withdrawn_at.is_none());
    let owner_of = |id: Option<i64>| {
        let found = sheet.owners.iter().find(|o| Some(o.id) == id);
        found.map(|o| o.name.clone()).unwrap_or_default()
    };
    Ok(CaseView {
        number,
        revision: line.revision,
        status: line.status,
        owner: line.owner.map(|o| o.name).unwrap_or_default(),
        tier: line.tier,
        tlp: line.tlp,
        pap: line.pap,
        restricted: line.restricted,
        members: sheet.whole.members.into_iter().map(|m| m.name).collect(),
        decision: line.decision,
        overridden: overridden.filter(|_| line.overridden).map(|d| Override {
            before: line.engine_decision.clone(),
            reason: d.reason,
            by: d.actor,
            at: d.at.0,
        }),
        disposition: line.disposition.unwrap_or_default(),
        closing_reason: line.closing_reason.unwrap_or_default(),
        resurfaced: line.resurfaced,
        merged_into: line.merged_into,
        merged: sheet.whole.merged,
        parts,
        clocks: sheet
            .whole
            .clocks
            .into_iter()
            .map(|c| Clock {
                kind: c.kind,
                due: c.due.0,
                paused: c.paused_at.is_some(),
                met_at: c.met_at.map(|m| m.0),
                is_breached: c.is_breached,
            })
            .collect(),
        timeline,
        tasks: sheet
            .tasks
            .into_iter()
            .map(|t| Task {
                step: t.step,
                state: t.state,
                assignee: owner_of(t.assignee),
                finding: t.finding,
                done_by: t.done_by.unwrap_or_default(),
                revision: t.revision,
            })
            .collect(),
        notes: sheet
            .notes
            .into_iter()
            .map(|n| Note {
                is_mine: author_is(&n.author, me),
                id: n.id,
                revision: n.revision,
                body: n.body,
                author: n.author,
                at: n.created_at.0,
                edited: n.edited_at != n.created_at,
            })
            .collect(),
        verdicts: sheet
            .verdicts
            .into_iter()
            .map(|v| Verdict {
                number: v.number,
                turn: v.kind,
                changed: changed(&v.changed),
                why: v.why,
                at: v.at.0,
                before: v.decision_before,
                after: v.decision_after,
                risk_before: v.risk_before,
                risk_after: v.risk_after,
                late: v.late,
            })
            .collect(),
        related: sheet
            .related
            .into_iter()
            .map(|r| Related {
                number: r.case.number,
                title: r.case.title,
                status: r.case.status,
                owner: r.case.owner.map(|o| o.name).unwrap_or_default(),
                closing_reason: r.case.closing_reason.unwrap_or_default(),
                why: r.shared.into_iter().map(|s| format!("{} {}", s.kind, s.value)).collect(),
            })
            .collect(),
        containment: ContainmentView::default(),
        people: sheet.owners.into_iter().map(|o| o.name).collect(),
        preview: None,
        draft: Draft::default(),
        benign_fault: String::new(),
        suppressed: line.suppressed,
        asks: sheet.asks.into_iter().map(super::benign::asked).collect(),
        ask_link: None,
        ask_fault: String::new(),
        webhooks: sheet.webhooks,
        case,
    })
}

/// Authors are written as `person:7 anna`.
fn author_is(author: &str, me: &str) -> bool {
    author.starts_with("person:") && author.split_once(' ').is_some_and(|(_, name)| name == me)
}

/// What changed, as words; empty where the engine says no more than the reason.
fn changed(value: &serde_json::Value) -> String {
    let Some(map) = value.as_object() else { return String::new() };
    let words = map.iter().map(|(k, v)| match v.as_str() {
        Some(text) => format!("{k}: {text}"),
        None => format!("{k}: {v}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

async fn handed_over(State(app): Of, Path(number): Path<i64>, reader: Reader) -> Response {
    let mut answer = reader.show(app, move |app, who, _| hand_over::note(app, who, number)).await;
    if answer.status().is_success() {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"case-{number}.md\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
    }
    answer
}

fn at(number: i64, what: &str) -> String {
    format!("{}/{what}", ui::link::case(number))
}

fn before(app: &App, who: &Who, number: i64) -> Result<StandingCase, Fault> {
    sheet::standing(app, who, number)
}

fn assign(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let was = before(app, who, number)?;
    let owner = match fields.text("owner") {
        text if text.is_empty() => "nobody".to_owned(),
        text => text,
    };
    let now = work::assign(app, who, number, fields.revision()?, &AssignInput { owner })?;
    let whose = now.owner.map_or_else(|| "nobody".to_owned(), |o| o.name);
    let (revision, to) = (now.revision.to_string(), was.owner.unwrap_or_else(|| "nobody".to_owned()));
    Ok(Done::said(format!("Case {number} is {whose}'s")).undo(
        &format!("back to {to}"),
        at(number, "assign"),
        &[("owner", &to), ("revision", &revision)],
    ))
}

fn status(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let was = before(app, who, number)?;
    let input = StatusInput { status: fields.text("status") };
    let now = work::status(app, who, number, fields.revision()?, &input)?;
    let done = Done::said(format!("Case {number}: {}", now.status.replace('_', " ")));
    if was.status == "new" || was.status == "closed" {
        return Ok(done);
    }
    let back = format!("back to {}", was.status.replace('_', " "));
    let revision = now.revision.to_string();
    Ok(done.undo(&back, at(number, "status"), &[("status", &was.status), ("revision", &revision)]))
}

fn tier(fields: &Fields) -> TierInput {
    TierInput { tier: fields.text("tier"), reason: fields.text("reason") }
}

fn escalate(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let was = before(app, who, number)?;
    let now = work::escalate(app, who, number, fields.revision()?, &tier(fields))?;
    let revision = now.revision.to_string();
    Ok(Done::said(format!("Case {number} is with {}; what was known is frozen", now.tier.to_uppercase()))
        .undo(
            &format!("back to {}", was.tier.to_uppercase()),
            at(number, "hand-back"),
            &[("tier", &was.tier), ("reason", "taken back"), ("revision", &revision)],
        ))
}

fn hand_back(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let now = work::hand_back(app, who, number, fields.revision()?, &tier(fields))?;
    Ok(Done::said(format!("Case {number} is with {} again", now.tier.to_uppercase())))
}

fn reason(fields: &Fields) -> ReasonInput {
    ReasonInput { reason: fields.text("reason") }
}

fn decide(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let input = DecideInput { decision: fields.text("decision"), reason: fields.text("reason") };
    let now = work::decide(app, who, number, fields.revision()?, &input)?;
    let revision = now.revision.to_string();
    Ok(Done::said(format!("Case {number}: {} by your decision", now.decision)).undo(
        "the engine's decision",
        at(number, "withdraw-override"),
        &[("reason", "taken back"), ("revision", &revision)],
    ))
}

fn withdraw(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let now = work::withdraw(app, who, number, fields.revision()?, &reason(fields))?;
    Ok(Done::said(format!("Case {number}: {}, as the engine says", now.decision)))
}

fn closed(number: i64, revision: i64, said: String) -> Done {
    let revision = revision.to_string();
    Done::said(said).undo(
        "reopen it",
        at(number, "reopen"),
        &[("reason", "closed by mistake"), ("revision", &revision)],
    )
}

fn close(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let input = CloseInput {
        disposition: fields.text("disposition"),
        reason: fields.text("reason"),
        leave_tasks: fields.has("leave_tasks"),
    };
    let now = work::close(app, who, number, fields.revision()?, &input)?;
    Ok(closed(number, now.revision, format!("Case {number} is closed")))
}

fn reopen(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    work::reopen(app, who, number, fields.revision()?, &reason(fields))?;
    Ok(Done::said(format!("Case {number} is open again")))
}

fn stays_closed(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    work::stays_closed(app, who, number, fields.revision()?, &reason(fields))?;
    Ok(Done::said(format!("Case {number} stays closed")))
}

/// TLP, PAP and members stand in one form; what did not change is not written.
fn restrict(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let was = before(app, who, number)?;
    let mut revision = fields.revision()?;
    let (tlp, pap) = (fields.text("tlp"), fields.text("pap"));
    let restricted = fields.has("restricted");
    let lines = fields.text("members");
    let members: Vec<String> =
        lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if tlp != was.tlp || pap != was.pap {
        let input = SharingInput {
            tlp: Some(tlp).filter(|t| !t.is_empty()),
            pap: Some(pap).filter(|p| !p.is_empty()),
        };
        revision = work::sharing(app, who, number, revision, &input)?.revision;
    }
    // TLP:RED restricts by itself: the members of the form are those that it names.
    if restricted || was.restricted {
        let input = RestrictInput { members: restricted.then_some(members) };
        work::restrict(app, who, number, revision, &input)?;
    }
    Ok(Done::said(format!("Case {number}: who may see it is set")))
}

fn merge(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let from: i64 =
        fields.number("from")?.ok_or_else(|| Fault::invalid("from", "write the number of a case"))?;
    let other = before(app, who, from)?;
    let input = work::MergeInput { from, from_revision: other.revision, reason: fields.text("reason") };
    work::merge(app, who, number, fields.revision()?, &input)?;
    let other = before(app, who, from)?.revision.to_string();
    Ok(Done::said(format!("Case {from} is part of case {number}")).undo(
        "take it out",
        at(from, "unmerge"),
        &[("reason", "merged by mistake"), ("revision", &other)],
    ))
}

fn unmerge(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    work::unmerge(app, who, number, fields.revision()?, &reason(fields))?;
    Ok(Done::said(format!("Case {number} stands by itself again")))
}

fn task(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let assignee = match fields.text("state").as_str() {
        // Who works on it has it.
        "in_progress" => who.person.map(|p| p.0),
        _ => None,
    };
    let input =
        TaskInput { state: fields.text("state"), assignee, due: None, finding: fields.text("finding") };
    tasks::set(app, who, (number, &fields.text("step")), fields.revision()?, &input)?;
    Ok(Done::said("The step is saved"))
}

fn note(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    notes::write(app, who, number, &NoteInput { body: fields.text("body") })?;
    Ok(Done::said("The note is saved"))
}

async fn edit_note(State(app): Of, Path(at): Path<(i64, i64)>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        notes::edit(app, who, at, fields.revision()?, &NoteInput { body: fields.text("body") })?;
        Ok(Done::said("The note is saved; what it said before is kept"))
    })
    .await
}

async fn delete_note(State(app): Of, Path(at): Path<(i64, i64)>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        notes::delete(app, who, at, fields.revision()?)?;
        Ok(Done::said("The note is out of sight; what it said is kept"))
    })
    .await
}
