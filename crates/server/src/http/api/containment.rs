//! Plans of containment, and what people do to them.

use super::asked;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::containment::{
    self, AttestInput, BackInput, Containment, HandOver, OperatorView, PlanInput, PlanView, WhyInput,
};
use crate::http::input::{Act, At, Nothing};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

async fn state(State(app): Of, Signed(who): Signed, At(number): At<i64>) -> Result<Json<Containment>, Fault> {
    asked(app, move |app| containment::state(app, &who, number)).await
}

async fn operators(State(app): Of, Signed(who): Signed) -> Result<Json<Vec<OperatorView>>, Fault> {
    asked(app, move |app| containment::operators(app, &who)).await
}

async fn plan(State(app): Of, At(number): At<i64>, act: Act<PlanInput>) -> Response {
    act.run(app, move |app, who, input| containment::plan(app, who, number, input)).await
}

/// What is done to a plan of a case.
macro_rules! does {
    ($($name:ident $input:ty;)*) => {$(
        async fn $name(State(app): Of, At(at): At<(i64, String)>, act: Act<$input>) -> Response {
            act.run(app, move |app, who, input| containment::$name(app, who, (at.0, &at.1), input)).await
        }
    )*};
}

does! {
    approve WhyInput;
    reject WhyInput;
    break_glass WhyInput;
    apply WhyInput;
    roll_back BackInput;
    attest AttestInput;
}

async fn hand_over(State(app): Of, At(at): At<(i64, String)>, act: Act<Nothing>) -> Response {
    act.run(app, move |app, who, _| containment::hand_over(app, who, (at.0, &at.1))).await
}

pub(super) fn routes() -> Vec<Route> {
    let act = |path, id, title, verb, handler| {
        Route::new(("post", path), (id, title), May::Do(verb), handler).output::<PlanView>()
    };
    vec![
        Route::new(
            ("get", "/cases/{number}/containment"),
            ("getContainment", "What was planned and done about it"),
            May::Do(Verb::CaseRead),
            get(state),
        )
        .output::<Containment>(),
        act(
            "/cases/{number}/containment/plans",
            "planContainment",
            "Read the devices and propose a plan",
            Verb::ContainmentPropose,
            post(plan),
        )
        .input::<PlanInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/approve",
            "approvePlan",
            "Allow it; never one's own",
            Verb::ContainmentApprove,
            post(approve),
        )
        .input::<WhyInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/reject",
            "rejectPlan",
            "Forbid it",
            Verb::ContainmentReject,
            post(reject),
        )
        .input::<WhyInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/break-glass",
            "breakGlass",
            "Allow it alone, in an emergency",
            Verb::ContainmentBreakGlass,
            post(break_glass),
        )
        .input::<WhyInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/apply",
            "applyPlan",
            "Carry it out and prove it",
            Verb::ContainmentApply,
            post(apply),
        )
        .input::<WhyInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/roll-back",
            "rollBackPlan",
            "Take it back and prove it",
            Verb::ContainmentUndo,
            post(roll_back),
        )
        .input::<BackInput>(),
        act(
            "/cases/{number}/containment/plans/{digest}/attest",
            "attestStep",
            "Say what you saw of a step that cannot be read",
            Verb::ContainmentApply,
            post(attest),
        )
        .input::<AttestInput>(),
        Route::new(
            ("post", "/cases/{number}/containment/plans/{digest}/hand-over"),
            ("takeHandOver", "New passwords, for whoever carried it out, once"),
            May::Do(Verb::ContainmentApply),
            post(hand_over),
        )
        .output::<Vec<HandOver>>(),
        Route::new(
            ("get", "/containment/operators"),
            ("listOperators", "Keys with which the service signs for people"),
            May::Do(Verb::ConnectorRead),
            get(operators),
        )
        .output::<Vec<OperatorView>>(),
    ]
}
