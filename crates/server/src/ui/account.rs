//! One's own account.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct AccountView {
    pub zone: String,
    pub totp: bool,
    /// Recovery codes that are left.
    pub recovery: usize,
    pub passkeys: Vec<Passkey>,
    pub logins: Vec<Login>,
    /// Accounts of an identity provider have no password here.
    pub has_password: bool,
    /// The password was made by somebody else: it comes first.
    pub must_change: bool,
    pub fault: String,
}

#[derive(Default)]
pub struct Passkey {
    pub id: String,
    pub name: String,
    pub created_at: i64,
    pub last_used: Option<i64>,
}

/// A browser that is signed in.
#[derive(Default)]
pub struct Login {
    pub id: String,
    pub address: String,
    pub agent: String,
    pub since: i64,
    pub last_seen: i64,
    pub is_this: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a AccountView,
}

/// `GET /account`.
pub fn account(shell: &Shell, view: &AccountView) -> String {
    super::text::page(&Page { shell, v: view })
}
