//! Who else is told what happens: receivers of webhooks.

use super::SecretAt;
use crate::outward::is_safe;
use portreeve_store::case::Tlp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use url::Url;

/// A receiver.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookAt {
    /// Names it in the audit, in the health view and in `POST /api/v1/webhooks/{name}/test`: letters, digits, `-`.
    pub name: String,
    /// Of the endpoint (plain, slack, teams, pagerduty), or of the product's own page (jira, servicenow, thehive, iris).
    /// https; http on this machine alone.
    #[serde(default)]
    pub url: Option<String>,
    /// The same where the address itself is a secret, as those of Slack and Teams are.
    #[serde(default)]
    pub url_secret: Option<SecretAt>,
    /// The shape of what is sent: that of a product, or `plain` for a program.
    pub template: Template,
    /// What is told. Default: `case.opened`, `case.escalated`, `case.revised`, `case.closed`, `case.reopened`.
    #[serde(default = "occasions")]
    pub on: BTreeSet<Occasion>,
    /// Cases below this decision are not told: `escalate`, `investigate` or `close`. Default: `investigate`.
    #[serde(default)]
    pub at_least: AtLeast,
    /// The highest TLP that may leave: `clear`, `green`, `amber`, `amber-strict` or `red`. Default: `amber`.
    #[serde(default)]
    pub tlp: MostTlp,
    /// Cases that are restricted to named people may leave too. Default: no.
    #[serde(default)]
    pub restricted: bool,
    /// Signs each request (Standard Webhooks); `whsec_` and base64, or any text of 24 bytes and more. Default: none.
    #[serde(default)]
    pub signing: Option<SecretAt>,
    /// What the product asks for: a token, `NAME:PASSWORD`, or PagerDuty's routing key. Default: none.
    #[serde(default)]
    pub credential: Option<SecretAt>,
    /// PEM file of the authority that signs the receiver's certificate. Default: those that the web knows.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Until an answer is given up; seconds, 1 to 60. Default: 10.
    #[serde(default = "timeout_s")]
    pub timeout_s: u32,
    /// Until the second attempt; seconds. Each further one waits twice as long, an hour at most. Default: 5.
    #[serde(default = "retry_s")]
    pub retry_s: u32,
    /// Attempts until a delivery is given up and somebody has to look. Default: 20, which is about eleven hours.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// Deliveries that may wait; what comes on top is not told, and counted. Default: 10000.
    #[serde(default = "queue")]
    pub queue: u32,
    /// Slack's channel, for `chat.postMessage`. Default: the one that the address stands for.
    #[serde(default)]
    pub channel: Option<String>,
    /// Jira's key of the project.
    #[serde(default)]
    pub project: Option<String>,
    /// Jira's type of an issue. Default: `Task`.
    #[serde(default)]
    pub issue_type: Option<String>,
    /// IRIS's number of the customer. Default: 1.
    #[serde(default)]
    pub customer: Option<u32>,
}

/// The shape of what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    Plain,
    Slack,
    Teams,
    Jira,
    ServiceNow,
    PagerDuty,
    TheHive,
    Iris,
}

impl Template {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Template::Plain => "plain",
            Template::Slack => "slack",
            Template::Teams => "teams",
            Template::Jira => "jira",
            Template::ServiceNow => "servicenow",
            Template::PagerDuty => "pagerduty",
            Template::TheHive => "thehive",
            Template::Iris => "iris",
        }
    }
}

/// What may be told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize, JsonSchema)]
pub enum Occasion {
    #[serde(rename = "case.opened")]
    CaseOpened,
    /// The verdict changed.
    #[serde(rename = "case.revised")]
    CaseRevised,
    /// Handed to the next tier.
    #[serde(rename = "case.escalated")]
    CaseEscalated,
    #[serde(rename = "case.closed")]
    CaseClosed,
    #[serde(rename = "case.reopened")]
    CaseReopened,
    /// A plan of containment waits for approval.
    #[serde(rename = "containment.waits")]
    ContainmentWaits,
    /// A step was sent and is not in effect.
    #[serde(rename = "containment.ineffective")]
    ContainmentIneffective,
    /// Something is wrong with the service itself.
    #[serde(rename = "health")]
    Health,
    /// A person is asked whether it was them. Sent by the webhook that is named when it is asked.
    #[serde(rename = "ask")]
    Ask,
    /// Somebody tries the webhook out.
    #[serde(rename = "test")]
    Test,
}

impl Occasion {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Occasion::CaseOpened => "case.opened",
            Occasion::CaseRevised => "case.revised",
            Occasion::CaseEscalated => "case.escalated",
            Occasion::CaseClosed => "case.closed",
            Occasion::CaseReopened => "case.reopened",
            Occasion::ContainmentWaits => "containment.waits",
            Occasion::ContainmentIneffective => "containment.ineffective",
            Occasion::Health => "health",
            Occasion::Ask => "ask",
            Occasion::Test => "test",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AtLeast {
    Close,
    #[default]
    Investigate,
    Escalate,
}

impl AtLeast {
    pub(crate) fn decision(self) -> portreeve_model::answer::Decision {
        use portreeve_model::answer::Decision;
        match self {
            AtLeast::Close => Decision::Close,
            AtLeast::Investigate => Decision::Investigate,
            AtLeast::Escalate => Decision::Escalate,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MostTlp {
    Clear,
    Green,
    #[default]
    Amber,
    AmberStrict,
    Red,
}

impl MostTlp {
    pub(crate) fn tlp(self) -> Tlp {
        match self {
            MostTlp::Clear => Tlp::Clear,
            MostTlp::Green => Tlp::Green,
            MostTlp::Amber => Tlp::Amber,
            MostTlp::AmberStrict => Tlp::AmberStrict,
            MostTlp::Red => Tlp::Red,
        }
    }
}

fn occasions() -> BTreeSet<Occasion> {
    use Occasion::{CaseClosed, CaseEscalated, CaseOpened, CaseReopened, CaseRevised};
    [CaseOpened, CaseEscalated, CaseRevised, CaseClosed, CaseReopened].into()
}

fn timeout_s() -> u32 {
    10
}

fn retry_s() -> u32 {
    5
}

fn attempts() -> u32 {
    20
}

fn queue() -> u32 {
    10_000
}

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

impl WebhookAt {
    /// Where it is; read anew each time, since a secret may be exchanged while the service runs.
    pub(crate) fn address(&self) -> Result<Url, String> {
        let text = match (&self.url, &self.url_secret) {
            (Some(_), Some(_)) => return Err("url and url_secret are both given".to_owned()),
            (Some(url), None) => url.clone(),
            (None, Some(secret)) => secret.read()?,
            (None, None) if self.template == Template::PagerDuty => PAGERDUTY.to_owned(),
            (None, None) => return Err("url is missing".to_owned()),
        };
        let url = Url::parse(text.trim()).map_err(|e| format!("url: {e}"))?;
        if !is_safe(&url) {
            return Err("url: is not https (http is for this machine alone)".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("url: holds a name, a password or a fragment; see credential".to_owned());
        }
        Ok(url)
    }

    /// What cannot be right although it could be read.
    pub(crate) fn check(&self) -> Result<(), String> {
        let say = |why: &str| Err(format!("webhook `{}`: {why}", self.name));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || self.name.len() > 60 || !self.name.chars().all(is_name) {
            return say("the name may have letters, digits and `-`, 60 at most");
        }
        if self.on.contains(&Occasion::Test) {
            return say("on: `test` is told when somebody asks for it");
        }
        // A secret address is read when the service starts, not when the file is checked.
        if self.url_secret.is_none()
            && let Err(why) = self.address()
        {
            return say(&why);
        }
        for (what, value, most) in [
            ("timeout_s", self.timeout_s, 60),
            ("retry_s", self.retry_s, 3_600),
            ("attempts", self.attempts, 100),
        ] {
            if !(1..=most).contains(&value) {
                return say(&format!("{what}: 1 to {most}"));
            }
        }
        if !(1..=100_000).contains(&self.queue) {
            return say("queue: 1 to 100000");
        }
        match self.template {
            Template::Jira if self.project.is_none() => say("project is missing, the key of a Jira project"),
            Template::Jira
            | Template::ServiceNow
            | Template::PagerDuty
            | Template::TheHive
            | Template::Iris
                if self.credential.is_none() =>
            {
                say("credential is missing")
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn timeout(&self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.timeout_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(more: &str) -> String {
        let text = format!("name = \"h\"\n{more}\n");
        let hook: WebhookAt = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
        hook.check().err().unwrap_or_default().replace("webhook `h`: ", "")
    }

    #[test]
    fn mistakes_are_said_before_anything_is_sent() {
        let plain = "template = \"plain\"\nurl = \"https://x.example/in\"\n";
        assert_eq!(told(plain), "");
        assert_eq!(told("template = \"plain\""), "url is missing");
        assert_eq!(told("template = \"pagerduty\""), "credential is missing");
        assert_eq!(told("template = \"pagerduty\"\ncredential = { env = \"KEY\" }"), "");
        for url in
            ["http://x.example/", "ftp://x.example/", "http://127.0.0.1.x.example/", "http://10.0.0.1/"]
        {
            let said = told(&format!("template = \"plain\"\nurl = \"{url}\""));
            assert!(said.contains("is not https"), "{url}: {said}");
        }
        for url in ["https://a:b@x.example/", "https://a@x.example/", "https://x.example/#f"] {
            assert!(
                told(&format!("template = \"plain\"\nurl = \"{url}\"")).contains("holds a name"),
                "{url}"
            );
        }
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"] {
            assert_eq!(told(&format!("template = \"plain\"\nurl = \"{url}\"")), "", "{url}");
        }
        let jira = "template = \"jira\"\nurl = \"https://x.example\"\ncredential = { env = \"KEY\" }";
        assert!(told(jira).contains("project is missing"));
        assert!(told(&format!("{plain}timeout_s = 0")).contains("timeout_s: 1 to 60"));
        assert!(told(&format!("{plain}on = [\"test\"]")).contains("somebody asks for it"));
        assert!(toml::from_str::<WebhookAt>(&format!("name = \"h\"\n{plain}on = [\"case.open\"]")).is_err());
    }

    #[test]
    fn what_leaves_is_amber_at_most_unless_said_otherwise() {
        let hook: WebhookAt =
            toml::from_str("name = \"h\"\nurl = \"https://x.example\"\ntemplate = \"plain\"\n")
                .expect("a webhook");
        assert_eq!((hook.tlp.tlp(), hook.restricted), (Tlp::Amber, false));
        assert!(Tlp::AmberStrict > hook.tlp.tlp() && Tlp::Green < hook.tlp.tlp());
    }
}
