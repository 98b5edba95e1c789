//! What changes, told to open pages as it happens (server-sent events). Nothing is replayed: who was away reads anew, so
//! `Last-Event-ID` is taken and not needed.

use super::session::looked_up;
use crate::app::App;
use crate::desk::cases::guarded;
use crate::desk::{Fault, Who, cases};
use crate::hub::News;
use crate::service::blocking;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use portreeve_access::permit::Verb;
use portreeve_store::CaseId;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Proxies close what is silent for longer; and a login that ended is noticed this soon.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Listener {
    app: Arc<App>,
    parts: Parts,
    who: Who,
    news: Receiver<News>,
    /// Nothing was said yet.
    greeted: bool,
}

pub(crate) async fn stream(State(app): State<Arc<App>>, request: Request) -> Result<Response, Fault> {
    let (parts, _) = request.into_parts();
    let who = looked_up(&app, &parts).await?;
    let (asked, by) = (app.clone(), who.clone());
    // The right to list cases; also writes down that somebody listens.
    blocking(move || cases::counts(&asked, &by)).await?;
    let news = app.hub.listen();
    let listener = Listener { app, parts, who, news, greeted: false };
    let lines = stream::unfold(listener, async |mut listener| {
        let line = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), listener))
    });
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(lines)).into_response())
}

impl Listener {
    /// The next line; None ends the stream.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some("retry: 3000\n: listening\n\n".to_owned());
        }
        loop {
            let closing = self.app.closing.clone();
            let heard = tokio::select! {
                () = closing.cancelled() => return None,
                heard = tokio::time::timeout(HEARTBEAT, self.news.recv()) => heard,
            };
            // A login may have ended, and a role gone, since the last line.
            self.who = looked_up(&self.app, &self.parts).await.ok()?;
            match heard {
                Err(_) => return Some(": alive\n\n".to_owned()),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(_))) => return Some("event: missed\ndata: {}\n\n".to_owned()),
                Ok(Ok(news)) => {
                    if self.may_hear(&news).await {
                        let data = serde_json::to_string(&news).unwrap_or_default();
                        return Some(format!("event: change\ndata: {data}\n\n"));
                    }
                }
            }
        }
    }

    /// Nobody hears of a case that they may not see.
    async fn may_hear(&self, news: &News) -> bool {
        let (app, who) = (self.app.clone(), self.who.clone());
        match *news {
            News::Case { number, .. } => {
                let seen =
                    move || app.store.read(|tx| guarded(tx, &who, Verb::CaseRead, CaseId(number))).is_ok();
                blocking(seen).await
            }
            News::Plan { .. } | News::Health => who.first.is_none(),
        }
    }
}
