//! EDR alerts that coincide with the session.

use super::{T2Action, answer_to};
use crate::view::{Answer, CaseView, Taken, lines};
use portreeve_model::answer::Tri;

pub(super) static ACTION: T2Action = T2Action { id: "edr_alerts", take };

fn take(_: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Taken {
    let answer = answer_to(answers, "edr_related");
    Taken {
        done: answer.tri != Tri::Unknown,
        next: if answer.tri == Tri::Unknown {
            "Look in the EDR console for the device and the hosts reached.".into()
        } else {
            "".into()
        },
        evidence: lines(&answer.evidence),
        finding: answer.because.into(),
    }
}
