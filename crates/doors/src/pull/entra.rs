//! Sign-ins and directory audits of Microsoft Entra ID, by Microsoft Graph.
//!
//! Graph shows a record minutes after it happened, and not in order: so each question goes back over a while that was
//! asked about before. Records that were stored unchanged are left out; one that changed comes again, under its id.

use super::{NoPage, Puller, is_base, is_of};
use crate::declaration::Declaration;
use crate::door::{DoorContext, DoorError};
use crate::gate::Limits;
use crate::out::{self, percent};
use crate::secret::{Secret, SecretRef};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub static DECLARATION: Declaration = Declaration {
    name: "entra",
    title: "Microsoft Entra ID, by Graph",
    peers: "a tenant with Entra ID P1 or P2",
    point_at_it: "an app registration with the application permission AuditLog.Read.All",
    tested: "a stand-in written from the documentation; never Microsoft itself",
    record: "one sign-in or audit record, as JSON",
    source: "Microsoft Graph v1.0: signIn, directoryAudit; throttling limits of the reporting API",
};

/// Which tenant.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EntraOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// The tenant's id or a domain of it.
    pub tenant: String,
    /// Id of the app registration.
    pub client_id: String,
    /// Where its secret lies.
    pub client_secret: SecretRef,
    /// Which logs.
    #[serde(default = "logs")]
    pub logs: Vec<Log>,
    /// Another cloud than the global one, or stand-ins.
    #[serde(default)]
    pub cloud: Cloud,
    /// Days to go back when the door is opened for the first time. Entra keeps 30.
    #[serde(default = "days")]
    pub days: u16,
    /// Minutes that each question goes back over.
    #[serde(default = "overlap")]
    pub overlap_min: u16,
    /// Seconds between questions.
    #[serde(default = "poll")]
    pub poll_s: u32,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

/// One of the logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EntraLog")]
pub enum Log {
    /// Who signed in.
    SignIns,
    /// What was changed in the directory.
    DirectoryAudits,
}

/// Where the tenant is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "EntraCloud")]
pub struct Cloud {
    /// `https://login.microsoftonline.us` for the clouds of the United States' government.
    pub login: String,
    /// `https://graph.microsoft.us`, `https://microsoftgraph.chinacloudapi.cn` …
    pub graph: String,
}

impl Default for Cloud {
    fn default() -> Cloud {
        Cloud {
            login: "https://login.microsoftonline.com".into(),
            graph: "https://graph.microsoft.com".into(),
        }
    }
}

fn logs() -> Vec<Log> {
    vec![Log::SignIns, Log::DirectoryAudits]
}

fn days() -> u16 {
    7
}

fn overlap() -> u16 {
    30
}

fn poll() -> u32 {
    120
}

const DOOR: &str = "entra";
const MOST_DAYS: u16 = 30;
const PAGE: u32 = 999;
/// The longest time that one question is about, so that filling in the past is kept step by step.
const SLICE: SignedDuration = SignedDuration::from_hours(6);
/// A token is renewed so long before its end.
const BEFORE_END: Duration = Duration::from_secs(300);
/// Sums of records that are remembered, at most.
const SEEN: usize = 500_000;

impl Log {
    fn path(self) -> &'static str {
        match self {
            Log::SignIns => "signIns",
            Log::DirectoryAudits => "directoryAudits",
        }
    }

    fn time(self) -> &'static str {
        match self {
            Log::SignIns => "createdDateTime",
            Log::DirectoryAudits => "activityDateTime",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// All before it is stored, except what may still come late.
    since: Timestamp,
    /// Where the time that is asked about ends, while its pages are read.
    until: Option<Timestamp>,
    /// Its next page.
    next: Option<String>,
}

/// Pulls until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    for url in [&options.cloud.login, &options.cloud.graph] {
        if !is_base(url) {
            return Err(DoorError::config(
                DOOR,
                format!("`{url}` is not written like https://graph.microsoft.com"),
            ));
        }
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if options.tenant.is_empty() || !options.tenant.chars().all(good) {
        return Err(DoorError::config(
            DOOR,
            format!("tenant `{}` is neither an id nor a domain", options.tenant),
        ));
    }
    options.client_secret.open(DOOR)?;
    let mut doors = JoinSet::new();
    for log in &options.logs {
        let name = format!("{} {}", options.tenant, log.path());
        let puller = Puller::new(context.clone(), DOOR, &options.source, &name, &options.limits);
        let door = Door {
            log: *log,
            http: out::client(DOOR, None)?,
            options: options.clone(),
            puller,
            token: None,
            seen: Seen::default(),
        };
        doors.spawn(door.run());
    }
    let mut result = Ok(());
    while let Some(ended) = doors.join_next().await {
        if let Ok(Err(error)) = ended {
            context.shutdown.cancel();
            result = Err(error);
        }
    }
    result
}

struct Door {
    log: Log,
    http: Client,
    options: Options,
    puller: Puller,
    token: Option<(Secret, Instant)>,
    seen: Seen,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Links {
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl Door {
    async fn run(mut self) -> Result<(), DoorError> {
        let begin = || {
            let back = SignedDuration::from_hours(24 * i64::from(self.options.days.min(MOST_DAYS)));
            Book { since: Timestamp::now() - back, until: None, next: None }
        };
        let mut book: Book = self.puller.load()?.unwrap_or_else(begin);
        while !self.puller.is_ending() {
            let until = match book.until {
                Some(until) => until,
                None => {
                    let until = Timestamp::now().min(book.since + SLICE);
                    book.until = Some(until);
                    until
                }
            };
            let url = book.next.clone().unwrap_or_else(|| self.first(book.since, until));
            let page = match self.ask(&url).await {
                Ok(page) => page,
                Err(NoPage::Refused(refused))
                    if book.next.is_some() && matches!(refused.status.as_u16(), 400 | 404 | 410) =>
                {
                    tracing::warn!(door = DOOR, %refused, "the next page is not there any more; its hours are asked for again");
                    book.next = None;
                    continue;
                }
                Err(none) => {
                    self.puller.wait(none).await;
                    continue;
                }
            };
            let mut new = Vec::new();
            let cut = self.puller.cut(&page, Some("value"), |record| {
                let sum = sum(record);
                let wanted = !self.seen.has(&sum);
                if wanted {
                    new.push(sum);
                }
                wanted
            });
            let links: Result<Links, _> = serde_json::from_slice(&page.body);
            let (cut, next) = match (cut, links) {
                (Ok(cut), Ok(links)) => (cut, links.next),
                (Err(fault), _) => {
                    self.puller
                        .wait(NoPage::Failed(format!("an answer has no list of records: {fault}")))
                        .await;
                    continue;
                }
                (_, Err(error)) => {
                    self.puller.wait(NoPage::Failed(format!("an answer is no JSON: {error}"))).await;
                    continue;
                }
            };
            if let Some(next) =
                next.as_ref().filter(|next| !is_of(&self.options.cloud.graph, next) || **next == url)
            {
                self.puller.wait(NoPage::Failed(format!("the next page is said to be {next}"))).await;
                continue;
            }
            self.puller.works();
            if self.puller.store(cut).await.is_err() {
                break;
            }
            self.seen.add(new);
            match next {
                Some(next) => book.next = Some(next),
                None => {
                    let overlap = SignedDuration::from_mins(i64::from(self.options.overlap_min));
                    // The past is complete; only of the last while something may still come.
                    let now = Timestamp::now();
                    let behind = until < now - overlap;
                    let since = if behind { until } else { (now - overlap).min(until).max(book.since) };
                    book = Book { since, until: None, next: None };
                    self.puller.save(&book)?;
                    self.seen.turn();
                    if !behind {
                        self.puller.pause(Duration::from_secs(u64::from(self.options.poll_s))).await;
                    }
                    continue;
                }
            }
            self.puller.save(&book)?;
        }
        Ok(())
    }

    fn first(&self, since: Timestamp, until: Timestamp) -> String {
        let (time, path) = (self.log.time(), self.log.path());
        let at = |t: Timestamp| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // A second more at the end: times here are cut to seconds.
        let until = until + SignedDuration::from_secs(1);
        let filter = format!("{time} ge {} and {time} lt {}", at(since), at(until));
        let base = self.options.cloud.graph.trim_end_matches('/');
        format!(
            "{base}/v1.0/auditLogs/{path}?$filter={}&$orderby={time}&$top={PAGE}",
            percent(&filter, false)
        )
    }

    async fn ask(&mut self, url: &str) -> Result<super::Page, NoPage> {
        let token = self.token().await?;
        let request = self.http.get(url).header("authorization", format!("Bearer {}", token.expose()));
        match self.puller.ask(request).await {
            Err(NoPage::Refused(refused)) if refused.status.as_u16() == 401 => {
                // Ended or withdrawn before its time: a new one, at the next try.
                self.token = None;
                Err(NoPage::Failed(refused.to_string()))
            }
            Err(NoPage::Refused(refused)) if refused.status.as_u16() == 429 => {
                Err(NoPage::Later(Duration::from_secs(30), refused.to_string()))
            }
            other => other,
        }
    }

    async fn token(&mut self) -> Result<Secret, NoPage> {
        if let Some((token, until)) = &self.token
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let options = &self.options;
        let secret = options.client_secret.open(DOOR).map_err(|e| NoPage::Failed(e.to_string()))?;
        let graph = options.cloud.graph.trim_end_matches('/');
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            percent(&options.client_id, false),
            percent(secret.expose(), false),
            percent(&format!("{graph}/.default"), false)
        );
        let url =
            format!("{}/{}/oauth2/v2.0/token", options.cloud.login.trim_end_matches('/'), options.tenant);
        let request =
            self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let page = self.puller.ask(request).await.map_err(|none| match none {
            NoPage::Refused(refused) => NoPage::Failed(format!("no token: {refused}")),
            other => other,
        })?;
        let granted: Granted =
            serde_json::from_slice(&page.body).map_err(|e| NoPage::Failed(format!("no token: {e}")))?;
        let lives = Duration::from_secs(granted.expires_in.min(86_400)).saturating_sub(BEFORE_END);
        let token = Secret::new(granted.access_token);
        self.token = Some((token.clone(), Instant::now() + lives));
        Ok(token)
    }
}

/// Records that were stored within the last rounds.
#[derive(Default)]
struct Seen {
    /// By their sums, the round in which they were last seen.
    rounds: BTreeMap<u128, u32>,
    round: u32,
}

/// Rounds after which a record that did not come again is forgotten.
const ROUNDS: u32 = 3;

impl Seen {
    fn has(&mut self, sum: &u128) -> bool {
        self.rounds.get_mut(sum).map(|round| *round = self.round).is_some()
    }

    fn add(&mut self, sums: Vec<u128>) {
        self.rounds.extend(sums.into_iter().map(|sum| (sum, self.round)));
        if self.rounds.len() > SEEN {
            // A record that is forgotten comes twice.
            self.rounds.clear();
        }
    }

    fn turn(&mut self) {
        self.round += 1;
        let round = self.round;
        self.rounds.retain(|_, seen| round - *seen <= ROUNDS);
    }
}

fn sum(record: &[u8]) -> u128 {
    let digest: [u8; 32] = Sha256::digest(record).into();
    digest.iter().take(16).fold(0, |n, b| n << 8 | u128::from(*b))
}
