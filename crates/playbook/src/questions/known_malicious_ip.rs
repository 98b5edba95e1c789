//! Is an address of the access on a list that was valid at that time?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_model::answer::Tri;

pub(super) static QUESTION: Question = Question { id: "known_malicious_ip", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    if !case.engine.coverage().intel {
        return Answer::unknown("threat-intelligence lists", "no list was given");
    }
    for session in case.suspects() {
        for stay in &session.stays {
            let hits = case.engine.context().intel(stay.ip, stay.first);
            if let Some(hit) = hits.iter().filter(|h| !h.anonymiser).max_by_key(|h| h.confidence) {
                let dated =
                    hit.dated.map_or("undated".to_owned(), |d| d.to_string().chars().take(10).collect());
                let because = format!(
                    "{} is on {} ({dated}), confidence {}: {}",
                    stay.ip, hit.list, hit.confidence, hit.label
                );
                return Answer::new(Tri::Yes, because).by("threat-intelligence lists").seen([stay.evidence]);
            }
        }
    }
    let ips = case.public_ips();
    let because = match ips.len() {
        0 => "the case has no public address".to_owned(),
        1 => format!("{} is on none of the lists given", ips[0]),
        n => format!("none of the {n} addresses is on a list given"),
    };
    Answer::new(Tri::No, because).by("threat-intelligence lists")
}
