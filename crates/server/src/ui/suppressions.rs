//! What was found benign, for whom and until when; and what a new suppression would have silenced.

use super::shell::Shell;
use super::text::{count, page};
use askama::Template;

pub struct SuppressionsView {
    /// `in_force`, `due` or `all`.
    pub standing: String,
    pub list: Vec<Suppression>,
    /// Cursor; empty on the last page.
    pub next: String,
}

/// One of them, with what it silenced.
pub struct SuppressionView {
    pub one: Suppression,
    pub cases: Vec<Silenced>,
    /// What its scope is to be; at first what it is.
    pub draft: Draft,
    /// Of the scope that was asked about.
    pub preview: Option<ScopePreview>,
    pub fault: String,
}

/// What another scope would have silenced, and what would come back.
pub struct ScopePreview {
    pub silences: Preview,
    /// It covers nothing that was not covered before.
    pub narrower: bool,
    pub back: Vec<i64>,
}

/// So many cases, in words.
pub fn cases(n: usize) -> String {
    count(n, "case")
}

pub struct Suppression {
    pub id: i64,
    pub revision: i64,
    /// Each part of the scope: `user`, `anna`.
    pub scope: Vec<(String, String)>,
    pub reason: String,
    pub author: String,
    pub case: Option<i64>,
    pub created_at: i64,
    pub expires_at: i64,
    pub hits: i64,
    pub last_hit: Option<i64>,
    /// Cases that it keeps out of the queue now, and cases that turned out to be real.
    pub silenced: usize,
    pub real: i64,
    /// Criteria that a case may meet and still be silenced.
    pub criteria: Vec<String>,
    /// Why it is to be looked at again.
    pub due: Vec<String>,
    pub reviewed_by: String,
    pub ended_by: String,
    /// When its scope was changed last, and by whom.
    pub scope_at: Option<i64>,
    pub scope_by: String,
}

/// What a suppression would have silenced.
pub struct Preview {
    pub scope: Vec<(String, String)>,
    pub criteria: Vec<String>,
    pub until: i64,
    pub for_everybody: bool,
    /// Days that were looked at.
    pub days: u32,
    pub would: usize,
    pub came_back: usize,
    pub real: usize,
    pub waiting: usize,
    /// Why the number may be too small.
    pub unseen: Vec<&'static str>,
    /// What of this case it does not cover.
    pub outside: Vec<String>,
    pub cases: Vec<Silenced>,
}

#[derive(Default)]
pub struct Silenced {
    pub number: i64,
    pub title: String,
    pub at: i64,
    /// Empty while it is open.
    pub disposition: String,
    pub real: bool,
    pub came_back: bool,
}

/// What somebody has written into the form of a suppression.
#[derive(Default)]
pub struct Draft {
    pub reason: String,
    pub scope: String,
    pub days: String,
    pub user: String,
    pub network: String,
    pub asn: String,
    pub place: String,
    pub egress: String,
    pub detection: String,
    pub waiting: bool,
    pub leave_silenced: bool,
}

impl Draft {
    pub(super) fn is(&self, scope: &str) -> bool {
        self.scope == scope || self.scope.is_empty() && scope == "none"
    }

    pub(super) fn days(&self) -> &str {
        if self.days.is_empty() { "14" } else { &self.days }
    }
}

impl Preview {
    pub(super) fn says(&self) -> String {
        let real = match self.real {
            0 => "none of them real".to_owned(),
            n => format!("{n} of them real"),
        };
        format!(
            "It would have silenced {} of the last {} days, {real}.",
            count(self.would, "case"),
            self.days
        )
    }
}

impl SuppressionView {
    /// Its author may end it, whatever else they may do.
    fn is_mine(&self, shell: &Shell) -> bool {
        let id = self.one.author.split(' ').next().and_then(|id| id.strip_prefix("person:"));
        shell.may("case.suppress") && shell.me.as_ref().is_some_and(|me| id == Some(&me.id.to_string()))
    }
}

impl SuppressionsView {
    fn tabs(&self) -> [(&'static str, &'static str, bool); 3] {
        [("in_force", "in force"), ("due", "to be looked at"), ("all", "all")]
            .map(|(id, text)| (id, text, self.standing == id))
    }

    fn more(&self) -> String {
        super::link::query("/suppressions", &[("standing", &self.standing), ("after", &self.next)])
    }
}

#[derive(Template)]
#[template(path = "suppressions.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a SuppressionsView,
}

#[derive(Template)]
#[template(path = "suppression.html")]
struct One<'a> {
    shell: &'a Shell,
    v: &'a SuppressionView,
}

/// `GET /suppressions/{id}`.
pub fn suppression(shell: &Shell, view: &SuppressionView) -> String {
    page(&One { shell, v: view })
}

/// `GET /suppressions`.
pub fn suppressions(shell: &Shell, view: &SuppressionsView) -> String {
    page(&Page { shell, v: view })
}
