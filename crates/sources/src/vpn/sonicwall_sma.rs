//! SonicWall Secure Mobile Access: SMA 100 (SRA) and SMA 1000 (Aventail).
//!
//! Read from: Secure Mobile Access 100 Administration Guide, "Log"; Secure Mobile Access 12.4 and 12.5 Administration Guide,
//! appendix "Log File Output Formats". Traps: `time=` of SMA 100 is local and `vp_time=` is UTC; the tunnel audit of SMA 1000
//! is written when the tunnel is closed and dated when it began, so one record tells the beginning and the end; an HTTP 200 of
//! the logon page is a failed login and a 302 a good one; a flow inside a tunnel has the tunnel's address as its source.

use crate::decode::clock::{self, Civil, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{self, after, between, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use memchr::memmem::rfind;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, SECOND_US};
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "sonicwall_sma",
    title: "SonicWall Secure Mobile Access (SMA 100, SMA 1000)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
    ],
    lacks: &[Field::SessionId],
    traps: &["vp_time", "tunnel_audit", "logon_page"],
    manual: "SonicWall Secure Mobile Access Administration Guide: Log; Log File Output Formats",
    enable: "SMA 100: Log > Settings, syslog server, event level Info. SMA 1000: Monitoring > Logging, send all logs to syslog, level Info for the tunnel and web proxy services",
    general: false,
    marks: &["id=sslvpn", ")@(", "/Console/", "/__extraweb__authen", "com.aventail"],
    reader: Reader::Code { claim: |r| kind(r).is_some(), parse, join: None },
};

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// SMA 100: `id=sslvpn sn=… msg="…"`.
    Pairs,
    /// `198.51.100.20:59234 - "(anna)@(Staff)" "02/Mar/2026:08:00:00.073 +0100" 1.2 tunnel 10.60.0.17 …`.
    Tunnel,
    /// `198.51.100.20 - (anna)@(Staff) [02/Mar/2026:08:00:00 +0100] "GET /… HTTP/1.1" 200 15424`.
    Web,
    /// `[02/Mar/2026:08:00:00.113 +0000] node 002421 ps 100004b3 Info EWACL User '(anna)@(Staff)' connecting from …`.
    System,
    /// Management: `192.0.2.9 - admin [02/Mar/2026:08:00:00 +0000] "POST /Console/Login HTTP/1.1" 302 308`.
    Console,
    /// `AMC: … com.aventail.mgmt… - text`.
    Management,
}

fn kind(r: &Record<'_>) -> Option<Shape> {
    let raw = r.raw;
    let head = &raw[..raw.len().min(400)];
    if find(head, b"id=sslvpn ").is_some() && find(head, b" sn=").is_some() {
        return Some(Shape::Pairs);
    }
    if find(head, b"com.aventail").is_some() {
        return Some(Shape::Management);
    }
    let named = find(head, b")@(");
    if named.is_some()
        && (find(head, b" tunnel ").is_some() || find(head, b" flow:").is_some())
        && find(head, b" - \"(").is_some()
    {
        return Some(Shape::Tunnel);
    }
    if find(head, b"\"POST /__extraweb__authen").is_some()
        || (named.is_some() && find(head, b" - (").is_some() && find(head, b") [").is_some())
    {
        return Some(Shape::Web);
    }
    if find(head, b"] \"GET /Console/").is_some() || find(head, b"] \"POST /Console/").is_some() {
        return Some(Shape::Console);
    }
    let system = [&b" Info "[..], b" Warning ", b" Error ", b" Verbose ", b" Internl ", b" Debug"]
        .iter()
        .any(|l| find(head, l).is_some());
    (named.is_some() && system && find(head, b"[").is_some()).then_some(Shape::System)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match kind(r) {
        Some(Shape::Pairs) => pairs(r, out),
        Some(Shape::Tunnel) => tunnel(r, out),
        Some(Shape::Web) => web(r, out),
        Some(Shape::System) => system(r, out),
        // Requests to the console: the manual does not say by which of them a login is known.
        Some(Shape::Console) => Parsed::Irrelevant(Kind::RoutineUse),
        Some(Shape::Management) => Parsed::Irrelevant(Kind::OtherMessage),
        None => Parsed::NotMine,
    }
}

#[derive(Default)]
struct Fields<'a> {
    vp_time: &'a [u8],
    time: &'a [u8],
    sn: &'a [u8],
    src: &'a [u8],
    user: &'a [u8],
    msg: &'a [u8],
    portal: &'a [u8],
    domain: &'a [u8],
    agent: &'a [u8],
    seconds: &'a [u8],
    bytes_in: &'a [u8],
    bytes_out: &'a [u8],
    country: &'a [u8],
}

fn pairs(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut f = Fields::default();
    for (key, value) in kv::pairs(r.body) {
        let slot = match key {
            b"vp_time" => &mut f.vp_time,
            b"time" => &mut f.time,
            b"sn" => &mut f.sn,
            b"src" => &mut f.src,
            b"user" | b"usr" => &mut f.user,
            b"msg" => &mut f.msg,
            b"portal" => &mut f.portal,
            b"domain" => &mut f.domain,
            b"agent" => &mut f.agent,
            b"duration" => &mut f.seconds,
            b"bytesIn" => &mut f.bytes_in,
            b"bytesOut" => &mut f.bytes_out,
            b"geoCountryCode" => &mut f.country,
            _ => continue,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }
    if f.msg.is_empty() {
        return Parsed::Broken(Why::Missing("message"));
    }
    let when = match clock::iso(f.vp_time).or_else(|| clock::iso(f.time)) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    let has = |words: &[u8]| find(f.msg, words).is_some();
    let begins = |words: &[u8]| f.msg.starts_with(words);
    let seconds = u32::try_from(number(f.seconds)).unwrap_or(u32::MAX);
    // The account that administers the appliance; it has no other use.
    let built_in = matches!(f.user, b"admin" | b"admin@LocalDomain");
    if has(b"ne-time password") || has(b"ne time password") || has(b"OTP") {
        let (outcome, reason) = if has(b"nvalid") || has(b"ncorrect") || has(b"ail") || has(b"rong") {
            (Outcome::Failure, Reason::MfaFailed)
        } else if has(b"succe") || has(b"verified") || has(b"accepted") {
            (Outcome::Success, Reason::None)
        } else {
            (Outcome::Challenge, Reason::None)
        };
        return base(out.event(Act::Mfa, outcome), r, &f, when).reason(reason).done();
    }
    if begins(b"User login failed")
        || begins(b"User login denied")
        || begins(b"Login failed")
        || begins(b"User locked")
    {
        let reason = if has(b"ock") {
            Reason::Locked
        } else if has(b"xpired") {
            Reason::Expired
        } else if has(b"ertificate") {
            Reason::Certificate
        } else if has(b"polic") || has(b"not allowed") || has(b"EPC") || has(b"privilege") {
            Reason::Policy
        } else {
            Reason::BadPassword
        };
        let act = if built_in { Act::Admin } else { Act::Auth };
        let service = if built_in { Service::Management } else { Service::Vpn };
        return base(out.event(act, Outcome::Failure), r, &f, when)
            .service(service)
            .reason(reason)
            .detail(f.msg)
            .done();
    }
    let entered = begins(b"User login successful") || begins(b"User logged in");
    if begins(b"Administrator login") || begins(b"Admin login") || (entered && built_in) {
        let good = entered || has(b"succe") || has(b"allowed");
        let outcome = if good { Outcome::Success } else { Outcome::Failure };
        return base(out.event(Act::Admin, outcome), r, &f, when)
            .service(Service::Management)
            .flag_if(good, Flags::PRIVILEGED)
            .done();
    }
    if entered {
        return base(out.event(Act::SessionStart, Outcome::Success), r, &f, when).done();
    }
    if has(b"assigned") || has(b"Assigned") {
        let ip = f
            .msg
            .split(|b| matches!(b, b' ' | b':' | b',' | b'='))
            .rev()
            .map(Ip::parse)
            .find(|ip| ip.is_some());
        if let Some(ip) = ip {
            return base(out.event(Act::IpAssign, Outcome::Success), r, &f, when).tunnel_ip(ip).done();
        }
    }
    if begins(b"NetExtender connected")
        || begins(b"Mobile Connect connected")
        || begins(b"Connect Tunnel connected")
    {
        return base(out.event(Act::SessionStart, Outcome::Success), r, &f, when).done();
    }
    if begins(b"NetExtender disconnected")
        || begins(b"Mobile Connect disconnected")
        || begins(b"User logged out")
        || begins(b"User session")
    {
        let reason = if has(b"dministrator") {
            Reason::ByAdmin
        } else if has(b"dle") || has(b"nactiv") {
            Reason::Idle
        } else if has(b"imed out") || has(b"imeout") || has(b"xpired") {
            Reason::Timeout
        } else {
            Reason::Logout
        };
        return base(out.event(Act::SessionEnd, Outcome::Success), r, &f, when)
            .reason(reason)
            .duration_s(seconds)
            .bytes(number(f.bytes_in), number(f.bytes_out))
            .done();
    }
    let created = begins(b"User added") || begins(b"Local user added") || begins(b"User created");
    if created || begins(b"User deleted") || begins(b"Local user deleted") {
        let target = between(f.msg, b"'", b"'").or_else(|| after(f.msg, b": ", b"")).unwrap_or_default();
        return base(out.event(Act::Account, Outcome::Success), r, &f, when)
            .service(Service::Management)
            .change(if created { Change::LocalUserCreated } else { Change::AccountDeleted })
            .target(target)
            .detail(f.msg)
            .done();
    }
    let change = if has(b"Log cleared") || has(b"og was cleared") {
        Change::LoggingStopped
    } else if has(b"ettings exported") || has(b"xported settings") {
        Change::ConfigExported
    } else if (has(b"hanged") || has(b"odified") || has(b"pdated") || has(b"dded") || has(b"eleted"))
        && (has(b"olicy") || has(b"ettings") || has(b"omain") || has(b"ortal") || has(b"onfig"))
    {
        if has(b"olicy") || has(b"omain") { Change::PolicyChanged } else { Change::ConfigChanged }
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    base(out.event(Act::Config, Outcome::Success), r, &f, when)
        .service(Service::Management)
        .change(change)
        .detail(f.msg)
        .flag(Flags::PRIVILEGED)
        .done()
}

fn base<'e>(
    event: EventBuilder<'e>,
    r: &Record<'_>,
    f: &Fields<'_>,
    when: Option<(EventTime, Certainty)>,
) -> EventBuilder<'e> {
    event
        .at(when)
        .service(Service::Vpn)
        .user(match f.user {
            b"System" | b"Proxy" | b"system" => b"",
            user => user.strip_suffix(b"@LocalDomain").unwrap_or(user),
        })
        .flag_if(f.user.ends_with(b"@LocalDomain") || f.domain == b"LocalDomain", Flags::LOCAL_ACCOUNT)
        .source(f.src)
        .group(if f.portal.is_empty() { f.domain } else { f.portal })
        .client(if f.agent == b"(null)" { b"" } else { f.agent })
        .country(f.country)
        .observer(if f.sn.is_empty() { r.host() } else { f.sn })
}

/// `02/Mar/2026:08:00:00.073 +0100`; `3/2/2026 08:00:00` of some logs is not read: which is the month it does not say.
fn clf(text: &[u8]) -> Option<(Civil, Option<i32>)> {
    let two = |at: usize, n: usize| {
        let part = text.get(at..at + n)?;
        part.iter().all(u8::is_ascii_digit).then(|| number(part))
    };
    let civil = Civil {
        year: i16::try_from(two(7, 4)?).ok()?,
        month: clock::month(text.get(3..6)?)?,
        day: u8::try_from(two(0, 2)?).ok()?,
        hour: u8::try_from(two(12, 2)?).ok()?,
        minute: u8::try_from(two(15, 2)?).ok()?,
        second: u8::try_from(two(18, 2)?).ok()?,
        micros: 0,
    };
    let rest = text.get(20..)?;
    let blank = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    Some((civil, clock::offset(&rest[blank..]).map(|(s, _)| s)))
}

fn clf_time(text: &[u8], r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    match clf(text) {
        Some((civil, Some(east))) => Clock::with_offset(civil, east).map(|t| (t, Certainty::Exact)),
        Some((civil, None)) => r.clock.resolve(civil),
        None => r.header_time(),
    }
}

/// `(anna)@(Staff)`: account and realm. The name may hold brackets; the last pair is the realm.
fn who(text: &[u8]) -> (&[u8], &[u8]) {
    let Some(at) = rfind(text, b")@(") else { return (b"", b"") };
    let name = &text[..at];
    let name = name.strip_prefix(b"(").unwrap_or(name);
    let realm = &text[at + 3..];
    (name, realm.strip_suffix(b")").unwrap_or(realm))
}

/// Written at the end and dated at the beginning: both are told.
fn tunnel(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let raw = r.raw;
    let Some(dash) = find(raw, b" - \"(") else { return Parsed::NotMine };
    let source = raw[..dash].rsplit(|b| *b == b' ').next().unwrap_or_default();
    let source = Ip::parse_with_port(source);
    let rest = &raw[dash + 4..];
    let Some(close) = find(rest, b")\" \"") else { return Parsed::Broken(Why::Missing("date")) };
    let (user, realm) = who(&rest[..close + 1]);
    let rest = &rest[close + 4..];
    let Some(end) = memchr::memchr(b'"', rest) else { return Parsed::Broken(Why::Missing("date")) };
    let at = clf_time(&rest[..end], r);
    let (_, rest) = word(&rest[end + 1..]);
    let (service, rest) = word(rest);
    let (first, rest) = word(rest);
    let (inner, rest) = match first.strip_suffix(b",") {
        // Both addresses of the tunnel: `10.60.0.17, 2001:db8::17`.
        Some(v4) => (v4, word(rest).1),
        None => (first.split(|b| *b == b',').next().unwrap_or_default(), rest),
    };
    let (_, rest) = word(rest);
    let (received, rest) = word(rest);
    let (sent, rest) = word(rest);
    let (seconds, rest) = word(rest);
    let (received, sent, seconds) = (number(received), number(sent), number(seconds));
    if let Some(protocol) = service.strip_prefix(b"flow:") {
        let (dst, dport) = Ip::parse_with_port(inner);
        if !matches!(protocol, b"tcp" | b"udp")
            || dst.to_std().is_multicast()
            || worth(source.0, dst, dport, true).is_some()
        {
            return Parsed::Irrelevant(Kind::Traffic);
        }
        return out
            .event(Act::Flow, Outcome::Success)
            .at(at)
            .service(Service::Vpn)
            .user(user)
            .source_ip(source.0)
            .source_port(source.1)
            .destination_ip(dst)
            .destination_port(dport)
            .bytes(received, sent)
            .group(realm)
            .observer(r.host())
            .done();
    }
    if service != b"tunnel" {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let device = between(rest, b"\"", b"\"").unwrap_or_default();
    let client: &[u8] = match rest.first() {
        Some(b'W') => b"Windows",
        Some(b'L') => b"Linux",
        Some(b'M') => b"macOS",
        _ => b"",
    };
    let mut one = |act, at| {
        out.event(act, Outcome::Success)
            .at(at)
            .service(Service::Vpn)
            .user(user)
            .source_ip(source.0)
            .source_port(source.1)
            .tunnel(inner)
            .group(realm)
            .device(device)
            .client(client)
            .observer(r.host())
            .duration_s(if act == Act::SessionEnd { u32::try_from(seconds).unwrap_or(u32::MAX) } else { 0 })
            .bytes(
                if act == Act::SessionEnd { received } else { 0 },
                if act == Act::SessionEnd { sent } else { 0 },
            )
            .done()
    };
    let begun = one(Act::IpAssign, at);
    let spent = i64::try_from(seconds).unwrap_or(0).min(366 * 86_400) * SECOND_US;
    one(Act::SessionEnd, at.map(|(t, c)| (t.plus(spent), c)));
    begun
}

fn web(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let raw = r.raw;
    let Some(dash) = find(raw, b" - ") else { return Parsed::Broken(Why::Missing("address")) };
    let source = raw[..dash].rsplit(|b| *b == b' ').next().unwrap_or_default();
    let Some(open) = rfind(&raw[..find(raw, b"] \"").unwrap_or(raw.len())], b" [") else {
        return Parsed::Broken(Why::Missing("date"));
    };
    let (user, realm) = raw.get(dash + 3..open).map_or((&b""[..], &b""[..]), who);
    let at = clf_time(&raw[open + 2..], r);
    let Some(request) = after(&raw[open..], b"] \"", b"") else {
        return Parsed::Broken(Why::Missing("request"));
    };
    let Some(quote) = find(request, b"\" ") else { return Parsed::Broken(Why::Missing("status")) };
    let status = number(word(&request[quote + 2..]).0);
    let path = word(word(request).1).0;
    if request.starts_with(b"POST ") && path.starts_with(b"/__extraweb__authen") {
        let good = (300..400).contains(&status);
        let outcome = if good { Outcome::Success } else { Outcome::Failure };
        let event =
            out.event(Act::Auth, outcome).at(at).service(Service::Vpn).user(user).source(source).group(realm);
        let event = event.observer(r.host());
        return event.reason(if good { Reason::None } else { Reason::BadPassword }).done();
    }
    // The first page of the portal, which only who is logged in sees.
    if path == b"/workplace/access/home" && status == 200 && !user.is_empty() {
        let event = out.event(Act::SessionStart, Outcome::Success).at(at).service(Service::Vpn).user(user);
        return event.source(source).group(realm).observer(r.host()).done();
    }
    Parsed::Irrelevant(Kind::RoutineUse)
}

fn system(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let raw = r.raw;
    let stamp = find(raw, b"[").and_then(|n| raw.get(n + 1..)).unwrap_or_default();
    let at = clf_time(stamp, r);
    let here = after(stamp, b"] ", b" ").unwrap_or_default();
    let observer = if here.is_empty() { r.host() } else { here };
    if let Some(rest) = after(raw, b" System Session End:", b"") {
        let named = rest.split(|b| *b == b' ').find(|w| w.starts_with(b"(")).unwrap_or_default();
        let (name, realm) = who(named);
        return out
            .event(Act::SessionEnd, Outcome::Success)
            .at(at)
            .service(Service::Vpn)
            .user(name)
            .group(realm)
            .observer(observer)
            .done();
    }
    let Some(user) = after(raw, b" User '", b"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let Some(mid) = rfind(user, b"' connecting from '") else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    // `(192.0.2.70 (anna)@(Staff)`: the address stands before the name in one of the services' messages.
    let named = &user[..mid];
    let named = match rfind(named, b" (") {
        Some(n) if named.starts_with(b"(") => &named[n + 1..],
        _ => named,
    };
    let (name, realm) = who(named);
    let rest = &user[mid + 19..];
    let from = Ip::parse_with_port(rest.split(|b| *b == b'\'').next().unwrap_or_default());
    let Some(to) = between(rest, b"access to '", b"'") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (dst, dport) = Ip::parse_with_port(to);
    let denied = find(rest, b" is denied").is_some();
    if find(rest, b"preauth").is_some() || worth(from.0, dst, dport, !denied).is_some() && !denied {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    out.event(Act::Flow, if denied { Outcome::Failure } else { Outcome::Success })
        .at(at)
        .service(Service::Vpn)
        .user(name)
        .source_ip(from.0)
        .source_port(from.1)
        .destination_ip(dst)
        .destination_port(dport)
        .group(realm)
        .observer(observer)
        .done()
}
