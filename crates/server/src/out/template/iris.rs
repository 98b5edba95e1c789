//! DFIR-IRIS: an alert, found again by its reference; what comes later goes into its note, which is the newest word.
//! Descriptions are Markdown there.

use super::{Ask, Plan};
use crate::config::{Occasion, WebhookAt};
use crate::out::letter::{Letter, Weight};
use crate::out::text::markdown;
use serde_json::json;

pub(super) fn plan(letter: &Letter, hook: &WebhookAt) -> Plan {
    let look = Ask::get(
        "/alerts/filter",
        vec![
            ("source_reference", letter.key.clone()),
            ("page", "1".to_owned()),
            ("per_page", "1".to_owned()),
        ],
    );
    // As IRIS numbers them when it is set up: medium is 1, low 4, high 5.
    let severity = match letter.weight {
        Weight::High => 5,
        Weight::Medium => 1,
        Weight::Low => 4,
    };
    let text = letter.body(markdown).replace('\n', "  \n");
    let mut alert = json!({
        "alert_title": letter.headline,
        "alert_description": text,
        "alert_source": "Portreeve",
        "alert_source_ref": letter.key,
        "alert_source_event_time": crate::desk::Stamp(letter.at).to_string().trim_end_matches('Z'),
        "alert_source_content": letter.plain["data"],
        "alert_severity_id": severity,
        // New.
        "alert_status_id": 2,
        "alert_customer_id": hook.customer.unwrap_or(1),
        "alert_tags": "portreeve,T1133",
    });
    if let Some(link) = &letter.link {
        alert["alert_source_link"] = json!(link);
    }
    let make = Ask::post(alert).at("/alerts/add");
    let note = json!({ "alert_note": format!("{}  \n{text}", markdown(&letter.headline)) });
    let is_new = letter.occasion == Occasion::CaseOpened;
    Plan::Find {
        look,
        found: |answer| Some(answer["data"]["alerts"][0]["alert_id"].as_i64()?.to_string()),
        make,
        add: Box::new(move |id| {
            (!is_new).then(|| Ask::post(note.clone()).at(format!("/alerts/update/{id}")))
        }),
    }
}
