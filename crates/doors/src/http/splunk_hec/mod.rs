//! Splunk's HTTP Event Collector: `/services/collector` with `/event`, `/raw`, `/ack` and `/health`.
//!
//! Codes and texts are Splunk's (Troubleshoot HTTP Event Collector, "Possible error codes"). What is deliberately
//! different: an answer says that events are stored, not that they look valid; indexes and indexed fields are not
//! judged; the events before a broken one are stored, as Splunk does it, and the rest becomes a dead letter.

mod acks;
mod events;

use super::admit::{Scheme, Shown, Visit, shown};
use super::answer::{self, SOON};
use super::body::{Unread, aside};
use super::keep::Cut;
use super::{Http, No, ndjson};
use crate::declaration::Declaration;
use crate::intake::Refusal;
use acks::{Acks, Channel};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{any, get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub static DOOR: Declaration = Declaration {
    name: "splunk_hec",
    title: "Splunk HTTP Event Collector",
    peers: "Vector, Fluent Bit, Fluentd, OpenTelemetry Collector (splunkhec), Cribl, Logstash, SC4S, Docker's splunk \
            driver, curl",
    point_at_it: "URL `https://HOST/services/collector`, token `TOKEN`; indexer acknowledgement may be on or off",
    tested: "curl, with and without indexer acknowledgement; the exchanges of Splunk's manual",
    record: "the text of `event` where it is a string; else the event's whole object as it was sent; of `/raw`, a line",
    source: "Splunk Enterprise, Getting Data In: Format events for HTTP Event Collector; Troubleshoot HTTP Event \
             Collector; About HTTP Event Collector Indexer Acknowledgment",
};

/// How Splunk's collector is spoken.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplunkHecOptions {
    /// Whether the door is open.
    pub enabled: bool,
    /// Take `?token=`. Addresses end up in the logs of proxies, and tokens with them.
    pub token_in_query: bool,
    /// Indexer acknowledgement.
    pub acks: AckPolicy,
}

impl Default for SplunkHecOptions {
    fn default() -> Self {
        SplunkHecOptions { enabled: true, token_in_query: false, acks: AckPolicy::Offered }
    }
}

/// Indexer acknowledgement. Events are stored before they are answered in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckPolicy {
    /// No ids are given.
    Off,
    /// Who names a channel is given ids to ask for.
    Offered,
    /// Who names no channel is refused, as with a token of Splunk's that has `useACK`.
    Required,
}

struct Hec {
    http: Arc<Http>,
    options: SplunkHecOptions,
    acks: Acks,
}

/// What Splunk answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Success = 0,
    TokenRequired = 2,
    InvalidAuthorization = 3,
    InvalidToken = 4,
    NoData = 5,
    InvalidDataFormat = 6,
    Busy = 9,
    ChannelMissing = 10,
    InvalidChannel = 11,
    EventRequired = 12,
    EventBlank = 13,
    AckDisabled = 14,
    QueryAuthorization = 16,
    Healthy = 17,
    Unhealthy = 18,
    ShuttingDown = 23,
}

impl Code {
    fn says(self) -> (StatusCode, &'static str) {
        match self {
            Code::Success => (StatusCode::OK, "Success"),
            Code::TokenRequired => (StatusCode::UNAUTHORIZED, "Token is required"),
            Code::InvalidAuthorization => (StatusCode::UNAUTHORIZED, "Invalid authorization"),
            Code::InvalidToken => (StatusCode::FORBIDDEN, "Invalid token"),
            Code::NoData => (StatusCode::BAD_REQUEST, "No data"),
            Code::InvalidDataFormat => (StatusCode::BAD_REQUEST, "Invalid data format"),
            Code::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Server is busy"),
            Code::ChannelMissing => (StatusCode::BAD_REQUEST, "Data channel is missing"),
            Code::InvalidChannel => (StatusCode::BAD_REQUEST, "Invalid data channel"),
            Code::EventRequired => (StatusCode::BAD_REQUEST, "Event field is required"),
            Code::EventBlank => (StatusCode::BAD_REQUEST, "Event field cannot be blank"),
            Code::AckDisabled => (StatusCode::BAD_REQUEST, "ACK is disabled"),
            Code::QueryAuthorization => {
                (StatusCode::BAD_REQUEST, "Query string authorization is not enabled")
            }
            Code::Healthy => (StatusCode::OK, "HEC is healthy"),
            Code::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, "HEC is unhealthy, queues are full"),
            Code::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "Server is shutting down"),
        }
    }

    fn answer(self) -> Response {
        let (status, _) = self.says();
        self.answer_with(status, "")
    }

    /// `more` stands behind the code: `,"ackId":7`.
    fn answer_with(self, status: StatusCode, more: &str) -> Response {
        let (_, text) = self.says();
        answer::json(status, format!(r#"{{"text":"{text}","code":{}{more}}}"#, self as u8))
    }
}

pub(super) fn routes(http: &Arc<Http>, options: SplunkHecOptions) -> Router {
    let hec = Arc::new(Hec { http: http.clone(), options, acks: Acks::default() });
    let path = |end: &str| format!("/services/collector{end}");
    Router::new()
        .route(&path(""), post(event).fallback(not_allowed))
        .route(&path("/event"), post(event).fallback(not_allowed))
        .route(&path("/event/1.0"), post(event).fallback(not_allowed))
        .route(&path("/raw"), post(raw).fallback(not_allowed))
        .route(&path("/raw/1.0"), post(raw).fallback(not_allowed))
        .route(&path("/ack"), post(ack).fallback(not_allowed))
        .route(&path("/ack/1.0"), post(ack).fallback(not_allowed))
        .route(&path("/health"), get(health).fallback(not_allowed))
        .route(&path("/health/1.0"), get(health).fallback(not_allowed))
        .route(&path("/{*rest}"), any(not_found))
        .with_state(hec)
}

async fn event(State(hec): State<Arc<Hec>>, request: Request) -> Response {
    hec.answered(request, events::cut).await
}

async fn raw(State(hec): State<Arc<Hec>>, request: Request) -> Response {
    let lines = |body: &[u8], record_bytes| {
        let mut cut = Cut::new(record_bytes);
        ndjson::lines(body, &mut cut);
        (cut, None)
    };
    hec.answered(request, lines).await
}

/// Whoever asks learns whether events would be taken now, and nothing else: load balancers have no token.
async fn health(State(hec): State<Arc<Hec>>) -> Response {
    match (hec.http.intake.is_closed(), hec.http.intake.has_room()) {
        (true, _) => Code::ShuttingDown.answer(),
        (_, true) => Code::Healthy.answer(),
        (_, false) => answer::later(Code::Unhealthy.answer(), SOON),
    }
}

async fn ack(State(hec): State<Arc<Hec>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut unread = Unread::new(&parts, body);
    let answer = hec.asked(&parts, &mut unread).await.unwrap_or_else(no);
    unread.end().await;
    answer
}

async fn not_found() -> Response {
    let body = r#"{"text":"The requested URL was not found on this server.","code":404}"#;
    answer::json(StatusCode::NOT_FOUND, body)
}

async fn not_allowed() -> Response {
    answer::json(StatusCode::METHOD_NOT_ALLOWED, r#"{"text":"Method Not Allowed","code":405}"#)
}

/// What keeps an event from being taken, and the number of the event, from 0.
type Broken = Option<(Code, usize)>;

impl Hec {
    async fn answered(&self, request: Request, cut: fn(&[u8], usize) -> (Cut, Broken)) -> Response {
        let (parts, body) = request.into_parts();
        let mut unread = Unread::new(&parts, body);
        let answer = self.take(&parts, &mut unread, cut).await.unwrap_or_else(no);
        unread.end().await;
        answer
    }

    async fn take(
        &self,
        parts: &Parts,
        body: &mut Unread,
        cut: fn(&[u8], usize) -> (Cut, Broken),
    ) -> Result<Response, Denied> {
        let mut visit = self.admit(parts)?;
        let channel = self.channel(parts)?;
        if channel.is_none() && self.options.acks == AckPolicy::Required {
            return Err(Denied::Code(Code::ChannelMissing));
        }
        let body = self.http.body_in_time(&mut visit, parts, body.take()).await?;
        let record_bytes = visit.admitted.limits.record_bytes;
        let (cut, broken) = aside(body.len(), move || cut(&body, record_bytes)).await?;
        let nothing = cut.len() == 0;
        self.http.keep(&visit, cut).await?;
        if let Some((code, number)) = broken {
            let more = format!(r#","invalid-event-number":{number}"#);
            return Ok(code.answer_with(code.says().0, &more));
        }
        if nothing {
            return Err(Denied::Code(Code::NoData));
        }
        let more = match channel.filter(|_| self.options.acks != AckPolicy::Off) {
            Some(channel) => format!(r#","ackId":{}"#, self.acks.next(&visit.admitted.origin, channel)),
            None => String::new(),
        };
        Ok(Code::Success.answer_with(StatusCode::OK, &more))
    }

    async fn asked(&self, parts: &Parts, body: &mut Unread) -> Result<Response, Denied> {
        let mut visit = self.admit(parts)?;
        if self.options.acks == AckPolicy::Off {
            return Err(Denied::Code(Code::AckDisabled));
        }
        let channel = self.channel(parts)?.ok_or(Denied::Code(Code::ChannelMissing))?;
        let body = self.http.body(&mut visit, &parts.headers, body.take()).await?;
        let ids = acks::asked_for(&body).ok_or(Denied::Code(Code::InvalidDataFormat))?;
        let known = self.acks.known(&visit.admitted.origin, channel);
        let mut out = String::from(r#"{"acks":{"#);
        for (n, id) in ids.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            out.push_str(&format!(r#"{comma}"{id}":{}"#, *id < known));
        }
        out.push_str("}}");
        Ok(answer::json(StatusCode::OK, out))
    }

    /// The token of the header, or of the query where that is allowed. Splunk looks at a token in the query in any
    /// case, and says of a right one that it came the wrong way.
    fn admit(&self, parts: &Parts) -> Result<Visit, Denied> {
        let mut shown = shown(parts, &[Scheme::Splunk, Scheme::Basic]);
        let mut in_query = false;
        if shown == Shown::Nothing
            && let Some(token) = answer::parameter(parts.uri.query(), "token")
        {
            shown = Shown::Token(token.into_bytes());
            in_query = true;
        }
        let visit = self.http.admit(DOOR.name, shown, parts.extensions.get())?;
        if in_query && !self.options.token_in_query {
            return Err(Denied::Code(Code::QueryAuthorization));
        }
        Ok(visit)
    }

    fn channel(&self, parts: &Parts) -> Result<Option<Channel>, Denied> {
        let header = parts.headers.get("x-splunk-request-channel").map(|h| h.as_bytes().to_vec());
        let named = header.or_else(|| Some(answer::parameter(parts.uri.query(), "channel")?.into_bytes()));
        let Some(named) = named else { return Ok(None) };
        acks::channel(&named).map(Some).ok_or(Denied::Code(Code::InvalidChannel))
    }
}

enum Denied {
    Code(Code),
    No(No),
}

impl From<No> for Denied {
    fn from(no: No) -> Denied {
        Denied::No(no)
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        Denied::No(No::Refused(refusal))
    }
}

fn no(denied: Denied) -> Response {
    let no = match denied {
        Denied::Code(code) => return code.answer(),
        Denied::No(no) => no,
    };
    match no {
        No::Nothing => Code::TokenRequired.answer(),
        No::Unreadable => Code::InvalidAuthorization.answer(),
        No::Stranger => Code::InvalidToken.answer(),
        // Splunk has no limit of this kind; its senders come again after 429.
        No::Wait(wait) => answer::later(Code::Busy.answer_with(StatusCode::TOO_MANY_REQUESTS, ""), wait),
        No::Coding => Code::InvalidDataFormat.answer_with(StatusCode::UNSUPPORTED_MEDIA_TYPE, ""),
        No::TooLarge => Code::InvalidDataFormat.answer_with(StatusCode::PAYLOAD_TOO_LARGE, ""),
        No::Damaged | No::BrokenOff => Code::InvalidDataFormat.answer(),
        No::TooSlow => Code::Busy.answer_with(StatusCode::REQUEST_TIMEOUT, ""),
        No::Refused(Refusal::Closing) => answer::later(Code::ShuttingDown.answer(), SOON),
        No::Crowded | No::Refused(Refusal::Full | Refusal::Disk(_)) => {
            answer::later(Code::Busy.answer(), SOON)
        }
    }
}
