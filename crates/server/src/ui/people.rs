//! People and their roles.

use super::shell::Shell;
use askama::Template;

#[derive(Default)]
pub struct PeopleView {
    pub people: Vec<Person>,
    /// Ids and titles.
    pub roles: Vec<(String, String)>,
    /// Of the identity provider whose accounts can be bound; empty where there is none.
    pub issuer: String,
    pub fault: String,
    /// A link that was just made for somebody to set a password: shown once.
    pub invitation: Option<String>,
}

#[derive(Default)]
pub struct Person {
    pub id: i64,
    pub revision: i64,
    pub name: String,
    pub display: String,
    pub roles: Vec<String>,
    pub second_factor: bool,
    /// Issuer and subject of the account at a provider that this one is bound to.
    pub bound: Option<(String, String)>,
    pub disabled: bool,
    pub last_login: Option<i64>,
}

impl Person {
    fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }
}

#[derive(Template)]
#[template(path = "people.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a PeopleView,
}

/// `GET /people`.
pub fn people(shell: &Shell, view: &PeopleView) -> String {
    super::text::page(&Page { shell, v: view })
}
