//! Did the session go on to servers, accounts or workloads that the principal does not usually use?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_engine::detect::Criterion;
use portreeve_engine::fold::infrastructure::SeenKind;
use portreeve_model::answer::Tri;
use portreeve_model::event::Service;
use portreeve_model::time::HOUR_US;

pub(super) static QUESTION: Question = Question { id: "lateral_movement", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    let signals: Vec<_> = case.supporting(Criterion::LateralMovement).collect();
    if !signals.is_empty() {
        let because: Vec<&str> = signals.iter().take(3).map(|s| s.because.as_str()).collect();
        return Answer::new(Tri::Yes, because.join("; "))
            .by("tunnel lease, host and account of the session")
            .seen(signals.iter().flat_map(|s| s.evidence.iter().copied()));
    }
    let main = case.main();
    let (from, to) = (case.draft.first, case.draft.last);
    let cloud = matches!(
        main.session.service,
        Service::CloudApi | Service::CloudConsole | Service::Kubernetes | Service::Idp
    );
    let seen = &case.engine.seen_kinds();
    if cloud {
        let because = format!(
            "{}, none into other workloads or hosts",
            match main.session.deeds.len() {
                0 => "no call or change of the session is on record".to_owned(),
                1 => "one call or change of the session is on record".to_owned(),
                n => format!("{n} calls and changes of the session are on record"),
            }
        );
        return Answer::new(Tri::No, because).by("the service's own log");
    }
    if !seen.covers(SeenKind::Inner, from, to, HOUR_US) {
        return Answer::unknown(
            "logs of inner logons, connections or commands for that time",
            "no log of inner activity covers the session",
        );
    }
    let hosts: Vec<String> = {
        let mut names: Vec<String> =
            case.suspects().flat_map(|s| &s.touches).map(|t| case.text(t.host)).collect();
        names.sort();
        names.dedup();
        names
    };
    let deeds: usize = case.suspects().map(|s| s.deeds.len()).sum();
    let because = match hosts.len() {
        0 if deeds > 0 => format!(
            "inner logs cover the time and show no other host reached; {deeds} changes or commands of the \
             session are on record"
        ),
        0 => "inner logs cover the time and show no activity of the session".to_owned(),
        n => format!(
            "{n} hosts reached ({}): none new to the account over an administrative protocol, no fan-out",
            shortened(&hosts)
        ),
    };
    Answer::new(Tri::No, because).by("tunnel lease, host and account of the session")
}

fn shortened(names: &[String]) -> String {
    let mut text = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 {
        text.push_str(&format!(" and {} more", names.len() - 5));
    }
    text
}
