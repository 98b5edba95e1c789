//! A message in words, before it takes the shape of a product: a headline, why, facts by name, where to look.

use super::text::line;
use super::{Hooks, Message};
use crate::config::{Occasion, WebhookAt};
use portreeve_model::untrusted::escape_for_terminal;
use serde_json::{Value, json};

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    High,
    Medium,
    Low,
}

/// All texts are one line and bounded; what they mean in a product's markup is that product's file to take care of.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) occasion: Occasion,
    /// The same for all that is told of one case: receivers join by it.
    pub(crate) key: String,
    pub(crate) headline: String,
    pub(crate) why: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) weight: Weight,
    /// The case's page, where the service knows its own address.
    pub(crate) link: Option<String>,
    pub(crate) at: i64,
    pub(crate) tlp: String,
    pub(crate) pap: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) principal: String,
    /// As `plain` sends it.
    pub(crate) plain: Value,
}

const TITLE: usize = 150;
const WHY: usize = 1_000;
const FACT: usize = 200;

fn stamp(at: i64) -> String {
    crate::desk::Stamp(at).to_string()
}

fn capital(word: &str) -> String {
    word.replace('_', "+").to_uppercase()
}

impl Letter {
    pub(crate) fn of(message: &Message, hook: &WebhookAt, hooks: &Hooks) -> Letter {
        let said = line(&message.said, WHY);
        let subject = line(&message.subject, FACT);
        let mut facts: Vec<(&'static str, String)> = Vec::new();
        let mut fact = |name: &'static str, value: String| {
            if !value.is_empty() {
                facts.push((name, value));
            }
        };
        let case = message.case.as_ref();
        let (headline, key) = match case {
            Some(case) => {
                let (n, title) = (case.number, line(&case.title, TITLE));
                let headline = match message.occasion {
                    Occasion::CaseOpened => format!("Case {n} ({}): {title}", case.decision),
                    Occasion::CaseRevised => format!("Case {n} revised, now {}: {title}", case.decision),
                    Occasion::CaseEscalated => format!("Case {n} handed to {}: {title}", capital(&case.tier)),
                    Occasion::CaseClosed => match case.disposition.as_deref() {
                        Some(what) => format!("Case {n} closed as {}: {title}", what.replace('_', " ")),
                        // Out of the queue with another that was.
                        None => format!("Case {n} closed: {title}"),
                    },
                    Occasion::CaseReopened => format!("Case {n} reopened: {title}"),
                    Occasion::ContainmentWaits => {
                        format!("Case {n}: containment waits for approval: {title}")
                    }
                    Occasion::ContainmentIneffective => {
                        format!("Case {n}: containment has no effect: {title}")
                    }
                    Occasion::Health | Occasion::Ask | Occasion::Test => format!("Case {n}: {title}"),
                };
                fact("User", line(&case.principal, FACT));
                fact("From", line(&case.addresses.join(", "), FACT));
                fact("Gateway", line(&case.gateway, FACT));
                fact("Decision", case.decision.clone());
                fact("Risk", format!("{:.0} of 100", case.risk));
                fact("First seen", stamp(case.first_seen));
                fact("Tier", capital(&case.tier));
                fact("Plan", subject.clone());
                fact("Differs", line(&case.differs.join("; "), FACT));
                fact("By", line(&message.by, FACT));
                fact("TLP", format!("TLP:{}", capital(&case.tlp)));
                (headline, format!("{}-case-{n}", hooks.instance))
            }
            None if message.occasion == Occasion::Test => {
                let headline = format!("Test of webhook {}", hook.name);
                fact("By", line(&message.by, FACT));
                (headline, format!("{}-test-{}", hooks.instance, message.at))
            }
            None if message.occasion == Occasion::Ask => {
                fact("To", subject.clone());
                (format!("{subject}: was this you?"), format!("{}-ask-{}", hooks.instance, message.at))
            }
            None => {
                let part: String = message
                    .subject
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                    .collect();
                (
                    format!("Portreeve: {}", line(&message.said, TITLE)),
                    format!("{}-health-{part}", hooks.instance),
                )
            }
        };
        let link = match (&hooks.public_url, case) {
            _ if message.link.is_some() => message.link.clone(),
            (Some(url), Some(case)) => Some(format!("{url}/cases/{}", case.number)),
            (Some(url), None) => Some(format!("{url}/")),
            (None, _) => None,
        };
        let weight = match case.map(|c| c.decision.as_str()) {
            Some("escalate") => Weight::High,
            Some("investigate") => Weight::Medium,
            Some(_) => Weight::Low,
            None if message.occasion == Occasion::Health => Weight::Medium,
            None => Weight::Low,
        };
        Letter {
            occasion: message.occasion,
            why: if said.is_empty() { case.map(|c| line(&c.reason, WHY)).unwrap_or_default() } else { said },
            facts,
            weight,
            at: message.at,
            tlp: case.map_or_else(|| "amber".to_owned(), |c| c.tlp.clone()),
            pap: case.map_or_else(|| "amber".to_owned(), |c| c.pap.clone()),
            addresses: case.map(|c| c.addresses.iter().map(|a| line(a, FACT)).collect()).unwrap_or_default(),
            principal: case.map(|c| line(&c.principal, FACT)).unwrap_or_default(),
            plain: plain(message, &key, link.as_deref(), &headline),
            headline,
            key,
            link,
        }
    }

    /// For receivers that know one field of text.
    pub(crate) fn body(&self, encode: impl Fn(&str) -> String) -> String {
        let mut body = encode(&self.why);
        for (name, value) in &self.facts {
            body.push_str(&format!("\n{name}: {}", encode(value)));
        }
        if let Some(link) = &self.link {
            body.push_str(&format!("\n{link}"));
        }
        body
    }
}

/// JSON for programs: texts as they are but for what a terminal would obey.
fn plain(message: &Message, key: &str, link: Option<&str>, headline: &str) -> Value {
    let text = |t: &str| escape_for_terminal(t);
    let case = message.case.as_ref().map(|c| {
        json!({
            "number": c.number,
            "revision": c.revision,
            "title": text(&c.title),
            "principal": text(&c.principal),
            "decision": c.decision,
            "risk": c.risk,
            "status": c.status,
            "tier": c.tier,
            "tlp": c.tlp,
            "pap": c.pap,
            "disposition": c.disposition,
            "first_seen": stamp(c.first_seen),
            "last_seen": stamp(c.last_seen),
            "detected_at": stamp(c.detected_at),
            "gateway": text(&c.gateway),
            "addresses": c.addresses.iter().map(|a| text(a)).collect::<Vec<_>>(),
            "reason": text(&c.reason),
            "differs": c.differs.iter().map(|d| text(d)).collect::<Vec<_>>(),
        })
    });
    json!({
        "type": message.occasion.name(),
        "timestamp": stamp(message.at),
        "data": {
            "key": key,
            "headline": headline,
            "said": text(&message.said),
            "by": text(&message.by),
            "subject": text(&message.subject),
            "link": link,
            "case": case,
        },
    })
}
