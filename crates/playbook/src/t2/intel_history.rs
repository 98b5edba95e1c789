//! The addresses against intelligence, and who else used them.

use super::{T2Action, answer_to};
use crate::view::{Answer, CaseView, Taken, lines};
use portreeve_model::answer::Tri;

pub(super) static ACTION: T2Action = T2Action { id: "intel_history", take };

fn take(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Taken {
    let intel = answer_to(answers, "known_malicious_ip");
    let mut text = intel.because.clone();
    for ip in case.public_ips().into_iter().take(4) {
        let Some(source) = case.engine.source(ip) else { continue };
        let others: Vec<String> = source
            .successes
            .iter()
            .filter(|(_, a)| *a != case.draft.principal)
            .map(|(_, a)| case.text(*a))
            .take(5)
            .collect();
        let failures = source.failures;
        if failures > 0 {
            text.push_str(&format!(
                "; {ip} failed {failures} times here between {} and {}",
                source.first, source.last
            ));
        }
        if !others.is_empty() {
            text.push_str(&format!("; {ip} was also used by {}", others.join(", ")));
        }
    }
    Taken {
        done: intel.tri != Tri::Unknown,
        finding: text.into(),
        next: if intel.tri == Tri::Unknown {
            "Look the addresses up in the intelligence platform.".into()
        } else {
            "".into()
        },
        evidence: lines(&intel.evidence),
    }
}
