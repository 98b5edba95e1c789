//! Small parts of answers that several doors give.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use std::time::Duration;

/// What a peer should wait where the door does not know better.
pub(crate) const SOON: Duration = Duration::from_secs(5);

pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    of(status, HeaderValue::from_static("application/json"), body)
}

pub(crate) fn of(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Says when to come again, in whole seconds.
pub(crate) fn later(mut response: Response, wait: Duration) -> Response {
    let s = wait.as_secs_f64().ceil().max(1.0);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(s as u64));
    response
}

/// The value of a parameter in a query, with `%` and `+` undone.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pair = query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })?;
    Some(plain(pair, true))
}

/// Text of a URL with `%` undone; what is not UTF-8 becomes U+FFFD.
pub(crate) fn plain(text: &str, plus_is_space: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|d| char::from(*d).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', ..) if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let query = Some("a=1&token=x%2Fy+z%&b");
        assert_eq!(parameter(query, "token").as_deref(), Some("x/y z%"));
        assert_eq!(parameter(query, "b").as_deref(), Some(""));
        assert_eq!(parameter(query, "c"), None);
        assert_eq!(parameter(None, "a"), None);
    }
}
