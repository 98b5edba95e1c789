//! What shippers, SIEMs and cloud services wrap around a raw record: Elastic, Splunk, Sentinel, QRadar, Graylog, Loki,
//! CloudWatch, Chronicle, Wazuh, journald, syslog-ng, rsyslog, Fluentd, Fluent Bit, Vector, Logstash, Docker, EventBridge,
//! Pub/Sub, Security Lake. The raw record wins over whatever was made of it; where none is kept, a row that was taken
//! apart is put together again, if its product's form is known.
//!
//! Traps: products whose own records have a field called `message`; raw records in base64; rows that name the host or the
//! program apart from the message.

mod seen;

use super::find::find;
use super::json::{Value, elements, members};
use super::{base64, rebuild};
use portreeve_model::EventTime;
use seen::{
    CHANNEL, DELIVERY, DETAIL_TYPE, EVENT_ID, EVENT_TYPE, INDEX, PREVIEW, PRODUCT, PROTO_PAYLOAD, SOURCETYPE,
    Seen, VENDOR, VIEWED, VIEWER, WINLOG, member, plain_host, program_in, stamp,
};
use std::borrow::Cow;

/// A record found inside a JSON object.
#[derive(Default)]
pub(crate) struct Inner<'a> {
    pub(crate) raw: Cow<'a, [u8]>,
    pub(crate) host: Cow<'a, [u8]>,
    pub(crate) program: Cow<'a, [u8]>,
    pub(crate) pid: Cow<'a, [u8]>,
    pub(crate) time: Option<EventTime>,
}

impl Inner<'_> {
    /// What the inner envelope does not say, the outer one may.
    pub(crate) fn within(self, outer: Inner<'_>) -> Inner<'static> {
        let first = |inner: Cow<'_, [u8]>, outer: Cow<'_, [u8]>| {
            Cow::Owned(if inner.is_empty() { outer.into_owned() } else { inner.into_owned() })
        };
        Inner {
            raw: Cow::Owned(self.raw.into_owned()),
            host: first(self.host, outer.host),
            program: first(self.program, outer.program),
            pid: first(self.pid, outer.pid),
            time: self.time.or(outer.time),
        }
    }
}

/// First keys of products whose JSON is the record itself: nothing to look for, at no cost.
const NATIVE: [&[u8]; 16] = [
    b"eventVersion",
    b"kind",
    b"apiVersion",
    b"actor",
    b"resourceId",
    b"AlertId",
    b"EventTime",
    b"Event",
    b"CreationTime",
    b"awsRegion",
    b"event_type",
    b"uuid",
    b"asctime",
    b"_path",
    b"Event_attributes",
    b"@stream",
];

/// The record inside, if the object is an envelope.
pub(crate) fn open(object: &[u8]) -> Option<Inner<'_>> {
    let first = first_key(object)?;
    // Zeek's notices have a `msg`, and nothing before it that names them.
    if NATIVE.contains(&first) || (first == b"ts" && find(object, b"\"suppress_for\"").is_some()) {
        return None;
    }
    let s = Seen::of(object);
    // Elastic's own forms, and a line of Splunk's.
    if !s.source.nested().is_empty() {
        return s.nested(s.source);
    }
    // Duo's authentication proxy: what it said is one field of its record.
    if !s.raws[6].is_missing() && find(object, b"\"server_section\"").is_some() {
        return None;
    }
    if s.has(INDEX)
        && let Some(raw) = picked_fields(s.fields)
    {
        return Some(s.around(raw));
    }
    if s.has(PREVIEW) && !s.result.nested().is_empty() {
        return s.nested(s.result);
    }
    if s.has(WINLOG) {
        return None;
    }
    if let Some(inner) = streams(&s) {
        return Some(inner);
    }
    if s.has(DETAIL_TYPE) && s.detail.nested().starts_with(b"{") {
        return s.nested(s.detail);
    }
    if let Some(original) = original(s.event) {
        return Some(s.around(original));
    }
    let sure = s.raws[..2].iter().find_map(|v| raw_text(*v));
    if let Some(raw) = sure {
        let plain =
            if raw.first().is_some_and(u8::is_ascii_alphanumeric) { base64::text(&raw) } else { None };
        return Some(s.around(plain.map_or(raw, Cow::Owned)));
    }
    // Rows that were taken apart.
    if s.has(VENDOR | PRODUCT) {
        return rebuild::cef(object).map(|cef| {
            let inner = s.around(Cow::Owned(cef));
            // The program of such a row is the device's own.
            Inner { program: Cow::default(), pid: Cow::default(), ..inner }
        });
    }
    if s.has(EVENT_ID | CHANNEL) && !(s.event_data.bytes().is_empty() && s.event_data.nested().is_empty()) {
        return rebuild::windows(object).map(|row| s.around(Cow::Owned(row)));
    }
    if s.has(VIEWER | VIEWED) && matches!(s.raws[3], Value::Text(_)) {
        let (text, time) = rebuild::viewer(object);
        let inner = s.around(Cow::Owned(text));
        return Some(Inner { time: time.or(inner.time), ..inner });
    }
    let win = if s.win.is_missing() { member(s.data, b"win") } else { s.win };
    if !win.nested().is_empty() {
        return rebuild::wazuh(win.nested()).map(|row| s.around(Cow::Owned(row)));
    }
    if s.has & (EVENT_ID | EVENT_TYPE | PROTO_PAYLOAD) != 0 {
        return None;
    }
    // UDM events come within an object of their own; Splunk's collector takes records of any form.
    if !s.udm.nested().is_empty() {
        return s.nested(s.udm);
    }
    if s.event.nested().starts_with(b"{\"metadata\"") {
        return s.nested(s.event);
    }
    if s.has(SOURCETYPE) {
        match s.event {
            Value::Text(t) if !t.is_empty() => return Some(s.around(s.event.text())),
            Value::Nested(_) => return s.nested(s.event),
            _ => {}
        }
    }
    if !s.json_payload.nested().is_empty() {
        let message = member(s.json_payload, b"message");
        return Some(s.around(raw_text(message).or_else(|| raw_text(member(s.json_payload, b"MESSAGE")))?));
    }
    if let Value::Nested(message) = s.raws[3]
        && message.starts_with(b"{")
        && (s.has(INDEX) || s.has(DELIVERY))
    {
        let data = member(s.raws[3], b"data");
        return match base64::text(data.bytes()) {
            Some(text) => Some(s.around(Cow::Owned(text))),
            None => s.nested(s.raws[3]),
        };
    }
    // journald: bytes that are no text come as numbers.
    if let Value::Nested(list) = s.raws[3]
        && list.starts_with(b"[")
        && first.starts_with(b"_")
    {
        return Some(s.around(Cow::Owned(byte_list(list))));
    }
    if s.raws[2].nested().starts_with(b"{") {
        return s.nested(s.raws[2]);
    }
    if let Value::Nested(log) = s.log
        && let Some(text) = raw_text(member(Value::Nested(log), b"original"))
    {
        return Some(s.around(text));
    }
    if let Some(text) = raw_text(member(s.raws[5], b"stringValue")) {
        return Some(s.around(text));
    }
    if let Some(raw) = s.raws[2..].iter().find_map(|v| raw_text(*v)) {
        return Some(s.around(raw));
    }
    if s.has(DELIVERY)
        && let Some(text) = base64::text(s.data.bytes())
    {
        return Some(s.around(Cow::Owned(text)));
    }
    let mut records = elements(s.records.nested());
    match (records.next(), records.next()) {
        (Some(only @ Value::Nested(_)), None) => s.nested(only),
        _ => None,
    }
}

fn raw_text(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Text(t) if !t.trim_ascii().is_empty() => Some(value.text()),
        _ => None,
    }
}

/// `event: {original: …}`, as text or as the object that it was.
fn original(event: Value<'_>) -> Option<Cow<'_, [u8]>> {
    if event.nested().is_empty() {
        return None;
    }
    raw_text(member(event, b"original"))
}

/// Elastic's `fields`, each a list: `{"event.original":["…"]}`.
fn picked_fields(fields: Value<'_>) -> Option<Cow<'_, [u8]>> {
    let nested = fields.nested();
    if nested.is_empty() {
        return None;
    }
    let pick = |name: &[u8]| {
        let (_, list) = members(nested).find(|(key, _)| *key == name)?;
        raw_text(elements(list.nested()).next()?)
    };
    pick(b"event.original").or_else(|| pick(b"message"))
}

/// Loki: labels of a stream, and a stamp with a line.
fn streams<'a>(s: &Seen<'a>) -> Option<Inner<'a>> {
    let labels = if s.stream.nested().is_empty() { s.labels } else { s.stream };
    let (raw, time) = if !s.stream.nested().is_empty() && !s.values.nested().is_empty() {
        let mut values = elements(s.values.nested());
        // One entry, or a list with one.
        let (first, second) = match values.next()? {
            Value::Nested(entry) => {
                let mut entry = elements(entry);
                (entry.next()?, entry.next()?)
            }
            stamp => (stamp, values.next()?),
        };
        (raw_text(second)?, stamp(first.bytes()))
    } else if !s.labels.nested().is_empty() && s.raws[5].bytes() != b"" {
        (raw_text(s.raws[5])?, None)
    } else {
        return None;
    };
    let mut inner = s.around(raw);
    inner.time = time.or(inner.time);
    for (key, value) in members(labels.nested()) {
        match key {
            b"host" | b"hostname" | b"nodename" | b"node_name" | b"computer" | b"instance"
                if inner.host.is_empty() =>
            {
                inner.host = Cow::Borrowed(plain_host(value.bytes()));
            }
            b"program" | b"syslog_identifier" | b"appname" | b"app_name" | b"ident"
                if inner.program.is_empty() =>
            {
                inner.program = Cow::Borrowed(program_in(value));
            }
            _ => {}
        }
    }
    Some(inner)
}

/// `[83, 115, …]`
fn byte_list(list: &[u8]) -> Vec<u8> {
    elements(list).filter_map(|v| std::str::from_utf8(v.bytes()).ok()?.parse::<u8>().ok()).collect()
}

fn first_key(object: &[u8]) -> Option<&[u8]> {
    let rest = object.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(object: &str) -> Option<(String, String, String, String)> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        open(object.as_bytes()).map(|i| {
            (text(&i.raw), text(&i.host), text(&i.program), i.time.map_or(String::new(), |t| t.to_string()))
        })
    }

    fn raw(object: &str) -> Option<String> {
        show(object).map(|s| s.0)
    }

    fn check(object: &str, raw: &str, host: &str, program: &str, time: &str) {
        let want = (raw.to_owned(), host.to_owned(), program.to_owned(), time.to_owned());
        assert_eq!(show(object), Some(want), "{object}");
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
        for native in [
            r#"{"@timestamp":"2026-01-01T00:00:00Z","winlog":{"event_id":4624},"message":"An account"}"#,
            r#"{"eventVersion":"1.08","message":"x"}"#,
            r#"{"uuid":"1","auditCode":"IDP1","message":"add-user"}"#,
            r#"{"log_name":"Security","event_id":4624,"message":"An account"}"#,
            r#"{"devid":"FGT1","logid":"0101039426","msg":"SSL user failed"}"#,
            r#"{"asctime":"2026-01-01 00:00:00,1","message":"x"}"#,
            r#"{"_path":"notice","ts":1.5,"msg":"x"}"#,
            r#"{"ts":1.5,"note":"SSH::x","msg":"y","suppress_for":3600.0}"#,
            r#"{"uuid":"1","eventType":"user.session.start","message":"x"}"#,
            r#"{"protoPayload":{"a":1},"message":"x"}"#,
            r#"{"a":1}"#,
            "{",
            r#"{"a":"#,
        ] {
            assert_eq!(raw(native), None, "{native}");
        }
    }

    #[test]
    fn elastic_and_splunk() {
        assert_eq!(
            raw(r#"{"_index":"a","_id":"1","_source":{"message":"x"}}"#).as_deref(),
            Some(r#"{"message":"x"}"#)
        );
        assert_eq!(
            raw(r#"{"_index":"a","fields":{"message":["m"],"event.original":["o"]}}"#).as_deref(),
            Some("o")
        );
        check(
            r#"{"@timestamp":"2026-01-01T00:00:00Z","event.original":"o","host.name":"gw1","process.name":"sshd"}"#,
            "o",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"@timestamp":"2026-01-01T00:00:00Z","message":"m","host":{"name":"gw1"},"process":{"name":"sshd","pid":7}}"#,
            "m",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(
            raw(r#"{"preview":false,"offset":0,"result":{"_raw":"x"}}"#).as_deref(),
            Some(r#"{"_raw":"x"}"#)
        );
        check(
            r#"{"_time":"2026-01-01T00:00:00.000+00:00","_raw":"x \"y\"","host":"gw1","source":"/var/log/auth.log","sourcetype":"syslog"}"#,
            "x \"y\"",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"time":1767225600.5,"host":"gw1","source":"udp:514","sourcetype":"a","event":"x"}"#,
            "x",
            "gw1",
            "",
            "2026-01-01T00:00:00.500Z",
        );
        assert_eq!(raw(r#"{"sourcetype":"a","event":{"a":1}}"#).as_deref(), Some(r#"{"a":1}"#));
    }

    #[test]
    fn sentinel() {
        check(
            r#"{"TimeGenerated":"2026-01-01T00:00:00Z","Computer":"gw1","HostName":"gw1","Facility":"authpriv","ProcessName":"sshd","ProcessID":"77","SyslogMessage":"Accepted"}"#,
            "Accepted",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(raw(r#"{"TimeGenerated":"2026-01-01T00:00:00Z","DeviceVendor":"a","DeviceProduct":"b","Activity":"c"}"#).as_deref(), Some("CEF:0|a|b|||c||"));
        assert_eq!(
            raw(r#"{"TimeGenerated":"t","EventID":"4624","Channel":"Security","EventData":"{\"a\":\"b\"}"}"#)
                .as_deref(),
            Some(r#"{"TimeGenerated":"t","EventID":"4624","Channel":"Security","a":"b"}"#)
        );
        assert_eq!(raw(r#"{"TimeGenerated":"t","EventID":"4624","Account":"a\\b"}"#), None);
        assert!(
            raw(r#"{"Date and Time":"3/4/2026 5:06:07 AM","Event ID":"4624","Source":"a","Message":"b"}"#)
                .is_some_and(|r| r.contains("EventCode=4624"))
        );
        // Entra's own source reads the rows of its tables.
        assert_eq!(raw(r#"{"TimeGenerated":"t","ResultType":"0","Type":"SigninLogs"}"#), None);
        assert_eq!(raw(r#"{"TimeGenerated":"t","RawData":"x"}"#).as_deref(), Some("x"));
        assert_eq!(raw(r#"{"CreationDate":"t","AuditData":"{\"Id\":1}"}"#).as_deref(), Some(r#"{"Id":1}"#));
    }

    #[test]
    fn other_stores() {
        check(
            r#"{"timestamp":"2026-01-01T00:00:00.000Z","source":"gw1","message":"m"}"#,
            "m",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"version":"1.1","host":"gw1","short_message":"s","full_message":"f","timestamp":1767225600.0}"#,
            "f",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(
            raw(r#"{"message":{"message":"m","source":"gw1"},"index":"graylog_0"}"#).as_deref(),
            Some(r#"{"message":"m","source":"gw1"}"#)
        );
        check(
            r#"{"stream":{"host":"gw1","program":"sshd"},"values":["1767225600000000000","x"]}"#,
            "x",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"labels":{"host":"gw1"},"line":"x","timestamp":"2026-01-01T00:00:00Z"}"#,
            "x",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"@timestamp":"2026-01-01 00:00:00.000","@message":"x","@logStream":"gw1"}"#,
            "x",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(
            raw(r#"{"@timestamp":"t","@message":{"eventVersion":"1"}}"#).as_deref(),
            Some(r#"{"eventVersion":"1"}"#)
        );
        check(
            r#"{"logStreamName":"gw1","timestamp":1767225600000,"message":"x"}"#,
            "x",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(raw(r#"{"Start Time":"a","utf8(payload)":"<13>x"}"#).as_deref(), Some("<13>x"));
        assert_eq!(
            raw(r#"{"Start Time":"a","payload":"PDM4Pk9jdCAyMyAwNzoyMTo0Mg=="}"#).as_deref(),
            Some("<38>Oct 23 07:21:42")
        );
        assert_eq!(
            raw(r#"{"raw_log":"PDM4Pk9jdCAyMyAwNzoyMTo0Mg==","udm":{"metadata":{}}}"#).as_deref(),
            Some("<38>Oct 23 07:21:42")
        );
        assert_eq!(
            raw(r#"{"event":{"metadata":{"event_type":"USER_LOGIN"}}}"#).as_deref(),
            Some(r#"{"metadata":{"event_type":"USER_LOGIN"}}"#)
        );
        check(
            r#"{"timestamp":"2026-01-01T00:00:00.000+0000","agent":{"id":"1","name":"gw1"},"full_log":"x","predecoder":{"program_name":"sshd","hostname":"gw1"}}"#,
            "x",
            "gw1",
            "",
            "2026-01-01T00:00:00Z",
        );
        assert!(
            raw(r#"{"agent":{"name":"a"},"data":{"win":{"system":{"eventID":"1"}}},"full_log":"{}"}"#)
                .is_some()
        );
        assert!(raw(r#"{"win":{"system":{"eventID":"4624"}}}"#).is_some_and(|r| r.contains("winlog")));
        assert_eq!(raw(r#"{"class_uid":3002,"raw_data":"x"}"#).as_deref(), Some("x"));
        assert_eq!(
            raw(r#"{"insertId":"a","jsonPayload":{"message":"x"},"timestamp":"t"}"#).as_deref(),
            Some("x")
        );
        assert_eq!(raw(r#"{"insertId":"a","textPayload":"x"}"#).as_deref(), Some("x"));
        assert_eq!(
            raw(r#"{"message":{"data":"PDM4Pk9jdCAyMyAwNzoyMTo0Mg==","messageId":"1"},"subscription":"s"}"#)
                .as_deref(),
            Some("<38>Oct 23 07:21:42")
        );
        assert_eq!(raw(r#"{"records":[{"a":1}]}"#).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(raw(r#"{"records":[{"a":1},{"b":1}]}"#), None);
        assert_eq!(raw(r#"{"timeUnixNano":"1","body":{"stringValue":"x"}}"#).as_deref(), Some("x"));
    }

    #[test]
    fn stamps_of_other_forms_are_none() {
        check(
            r#"{"Date":"2026-01-01","Time":"00:00:01","message":"x"}"#,
            "x",
            "",
            "",
            "2026-01-01T00:00:01Z",
        );
        check(r#"{"time":"10/23/2026 07:21:42","message":"x"}"#, "x", "", "", "");
        check(r#"{"Start Time":"Apr 1, 2026, 12:00:00 AM","message":"x"}"#, "x", "", "", "");
    }

    #[test]
    fn shippers() {
        check(
            r#"{"__CURSOR":"a","__REALTIME_TIMESTAMP":"1767225600000000","_HOSTNAME":"gw1","SYSLOG_IDENTIFIER":"sshd","_PID":"7","MESSAGE":"x"}"#,
            "x",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(raw(r#"{"_HOSTNAME":"gw1","MESSAGE":[104,105]}"#).as_deref(), Some("hi"));
        check(
            r#"{"PROGRAM":"sshd","PID":"7","MESSAGE":"x","HOST":"gw1","DATE":"Oct 23 07:21:42"}"#,
            "x",
            "gw1",
            "sshd",
            "",
        );
        check(
            r#"{"msg":" x","rawmsg":"<38>y","timereported":"2026-01-01T00:00:00Z","hostname":"gw1","programname":"sshd"}"#,
            "<38>y",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        check(r#"{"host":"gw1","ident":"sshd","pid":"7","message":"x"}"#, "x", "gw1", "sshd", "");
        check(
            r#"{"appname":"/usr/sbin/sshd","hostname":"gw1","message":"x","source_type":"syslog","timestamp":"2026-01-01T00:00:00Z"}"#,
            "x",
            "gw1",
            "sshd",
            "2026-01-01T00:00:00Z",
        );
        check(
            r#"{"log":"x\n","stream":"stdout","time":"2026-01-01T00:00:00Z","kubernetes":{"host":"node1"}}"#,
            "x\n",
            "node1",
            "",
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(raw(r#"{"msg":"Success.","server_section":"radius_server_auto"}"#), None);
    }
}
