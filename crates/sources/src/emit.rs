//! How a parser hands over events: a builder over borrowed bytes that knows the spellings of "nothing".

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::record::Record;
use crate::source::{Parsed, Source};
use portreeve_model::RawRef;
use portreeve_model::event::{Act, Change, Event, Factor, Flags, Mac, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::intern::{Interner, Sym};
use portreeve_model::net::Ip;
use portreeve_model::place::{Country, Point};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;

/// Longest name that is kept; longer ones are cut. Bounds what a hostile record can put into memory.
const NAME_LIMIT: usize = 1_024;

/// Where a parser puts its events.
pub struct Emit<'a> {
    names: &'a mut Interner,
    events: &'a mut Vec<Event>,
    /// Where this record's events begin in `events`.
    from: usize,
    source: &'static str,
    raw: &'a [u8],
    at: RawRef,
    untimed: bool,
}

impl<'a> Emit<'a> {
    pub fn new(
        names: &'a mut Interner,
        events: &'a mut Vec<Event>,
        source: &Source,
        record: &Record<'a>,
    ) -> Self {
        let from = events.len();
        let untimed = record.clock.keeps_untimed();
        Emit { names, events, from, source: source.name, raw: record.raw, at: record.at, untimed }
    }

    /// Begins an event; [`EventBuilder::done`] hands it over. Without a time it is not handed over.
    pub fn event(&mut self, act: Act, outcome: Outcome) -> EventBuilder<'_> {
        // Most records give no event: what an event needs is made here and not before. A record that gives several
        // events gives several keys.
        let event = Event {
            time: if self.untimed { EventTime::MIN } else { EventTime::default() },
            // Added to the hash of the record, once nobody named a surer key.
            key: (self.events.len() - self.from) as u64,
            source: self.names.intern(self.source),
            raw: self.at,
            act,
            outcome,
            ..Event::default()
        };
        EventBuilder {
            names: self.names,
            events: self.events,
            event,
            timed: self.untimed,
            keyed: false,
            raw: self.raw,
        }
    }
}

/// Hash of a record's bytes: the same for the same record by whichever path it came. Eight bytes a step, no
/// protection against chosen collisions needed: a forged collision only hides the forger's own record.
pub fn content_key(raw: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h: u64 = (raw.len() as u64).wrapping_mul(K);
    let mut chunks = raw.chunks_exact(8);
    for c in &mut chunks {
        let mut word = [0u8; 8];
        word.copy_from_slice(c);
        h = (h.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    }
    let mut word = [0u8; 8];
    for (to, from) in word.iter_mut().zip(chunks.remainder()) {
        *to = *from;
    }
    h = (h.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    h ^ h >> 32
}

/// `@timestamp` of a JSON record.
fn shipped(raw: &[u8]) -> Option<EventTime> {
    const NAME: &[u8] = b"\"@timestamp\"";
    if raw.first() != Some(&b'{') {
        return None;
    }
    let rest = &raw[find(raw, NAME)? + NAME.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    match clock::iso(rest)? {
        (Stamp::Absolute(time), _) => Some(time),
        (Stamp::Local(civil), _) => Clock::with_offset(civil, 0),
    }
}

/// The bytes as text, cut to the limit; bytes that are no UTF-8 become U+FFFD.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.trim_ascii();
    let bytes = if bytes.len() > NAME_LIMIT { &bytes[..NAME_LIMIT] } else { bytes };
    String::from_utf8_lossy(bytes)
}

/// Spellings with which products say "nobody" or "nothing".
fn says_nothing(bytes: &[u8]) -> bool {
    matches!(
        bytes.trim_ascii(),
        b"" | b"-"
            | b"--"
            | b"N/A"
            | b"n/a"
            | b"(null)"
            | b"null"
            | b"None"
            | b"none"
            | b"<unknown>"
            | b"unknown"
            | b"Unknown"
            | b"HIDDEN_DUE_TO_SECURITY_REASONS"
    )
}

/// One event under construction. Setters take the record's bytes as they are; empty ones set nothing.
pub struct EventBuilder<'e> {
    names: &'e mut Interner,
    events: &'e mut Vec<Event>,
    event: Event,
    timed: bool,
    /// The product's own id is the key.
    keyed: bool,
    raw: &'e [u8],
}

impl EventBuilder<'_> {
    fn name(&mut self, bytes: &[u8]) -> Sym {
        if says_nothing(bytes) { Sym::NONE } else { self.names.intern(&text(bytes)) }
    }

    pub fn time(mut self, time: EventTime, certainty: Certainty) -> Self {
        (self.event.time, self.event.certainty, self.timed) = (time, certainty, true);
        self
    }

    /// Time as returned by the clock or the header; `None` leaves the event without one.
    pub fn at(self, time: Option<(EventTime, Certainty)>) -> Self {
        match time {
            Some((t, c)) => self.time(t, c),
            None => self,
        }
    }

    /// The account. `*****` and its like set [`Flags::USER_MASKED`] instead.
    pub fn user(mut self, bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        if bytes.len() >= 3 && bytes.iter().all(|b| *b == b'*') {
            self.event.flags.set(Flags::USER_MASKED);
        } else {
            self.event.user = self.name(bytes);
        }
        self
    }

    /// Domain and account held apart, as Windows does: `DOMAIN\account`.
    pub fn domain_user(mut self, domain: &[u8], user: &[u8]) -> Self {
        if says_nothing(domain) || says_nothing(user) || user.contains(&b'\\') || user.contains(&b'@') {
            return self.user(user);
        }
        let joined = format!("{}\\{}", text(domain), text(user));
        self.event.user = self.names.intern(&joined);
        self
    }

    pub fn target(mut self, bytes: &[u8]) -> Self {
        self.event.target = self.name(bytes);
        self
    }

    pub fn observer(mut self, bytes: &[u8]) -> Self {
        self.event.observer = self.name(bytes);
        self
    }

    pub fn host(mut self, bytes: &[u8]) -> Self {
        self.event.host = self.name(bytes);
        self
    }

    pub fn device(mut self, bytes: &[u8]) -> Self {
        self.event.device = self.name(bytes);
        self
    }

    pub fn sid(mut self, bytes: &[u8]) -> Self {
        self.event.sid = self.name(bytes);
        self
    }

    pub fn client(mut self, bytes: &[u8]) -> Self {
        self.event.client = self.name(bytes);
        self
    }

    pub fn group(mut self, bytes: &[u8]) -> Self {
        self.event.group = self.name(bytes);
        self
    }

    pub fn detail(mut self, bytes: &[u8]) -> Self {
        self.event.detail = self.name(bytes);
        self
    }

    pub fn city(mut self, bytes: &[u8]) -> Self {
        self.event.city = self.name(bytes);
        self
    }

    /// The client's address, with its port where it stands behind it.
    pub fn source(mut self, bytes: &[u8]) -> Self {
        let (ip, port) = Ip::parse_with_port(bytes);
        self.event.src_ip = ip;
        if port != 0 {
            self.event.src_port = port;
        }
        self
    }

    pub fn source_ip(mut self, ip: Ip) -> Self {
        self.event.src_ip = ip;
        self
    }

    pub fn source_port(mut self, port: u16) -> Self {
        self.event.src_port = port;
        self
    }

    pub fn tunnel(mut self, bytes: &[u8]) -> Self {
        self.event.tun_ip = Ip::parse(bytes);
        self
    }

    pub fn tunnel_ip(mut self, ip: Ip) -> Self {
        self.event.tun_ip = ip;
        self
    }

    pub fn destination(mut self, bytes: &[u8]) -> Self {
        let (ip, port) = Ip::parse_with_port(bytes);
        self.event.dst_ip = ip;
        if port != 0 {
            self.event.dst_port = port;
        }
        self
    }

    pub fn destination_ip(mut self, ip: Ip) -> Self {
        self.event.dst_ip = ip;
        self
    }

    pub fn destination_port(mut self, port: u16) -> Self {
        self.event.dst_port = port;
        self
    }

    pub fn mac(mut self, bytes: &[u8]) -> Self {
        self.event.mac = Mac::parse(bytes);
        self
    }

    pub fn vlan(mut self, vlan: u16) -> Self {
        self.event.vlan = vlan;
        self
    }

    pub fn reason(mut self, reason: Reason) -> Self {
        self.event.reason = reason;
        self
    }

    pub fn mfa(mut self, mfa: Mfa) -> Self {
        self.event.mfa = mfa;
        self
    }

    pub fn factor(mut self, factor: Factor) -> Self {
        self.event.factor = factor;
        self
    }

    pub fn service(mut self, service: Service) -> Self {
        self.event.service = service;
        self
    }

    pub fn method(mut self, method: Method) -> Self {
        self.event.method = method;
        self
    }

    pub fn change(mut self, change: Change) -> Self {
        self.event.change = change;
        self
    }

    /// The product's own id of what happened: records that carry the same id, of whatever shape, count once. Empty
    /// ids are none.
    pub fn identity(mut self, id: &[u8]) -> Self {
        if !says_nothing(id) {
            (self.event.key, self.keyed) = (content_key(id.trim_ascii()), true);
        }
        self
    }

    pub fn flag(mut self, flag: Flags) -> Self {
        self.event.flags.set(flag);
        self
    }

    pub fn flag_if(self, condition: bool, flag: Flags) -> Self {
        if condition { self.flag(flag) } else { self }
    }

    /// 1 informational to 5 critical, as OCSF counts.
    pub fn severity(mut self, severity: u8) -> Self {
        self.event.severity = severity;
        self
    }

    pub fn logon_type(mut self, logon_type: u8) -> Self {
        self.event.logon_type = logon_type;
        self
    }

    pub fn repeat(mut self, times: u16) -> Self {
        self.event.repeat = times;
        self
    }

    pub fn duration_s(mut self, seconds: u32) -> Self {
        self.event.duration_s = seconds;
        self
    }

    pub fn bytes(mut self, from_client: u64, to_client: u64) -> Self {
        (self.event.bytes_in, self.event.bytes_out) = (from_client, to_client);
        self
    }

    pub fn bytes_in(mut self, from_client: u64) -> Self {
        self.event.bytes_in = from_client;
        self
    }

    pub fn bytes_out(mut self, to_client: u64) -> Self {
        self.event.bytes_out = to_client;
        self
    }

    /// Country, an ISO code, as the product's own geolocation says.
    pub fn country(mut self, bytes: &[u8]) -> Self {
        self.event.country = std::str::from_utf8(bytes).map_or(Country::NONE, Country::parse);
        self
    }

    pub fn point(mut self, point: Option<Point>) -> Self {
        self.event.point = point;
        self
    }

    /// Hands the event over.
    pub fn done(mut self) -> Parsed {
        if !self.timed || self.event.time == EventTime::MIN {
            // Logstash and its like move the record's own time to `@timestamp` and drop the field.
            match shipped(self.raw) {
                Some(time) => (self.event.time, self.event.certainty) = (time, Certainty::Exact),
                None if self.timed => {}
                None => return Parsed::Broken(crate::source::Why::NoTime),
            }
        }
        if !self.keyed {
            self.event.key = content_key(self.raw).wrapping_add(self.event.key);
        }
        self.events.push(self.event);
        Parsed::Events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_with_one_id_have_one_key() {
        let clock = Clock::utc();
        let mut names = Interner::new(portreeve_model::SymbolTable::new());
        let mut events = Vec::new();
        for (raw, id) in [(&b"one"[..], &b"ab-1"[..]), (b"two", b" ab-1 "), (b"three", b""), (b"four", b"-")]
        {
            let record = Record::bare(raw, &clock);
            Emit::new(&mut names, &mut events, &crate::plain::PLAIN, &record)
                .event(Act::Auth, Outcome::Success)
                .at(Some((EventTime::from_unix(1), Certainty::Exact)))
                .identity(id)
                .done();
        }
        let keys: Vec<u64> = events.iter().map(|e| e.key).collect();
        assert_eq!(keys[0], keys[1]);
        assert_eq!(keys[2..], [content_key(b"three"), content_key(b"four")]);
    }
}
