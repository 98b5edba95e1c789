//! Was the access gained without the account holder freely passing a second factor?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::ops::mfa::{State, assess};
use portreeve_model::answer::Tri;

pub(super) static QUESTION: Question = Question { id: "mfa_bypassed_or_absent", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    let main = assess(&case.main());
    // A bypass in any session of the intrusion answers the question, even where the loudest session did not need one.
    let mark = case.rules.scoring.case_mark;
    let worst = case
        .draft
        .sessions
        .iter()
        .filter(|j| j.score.evidence >= mark)
        .map(|j| assess(&case.subject(j)))
        .find(|a| a.state == State::Bypassed);
    let assessment = if main.state == State::Bypassed { main } else { worst.unwrap_or(main) };
    let tri = match assessment.state {
        State::Passed | State::Claimed => Tri::No,
        State::Absent | State::Exception | State::Single | State::Bypassed => Tri::Yes,
        State::Unknown => Tri::Unknown,
    };
    let mut answer = Answer::new(tri, assessment.because).by(assessment.known_by).seen(assessment.evidence);
    answer.needs.extend(assessment.needs);
    answer
}
