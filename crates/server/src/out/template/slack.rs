//! Slack: an incoming webhook, or `chat.postMessage` with a token and a channel. Blocks of plain text: there is no markup
//! in them that could be meant.

use super::{Ask, Plan};
use crate::config::WebhookAt;
use crate::out::letter::Letter;
use crate::out::text::slack as encode;
use serde_json::{Value, json};

/// Characters that Slack takes in a heading, and fields in a section.
const HEADING: usize = 150;
const FIELDS: usize = 10;

fn text(words: &str) -> Value {
    json!({ "type": "plain_text", "text": encode(words), "emoji": false })
}

pub(super) fn plan(letter: &Letter, hook: &WebhookAt) -> Plan {
    let heading = crate::out::text::line(&letter.headline, HEADING);
    let mut blocks = vec![json!({ "type": "header", "text": text(&heading) })];
    if !letter.why.is_empty() {
        blocks.push(json!({ "type": "section", "text": text(&letter.why) }));
    }
    let fields: Vec<Value> =
        letter.facts.iter().take(FIELDS).map(|(name, value)| text(&format!("{name}: {value}"))).collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if let Some(link) = &letter.link {
        let button = json!({ "type": "button", "text": text("Open"), "url": link });
        blocks.push(json!({ "type": "actions", "elements": [button] }));
    }
    let mut body = json!({
        // For notifications and for clients without blocks.
        "text": encode(&letter.headline),
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    });
    if let Some(channel) = &hook.channel {
        body["channel"] = json!(channel);
    }
    Plan::Tell(Ask::post(body))
}
