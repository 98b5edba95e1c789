//! Jira Cloud (REST v3): one issue a case, found again by its label; what comes later is a comment. Texts are nodes of the
//! Atlassian Document Format, which hold no markup.

use super::{Ask, Plan};
use crate::config::{Occasion, WebhookAt};
use crate::out::letter::Letter;
use serde_json::{Value, json};

/// Characters that a summary may have.
const SUMMARY: usize = 250;

fn paragraph(nodes: Vec<Value>) -> Value {
    json!({ "type": "paragraph", "content": nodes })
}

fn document(letter: &Letter) -> Value {
    let mut content = Vec::new();
    if !letter.why.is_empty() {
        content.push(paragraph(vec![json!({ "type": "text", "text": letter.why })]));
    }
    for (name, value) in &letter.facts {
        content.push(paragraph(vec![
            json!({ "type": "text", "text": format!("{name}: "), "marks": [{ "type": "strong" }] }),
            json!({ "type": "text", "text": value }),
        ]));
    }
    if let Some(link) = &letter.link {
        let marks = json!([{ "type": "link", "attrs": { "href": link } }]);
        content.push(paragraph(vec![json!({ "type": "text", "text": link, "marks": marks })]));
    }
    json!({ "type": "doc", "version": 1, "content": content })
}

fn comment(letter: &Letter) -> Value {
    let mut body = document(letter);
    let head = paragraph(vec![json!({ "type": "text", "text": letter.headline })]);
    if let Some(content) = body["content"].as_array_mut() {
        content.insert(0, head);
    }
    json!({ "body": body })
}

pub(super) fn plan(letter: &Letter, hook: &WebhookAt) -> Plan {
    let project = hook.project.as_deref().unwrap_or_default();
    // Quoted; neither holds a quotation mark that could end it.
    let quoted = |text: &str| text.replace(['"', '\\'], "");
    let jql = format!(
        "project = \"{}\" AND labels = \"{}\" ORDER BY created ASC",
        quoted(project),
        quoted(&letter.key)
    );
    let look =
        Ask::post(json!({ "jql": jql, "fields": ["key"], "maxResults": 1 })).at("/rest/api/3/search/jql");
    let make = Ask::post(json!({
        "fields": {
            "project": { "key": project },
            "issuetype": { "name": hook.issue_type.as_deref().unwrap_or("Task") },
            "summary": crate::out::text::line(&letter.headline, SUMMARY),
            "description": document(letter),
            "labels": ["portreeve", letter.key],
        },
    }))
    .at("/rest/api/3/issue");
    let (body, is_new) = (comment(letter), letter.occasion == Occasion::CaseOpened);
    Plan::Find {
        look,
        found: |answer| {
            let key = answer["issues"][0]["key"].as_str()?;
            let is_key = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            (is_key && !key.is_empty()).then(|| key.to_owned())
        },
        make,
        add: Box::new(move |key| {
            (!is_new).then(|| Ask::post(body.clone()).at(format!("/rest/api/3/issue/{key}/comment")))
        }),
    }
}
