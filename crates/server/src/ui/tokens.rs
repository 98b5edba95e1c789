//! Tokens of programs and of shippers of logs. A secret is shown once, when it is made.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct TokensView {
    pub tokens: Vec<Token>,
    pub roles: Vec<(String, String)>,
    /// Just made.
    pub secret: Option<String>,
    pub fault: String,
}

#[derive(Default)]
pub struct Token {
    pub id: i64,
    pub name: String,
    /// Of whom: a person's name, `service`, or a source of logs.
    pub holder: String,
    pub roles: Vec<String>,
    pub created_by: String,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used: Option<i64>,
    pub revoked: bool,
    pub may_revoke: bool,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a TokensView,
}

/// `GET /tokens`.
pub fn tokens(shell: &Shell, view: &TokensView) -> String {
    super::text::page(&Page { shell, v: view })
}
