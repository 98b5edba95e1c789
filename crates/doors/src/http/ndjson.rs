//! Plain lines over HTTP: text, one JSON value a line, or a JSON array.

use super::admit::Scheme;
use super::answer::{self, SOON};
use super::body::aside;
use super::keep::Cut;
use super::{Http, No};
use crate::declaration::Declaration;
use crate::intake::Refusal;
use crate::json::{Fault, Json};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::post;
use memchr::memchr_iter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub static DOOR: Declaration = Declaration {
    name: "ndjson",
    title: "Lines over HTTP",
    peers: "curl, scripts, Vector (http), Fluent Bit (http), Logstash (http), syslog-ng (http), rsyslog (omhttp)",
    point_at_it: "`curl -H 'Authorization: Bearer TOKEN' -H 'Content-Type: text/plain' --data-binary @FILE \
                  https://HOST/ingest`; `application/x-ndjson` alike; `application/json` for a JSON array or JSON \
                  values side by side; gzip, deflate or zstd",
    tested: "curl",
    record: "a line, without its end; of `application/json`, an element or a value as it was sent",
    source: "own; status 200 means stored, 429 and 503 with Retry-After mean: come again",
};

/// How lines are taken.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NdjsonOptions {
    /// Whether the door is open.
    pub enabled: bool,
    /// Path of the address that records are sent to.
    pub path: String,
}

impl Default for NdjsonOptions {
    fn default() -> Self {
        NdjsonOptions { enabled: true, path: "/ingest".to_owned() }
    }
}

pub(super) fn routes(http: &Arc<Http>, options: &NdjsonOptions) -> Router {
    Router::new().route(&options.path, post(ingest)).with_state(http.clone())
}

async fn ingest(State(http): State<Arc<Http>>, request: Request) -> Response {
    match take(&http, request).await {
        Ok((stored, dead, None)) => {
            answer::json(StatusCode::OK, format!(r#"{{"stored":{stored},"dead":{dead}}}"#))
        }
        Ok((stored, dead, Some(fault))) => {
            let body = format!(r#"{{"error":"{fault}","stored":{stored},"dead":{dead}}}"#);
            answer::json(StatusCode::BAD_REQUEST, body)
        }
        Err(no) => refused(no),
    }
}

async fn take(http: &Http, request: Request) -> Result<(usize, usize, Option<Fault>), No> {
    let (parts, body) = request.into_parts();
    let (visit, body) = http.receive(DOOR.name, &[Scheme::Bearer, Scheme::Basic], &parts, body).await?;
    let is_json = parts.headers.get(CONTENT_TYPE).is_some_and(|t| {
        let name = t.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"application/json")
    });
    let record_bytes = visit.admitted.limits.record_bytes;
    let (cut, fault) = aside(body.len(), move || {
        let mut cut = Cut::new(record_bytes);
        let fault = if is_json {
            values(&body, &mut cut).err()
        } else {
            lines(&body, &mut cut);
            None
        };
        (cut, fault)
    })
    .await?;
    let (stored, dead) = (cut.records.len(), cut.dead());
    http.keep(&visit, cut).await?;
    Ok((stored, dead, fault))
}

/// A record a line, without its end; empty lines are none.
pub(super) fn lines(body: &[u8], cut: &mut Cut) {
    let mut from = 0;
    let mut line = |to: usize| {
        let line = body.get(from..to).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            cut.push(line);
        }
        from = to + 1;
    };
    memchr_iter(b'\n', body).for_each(&mut line);
    line(body.len());
}

/// The elements of an array, or values side by side.
fn values(body: &[u8], cut: &mut Cut) -> Result<(), Fault> {
    let mut json = Json::new(body);
    let mut from = 0;
    let mut one = |json: &mut Json<'_>| {
        json.peek();
        from = json.at();
        // An element borrows from the body; only the reader knows that.
        json.value()?;
        cut.push(body.get(from..json.at()).unwrap_or_default());
        Ok(())
    };
    let read = if json.peek() == Some(b'[') {
        json.array(&mut one).and_then(|()| if json.is_at_end() { Ok(()) } else { Err(Fault::Odd(json.at())) })
    } else {
        let mut read = Ok(());
        while read.is_ok() && !json.is_at_end() {
            read = one(&mut json);
        }
        read
    };
    read.inspect_err(|fault| cut.odd(fault.to_string(), body.get(from..).unwrap_or_default()))
}

/// Also the Kubernetes webhook's words: it reads the status only.
pub(super) fn refused(no: No) -> Response {
    let (status, text) = match no {
        No::Nothing | No::Unreadable | No::Stranger => {
            (StatusCode::UNAUTHORIZED, "show a token: `Authorization: Bearer TOKEN`")
        }
        No::Crowded => (StatusCode::TOO_MANY_REQUESTS, "too many requests of this source at one time"),
        No::Wait(_) => (StatusCode::TOO_MANY_REQUESTS, "more records than this source may send"),
        No::Coding => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "pack it with gzip, deflate or zstd, or not at all")
        }
        No::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "larger than this source may send; send less at a time")
        }
        No::Damaged => (StatusCode::BAD_REQUEST, "what is packed is damaged or ends too early"),
        No::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        No::BrokenOff => (StatusCode::BAD_REQUEST, "the body broke off"),
        No::Refused(Refusal::Closing) => (StatusCode::SERVICE_UNAVAILABLE, "the service is shutting down"),
        No::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, "the service is busy"),
    };
    let response = answer::json(status, format!(r#"{{"error":"{text}"}}"#));
    match no {
        No::Wait(wait) => answer::later(response, wait),
        No::Crowded | No::Refused(_) => answer::later(response, SOON),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cut_up: impl Fn(&[u8], &mut Cut), body: &str, expect: &[&str], dead: usize) {
        let mut cut = Cut::new(100);
        cut_up(body.as_bytes(), &mut cut);
        let got: Vec<_> = cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!((got, cut.dead()), (expect.iter().map(|e| e.to_string()).collect(), dead), "{body}");
    }

    #[test]
    fn lines_with_any_end() {
        check(lines, "one\r\ntwo\n\n\r\nthree", &["one", "two", "three"], 0);
        check(lines, "", &[], 0);
        check(lines, "\n", &[], 0);
        check(lines, " [brackets] are text\n", &[" [brackets] are text"], 0);
        check(lines, &"x".repeat(101), &[], 1);
    }

    #[test]
    fn elements_and_values() {
        let all = |body: &[u8], cut: &mut Cut| {
            values(body, cut).ok();
        };
        check(all, r#"[{"a":1}, "b" ,[2]]"#, &[r#"{"a":1}"#, r#""b""#, "[2]"], 0);
        check(all, "{\"a\":1}\n{\"b\":2}", &[r#"{"a":1}"#, r#"{"b":2}"#], 0);
        check(all, "[]", &[], 0);
        check(all, r#"[{"a":1},{"b""#, &[r#"{"a":1}"#], 1);
        check(all, r#"{"a":1} oops"#, &[r#"{"a":1}"#], 1);
    }
}
