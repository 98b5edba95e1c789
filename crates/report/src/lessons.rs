//! What a case teaches: which detections fired when, the first chance that was missed, and what would have helped.

use crate::actions::Aftermath;
use crate::{ids, origin, wire};
use jiff::Timestamp;

pub(crate) struct Lessons<'c> {
    /// Detections that fired, by time.
    pub(crate) fired: Vec<&'c wire::Indicator>,
    pub(crate) chance: Chance,
    pub(crate) suggestions: Vec<String>,
}

/// The first sign against when the evidence sufficed, and when containment worked.
pub(crate) struct Chance {
    /// Time and what it was.
    pub(crate) first_sign: Option<(Timestamp, String)>,
    pub(crate) to_decision: Option<String>,
    pub(crate) to_containment: Option<String>,
}

pub(crate) fn of<'c>(case: &'c wire::Case, after: &Aftermath) -> Lessons<'c> {
    let mut fired: Vec<&wire::Indicator> = case.indicators.iter().collect();
    fired.sort_by_key(|i| ids::time(&i.time));
    Lessons { fired, chance: chance(case, after), suggestions: suggestions(case) }
}

fn chance(case: &wire::Case, after: &Aftermath) -> Chance {
    let found = case.indicators.iter().map(|i| (i.time.as_str(), format!("{}: {}", i.title, i.because)));
    let told =
        case.timeline.iter().filter(|t| t.kind != "session").map(|t| (t.time.as_str(), t.text.clone()));
    let first_sign = found
        .chain(told)
        .filter_map(|(at, text)| Some((ids::time(at)?, text)))
        // The first of the same moment: indicators stand before the lines of logs.
        .min_by_key(|(at, _)| *at);
    let until = |end: Option<Timestamp>| {
        let first = first_sign.as_ref()?.0;
        let end = end?;
        (end > first).then(|| span(first, end))
    };
    Chance {
        to_decision: until(ids::time(&case.detected_at)),
        to_containment: until(after.contained_at().and_then(ids::time)),
        first_sign,
    }
}

/// `2 d 3 h`, `3 h 5 min`, `4 min 10 s`: the two largest units.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        let n = rest / size;
        rest %= size;
        if n > 0 {
            parts.push(format!("{n} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "less than a second".to_owned() } else { parts.join(" ") }
}

fn answer<'c>(case: &'c wire::Case, id: &str) -> Option<&'c wire::Question> {
    case.questions.iter().find(|q| q.id == id)
}

/// Of the suspect sessions, or of all where none is suspect.
fn ways_in(case: &wire::Case) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for s in case.sessions.iter().filter(|s| s.suspect) {
        let name = [s.service.as_str(), s.gateway.as_str()]
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(" at ");
        if !name.is_empty() && !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn suggestions(case: &wire::Case) -> Vec<String> {
    let mut all = Vec::new();
    let ways = ways_in(case);
    if let Some(q) = answer(case, "mfa_bypassed_or_absent").filter(|q| q.answer == "yes") {
        let mut paths: Vec<&str> =
            case.containment.iter().filter(|a| a.id == "enforce_mfa").map(|a| a.target.as_str()).collect();
        if paths.is_empty() {
            paths.extend(ways.iter().map(String::as_str));
        }
        let paths = if paths.is_empty() { "the way in".to_owned() } else { paths.join(", ") };
        all.push(format!("policy: enforce multi-factor authentication on {paths}: {}", q.because));
    }
    let origins = origin::of(case);
    let rented: Vec<String> = origins
        .iter()
        .filter(|o| matches!(o.place.network.as_str(), "hosting" | "commercial vpn" | "tor"))
        .map(|o| format!("{} ({})", o.ip, o.place.network))
        .collect();
    if !rented.is_empty() && case.decision != "close" {
        let ways = if ways.is_empty() { "the way in".to_owned() } else { ways.join(", ") };
        all.push(format!(
            "policy: refuse sign-ins at {ways} from hosting networks and anonymisers: {}",
            rented.join(", ")
        ));
    }
    if answer(case, "geo_matches_known_location_or_travel").is_some_and(|q| q.answer != "yes")
        && !origins.is_empty()
    {
        let from: Vec<String> = origins.iter().map(|o| o.ip.to_string()).collect();
        all.push(format!(
            "baseline: if it was legitimate, list the travel (travel.csv) or the network (egress.csv) of {}",
            from.join(", ")
        ));
    }
    for q in case.questions.iter().filter(|q| q.answer == "unknown") {
        for need in &q.needs {
            let text = format!("source: give {need}: it answers \u{201c}{}\u{201d}", q.text);
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    for missing in &case.coverage.missing {
        let told = case.questions.iter().flat_map(|q| &q.needs).any(|n| missing.contains(n.as_str()));
        if !told {
            all.push(format!("source: switch on or read what is missing: {missing}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        for (seconds, text) in [
            (0, "less than a second"),
            (59, "59 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (3_600 + 10, "1 h"),
            (2 * 86_400 + 3 * 3_600 + 5, "2 d 3 h"),
        ] {
            assert_eq!(span(at(1_000_000), at(1_000_000 + seconds)), text);
        }
    }
}
