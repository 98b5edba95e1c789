//! A user, an address, a device or a gateway: what is usual, and what was.

use super::chart::{Gantt, Heat, Mark, gantt, heat, marks};
use super::shell::Shell;
use askama::Template;
use portreeve_report::wire;

pub struct EntityView {
    /// `users`, `addresses`, `devices` or `gateways`.
    pub kind: String,
    pub name: String,
    /// What is known: `department`, `HR`.
    pub facts: Vec<(String, String)>,
    /// Logins by weekday (Monday first) and hour, in `rhythm_zone`.
    pub rhythm: [[u32; 24]; 7],
    pub rhythm_zone: String,
    /// The hours of this case or session: weekday and hour, marked.
    pub marked: Vec<(usize, usize)>,
    pub places: Vec<Usual>,
    pub networks: Vec<Usual>,
    pub devices: Vec<Usual>,
    pub users: Vec<Usual>,
    pub factors: Vec<Factor>,
    pub sessions: Vec<wire::Session>,
    pub cases: Vec<CaseLine>,
    /// From, to: what this is about.
    pub window: (i64, i64),
    /// What could not be asked, and what that leaves out.
    pub missing: Vec<String>,
}

/// How often, since when, until when.
pub struct Usual {
    pub name: String,
    pub sessions: u64,
    pub first: i64,
    pub last: i64,
    /// Seen in suspect sessions only.
    pub suspect: bool,
}

/// Something about a second factor.
pub struct Factor {
    pub at: i64,
    pub what: String,
    /// Whose; said on pages that are not a user's.
    pub user: String,
    pub factor: String,
    pub from: String,
    pub unusual: bool,
}

pub struct CaseLine {
    pub number: i64,
    pub title: String,
    pub status: String,
    pub disposition: String,
    pub at: i64,
}

impl EntityView {
    fn word(&self) -> &'static str {
        match self.kind.as_str() {
            "users" => "User",
            "addresses" => "Address",
            "devices" => "Device",
            _ => "Gateway",
        }
    }

    /// For a search through all records.
    fn search(&self) -> String {
        let field = match self.kind.as_str() {
            "users" => "user",
            "addresses" => "ip",
            "devices" => "device",
            _ => "host",
        };
        format!("{field}:{}", self.name)
    }

    /// What is listed, and where each name leads.
    fn lists(&self) -> Vec<(&'static str, &'static str, &Vec<Usual>)> {
        let all = [
            ("Users", "users", &self.users),
            ("Places", "", &self.places),
            ("Networks", "", &self.networks),
            ("Devices", "devices", &self.devices),
        ];
        all.into_iter().filter(|l| !l.2.is_empty()).collect()
    }
}

/// Sessions of one kind, with their drawing.
struct Part<'a> {
    title: &'static str,
    sessions: Vec<&'a wire::Session>,
}

#[derive(Template)]
#[template(path = "entity.html")]
struct Page<'a> {
    shell: &'a Shell,
    v: &'a EntityView,
    heat: Heat,
    marks: Vec<Mark>,
    gantt: Gantt,
    parts: Vec<Part<'a>>,
    world: &'static str,
}

/// `GET /users/{name}`, `/addresses/…`, `/devices/…`, `/gateways/…`.
pub fn entity(shell: &Shell, view: &EntityView) -> String {
    let part = |title, suspect| Part {
        title,
        sessions: view.sessions.iter().filter(|s| s.suspect == suspect).collect(),
    };
    let parts = [part("Suspect sessions", true), part("Other sessions", false)];
    super::text::page(&Page {
        shell,
        v: view,
        heat: heat(&view.rhythm, &view.marked),
        marks: marks(view.sessions.iter()),
        gantt: gantt(&view.sessions),
        parts: parts.into_iter().filter(|p| !p.sessions.is_empty()).collect(),
        world: super::assets::at("world.svg"),
    })
}
