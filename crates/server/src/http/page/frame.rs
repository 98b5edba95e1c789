//! What every page has around it, and whose page it is.

use super::notice::{self, Notice};
use crate::app::App;
use crate::desk::sign_in::session_of;
use crate::desk::source_health::Standing;
use crate::desk::{Fault, Who, cases, health, own, source_health};
use crate::http::input::see_other;
use crate::http::session::who;
use crate::service::blocking;
use crate::ui::{self, Health, Me, Shell, SourceHealth, Theme, Zone, Zones};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use portreeve_access::permit::Verb;
use portreeve_access::role::Role;
use portreeve_store::people;
use std::convert::Infallible;
use std::sync::Arc;

/// What a request says about how its page is drawn.
#[derive(Clone, Default)]
pub(super) struct Frame {
    /// Path and query.
    pub(super) here: String,
    pub(super) zone: Zone,
    pub(super) theme: Theme,
    pub(super) notice: Option<String>,
}

impl Frame {
    pub(super) fn of(app: &App, uri: &Uri, headers: &HeaderMap) -> Frame {
        let (zone, theme) = ui::preferences::of(headers);
        let here = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Frame { here, zone, theme, notice: notice::sent(app, headers) }
    }

    /// For somebody who is not signed in.
    pub(super) fn bare(&self) -> Shell {
        Shell {
            here: self.here.clone(),
            now: crate::line::now().0,
            zones: Zones { chosen: self.zone, ..Zones::default() },
            theme: self.theme,
            ..Shell::default()
        }
    }

    /// Blocks.
    pub(super) fn shell(&self, app: &App, who: &Who) -> Result<Shell, Fault> {
        let mut shell = self.bare();
        let Some(id) = who.person else { return Ok(shell) };
        let person = app.store.read(|tx| people::get(tx, id))?;
        shell.csrf = who.login.as_ref().map(|l| session_of(l).csrf(&app.accounts.csrf)).unwrap_or_default();
        shell.zones.mine = if person.zone == "UTC" { String::new() } else { person.zone };
        shell.may = own::may(who);
        let titles = person.roles.iter().filter_map(|r| Role::by_id(r)).map(|r| r.title().to_owned());
        let display = if person.display.is_empty() { person.name.clone() } else { person.display };
        shell.me = Some(Me { id: id.0, name: person.name, display, roles: titles.collect() });
        // Who has something to do first sees nothing else yet.
        if who.first.is_none() {
            shell.health = drawn(source_health::of(app));
            shell.health.problems = health::troubles(app);
            if shell.may(Verb::CaseList.id()) {
                (shell.escalate, shell.investigate) = cases::waiting(app, who)?;
            }
        }
        if let Some(said) = self.notice.as_deref().and_then(|n| Notice::read(app, &who.actor.id, n)) {
            shell.undo = said.undo();
            shell.notice = Some(said.said);
        }
        Ok(shell)
    }
}

fn drawn(all: source_health::Health) -> Health {
    let one = |s: Standing| SourceHealth {
        name: s.name,
        product: s.products.join(", "),
        door: s.door,
        last_event: s.last_event.map(|t| t.0),
        lag: s.lag_us,
        records: s.records,
        understood: s.understood,
        gaps: s.gaps.iter().map(|g| (g.from.0, g.to.map(|t| t.0))).collect(),
        problems: s.problems,
    };
    Health {
        last_event: all.last_event.map(|t| t.0),
        lag: all.lag_us,
        understood: all.understood,
        gaps: all.unwell,
        sources: all.sources.into_iter().map(one).collect(),
        problems: Vec::new(),
    }
}

/// Somebody who looks at a page.
pub(super) struct Reader {
    who: Result<Who, Fault>,
    frame: Frame,
    /// Of the address; empty fields are left out.
    pub(super) query: Vec<(String, String)>,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Reader, Infallible> {
        let frame = Frame::of(app, &parts.uri, &parts.headers);
        let query = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
        // A page is for people: a token has no page of its own.
        let who = if parts.headers.contains_key(header::AUTHORIZATION) {
            Err(Fault::SignIn)
        } else {
            who(app, parts).await
        };
        Ok(Reader { who, frame, query })
    }
}

/// Where somebody goes who has to do something first.
pub(super) fn first(fault: &Fault, here: &str) -> Option<Response> {
    match fault {
        Fault::SignIn => {
            let then = if here == "/" || here.starts_with("/sign-") { "" } else { here };
            Some(see_other(&ui::link::query("/sign-in", &[("then", then)])))
        }
        Fault::MustEnrol => Some(see_other("/account/totp")),
        Fault::MustChange => Some(see_other("/account")),
        _ => None,
    }
}

impl Reader {
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(super) fn is_in(&self) -> bool {
        self.who.is_ok()
    }

    pub(super) fn asked(&self, name: &str) -> String {
        let found = self.query.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.trim().to_owned()).unwrap_or_default()
    }

    /// Asks the desk where that may block, and draws what it says.
    pub(super) async fn show(
        self,
        app: Arc<App>,
        f: impl FnOnce(&App, &Who, &mut Shell) -> Result<String, Fault> + Send + 'static,
    ) -> Response {
        let Reader { who, frame, .. } = self;
        let who = match who {
            Ok(who) => who,
            Err(fault) => {
                return first(&fault, &frame.here)
                    .unwrap_or_else(|| super::fault(&frame.bare(), &fault, "/"));
            }
        };
        let seen = frame.notice.is_some();
        let asked = app.clone();
        let done = blocking(move || {
            let mut shell = match frame.shell(&asked, &who) {
                Ok(shell) => shell,
                Err(fault) => return (frame.bare(), Err(fault)),
            };
            let html = f(&asked, &who, &mut shell);
            (shell, html)
        });
        let mut answer = match done.await {
            (_, Ok(html)) => super::page(StatusCode::OK, html),
            (shell, Err(fault)) => {
                first(&fault, &shell.here).unwrap_or_else(|| super::fault(&shell, &fault, "/"))
            }
        };
        if seen && !answer.status().is_redirection() {
            notice::remove(&app, answer.headers_mut());
        }
        answer
    }
}
