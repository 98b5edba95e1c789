//! E3: signs of lateral movement after the access.

use super::{Criterion, Judgement, from_question};
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion as Supports;

pub(super) static CRITERION: Criterion = Criterion { id: "lateral_movement", judge };

fn judge(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Judgement {
    from_question(case, answers, "lateral_movement", Supports::LateralMovement)
}
