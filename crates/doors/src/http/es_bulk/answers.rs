//! What Elasticsearch would answer.

use super::items::{Fate, Item};
use crate::json::{quote, unescape};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SHARDS: &str = r#""_shards":{"total":1,"successful":1,"failed":0}"#;

/// Ids for documents that were sent without one.
pub(super) struct Ids(AtomicU64);

impl Ids {
    pub(super) fn new() -> Ids {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ids(AtomicU64::new(u64::try_from(now.as_nanos()).unwrap_or_default()))
    }

    fn next(&self, out: &mut Vec<u8>) {
        write(out, format_args!("\"{:020x}\"", self.0.fetch_add(1, Ordering::Relaxed)));
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all that is written to it");
}

/// In the media type that the client asked for, and with the header that Elastic's clients look for.
pub(super) fn answer(headers: &HeaderMap, status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = crate::http::answer::of(status, media_type(headers), body);
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}

/// `application/vnd.elasticsearch+json;compatible-with=N` for who speaks it.
fn media_type(headers: &HeaderMap) -> HeaderValue {
    let asked = headers.get(ACCEPT).or_else(|| headers.get(CONTENT_TYPE)).and_then(|a| a.to_str().ok());
    let version = asked.filter(|a| a.contains("application/vnd.elasticsearch+")).map(|asked| {
        let after = asked.split_once("compatible-with=").map_or("8", |(_, after)| after);
        after.bytes().take_while(u8::is_ascii_digit).take(2).collect::<Vec<_>>()
    });
    let typed = version.and_then(|v| {
        let head = b"application/vnd.elasticsearch+json;compatible-with=";
        HeaderValue::from_bytes(&[head, &v[..]].concat()).ok()
    });
    typed.unwrap_or(HeaderValue::from_static("application/json"))
}

/// An error of the whole request.
pub(super) fn error(headers: &HeaderMap, status: StatusCode, kind: &str, reason: &str) -> Response {
    let mut cause = format!(r#""type":"{kind}","reason":"#).into_bytes();
    quote(reason.as_bytes(), &mut cause);
    let mut body = br#"{"error":{"root_cause":[{"#.to_vec();
    body.extend_from_slice(&cause);
    body.extend_from_slice(b"}],");
    body.extend_from_slice(&cause);
    write(&mut body, format_args!("}},\"status\":{}}}", status.as_u16()));
    answer(headers, status, body)
}

/// What `GET /` says.
pub(super) fn info(version: &str) -> Vec<u8> {
    let mut body = br#"{"name":"portreeve","cluster_name":"portreeve","cluster_uuid":"cG9ydHJlZXZlLXBvcnRyZQ","version":{"number":"#.to_vec();
    quote(version.as_bytes(), &mut body);
    body.extend_from_slice(
        br#","build_flavor":"default","build_type":"docker","build_hash":"0000000000000000000000000000000000000000","build_date":"2025-01-01T00:00:00.000000000Z","build_snapshot":false,"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}"#,
    );
    body
}

/// What the items came to, one answer each, in their order.
pub(super) struct Told<'a> {
    pub(super) body: &'a [u8],
    pub(super) items: &'a [Item],
    pub(super) path_index: &'a str,
    pub(super) took: Duration,
    pub(super) ids: &'a Ids,
    /// Only states and errors, as Beats and others ask for by `filter_path`.
    pub(super) brief: bool,
}

impl Told<'_> {
    pub(super) fn write(&self) -> Vec<u8> {
        let errors = self.items.iter().any(|item| item.fate != Fate::Taken);
        let mut out = Vec::with_capacity(64 + self.items.len() * if self.brief { 32 } else { 200 });
        write(&mut out, format_args!(r#"{{"took":{},"errors":{errors},"items":["#, self.took.as_millis()));
        for (n, item) in self.items.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write(&mut out, format_args!(r#"{{"{}":{{"#, item.op.name()));
            if !self.brief {
                self.name(item, &mut out);
                out.push(b',');
            }
            self.fate(item, &mut out);
            out.extend_from_slice(b"}}");
        }
        out.extend_from_slice(b"]}");
        out
    }

    /// The answer for a single document, with its status.
    pub(super) fn write_one(&self) -> (StatusCode, Vec<u8>) {
        let mut out = b"{".to_vec();
        let Some(item) = self.items.first() else { return (StatusCode::BAD_REQUEST, b"{}".to_vec()) };
        if let Some((status, kind, reason)) = self.wrong(item) {
            let cause = format!(r#""type":"{kind}","reason":"{reason}""#);
            let error = format!(r#""error":{{"root_cause":[{{{cause}}}],{cause}}},"status":{status}}}"#);
            out.extend_from_slice(error.as_bytes());
            return (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), out);
        }
        self.name(item, &mut out);
        write(
            &mut out,
            format_args!(r#","_version":1,"result":"created",{SHARDS},"_seq_no":0,"_primary_term":1}}"#),
        );
        (StatusCode::CREATED, out)
    }

    fn name(&self, item: &Item, out: &mut Vec<u8>) {
        out.extend_from_slice(br#""_index":"#);
        match item.index.of(self.body) {
            [] => quote(self.path_index.as_bytes(), out),
            index => requote(index, out),
        }
        out.extend_from_slice(br#","_id":"#);
        match item.id.of(self.body) {
            [] if item.fate == Fate::Taken => self.ids.next(out),
            [] => out.extend_from_slice(b"null"),
            id => requote(id, out),
        }
    }

    fn fate(&self, item: &Item, out: &mut Vec<u8>) {
        match self.wrong(item) {
            None if self.brief => out.extend_from_slice(br#""status":201"#),
            None => write(
                out,
                format_args!(
                    r#""_version":1,"result":"created",{SHARDS},"_seq_no":0,"_primary_term":1,"status":201"#
                ),
            ),
            Some((status, kind, reason)) => write(
                out,
                format_args!(r#""status":{status},"error":{{"type":"{kind}","reason":"{reason}"}}"#),
            ),
        }
    }

    fn wrong(&self, item: &Item) -> Option<(u16, &'static str, &'static str)> {
        Some(match item.fate {
            Fate::Taken => return None,
            Fate::Known => (409, "version_conflict_engine_exception", "document already exists"),
            Fate::TooLong => {
                (400, "illegal_argument_exception", "the document is longer than this source may send")
            }
            Fate::Odd => (400, "document_parsing_exception", "the document is no JSON object"),
            Fate::Unsupported => {
                (400, "illegal_argument_exception", "documents are kept as they came: use create or index")
            }
        })
    }
}

/// The inside of a string again, as a string that is surely one.
fn requote(inside: &[u8], out: &mut Vec<u8>) {
    // Ids and names are plain but for a hostile one.
    if inside.iter().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')) {
        out.push(b'"');
        out.extend_from_slice(inside);
        out.push(b'"');
        return;
    }
    let mut text = Vec::new();
    unescape(inside, &mut text);
    quote(&text, out);
}
