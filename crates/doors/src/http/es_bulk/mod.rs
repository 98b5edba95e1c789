//! Elasticsearch's `_bulk`, and as much around it as shippers ask for before they send.
//!
//! What is deliberately different: documents are kept as they came, so mappings, pipelines and policies are accepted
//! and do nothing; nothing can be searched, changed or deleted; a body without the last newline is taken. Where the
//! service is busy the whole request is answered 429, never some of its items: not every shipper repeats single items.

mod answers;
mod items;
mod seen;
mod stubs;

use super::admit::{Scheme, Visit};
use super::answer::{self, SOON};
use super::body::{Unread, aside, discard};
use super::keep::Cut;
use super::{Http, No};
use crate::declaration::Declaration;
use crate::intake::Refusal;
use answers::{Ids, Told};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, USER_AGENT, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use items::{Bulk, Fate, Item, Op, Span};
use schemars::JsonSchema;
use seen::Seen;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

pub static DOOR: Declaration = Declaration {
    name: "es_bulk",
    title: "Elasticsearch bulk API",
    peers: "Filebeat, Winlogbeat and other Beats, Elastic Agent, Logstash, Vector, Fluent Bit, Fluentd, rsyslog \
            (omelasticsearch), syslog-ng, elasticsearch-py and its like",
    point_at_it: "`hosts: [\"https://HOST/es\"]` with `api_key`, user and password, or a bearer token: the key or \
                  password is `TOKEN`, its id or user anything",
    tested: "elasticsearch-py 8, rsyslog with omelasticsearch; the exchanges of Elastic's reference",
    record: "the document, as it was sent",
    source: "Elasticsearch 8, REST APIs: Bulk; Index; Root; Info",
};

/// How Elasticsearch's API is spoken.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EsBulkOptions {
    /// Whether the door is open.
    pub enabled: bool,
    /// The path that stands before `/_bulk`; empty on a listener of its own.
    pub prefix: String,
    /// The version that clients are told. Beats want it not to be older than themselves.
    pub version: String,
    /// Ids of stored documents that are remembered, so that a repeated `create` is not stored twice.
    pub remembered_ids: usize,
}

impl Default for EsBulkOptions {
    fn default() -> Self {
        EsBulkOptions {
            enabled: true,
            prefix: "/es".to_owned(),
            version: "8.19.0".to_owned(),
            remembered_ids: 500_000,
        }
    }
}

struct Es {
    http: Arc<Http>,
    options: EsBulkOptions,
    seen: Arc<Seen>,
    ids: Ids,
}

pub(super) fn routes(http: &Arc<Http>, options: EsBulkOptions) -> Router {
    let prefix = options.prefix.trim_end_matches('/').to_owned();
    let seen = Arc::new(Seen::new(options.remembered_ids));
    let options = EsBulkOptions { prefix: prefix.clone(), ..options };
    let es = Arc::new(Es { http: http.clone(), options, seen, ids: Ids::new() });
    let mut routes = Router::new().route(&format!("{prefix}/"), any(asked));
    if !prefix.is_empty() {
        routes = routes.route(&prefix, any(asked));
    }
    routes.route(&format!("{prefix}/{{*rest}}"), any(asked)).with_state(es)
}

async fn asked(State(es): State<Arc<Es>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut unread = Unread::new(&parts, body);
    let answer = es.take(&parts, &mut unread).await.unwrap_or_else(|no| refused(&parts.headers, no));
    unread.end().await;
    answer
}

const SCHEMES: [Scheme; 3] = [Scheme::ApiKey, Scheme::Basic, Scheme::Bearer];

/// What a path asks for.
enum Wants<'a> {
    Bulk { index: &'a str },
    Document { index: &'a str, op: Op, id: Option<&'a str> },
    Else,
}

fn wants<'a>(method: &Method, path: &[&'a str]) -> Wants<'a> {
    let writes = matches!(*method, Method::PUT | Method::POST);
    match *path {
        _ if !writes => Wants::Else,
        ["_bulk"] => Wants::Bulk { index: "" },
        // With a type between them: before Elasticsearch 7.
        [index, "_bulk"] | [index, _, "_bulk"] => Wants::Bulk { index },
        [index, "_create", id] => Wants::Document { index, op: Op::Create, id: Some(id) },
        [index, "_doc"] if *method == Method::POST => Wants::Document { index, op: Op::Index, id: None },
        [index, "_doc", id] => Wants::Document { index, op: Op::Index, id: Some(id) },
        [index, kind] if !index.starts_with('_') && !kind.starts_with('_') && *method == Method::POST => {
            Wants::Document { index, op: Op::Index, id: None }
        }
        _ => Wants::Else,
    }
}

impl Es {
    async fn take(&self, parts: &Parts, body: &mut Unread) -> Result<Response, No> {
        let shown = super::admit::shown(parts, &SCHEMES);
        let mut visit = self.http.admit(DOOR.name, shown, parts.extensions.get())?;
        let path = parts.uri.path();
        let path = path.strip_prefix(&self.options.prefix).unwrap_or(path);
        let plain: Vec<String> =
            path.split('/').filter(|s| !s.is_empty()).map(|s| answer::plain(s, false)).collect();
        let segments: Vec<&str> = plain.iter().map(String::as_str).collect();
        match wants(&parts.method, &segments) {
            Wants::Bulk { index } => {
                let body = self.http.body_in_time(&mut visit, parts, body.take()).await?;
                self.bulk(parts, &visit, index, body).await
            }
            Wants::Document { index, op, id } => {
                let body = self.http.body_in_time(&mut visit, parts, body.take()).await?;
                self.document(parts, &visit, (index, op, id), body).await
            }
            Wants::Else => {
                discard(body.take()).await;
                let host = parts.headers.get(HOST).and_then(|h| h.to_str().ok());
                let stub = stubs::answer(&parts.method, &segments, &self.options.version, host);
                Ok(match stub {
                    Some((status, body)) => answers::answer(&parts.headers, status, body),
                    None => {
                        let reason = format!(
                            "no handler found for uri [{}] and method [{}]; documents are taken, and nothing else",
                            parts.uri.path(),
                            parts.method
                        );
                        answers::error(
                            &parts.headers,
                            StatusCode::BAD_REQUEST,
                            "illegal_argument_exception",
                            &reason,
                        )
                    }
                })
            }
        }
    }

    async fn bulk(&self, parts: &Parts, visit: &Visit, index: &str, body: Vec<u8>) -> Result<Response, No> {
        let started = Instant::now();
        let record_bytes = visit.admitted.limits.record_bytes;
        let (seen, origin, path_index) = (self.seen.clone(), visit.admitted.origin.clone(), index.to_owned());
        let (body, bulk) = aside(body.len(), move || {
            let bulk = items::cut(&body, record_bytes, &path_index, &origin, &seen);
            (body, bulk)
        })
        .await?;
        let Bulk { cut, items, keys } = match bulk {
            Ok(bulk) => bulk,
            Err(malformed) => {
                // Shippers drop what is answered 400.
                if malformed != items::Malformed::Nothing {
                    self.http.bury(visit, malformed.to_string(), &body).await;
                }
                let kind = "illegal_argument_exception";
                let reason = malformed.to_string();
                return Ok(answers::error(&parts.headers, StatusCode::BAD_REQUEST, kind, &reason));
            }
        };
        if reads_the_status(&parts.headers) {
            self.http.keep(visit, cut).await?;
        } else {
            self.http.keep_waiting(visit, cut).await?;
        }
        self.seen.remember(&keys);
        let brief = is_brief(parts.uri.query());
        let told = Told {
            body: &body,
            items: &items,
            path_index: index,
            took: started.elapsed(),
            ids: &self.ids,
            brief,
        };
        Ok(answers::answer(&parts.headers, StatusCode::OK, told.write()))
    }

    async fn document(
        &self,
        parts: &Parts,
        visit: &Visit,
        (index, op, id): (&str, Op, Option<&str>),
        body: Vec<u8>,
    ) -> Result<Response, No> {
        let started = Instant::now();
        let mut cut = Cut::new(visit.admitted.limits.record_bytes);
        let origin = visit.admitted.origin.name().as_bytes();
        let key =
            id.filter(|_| op == Op::Create).map(|id| self.seen.key(origin, index.as_bytes(), id.as_bytes()));
        let document = body.trim_ascii();
        let fate = if key.is_some_and(|key| self.seen.has(key)) {
            cut.refuse();
            Fate::Known
        } else if !items::is_object(document) {
            cut.odd("a document that is no JSON object", document);
            Fate::Odd
        } else if cut.push(document) {
            Fate::Taken
        } else {
            Fate::TooLong
        };
        self.http.keep(visit, cut).await?;
        if let Some(key) = key.filter(|_| fate == Fate::Taken) {
            self.seen.remember(&[key]);
        }
        let named = id.unwrap_or_default().as_bytes();
        let item = Item { op, index: Span::default(), id: Span::whole(named), fate };
        let told = Told {
            body: named,
            items: &[item],
            path_index: index,
            took: started.elapsed(),
            ids: &self.ids,
            brief: false,
        };
        let (status, body) = told.write_one();
        Ok(answers::answer(&parts.headers, status, body))
    }
}

/// rsyslog as Debian 12 has it (8.2302) looks at no status: it gives up what was answered with JSON that has no items,
/// and repeats what was answered with anything else, a document a request (tried). It names no User-Agent; all others
/// do. So it is answered when there is room, as if it were slow: it waits as long as it takes.
fn reads_the_status(headers: &HeaderMap) -> bool {
    headers.contains_key(USER_AGENT)
}

/// Whether the client wants to read nothing but states and errors.
fn is_brief(query: Option<&str>) -> bool {
    let Some(wanted) = answer::parameter(query, "filter_path") else { return false };
    let known = |part: &str| {
        matches!(part, "errors" | "took" | "items.*.status") || part.starts_with("items.*.error")
    };
    wanted.split(',').all(known)
}

fn refused(headers: &HeaderMap, no: No) -> Response {
    let error = |status, kind, reason| answers::error(headers, status, kind, reason);
    let again = |status, kind, reason: &'static str, wait| {
        let response = if reads_the_status(headers) {
            error(status, kind, reason)
        } else {
            answer::of(status, HeaderValue::from_static("text/plain"), reason)
        };
        answer::later(response, wait)
    };
    let busy =
        |reason, wait| again(StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception", reason, wait);
    match no {
        No::Nothing | No::Unreadable | No::Stranger => {
            let text = match no {
                No::Nothing => "missing authentication credentials",
                _ => "unable to authenticate with provided credentials",
            };
            let mut response = error(StatusCode::UNAUTHORIZED, "security_exception", text);
            for way in ["Basic realm=\"security\" charset=\"UTF-8\"", "Bearer realm=\"security\"", "ApiKey"] {
                response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
            response
        }
        No::Crowded => busy("too many requests of this source at one time", SOON),
        No::Wait(wait) => busy("more documents than this source may send", wait),
        No::Refused(Refusal::Closing) => {
            let (status, kind) = (StatusCode::SERVICE_UNAVAILABLE, "node_closed_exception");
            again(status, kind, "the service is shutting down", SOON)
        }
        No::Refused(_) => busy("the service is busy", SOON),
        No::Coding => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            error(status, "content_type_header_exception", "use gzip or no Content-Encoding")
        }
        No::TooLarge => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            error(status, "content_too_long_exception", "larger than this source may send at a time")
        }
        No::Damaged | No::BrokenOff => {
            error(StatusCode::BAD_REQUEST, "parse_exception", "what is packed is damaged or ends too early")
        }
        No::TooSlow => {
            error(StatusCode::REQUEST_TIMEOUT, "timeout_exception", "the body did not arrive in time")
        }
    }
}
