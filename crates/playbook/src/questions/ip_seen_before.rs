//! Has this address been seen before in *legitimate* activity? What this case taints does not count.

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_engine::session::Session;
use portreeve_model::answer::Tri;
use portreeve_model::time::HOUR_US;

pub(super) static QUESTION: Question = Question { id: "ip_seen_before", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    let main = case.access();
    let ip = main.ip();
    if ip.is_none() {
        return Answer::unknown("source_ip", "no record of the access names its address");
    }
    let start = main.session.start;
    let suspect = |s: &Session| case.suspects().any(|x| x.index == s.index);
    let earlier: Vec<&Session> = main.earlier().filter(|s| s.entered).collect();
    let legitimate = |s: &&&Session| !suspect(s) && !case.draft.taint.covers(s);
    let uses: Vec<&Session> =
        earlier.iter().filter(legitimate).copied().filter(|s| s.stays.iter().any(|x| x.ip == ip)).collect();
    if let (Some(first), Some(last)) = (uses.first(), uses.last()) {
        let because = match uses.len() {
            1 => format!("one earlier session from {ip}, on {}", date(first)),
            n => format!("{n} earlier sessions from {ip}, {} to {}", date(first), date(last)),
        };
        let evidence = uses.iter().filter_map(|s| s.evidence.first()).copied();
        return Answer::new(Tri::Yes, because).by("the account's own earlier sessions").seen(evidence);
    }
    let tainted = earlier.iter().filter(|s| s.stays.iter().any(|x| x.ip == ip)).count();
    if earlier.is_empty() {
        // The service had a history, this account had none: the address was certainly not seen.
        let logs_begin = case.engine.span().map_or(start, |(first, _)| first);
        if start.since(logs_begin) < 24 * HOUR_US {
            return Answer::unknown(
                "older logs",
                "the logs begin with this access; there is no history to look in",
            );
        }
        return Answer::new(Tri::No, format!("no earlier session of this account since {}", day(logs_begin)))
            .by("history of the service");
    }
    let because = match tainted {
        0 if earlier.len() == 1 => format!("one earlier session, not from {ip}"),
        0 => format!("{} earlier sessions, none from {ip}", earlier.len()),
        n => format!(
            "{} to this case; of the {} others none came from there",
            if n == 1 {
                format!("one earlier session from {ip} belongs")
            } else {
                format!("{n} earlier sessions from {ip} belong")
            },
            earlier.len() - n.min(earlier.len())
        ),
    };
    Answer::new(Tri::No, because)
        .by("the account's own earlier sessions")
        .seen(main.session.evidence.first().copied())
}

fn date(session: &Session) -> String {
    day(session.start)
}

fn day(time: portreeve_model::EventTime) -> String {
    time.to_string().chars().take(10).collect()
}
