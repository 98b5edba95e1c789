//! OpenTelemetry logs: OTLP over HTTP (`/v1/logs`, protobuf or JSON) and over gRPC.
//!
//! The messages are read field by field with a reader of our own: a request is a few thousand records of which only the
//! text is wanted, and generated types would build a tree of each.

pub mod grpc;
mod json;
mod object;
mod protobuf;

use super::admit::Scheme;
use super::answer::{self, SOON};
use super::body::aside;
use super::keep::Cut;
use super::{Http, No};
use crate::declaration::Declaration;
use crate::intake::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub static DOOR: Declaration = Declaration {
    name: "otlp",
    title: "OpenTelemetry logs over HTTP",
    peers: "OpenTelemetry Collector (otlphttp), the OpenTelemetry SDKs, Vector, Fluent Bit, Grafana Alloy",
    point_at_it: "`endpoint: https://HOST` (the path is `/v1/logs`) with the header `Authorization: Bearer TOKEN`; \
                  protobuf or JSON, gzip",
    tested: "the OpenTelemetry SDK for Python",
    record: "the text of `body` where it is a string, and not an empty one; else \
              an object of `body`, `attributes`, `resource` and times",
    source: "OpenTelemetry Protocol 1.x: OTLP/HTTP; opentelemetry/proto/logs/v1/logs.proto",
};

/// How OpenTelemetry's protocol is spoken.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpOptions {
    /// Whether the door is open.
    pub enabled: bool,
}

impl Default for OtlpOptions {
    fn default() -> Self {
        OtlpOptions { enabled: true }
    }
}

pub(super) fn routes(http: &Arc<Http>) -> Router {
    Router::new()
        .route("/v1/logs", post(logs))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(grpc::export))
        .with_state(http.clone())
}

const SCHEMES: [Scheme; 2] = [Scheme::Bearer, Scheme::Basic];

/// Values nested deeper than this are not taken.
const MAX_DEPTH: usize = 64;

/// Why a message, or a record in it, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Odd {
    #[error("the message ends too early")]
    Ends,
    #[error("not a message of logs")]
    Shape,
    #[error("a value is nested deeper than {MAX_DEPTH}")]
    Deep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// What the answer says of records that were not taken; they are kept as dead letters.
fn partial(dead: usize) -> Option<String> {
    (dead > 0).then(|| format!("{dead} records are longer than this source may send, or cannot be read"))
}

async fn logs(State(http): State<Arc<Http>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(form) = form(&parts) else {
        super::body::discard(body).await;
        let says = "send application/x-protobuf or application/json";
        return status(Form::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, grpc::INVALID_ARGUMENT, says);
    };
    let (visit, body) = match http.receive(DOOR.name, &SCHEMES, &parts, body).await {
        Ok(received) => received,
        Err(no) => return refused(form, no),
    };
    let record_bytes = visit.admitted.limits.record_bytes;
    let cut = aside(body.len(), move || {
        let mut cut = Cut::new(record_bytes);
        let read = match form {
            Form::Protobuf => protobuf::cut(&body, &mut cut),
            Form::Json => json::cut(&body, &mut cut),
        };
        read.map(|()| cut).map_err(|odd| (odd, body))
    })
    .await;
    let kept = match cut {
        Err(refusal) => Err(refusal),
        Ok(Err((odd, body))) => {
            http.bury(&visit, odd.to_string(), &body).await;
            return status(form, StatusCode::BAD_REQUEST, grpc::INVALID_ARGUMENT, &odd.to_string());
        }
        Ok(Ok(cut)) => {
            let dead = cut.dead();
            http.keep(&visit, cut).await.map(|()| dead)
        }
    };
    match kept {
        Ok(dead) => stored(form, dead),
        Err(refusal) => refused(form, No::Refused(refusal)),
    }
}

fn form(parts: &Parts) -> Option<Form> {
    let named = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match named.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Form::Protobuf),
        "application/json" => Some(Form::Json),
        _ => None,
    }
}

fn stored(form: Form, dead: usize) -> Response {
    let body = match (form, partial(dead)) {
        (Form::Protobuf, says) => protobuf::export_response(dead, says.as_deref()),
        (Form::Json, None) => b"{}".to_vec(),
        (Form::Json, Some(says)) => {
            let says =
                format!(r#"{{"partialSuccess":{{"rejectedLogRecords":"{dead}","errorMessage":"{says}"}}}}"#);
            says.into_bytes()
        }
    };
    of(form, StatusCode::OK, body)
}

fn of(form: Form, status: StatusCode, body: Vec<u8>) -> Response {
    let content_type = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    answer::of(status, HeaderValue::from_static(content_type), body)
}

/// An error is a `google.rpc.Status`.
fn status(form: Form, status: StatusCode, code: u8, says: &str) -> Response {
    let body = match form {
        Form::Protobuf => protobuf::status(code, says, None),
        Form::Json => format!(r#"{{"code":{code},"message":"{says}"}}"#).into_bytes(),
    };
    of(form, status, body)
}

fn refused(form: Form, no: No) -> Response {
    let (code, says) = grpc::words(&no);
    let http_status = match no {
        No::Nothing | No::Unreadable | No::Stranger => StatusCode::UNAUTHORIZED,
        No::Crowded | No::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        No::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        No::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        No::Damaged | No::BrokenOff => StatusCode::BAD_REQUEST,
        No::TooSlow => StatusCode::REQUEST_TIMEOUT,
        No::Refused(Refusal::Full | Refusal::Closing | Refusal::Disk(_)) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let response = status(form, http_status, code, says);
    match no {
        No::Wait(wait) => answer::later(response, wait),
        No::Crowded | No::Refused(_) => answer::later(response, SOON),
        _ => response,
    }
}
