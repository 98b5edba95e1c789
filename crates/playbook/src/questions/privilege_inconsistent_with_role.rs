//! Was a right used or gained that neither role, peers nor own history has?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion;
use portreeve_model::answer::Tri;

pub(super) static QUESTION: Question = Question { id: "privilege_inconsistent_with_role", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    let signals: Vec<_> = case.supporting(Criterion::PrivilegeInconsistentWithRole).collect();
    if !signals.is_empty() {
        let because: Vec<&str> = signals.iter().take(3).map(|s| s.because.as_str()).collect();
        return Answer::new(Tri::Yes, because.join("; "))
            .by("directory role and own history")
            .seen(signals.iter().flat_map(|s| s.evidence.iter().copied()));
    }
    let directory = case.engine.coverage().directory;
    if !directory && case.draft.known.is_empty() {
        return Answer::unknown(
            "users.csv or older logs",
            "no role and no history to hold the session's rights against",
        );
    }
    let role = case.text(case.draft.account.role);
    let because = if role.is_empty() {
        "no right beyond the account's own history was used".to_owned()
    } else {
        format!("no right beyond the role ({role}) and the account's own history was used")
    };
    Answer::new(Tri::No, because).by(if directory { "directory" } else { "own history" })
}
