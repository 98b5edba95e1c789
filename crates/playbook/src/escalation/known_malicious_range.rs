//! E1: the source IP of access is from a known malicious range.

use super::{Criterion, Judgement, from_question};
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion as Supports;

pub(super) static CRITERION: Criterion = Criterion { id: "known_malicious_range", judge };

fn judge(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Judgement {
    from_question(case, answers, "known_malicious_ip", Supports::KnownMaliciousRange)
}
