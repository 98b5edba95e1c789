//! Forms: who sent one, whether it came from a page of ours, what it says, and the way back.

use super::frame::{Frame, first};
use super::notice::Notice;
use crate::app::App;
use crate::desk::sign_in::Visitor;
use crate::desk::{Fault, Who};
use crate::http::input::{body, see_other};
use crate::http::session::{check_csrf, check_origin, visitor, who};
use crate::service::blocking;
use crate::ui::{Shell, Undo, preferences};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// What was written into the fields of a form.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Without space around it; empty where it is not there.
    pub(super) fn text(&self, name: &str) -> String {
        self.exact(name).trim().to_owned()
    }

    /// As it was written: for secrets.
    pub(super) fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, v)| n == name && !v.is_empty())
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Fault> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Fault::invalid(name, "is no number that fits"))
    }

    /// On which the change rests.
    pub(super) fn revision(&self) -> Result<i64, Fault> {
        self.number("revision")?.ok_or(Fault::NoRevision)
    }

    fn back(&self) -> String {
        let back = self.exact("back");
        if preferences::is_ours(back) { back.to_owned() } else { "/".to_owned() }
    }
}

async fn fields(headers: &HeaderMap, from: axum::body::Body) -> Result<Fields, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes()).unwrap_or_default();
    if !kind.starts_with(b"application/x-www-form-urlencoded") {
        return Err(Fault::Media);
    }
    let bytes = body(from).await?;
    serde_urlencoded::from_bytes(&bytes).map(Fields).map_err(|e| Fault::Body(e.to_string()))
}

/// What became of it, for the page that comes next.
#[derive(Default)]
pub(super) struct Done {
    said: String,
    undo: Option<Undo>,
    to: Option<String>,
}

impl Done {
    pub(super) fn said(said: impl Into<String>) -> Done {
        Done { said: said.into(), ..Done::default() }
    }

    pub(super) fn undo(self, says: &str, action: String, fields: &[(&str, &str)]) -> Done {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Done { undo: Some(Undo { says: says.to_owned(), action, fields }), ..self }
    }

    /// Elsewhere than back.
    pub(super) fn to(self, to: impl Into<String>) -> Done {
        Done { to: Some(to.into()), ..self }
    }
}

/// A form of somebody who is signed in.
pub(super) struct Form {
    pub(super) who: Who,
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
    pub(super) frame: Frame,
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Form, Response> {
        let (mut parts, from) = request.into_parts();
        let frame = Frame::of(app, &parts.uri, &parts.headers);
        let refuse = |fault: Fault, back: &str| {
            first(&fault, back).unwrap_or_else(|| super::fault(&frame.bare(), &fault, back))
        };
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(refuse(Fault::SignIn, "/"));
        }
        let who = who(app, &mut parts).await.map_err(|fault| refuse(fault, "/"))?;
        let fields = fields(&parts.headers, from).await.map_err(|fault| refuse(fault, "/"))?;
        let token = fields.exact("csrf_token").to_owned();
        check_csrf(app, &parts, &who, Some(&token)).map_err(|fault| refuse(fault, &fields.back()))?;
        let visitor = visitor(app, &parts);
        Ok(Form { who, visitor, fields, frame })
    }
}

impl Form {
    /// Does it where that may block, and goes back.
    pub(super) async fn run(
        self,
        app: Arc<App>,
        f: impl FnOnce(&App, &Who, &Fields) -> Result<Done, Fault> + Send + 'static,
    ) -> Response {
        let Form { who, fields, frame, .. } = self;
        let (asked, back, id) = (app.clone(), fields.back(), who.actor.id.clone());
        let done = blocking(move || {
            f(&asked, &who, &fields).map_err(|fault| {
                let shell = frame.shell(&asked, &who).unwrap_or_else(|_| frame.bare());
                Box::new((shell, fault))
            })
        });
        match done.await {
            Ok(done) => went(&app, &id, done, &back),
            Err(refused) => {
                let (shell, fault) = *refused;
                first(&fault, &back).unwrap_or_else(|| super::fault(&shell, &fault, &back))
            }
        }
    }

    /// Does it, and draws a page in answer: for what is shown once.
    pub(super) async fn draw(
        self,
        app: Arc<App>,
        f: impl FnOnce(&App, &Who, &Fields, &mut Shell) -> Result<(StatusCode, String), Fault> + Send + 'static,
    ) -> Response {
        let Form { who, fields, mut frame, .. } = self;
        let back = fields.back();
        // Links and forms of the page that is drawn lead back to the page that asked.
        frame.here = back.clone();
        let done = blocking(move || {
            let mut shell = match frame.shell(&app, &who) {
                Ok(shell) => shell,
                Err(fault) => return (frame.bare(), Err(fault)),
            };
            let html = f(&app, &who, &fields, &mut shell);
            (shell, html)
        });
        match done.await {
            (_, Ok((status, html))) => super::page(status, html),
            (shell, Err(fault)) => {
                first(&fault, &back).unwrap_or_else(|| super::fault(&shell, &fault, &back))
            }
        }
    }
}

pub(super) fn went(app: &App, who: &str, done: Done, back: &str) -> Response {
    let mut answer = see_other(done.to.as_deref().unwrap_or(back));
    if !done.said.is_empty() {
        Notice::new(&done.said, done.undo).put(app, who, answer.headers_mut());
    }
    answer
}

/// A form of somebody who is not signed in yet.
pub(super) struct Visit {
    pub(super) visitor: Visitor,
    pub(super) headers: HeaderMap,
    pub(super) fields: Fields,
    pub(super) frame: Frame,
}

/// What somebody without a session sent from a page of ours. For pages that tell in their own way what was wrong.
pub(super) struct Sent {
    pub(super) visitor: Visitor,
    pub(super) headers: HeaderMap,
    pub(super) fields: Fields,
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Sent, Fault> {
        let (parts, from) = request.into_parts();
        check_origin(app, &parts)?;
        let fields = fields(&parts.headers, from).await?;
        Ok(Sent { visitor: visitor(app, &parts), headers: parts.headers, fields })
    }
}

impl FromRequest<Arc<App>> for Visit {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Visit, Response> {
        let mut frame = Frame::of(app, request.uri(), request.headers());
        let Sent { visitor, headers, fields } = Sent::from_request(request, app)
            .await
            .map_err(|fault| super::fault(&frame.bare(), &fault, "/sign-in"))?;
        frame.here = fields.back();
        Ok(Visit { visitor, headers, fields, frame })
    }
}
