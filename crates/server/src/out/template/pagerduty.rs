//! PagerDuty: Events API v2. All that is told of a case has one `dedup_key` and is one incident there; closing the case
//! resolves it.

use super::{Ask, Plan};
use crate::config::Occasion;
use crate::out::letter::{Letter, Weight};
use crate::out::text::line;
use serde_json::{Map, Value, json};

/// Characters that a summary may have.
const SUMMARY: usize = 1_024;

pub(super) fn plan(letter: &Letter, routing_key: &str) -> Plan {
    let action = match letter.occasion {
        Occasion::CaseClosed => "resolve",
        _ => "trigger",
    };
    let severity = match letter.weight {
        Weight::High => "critical",
        Weight::Medium => "warning",
        Weight::Low => "info",
    };
    let mut details: Map<String, Value> =
        letter.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    details.insert("Why".to_owned(), json!(letter.why));
    let mut body = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": letter.key,
        "client": "Portreeve",
        "payload": {
            "summary": line(&letter.headline, SUMMARY),
            "source": "portreeve",
            "severity": severity,
            "timestamp": crate::desk::Stamp(letter.at).to_string(),
            "class": letter.occasion.name(),
            "custom_details": details,
        },
    });
    if let Some(link) = &letter.link {
        body["client_url"] = json!(link);
        body["links"] = json!([{ "href": link, "text": "Open in Portreeve" }]);
    }
    Plan::Tell(Ask::post(body))
}
