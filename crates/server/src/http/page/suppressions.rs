//! Suppressions: the list, and each on its page, where it is reviewed, given another scope, and ended.

use super::benign::{draft, parts, preview};
use super::form::{Done, Fields, Form, went};
use super::frame::{Frame, Reader};
use crate::app::App;
use crate::desk::rescope::{self, ScopeInput, ScopePreview};
use crate::desk::suppressions::{self, EndInput, ReviewInput, SuppressionView, SuppressionsInput};
use crate::desk::{Fault, Who};
use crate::service::blocking;
use crate::ui::{self, Draft, Shell, Silenced, Suppression, SuppressionsView};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/suppressions", get(list))
        .route("/suppressions/{id}", get(one))
        .route("/suppressions/{id}/review", post(review))
        .route("/suppressions/{id}/scope", post(scope))
        .route("/suppressions/{id}/end", post(end))
}

fn drawn(one: SuppressionView) -> Suppression {
    Suppression {
        id: one.id,
        revision: one.revision,
        scope: parts(one.scope),
        reason: one.reason,
        author: one.author,
        case: one.case,
        created_at: one.created_at.0,
        expires_at: one.expires_at.0,
        hits: one.hits,
        last_hit: one.last_hit.map(|t| t.0),
        silenced: one.silenced,
        real: one.real,
        criteria: one.criteria,
        due: one.due,
        reviewed_by: one.reviewed_by.unwrap_or_default(),
        ended_by: one.ended_by.unwrap_or_default(),
        scope_at: one.scope_at.map(|t| t.0),
        scope_by: one.scope_by.unwrap_or_default(),
    }
}

async fn list(State(app): Of, reader: Reader) -> Response {
    let standing = match reader.asked("standing") {
        text if text.is_empty() => "in_force".to_owned(),
        text => text,
    };
    let after = Some(reader.asked("after")).filter(|a| !a.is_empty());
    reader
        .show(app, move |app, who, shell| {
            let input = SuppressionsInput { standing: Some(standing.clone()), after };
            let page = suppressions::list(app, who, &input)?;
            let list = page.suppressions.into_iter().map(drawn).collect();
            let view = SuppressionsView { standing, list, next: page.next.unwrap_or_default() };
            Ok(ui::suppressions(shell, &view))
        })
        .await
}

/// Its scope as it stands, to be changed.
fn as_it_stands(scope: &[(String, String)]) -> Draft {
    let part = |what: &str| scope.iter().find(|(w, _)| w == what).map(|(_, is)| is.clone());
    let part = |what: &str| part(what).unwrap_or_default();
    Draft {
        user: part("user"),
        network: part("network"),
        asn: part("AS"),
        place: part("place"),
        egress: part("way out"),
        detection: part("detection"),
        ..Draft::default()
    }
}

fn view_of(app: &App, who: &Who, id: i64) -> Result<ui::SuppressionView, Fault> {
    let whole = suppressions::read(app, who, id)?;
    let cases = whole.cases.into_iter().map(|c| Silenced {
        number: c.number,
        title: c.title,
        at: c.at.0,
        disposition: c.disposition.unwrap_or(c.status),
        real: c.real,
        came_back: !c.silenced,
    });
    let (cases, one) = (cases.collect(), drawn(whole.suppression));
    let draft = as_it_stands(&one.scope);
    Ok(ui::SuppressionView { one, cases, draft, preview: None, fault: String::new() })
}

async fn one(State(app): Of, Path(id): Path<i64>, reader: Reader) -> Response {
    reader.show(app, move |app, who, shell| Ok(ui::suppression(shell, &view_of(app, who, id)?))).await
}

fn input(fields: &Fields) -> Result<ScopeInput, Fault> {
    let some = |name: &str| Some(fields.text(name)).filter(|t| !t.is_empty());
    Ok(ScopeInput {
        reason: fields.text("reason"),
        user: some("user"),
        network: some("network"),
        asn: fields.number("asn")?,
        place: some("place"),
        egress: some("egress"),
        detection: some("detection"),
        waiting: fields.has("waiting"),
        despite: fields.has("despite"),
        leave_silenced: fields.has("leave_silenced"),
    })
}

fn previewed(seen: ScopePreview) -> ui::ScopePreview {
    ui::ScopePreview { silences: preview(seen.silences), narrower: seen.narrower, back: seen.back }
}

/// The page again with what was written, and what it would do.
fn drafted(
    app: &App,
    who: &Who,
    shell: &Shell,
    (id, fields): (i64, &Fields),
    fault: Option<&Fault>,
) -> Result<(StatusCode, String), Fault> {
    let seen = input(fields).and_then(|input| rescope::propose(app, who, id, &input));
    let mut view = view_of(app, who, id)?;
    view.draft = draft(fields);
    let fault = match (seen, fault) {
        (Ok(seen), fault) => {
            view.preview = Some(previewed(seen));
            fault.map(|f| (f.status(), f.problem().detail))
        }
        (Err(_), Some(fault)) => Some((fault.status(), fault.problem().detail)),
        (Err(fault @ (Fault::Invalid { .. } | Fault::Conflict { .. })), None) => {
            Some((fault.status(), fault.problem().detail))
        }
        (Err(fault), None) => return Err(fault),
    };
    let (status, said) = fault.unwrap_or((StatusCode::OK, String::new()));
    view.fault = said;
    Ok((status, ui::suppression(shell, &view)))
}

async fn scope(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    if form.fields.has("preview") {
        return form
            .draw(app, move |app, who, fields, shell| drafted(app, who, shell, (id, fields), None))
            .await;
    }
    let Form { who, fields, frame, .. } = form;
    let (asked, back) = (app.clone(), format!("/suppressions/{id}"));
    let done = blocking(move || match change(&asked, &who, id, &fields) {
        Ok(done) => Ok((who.actor.id.clone(), done)),
        Err(fault) => Err(Box::new(refused(&asked, &who, (id, &fields), &frame, &fault))),
    });
    match done.await {
        Ok((who, done)) => went(&app, &who, done, &back),
        Err(page) => *page,
    }
}

fn change(app: &App, who: &Who, id: i64, fields: &Fields) -> Result<Done, Fault> {
    let done = rescope::change_scope(app, who, id, fields.revision()?, &input(fields)?)?;
    let mut said = format!("Suppression {id} has another scope");
    if !done.back.is_empty() {
        said.push_str(&format!("; {} in the queue again", ui::cases(done.back.len())));
    }
    if !done.silenced.is_empty() {
        said.push_str(&format!("; {} that waited silenced", ui::cases(done.silenced.len())));
    }
    Ok(Done::said(said))
}

/// What was written is not lost with the refusal.
fn refused(app: &App, who: &Who, at: (i64, &Fields), frame: &Frame, fault: &Fault) -> Response {
    let frame = Frame { here: format!("/suppressions/{}", at.0), ..frame.clone() };
    let shell = frame.shell(app, who).unwrap_or_else(|_| frame.bare());
    match fault {
        Fault::Invalid { .. } | Fault::Conflict { .. } => match drafted(app, who, &shell, at, Some(fault)) {
            Ok((status, html)) => super::page(status, html),
            Err(worse) => super::fault(&shell, &worse, "/suppressions"),
        },
        _ => super::fault(&shell, fault, &frame.here),
    }
}

async fn review(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let input = ReviewInput { days: fields.number("days")?, until: None };
        suppressions::review(app, who, id, fields.revision()?, &input)?;
        Ok(Done::said(format!("Suppression {id} is reviewed")))
    })
    .await
}

async fn end(State(app): Of, Path(id): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let input = EndInput { reason: fields.text("reason"), leave_silenced: fields.has("leave_silenced") };
        let ended = suppressions::end(app, who, id, fields.revision()?, &input)?;
        Ok(Done::said(format!(
            "Suppression {id} is ended; {} cases are in the queue again",
            ended.back.len()
        )))
    })
    .await
}
