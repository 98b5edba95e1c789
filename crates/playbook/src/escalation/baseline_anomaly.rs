//! E2: the access shows anomalies against the user's baseline. One novelty alone does not.

use super::{Criterion, Judgement};
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Signal;
use portreeve_engine::score::weigh;
use portreeve_model::answer::Tri;
use portreeve_model::facts::Explained;
use portreeve_model::signal::{Group, Millideciban};

pub(super) static CRITERION: Criterion = Criterion { id: "baseline_anomaly", judge };

/// Evidence about how the access differs from what is usual, as against what was done afterwards.
const GROUPS: [Group; 9] = [
    Group::Place,
    Group::Travel,
    Group::Auth,
    Group::Session,
    Group::Time,
    Group::Account,
    Group::Segment,
    Group::Precursor,
    Group::Gateway,
];

fn judge(case: &CaseView<'_>, _: &[(&'static str, Answer)]) -> Judgement {
    let signals: Vec<&Signal> = case.draft.signals.iter().filter(|s| GROUPS.contains(&s.group)).collect();
    let positive: Vec<&&Signal> = signals.iter().filter(|s| s.points.0 > 0).collect();
    let score = weigh(signals.iter().copied(), &case.rules.scoring).evidence;
    let because: Vec<&str> = positive.iter().take(4).map(|s| s.because.as_str()).collect();
    let evidence = positive.iter().filter_map(|s| s.evidence.first()).copied();
    if score >= case.rules.scoring.investigate_mark && positive.len() >= 2 {
        let mut explained: Vec<Explained> = Vec::new();
        let unexplained: Vec<&Signal> = signals.iter().filter(|s| s.explained.is_empty()).copied().collect();
        if weigh(unexplained.iter().copied(), &case.rules.scoring).evidence
            < case.rules.scoring.investigate_mark
        {
            for e in signals.iter().flat_map(|s| &s.explained) {
                if !explained.contains(e) {
                    explained.push(e.clone());
                }
            }
        }
        let answer =
            Answer::new(Tri::Yes, format!("{} dB: {}", score.db(), because.join("; "))).seen(evidence);
        return Judgement { answer, explained };
    }
    if case.draft.known.is_empty() && case.draft.account.home.is_none() && score > Millideciban(0) {
        let answer = Answer::unknown(
            "history of the account",
            "there is no baseline of the account to hold the access against",
        );
        return Judgement { answer, explained: Vec::new() };
    }
    let because = if because.is_empty() {
        "nothing about the access is unusual for the account".to_owned()
    } else {
        format!(
            "{} dB, below the mark of {}: {}",
            score.db(),
            case.rules.scoring.investigate_mark.db(),
            because.join("; ")
        )
    };
    Judgement { answer: Answer::new(Tri::No, because), explained: Vec::new() }
}
