//! Containment from the page of a case.

use super::form::{Done, Fields, Form};
use crate::app::App;
use crate::desk::containment::{
    self, AttestInput, BackInput, Containment, PlanInput, PlanView, StepView, WhyInput,
};
use crate::desk::{Fault, Who};
use crate::ui::{self, ContainmentView, HandOverView, PlanCard, PlanStep, PlanWord};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use portreeve_respond::plan::short;
use std::sync::Arc;

type Of = State<Arc<App>>;

/// What one form does to one plan of a case.
type Act = fn(&App, &Who, (i64, &str), &Fields) -> Result<Done, Fault>;

fn act(act: Act) -> MethodRouter<Arc<App>> {
    post(async move |State(app): Of, Path((number, digest)): Path<(i64, String)>, form: Form| {
        form.run(app, move |app, who, fields| act(app, who, (number, &digest), fields)).await
    })
}

pub(super) fn routes() -> Router<Arc<App>> {
    let acts: [(&str, Act); 6] = [
        ("approve", approve),
        ("reject", reject),
        ("break-glass", break_glass),
        ("apply", apply),
        ("roll-back", roll_back),
        ("attest", attest),
    ];
    let router = Router::new()
        .route("/cases/{number}/plan", post(plan))
        .route("/cases/{number}/plans/{digest}/hand-over", post(hand_over));
    acts.into_iter().fold(router, |router, (name, f)| {
        router.route(&format!("/cases/{{number}}/plans/{{digest}}/{name}"), act(f))
    })
}

/// As the page of the case draws it.
pub(super) fn view(of: Containment) -> ContainmentView {
    ContainmentView {
        aftermath: of.aftermath,
        configured: of.configured,
        plans: of.plans.into_iter().map(card).collect(),
        trouble: of.trouble,
    }
}

fn card(plan: PlanView) -> PlanCard {
    let tier = plan.needs_tier.to_uppercase();
    PlanCard {
        needs: match plan.needs_people {
            1 => format!("one approval by {tier} or above"),
            n => format!("{n} approvals by {tier} or above"),
        },
        digest: plan.digest,
        made_by: plan.made_by,
        made_at: plan.made_at.0,
        standing: plan.standing,
        lacks: plan.lacks,
        until: plan.approved_until.map(|u| u.0),
        said: plan.said,
        words: plan
            .words
            .into_iter()
            .map(|w| PlanWord { purpose: w.purpose, by: w.by, reason: w.reason, at: w.at.0 })
            .collect(),
        steps: plan.steps.into_iter().map(step).collect(),
        left_out: plan
            .left_out
            .into_iter()
            .map(|l| match l.device.is_empty() {
                true => format!("{} {}: {}", l.act, l.target, l.why),
                false => format!("{} {} at {}: {}", l.act, l.target, l.device, l.why),
            })
            .collect(),
        may: plan.may,
        hands_over: plan.hands_over,
    }
}

fn step(step: StepView) -> PlanStep {
    PlanStep {
        number: step.number,
        title: step.title,
        target: step.target,
        device: step.device,
        tested: step.tested,
        because: step.because,
        seen: step.seen,
        requests: step.requests,
        effect: step.effect,
        leaves_open: step.leaves_open,
        undo: step.undo,
        is_final: step.is_final,
        blast_radius: step.blast_radius,
        heavy: step.heavy,
        caution: step.caution,
        until: step.until.map(|u| u.0),
        state: step.state,
        proof: step.proof,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn why(fields: &Fields) -> WhyInput {
    WhyInput { reason: fields.text("reason") }
}

async fn plan(State(app): Of, Path(number): Path<i64>, form: Form) -> Response {
    form.run(app, move |app, who, fields| {
        let input = PlanInput {
            hours: fields.number("hours")?,
            only: words(&fields.text("only")),
            with: words(&fields.text("with")),
            reason: fields.text("reason"),
        };
        let made = containment::plan(app, who, number, &input)?;
        let steps = made.steps.len();
        Ok(Done::said(format!("Plan {} with {steps} steps waits for somebody else", short(&made.digest))))
    })
    .await
}

fn approve(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    containment::approve(app, who, at, &why(fields))?;
    Ok(Done::said(format!("Plan {} is approved by you", short(at.1))))
}

fn reject(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    containment::reject(app, who, at, &why(fields))?;
    Ok(Done::said(format!("Plan {} is rejected", short(at.1))))
}

fn break_glass(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    containment::break_glass(app, who, at, &why(fields))?;
    Ok(Done::said(format!("EMERGENCY: plan {} is allowed by you alone; the ledger says so", short(at.1))))
}

fn apply(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    Ok(Done::said(said(&containment::apply(app, who, at, &why(fields))?)))
}

fn roll_back(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    let input = BackInput { reason: fields.text("reason"), steps: words(&fields.text("steps")) };
    Ok(Done::said(said(&containment::roll_back(app, who, at, &input)?)))
}

fn attest(app: &App, who: &Who, at: (i64, &str), fields: &Fields) -> Result<Done, Fault> {
    let number = fields.number("number")?.ok_or_else(|| Fault::invalid("number", "the number of a step"))?;
    let effective = fields.text("effective") == "true";
    containment::attest(app, who, at, &AttestInput { number, effective, reason: fields.text("reason") })?;
    Ok(Done::said(format!("Step {number}: your word is in the ledger")))
}

async fn hand_over(State(app): Of, Path((number, digest)): Path<(i64, String)>, form: Form) -> Response {
    form.draw(app, move |app, who, _, shell| {
        let secrets = containment::hand_over(app, who, (number, &digest))?;
        let secrets = secrets.into_iter().map(|h| (h.step, h.secret)).collect();
        Ok((StatusCode::OK, ui::plan_hand_over(shell, &HandOverView { number, secrets })))
    })
    .await
}

/// Where a plan is after something was begun.
fn said(plan: &PlanView) -> String {
    let proven = plan.steps.iter().filter(|s| s.state == "verified").count();
    let (of, name) = (plan.steps.len(), short(&plan.digest));
    match plan.standing.as_str() {
        "running" => format!("Plan {name} is at it; {proven} of {of} steps are proven so far"),
        "taken_back" => format!("Plan {name} is taken back"),
        standing => format!("Plan {name}: {}; {proven} of {of} steps are proven", standing.replace('_', " ")),
    }
}
