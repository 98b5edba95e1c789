//! One Windows event: XML text, winlogbeat or Elastic agent JSON, nxlog JSON, the JSON of an EVTX reader, or the flat
//! rows of a SIEM.
//!
//! Read from: Event Schema (Windows), Winlogbeat and nxlog reference manuals.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, Value};
use crate::record::{Record, Shape};
use portreeve_model::EventTime;
use portreeve_model::time::Certainty;
use std::borrow::Cow;
use std::sync::LazyLock;

const HEADS: usize = 22;
static HEAD: LazyLock<Paths<HEADS>> = LazyLock::new(|| {
    Paths::new([
        "winlog.event_id",
        "winlog.channel",
        "winlog.computer_name",
        "@timestamp",
        "winlog.event_data",
        "winlog.user_data",
        "winlog.provider_name",
        "EventID",
        "Channel",
        "Hostname",
        "EventTime",
        "SourceName",
        "Event.System.EventID",
        "Event.System.Channel",
        "Event.System.Computer",
        "Event.System.TimeCreated_attributes.SystemTime",
        "Event.EventData",
        "Event.UserData",
        "Computer",
        "TimeGenerated",
        "TimeCreated",
        "Event.System.Provider_attributes.Name",
    ])
});

/// Which shape the event came in.
enum Body<'a> {
    Xml(&'a [u8]),
    /// The object that holds the data fields.
    Json(&'a [u8]),
}

pub(crate) struct WinEvent<'a> {
    pub(crate) id: u32,
    pub(crate) channel: Cow<'a, [u8]>,
    pub(crate) provider: Cow<'a, [u8]>,
    pub(crate) computer: Cow<'a, [u8]>,
    stamp: &'a [u8],
    body: Body<'a>,
}

/// Cheap: does this look like a Windows event at all?
pub(crate) fn is_event(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(3_000)];
    match r.shape {
        Shape::Xml => r.body.starts_with(b"<Event") && crate::decode::find::find(head, b"<EventID").is_some(),
        Shape::Json => {
            crate::decode::find::find(r.body, b"\"winlog\"").is_some()
                || crate::decode::find::find(r.body, b"\"EventID\"").is_some()
                || crate::decode::find::find(head, b"\"Event\":{").is_some()
        }
        _ => false,
    }
}

impl<'a> WinEvent<'a> {
    pub(crate) fn of(r: &Record<'a>) -> Option<WinEvent<'a>> {
        match r.shape {
            Shape::Xml => Self::xml(r.body),
            Shape::Json => Self::json(r.body),
            _ => None,
        }
    }

    fn xml(text: &'a [u8]) -> Option<WinEvent<'a>> {
        let tag = |name: &[u8]| -> &'a [u8] {
            let Some(open) = find_tag(text, name) else { return b"" };
            let inner = &text[open..];
            &inner[..memchr::memchr(b'<', inner).unwrap_or(inner.len())]
        };
        let attribute = |name: &[u8]| -> &'a [u8] {
            let Some(at) = crate::decode::find::find(text, name) else { return b"" };
            let rest = &text[at + name.len()..];
            let Some(quote @ (b'\'' | b'"')) = rest.first().copied() else { return b"" };
            &rest[1..memchr::memchr(quote, &rest[1..]).map_or(rest.len(), |n| n + 1)]
        };
        Some(WinEvent {
            id: u32::try_from(crate::decode::kv::number(tag(b"EventID"))).ok()?,
            channel: unescape_xml(tag(b"Channel")),
            provider: unescape_xml(attribute(b"Provider Name=")),
            computer: unescape_xml(tag(b"Computer")),
            stamp: attribute(b"SystemTime="),
            body: Body::Xml(text),
        })
    }

    fn json(text: &'a [u8]) -> Option<WinEvent<'a>> {
        let v = HEAD.pick(text).ok()?;
        let id_of = |v: Value<'_>| match v {
            Value::Nested(n) => {
                // `"EventID":{"#text":4624,…}`
                let digits = n.iter().position(u8::is_ascii_digit)?;
                u32::try_from(crate::decode::kv::number(&n[digits..])).ok()
            }
            v if v.is_missing() => None,
            v => u32::try_from(crate::decode::kv::number(v.bytes())).ok(),
        };
        if let Some(id) = id_of(v[0]) {
            let data = if v[4].nested().is_empty() { v[5].nested() } else { v[4].nested() };
            return Some(WinEvent {
                id,
                channel: v[1].text(),
                provider: v[6].text(),
                computer: v[2].text(),
                stamp: v[3].bytes(),
                body: Body::Json(data),
            });
        }
        if let Some(id) = id_of(v[12]) {
            let data = if v[16].nested().is_empty() { v[17].nested() } else { v[16].nested() };
            return Some(WinEvent {
                id,
                channel: v[13].text(),
                provider: v[21].text(),
                computer: v[14].text(),
                stamp: v[15].bytes(),
                body: Body::Json(data),
            });
        }
        let id = id_of(v[7])?;
        let computer = if v[9].is_missing() { v[18].text() } else { v[9].text() };
        let stamp = [v[10], v[19], v[20], v[3]]
            .into_iter()
            .map(Value::bytes)
            .find(|b| !b.is_empty())
            .unwrap_or_default();
        Some(WinEvent {
            id,
            channel: v[8].text(),
            provider: v[11].text(),
            computer,
            stamp,
            body: Body::Json(text),
        })
    }

    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        match clock::iso(self.stamp) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
            None => clock::epoch(self.stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
        }
    }

    /// A data field by its schema name; empty where it is missing.
    pub(crate) fn get(&self, name: &str) -> Cow<'a, [u8]> {
        match self.body {
            Body::Xml(text) => unescape_xml(xml_data(text, name.as_bytes())),
            Body::Json(object) => json_field(object, name.as_bytes()),
        }
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        crate::decode::kv::number(&self.get(name))
    }
}

/// The text behind `<name …>`.
fn find_tag(text: &[u8], name: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = crate::decode::find::find(&text[from..], name).map(|n| n + from) {
        from = at + name.len();
        if at > 0 && text[at - 1] == b'<' && matches!(text.get(from), Some(b'>' | b' ')) {
            return memchr::memchr(b'>', &text[from..]).map(|n| from + n + 1);
        }
    }
    None
}

/// `<Data Name='X'>value</Data>`, or the element `<X>value</X>` of user data.
fn xml_data<'a>(text: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut from = 0;
    while let Some(at) = crate::decode::find::find(&text[from..], name).map(|n| n + from) {
        let end = at + name.len();
        from = end;
        let quoted = at > 0 && matches!(text[at - 1], b'\'' | b'"') && text.get(end) == Some(&text[at - 1]);
        let element = at > 0 && text[at - 1] == b'<' && matches!(text.get(end), Some(b'>' | b' '));
        if !quoted && !element {
            continue;
        }
        let Some(close) = memchr::memchr(b'>', &text[end..]).map(|n| end + n) else { return b"" };
        if text[close - 1] == b'/' {
            return b"";
        }
        let value = &text[close + 1..];
        return &value[..memchr::memchr(b'<', value).unwrap_or(value.len())];
    }
    b""
}

/// A field anywhere in the object (events nest at most one level of user data).
fn json_field<'a>(object: &'a [u8], name: &[u8]) -> Cow<'a, [u8]> {
    let mut from = 0;
    while let Some(at) = crate::decode::find::find(&object[from..], name).map(|n| n + from) {
        let end = at + name.len();
        from = end;
        if at == 0 || object[at - 1] != b'"' || object.get(end) != Some(&b'"') {
            continue;
        }
        let rest = object[end + 1..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { continue };
        let rest = rest.trim_ascii_start();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut i = 0;
            while let Some(n) = memchr::memchr2(b'"', b'\\', &quoted[i.min(quoted.len())..]) {
                i += n;
                if quoted[i] == b'"' {
                    return crate::decode::json::unescape(&quoted[..i]);
                }
                i += 2;
            }
            return Cow::Borrowed(b"");
        }
        let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ')).unwrap_or(rest.len());
        let bare = &rest[..end];
        return Cow::Borrowed(if bare == b"null" || bare.starts_with(b"{") || bare.starts_with(b"[") {
            b""
        } else {
            bare
        });
    }
    Cow::Borrowed(b"")
}

fn unescape_xml(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'&', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end = memchr::memchr(b';', &rest[..rest.len().min(12)]);
        let decoded = end.and_then(|end| match &rest[1..end] {
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            [b'#', b'x' | b'X', hex @ ..] => {
                u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().and_then(char::from_u32)
            }
            [b'#', dec @ ..] => char::from_u32(u32::try_from(crate::decode::kv::number(dec)).ok()?),
            _ => None,
        });
        match (decoded, end) {
            (Some(c), Some(end)) => {
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                rest = &rest[end + 1..];
            }
            _ => {
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::clock::Clock;

    fn check(text: &str) {
        let clock = Clock::utc();
        let r = Record::bare(text.as_bytes(), &clock);
        assert!(is_event(&r), "{text}");
        let e = WinEvent::of(&r).expect("an event");
        assert_eq!(
            (e.id, &*e.computer, &*e.get("TargetUserName"), e.number("LogonType")),
            (4624, &b"WEB01"[..], &b"an&na"[..], 3),
            "{text}"
        );
        assert!(e.get("Nothing").is_empty());
        assert_eq!(e.time(&r).expect("a time").0.to_string(), "2026-03-04T05:06:07Z");
    }

    #[test]
    fn every_shape() {
        check(
            "<Event xmlns='x'><System><Provider Name='P'/><EventID>4624</EventID><TimeCreated SystemTime='2026-03-04T05:06:07.000000000Z'/><Channel>Security</Channel><Computer>WEB01</Computer></System><EventData><Data Name='TargetUserName'>an&amp;na</Data><Data Name='LogonType'>3</Data></EventData></Event>",
        );
        check(
            r#"{"@timestamp":"2026-03-04T05:06:07.000Z","winlog":{"channel":"Security","computer_name":"WEB01","event_id":"4624","event_data":{"TargetUserName":"an\u0026na","LogonType":"3"}}}"#,
        );
        check(
            r#"{"EventTime":"2026-03-04 05:06:07","Hostname":"WEB01","EventID":4624,"Channel":"Security","TargetUserName":"an&na","LogonType":"3"}"#,
        );
        check(
            r#"{"Event":{"System":{"EventID":4624,"Channel":"Security","Computer":"WEB01","TimeCreated_attributes":{"SystemTime":"2026-03-04T05:06:07Z"}},"EventData":{"TargetUserName":"an&na","LogonType":3}}}"#,
        );
    }
}
