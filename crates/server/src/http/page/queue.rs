//! The first screen.

use super::form::{Done, Fields, Form};
use super::frame::Reader;
use crate::app::App;
use crate::desk::cases::{self, CaseLine, CaseWhole, ListInput};
use crate::desk::work::{self, AssignInput, TierInput};
use crate::desk::{Fault, Who, sheet};
use crate::http::input::see_other;
use crate::ui::{self, Answer, Filter, Line, QueueView};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_report::wire;
use std::sync::Arc;

type Of = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(async || see_other("/queue")))
        .route("/queue", get(queue))
        .route("/cases/bulk", post(bulk))
}

/// Lines of a page.
const LINES: usize = 50;

async fn queue(State(app): Of, reader: Reader) -> Response {
    let filter = Filter {
        queue: reader.asked("queue"),
        q: reader.asked("q"),
        owner: reader.asked("owner"),
        tier: reader.asked("tier"),
        standing: reader.asked("standing"),
        after: reader.asked("after"),
        case: reader.asked("case").parse().ok(),
    };
    reader
        .show(app, move |app, who, shell| {
            let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
            let input = ListInput {
                queue: some(&filter.queue),
                owner: some(&filter.owner),
                tier: some(&filter.tier),
                standing: some(&filter.standing),
                q: some(&filter.q),
                after: some(&filter.after),
                limit: Some(LINES),
                ..ListInput::default()
            };
            let found = cases::queue(app, who, &input)?;
            // A link may name a case that is done with or hidden: then the first is shown, as without a name.
            let waits = matches!(filter.standing.as_str(), "" | "queued");
            let mut card = None;
            for number in filter.case.into_iter().chain(found.page.cases.first().map(|c| c.number)) {
                match sheet::card(app, who, number) {
                    Ok((whole, _)) if waits && whole.case.closed_at.is_some() => {}
                    Ok(found) => {
                        card = Some(found);
                        break;
                    }
                    Err(fault) if fault.status() == axum::http::StatusCode::NOT_FOUND => {}
                    Err(fault) => return Err(fault),
                }
            }
            let selected = match card {
                Some((whole, may)) => {
                    shell.may = may;
                    answer(whole)?
                }
                None => None,
            };
            let view = QueueView {
                filter,
                total: found.total,
                lines: found.page.cases.into_iter().map(line).collect(),
                next: found.page.next.unwrap_or_default(),
                selected,
            };
            Ok(ui::queue(shell, &view))
        })
        .await
}

fn line(case: CaseLine) -> Line {
    Line {
        number: case.number,
        title: case.title,
        principal: case.principal,
        brief: case.brief,
        status: case.status,
        owner: case.owner.map(|o| o.name).unwrap_or_default(),
        tier: case.tier,
        since: case.detected_at.0,
        due: case.next_due.map(|d| d.0),
        resurfaced: case.resurfaced,
    }
}

/// The engine's case that a page is about: of several in one, the one with the highest risk that stands.
pub(super) fn main_part(whole: &CaseWhole, wanted: &str) -> Result<Option<wire::Case>, Fault> {
    let wrong = |e: serde_json::Error| Fault::Inside(format!("document of case {}: {e}", whole.case.number));
    let mut best: Option<(bool, wire::Case)> = None;
    for part in &whole.parts {
        let case: wire::Case = serde_json::from_value(part.document.clone()).map_err(wrong)?;
        if part.engine_id == wanted {
            return Ok(Some(case));
        }
        let stands = part.withdrawn_at.is_none();
        let better = best.as_ref().is_none_or(|(s, c)| (stands, case.risk_score) > (*s, c.risk_score));
        if better {
            best = Some((stands, case));
        }
    }
    Ok(best.map(|b| b.1))
}

fn answer(whole: CaseWhole) -> Result<Option<Answer>, Fault> {
    let Some(case) = main_part(&whole, "")? else { return Ok(None) };
    let line = whole.case;
    Ok(Some(Answer {
        number: line.number,
        revision: line.revision,
        decision: line.decision,
        owner: line.owner.map(|o| o.name).unwrap_or_default(),
        tier: line.tier,
        closed: line.closed_at.is_some(),
        case,
    }))
}

async fn bulk(State(app): Of, form: Form) -> Response {
    form.run(app, all).await
}

/// Each by itself: one that changed meanwhile or is not allowed does not hold the others up.
fn all(app: &App, who: &Who, fields: &Fields) -> Result<Done, Fault> {
    let act = fields.text("act");
    let numbers = fields.all("case");
    if numbers.is_empty() {
        return Err(Fault::invalid("case", "none is selected"));
    }
    let reason = fields.text("reason");
    let (mut done, mut not) = (0_usize, Vec::new());
    for text in numbers {
        let number: i64 = text.parse().map_err(|_| Fault::invalid("case", "is no number of a case"))?;
        let one = sheet::standing(app, who, number).and_then(|before| match act.as_str() {
            "assign" => {
                let input = AssignInput { owner: "me".to_owned() };
                work::assign(app, who, number, before.revision, &input)
            }
            "escalate" => {
                let input = TierInput { tier: String::new(), reason: reason.clone() };
                work::escalate(app, who, number, before.revision, &input)
            }
            _ => Err(Fault::invalid("act", "assign or escalate")),
        });
        match one {
            Ok(_) => done += 1,
            Err(fault @ (Fault::Invalid { .. } | Fault::MustEnrol | Fault::MustChange)) => return Err(fault),
            Err(fault) => not.push(format!("case {number}: {}", fault.problem().detail)),
        }
    }
    let word = if act == "assign" { "assigned to you" } else { "escalated" };
    let mut said = format!("{done} {word}");
    if !not.is_empty() {
        said.push_str(&format!("; not: {}", not.join("; ")));
    }
    Ok(Done::said(said))
}
