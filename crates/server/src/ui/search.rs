//! Results of a search through all records.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct SearchView {
    pub q: String,
    /// As they were typed.
    pub from: String,
    pub to: String,
    pub hits: Vec<Hit>,
    /// Cursor; empty on the last page.
    pub next: String,
    pub fault: String,
    /// How much was read, in words.
    pub read: String,
}

#[derive(Default)]
pub struct Hit {
    pub at: i64,
    pub source: String,
    pub kind: String,
    pub user: String,
    pub address: String,
    /// File or door, and line or number.
    pub place: String,
    pub raw: String,
}

impl SearchView {
    fn more(&self) -> String {
        super::link::query(
            "/search",
            &[("q", &self.q), ("from", &self.from), ("to", &self.to), ("after", &self.next)],
        )
    }
}

#[derive(Template)]
#[template(path = "search.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a SearchView,
}

/// `GET /search`.
pub fn search(shell: &Shell, view: &SearchView) -> String {
    super::text::page(&Page { shell, v: view })
}
