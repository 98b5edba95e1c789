//! Webhooks and what is on its way to them.

use super::shell::Shell;
use super::text::page;
use askama::Template;

pub struct WebhooksView {
    pub list: Vec<Webhook>,
}

#[derive(Default)]
pub struct Webhook {
    pub name: String,
    pub template: String,
    /// Of its address; the rest may be a secret.
    pub host: String,
    /// What it is told of.
    pub on: Vec<String>,
    pub waiting: i64,
    /// Given up.
    pub dead: i64,
    /// Did not fit into the queue.
    pub untold: u64,
    /// Of the newest message that was not heard; empty where there is none.
    pub last_error: String,
    pub last_heard: Option<i64>,
}

pub struct WebhookView {
    pub hook: Webhook,
    /// `unheard` or `all`.
    pub standing: String,
    pub deliveries: Vec<Delivery>,
    /// Cursor; empty on the last page.
    pub next: String,
}

#[derive(Default)]
pub struct Delivery {
    pub id: i64,
    pub event: String,
    /// For who may read it.
    pub case: Option<i64>,
    pub created_at: i64,
    pub attempts: i64,
    /// `waiting`, `sending`, `done` or `dead`.
    pub state: String,
    pub next_at: Option<i64>,
    pub last_error: String,
    pub heard_at: Option<i64>,
}

impl Webhook {
    fn is_well(&self) -> bool {
        self.dead == 0 && self.untold == 0 && self.last_error.is_empty()
    }
}

impl WebhookView {
    fn here(&self) -> String {
        super::link::webhook(&self.hook.name)
    }

    fn tabs(&self) -> [(&'static str, &'static str, bool); 2] {
        [("unheard", "not heard"), ("all", "all")].map(|(id, text)| (id, text, self.standing == id))
    }

    fn tab(&self, standing: &str) -> String {
        super::link::query(&self.here(), &[("standing", standing)])
    }

    fn more(&self) -> String {
        super::link::query(&self.here(), &[("standing", &self.standing), ("after", &self.next)])
    }
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct All<'a> {
    shell: &'a Shell,
    v: &'a WebhooksView,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct One<'a> {
    shell: &'a Shell,
    v: &'a WebhookView,
}

/// `GET /webhooks`.
pub fn webhooks(shell: &Shell, view: &WebhooksView) -> String {
    page(&All { shell, v: view })
}

/// `GET /webhooks/{name}`.
pub fn webhook(shell: &Shell, view: &WebhookView) -> String {
    page(&One { shell, v: view })
}
