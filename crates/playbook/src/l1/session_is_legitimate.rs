//! Does the access belong to a legitimate session, and what else happened in it?

use super::L1Step;
use crate::view::{Answer, CaseView, Taken, lines};

pub(super) static STEP: L1Step = L1Step { id: "session_is_legitimate", take };

fn take(case: &CaseView<'_>, _: &[(&'static str, Answer)]) -> Taken {
    let main = case.main();
    let s = main.session;
    let mut text = format!(
        "{} session of {} at {} from {}",
        s.service.name(),
        case.text(s.principal),
        case.text(s.gateway),
        s.ip()
    );
    if let Some((tunnel, _)) = s.tunnels.first() {
        text.push_str(&format!(", tunnel address {tunnel}"));
    }
    if s.device.is_some() {
        text.push_str(&format!(", device {}", case.text(s.device)));
    }
    match s.end {
        Some(end) => text.push_str(&format!(", {} to {end}", s.start)),
        None => text.push_str(&format!(", from {}, no end logged", s.start)),
    }
    let overlapping = case
        .dossier
        .sessions
        .iter()
        .filter(|o| {
            o.index != s.index && o.entered && o.start <= s.end_or_last() && s.start <= o.end_or_last()
        })
        .filter(|o| !case.suspects().any(|x| x.index == o.index));
    let others: Vec<String> =
        overlapping.map(|o| format!("{} from {}", o.service.name(), o.ip())).take(4).collect();
    if !others.is_empty() {
        text.push_str(&format!("; at the same time the account was used elsewhere: {}", others.join(", ")));
    }
    let evidence = lines(&s.evidence[..s.evidence.len().min(8)]);
    Taken {
        done: false,
        finding: text.into(),
        next: format!("Ask {} by a known telephone number whether this was them; do not use mail or chat of the account.", case.text(s.principal)).into(),
        evidence,
    }
}
