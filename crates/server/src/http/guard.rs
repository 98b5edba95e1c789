//! Before and after every request to page and API: is it meant for this service, and what may a browser do with the
//! answer?

use crate::app::App;
use crate::desk::Fault;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use tracing::Instrument;

/// Nothing but our own files; no inline script or style, no frame, no form that posts elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The host that the request names, with its port.
pub(crate) fn host(parts: &Parts) -> Option<&str> {
    match parts.headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => parts.uri.authority().map(|a| a.as_str()),
    }
}

/// A page elsewhere whose name was made to point here is another name: addresses, `localhost` and the public name alone
/// are ours.
fn is_ours(app: &App, host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    if name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let public = app.config.web.public_url.as_deref().and_then(|u| url::Url::parse(u).ok());
    public.as_ref().and_then(|u| u.host_str()).is_some_and(|ours| ours.eq_ignore_ascii_case(name))
}

pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body): (Parts, Body) = request.into_parts();
    let mut answer = if host(&parts).is_some_and(|h| is_ours(&app, h)) {
        // The route and not the address: there may be a token in it.
        let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        let span = tracing::info_span!(
            "request",
            method = parts.method.as_str(),
            route,
            status = tracing::field::Empty
        );
        let answer = next.run(Request::from_parts(parts, body)).instrument(span.clone()).await;
        span.record("status", answer.status().as_u16());
        answer
    } else {
        Fault::Host.into_response()
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    // Files with a hash in their names say themselves how long they are kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.accounts.https {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    answer
}
