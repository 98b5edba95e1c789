//! What comes with a request of the API: parts of the address, a query, and a body of JSON. Forms are `page::form`'s.

use super::session::{check_csrf, check_origin, visitor, who};
use crate::app::App;
use crate::desk::sign_in::Visitor;
use crate::desk::{Fault, Once, Who};
use crate::service::blocking;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The largest body that is read.
const MOST: usize = 1 << 20;

/// A request without anything to say.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Parts of the address. What has not their form is not there.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for At<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<At<T>, Fault> {
        // Who is not known does not learn which addresses there are.
        who(app, parts).await?;
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(at)) => Ok(At(at)),
            Err(_) => Err(Fault::not_found("such thing")),
        }
    }
}

/// The query of an address.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Asked<T>, Fault> {
        query(parts.uri.query().unwrap_or_default()).map(Asked)
    }
}

/// Fields without content say nothing: pages send the empty ones of their filters as well.
fn query<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let mut pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(text).map_err(|e| Fault::Body(e.to_string()))?;
    pairs.retain(|(_, value)| !value.is_empty());
    let again = serde_urlencoded::to_string(&pairs).map_err(|e| Fault::Body(e.to_string()))?;
    serde_urlencoded::from_str(&again).map_err(|e| Fault::invalid("field", e.to_string()))
}

struct Read<T> {
    input: T,
    /// Stands in the body beside what was asked for.
    revision: Option<i64>,
    hash: [u8; 32],
}

/// The whole body, within bounds.
pub(crate) async fn body(from: Body) -> Result<Bytes, Fault> {
    match Limited::new(from, MOST).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Fault::TooLarge(MOST)),
        Err(error) => Err(Fault::Body(error.to_string())),
    }
}

async fn read<T: DeserializeOwned>(parts: &Parts, from: Body) -> Result<Read<T>, Fault> {
    let bytes = body(from).await?;
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), bytes.as_ref()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize().into();
    let kind = parts.headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let kind = kind.map(|k| k.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match kind.as_deref() {
        None if bytes.is_empty() => json(b"{}", hash),
        Some("application/json") if bytes.is_empty() => json(b"{}", hash),
        Some("application/json") => json(&bytes, hash),
        _ => Err(Fault::Media),
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8], hash: [u8; 32]) -> Result<Read<T>, Fault> {
    let mut value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| Fault::Body(e.to_string()))?;
    let said = value.as_object_mut().and_then(|map| map.remove("revision"));
    let revision = said
        .map(|said| said.as_i64().ok_or_else(|| Fault::invalid("revision", "is no number")))
        .transpose()?;
    let input = T::deserialize(value).map_err(|e| Fault::invalid("body", e.to_string()))?;
    Ok(Read { input, revision, hash })
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|v| v.trim().trim_matches('"').parse().ok());
    number.map(Some).ok_or_else(|| Fault::invalid("If-Match", "write \"N\", the revision of the last answer"))
}

fn once(headers: &HeaderMap, request: [u8; 32]) -> Result<Option<Once>, Fault> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(Once { key: key.to_owned(), request })),
        _ => Err(Fault::invalid("Idempotency-Key", "1 to 255 visible characters")),
    }
}

/// A request that changes something: who, what, and on which revision it rests.
pub(crate) struct Act<T> {
    pub(crate) who: Who,
    pub(crate) visitor: Visitor,
    pub(crate) input: T,
    revision: Option<i64>,
}

impl<T: DeserializeOwned + Send> FromRequest<Arc<App>> for Act<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Act<T>, Fault> {
        let (mut parts, body) = request.into_parts();
        let mut who = who(app, &mut parts).await?;
        // A page of another site is turned away before its body is read.
        check_csrf(app, &parts, &who, None)?;
        let read = read::<T>(&parts, body).await?;
        who.once = once(&parts.headers, read.hash)?;
        let revision = if_match(&parts.headers)?.or(read.revision);
        let visitor = visitor(app, &parts);
        Ok(Act { who, visitor, input: read.input, revision })
    }
}

impl<T: Send + 'static> Act<T> {
    /// Does it where that may block, and answers.
    pub(crate) async fn run<O: Serialize + Send + 'static>(
        self,
        app: Arc<App>,
        f: impl FnOnce(&App, &Who, &T) -> Result<O, Fault> + Send + 'static,
    ) -> Response {
        let Act { who, input, .. } = self;
        answer(blocking(move || f(&app, &who, &input)).await)
    }

    /// As `run`, on the revision that the request names.
    pub(crate) async fn on_revision<O: Serialize + Send + 'static>(
        self,
        app: Arc<App>,
        f: impl FnOnce(&App, &Who, i64, &T) -> Result<O, Fault> + Send + 'static,
    ) -> Response {
        let Some(revision) = self.revision else { return Fault::NoRevision.into_response() };
        self.run(app, move |app, who, input| f(app, who, revision, input)).await
    }
}

pub(crate) fn answer<O: Serialize>(done: Result<O, Fault>) -> Response {
    match done {
        Ok(done) => Json(done).into_response(),
        Err(fault) => fault.into_response(),
    }
}

pub(crate) fn see_other(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// A request of somebody who is not signed in yet.
pub(crate) struct Open<T> {
    pub(crate) visitor: Visitor,
    pub(crate) headers: HeaderMap,
    pub(crate) input: T,
}

impl<T: DeserializeOwned + Send> FromRequest<Arc<App>> for Open<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Open<T>, Fault> {
        let (parts, body) = request.into_parts();
        check_origin(app, &parts)?;
        let read = read::<T>(&parts, body).await?;
        let visitor = visitor(app, &parts);
        Ok(Open { visitor, headers: parts.headers, input: read.input })
    }
}
