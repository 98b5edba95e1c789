//! ServiceNow: an incident of the table API, found again by its correlation id; what comes later is a work note.

use super::{Ask, Plan};
use crate::config::Occasion;
use crate::out::letter::{Letter, Weight};
use crate::out::text::{line, servicenow as encode};
use serde_json::json;

/// Characters that a short description may have.
const SHORT: usize = 160;

pub(super) fn plan(letter: &Letter) -> Plan {
    let table = "/api/now/table/incident";
    let look = Ask::get(
        table,
        vec![
            ("sysparm_query", format!("correlation_id={}", letter.key)),
            ("sysparm_fields", "sys_id".to_owned()),
            ("sysparm_limit", "1".to_owned()),
        ],
    );
    let weight = match letter.weight {
        Weight::High => "1",
        Weight::Medium => "2",
        Weight::Low => "3",
    };
    let make = Ask::post(json!({
        "short_description": line(&encode(&letter.headline), SHORT),
        "description": letter.body(encode),
        "correlation_id": letter.key,
        "correlation_display": "Portreeve",
        "category": "security",
        "impact": weight,
        "urgency": weight,
    }))
    .at(table);
    let note = json!({ "work_notes": format!("{}\n{}", encode(&letter.headline), letter.body(encode)) });
    let is_new = letter.occasion == Occasion::CaseOpened;
    Plan::Find {
        look,
        found: |answer| {
            let id = answer["result"][0]["sys_id"].as_str()?;
            (!id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| id.to_owned())
        },
        make,
        add: Box::new(move |id| {
            let path = format!("/api/now/table/incident/{id}");
            (!is_new).then(|| Ask {
                method: "PATCH",
                path: Some(path),
                query: Vec::new(),
                body: Some(note.clone()),
            })
        }),
    }
}
