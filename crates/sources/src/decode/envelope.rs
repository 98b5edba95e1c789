//! What shippers wrap around a raw record: Filebeat, Fluent Bit, Vector, Logstash, Docker, CloudWatch, EventBridge,
//! Splunk, Elastic hits. The raw record wins over whatever the shipper made of it.

use super::clock;
use super::clock::Stamp;
use super::json::{Paths, Value};
use portreeve_model::EventTime;
use std::borrow::Cow;
use std::sync::LazyLock;

/// A record found inside a JSON object.
pub(crate) struct Inner<'a> {
    pub(crate) raw: Cow<'a, [u8]>,
    pub(crate) host: &'a [u8],
    pub(crate) time: Option<EventTime>,
}

/// First keys of products whose JSON is the record itself: nothing to look for, at no cost.
const NATIVE: [&[u8]; 12] = [
    b"eventVersion",
    b"kind",
    b"apiVersion",
    b"actor",
    b"resourceId",
    b"AlertId",
    b"metadata",
    b"EventTime",
    b"Event",
    b"CreationTime",
    b"awsRegion",
    b"event_type",
];

const N: usize = 24;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "event.original",
        "@message",
        "_raw",
        "result._raw",
        "_source.event.original",
        "_source.message",
        "log.original",
        "message",
        "log",
        "MESSAGE",
        "raw",
        "rawmessage",
        "line",
        "msg",
        "Message",
        "winlog",
        "EventID",
        "eventType",
        "detail-type",
        "detail",
        "@timestamp",
        "host.name",
        "host",
        "hostname",
    ])
});

/// The record inside, if the object is an envelope.
pub(crate) fn open(object: &[u8]) -> Option<Inner<'_>> {
    let first = first_key(object)?;
    if NATIVE.contains(&first) {
        return None;
    }
    let v = PATHS.pick(object).ok()?;
    // Products whose own records have a field called `message`.
    if !v[15].is_missing() || !v[16].is_missing() || !v[17].is_missing() {
        return None;
    }
    // Duo's authentication proxy: what it said is one field of its record.
    if !v[13].is_missing() && super::find::find(object, b"\"server_section\"").is_some() {
        return None;
    }
    if !v[18].is_missing()
        && let Value::Nested(detail) = v[19]
    {
        return Some(Inner { raw: Cow::Borrowed(detail), host: b"", time: None });
    }
    let text = v[..15].iter().find_map(|value| match value {
        Value::Text(t) if !t.trim_ascii().is_empty() => Some(value.text()),
        Value::Nested(n) if n.first() == Some(&b'{') => None,
        _ => None,
    })?;
    let time = match clock::iso(v[20].bytes()) {
        Some((Stamp::Absolute(t), _)) => Some(t),
        _ => None,
    };
    let host = [v[21], v[22], v[23]].iter().map(|h| h.bytes()).find(|h| !h.is_empty()).unwrap_or(b"");
    Some(Inner { raw: text, host, time })
}

fn first_key(object: &[u8]) -> Option<&[u8]> {
    let rest = object.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(object: &str) -> Option<String> {
        open(object.as_bytes()).map(|i| String::from_utf8_lossy(&i.raw).into_owned())
    }

    #[test]
    fn envelopes_and_native_records() {
        assert_eq!(raw(r#"{"id":3,"message":"<38>Oct 23 a\tb"}"#).as_deref(), Some("<38>Oct 23 a\tb"));
        assert_eq!(raw(r#"{"log":"line\n","stream":"stdout"}"#).as_deref(), Some("line\n"));
        assert_eq!(
            raw(r#"{"@timestamp":"2026-01-01T00:00:00Z","message":"parsed","event":{"original":"raw"}}"#)
                .as_deref(),
            Some("raw")
        );
        assert_eq!(raw(r#"{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{"eventVersion":"1.08"}}"#).as_deref(), Some(r#"{"eventVersion":"1.08"}"#));
        assert_eq!(
            raw(r#"{"@timestamp":"2026-01-01T00:00:00Z","winlog":{"event_id":4624},"message":"An account"}"#),
            None
        );
        assert_eq!(raw(r#"{"eventVersion":"1.08","message":"x"}"#), None);
        assert_eq!(raw(r#"{"msg":"Success.","server_section":"radius_server_auto"}"#), None);
        assert_eq!(raw(r#"{"a":1}"#), None);
        assert_eq!(raw("{"), None);
    }
}
