//! What each product wants to hear: requests made of a letter, one file a product. Pure: no clock, no network.

mod iris;
mod jira;
mod pagerduty;
mod plain;
mod servicenow;
mod slack;
mod teams;
#[cfg(test)]
mod tests;
mod thehive;

use super::letter::Letter;
use crate::config::{Template, WebhookAt};
use crate::outward::Heard;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portreeve_model::untrusted::escape_for_terminal;
use serde_json::Value;

/// One request. `path` is put behind the address of the product; without it the address itself is meant.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: Option<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Ask {
    fn post(body: Value) -> Ask {
        Ask { method: "POST", path: None, query: Vec::new(), body: Some(body) }
    }

    fn at(self, path: impl Into<String>) -> Ask {
        Ask { path: Some(path.into()), ..self }
    }

    fn get(path: &str, query: Vec<(&'static str, String)>) -> Ask {
        Ask { method: "GET", path: Some(path.to_owned()), query, body: None }
    }
}

/// What is added to the entry with this id.
pub(crate) type Add = Box<dyn Fn(&str) -> Option<Ask>>;

/// How a letter is delivered.
pub(crate) enum Plan {
    /// One request says it all.
    Tell(Ask),
    /// The product makes something new of each request: so it is looked for first, and added to where it is there.
    Find {
        look: Ask,
        /// Its id in the answer.
        found: fn(&Value) -> Option<String>,
        make: Ask,
        /// What is added; nothing where a case that was told before is told to be new.
        add: Add,
    },
}

/// What a credential is to this product.
pub(crate) fn authorization(template: Template, credential: Option<&str>) -> Option<String> {
    let credential = credential?;
    match template {
        // Stands in the body.
        Template::PagerDuty => None,
        Template::Jira | Template::ServiceNow if credential.contains(':') => {
            Some(format!("Basic {}", STANDARD.encode(credential)))
        }
        _ => Some(format!("Bearer {credential}")),
    }
}

pub(crate) fn plan(letter: &Letter, hook: &WebhookAt, credential: Option<&str>) -> Plan {
    match hook.template {
        Template::Plain => plain::plan(letter),
        Template::Slack => slack::plan(letter, hook),
        Template::Teams => teams::plan(letter),
        Template::Jira => jira::plan(letter, hook),
        Template::ServiceNow => servicenow::plan(letter),
        Template::PagerDuty => pagerduty::plan(letter, credential.unwrap_or_default()),
        Template::TheHive => thehive::plan(letter),
        Template::Iris => iris::plan(letter, hook),
    }
}

/// What an answer means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Meant {
    Heard,
    /// It may be heard another time.
    Again(String),
    /// It is not going to be heard, however often it is said.
    Never(String),
}

pub(crate) fn meant(template: Template, heard: &Heard) -> Meant {
    let text = String::from_utf8_lossy(&heard.body);
    let told = || {
        let text: String = text.chars().take(200).collect();
        let text = escape_for_terminal(&text);
        if text.is_empty() {
            format!("answered {}", heard.status)
        } else {
            format!("answered {}: {text}", heard.status)
        }
    };
    match heard.status {
        // Slack says that nothing was done with a 200.
        200..=299 if template == Template::Slack && text.trim_start().starts_with('{') => {
            match serde_json::from_str::<Value>(&text) {
                Ok(answer) if answer["ok"] == false => Meant::Again(told()),
                _ => Meant::Heard,
            }
        }
        200..=299 => Meant::Heard,
        300..=399 => Meant::Again(format!(
            "answered {}, which leads elsewhere; redirects are not followed: write the address that it leads to",
            heard.status
        )),
        // Two attempts at one moment, of which one was first.
        400 if template == Template::TheHive && text.contains("already exist") => Meant::Heard,
        400 | 410 | 413 | 422 => Meant::Never(told()),
        _ => Meant::Again(told()),
    }
}
