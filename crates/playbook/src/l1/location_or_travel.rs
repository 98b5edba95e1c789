//! Does the place match the person's current location or recent travel?

use super::L1Step;
use crate::view::{Answer, CaseView, Taken, lines};
use portreeve_model::answer::Tri;

pub(super) static STEP: L1Step = L1Step { id: "location_or_travel", take };

fn take(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Taken {
    let answer =
        answers.iter().find(|(id, _)| *id == "geo_matches_known_location_or_travel").map(|(_, a)| a.clone());
    let answer = answer.unwrap_or_default();
    let next = match answer.tri {
        Tri::Yes => "",
        Tri::No => "Ask the manager or the travel desk whether the person is there.",
        Tri::Unknown => "Ask where the person was; the logs cannot tell.",
    };
    let travel =
        if case.engine.coverage().travel { "travel.csv was read" } else { "no travel.csv was given" };
    Taken {
        done: answer.tri == Tri::Yes,
        finding: format!("{} ({travel})", answer.because).into(),
        next: next.into(),
        evidence: lines(&answer.evidence),
    }
}
