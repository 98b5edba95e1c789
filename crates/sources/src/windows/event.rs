//! One Windows event: XML text, Winlogbeat or Elastic agent JSON, NXLog JSON, the JSON of an EVTX reader, the flat rows
//! of a SIEM, and the texts that agents send over syslog.
//!
//! Read from: Event Schema (Windows); Winlogbeat, NXLog and Snare reference manuals; Azure Monitor tables
//! SecurityEvent, Event and WindowsEvent; Splunk Add-on for Microsoft Windows. Trap: `EventTime` is local time without a
//! zone; unless one is declared, the whole half hours to the shipper's own stamp beside it are the zone.

use super::look::Head;
use super::text::{self, Said};
use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, unescape};
use crate::record::{Record, Shape};
use portreeve_model::EventTime;
use portreeve_model::time::Certainty;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Every record of Windows has one of these, in whatever shape.
pub(crate) const MARKS: &[&str] = &[
    "<Event",
    "\"winlog\"",
    "\"EventID\"",
    "\"Event\":{",
    "\"event_id\"",
    "\"RawXml\"",
    "MSWinEventLog",
    "EventCode=",
    "WinEvtLog",
    "EventIDCode=",
    "EventID=",
];

/// Where each shape keeps a fact; the first that is there counts.
const HEADS: [&str; 45] = [
    // 0 number
    "winlog.event_id",
    "event_id",
    "Event.System.EventID",
    "EventID",
    "winlog\\.event_id",
    // 5 channel
    "winlog.channel",
    "log_name",
    "Event.System.Channel",
    "Channel",
    "EventLog",
    "LogName",
    "winlog\\.channel",
    // 12 provider
    "winlog.provider_name",
    "source_name",
    "Event.System.Provider_attributes.Name",
    "Event.System.Provider.#attributes.Name",
    "Event.System.Provider.@Name",
    "SourceName",
    "EventSourceName",
    "Provider",
    "ProviderName",
    "Source",
    "winlog\\.provider_name",
    // 23 computer
    "winlog.computer_name",
    "computer_name",
    "Event.System.Computer",
    "Hostname",
    "Computer",
    "winlog\\.computer_name",
    // 29 time
    "Event.System.TimeCreated_attributes.SystemTime",
    "Event.System.TimeCreated.#attributes.SystemTime",
    "Event.System.TimeCreated.@SystemTime",
    "EventTime",
    "TimeGenerated",
    "TimeCreated",
    // 35 data
    "winlog.event_data",
    "event_data",
    "Event.EventData",
    "EventData",
    // 39
    "@timestamp",
    // 40 Azure diagnostics: the event as XML inside its row
    "properties.EventId",
    "properties.Channel",
    "properties.ProviderName",
    "properties.RawXml",
    "time",
];
const CHANNEL: usize = 5;
const PROVIDER: usize = 12;
const COMPUTER: usize = 23;
const TIME: usize = 29;
const DATA: usize = 35;
const SHIPPED: usize = 39;
const DIAGNOSTICS: usize = 40;
static HEAD: LazyLock<Paths<{ HEADS.len() }>> = LazyLock::new(|| Paths::new(HEADS));

/// The two shapes that come by the million are asked for what they have and nothing else.
static WINLOG: LazyLock<Paths<6>> = LazyLock::new(|| {
    Paths::new([
        "winlog.event_id",
        "winlog.channel",
        "winlog.provider_name",
        "winlog.computer_name",
        "winlog.event_data",
        "@timestamp",
    ])
});
static EVTX: LazyLock<Paths<6>> = LazyLock::new(|| {
    Paths::new([
        "Event.System.EventID",
        "Event.System.Channel",
        "Event.System.Provider_attributes.Name",
        "Event.System.Computer",
        "Event.EventData",
        "Event.System.TimeCreated_attributes.SystemTime",
    ])
});

/// Which shape the event came in.
enum Body<'a> {
    Xml(&'a [u8]),
    /// The object that holds the data fields.
    Json(&'a [u8]),
    /// Winlogbeat's data, and the whole record: its modules move fields to where Elastic's schema has them.
    Winlog(&'a [u8], &'a [u8]),
    /// A flat row, and the data that one of its columns holds as text of its own.
    Row(&'a [u8], Vec<u8>),
    Text(Said<'a>),
}

pub(crate) struct WinEvent<'a> {
    pub(crate) id: u32,
    pub(crate) channel: Cow<'a, [u8]>,
    pub(crate) provider: Cow<'a, [u8]>,
    pub(crate) computer: Cow<'a, [u8]>,
    stamp: &'a [u8],
    /// When the shipper says it happened or passed.
    shipped: &'a [u8],
    body: Body<'a>,
}

/// Cheap: does this look like a Windows event at all?
pub(crate) fn is_event(r: &Record<'_>) -> bool {
    let head = r.body.get(..r.body.len().min(3_000)).unwrap_or_default();
    match r.shape {
        Shape::Xml => r.body.starts_with(b"<Event") && find(head, b"<EventID").is_some(),
        Shape::Json => {
            find(r.body, b"\"winlog").is_some()
                || find(r.body, b"\"EventID\"").is_some()
                || find(head, b"\"Event\":{").is_some()
                || find(r.body, b"\"event_id\"").is_some()
                    && (find(r.body, b"\"log_name\"").is_some() || find(r.body, b"\"winlog\"").is_some())
                || find(r.body, b"\"RawXml\"").is_some() && find(r.body, b"\"EventId\"").is_some()
        }
        Shape::Text => text::looks(r),
        _ => false,
    }
}

impl<'a> WinEvent<'a> {
    pub(crate) fn of(r: &Record<'a>) -> Option<WinEvent<'a>> {
        match r.shape {
            Shape::Xml => Self::xml(r.body),
            Shape::Json => Self::json(r.body),
            Shape::Text => text::read(r).map(Self::said),
            _ => None,
        }
    }

    fn said(said: Said<'a>) -> WinEvent<'a> {
        WinEvent {
            id: said.id,
            channel: Cow::Borrowed(said.channel),
            provider: Cow::Borrowed(said.provider),
            computer: Cow::Borrowed(said.computer),
            stamp: b"",
            shipped: b"",
            body: Body::Text(said),
        }
    }

    fn xml(text: &'a [u8]) -> Option<WinEvent<'a>> {
        let tag = |name: &[u8]| -> &'a [u8] {
            let Some(open) = find_tag(text, name) else { return b"" };
            let inner = &text[open..];
            &inner[..memchr::memchr(b'<', inner).unwrap_or(inner.len())]
        };
        let attribute = |name: &[u8]| -> &'a [u8] {
            let Some(at) = find(text, name) else { return b"" };
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
            shipped: b"",
            body: Body::Xml(text),
        })
    }

    /// As event files are unpacked; nothing where the event is arranged or ends otherwise.
    fn unpacked(text: &'a [u8]) -> Option<WinEvent<'a>> {
        let head = Head::of(text).filter(|_| text.ends_with(b"}"))?;
        Some(WinEvent {
            id: head.id,
            channel: unescape(head.channel),
            provider: unescape(head.provider),
            computer: unescape(head.quoted(b"\"Computer\":\"")?),
            stamp: head.quoted(b"\"SystemTime\":\"")?,
            shipped: b"",
            body: Body::Json(head.data),
        })
    }

    fn json(text: &'a [u8]) -> Option<WinEvent<'a>> {
        if let Some(event) = Self::unpacked(text) {
            return Some(event);
        }
        let head = text.get(..text.len().min(40)).unwrap_or_default();
        let usual = if find(text, b"\"winlog\":").is_some() {
            WINLOG.pick(text).ok()
        } else if find(head, b"\"Event\":{").is_some() {
            EVTX.pick(text).ok()
        } else {
            None
        };
        if let Some([id, channel, provider, computer, data, stamp]) = usual
            && let (Some(id), false) = (id_of(&id), stamp.is_missing())
        {
            let data = data.nested();
            return Some(WinEvent {
                id,
                channel: channel.text(),
                provider: provider.text(),
                computer: computer.text(),
                stamp: stamp.bytes(),
                shipped: b"",
                body: match data.len() {
                    0..=2 => Body::Json(text),
                    _ if find(head, b"\"Event\":{").is_some() => Body::Json(data),
                    _ => Body::Winlog(data, text),
                },
            });
        }
        let v = HEAD.pick(text).ok()?;
        if let [id, channel, provider, raw, time] = v.get(DIAGNOSTICS..)?
            && let (Some(id), false) = (id_of(id), raw.bytes().is_empty())
        {
            let xml = raw.text().into_owned();
            let computer =
                find_tag(&xml, b"Computer").and_then(|at| xml.get(at..)?.split(|b| *b == b'<').next());
            return Some(WinEvent {
                id,
                channel: channel.text(),
                provider: provider.text(),
                computer: Cow::Owned(computer.unwrap_or_default().to_vec()),
                stamp: time.bytes(),
                shipped: b"",
                body: Body::Row(b"{}", xml),
            });
        }
        let (shape, id) = v.get(..CHANNEL)?.iter().enumerate().find_map(|(n, v)| Some((n, id_of(v)?)))?;
        let first = |from: usize, to: usize| {
            v.get(from..to)
                .unwrap_or_default()
                .iter()
                .find(|v| !v.bytes().is_empty())
                .copied()
                .unwrap_or_default()
        };
        let shipped = v.get(SHIPPED).map_or(&b""[..], |v| v.bytes());
        let data = v.get(DATA..SHIPPED).unwrap_or_default().iter().find(|v| !v.is_missing());
        let nested = data.map_or(&b""[..], |d| d.nested());
        let body = match (shape, data) {
            // Columns of their own, and perhaps the rest as text: XML or JSON.
            (3, Some(Value::Text(inner))) => Body::Row(text, unescape(inner).into_owned()),
            // User data and the EVTX reader's own arrangement stand beside the data.
            (3 | 4, _) => Body::Json(text),
            _ if nested.len() > 2 && find(nested, b"\"").is_some() => Body::Json(nested),
            _ => Body::Json(text),
        };
        // Winlogbeat's own stamp is the event's.
        let stamp = if matches!(shape, 0 | 1 | 4) { shipped } else { first(TIME, DATA).bytes() };
        Some(WinEvent {
            id,
            channel: first(CHANNEL, PROVIDER).text(),
            provider: first(PROVIDER, COMPUTER).text(),
            computer: first(COMPUTER, TIME).text(),
            stamp: if stamp.is_empty() { shipped } else { stamp },
            shipped,
            body,
        })
    }

    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        if let Body::Text(said) = &self.body {
            return said.time(r);
        }
        match clock::iso(self.stamp) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => {
                let declared = r.clock.resolve(civil);
                if declared.is_some_and(|(_, c)| c == Certainty::Exact) {
                    return declared;
                }
                match (Clock::with_offset(civil, 0), clock::iso(self.shipped)) {
                    (Some(local), Some((Stamp::Absolute(shipped), _))) => {
                        zone_between(local, shipped).map(|(zone, c)| (local.plus(zone), c)).or(declared)
                    }
                    _ => declared,
                }
            }
            None => match text::american(self.stamp) {
                Some(civil) => r.clock.resolve(civil),
                None => clock::epoch(self.stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
            },
        }
    }

    /// A data field by its schema name; empty where it is missing.
    pub(crate) fn get(&self, name: &str) -> Cow<'a, [u8]> {
        match &self.body {
            Body::Xml(text) => unescape_xml(xml_data(text, name.as_bytes())),
            Body::Json(object) => json_field(object, name.as_bytes()),
            Body::Winlog(data, whole) => {
                let own = json_field(data, name.as_bytes());
                if own.is_empty() { moved(whole, name) } else { own }
            }
            Body::Row(object, data) => {
                let own = json_field(object, name.as_bytes());
                if !own.is_empty() {
                    return own;
                }
                let inner = if data.trim_ascii_start().first() == Some(&b'<') {
                    unescape_xml(xml_data(data, name.as_bytes()))
                } else {
                    json_field(data, name.as_bytes())
                };
                Cow::Owned(inner.into_owned())
            }
            Body::Text(said) => said.get(name),
        }
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        crate::decode::kv::number(&self.get(name))
    }

    /// All that the event says beside its head, as it stands: for events whose data have no names.
    pub(crate) fn all(&self) -> Cow<'a, [u8]> {
        match &self.body {
            Body::Xml(text) => match find(text, b"</System>") {
                Some(at) => unescape_xml(text.get(at..).unwrap_or_default()),
                None => unescape_xml(text),
            },
            Body::Json(text) | Body::Winlog(text, _) => unescape(text),
            Body::Row(text, data) => {
                Cow::Owned([&unescape(text)[..], b" ", &unescape_xml(data)[..]].concat())
            }
            Body::Text(said) => Cow::Borrowed(said.message),
        }
    }
}

/// A field of Sysmon's that Winlogbeat's module moved to its place in Elastic's schema.
fn moved<'a>(whole: &'a [u8], name: &str) -> Cow<'a, [u8]> {
    static PATHS: LazyLock<Paths<8>> = LazyLock::new(|| {
        Paths::new([
            "user.domain",
            "user.name",
            "process.command_line",
            "process.executable",
            "source.ip",
            "destination.ip",
            "source.port",
            "destination.port",
        ])
    });
    let at = match name {
        "User" => 1,
        "CommandLine" => 2,
        "Image" => 3,
        "SourceIp" => 4,
        "DestinationIp" => 5,
        "SourcePort" => 6,
        "DestinationPort" => 7,
        _ => return Cow::Borrowed(b""),
    };
    let Ok(v) = PATHS.pick(whole) else { return Cow::Borrowed(b"") };
    let value = v.get(at).map_or(Cow::Borrowed(&b""[..]), |v| v.text());
    match v.first() {
        Some(domain) if at == 1 && !domain.is_missing() && !value.is_empty() => {
            Cow::Owned([&domain.text()[..], b"\\", &value[..]].concat())
        }
        _ => value,
    }
}

/// The number of an event: `4624`, `"4624"`, `{"#text":4624,…}`.
fn id_of(v: &Value<'_>) -> Option<u32> {
    let digits = match v {
        Value::Nested(n) => n.get(n.iter().position(u8::is_ascii_digit)?..)?,
        v if v.is_missing() => return None,
        v => v.bytes(),
    };
    u32::try_from(crate::decode::kv::number(digits)).ok()
}

/// Microseconds from a local stamp to UTC, where the shipper's stamp lies whole half hours away and a little later.
/// The longer the record was under way, the less sure it is.
fn zone_between(local: EventTime, shipped: EventTime) -> Option<(i64, Certainty)> {
    const SECOND: i64 = 1_000_000;
    const HALF: i64 = 1_800 * SECOND;
    let apart = shipped.0.saturating_sub(local.0);
    let halves = apart.saturating_add(2 * SECOND).div_euclid(HALF);
    let late = apart.saturating_sub(halves.saturating_mul(HALF));
    // Zones lie from 14 hours east to 12 hours west of UTC; few of them not at whole hours.
    let exists = (-28..=24).contains(&halves)
        && (halves % 2 == 0 || matches!(halves, -21 | -19 | -13 | -11 | -9 | -7 | 5 | 7 | 19));
    let sure = if late <= 30 * SECOND { Certainty::Exact } else { Certainty::ZoneAssumed };
    (exists && late <= 1_200 * SECOND).then_some((halves * HALF, sure))
}

/// The text behind `<name …>`.
fn find_tag(text: &[u8], name: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = find(&text[from..], name).map(|n| n + from) {
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
    while let Some(at) = find(&text[from..], name).map(|n| n + from) {
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

/// A field anywhere in the object (events nest at most one level of user data): `"X":"value"`, `"winlog.event_data.X":
/// "value"`, or the pair `{"@Name":"X","#text":"value"}`.
fn json_field<'a>(object: &'a [u8], name: &[u8]) -> Cow<'a, [u8]> {
    let mut from = 0;
    while let Some(at) = object.get(from..).and_then(|o| find(o, name)).map(|n| n + from) {
        let end = at + name.len();
        from = end;
        if at == 0 || !matches!(object.get(at - 1), Some(b'"' | b'.')) || object.get(end) != Some(&b'"') {
            continue;
        }
        let rest = object.get(end + 1..).unwrap_or_default().trim_ascii_start();
        let rest = match rest.strip_prefix(b":") {
            Some(rest) => rest,
            None => match named_value(rest) {
                Some(rest) => rest,
                None => continue,
            },
        };
        let rest = rest.trim_ascii_start();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut i = 0;
            while let Some(n) = memchr::memchr2(b'"', b'\\', &quoted[i.min(quoted.len())..]) {
                i += n;
                if quoted[i] == b'"' {
                    return unescape(&quoted[..i]);
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
            bare.trim_ascii()
        });
    }
    Cow::Borrowed(b"")
}

/// Behind the name in `{"@Name":"X","#text":"value"}`: what follows the next key of the same object.
fn named_value(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b",")?.trim_ascii_start();
    let key = [&b"\"#text\""[..], b"\"Value\"", b"\"value\"", b"\"content\"", b"\"_\"", b"\"$\""]
        .into_iter()
        .find_map(|k| rest.strip_prefix(k))?;
    key.trim_ascii_start().strip_prefix(b":")
}

pub(crate) fn unescape_xml(text: &[u8]) -> Cow<'_, [u8]> {
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

    fn check(text: &str) {
        let clock = Clock::utc();
        let mut scratch = Vec::new();
        let r = crate::decode::frame::frame(text.as_bytes(), Default::default(), &clock, &mut scratch);
        assert!(is_event(&r), "{text}");
        let e = WinEvent::of(&r).expect("an event");
        assert_eq!(
            (e.id, &*e.computer, &*e.get("TargetUserName"), e.number("LogonType"), &*e.channel),
            (4624, &b"WEB01"[..], &b"an&na"[..], 3, &b"Security"[..]),
            "{text}"
        );
        assert!(e.get("Nothing").is_empty());
        assert_eq!(e.time(&r).expect("a time").0.to_string(), "2026-03-04T05:06:07Z", "{text}");
    }

    #[test]
    fn every_shape() {
        check(
            "<Event xmlns='x'><System><Provider Name='P'/><EventID>4624</EventID><TimeCreated SystemTime='2026-03-04T05:06:07.000000000Z'/><Channel>Security</Channel><Computer>WEB01</Computer></System><EventData><Data Name='TargetUserName'>an&amp;na</Data><Data Name='LogonType'>3</Data></EventData></Event>",
        );
        for object in [
            r#"{"@timestamp":"2026-03-04T05:06:07.000Z","winlog":{"channel":"Security","computer_name":"WEB01","event_id":"4624","event_data":{"TargetUserName":"an\u0026na","LogonType":"3"}}}"#,
            r#"{"@timestamp":"2026-03-04T05:06:07.000Z","winlog.channel":"Security","winlog.computer_name":"WEB01","winlog.event_id":4624,"winlog.event_data.TargetUserName":"an&na","winlog.event_data.LogonType":"3"}"#,
            r#"{"@timestamp":"2026-03-04T05:06:07.000Z","log_name":"Security","computer_name":"WEB01","event_id":4624,"event_data":{"TargetUserName":"an&na","LogonType":"3"},"message":"An account"}"#,
            r#"{"EventTime":"2026-03-04 05:06:07","Hostname":"WEB01","EventID":4624,"Channel":"Security","TargetUserName":"an&na","LogonType":"3"}"#,
            r#"{"@timestamp":"2026-03-04T05:06:09.123Z","EventTime":"2026-03-04 06:06:07","Hostname":"WEB01","EventID":4624,"Channel":"Security","TargetUserName":"an&na","LogonType":"3"}"#,
            r#"{"Event":{"System":{"EventID":4624,"Channel":"Security","Computer":"WEB01","TimeCreated_attributes":{"SystemTime":"2026-03-04T05:06:07Z"}},"EventData":{"TargetUserName":"an&na","LogonType":3}}}"#,
            r##"{"Event":{"System":{"EventID":{"#text":4624},"Channel":"Security","Computer":"WEB01","TimeCreated":{"#attributes":{"SystemTime":"2026-03-04T05:06:07Z"}}},"EventData":{"TargetUserName":"an&na","LogonType":3}}}"##,
            r##"{"Event":{"System":{"EventID":"4624","Channel":"Security","Computer":"WEB01","TimeCreated":{"@SystemTime":"2026-03-04T05:06:07Z"}},"EventData":{"Data":[{"@Name":"TargetUserName","#text":"an&na"},{"@Name":"LogonType","#text":"3"}]}}}"##,
            r#"{"TimeGenerated":"2026-03-04T05:06:07Z","EventID":4624,"Channel":"Security","Computer":"WEB01","TargetUserName":"an&na","LogonType":3,"EventData":""}"#,
            r#"{"TimeGenerated":"3/4/2026, 5:06:07.000 AM","EventID":"4624","EventLog":"Security","Computer":"WEB01","EventData":"<EventData xmlns=\"x\"><Data Name=\"TargetUserName\">an&amp;na</Data><Data Name=\"LogonType\">3</Data></EventData>"}"#,
            r#"{"TimeGenerated":"2026-03-04T05:06:07Z","EventID":4624,"Channel":"Security","Computer":"WEB01","EventData":"{\"TargetUserName\":\"an&na\",\"LogonType\":\"3\"}"}"#,
            r#"{"TimeGenerated":"2026-03-04T05:06:07Z","EventID":4624,"Channel":"Security","Computer":"WEB01","EventData":{"TargetUserName":"an&na","LogonType":"3"}}"#,
            r#"{"time":"2026-03-04T05:06:07Z","category":"WindowsEventLogsTable","properties":{"ProviderName":"Microsoft-Windows-Security-Auditing","EventId":4624,"Channel":"Security","Description":"An account","RawXml":"<Event xmlns='x'><System><EventID>4624</EventID><Computer>WEB01</Computer></System><EventData><Data Name='TargetUserName'>an&amp;na</Data><Data Name='LogonType'>3</Data></EventData></Event>"}}"#,
            r#"{"win":{"system":{"eventID":"4624","channel":"Security","computer":"WEB01","systemTime":"2026-03-04T05:06:07.0000000Z"},"eventdata":{"targetUserName":"an&na","logonType":"3"}}}"#,
        ] {
            check(object);
        }
    }

    #[test]
    fn the_zone_between_two_stamps() {
        let at = |h: u32, m: u32, s: u32| EventTime::from_civil(2026, 3, 4, h, m, s, 0);
        let hours = |a, b| zone_between(a, b).map(|(z, c)| (z / 1_800_000_000, c));
        assert_eq!(hours(at(8, 0, 0), at(12, 0, 3)), Some((8, Certainty::Exact)));
        assert_eq!(hours(at(8, 0, 0), at(12, 9, 0)), Some((8, Certainty::ZoneAssumed)));
        assert_eq!(hours(at(8, 0, 0), at(2, 30, 1)), Some((-11, Certainty::Exact)));
        assert_eq!(hours(at(8, 0, 0), at(7, 59, 59)), Some((0, Certainty::Exact)));
        // No zone lies half an hour west, and 25 minutes under way may be anything.
        assert_eq!(hours(at(8, 0, 0), at(8, 31, 0)), None);
        assert_eq!(hours(at(8, 0, 0), at(8, 25, 0)), None);
    }

    #[test]
    fn texts() {
        const SAID: &str = "An account was successfully logged on.\n\nSubject:\n\tAccount Name:\t\tWEB01$\n\nLogon Type:\t\t\t3\n\nNew Logon:\n\tAccount Name:\t\tan&na\n\tAccount Domain:\t\tCORP\n";
        let flat = SAID.replace(['\n', '\t'], "  ");
        check(&format!(
            "03/04/2026 05:06:07 AM\nLogName=Security\nSourceName=Microsoft Windows security auditing.\nEventCode=4624\nEventType=0\nComputerName=WEB01\nMessage={SAID}"
        ));
        check(&format!(
            "<13>Mar 04 05:06:07 WEB01 MSWinEventLog\t1\tSecurity\t77\tWed Mar 04 05:06:07 2026\t4624\tMicrosoft-Windows-Security-Auditing\tCORP\\an&na\tN/A\tSuccess Audit\tWEB01\tLogon\t\t{flat}\t88"
        ));
        check(&format!("<13>Mar 04 05:06:07 WEB01 MSWinEventLog\t1\tSecurity\t77\tWed Mar 04 05:06:07 2026\t4624\tMicrosoft-Windows-Security-Auditing\tCORP\\an&na\tN/A\tSuccess Audit\tWEB01\tLogon\t\t{flat}\t88").replace('\t', "#011"));
        check(&format!(
            "2026 Mar 04 05:06:07 WinEvtLog: Security: AUDIT_SUCCESS(4624): Microsoft-Windows-Security-Auditing: (no user): no domain: WEB01: {flat}"
        ));
        check(&format!(
            "<13>Mar 04 05:06:07 WEB01 AgentDevice=WindowsLog\tAgentLogFile=Security\tSource=Microsoft-Windows-Security-Auditing\tComputer=WEB01\tOriginatingComputer=10.0.0.5\tUser=\tDomain=\tEventID=4624\tEventIDCode=4624\tEventType=8\tTimeGenerated=1772600767\tTimeWritten=1772600767\tMessage={flat}"
        ));
        check(
            "EventTime=\"2026-03-04 05:06:07\" Hostname=\"WEB01\" EventID=\"4624\" Channel=\"Security\" SourceName=\"Microsoft-Windows-Security-Auditing\" TargetUserName=\"an&na\" LogonType=\"3\"",
        );
        check(
            "<14>1 2026-03-04T05:06:07.0Z WEB01 Microsoft-Windows-Security-Auditing 700 - [NXLOG@14506 EventType=\"AUDIT_SUCCESS\" EventID=\"4624\" Channel=\"Security\" TargetUserName=\"an&na\" LogonType=\"3\"] An account",
        );
    }
}
