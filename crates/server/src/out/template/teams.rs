//! Microsoft Teams: a Workflows webhook that takes an adaptive card. Text blocks and facts of a card render Markdown, text
//! runs do not: all words are text runs.

use super::{Ask, Plan};
use crate::out::letter::{Letter, Weight};
use serde_json::{Value, json};

fn rich(runs: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(words: &str, weight: &str) -> Value {
    json!({ "type": "TextRun", "text": words, "weight": weight })
}

pub(super) fn plan(letter: &Letter) -> Plan {
    let colour = match letter.weight {
        Weight::High => "Attention",
        Weight::Medium => "Warning",
        Weight::Low => "Default",
    };
    let headline = json!({ "type": "TextRun", "text": letter.headline, "weight": "Bolder", "size": "Large", "color": colour });
    let mut body = vec![rich(vec![headline])];
    if !letter.why.is_empty() {
        body.push(rich(vec![run(&letter.why, "Default")]));
    }
    for (name, value) in &letter.facts {
        body.push(rich(vec![run(&format!("{name}: "), "Bolder"), run(value, "Default")]));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        // For notifications; not rendered.
        "fallbackText": letter.headline,
        "body": body,
    });
    if let Some(link) = &letter.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": link }]);
    }
    Plan::Tell(Ask::post(json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })))
}
