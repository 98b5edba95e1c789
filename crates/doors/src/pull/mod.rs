//! Logs that a service hands out when it is asked: page by page, with a cursor that outlives a restart.

pub mod entra;
pub mod okta;

use crate::cut::{Elements, Fault, Piece};
use crate::door::{Backoff, DoorContext, DoorError, Source};
use crate::gate::{Admitted, Limits};
use crate::intake::{Origin, Records};
use crate::out::{self, Refused, refused, told};
use crate::state;
use crate::syslog::too_long;
use crate::window::{Settled, Window};
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest page that is taken.
const PAGE: usize = 128 << 20;
/// Until a whole page is there.
const ANSWER: Duration = Duration::from_secs(120);
/// The longest that a service may make us wait.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What every door that pulls has.
struct Puller {
    source: Source,
    window: Window<()>,
    context: DoorContext,
    path: PathBuf,
    backoff: Backoff,
}

/// A page, as it came.
struct Page {
    body: Vec<u8>,
    headers: HeaderMap,
}

/// Why there is no page.
enum NoPage {
    /// To be asked again after this time.
    Later(Duration, String),
    /// To be asked again after a while, longer each time.
    Failed(String),
    /// The service does not want this request.
    Refused(Refused),
}

/// The service ends; what was not stored is asked for again by the next.
struct Ending;

impl Puller {
    fn new(context: DoorContext, door: &'static str, source: &str, name: &str, limits: &Limits) -> Puller {
        let admitted = Admitted { origin: Origin::new(source), limits: Arc::new(limits.clone()) };
        Puller {
            source: Source::new(&context, door, admitted),
            window: Window::new(&context, 1),
            path: state::path(&context.state_dir, door, name),
            backoff: Backoff::new(),
            context,
        }
    }

    fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, DoorError> {
        state::load(&self.path)
    }

    fn save<T: Serialize>(&self, state: &T) -> Result<(), DoorError> {
        state::save(&self.path, state)
    }

    fn is_ending(&self) -> bool {
        self.context.shutdown.is_cancelled()
    }

    /// Waits; false where the service ends.
    async fn pause(&self, pause: Duration) -> bool {
        let sleep = tokio::time::sleep(pause.min(PATIENCE));
        self.context.shutdown.run_until_cancelled(sleep).await.is_some()
    }

    /// Says what is wrong, and waits.
    async fn wait(&mut self, none: NoPage) {
        let (pause, why) = match none {
            NoPage::Later(pause, why) => (Some(pause), why),
            NoPage::Failed(why) => (None, why),
            NoPage::Refused(refused) => (refused.after, refused.to_string()),
        };
        tracing::warn!(door = self.source.door, source = self.source.origin.name(), %why, "is asked again");
        self.source.counts.says(Some(why));
        match pause {
            Some(pause) => {
                self.pause(pause).await;
            }
            None => self.backoff.pause(&self.context.shutdown).await,
        }
    }

    fn works(&mut self) {
        self.source.counts.says(None);
        self.backoff = Backoff::new();
    }

    /// Asks for a page; given up at the end of the service.
    async fn ask(&self, request: RequestBuilder) -> Result<Page, NoPage> {
        let asked = async {
            let response = request.timeout(ANSWER).send().await.map_err(|e| NoPage::Failed(told(&e)))?;
            if !response.status().is_success() {
                let refused = refused(response).await;
                let status = refused.status.as_u16();
                return Err(match refused.after {
                    Some(after) if status == 429 || status >= 500 => {
                        NoPage::Later(after, refused.to_string())
                    }
                    None if status >= 500 => NoPage::Failed(refused.to_string()),
                    _ => NoPage::Refused(refused),
                });
            }
            let headers = response.headers().clone();
            let body = out::body(response, PAGE).await.map_err(NoPage::Failed)?;
            Ok(Page { body, headers })
        };
        let ended = || NoPage::Failed("the service ends".into());
        self.context.shutdown.run_until_cancelled(asked).await.unwrap_or_else(|| Err(ended()))
    }

    /// The elements of a page that `wanted` says yes to. A page that is no list has none.
    fn cut(
        &self,
        page: &Page,
        key: Option<&'static str>,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<(Records, Vec<Vec<u8>>), Fault> {
        let mut cut = Elements::of(key, self.source.limits.record_bytes);
        let (mut records, mut long) = (Records::default(), Vec::new());
        cut.feed(&page.body, |piece| match piece {
            Piece::Record(record) if wanted(record) => records.push(record),
            Piece::Record(_) => {}
            Piece::TooLong(head) => long.push(head.to_vec()),
        })?;
        cut.end()?;
        Ok((records, long))
    }

    /// Waits until a page is stored.
    async fn store(&mut self, (records, long): (Records, Vec<Vec<u8>>)) -> Result<(), Ending> {
        for head in long {
            let why = too_long(self.source.limits.record_bytes);
            self.source.dead(&self.context.intake, why, &head).await;
        }
        self.window.push(&self.source, records, ());
        match self.window.next().await {
            Settled::Stored(()) => Ok(()),
            Settled::GivenUp(()) => {
                self.context.shutdown.cancel();
                Err(Ending)
            }
        }
    }
}

/// Is this a page of the service that was asked first? A link that leads elsewhere would carry the token there.
fn is_of(base: &str, link: &str) -> bool {
    let base = base.trim_end_matches('/');
    link.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

/// A base such as `https://acme.okta.com`: TLS, except to this host for tests and tunnels.
fn is_base(url: &str) -> bool {
    let plain_home = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
    let good = url.starts_with("https://") || plain_home.iter().any(|home| url.starts_with(home));
    good && !url.contains(['?', '#', '@', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_where_they_belong() {
        assert!(is_of("https://acme.okta.com", "https://acme.okta.com/api/v1/logs?after=1"));
        assert!(is_of("https://acme.okta.com/", "https://acme.okta.com/api"));
        for link in
            ["https://acme.okta.com.evil/api", "https://acme.okta.com@evil/", "http://acme.okta.com/", "/api"]
        {
            assert!(!is_of("https://acme.okta.com", link), "{link}");
        }
        assert!(is_base("https://acme.okta.com") && is_base("http://127.0.0.1:80"));
        assert!(!is_base("http://acme.okta.com") && !is_base("https://a@b") && !is_base("acme.okta.com"));
    }
}
