//! Products that a text file describes, without code: `content/sources/<row>/<name>.yml`, and a site's own in its
//! `sources.d`. A file is checked and made ready once; reading a record with it allocates no more than a parser does.

mod check;
mod compile;
mod file;
mod pattern;
mod values;

use crate::decode::clock::{self, Stamp};
use crate::emit::{Emit, EventBuilder};
use crate::record::Record;
use crate::source::{Kind, Parsed, Source};
use jiff::fmt::strtime::BrokenDownTime;
use pattern::Pattern;
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use values::{FIELDS, Raw, Split, Values};

pub use check::{Failed, failures, test_lines};
pub use compile::MappingError;
pub use file::schema;

/// A source made of its text. It lives as long as the program, as built-in ones do.
pub fn source(text: &str) -> Result<&'static Source, MappingError> {
    compile::source(text)
}

/// A product's text file, made ready.
pub struct Mapping {
    /// Of each list one stands in the record.
    pub(crate) marks: Vec<Vec<&'static str>>,
    program: Option<String>,
    claim: Vec<Check>,
    /// One of these lists holds whole; none where nothing more is asked.
    any: Vec<Vec<Check>>,
    /// One per shape that the product writes.
    splits: Vec<Split>,
    /// Fields `@host` and `@program`: what the header or the envelope says.
    host: Option<usize>,
    writer: Option<usize>,
    time: Option<TimeRule>,
    rules: Vec<ReadyRule>,
    pub(crate) tests: Vec<file::Test>,
}

struct TimeRule {
    from: Vec<usize>,
    formats: Vec<TimeFormat>,
    utc: bool,
}

enum TimeFormat {
    Iso,
    Epoch,
    Syslog,
    Pattern(String),
}

struct ReadyRule {
    pattern: Option<Pattern>,
    /// One of these lists holds whole.
    when: Vec<Vec<Check>>,
    then: Then,
}

enum Then {
    Ignore(Kind),
    Event { acts: Vec<Act>, outcome: Pick<Outcome>, puts: Vec<Put> },
}

/// A condition on one field.
struct Check {
    field: usize,
    test: Test,
}

enum Test {
    /// Equal to one of these, letter case aside.
    Is(Vec<Box<[u8]>>),
    Not(Vec<Box<[u8]>>),
    Contains(Vec<Box<[u8]>>),
    Starts(Vec<Box<[u8]>>),
    Ends(Vec<Box<[u8]>>),
    Present(bool),
}

/// A value of a vocabulary: the same in every record, or by what a field says.
enum Pick<T> {
    Always(T),
    From { from: Vec<usize>, map: Vec<(Box<[u8]>, T)>, otherwise: T },
}

/// Text taken from the record.
struct Text {
    from: Vec<usize>,
    after: Option<Box<[u8]>>,
    before: Option<Box<[u8]>>,
}

/// What is put into one field of the event.
enum Put {
    Text(Slot, Text),
    Always(Slot, Box<[u8]>),
    Service(Pick<Service>),
    Method(Pick<Method>),
    Mfa(Pick<Mfa>),
    Factor(Pick<Factor>),
    Reason(Pick<Reason>),
    Change(Pick<Change>),
    Severity(Pick<u8>),
    Flags(Pick<Flags>),
}

/// Fields of the event that take text or numbers as the record has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    User,
    Target,
    SourceIp,
    SourcePort,
    TunnelIp,
    DestinationIp,
    DestinationPort,
    Observer,
    Host,
    Device,
    SessionId,
    Client,
    Group,
    Detail,
    City,
    Country,
    Mac,
    Vlan,
    DurationS,
    BytesIn,
    BytesOut,
    Repeat,
}

impl Mapping {
    pub(crate) fn claims(&self, record: &Record<'_>) -> bool {
        let Some(split) = self.split(record) else { return false };
        if self.program.as_ref().is_some_and(|p| record.header.program != p.as_bytes())
            || !self
                .marks
                .iter()
                .all(|one| one.iter().any(|m| crate::decode::find::find(record.raw, m.as_bytes()).is_some()))
        {
            return false;
        }
        if self.claim.is_empty() && self.any.is_empty() {
            return true;
        }
        let mut values = [Raw::Missing; FIELDS];
        split.read(record, &mut values).is_ok()
            && self.claim.iter().all(|c| c.holds(&values))
            && (self.any.is_empty() || self.any.iter().any(|all| all.iter().all(|c| c.holds(&values))))
    }

    fn split(&self, record: &Record<'_>) -> Option<&Split> {
        self.splits.iter().find(|s| s.suits(record))
    }

    pub(crate) fn read(&self, record: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
        let mut values = [Raw::Missing; FIELDS];
        let Some(split) = self.split(record) else { return Parsed::NotMine };
        if let Err(why) = split.read(record, &mut values) {
            return Parsed::Broken(why);
        }
        for (field, value) in [(self.host, record.host()), (self.writer, record.header.program)] {
            if let Some(place) = field.and_then(|f| values.get_mut(f)) {
                *place = Raw::Plain(value);
            }
        }
        for rule in &self.rules {
            if let Some(pattern) = &rule.pattern
                && !values::match_text(pattern, record, &mut values)
            {
                continue;
            }
            if !rule.when.iter().any(|all| all.iter().all(|c| c.holds(&values))) {
                continue;
            }
            return match &rule.then {
                Then::Ignore(kind) => Parsed::Irrelevant(*kind),
                Then::Event { acts, outcome, puts } => {
                    let at = self.time.as_ref().and_then(|t| t.read(record, &values));
                    let mut parsed = Parsed::NotMine;
                    for act in acts {
                        let mut event = out
                            .event(*act, outcome.value(&values))
                            .at(at.or_else(|| record.header_time()))
                            .observer(record.host());
                        for put in puts {
                            event = put.put(event, &values);
                        }
                        parsed = event.done();
                    }
                    parsed
                }
            };
        }
        Parsed::Irrelevant(Kind::OtherMessage)
    }
}

impl TimeRule {
    fn read(&self, record: &Record<'_>, values: &Values<'_>) -> Option<(EventTime, Certainty)> {
        let text = first(&self.from, values)?;
        let text = text.trim_ascii();
        match self.formats.iter().find_map(|f| f.read(text))? {
            Stamp::Absolute(time) => Some((time, Certainty::Exact)),
            Stamp::Local(civil) if self.utc => record.clock.resolve_in(civil, 0),
            Stamp::Local(civil) => record.clock.resolve(civil),
        }
    }
}

impl TimeFormat {
    fn read(&self, text: &[u8]) -> Option<Stamp> {
        match self {
            TimeFormat::Iso => clock::iso(text).map(|(stamp, _)| stamp),
            // A stamp that only begins with digits is none.
            TimeFormat::Epoch if text.iter().all(|b| b.is_ascii_digit() || *b == b'.') => {
                clock::epoch(text).map(Stamp::Absolute)
            }
            TimeFormat::Epoch => None,
            TimeFormat::Syslog => clock::bsd(text).map(|(stamp, _)| stamp),
            TimeFormat::Pattern(pattern) => pattern_stamp(pattern, text),
        }
    }
}

/// A stamp as strptime(3) reads it. Slower than the hand-written ones; for what they do not know.
fn pattern_stamp(pattern: &str, text: &[u8]) -> Option<Stamp> {
    let parsed = BrokenDownTime::parse(pattern, text).ok()?;
    if parsed.offset().is_some() || parsed.timestamp().is_some() {
        let at = parsed.to_timestamp().ok()?;
        return Some(Stamp::Absolute(EventTime(at.as_microsecond())));
    }
    let micros = parsed.subsec_nanosecond().unwrap_or_default() / 1_000;
    Some(Stamp::Local(clock::Civil {
        year: parsed.year().unwrap_or_default(),
        month: u8::try_from(parsed.month()?).ok()?,
        day: u8::try_from(parsed.day()?).ok()?,
        hour: u8::try_from(parsed.hour().unwrap_or_default()).ok()?,
        minute: u8::try_from(parsed.minute().unwrap_or_default()).ok()?,
        second: u8::try_from(parsed.second().unwrap_or_default()).ok()?,
        micros: u32::try_from(micros).ok()?,
    }))
}

/// The first of the fields that says something.
fn first<'a>(from: &[usize], values: &Values<'a>) -> Option<Cow<'a, [u8]>> {
    from.iter()
        .filter_map(|n| values.get(*n))
        .map(|v| v.text())
        .find(|t| !matches!(t.trim_ascii(), b"" | b"-" | b"N/A" | b"null" | b"None"))
}

impl Check {
    fn holds(&self, values: &Values<'_>) -> bool {
        let value = values.get(self.field).copied().unwrap_or_default();
        if let Test::Present(wanted) = &self.test {
            return !matches!(value, Raw::Missing) == *wanted;
        }
        let text = value.text();
        let text = text.trim_ascii();
        let any = |list: &[Box<[u8]>], f: &dyn Fn(&[u8]) -> bool| list.iter().any(|w| f(w));
        match &self.test {
            Test::Is(list) => any(list, &|w| text.eq_ignore_ascii_case(w)),
            Test::Not(list) => !any(list, &|w| text.eq_ignore_ascii_case(w)),
            Test::Contains(list) => any(list, &|w| crate::decode::find::find(text, w).is_some()),
            Test::Starts(list) => any(list, &|w| text.starts_with(w)),
            Test::Ends(list) => any(list, &|w| text.ends_with(w)),
            Test::Present(_) => true,
        }
    }
}

impl<T: Copy> Pick<T> {
    fn value(&self, values: &Values<'_>) -> T {
        match self {
            Pick::Always(value) => *value,
            Pick::From { from, map, otherwise } => {
                let Some(text) = first(from, values) else { return *otherwise };
                let text = text.trim_ascii();
                map.iter().find(|(w, _)| text.eq_ignore_ascii_case(w)).map_or(*otherwise, |(_, v)| *v)
            }
        }
    }
}

impl Text {
    fn read<'a>(&self, values: &Values<'a>) -> Option<Cow<'a, [u8]>> {
        let text = first(&self.from, values)?;
        if self.after.is_none() && self.before.is_none() {
            return Some(text);
        }
        let mut part: &[u8] = &text;
        if let Some(after) = &self.after
            && let Some(at) = crate::decode::find::find(part, after)
        {
            part = part.get(at + after.len()..).unwrap_or_default();
        }
        if let Some(before) = &self.before
            && let Some(at) = crate::decode::find::find(part, before)
        {
            part = part.get(..at).unwrap_or_default();
        }
        Some(Cow::Owned(part.to_vec()))
    }
}

impl Put {
    fn put<'e>(&self, event: EventBuilder<'e>, values: &Values<'_>) -> EventBuilder<'e> {
        match self {
            Put::Text(slot, text) => match text.read(values) {
                Some(text) => slot.put(event, &text),
                None => event,
            },
            Put::Always(slot, text) => slot.put(event, text),
            Put::Service(p) => event.service(p.value(values)),
            Put::Method(p) => event.method(p.value(values)),
            Put::Mfa(p) => event.mfa(p.value(values)),
            Put::Factor(p) => event.factor(p.value(values)),
            Put::Reason(p) => event.reason(p.value(values)),
            Put::Change(p) => event.change(p.value(values)),
            Put::Severity(p) => event.severity(p.value(values)),
            Put::Flags(p) => event.flag(p.value(values)),
        }
    }
}

impl Slot {
    const ALL: [(&'static str, Slot); 22] = [
        ("user", Slot::User),
        ("target", Slot::Target),
        ("source_ip", Slot::SourceIp),
        ("source_port", Slot::SourcePort),
        ("tunnel_ip", Slot::TunnelIp),
        ("destination_ip", Slot::DestinationIp),
        ("destination_port", Slot::DestinationPort),
        ("observer", Slot::Observer),
        ("host", Slot::Host),
        ("device", Slot::Device),
        ("session_id", Slot::SessionId),
        ("client", Slot::Client),
        ("group", Slot::Group),
        ("detail", Slot::Detail),
        ("city", Slot::City),
        ("country", Slot::Country),
        ("mac", Slot::Mac),
        ("vlan", Slot::Vlan),
        ("duration_s", Slot::DurationS),
        ("bytes_in", Slot::BytesIn),
        ("bytes_out", Slot::BytesOut),
        ("repeat", Slot::Repeat),
    ];

    fn named(name: &str) -> Option<Slot> {
        Slot::ALL.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
    }

    fn put<'e>(self, event: EventBuilder<'e>, text: &[u8]) -> EventBuilder<'e> {
        let number = || crate::decode::kv::number(text);
        let small = || u16::try_from(number()).unwrap_or_default();
        match self {
            Slot::User => event.user(text),
            Slot::Target => event.target(text),
            Slot::SourceIp => event.source(text),
            Slot::SourcePort => event.source_port(small()),
            Slot::TunnelIp => event.tunnel(text),
            Slot::DestinationIp => event.destination(text),
            Slot::DestinationPort => event.destination_port(small()),
            Slot::Observer => event.observer(text),
            Slot::Host => event.host(text),
            Slot::Device => event.device(text),
            Slot::SessionId => event.sid(text),
            Slot::Client => event.client(text),
            Slot::Group => event.group(text),
            Slot::Detail => event.detail(text),
            Slot::City => event.city(text),
            Slot::Country => event.country(text),
            Slot::Mac => event.mac(text),
            Slot::Vlan => event.vlan(small()),
            Slot::DurationS => event.duration_s(u32::try_from(number()).unwrap_or(u32::MAX)),
            Slot::BytesIn => event.bytes_in(number()),
            Slot::BytesOut => event.bytes_out(number()),
            Slot::Repeat => event.repeat(small()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
name: mapped
title: Mapped
row: endpoint
enable: nothing
format: json
claim:
  contains: ['"things"', ['"new_id"', '"old_id"']]
  any:
    - {kind: alert}
    - {old_id: {present: true}}
time: {from: at, format: [epoch, "%d-%b-%Y %H:%M:%S", iso]}
fields: {host: "things[type=host].name", user: "things[TYPE=user].name", detail: words}
rules:
  - act: alert
tests:
  - line: '{"new_id":1,"kind":"alert","at":"2026-03-05T10:01:00Z","things":[{"type":"user","name":"anna"},{"type":"host","name":"web1"}],"words":["first","second"]}'
    gives: 2026-03-05T10:01:00Z alert unknown service=other host=web1 detail=first
  - line: '{"old_id":1,"at":"05-Mar-2026 10:01:00","things":[]}'
    gives: 2026-03-05T10:01:00Z alert unknown service=other time=zone assumed
  - line: '{"old_id":1,"at":"1772704860123","things":{},"words":[]}'
    gives: 2026-03-05T10:01:00.123Z alert unknown service=other
  - line: '{"new_id":1,"kind":"other","at":"1772704860","things":[]}'
    gives: (not mine)
  - line: '{"kind":"alert","at":"1772704860","things":[]}'
    gives: (not mine)
"#;

    #[test]
    fn alternatives_and_elements() {
        let read = source(FILE).expect("a file without mistakes");
        let failed = failures(read);
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(source(&FILE.replace("[type=host]", "[type]")).is_err());
    }
}
