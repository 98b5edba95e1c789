//! Okta's System Log: polled forward by the cursor that Okta gives with each page.
//!
//! A page may come twice (after a crash between storing and writing the cursor down, or when a cursor is not taken any
//! more); its events carry a uuid by which they count once.

use super::{NoPage, Page, Puller, is_base, is_of};
use crate::declaration::Declaration;
use crate::door::{DoorContext, DoorError};
use crate::gate::Limits;
use crate::out::{self, percent};
use crate::secret::SecretRef;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub static DECLARATION: Declaration = Declaration {
    name: "okta",
    title: "Okta System Log",
    peers: "an organisation of Okta",
    point_at_it: "an API token of a read-only administrator, or an OAuth access token with okta.logs.read",
    tested: "a stand-in written from the documentation; never Okta itself",
    record: "one event of the log, as JSON",
    source: "Okta developer documentation, System Log API (/api/v1/logs)",
};

/// Which organisation.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OktaOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// `https://acme.okta.com`
    pub url: String,
    /// What it is shown.
    pub token: Token,
    /// Days to go back when the door is opened for the first time. Okta keeps 90.
    #[serde(default = "days")]
    pub days: u16,
    /// An expression of Okta's: `eventType sw "user.session"`. Without it, all events come.
    #[serde(default)]
    pub filter: Option<String>,
    /// Seconds between questions when nothing was new.
    #[serde(default = "poll")]
    pub poll_s: u32,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

/// A secret, and how it is sent.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "OktaToken")]
pub enum Token {
    /// An API token.
    Ssws(SecretRef),
    /// An access token of OAuth, which somebody else renews.
    Bearer(SecretRef),
}

fn days() -> u16 {
    7
}

fn poll() -> u32 {
    30
}

const DOOR: &str = "okta";
const MOST_DAYS: u16 = 90;
const PAGE: u32 = 1_000;
/// Gone back when a cursor is not taken any more.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// Other users of the organisation's quota are left so many requests.
const LEFT: u64 = 2;

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// The page that comes next.
    next: Option<String>,
    /// When the last event was published that is stored.
    published: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Event {
    published: Option<Timestamp>,
}

/// Pulls until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    if !is_base(&options.url) {
        return Err(DoorError::config(
            DOOR,
            format!("url `{}` is not written like https://acme.okta.com", options.url),
        ));
    }
    let http = out::client(DOOR, None)?;
    let mut puller = Puller::new(context, DOOR, &options.source, &options.url, &options.limits);
    let mut book: Book = puller.load()?.unwrap_or_default();
    while !puller.is_ending() {
        let url = match &book.next {
            Some(next) => next.clone(),
            None => first(&options, book.published),
        };
        let page = match ask(&options, &http, &puller, &url).await {
            Ok(page) => page,
            Err(NoPage::Refused(refused))
                if book.next.is_some() && matches!(refused.status.as_u16(), 400 | 404 | 410) =>
            {
                // Cursors do not live for ever. What is asked for again comes twice.
                tracing::warn!(door = DOOR, %refused, "the cursor is not taken any more; begun again a little earlier");
                book.next = None;
                continue;
            }
            Err(none) => {
                puller.wait(none).await;
                continue;
            }
        };
        let (mut published, mut events) = (book.published, 0);
        let cut = puller.cut(&page, None, |record| {
            events += 1;
            let event = serde_json::from_slice::<Event>(record).ok();
            published = published.max(event.and_then(|e| e.published));
            true
        });
        let cut = match cut {
            Ok(cut) => cut,
            Err(fault) => {
                puller.wait(NoPage::Failed(format!("an answer is no list of events: {fault}"))).await;
                continue;
            }
        };
        let next = next_link(&page).filter(|link| is_of(&options.url, link));
        let Some(next) = next else {
            puller.wait(NoPage::Failed("an answer names no next page of this organisation".into())).await;
            continue;
        };
        puller.works();
        if puller.store(cut).await.is_err() {
            break;
        }
        let changed = book.next.as_ref() != Some(&next) || published != book.published;
        book = Book { next: Some(next), published };
        if changed {
            puller.save(&book)?;
        }
        let rest = quota(&page);
        if events == 0 || rest.is_some() {
            puller.pause(rest.unwrap_or_default().max(Duration::from_secs(u64::from(options.poll_s)))).await;
        }
    }
    Ok(())
}

fn first(options: &Options, published: Option<Timestamp>) -> String {
    let back = SignedDuration::from_hours(24 * i64::from(options.days.min(MOST_DAYS)));
    let since = published.map(|at| at - OVERLAP).unwrap_or_else(|| Timestamp::now() - back);
    let since = percent(&since.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(), false);
    let filter =
        options.filter.as_ref().map(|f| format!("&filter={}", percent(f, false))).unwrap_or_default();
    let base = options.url.trim_end_matches('/');
    format!("{base}/api/v1/logs?since={since}&sortOrder=ASCENDING&limit={PAGE}{filter}")
}

async fn ask(options: &Options, http: &Client, puller: &Puller, url: &str) -> Result<Page, NoPage> {
    let (kind, from) = match &options.token {
        Token::Ssws(from) => ("SSWS", from),
        Token::Bearer(from) => ("Bearer", from),
    };
    let token = from.open(DOOR).map_err(|e| NoPage::Failed(e.to_string()))?;
    let request = http
        .get(url)
        .header("accept", "application/json")
        .header("authorization", format!("{kind} {}", token.expose()));
    match puller.ask(request).await {
        Err(NoPage::Refused(refused)) if refused.status.as_u16() == 429 => {
            // Without Retry-After, the head of the answer would say when; it is not kept, and a minute is Okta's unit.
            Err(NoPage::Later(Duration::from_secs(60), refused.to_string()))
        }
        other => other,
    }
}

/// `<https://…>; rel="next"` among the Link headers.
fn next_link(page: &Page) -> Option<String> {
    let links = page.headers.get_all("link").iter().filter_map(|v| v.to_str().ok());
    links.flat_map(|v| v.split(", <")).find_map(|link| {
        let (url, rest) = link.trim_start_matches('<').split_once('>')?;
        rest.contains(r#"rel="next""#).then(|| url.to_owned())
    })
}

/// How long to wait where the quota is nearly used up.
fn quota(page: &Page) -> Option<Duration> {
    let number = |name: &str| page.headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let (left, reset) = (number("x-rate-limit-remaining")?, number("x-rate-limit-reset")?);
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    (left <= LEFT).then(|| Duration::from_secs(reset.saturating_sub(now) + 1))
}
