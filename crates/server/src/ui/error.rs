//! What went wrong, and what can be done.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct ErrorView {
    pub status: u16,
    pub title: String,
    pub detail: String,
    /// Where to go from here: text and address on this server.
    pub then: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a ErrorView,
}

pub fn error(shell: &Shell, view: &ErrorView) -> String {
    super::text::page(&Page { shell, v: view })
}
