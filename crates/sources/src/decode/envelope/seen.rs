//! The keys of an object that say what it is, whatever wrote it, gathered in one pass.

use super::Inner;
use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::json::{Value, members};
use portreeve_model::EventTime;
use std::borrow::Cow;

/// Names under which a raw record stands, the surest first.
pub(super) const RANKS: usize = 7;

pub(super) fn rank(key: &[u8]) -> Option<usize> {
    Some(match key {
        b"event.original" => 0,
        b"_raw" | b"rawmsg" | b"raw_message" | b"rawMessage" | b"RawMessage" | b"rawmessage"
        | b"raw_event" | b"rawEvent" | b"RawEvent" | b"raw_log" | b"rawLog" | b"raw_data" | b"RawData"
        | b"OriginalMessage" | b"original_message" | b"@rawstring" | b"full_log" | b"raw" | b"AuditData"
        | b"utf8(payload)" | b"UTF8(payload)" | b"utf8_payload" | b"payload" | b"Payload"
        | b"payloadAsUTF" => 1,
        b"@message" | b"full_message" | b"SyslogMessage" | b"log.original" => 2,
        b"message" | b"Message" | b"MESSAGE" | b"textPayload" => 3,
        b"log" | b"short_message" => 4,
        b"line" | b"Line" | b"content" | b"Content" | b"body" => 5,
        b"msg" | b"logMessage" | b"log_message" => 6,
        _ => return None,
    })
}

/// What an object says, by the keys that matter.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) raws: [Value<'a>; RANKS],
    /// The surest raw record may be in base64.
    pub(super) source: Value<'a>,
    pub(super) result: Value<'a>,
    pub(super) event: Value<'a>,
    pub(super) udm: Value<'a>,
    pub(super) stream: Value<'a>,
    pub(super) labels: Value<'a>,
    pub(super) values: Value<'a>,
    pub(super) detail: Value<'a>,
    pub(super) data: Value<'a>,
    pub(super) win: Value<'a>,
    pub(super) fields: Value<'a>,
    pub(super) json_payload: Value<'a>,
    pub(super) records: Value<'a>,
    pub(super) log: Value<'a>,
    pub(super) times: [Value<'a>; 5],
    pub(super) hosts: [Value<'a>; 5],
    pub(super) programs: [Value<'a>; 3],
    pub(super) pid: Value<'a>,
    pub(super) origin: Value<'a>,
    pub(super) event_data: Value<'a>,
    pub(super) has: u32,
}

pub(super) const WINLOG: u32 = 1;
pub(super) const EVENT_ID: u32 = 1 << 1;
pub(super) const EVENT_TYPE: u32 = 1 << 2;
pub(super) const DETAIL_TYPE: u32 = 1 << 3;
pub(super) const INDEX: u32 = 1 << 4;
pub(super) const PREVIEW: u32 = 1 << 5;
pub(super) const SOURCETYPE: u32 = 1 << 6;
pub(super) const VENDOR: u32 = 1 << 7;
pub(super) const PRODUCT: u32 = 1 << 8;
pub(super) const DELIVERY: u32 = 1 << 9;
pub(super) const CHANNEL: u32 = 1 << 10;
pub(super) const PROTO_PAYLOAD: u32 = 1 << 11;
pub(super) const VIEWER: u32 = 1 << 12;
pub(super) const VIEWED: u32 = 1 << 13;

impl<'a> Seen<'a> {
    pub(super) fn of(object: &'a [u8]) -> Seen<'a> {
        let mut s = Seen::default();
        for (key, value) in members(object) {
            // Keys that several products share stand in the order of their worth.
            let time = match key {
                b"@timestamp" | b"__REALTIME_TIMESTAMP" => 0,
                b"TimeGenerated" | b"_time" | b"timereported" => 1,
                b"timestamp" | b"time" | b"isodate" | b"ISODATE" | b"Timestamp" | b"Time" => 2,
                b"EventTime" | b"DATE" | b"date" | b"Date" | b"ts" | b"devicetime" => 3,
                b"starttime" | b"startTime" | b"Start Time" | b"_SOURCE_REALTIME_TIMESTAMP" => 4,
                _ => 5,
            };
            if let Some(slot) = s.times.get_mut(time) {
                *slot = value;
            }
            let host = match key {
                b"hostname" | b"Hostname" | b"HOST" | b"HostName" | b"_HOSTNAME" | b"host.name"
                | b"host.hostname" => 0,
                b"host" | b"Host" | b"Computer" | b"logsource" | b"syslog_hostname" => 1,
                b"predecoder" | b"beat" => 2,
                b"agent" | b"resource" | b"kubernetes" => 3,
                b"@logStream" | b"logStreamName" => 4,
                _ => 5,
            };
            if let Some(slot) = s.hosts.get_mut(host) {
                *slot = value;
            }
            let program = match key {
                b"program"
                | b"PROGRAM"
                | b"programname"
                | b"appname"
                | b"app_name"
                | b"ident"
                | b"SYSLOG_IDENTIFIER"
                | b"ProcessName"
                | b"process.name"
                | b"application_name"
                | b"_application_name"
                | b"log.syslog.appname" => 0,
                b"process" | b"syslog" => 1,
                b"_COMM" | b"syslogtag" => 2,
                _ => 3,
            };
            if let Some(slot) = s.programs.get_mut(program) {
                *slot = value;
            }
            if let Some(slot) = rank(key).and_then(|r| s.raws.get_mut(r)) {
                if key == b"log" {
                    s.log = value;
                }
                if slot.is_missing() {
                    *slot = value;
                }
                continue;
            }
            match key {
                b"_source" => s.source = value,
                b"result" => s.result = value,
                b"event" => s.event = value,
                b"udm" => s.udm = value,
                b"stream" => s.stream = value,
                b"labels" => s.labels = value,
                b"values" => s.values = value,
                b"detail" => s.detail = value,
                b"data" => s.data = value,
                b"win" => s.win = value,
                b"fields" => s.fields = value,
                b"jsonPayload" => s.json_payload = value,
                b"records" | b"Records" => s.records = value,
                b"EventData" | b"ParameterXml" if s.event_data.is_missing() => s.event_data = value,
                b"pid" | b"PID" | b"_PID" | b"SYSLOG_PID" | b"procid" | b"ProcessID" => s.pid = value,
                b"source" => s.origin = value,
                b"winlog" | b"log_name" | b"winlog.event_id" | b"logid" => s.has |= WINLOG,
                b"EventID" => s.has |= EVENT_ID,
                b"eventType" => s.has |= EVENT_TYPE,
                b"detail-type" => s.has |= DETAIL_TYPE,
                b"_index" | b"index" | b"highlight_ranges" => s.has |= INDEX,
                b"preview" | b"offset" | b"lastrow" => s.has |= PREVIEW,
                b"sourcetype" => s.has |= SOURCETYPE,
                b"DeviceVendor" => s.has |= VENDOR,
                b"DeviceProduct" => s.has |= PRODUCT,
                b"recordId" | b"approximateArrivalTimestamp" | b"messageId" | b"subscription" => {
                    s.has |= DELIVERY
                }
                b"Channel" | b"EventLog" => s.has |= CHANNEL,
                b"protoPayload" => s.has |= PROTO_PAYLOAD,
                b"Event ID" | b"ProviderName" => s.has |= VIEWER,
                b"Date and Time" | b"TimeCreated" => s.has |= VIEWED,
                _ => {}
            }
        }
        s
    }

    pub(super) fn has(&self, what: u32) -> bool {
        self.has & what == what
    }

    /// What the envelope says about a record that was found in it.
    pub(super) fn around(&self, raw: Cow<'a, [u8]>) -> Inner<'a> {
        let time = self.times.iter().find_map(|t| stamp(t.bytes())).or_else(|| {
            // A day and a time of day, in columns of their own.
            let (day, time) = (self.times[3].bytes(), self.times[2].bytes());
            if day.is_empty() || time.is_empty() { None } else { stamp(&[day, b" ", time].concat()) }
        });
        let mut host = self.hosts.iter().map(|h| name_in(*h)).find(|h| !h.is_empty()).unwrap_or_default();
        if host.is_empty() && !self.has(SOURCETYPE) {
            // Graylog's name for the host; a path or a type elsewhere.
            host = plain_host(self.origin.bytes());
        }
        let program =
            self.programs.iter().map(|p| program_in(*p)).find(|p| !p.is_empty()).unwrap_or_default();
        let pid = self.pid.bytes();
        let pid: &[u8] = if pid.iter().all(u8::is_ascii_digit) { pid } else { b"" };
        Inner {
            raw,
            host: Cow::Borrowed(host),
            program: Cow::Borrowed(program),
            pid: Cow::Borrowed(pid),
            time,
        }
    }

    pub(super) fn nested(&self, value: Value<'a>) -> Option<Inner<'a>> {
        let object = value.nested();
        object.starts_with(b"{").then(|| self.around(Cow::Borrowed(object)))
    }
}

/// Any stamp that a shipper writes. One without a zone is in UTC.
pub(super) fn stamp(text: &[u8]) -> Option<EventTime> {
    if text.len() < 10 {
        return None;
    }
    match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => Some(t),
        Some((Stamp::Local(civil), _)) => Clock::with_offset(civil, 0),
        // A date of another form begins with few digits, and is no number of seconds.
        None if text.iter().take(9).all(u8::is_ascii_digit) => clock::epoch(text),
        None => None,
    }
}

/// A host's name, or that of an object which has one.
pub(super) fn name_in(value: Value<'_>) -> &[u8] {
    if value.nested().is_empty() {
        return plain_host(value.bytes());
    }
    for (key, value) in members(value.nested()) {
        if matches!(key, b"hostname" | b"name" | b"host") && !value.bytes().is_empty() {
            return plain_host(value.bytes());
        }
        if key == b"labels" {
            let instance = member(value, b"instance_id").bytes();
            if !instance.is_empty() {
                return plain_host(instance);
            }
        }
    }
    b""
}

/// A name of a host, and nothing else: no path, no text.
pub(super) fn plain_host(name: &[u8]) -> &[u8] {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':') || *b >= 0x80;
    let name = name.trim_ascii();
    if name.len() < 256 && name != b"-" && name.iter().all(plain) { name } else { b"" }
}

/// `sshd`, `/usr/sbin/sshd`, `sshd[77]:`, or an object with a name.
pub(super) fn program_in(value: Value<'_>) -> &[u8] {
    let name = match value {
        Value::Nested(_) => {
            let of = |name: &[u8]| member(value, name).bytes();
            [of(b"name"), of(b"program"), of(b"appname")]
                .into_iter()
                .find(|n| !n.is_empty())
                .unwrap_or_default()
        }
        value => value.bytes(),
    };
    let name = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let end = name.iter().position(|b| matches!(b, b'[' | b':')).unwrap_or(name.len());
    let name = &name[..end];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'(' | b')');
    if name.len() < 128 && name.iter().all(plain) { name } else { b"" }
}

pub(super) fn member<'a>(object: Value<'a>, name: &[u8]) -> Value<'a> {
    let nested = object.nested();
    if nested.is_empty() {
        return Value::Missing;
    }
    members(nested).find(|(key, _)| *key == name).map_or(Value::Missing, |(_, value)| value)
}
