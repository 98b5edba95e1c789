//! The message form of Cisco's IOS, IOS-XE, IOS-XR, NX-OS and AireOS: `%FACILITY-SEVERITY-MNEMONIC: text`, and what
//! switches and wireless controllers say alike of a client's authentication.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed};
use portreeve_model::event::{Act, Flags, Mac, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

/// How far from the front a message may begin, behind sequence numbers, names and stamps.
const FRONT: usize = 200;

/// One message, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    /// `SEC_LOGIN`, `SECURITY-SSHD`.
    pub(crate) facility: &'a [u8],
    /// `LOGIN_SUCCESS`.
    pub(crate) name: &'a [u8],
    pub(crate) text: &'a [u8],
    /// What stands before the message and was not cut as a header.
    head: &'a [u8],
}

/// The message in a record; `None` where there is none, or where it is a firewall's (`%ASA-6-302013`).
pub(crate) fn message<'a>(r: &Record<'a>) -> Option<Message<'a>> {
    let body = r.body;
    let front = &body[..body.len().min(FRONT)];
    let found = memchr::memchr_iter(b'%', front).take(4).find_map(|at| {
        let opens = at == 0 || matches!(body.get(at - 1), Some(b' ' | b':'));
        opens.then(|| at_percent(body, at)).flatten()
    })?;
    crate::vpn::cisco_asa::message(r).is_none().then_some(found)
}

fn at_percent(body: &[u8], at: usize) -> Option<Message<'_>> {
    let rest = &body[at + 1..];
    let colon = memchr::memchr(b':', &rest[..rest.len().min(100)])?;
    let name = rest[..colon].trim_ascii_end();
    if !name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return None;
    }
    // The severity is the one part that is a single digit.
    let severity = memchr::memmem::find_iter(name, b"-").find(|dash| {
        name.get(dash + 1).is_some_and(|b| matches!(b, b'0'..=b'7')) && name.get(dash + 2) == Some(&b'-')
    })?;
    let (facility, mnemonic) = (&name[..severity], &name[severity + 3..]);
    if facility.is_empty() || mnemonic.is_empty() {
        return None;
    }
    Some(Message { facility, name: mnemonic, text: rest[colon + 1..].trim_ascii(), head: &body[..at] })
}

impl<'a> Message<'a> {
    pub(crate) fn is(&self, facility: &[u8]) -> bool {
        self.facility == facility
    }

    pub(crate) fn named(&self, part: &[u8]) -> bool {
        find(self.name, part).is_some()
    }

    pub(crate) fn says(&self, part: &[u8]) -> bool {
        find(self.text, part).is_some()
    }

    pub(crate) fn after(&self, marker: &[u8], end: &[u8]) -> &'a [u8] {
        after(self.text, marker, end).unwrap_or_default()
    }

    /// Time of the header, else the stamp that stands before the message (`RP/0/RSP0/CPU0:Mar  3 09:00:00.1 CET: `,
    /// `wlc-1: *emWeb: Mar 03 09:00:00.1: `).
    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        if r.header.time.is_some() {
            return r.header_time();
        }
        let mut at = 0;
        while at < self.head.len() {
            let rest = self.head[at..].trim_ascii_start();
            let rest = rest.strip_prefix(b"*").or_else(|| rest.strip_prefix(b".")).unwrap_or(rest);
            // `2026 Mar  3 09:00:00.123 CET`: the year in front.
            let (year, stamp) = match rest.get(..5) {
                Some([y @ .., b' ']) if y.iter().all(u8::is_ascii_digit) => (number(y), &rest[5..]),
                _ => (0, rest),
            };
            if let Some((Stamp::Local(mut civil), used)) = clock::bsd(stamp) {
                if civil.year == 0 {
                    civil.year = i16::try_from(year).unwrap_or(0);
                }
                let zone = word(&stamp[used..]).0;
                let zone = zone.strip_suffix(b":").unwrap_or(zone);
                return match clock::zone_name(zone) {
                    Some(east) => r.clock.resolve_in(civil, east),
                    None => r.clock.resolve(civil),
                };
            }
            match memchr::memchr(b':', &self.head[at..]) {
                Some(colon) => at += colon + 1,
                None => break,
            }
        }
        r.header_time()
    }

    /// The device: from the header, else the first word before the message (`wlc-1: *emWeb: …`).
    pub(crate) fn host(&self, r: &Record<'a>) -> &'a [u8] {
        let host = r.host();
        if !host.is_empty() {
            return host;
        }
        let first = word(self.head).0;
        match first.strip_suffix(b":") {
            Some(name) if !name.starts_with(b"*") && !name.iter().all(u8::is_ascii_digit) => name,
            _ => b"",
        }
    }

    /// The first hardware address of the text.
    pub(crate) fn mac(&self) -> &'a [u8] {
        self.text
            .split(|b| matches!(b, b' ' | b'(' | b')' | b'[' | b']' | b',' | b'/' | b'=' | b'\''))
            .map(|w| w.strip_suffix(b".").or_else(|| w.strip_suffix(b":")).unwrap_or(w))
            .find(|w| w.len() >= 12 && w.len() <= 17 && Mac::parse(w).is_some())
            .unwrap_or_default()
    }
}

/// Facilities that speak of the authentication of a client at a port or a radio.
pub(crate) fn is_access(m: &Message<'_>) -> bool {
    matches!(m.facility, b"AUTHMGR" | b"DOT1X" | b"MAB" | b"SESSION_MGR" | b"EPM" | b"WEBAUTH")
}

/// `%DOT1X-5-SUCCESS: Authentication successful for client (aabb.ccdd.eeff) on Interface Gi1/0/3 AuditSessionID 0A…
/// Username: anna`, and its kin.
pub(crate) fn access(r: &Record<'_>, m: &Message<'_>, service: Service, out: &mut Emit<'_>) -> Parsed {
    let (at, host) = (m.time(r), m.host(r));
    let interface = {
        let found = m.after(b"nterface ", b" ");
        found.strip_suffix(b".").or_else(|| found.strip_suffix(b",")).unwrap_or(found)
    };
    let sid = {
        let found = m.after(b"AuditSessionID ", b" ");
        found.strip_suffix(b".").unwrap_or(found)
    };
    if m.named(b"VLANASSIGN") {
        let vlan = u16::try_from(number(m.after(b"VLAN ", b" "))).unwrap_or(0);
        return out
            .event(Act::Nac, Outcome::Success)
            .at(at)
            .service(service)
            .vlan(vlan)
            .observer(host)
            .detail(interface)
            .sid(sid)
            .done();
    }
    // `IP 10.20.0.40| MAC aabb.ccdd.eeff| AuditSessionID 0A…| AUTHTYPE DOT1X| EVENT IP-ASSIGNMENT`
    if m.is(b"EPM") {
        if !m.named(b"IPEVENT") || !m.says(b"EVENT IP-ASSIGNMENT") {
            return Parsed::Irrelevant(Kind::Pending);
        }
        return out
            .event(Act::Nac, Outcome::Success)
            .at(at)
            .service(service)
            .tunnel(m.after(b"IP ", b"|"))
            .mac(m.after(b"MAC ", b"|"))
            .sid(m.after(b"AuditSessionID ", b"|"))
            .method(if m.says(b"AUTHTYPE MAB") { Method::Mab } else { Method::Dot1x })
            .observer(host)
            .done();
    }
    // RESULT says again what the method's own SUCCESS or FAIL says.
    if m.named(b"START") || m.named(b"FAILOVER") || m.named(b"NOMOREMETHODS") || m.named(b"STOPPING") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    if m.name == b"RESULT" {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let failed = m.named(b"FAIL") || m.named(b"SECURITY_VIOLATION") || m.named(b"ERR_VLAN");
    if !failed && !m.named(b"SUCCESS") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let method = if m.is(b"MAB") || m.says(b"'mab'") { Method::Mab } else { Method::Dot1x };
    // What failed at the method fails again at the port.
    let again = failed
        && matches!(m.facility, b"AUTHMGR" | b"SESSION_MGR")
        && m.name == b"FAIL"
        && !m.says(b"Authz fail");
    let user = m.after(b"Username: ", b" ");
    let user = if user.is_empty() { m.after(b"Username ", b" ") } else { user };
    out.event(Act::Nac, if failed { Outcome::Failure } else { Outcome::Success })
        .at(at)
        .service(service)
        .user(user)
        .mac(m.mac())
        .observer(host)
        .detail(interface)
        .sid(sid)
        .method(method)
        .reason(if failed { reason(m) } else { Reason::None })
        .flag_if(again, Flags::REPEATS)
        .done()
}

fn reason(m: &Message<'_>) -> Reason {
    let told = between(m.text, b"reason (", b")").unwrap_or(m.text);
    let has = |part: &[u8]| find(told, part).is_some();
    if has(b"Cred Fail") {
        Reason::BadPassword
    } else if has(b"No Response") || has(b"imeout") {
        Reason::Timeout
    } else if has(b"Authz fail") || m.named(b"SECURITY_VIOLATION") {
        Reason::NotAllowed
    } else {
        Reason::None
    }
}
