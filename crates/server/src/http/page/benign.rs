//! What is found benign, previewed and made from a case; and questions to people.

use super::case::drawn_with;
use super::form::{Done, Fields, Form, went};
use crate::app::App;
use crate::desk::ask::{self, AskInput, AskView, ConfirmInput};
use crate::desk::benign::{self, BenignInput, ScopePart, SuppressionPreview};
use crate::desk::{Fault, Who, containment, sheet};
use crate::service::blocking;
use crate::ui::{self, Ask, Draft, Preview, Shell, Silenced};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases/{number}/benign", post(found_benign))
        .route("/cases/{number}/asks", post(new_ask))
        .route("/cases/{number}/asks/{id}/revoke", post(revoke_ask))
        .route("/cases/{number}/asks/{id}/confirm", post(confirm_ask))
}

fn input(fields: &Fields) -> Result<BenignInput, Fault> {
    let some = |name: &str| Some(fields.text(name)).filter(|t| !t.is_empty());
    Ok(BenignInput {
        reason: fields.text("reason"),
        scope: Some(some("scope").unwrap_or_else(|| "none".to_owned())),
        user: some("user"),
        network: some("network"),
        asn: fields.number("asn")?,
        place: some("place"),
        egress: some("egress"),
        detection: some("detection"),
        days: fields.number("days")?,
        until: None,
        waiting: fields.has("waiting"),
        despite: fields.has("despite"),
        leave_tasks: fields.has("leave_tasks"),
    })
}

pub(super) fn draft(fields: &Fields) -> Draft {
    Draft {
        reason: fields.text("reason"),
        scope: fields.text("scope"),
        days: fields.text("days"),
        user: fields.text("user"),
        network: fields.text("network"),
        asn: fields.text("asn"),
        place: fields.text("place"),
        egress: fields.text("egress"),
        detection: fields.text("detection"),
        waiting: fields.has("waiting"),
        leave_silenced: fields.has("leave_silenced"),
    }
}

pub(super) fn parts(scope: Vec<ScopePart>) -> Vec<(String, String)> {
    scope.into_iter().map(|p| (p.what, p.is)).collect()
}

pub(super) fn preview(seen: SuppressionPreview) -> Preview {
    let mut unseen = Vec::new();
    if !seen.whole {
        unseen.push("There are more cases than were looked at; the oldest are missing.");
    }
    if !seen.sees_all {
        unseen.push("Cases that are restricted to others were not looked at.");
    }
    Preview {
        scope: parts(seen.scope),
        criteria: seen.criteria,
        until: seen.until.0,
        for_everybody: seen.for_everybody,
        days: seen.days,
        would: seen.would,
        came_back: seen.came_back,
        real: seen.real,
        waiting: seen.waiting,
        unseen,
        outside: seen.outside,
        cases: seen
            .cases
            .into_iter()
            .map(|c| Silenced {
                number: c.number,
                title: c.title,
                at: c.last_seen.0,
                disposition: c.disposition,
                real: c.real,
                came_back: c.came_back,
            })
            .collect(),
    }
}

/// The case's page again, with the preview, or with what was wrong beside what was written.
async fn found_benign(State(app): Of, Path(number): Path<i64>, form: Form) -> Response {
    if form.fields.has("preview") {
        return form
            .draw(app, move |app, who, fields, shell| {
                let seen = input(fields).and_then(|input| benign::propose(app, who, number, &input));
                let mut view = drawn_with(shell, sheet::read(app, who, number)?, "")?;
                view.containment = super::containment::view(containment::of_case(app, who, number)?);
                view.draft = draft(fields);
                let status = match seen {
                    Ok(seen) => {
                        view.preview = Some(preview(seen));
                        StatusCode::OK
                    }
                    Err(fault @ Fault::Invalid { .. }) => {
                        view.benign_fault = fault.problem().detail;
                        fault.status()
                    }
                    Err(fault) => return Err(fault),
                };
                Ok((status, ui::case(shell, &view)))
            })
            .await;
    }
    let back = ui::link::case(number);
    let (asked, who, frame) = (app.clone(), form.who.clone(), form.frame.clone());
    let Form { fields, .. } = form;
    let done = blocking(move || match make(&asked, &who, number, &fields) {
        Ok(done) => Ok((who.actor.id.clone(), done)),
        Err(fault) => Err(Box::new(refused(&asked, &who, (number, &fields), &frame, fault))),
    });
    match done.await {
        Ok((id, done)) => went(&app, &id, done, &back),
        Err(page) => *page,
    }
}

/// What was written is not lost with the refusal.
fn refused(
    app: &App,
    who: &Who,
    (number, fields): (i64, &Fields),
    frame: &super::frame::Frame,
    fault: Fault,
) -> Response {
    let mut frame = frame.clone();
    frame.here = ui::link::case(number);
    let mut shell = frame.shell(app, who).unwrap_or_else(|_| frame.bare());
    let again = |shell: &mut Shell| {
        let mut view = drawn_with(shell, sheet::read(app, who, number)?, "")?;
        view.containment = super::containment::view(containment::of_case(app, who, number)?);
        view.draft = draft(fields);
        view.benign_fault = fault.problem().detail;
        if let Ok(seen) = input(fields).and_then(|input| benign::propose(app, who, number, &input)) {
            view.preview = Some(preview(seen));
        }
        Ok::<_, Fault>(ui::case(shell, &view))
    };
    match &fault {
        Fault::Invalid { .. } | Fault::Conflict { .. } => match again(&mut shell) {
            Ok(html) => super::page(fault.status(), html),
            Err(worse) => super::fault(&shell, &worse, "/queue"),
        },
        _ => super::fault(&shell, &fault, &frame.here),
    }
}

fn make(app: &App, who: &Who, number: i64, fields: &Fields) -> Result<Done, Fault> {
    let made = benign::make(app, who, number, fields.revision()?, &input(fields)?)?;
    let mut said = format!("Case {number} is closed as benign");
    if let Some(suppression) = &made.suppression {
        said.push_str(&format!("; suppression {} silences what is like it", suppression.id));
    }
    if !made.silenced.is_empty() {
        said.push_str(&format!(", {} that waited with it", made.silenced.len()));
    }
    let revision = made.case.revision.to_string();
    let done = Done::said(said);
    // With a suppression there is more to take back than one form does: that stands on its page.
    Ok(match made.suppression {
        Some(suppression) => done.to(format!("/suppressions/{}", suppression.id)),
        None => done.undo(
            "reopen it",
            format!("{}/reopen", ui::link::case(number)),
            &[("reason", "closed by mistake"), ("revision", &revision)],
        ),
    })
}

pub(super) fn asked(view: AskView) -> Ask {
    let confirmed = match (view.confirmed_by, view.confirmed_how) {
        (Some(by), Some(how)) => format!("confirmed by {by}: {how}"),
        _ => String::new(),
    };
    Ask {
        id: view.id,
        person: view.person,
        question: view.question,
        by: view.asked_by,
        at: view.created_at.0,
        state: view.state,
        answer: view.answer.unwrap_or_default(),
        remark: view.remark.unwrap_or_default(),
        answered_at: view.answered_at.map(|t| t.0),
        address: view.address.unwrap_or_default(),
        device: view.device.or(view.agent).unwrap_or_default(),
        strength: view.strength.unwrap_or_default(),
        confirmed,
    }
}

async fn new_ask(State(app): Of, Path(number): Path<i64>, form: Form) -> Response {
    form.draw(app, move |app, who, fields, shell| {
        let some = |name: &str| Some(fields.text(name)).filter(|t| !t.is_empty());
        let input = AskInput {
            session: some("session"),
            person: some("person"),
            zone: some("zone"),
            text: some("text"),
            hours: fields.number("hours")?,
            deliver: some("deliver"),
        };
        let made = ask::create(app, who, number, &input);
        let mut view = drawn_with(shell, sheet::read(app, who, number)?, "")?;
        view.containment = super::containment::view(containment::of_case(app, who, number)?);
        let status = match made {
            Ok(made) => {
                view.ask_link = Some(made.link);
                StatusCode::OK
            }
            Err(fault @ (Fault::Invalid { .. } | Fault::Conflict { .. })) => {
                view.ask_fault = fault.problem().detail;
                fault.status()
            }
            Err(fault) => return Err(fault),
        };
        Ok((status, ui::case(shell, &view)))
    })
    .await
}

async fn revoke_ask(State(app): Of, Path(at): Path<(i64, i64)>, form: Form) -> Response {
    form.run(app, move |app, who, _| {
        ask::revoke(app, who, at)?;
        Ok(Done::said("The link is of no more use"))
    })
    .await
}

async fn confirm_ask(State(app): Of, Path(at): Path<(i64, i64)>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        ask::confirm(app, who, at, &ConfirmInput { how: fields.text("how") })?;
        Ok(Done::said("The answer is confirmed"))
    })
    .await
}
