//! Is there an EDR alert on a device or account of the session within 24 hours?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::ops::post::alerts;
use portreeve_engine::fold::infrastructure::SeenKind;
use portreeve_model::answer::Tri;
use portreeve_model::signal::Evidence;
use portreeve_model::time::DAY_US;

pub(super) static QUESTION: Question = Question { id: "edr_related", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    if !case.engine.seen(SeenKind::Edr) {
        return Answer::unknown("EDR alerts", "no EDR source was read");
    }
    for judged in &case.draft.sessions {
        let subject = case.subject(judged);
        let found: Vec<_> =
            alerts(&subject, DAY_US).into_iter().filter(|e| e.severity >= 2 || e.severity == 0).collect();
        if let Some(worst) = found.iter().max_by_key(|e| e.severity) {
            let because = format!(
                "{} alerts, gravest: {} on {}",
                found.len(),
                case.text(worst.detail),
                case.text(worst.host.or(worst.device))
            );
            let evidence = found.iter().map(|e| Evidence { time: e.time, raw: e.raw });
            return Answer::new(Tri::Yes, because)
                .by("device, account and hosts of the session")
                .seen(evidence);
        }
    }
    Answer::new(Tri::No, "an EDR source was read and has nothing on the session's account, device or hosts")
        .by("EDR alerts")
}
