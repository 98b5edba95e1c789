//! Hosts and accounts that the session reached, in time order.

use super::{T2Action, answer_to};
use crate::view::{Answer, CaseView, Taken, lines};
use portreeve_engine::detect::ops::post::known_host;
use portreeve_model::answer::Tri;

pub(super) static ACTION: T2Action = T2Action { id: "lateral_graph", take };

fn take(case: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> Taken {
    let answer = answer_to(answers, "lateral_movement");
    let mut steps = Vec::new();
    for subject in case.subjects() {
        for t in &subject.session.touches {
            let new = if known_host(&subject, t) { "" } else { " (new)" };
            let user = if t.user.is_some() { format!(" as {}", case.text(t.user)) } else { String::new() };
            let text = format!("{} {} over {}{user}{new}", t.first, case.text(t.host), t.protocol.name());
            steps.push((t.first, text, t.evidence));
        }
    }
    steps.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let shown: Vec<&str> = steps.iter().take(20).map(|s| s.1.as_str()).collect();
    let mut text = if shown.is_empty() { answer.because.clone() } else { shown.join("; ") };
    if steps.len() > 20 {
        text.push_str(&format!("; and {} more", steps.len() - 20));
    }
    let evidence: Vec<_> = steps.iter().take(12).map(|s| s.2).collect();
    Taken {
        done: answer.tri != Tri::Unknown,
        finding: text.into(),
        next: answer.needs.first().map_or(String::new(), |n| format!("Get {n}.")).into(),
        evidence: lines(&evidence),
    }
}
