//! What was found benign, for whom and until when; and what a new suppression would have silenced.

use super::shell::Shell;
use super::text::{count, page};
use askama::Template;

pub struct SuppressionsView {
    pub list: Vec<Suppression>,
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
    pub reviewed_by: String,
    pub ended_by: String,
}

/// What a suppression would have silenced.
pub struct Preview {
    /// Days that were looked at.
    pub days: u32,
    pub would: usize,
    pub cases: Vec<Silenced>,
}

pub struct Silenced {
    pub number: i64,
    pub title: String,
    pub at: i64,
    /// Empty while it is open.
    pub disposition: String,
}

impl Silenced {
    pub(super) fn was_real(&self) -> bool {
        self.disposition.starts_with("true_positive")
    }
}

impl Preview {
    pub(super) fn says(&self) -> String {
        let real = self.cases.iter().filter(|c| c.was_real()).count();
        let real = match real {
            0 => "none of them a true positive".to_owned(),
            n => format!("{n} of them a true positive"),
        };
        format!(
            "It would have silenced {} of the last {} days, {real}.",
            count(self.would, "case"),
            self.days
        )
    }
}

#[derive(Template)]
#[template(path = "suppressions.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a SuppressionsView,
}

/// `GET /suppressions`.
pub fn suppressions(shell: &Shell, view: &SuppressionsView) -> String {
    page(&Page { shell, v: view })
}
