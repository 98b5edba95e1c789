//! Rows of a SIEM that took a record apart, put together again in the form that the product's parser reads: CEF from
//! CommonSecurityLog, Windows events from WindowsEvent, Event and Wazuh.
//!
//! Read from: Azure Monitor's table reference, "CEF and CommonSecurityLog field mapping", Wazuh's Windows event channel.

use super::clock::{self, Stamp};
use super::find::find;
use super::json::{Value, members};
use super::table::escape;
use portreeve_model::EventTime;
use std::borrow::Cow;

/// Columns of CommonSecurityLog and their keys in the CEF extension.
const CEF: [(&[u8], &[u8]); 85] = [
    (b"DeviceAction", b"act"),
    (b"ApplicationProtocol", b"app"),
    (b"EventCount", b"cnt"),
    (b"DestinationDnsDomain", b"destinationDnsDomain"),
    (b"DestinationServiceName", b"destinationServiceName"),
    (b"DestinationTranslatedAddress", b"destinationTranslatedAddress"),
    (b"DestinationTranslatedPort", b"destinationTranslatedPort"),
    (b"CommunicationDirection", b"deviceDirection"),
    (b"DeviceDnsDomain", b"deviceDnsDomain"),
    (b"DeviceExternalID", b"deviceExternalId"),
    (b"DeviceFacility", b"deviceFacility"),
    (b"DeviceInboundInterface", b"deviceInboundInterface"),
    (b"DeviceNtDomain", b"deviceNtDomain"),
    (b"DeviceOutboundInterface", b"deviceOutboundInterface"),
    (b"ProcessName", b"deviceProcessName"),
    (b"DeviceTranslatedAddress", b"deviceTranslatedAddress"),
    (b"DestinationHostName", b"dhost"),
    (b"DestinationMACAddress", b"dmac"),
    (b"DestinationNTDomain", b"dntdom"),
    (b"DestinationProcessId", b"dpid"),
    (b"DestinationUserPrivileges", b"dpriv"),
    (b"DestinationProcessName", b"dproc"),
    (b"DestinationPort", b"dpt"),
    (b"DestinationIP", b"dst"),
    (b"DeviceTimeZone", b"dtz"),
    (b"DestinationUserID", b"duid"),
    (b"DestinationUserName", b"duser"),
    (b"DeviceAddress", b"dvc"),
    (b"DeviceName", b"dvchost"),
    (b"DeviceMacAddress", b"dvcmac"),
    (b"ProcessID", b"dvcpid"),
    (b"EndTime", b"end"),
    (b"ExternalID", b"externalId"),
    (b"ExtID", b"externalId"),
    (b"FileHash", b"fileHash"),
    (b"FilePath", b"filePath"),
    (b"FileName", b"fname"),
    (b"FileSize", b"fsize"),
    (b"Protocol", b"proto"),
    (b"ReceivedBytes", b"in"),
    (b"Message", b"msg"),
    (b"SentBytes", b"out"),
    (b"EventOutcome", b"outcome"),
    (b"Reason", b"reason"),
    (b"ReceiptTime", b"rt"),
    (b"RequestURL", b"request"),
    (b"RequestClientApplication", b"requestClientApplication"),
    (b"RequestContext", b"requestContext"),
    (b"RequestMethod", b"requestMethod"),
    (b"SourceHostName", b"shost"),
    (b"SourceMACAddress", b"smac"),
    (b"SourceNTDomain", b"sntdom"),
    (b"SourceDnsDomain", b"sourceDnsDomain"),
    (b"SourceServiceName", b"sourceServiceName"),
    (b"SourceTranslatedAddress", b"sourceTranslatedAddress"),
    (b"SourceTranslatedPort", b"sourceTranslatedPort"),
    (b"SourceProcessId", b"spid"),
    (b"SourceUserPrivileges", b"spriv"),
    (b"SourceProcessName", b"sproc"),
    (b"SourcePort", b"spt"),
    (b"SourceIP", b"src"),
    (b"StartTime", b"start"),
    (b"SourceUserID", b"suid"),
    (b"SourceUserName", b"suser"),
    (b"EventType", b"type"),
    (b"DeviceEventCategory", b"cat"),
    (b"FlexString1", b"flexString1"),
    (b"FlexString1Label", b"flexString1Label"),
    (b"FlexString2", b"flexString2"),
    (b"FlexString2Label", b"flexString2Label"),
    (b"FlexNumber1", b"flexNumber1"),
    (b"FlexNumber1Label", b"flexNumber1Label"),
    (b"FlexNumber2", b"flexNumber2"),
    (b"FlexNumber2Label", b"flexNumber2Label"),
    (b"FlexDate1", b"flexDate1"),
    (b"FlexDate1Label", b"flexDate1Label"),
    (b"DeviceCustomDate1", b"deviceCustomDate1"),
    (b"DeviceCustomDate1Label", b"deviceCustomDate1Label"),
    (b"DeviceCustomDate2", b"deviceCustomDate2"),
    (b"DeviceCustomDate2Label", b"deviceCustomDate2Label"),
    (b"FileType", b"fileType"),
    (b"FileID", b"fileId"),
    (b"FilePermission", b"filePermission"),
    (b"OldFileName", b"oldFileName"),
    (b"RequestCookies", b"requestCookies"),
];

/// Numbered columns: `DeviceCustomString1Label` is `cs1Label`.
const NUMBERED: [(&[u8], &[u8]); 4] = [
    (b"DeviceCustomString", b"cs"),
    (b"DeviceCustomNumber", b"cn"),
    (b"DeviceCustomIPv6Address", b"c6a"),
    (b"DeviceCustomFloatingPoint", b"cfp"),
];

/// A row of CommonSecurityLog as the CEF record that it was.
pub(crate) fn cef(row: &[u8]) -> Option<Vec<u8>> {
    let mut head: [Value<'_>; 6] = Default::default();
    let mut extension = Vec::with_capacity(row.len());
    let mut additional = Value::Missing;
    for (key, value) in members(row) {
        let slot = match key {
            b"DeviceVendor" => 0,
            b"DeviceProduct" => 1,
            b"DeviceVersion" => 2,
            b"DeviceEventClassID" => 3,
            b"Activity" => 4,
            b"LogSeverity" => 5,
            b"AdditionalExtensions" => {
                additional = value;
                continue;
            }
            _ => {
                let name = CEF
                    .iter()
                    .find(|(column, _)| *column == key)
                    .map(|(_, name)| (*name, &b""[..]))
                    .or_else(|| {
                        NUMBERED.iter().find_map(|(column, name)| Some((*name, key.strip_prefix(*column)?)))
                    });
                if let Some((name, rest)) = name {
                    put_cef(name, rest, &value.text(), &mut extension);
                }
                continue;
            }
        };
        if let Some(h) = head.get_mut(slot) {
            *h = value;
        }
    }
    if head[0].bytes().is_empty() || head[1].bytes().is_empty() {
        return None;
    }
    // `key=value;key=value`, a semicolon in a value not escaped: a piece without a key goes on with the last value.
    let additional = additional.text();
    let mut pair: Vec<u8> = Vec::new();
    let pieces = additional.split(|b| *b == b';').chain(std::iter::once(&b"="[..]));
    for piece in pieces {
        let key = memchr::memchr(b'=', piece).map(|n| &piece[..n]);
        let plain = key.is_some_and(|k| {
            k.trim_ascii().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        });
        if plain {
            if let Some(eq) = memchr::memchr(b'=', &pair) {
                put_cef(pair[..eq].trim_ascii(), b"", &pair[eq + 1..], &mut extension);
            }
            pair.clear();
        } else {
            pair.push(b';');
        }
        pair.extend_from_slice(piece);
    }
    let mut out = Vec::with_capacity(extension.len() + 128);
    out.extend_from_slice(b"CEF:0");
    for field in head {
        out.push(b'|');
        for b in field.text().iter() {
            if matches!(b, b'|' | b'\\') {
                out.push(b'\\');
            }
            out.push(if *b < 0x20 { b' ' } else { *b });
        }
    }
    out.push(b'|');
    out.extend_from_slice(&extension);
    Some(out)
}

fn put_cef(name: &[u8], rest: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    if name.is_empty() || value.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(b' ');
    }
    out.extend_from_slice(name);
    out.extend_from_slice(rest);
    out.push(b'=');
    for b in value {
        match b {
            b'=' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => out.push(b' '),
            b => out.push(*b),
        }
    }
}

fn put(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(if out.len() < 2 { b"\"" } else { b",\"" });
    escape(key, out);
    out.extend_from_slice(b"\":\"");
    escape(value, out);
    out.push(b'"');
}

/// A row of WindowsEvent or Event: its data as fields of one flat object.
pub(crate) fn windows(row: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"{".to_vec();
    let mut data = Value::Missing;
    for (key, value) in members(row) {
        let key: &[u8] = match key {
            b"EventData" | b"ParameterXml" => {
                if data.bytes().is_empty() && data.nested().is_empty() {
                    data = value;
                }
                continue;
            }
            b"EventLog" => b"Channel",
            b"Provider" | b"Source" => b"SourceName",
            b"EventID" | b"Channel" | b"Computer" | b"TimeGenerated" => key,
            _ => continue,
        };
        put(key, &value.text(), &mut out);
    }
    let text = data.text();
    let object = if data.nested().is_empty() { &*text } else { data.nested() };
    if object.starts_with(b"{") {
        for (key, value) in members(object) {
            put(key, &value.text(), &mut out);
        }
    } else {
        let mut rest = object;
        while let Some(at) = find(rest, b"<Data Name=") {
            rest = &rest[at + 11..];
            let quote = rest.first().copied()?;
            rest = rest.get(1..)?;
            let end = memchr::memchr(quote, rest)?;
            let name = &rest[..end];
            rest = &rest[end + 1..];
            let Some(after) = rest.strip_prefix(b">") else { continue };
            let end = memchr::memchr(b'<', after)?;
            put(name, &plain_xml(&after[..end]), &mut out);
            rest = &after[end..];
        }
    }
    out.push(b'}');
    Some(out)
}

/// A row of the Event Viewer or of PowerShell's `Get-WinEvent`, in the text form of Splunk's agent. Its time stands apart
/// where it names its zone.
pub(crate) fn viewer(row: &[u8]) -> (Vec<u8>, Option<EventTime>) {
    let mut v: [Value<'_>; 6] = Default::default();
    for (key, value) in members(row) {
        let slot = match key {
            b"Date and Time" | b"TimeCreated" | b"Logged" => 0,
            b"LogName" | b"Log Name" => 1,
            b"Source" | b"ProviderName" => 2,
            b"Event ID" | b"Id" => 3,
            b"MachineName" | b"Computer" => 4,
            b"Message" => 5,
            _ => continue,
        };
        if let Some(slot) = v.get_mut(slot) {
            *slot = value;
        }
    }
    let [stamp, log, provider, id, machine, message] = v.map(Value::text);
    let mut out = Vec::with_capacity(row.len());
    let (time, date) = day_first(&stamp);
    out.extend_from_slice(&date);
    let log: &[u8] = match (&*log, &*provider) {
        (b"", b"Microsoft-Windows-Security-Auditing") => b"Security",
        (b"", provider) => provider,
        (log, _) => log,
    };
    let lines: [(&[u8], &[u8]); 5] = [
        (b"LogName=", log),
        (b"SourceName=", &provider),
        (b"EventCode=", &id),
        (b"ComputerName=", &machine),
        (b"Message=", &message),
    ];
    for (name, value) in lines {
        if !out.is_empty() {
            out.push(b'\n');
        }
        out.extend_from_slice(name);
        out.extend_from_slice(value);
    }
    (out, time)
}

/// A stamp that names its zone as time, any other with the month in front.
fn day_first(stamp: &[u8]) -> (Option<EventTime>, Vec<u8>) {
    // `/Date(1772600767000)/`
    if let Some(millis) = stamp.strip_prefix(b"/Date(") {
        return (clock::epoch(millis), Vec::new());
    }
    match clock::iso(stamp) {
        Some((Stamp::Absolute(time), _)) => return (Some(time), Vec::new()),
        Some((Stamp::Local(c), _)) => {
            let text = format!(
                "{:02}/{:02}/{:04} {:02}:{:02}:{:02}",
                c.month, c.day, c.year, c.hour, c.minute, c.second
            );
            return (None, text.into_bytes());
        }
        None => {}
    }
    // `04.03.2026 05:06:07`
    if let (Some(day), Some(month), Some(rest)) = (stamp.get(..2), stamp.get(3..5), stamp.get(6..))
        && stamp.get(2) == Some(&b'.')
        && stamp.get(5) == Some(&b'.')
    {
        return (None, [month, b"/", day, b"/", rest].concat());
    }
    (None, stamp.to_vec())
}

/// The five entities of XML undone.
fn plain_xml(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let names: [(&[u8], u8); 5] =
            [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
        match names.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, b)) => {
                out.push(*b);
                rest = &rest[name.len()..];
            }
            None => {
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

/// `{"system":{"eventID":…},"eventdata":{"targetUserName":…}}` as Wazuh reads an event channel, in Winlogbeat's form.
pub(crate) fn wazuh(win: &[u8]) -> Option<Vec<u8>> {
    let (mut system, mut data): (&[u8], &[u8]) = (b"", b"");
    for (key, value) in members(win) {
        match key {
            b"system" => system = value.nested(),
            b"eventdata" | b"eventData" => data = value.nested(),
            _ => {}
        }
    }
    let mut names: [Value<'_>; 5] = Default::default();
    for (key, value) in members(system) {
        let slot = match key {
            b"eventID" => 0,
            b"channel" => 1,
            b"computer" => 2,
            b"providerName" => 3,
            b"systemTime" => 4,
            _ => continue,
        };
        if let Some(n) = names.get_mut(slot) {
            *n = value;
        }
    }
    if names[0].bytes().is_empty() {
        return None;
    }
    let mut out = b"{".to_vec();
    put(b"@timestamp", &names[4].text(), &mut out);
    out.extend_from_slice(b",\"winlog\":{\"event_id\":\"");
    escape(&names[0].text(), &mut out);
    out.push(b'"');
    let heads: [(&[u8], Value<'_>); 3] =
        [(b"channel", names[1]), (b"computer_name", names[2]), (b"provider_name", names[3])];
    for (key, value) in heads {
        put(key, &value.text(), &mut out);
    }
    out.extend_from_slice(b",\"event_data\":{");
    let mut first = true;
    for (key, value) in members(data) {
        let mut name = key.to_vec();
        if let Some(b) = name.first_mut() {
            b.make_ascii_uppercase();
        }
        if first {
            first = false;
        } else {
            out.push(b',');
        }
        out.push(b'"');
        escape(&name, &mut out);
        out.extend_from_slice(b"\":\"");
        escape(&undouble(value.text()), &mut out);
        out.push(b'"');
    }
    out.extend_from_slice(b"}}}");
    Some(out)
}

/// Wazuh's agent escapes values twice: what is left after once are `CORP\\anna` and `\"C:\\x\"`.
fn undouble(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if find(&value, b"\\\\").is_none() && find(&value, b"\\\"").is_none() {
        return value;
    }
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        match (b, bytes.peek()) {
            (b'\\', Some(next @ (b'\\' | b'"'))) => {
                out.push(*next);
                bytes.next();
            }
            _ => out.push(b),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> String {
        let text = String::from_utf8(bytes.expect("rebuilt")).expect("text");
        if text.starts_with('{') {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
        text
    }

    #[test]
    fn what_was_escaped_twice() {
        let plain =
            |text: &'static [u8]| String::from_utf8_lossy(&undouble(Cow::Borrowed(text))).into_owned();
        assert_eq!(plain(br"CORP\\anna"), r"CORP\anna");
        assert_eq!(plain(br#"\"C:\\x.exe\" -q"#), r#""C:\x.exe" -q"#);
        assert_eq!(plain(br"CORP\anna"), r"CORP\anna");
    }

    #[test]
    fn a_row_of_common_security_log() {
        let row = br#"{"TimeGenerated":"2026-01-01T00:00:00Z","DeviceVendor":"Fort|inet","DeviceProduct":"Fortigate","DeviceVersion":"v7","DeviceEventClassID":"39424","Activity":"event:vpn ssl","LogSeverity":"3","SourceIP":"192.0.2.1","SourcePort":0,"DestinationUserName":"anna","DeviceCustomString1":"a=b","DeviceCustomString1Label":"x","Message":"one\ntwo","AdditionalExtensions":"FTNTFGTaction=tunnel-up;FTNTFGTmsg=a; b;deviceExternalId=FG1"}"#;
        assert_eq!(
            text(cef(row)),
            r"CEF:0|Fort\|inet|Fortigate|v7|39424|event:vpn ssl|3|src=192.0.2.1 spt=0 duser=anna cs1=a\=b cs1Label=x msg=one\ntwo FTNTFGTaction=tunnel-up FTNTFGTmsg=a; b deviceExternalId=FG1"
        );
        assert_eq!(cef(br#"{"DeviceVendor":"x"}"#), None);
    }

    #[test]
    fn rows_of_the_event_viewer() {
        let show = |row: &str| {
            let (text, time) = viewer(row.as_bytes());
            (String::from_utf8(text).expect("text"), time.map(|t| t.to_string()))
        };
        let (text, time) = show(
            r#"{"Level":"Information","Date and Time":"3/4/2026 5:06:07 AM","Source":"Microsoft-Windows-Security-Auditing","Event ID":"4624","Message":"An account.\n\nSubject:"}"#,
        );
        assert_eq!(
            text,
            "3/4/2026 5:06:07 AM\nLogName=Security\nSourceName=Microsoft-Windows-Security-Auditing\nEventCode=4624\nComputerName=\nMessage=An account.\n\nSubject:"
        );
        assert_eq!(time, None);
        let of = |stamp: &str| {
            show(&format!(r#"{{"TimeCreated":"{stamp}","Id":1,"ProviderName":"p","LogName":"l"}}"#))
        };
        assert!(
            of("04.03.2026 05:06:07")
                .0
                .starts_with("03/04/2026 05:06:07\nLogName=l\nSourceName=p\nEventCode=1")
        );
        assert!(of("2026-03-04 05:06:07").0.starts_with("03/04/2026 05:06:07\n"));
        assert_eq!(of("/Date(1772600767000)/").1.as_deref(), Some("2026-03-04T05:06:07Z"));
        assert_eq!(of("2026-03-04T06:06:07+01:00").1.as_deref(), Some("2026-03-04T05:06:07Z"));
    }

    #[test]
    fn windows_events() {
        let dynamic = br#"{"TimeGenerated":"2026-01-01T00:00:00Z","Provider":"P","Channel":"Security","Computer":"a","EventID":"4624","EventData":"{\"TargetUserName\":\"anna\",\"LogonType\":3}"}"#;
        assert_eq!(
            text(windows(dynamic)),
            r#"{"TimeGenerated":"2026-01-01T00:00:00Z","SourceName":"P","Channel":"Security","Computer":"a","EventID":"4624","TargetUserName":"anna","LogonType":"3"}"#
        );
        let xml = br#"{"EventLog":"System","EventID":7045,"EventData":"<DataItem><EventData><Data Name=\"ServiceName\">a&amp;b</Data><Data Name='x'/></EventData></DataItem>"}"#;
        assert_eq!(text(windows(xml)), r#"{"Channel":"System","EventID":"7045","ServiceName":"a&b"}"#);
        let win = br#"{"system":{"eventID":"4624","channel":"Security","computer":"a","systemTime":"2026-01-01T00:00:00Z"},"eventdata":{"targetUserName":"anna","ipAddress":"192.0.2.1"}}"#;
        assert_eq!(
            text(wazuh(win)),
            r#"{"@timestamp":"2026-01-01T00:00:00Z","winlog":{"event_id":"4624","channel":"Security","computer_name":"a","provider_name":"","event_data":{"TargetUserName":"anna","IpAddress":"192.0.2.1"}}}"#
        );
    }
}
