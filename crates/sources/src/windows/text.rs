//! Windows events as the text of an agent: Splunk's `LogName=`, Snare, OSSEC, WinCollect, NXLog's pairs.
//!
//! Read from: Splunk Add-on for Microsoft Windows; Snare Enterprise Agent for Windows; IBM WinCollect; NXLog Community
//! reference. Traps: tabs may arrive as `#011`; the date of Snare and Splunk is local; the message is flattened by most.

use super::message;
use crate::decode::clock::{self, Civil, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{self, number};
use crate::record::Record;
use portreeve_model::EventTime;
use portreeve_model::time::Certainty;
use std::borrow::Cow;

/// What the text of an agent says of an event.
#[derive(Default)]
pub(crate) struct Said<'a> {
    pub(crate) id: u32,
    pub(crate) channel: &'a [u8],
    pub(crate) provider: &'a [u8],
    pub(crate) computer: &'a [u8],
    /// The rendered message, or the pairs that hold the data.
    pub(crate) message: &'a [u8],
    /// The message is pairs of schema names and values.
    pairs: bool,
    stamp: Option<Stamp>,
}

/// Where the agents' own words stand at the latest.
const HEAD: usize = 400;

fn head(text: &[u8]) -> &[u8] {
    text.get(..text.len().min(HEAD)).unwrap_or_default()
}

/// Cheap: is it the text of an agent?
pub(crate) fn looks(r: &Record<'_>) -> bool {
    let head = head(r.body);
    find(head, b"MSWinEventLog").is_some()
        || find(head, b"EventCode=").is_some() && find(head, b"LogName=").is_some()
        || find(head, b"WinEvtLog: ").is_some()
        || r.header.program.ends_with(b"WinEvtLog")
        || find(head, b"AgentDevice=WindowsLog").is_some()
        || find(r.body, b"EventID=").is_some()
            && (find(r.body, b"SourceName=").is_some() || find(r.body, b"Channel=").is_some())
        || r.body.len() < r.raw.len() && find(r.raw, b"[NXLOG@14506 ").is_some()
}

/// Reads the event.
pub(crate) fn read<'a>(r: &Record<'a>) -> Option<Said<'a>> {
    let head = head(r.body);
    if let Some(at) = find(head, b"MSWinEventLog") {
        return snare(r.body.get(at + 13..)?);
    }
    if find(head, b"EventCode=").is_some() && find(head, b"LogName=").is_some() {
        return splunk(r.body);
    }
    if r.header.program.ends_with(b"WinEvtLog") {
        return ossec(r.body);
    }
    if let Some(at) = find(head, b"WinEvtLog: ") {
        return ossec(r.body.get(at + 11..)?);
    }
    if find(head, b"AgentDevice=WindowsLog").is_some() {
        return wincollect(r.body);
    }
    pairs(r)
}

impl<'a> Said<'a> {
    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        match self.stamp {
            Some(Stamp::Absolute(t)) => Some((t, Certainty::Exact)),
            Some(Stamp::Local(civil)) => r.clock.resolve(civil),
            None => r.header_time(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Cow<'a, [u8]> {
        if !self.pairs {
            return Cow::Borrowed(message::field(self.id, self.message, name));
        }
        let value = kv::pairs(self.message).find(|(k, _)| *k == name.as_bytes()).map_or(&b""[..], |(_, v)| v);
        Cow::Borrowed(value)
    }
}

/// `\t1\tSecurity\t4711\tWed Mar 04 05:06:07 2026\t4624\tprovider\tuser\ttype\tSuccess Audit\tcomputer\tcategory\tdata\t
/// message\tchecksum`.
fn snare(text: &[u8]) -> Option<Said<'_>> {
    let between: &[u8] = match text.first()? {
        b'#' => b"#011",
        b'|' => b"|",
        b',' => b",",
        _ => b"\t",
    };
    let mut rest = text.strip_prefix(between)?;
    let mut field = || {
        let end = find(rest, between).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.get(between.len()..).unwrap_or_default();
        field.trim_ascii()
    };
    let (_, channel, _, date, id) = (field(), field(), field(), field(), field());
    let (provider, _, _, _, computer) = (field(), field(), field(), field(), field());
    let (_, data, said) = (field(), field(), field());
    let id = u32::try_from(number(id)).ok().filter(|n| *n > 0)?;
    let message = if said.len() > 20 { said } else { data };
    let stamp = clock::bsd(date.get(4..)?).map(|(s, _)| s);
    Some(Said { id, channel, provider, computer, message, pairs: false, stamp })
}

/// A date, then one `Key=Value` a line, the message last and over many lines.
fn splunk(text: &[u8]) -> Option<Said<'_>> {
    let mut said = Said::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default().trim_ascii();
        let (key, value) = match memchr::memchr(b'=', line) {
            Some(eq) => (line.get(..eq)?, line.get(eq + 1..)?),
            None => (line, &b""[..]),
        };
        match key {
            b"LogName" => said.channel = value,
            b"SourceName" => said.provider = value,
            b"ComputerName" => said.computer = value,
            b"EventCode" => said.id = u32::try_from(number(value)).ok()?,
            b"Message" => {
                let from = memchr::memchr(b'=', rest)? + 1;
                said.message = rest.get(from..)?;
                break;
            }
            _ if said.stamp.is_none() => said.stamp = american(key).map(Stamp::Local),
            _ => {}
        }
        at += end + 1;
    }
    (said.id > 0).then_some(said)
}

/// `Security: AUDIT_SUCCESS(4624): provider: user: domain: computer: message`.
fn ossec(text: &[u8]) -> Option<Said<'_>> {
    let mut rest = text;
    let mut field = || {
        let end = find(rest, b": ").unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.get(2..).unwrap_or_default();
        field
    };
    let (channel, kind, provider) = (field(), field(), field());
    let (_, _, computer) = (field(), field(), field());
    let id = kv::between(kind, b"(", b")").map(number)?;
    let id = u32::try_from(id).ok().filter(|n| *n > 0)?;
    Some(Said { id, channel, provider, computer, message: rest, pairs: false, stamp: None })
}

/// `AgentDevice=WindowsLog\tAgentLogFile=Security\t…\tEventIDCode=4624\t…\tMessage=…`.
fn wincollect(text: &[u8]) -> Option<Said<'_>> {
    let mut said = Said::default();
    let mut rest = text;
    loop {
        if let Some(message) = rest.strip_prefix(b"Message=") {
            said.message = message;
            break;
        }
        let end = memchr::memchr(b'\t', rest).unwrap_or(rest.len());
        let pair = rest.get(..end)?;
        if let Some(eq) = memchr::memchr(b'=', pair) {
            let value = pair.get(eq + 1..)?.trim_ascii();
            match pair.get(..eq)? {
                b"AgentLogFile" => said.channel = value,
                b"Source" => said.provider = value,
                b"Computer" => said.computer = value,
                b"EventIDCode" => said.id = u32::try_from(number(value)).ok()?,
                b"TimeGenerated" => said.stamp = clock::epoch(value).map(Stamp::Absolute),
                _ => {}
            }
        }
        if end == rest.len() {
            break;
        }
        rest = rest.get(end + 1..)?;
    }
    (said.id > 0).then_some(said)
}

/// Pairs of schema names, on the line or as the structured data of its header.
fn pairs<'a>(r: &Record<'a>) -> Option<Said<'a>> {
    let text = match find(r.raw, b"[NXLOG@14506 ") {
        Some(at) => r.raw.get(at + 13..)?,
        None => r.body,
    };
    let mut said = Said { message: text, pairs: true, computer: r.host(), ..Said::default() };
    for (key, value) in kv::pairs(text) {
        match key {
            b"EventID" => said.id = u32::try_from(number(value)).ok()?,
            b"Channel" => said.channel = value,
            b"SourceName" => said.provider = value,
            b"Hostname" => said.computer = value,
            b"EventTime" => said.stamp = clock::iso(value).map(|(s, _)| s),
            _ => {}
        }
    }
    // The application of the header is the provider.
    if said.provider.is_empty() {
        said.provider = r.header.program;
    }
    (said.id > 0).then_some(said)
}

/// `03/04/2026 05:06:07 AM`, `3/4/2026, 5:06:07.123 PM`: month first, as Splunk and the Azure portal write it.
pub(crate) fn american(text: &[u8]) -> Option<Civil> {
    let mut parts = text.splitn(3, |b| *b == b'/');
    let (month, day, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let short = |t: &[u8]| (matches!(t.len(), 1 | 2) && t.iter().all(u8::is_ascii_digit)).then(|| number(t));
    let (month, day) = (short(month)?, short(day)?);
    let year = rest.get(..4).filter(|y| y.iter().all(u8::is_ascii_digit)).map(number)?;
    let rest = rest.get(4..)?;
    let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    let mut clock = rest.splitn(3, |b| *b == b':');
    let (hour, minute, tail) = (clock.next()?, clock.next()?, clock.next()?);
    let (hour, minute, second) = (short(hour)?, short(minute)?, short(tail.get(..2)?)?);
    let rest = tail.get(2..)?;
    let fraction = rest.strip_prefix(b".").map_or(0, |f| {
        let digits = f.iter().take_while(|b| b.is_ascii_digit()).take(6);
        let (n, len) = digits.fold((0u32, 0u32), |(n, len), b| (n * 10 + u32::from(b - b'0'), len + 1));
        n * 10u32.pow(6 - len)
    });
    let hour = if find(rest, b"PM").is_some() {
        hour % 12 + 12
    } else if find(rest, b"AM").is_some() {
        hour % 12
    } else {
        hour
    };
    let civil = Civil {
        year: i16::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: u8::try_from(hour).ok()?,
        minute: u8::try_from(minute).ok()?,
        second: u8::try_from(second).ok()?,
        micros: fraction,
    };
    civil.is_possible().then_some(civil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_america() {
        let show = |text: &str| american(text.as_bytes()).map(|c| (c.month, c.day, c.hour, c.micros));
        assert_eq!(show("03/04/2026 05:06:07 AM"), Some((3, 4, 5, 0)));
        assert_eq!(show("3/4/2026, 12:06:07.123 AM"), Some((3, 4, 0, 123_000)));
        assert_eq!(show("3/4/2026 12:06:07 PM"), Some((3, 4, 12, 0)));
        assert_eq!(show("13/04/2026 05:06:07"), None);
        assert_eq!(show("2026/03/04 05:06:07"), None);
        assert_eq!(show(""), None);
    }
}
