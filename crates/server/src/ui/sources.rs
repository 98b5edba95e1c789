//! Sources of logs, how they are, and records that could not be taken.

use super::shell::{Shell, percent};
use super::text::{page, span};
use askama::Template;

#[derive(Default)]
pub struct SourcesView {
    /// Token of a source that was just added: shown once.
    pub secret: Option<String>,
    pub doors: Vec<String>,
    pub dead: usize,
    pub fault: String,
}

#[derive(Default)]
pub struct DeadLettersView {
    pub letters: Vec<DeadLetter>,
    /// Cursor; empty on the last page.
    pub next: String,
}

#[derive(Default)]
pub struct DeadLetter {
    pub id: String,
    pub at: i64,
    pub door: String,
    pub origin: String,
    pub reason: String,
    /// As text; what is no text is shown as such by the caller.
    pub record: String,
}

impl DeadLettersView {
    fn more(&self) -> String {
        super::link::query("/dead-letters", &[("after", &self.next)])
    }
}

#[derive(Template)]
#[template(path = "sources.html")]
struct Sources<'a> {
    shell: &'a Shell,
    v: &'a SourcesView,
}

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLetters<'a> {
    shell: &'a Shell,
    v: &'a DeadLettersView,
}

/// `GET /sources`: the health itself is in the shell.
pub fn sources(shell: &Shell, view: &SourcesView) -> String {
    page(&Sources { shell, v: view })
}

/// `GET /dead-letters`.
pub fn dead_letters(shell: &Shell, view: &DeadLettersView) -> String {
    page(&DeadLetters { shell, v: view })
}
