//! Escalate, investigate or close, with the sentence that a person needs.

use super::Judgement;
use crate::view::CaseView;
use portreeve_engine::detect::Signal;
use portreeve_engine::score::{Score, weigh};
use portreeve_model::EventTime;
use portreeve_model::answer::{Decision, Tri};
use portreeve_model::signal::Group;

pub struct Decided {
    pub decision: Decision,
    pub reason: String,
    /// When the evidence first sufficed for the decision.
    pub detected_at: EventTime,
}

pub fn decide(case: &CaseView<'_>, criteria: &[(&'static str, &Judgement)]) -> Decided {
    let scoring = &case.rules.scoring;
    let unexplained: Vec<&Signal> = case.draft.signals.iter().filter(|s| s.explained.is_empty()).collect();
    let score = weigh(unexplained.iter().copied(), scoring);
    // A rule about novelty carries no decision alone while the program is still learning the account.
    let rule = unexplained.iter().find(|s| {
        let d = case.detection(s);
        d.rule.is_some() && s.points.0 > 0 && s.points >= d.points
    });
    let open: Vec<&str> = criteria
        .iter()
        .filter(|(_, j)| j.answer.tri == Tri::Yes && j.explained.is_empty())
        .map(|(id, _)| *id)
        .collect();
    let groups = confirming(&score, scoring.confirm_mark);
    let accessed = case.accessed();
    let explained = case.draft.signals.iter().filter(|s| !s.explained.is_empty()).count();
    let tail = match explained {
        0 => String::new(),
        1 => " One more indicator is explained by context.".to_owned(),
        n => format!(" {n} more indicators are explained by context."),
    };
    if !accessed {
        let decision =
            if score.evidence >= scoring.investigate_mark { Decision::Investigate } else { Decision::Close };
        let reason = format!("No access succeeded. {}{tail}", told(case, &unexplained, None));
        return Decided { decision, reason, detected_at: case.draft.first };
    }
    if let Some(rule) = rule {
        let reason =
            format!("{}: {}{tail}", case.detection(rule).title, told(case, &unexplained, Some(rule)));
        return Decided { decision: Decision::Escalate, reason, detected_at: rule.time };
    }
    if !open.is_empty() && groups.len() >= 2 && score.evidence >= scoring.escalate_mark {
        let names: Vec<&str> = groups.iter().map(|g| g.name()).collect();
        let reason = format!(
            "{} of the criteria met ({}), confirmed by independent evidence of {}: {}{tail}",
            open.len(),
            open.join(", ").replace('_', " "),
            names.join(", "),
            told(case, &unexplained, None)
        );
        let detected_at = sufficed_at(case, &unexplained);
        return Decided { decision: Decision::Escalate, reason, detected_at };
    }
    if !open.is_empty() || score.evidence >= scoring.investigate_mark {
        let what = if open.is_empty() {
            "Evidence above the mark, no criterion met".to_owned()
        } else {
            format!("{} met by one kind of evidence", open.join(", ").replace('_', " "))
        };
        let reason = format!("{what}: {}{tail}", told(case, &unexplained, None));
        return Decided {
            decision: Decision::Investigate,
            reason,
            detected_at: sufficed_at(case, &unexplained),
        };
    }
    let reason = if explained > 0 {
        format!("What stands out is explained by context: {}.", explanations(case))
    } else {
        format!("Too little stands out: {}", told(case, &unexplained, None))
    };
    Decided { decision: Decision::Close, reason, detected_at: case.draft.first }
}

fn confirming(score: &Score, mark: portreeve_model::signal::Millideciban) -> Vec<Group> {
    score
        .groups
        .iter()
        .filter(|(g, _, points)| *points >= mark && *g != Group::Context)
        .map(|(g, ..)| *g)
        .collect()
}

/// The strongest claims in one sentence, with the numbers.
fn told(case: &CaseView<'_>, signals: &[&Signal], first: Option<&Signal>) -> String {
    let mut strongest: Vec<&&Signal> = signals.iter().filter(|s| s.points.0 > 0).collect();
    strongest.sort_by_key(|s| {
        let leads = first.is_some_and(|f| f.detection == s.detection);
        (!leads, std::cmp::Reverse(s.points), s.time, s.detection)
    });
    let mut text: Vec<&str> = Vec::new();
    for s in strongest {
        // Two detections about one fact tell it once.
        if text.len() < 3 && !text.iter().any(|t| t.starts_with(&*s.because) || s.because.starts_with(t)) {
            text.push(&s.because);
        }
    }
    let user = case.text(case.draft.principal);
    if text.is_empty() { format!("nothing unusual about {user}.") } else { format!("{}.", text.join("; ")) }
}

/// What explains the indicators of the case, each once.
fn explanations(case: &CaseView<'_>) -> String {
    let mut text: Vec<String> = Vec::new();
    for e in case.draft.signals.iter().flat_map(|s| &s.explained) {
        let one = super::sentence(e);
        if !text.contains(&one) {
            text.push(one);
        }
    }
    text.truncate(3);
    text.join("; ")
}

/// When the running sum of the evidence first reached the mark of the decision.
fn sufficed_at(case: &CaseView<'_>, signals: &[&Signal]) -> EventTime {
    let mut ordered: Vec<&Signal> = signals.to_vec();
    ordered.sort_by_key(|s| (s.time, s.detection));
    for n in 1..=ordered.len() {
        let so_far = weigh(ordered[..n].iter().copied(), &case.rules.scoring);
        if so_far.evidence >= case.rules.scoring.investigate_mark {
            return ordered[n - 1].time;
        }
    }
    case.draft.first
}
