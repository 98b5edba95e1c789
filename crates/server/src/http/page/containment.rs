//! Containment from a case's page: planned, allowed by somebody else, carried out, looked at, taken back.

use super::case::drawn_with;
use super::form::{Done, Fields, Form};
use crate::app::App;
use crate::desk::containment::{
    self, AttestInput, BackInput, Containment, PlanInput, PlanView, StepView, WhyInput,
};
use crate::desk::{Fault, Who, sheet};
use crate::ui::{self, ContainmentView, Plan, PlanStep};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use std::sync::Arc;

type Of = State<Arc<App>>;

/// What one form does to one plan.
type Act = fn(&App, &Who, (i64, &str), &Fields) -> Result<PlanView, Fault>;

pub(super) fn routes() -> Router<Arc<App>> {
    let acts: [(&str, Act, &'static str); 6] = [
        ("approve", approve, "is approved"),
        ("reject", reject, "is rejected"),
        ("break-glass", break_glass, "is allowed by one alone; everybody is told"),
        ("apply", apply, "was carried out; each step says what was read"),
        ("roll-back", roll_back, "was taken back; each step says what was read"),
        ("attest", attest, "holds what you saw"),
    ];
    let router = Router::new()
        .route("/cases/{number}/containment/plans", post(plan))
        .route("/cases/{number}/containment/plans/{digest}/hand-over", post(hand_over));
    acts.into_iter().fold(router, |router, (name, f, said)| {
        router.route(&format!("/cases/{{number}}/containment/plans/{{digest}}/{name}"), act(f, said))
    })
}

fn act(act: Act, said: &'static str) -> MethodRouter<Arc<App>> {
    post(async move |State(app): Of, Path((number, digest)): Path<(i64, String)>, form: Form| {
        form.run(app, move |app, who, fields| {
            let plan = act(app, who, (number, &digest), fields)?;
            let short = plan.digest.get(..12).unwrap_or(&plan.digest).to_owned();
            let said = if plan.standing == "running" {
                format!("Plan {short} is being carried out; the page says how far it is")
            } else {
                format!("Plan {short} {said}")
            };
            Ok(Done::said(said).to(format!("{}#contain", ui::link::case(number))))
        })
        .await
    })
}

fn why(fields: &Fields) -> WhyInput {
    WhyInput { reason: fields.text("reason") }
}

fn approve(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    containment::approve(app, who, of, &why(fields))
}

fn reject(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    containment::reject(app, who, of, &why(fields))
}

fn break_glass(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    containment::break_glass(app, who, of, &why(fields))
}

fn apply(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    containment::apply(app, who, of, &why(fields))
}

fn roll_back(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    let input = BackInput { reason: fields.text("reason"), steps: fields.all("steps") };
    containment::roll_back(app, who, of, &input)
}

fn attest(app: &App, who: &Who, of: (i64, &str), fields: &Fields) -> Result<PlanView, Fault> {
    let number = fields.number("number")?.ok_or_else(|| Fault::invalid("number", "which step?"))?;
    let input =
        AttestInput { number, effective: fields.text("effective") == "true", reason: fields.text("reason") };
    containment::attest(app, who, of, &input)
}

async fn plan(State(app): Of, Path(number): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let input = PlanInput {
            hours: fields.number("hours")?,
            only: fields.all("only"),
            with: fields.all("with"),
            reason: fields.text("reason"),
        };
        let plan = containment::plan(app, who, number, &input)?;
        let short = plan.digest.get(..12).unwrap_or(&plan.digest).to_owned();
        let steps = plan.steps.len();
        Ok(Done::said(format!("Plan {short} is proposed, {steps} steps; somebody else approves it"))
            .to(format!("{}#contain", ui::link::case(number))))
    })
    .await
}

/// Shown once, so it is answered with the page.
async fn hand_over(State(app): Of, Path((number, digest)): Path<(i64, String)>, form: Form) -> Response {
    form.draw(app, move |app, who, _, shell| {
        let secrets = containment::hand_over(app, who, (number, &digest))?;
        let mut view = drawn_with(shell, sheet::read(app, who, number)?, "")?;
        view.containment = drawn(containment::state(app, who, number)?);
        view.containment.secrets = secrets.into_iter().map(|h| (h.step, h.secret)).collect();
        Ok((StatusCode::OK, ui::case(shell, &view)))
    })
    .await
}

/// What the ledger holds of a case, as its page draws it.
pub(super) fn drawn(all: Containment) -> ContainmentView {
    ContainmentView {
        configured: all.configured,
        aftermath: all.aftermath,
        plans: all.plans.into_iter().map(of_plan).collect(),
        held_at: all.held_at.map(|t| t.0),
        trouble: all.trouble,
        secrets: Vec::new(),
        fault: String::new(),
    }
}

fn of_plan(plan: PlanView) -> Plan {
    Plan {
        digest: plan.digest,
        made_by: plan.made_by,
        made_at: plan.made_at.0,
        needs_tier: plan.needs_tier,
        needs_people: plan.needs_people,
        standing: plan.standing,
        lacks: plan.lacks,
        approved_until: plan.approved_until.map(|t| t.0),
        said: plan.said,
        words: plan.words.into_iter().map(|w| (w.purpose, w.by, w.reason, w.at.0)).collect(),
        steps: plan.steps.into_iter().map(of_step).collect(),
        left_out: plan
            .left_out
            .into_iter()
            .map(|l| (format!("{} {} at {}", l.act.replace('_', " "), l.target, l.device), l.why))
            .collect(),
        may: plan.may,
        hands_over: plan.hands_over,
    }
}

fn of_step(step: StepView) -> PlanStep {
    let mut cautions = step.heavy;
    cautions.extend(Some(step.caution).filter(|c| !c.is_empty()));
    PlanStep {
        number: step.number,
        title: step.title,
        target: step.target,
        device: step.device,
        by: format!("{} ({})", step.connector, step.tested),
        because: step.because,
        seen: step.seen,
        requests: step.requests,
        effect: step.effect,
        leaves_open: step.leaves_open,
        undo: step.undo,
        is_final: step.is_final,
        blast_radius: step.blast_radius,
        cautions,
        until: step.until.map(|t| t.0),
        state: step.state,
        proof: step.proof,
        since: step.since.map(|t| t.0),
    }
}
