//! OTLP over gRPC: one method with one message each way, so gRPC's framing is all that is needed.

use super::super::admit::{self, Visit};
use super::super::answer::SOON;
use super::super::body::{Unread, aside};
use super::super::keep::Cut;
use super::super::{Http, No};
use super::{SCHEMES, partial, protobuf};
use crate::declaration::Declaration;
use crate::intake::Refusal;
use crate::unpack::{Coding, Unpack};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

pub static DOOR: Declaration = Declaration {
    name: "otlp_grpc",
    title: "OpenTelemetry logs over gRPC",
    peers: "OpenTelemetry Collector (otlp), the OpenTelemetry SDKs, Vector, Fluent Bit, Grafana Alloy",
    point_at_it: "`endpoint: HOST:4317` with the metadata `authorization: Bearer TOKEN`; gzip",
    tested: "the OpenTelemetry SDK for Python, grpcio",
    record: "as with OpenTelemetry logs over HTTP",
    source: "OpenTelemetry Protocol 1.x: OTLP/gRPC; gRPC over HTTP2; google/rpc/error_details.proto",
};

pub(super) const INVALID_ARGUMENT: u8 = 3;
const DEADLINE_EXCEEDED: u8 = 4;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// What is wrong, in gRPC's codes.
pub(super) fn words(no: &No) -> (u8, &'static str) {
    match no {
        No::Nothing | No::Unreadable | No::Stranger => {
            (UNAUTHENTICATED, "show a token: authorization: Bearer TOKEN")
        }
        No::Crowded => (UNAVAILABLE, "too many requests of this source at one time"),
        No::Wait(_) => (RESOURCE_EXHAUSTED, "more records than this source may send"),
        No::Coding => (UNIMPLEMENTED, "pack it with gzip, deflate or zstd, or not at all"),
        No::TooLarge => (RESOURCE_EXHAUSTED, "larger than this source may send; send less at a time"),
        No::Damaged => (INVALID_ARGUMENT, "what is packed is damaged or ends too early"),
        No::TooSlow => (DEADLINE_EXCEEDED, "the message did not arrive in time"),
        No::BrokenOff => (INVALID_ARGUMENT, "the message broke off"),
        No::Refused(Refusal::Closing) => (UNAVAILABLE, "the service is shutting down"),
        No::Refused(_) => (UNAVAILABLE, "the service is busy"),
    }
}

pub(super) async fn export(State(http): State<Arc<Http>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_grpc =
        parts.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let mut unread = Unread::new(&parts, body);
    let taken = take(&http, &parts, &mut unread).await;
    unread.end().await;
    match taken {
        Ok(dead) => stored(dead),
        Err(Failed::No(no)) => {
            let (code, says) = words(&no);
            // Only with these words a sender comes again after it was told that resources are exhausted.
            let retry = match no {
                No::Wait(wait) => Some(wait),
                No::Crowded | No::Refused(_) => Some(SOON),
                _ => None,
            };
            failed(code, says, retry)
        }
        Err(Failed::Odd(says)) => failed(INVALID_ARGUMENT, &says, None),
    }
}

enum Failed {
    No(No),
    Odd(String),
}

impl From<No> for Failed {
    fn from(no: No) -> Failed {
        Failed::No(no)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Failed {
        Failed::No(No::Refused(refusal))
    }
}

/// The number of records that became dead letters.
async fn take(http: &Http, parts: &Parts, body: &mut Unread) -> Result<usize, Failed> {
    let shown = admit::shown(parts, &SCHEMES);
    let mut visit = http.admit(DOOR.name, shown, parts.extensions.get())?;
    if let Some(wait) = visit.wait() {
        return Err(No::Wait(wait).into());
    }
    let framed = http.unpacked(&mut visit, Coding::Identity, body.take()).await?;
    let message = message(http, &visit, &parts.headers, framed).await?;
    let record_bytes = visit.admitted.limits.record_bytes;
    let cut = aside(message.len(), move || {
        let mut cut = Cut::new(record_bytes);
        protobuf::cut(&message, &mut cut).map(|()| cut).map_err(|odd| (odd, message))
    })
    .await?;
    match cut {
        Ok(cut) => {
            let dead = cut.dead();
            http.keep(&visit, cut).await?;
            Ok(dead)
        }
        Err((odd, message)) => {
            http.bury(&visit, odd.to_string(), &message).await;
            Err(Failed::Odd(odd.to_string()))
        }
    }
}

/// The one message of the call: a byte that says whether it is packed, its length, itself.
async fn message(
    http: &Http,
    visit: &Visit,
    headers: &HeaderMap,
    framed: Vec<u8>,
) -> Result<Vec<u8>, Failed> {
    let odd = "a call of one message is expected";
    let length = framed.get(1..5).and_then(|l| l.first_chunk()).map(|l| u32::from_be_bytes(*l));
    let whole = length.is_some_and(|l| l as usize + 5 == framed.len());
    let packed = framed.first().copied().unwrap_or_default();
    if !whole || packed > 1 {
        http.bury(visit, odd.to_owned(), &framed).await;
        return Err(Failed::Odd(odd.to_owned()));
    }
    if packed == 0 {
        let mut framed = framed;
        framed.drain(..5);
        return Ok(framed);
    }
    let named = headers.get("grpc-encoding").and_then(|e| e.to_str().ok()).unwrap_or_default();
    let coding = Coding::of(named).filter(|c| *c != Coding::Identity).ok_or(No::Coding)?;
    let most = visit.admitted.limits.unpacked_bytes;
    let unpacked = aside(framed.len(), move || {
        let mut unpack = Unpack::new(coding, most).map_err(|fault| (fault, Vec::new()))?;
        let fed = unpack.feed(framed.get(5..).unwrap_or_default());
        fed.map_err(|fault| (fault, unpack.so_far().to_vec()))?;
        unpack.finish()
    })
    .await?;
    match unpacked {
        Ok(message) => Ok(message),
        Err((fault, so_far)) => Err(http.not_unpacked(visit, fault, &so_far).await.into()),
    }
}

fn stored(dead: usize) -> Response {
    let message = protobuf::export_response(dead, partial(dead).as_deref());
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    framed.extend_from_slice(&message);
    let trailers = async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Some(Ok::<_, Infallible>(trailers))
    };
    grpc(Body::new(Full::new(Bytes::from(framed)).with_trailers(trailers)))
}

/// An answer without a message: its status stands in the headers.
fn failed(code: u8, says: &str, retry: Option<Duration>) -> Response {
    let mut response = grpc(Body::empty());
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if let Ok(says) = HeaderValue::from_str(says) {
        headers.insert("grpc-message", says);
    }
    let details = STANDARD_NO_PAD.encode(protobuf::status(code, says, retry));
    if let Ok(details) = HeaderValue::from_str(&details) {
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

fn grpc(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,deflate,zstd"));
    response
}
