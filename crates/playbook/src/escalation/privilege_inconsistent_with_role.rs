//! E4: elevated privileges inconsistent with the user's role.

use super::{Criterion, Judgement, from_question};
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion as Supports;

pub(super) static CRITERION: Criterion = Criterion { id: "privilege_inconsistent_with_role", judge };

fn judge(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Judgement {
    from_question(case, answers, "privilege_inconsistent_with_role", Supports::PrivilegeInconsistentWithRole)
}
