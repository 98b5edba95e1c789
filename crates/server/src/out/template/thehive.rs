//! TheHive 5: an alert, found again by source and reference; what comes later is a comment. Description and comments are
//! Markdown there.

use super::{Ask, Plan};
use crate::config::Occasion;
use crate::out::letter::{Letter, Weight};
use crate::out::text::markdown;
use serde_json::{Value, json};

const SOURCE: &str = "portreeve";

/// TLP 2.0 as TheHive numbers it.
fn tlp(word: &str) -> u8 {
    match word {
        "clear" => 0,
        "green" => 1,
        "amber_strict" => 3,
        "red" => 4,
        _ => 2,
    }
}

fn pap(word: &str) -> u8 {
    match word {
        "clear" => 0,
        "green" => 1,
        "red" => 3,
        _ => 2,
    }
}

pub(super) fn plan(letter: &Letter) -> Plan {
    let filter = json!({
        "_name": "filter",
        "_and": [
            { "_field": "source", "_value": SOURCE },
            { "_field": "sourceRef", "_value": letter.key },
        ],
    });
    let page = json!({ "_name": "page", "from": 0, "to": 1 });
    let look = Ask::post(json!({ "query": [{ "_name": "listAlert" }, filter, page] })).at("/api/v1/query");
    let mut observables: Vec<Value> =
        letter.addresses.iter().map(|ip| json!({ "dataType": "ip", "data": ip })).collect();
    if !letter.principal.is_empty() {
        observables.push(json!({ "dataType": "other", "data": letter.principal, "message": "user" }));
    }
    // A line's end of Markdown needs two spaces before it.
    let text = letter.body(markdown).replace('\n', "  \n");
    let mut alert = json!({
        "type": "external-remote-services",
        "source": SOURCE,
        "sourceRef": letter.key,
        "title": letter.headline,
        "description": text,
        "severity": match letter.weight { Weight::High => 3, Weight::Medium => 2, Weight::Low => 1 },
        // Milliseconds.
        "date": letter.at / 1_000,
        "tags": ["portreeve", "T1133"],
        "tlp": tlp(&letter.tlp),
        "pap": pap(&letter.pap),
        "observables": observables,
    });
    if let Some(link) = &letter.link {
        alert["externalLink"] = json!(link);
    }
    let make = Ask::post(alert).at("/api/v1/alert");
    let comment = json!({ "message": format!("{}  \n{text}", markdown(&letter.headline)) });
    let is_new = letter.occasion == Occasion::CaseOpened;
    Plan::Find {
        look,
        found: |answer| {
            let id = answer[0]["_id"].as_str()?;
            let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'~' | b'-' | b'_'));
            (is_id && !id.is_empty()).then(|| id.to_owned())
        },
        make,
        add: Box::new(move |id| {
            (!is_new).then(|| Ask::post(comment.clone()).at(format!("/api/v1/alert/{id}/comment")))
        }),
    }
}
