//! Who did and read what.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct AuditView {
    pub actor: String,
    pub object: String,
    pub entries: Vec<AuditEntry>,
    /// Number to go on before; none on the last page.
    pub before: Option<i64>,
    /// What the last verification said.
    pub verified: Option<String>,
}

#[derive(Default)]
pub struct AuditEntry {
    pub number: i64,
    pub at: i64,
    pub actor: String,
    pub verb: String,
    pub object: String,
    pub address: String,
    pub outcome: String,
    pub detail: String,
    pub hash: String,
}

impl AuditView {
    fn older(&self, before: impl std::fmt::Display) -> String {
        let before = before.to_string();
        super::link::query("/audit", &[("actor", &self.actor), ("object", &self.object), ("before", &before)])
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a AuditView,
}

/// `GET /audit`.
pub fn audit(shell: &Shell, view: &AuditView) -> String {
    super::text::page(&Page { shell, v: view })
}
