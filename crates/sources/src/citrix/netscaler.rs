//! Citrix NetScaler ADC and Gateway: logins, sessions, ICA, administration.
//!
//! Read from: Citrix ADC Syslog Message Reference. Traps: the date is MM/DD, DD/MM or YYYY/MM/DD by a setting of the
//! device; one failed login is written twice (LOGIN_FAILED and a Message); `User anonymous` is nobody yet; a stolen
//! session shows no LOGIN, only activity of its SessionId from another Client_ip; a policy of the application firewall that
//! is only hit has found nothing; shell commands without a terminal are the device's own.

use crate::decode::clock::{Civil, Clock};
use crate::decode::find::find;
use crate::decode::kv::{after, between, cef, cef_pairs, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "netscaler",
    title: "Citrix NetScaler / ADC Gateway",
    row: Row::Citrix,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Flow,
        Act::Alert,
        Act::Exec,
    ],
    lacks: &[Field::Mfa, Field::Device],
    traps: &["date_order", "double_failure", "session_of_another", "own_commands"],
    manual: "NetScaler Syslog Message Reference",
    enable: "set audit syslogParams -logLevel ALL; set aaa parameter -enableSessionStickiness; userDefinedAuditlog YES",
    general: false,
    marks: &["-PPE-", "|Citrix|NetScaler|", "shell_command="],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Cef => is_appfw(r),
            _ => shell(r).is_some() || message(r).is_some(),
        },
        parse,
        join: None,
    },
};

fn is_appfw(r: &Record<'_>) -> bool {
    find(r.body.get(..r.body.len().min(40)).unwrap_or_default(), b"|Citrix|NetScaler|").is_some()
}

/// User, terminal and command of `nsroot on /dev/pts/0 shell_command="cat /etc/passwd"`.
fn shell<'a>(r: &Record<'a>) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let at = find(r.body.get(..r.body.len().min(120)).unwrap_or_default(), b" shell_command=")?;
    let (head, command) = (r.body.get(..at)?, r.body.get(at + 15..)?);
    let on = find(head, b" on ")?;
    let user = head.get(..on)?;
    let user = user.get(memchr::memrchr(b' ', user).map_or(0, |n| n + 1)..)?;
    let command = command.strip_prefix(b"\"").unwrap_or(command);
    Some((user, head.get(on + 4..)?.trim_ascii(), command.strip_suffix(b"\"").unwrap_or(command)))
}

/// Module (`AAA`, `SSLVPN` …), event name and text of `… 0-PPE-0 : default AAA LOGIN_FAILED 86891940 0 : text`.
fn message<'a>(r: &Record<'a>) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let body = r.body;
    let ppe = find(&body[..body.len().min(200)], b"-PPE-")?;
    let rest = after(&body[ppe..], b" : ", b"")?;
    // Partition name (`default`) may be missing on old releases.
    let (mut module, mut rest) = word(rest);
    if !module.iter().all(|b| b.is_ascii_uppercase() || *b == b'_') {
        (module, rest) = word(rest);
    }
    let (event, rest) = word(rest);
    let text = after(rest, b" : ", b"").unwrap_or(rest);
    Some((module, event, text.trim_ascii()))
}

/// `10/06/2025:04:22:12 GMT` in any of the three orders.
fn stamp(text: &[u8], r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    let colon = memchr::memchr(b':', text)?;
    let mut parts = text[..colon].split(|b| *b == b'/').map(number);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let clock = text.get(colon + 1..colon + 9)?;
    let two = |at: usize| u8::try_from(number(&clock[at..at + 2])).ok();
    let (year, first, second, first_is_year) = if a > 31 { (a, b, c, true) } else { (c, a, b, false) };
    let header_day = match r.header.time {
        Some(crate::record::HeaderTime::Local(h) | crate::record::HeaderTime::Zoned(h, _)) => {
            Some((u64::from(h.month), u64::from(h.day)))
        }
        Some(crate::record::HeaderTime::Absolute(t)) => {
            let (_, m, d, ..) = t.civil();
            Some((u64::from(m), u64::from(d)))
        }
        None => None,
    };
    let day_first = first > 12 || (header_day == Some((second, first)) && first != second);
    let (month, day, sure) = if first_is_year || second > 12 {
        (first, second, true)
    } else if day_first {
        (second, first, true)
    } else {
        (first, second, first == second || header_day == Some((first, second)))
    };
    let civil = Civil {
        year: i16::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: two(0)?,
        minute: two(3)?,
        second: two(6)?,
        micros: 0,
    };
    let zone = text.get(colon + 9..).map_or(&b""[..], |t| word(t).0);
    // The default order is MM/DD/YYYY; where nothing confirms it the time says so.
    let certainty = if sure { Certainty::Exact } else { Certainty::ZoneAssumed };
    if zone.starts_with(b"GMT") || zone.starts_with(b"UTC") {
        return Clock::with_offset(civil, 0).map(|t| (t, certainty));
    }
    r.clock.resolve(civil)
}

fn time(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    let head = &r.body[..r.body.len().min(80)];
    let Some(slash) = memchr::memchr(b'/', head) else { return r.header_time() };
    let start = head[..slash].iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |n| n + 1);
    stamp(r.body.get(start..)?, r).or_else(|| r.header_time())
}

/// Where the line lost its own date, the end or start of what it tells.
fn inner_time(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    [&b"End_time \""[..], b"Start_time \"", b"startTime \"", b"End Time ", b"Last_contact \""]
        .into_iter()
        .find_map(|label| stamp(after(text, label, b"")?, r))
}

/// The device's own name in front of `0-PPE-0`.
fn device<'a>(r: &Record<'a>) -> &'a [u8] {
    let head = &r.body[..r.body.len().min(200)];
    let Some(ppe) = find(head, b"-PPE-") else { return r.host() };
    let mut words = head[..ppe].rsplit(|b| *b == b' ');
    words.next();
    match words.next() {
        Some(w)
            if w.first().is_some_and(u8::is_ascii_alphanumeric)
                && w != b"GMT"
                && w != b"UTC"
                && !w.contains(&b'/') =>
        {
            &r.body[find(head, w).unwrap_or(0)..][..w.len()]
        }
        _ => r.host(),
    }
}

/// The value of ` - Label value - Next …`.
fn field<'a>(text: &'a [u8], label: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, label, b"") else { return b"" };
    let rest = rest.trim_ascii_start();
    if rest.first() == Some(&b'"') {
        return between(rest, b"\"", b"\"").unwrap_or_default();
    }
    let dash = find(rest, b" - ").unwrap_or(rest.len());
    // Some events close a value with a colon: `User anna : Group(s) …`.
    let colon = find(rest, b" : ").unwrap_or(rest.len());
    rest[..dash.min(colon)].trim_ascii()
}

fn nobody(user: &[u8]) -> &[u8] {
    if user == b"anonymous" { b"" } else { user }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Cef {
        return appfw(r, out);
    }
    if let Some((user, terminal, command)) = shell(r) {
        if terminal == b"(null)" {
            return Parsed::Irrelevant(Kind::Machine);
        }
        return out
            .event(Act::Exec, Outcome::Success)
            .at(r.header_time())
            .service(Service::Management)
            .user(user)
            .host(r.host())
            .observer(r.host())
            .detail(command)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let Some((module, event, text)) = message(r) else { return Parsed::NotMine };
    let (at, host) = (time(r).or_else(|| inner_time(r, text)), device(r));
    let user = nobody(field(text, b"User "));
    let ip = field(text, b"Client_ip ");
    let sid = field(text, b"SessionId: ");
    let group = field(text, b"Vserver ");
    match (module, event) {
        (_, b"LOGIN_FAILED") => {
            let said = field(text, b"Failure_reason ");
            let locked = find(said, b"ocked").is_some();
            out.event(Act::Auth, Outcome::Failure)
                .at(at)
                .service(Service::Ica)
                .user(user)
                .source(ip)
                .reason(if locked { Reason::Locked } else { Reason::BadPassword })
                .client(field(text, b"Browser "))
                .observer(host)
                .done()
        }
        // `"SSLVPN Mux Authorize result is Deny, User <anna>, Srcip: 192.0.2.5, Dstip: 10.0.0.5, denied_by_policy: P"`.
        (b"SSLVPN", b"Message") if find(text, b"Authorize result is Deny").is_some() => out
            .event(Act::Flow, Outcome::Failure)
            .at(at)
            .service(Service::Firewall)
            .user(between(text, b"User <", b">").unwrap_or_default())
            .source(after(text, b"Srcip: ", b",").unwrap_or_default())
            .destination(after(text, b"Dstip: ", b",").unwrap_or_default())
            .detail(after(text, b"denied_by_policy: ", b"\"").unwrap_or_default())
            .observer(host)
            .done(),
        (b"AAA" | b"AAATM", b"Message") => {
            let rejected = after(text, b"Authentication is rejected for ", b" ");
            if rejected.is_some() {
                Parsed::Irrelevant(Kind::Repeats)
            } else {
                Parsed::housekeeping_if(find(text, b"ns_aaa").is_some() || find(text, b"aaad").is_some())
            }
        }
        (b"SSLVPN" | b"AAA" | b"AAATM", b"LOGIN") => out
            .event(Act::SessionStart, Outcome::Success)
            .at(at)
            .service(Service::Ica)
            .user(user)
            .source(ip)
            .sid(sid)
            .group(group)
            .client(field(text, b"Browser_type "))
            .observer(host)
            .done(),
        // A session of the traffic management that nobody had logged in to.
        (b"AAATM", b"LOGOUT") if Ip::parse(ip).is_none() => Parsed::Irrelevant(Kind::Housekeeping),
        (b"SSLVPN" | b"AAA" | b"AAATM", b"LOGOUT") => {
            let method = field(text, b"LogoutMethod ");
            let reason = match method {
                b"Explicit" => Reason::Logout,
                b"TimedOut" => Reason::Idle,
                b"" => Reason::None,
                _ => Reason::Other,
            };
            out.event(Act::SessionEnd, Outcome::Success)
                .at(at)
                .service(Service::Ica)
                .user(user)
                .source(ip)
                .sid(sid)
                .reason(reason)
                .duration_s(clock_span(field(text, b"Duration ")))
                .bytes(number(field(text, b"Total_bytes_recv ")), number(field(text, b"Total_bytes_send ")))
                .observer(host)
                .done()
        }
        (
            b"SSLVPN",
            b"TCPCONNSTAT"
            | b"UDPFLOWSTAT"
            | b"HTTPREQUEST"
            | b"HTTP_RESOURCEACCESS_DENIED"
            | b"NONHTTP_RESOURCEACCESS_DENIED",
        ) => {
            // Activity of a session: its address now, its intranet address, and what it reached.
            if user.is_empty() && sid.is_empty() {
                return Parsed::Irrelevant(Kind::Transport);
            }
            let denied = event.ends_with(b"DENIED");
            let tunnel = field(text, b"Nat_ip ");
            let source = word(field(text, b"- Source ")).0;
            let from = if Ip::parse(ip).is_some() { ip } else { source };
            let mut activity = out
                .event(Act::SessionResume, Outcome::Success)
                .at(at)
                .service(Service::Ica)
                .user(user)
                .source(from)
                .sid(sid)
                .group(group)
                .observer(host);
            if Ip::parse(tunnel).is_some() {
                activity = activity.tunnel(tunnel);
            }
            let done = activity.done();
            let destination = word(field(text, b"Destination ")).0;
            if Ip::parse(tunnel).is_some() && Ip::parse(destination).is_some() {
                return out
                    .event(Act::Flow, if denied { Outcome::Failure } else { Outcome::Success })
                    .at(at)
                    .service(Service::Firewall)
                    .user(user)
                    .source(tunnel)
                    .destination(destination)
                    .observer(host)
                    .done();
            }
            done
        }
        (b"SSLVPN", b"ICASTART") => {
            // `Source 192.0.2.5:6932 - Destination 10.0.0.5:2598 - … username:domainname anna:HELM - applicationName Desktop`
            let who = field(text, b"username:domainname ");
            let mut halves = who.split(|b| *b == b':');
            let (name, domain) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            if matches!(name, b"anonymous" | b"") {
                return Parsed::Irrelevant(Kind::Transport);
            }
            out.event(Act::SessionResume, Outcome::Success)
                .at(at)
                .service(Service::Ica)
                .domain_user(domain, name)
                .source(word(field(text, b"Source ")).0)
                .destination(word(field(text, b"Destination ")).0)
                .detail(field(text, b"applicationName "))
                .observer(host)
                .done()
        }
        (b"SSLVPN", b"ICAEND_CONNSTAT") | (b"AAA" | b"AAATM", b"EXTRACTED_GROUPS") => {
            Parsed::Irrelevant(Kind::Repeats)
        }
        (b"SSLVPN", b"TCPCONN_TIMEDOUT") => Parsed::Irrelevant(Kind::Transport),
        (b"SSLVPN", b"CLISEC_CHECK" | b"CLISEC_EXP_EVAL") => out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Ica)
            .user(user)
            .source(ip)
            .observer(host)
            .done(),
        (b"UI" | b"GUI" | b"API" | b"CLI" | b"NITRO", b"CMD_EXECUTED") => command(text, at, host, out),
        (b"SSLLOG", _) => Parsed::Irrelevant(Kind::Transport),
        (b"TCP" | b"EVENT" | b"SNMP" | b"ROUTING", _) => Parsed::Irrelevant(Kind::Housekeeping),
        _ if !user.is_empty() || Ip::parse(ip).is_some() => out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Ica)
            .user(user)
            .source(ip)
            .sid(sid)
            .observer(host)
            .done(),
        _ if text.is_empty() => Parsed::Broken(Why::Missing("text")),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// `CEF:0|Citrix|NetScaler|NS13.1|APPFW|APPFW_SQL|6|src=… msg=… act=blocked`.
fn appfw(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Malformed("CEF")) };
    let [_, _, _, _, class, name, _] = head;
    if class != b"APPFW" || name == b"APPFW_POLICY_HIT" {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let (mut src, mut port, mut action, mut request): (&[u8], &[u8], &[u8], &[u8]) = (b"", b"", b"", b"");
    for (key, value) in cef_pairs(extension) {
        match key {
            b"src" => src = value,
            b"spt" => port = value,
            b"act" => action = value,
            b"request" => request = value,
            _ => {}
        }
    }
    out.event(Act::Alert, if action == b"blocked" { Outcome::Failure } else { Outcome::Unknown })
        .at(r.header_time())
        .service(Service::Firewall)
        .source(src)
        .source_port(u16::try_from(number(port)).unwrap_or(0))
        .detail(name)
        .target(request)
        .severity(if action == b"blocked" { 2 } else { 3 })
        .observer(r.host())
        .done()
}

fn command(text: &[u8], at: Option<(EventTime, Certainty)>, host: &[u8], out: &mut Emit<'_>) -> Parsed {
    let command = field(text, b"Command ");
    let failed = find(text, b"Status \"ERROR").is_some();
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let (user, ip) = (field(text, b"User "), field(text, b"Remote_ip "));
    if command.starts_with(b"login") {
        return out
            .event(Act::Admin, outcome)
            .at(at)
            .service(Service::Management)
            .user(user)
            .source(ip)
            .observer(host)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let change = if command.starts_with(b"add system user") {
        Change::AdminCreated
    } else if command.starts_with(b"add aaa user") {
        Change::LocalUserCreated
    } else if command.starts_with(b"bind vpn")
        || command.starts_with(b"unbind")
        || command.starts_with(b"set vpn")
        || command.starts_with(b"set aaa")
    {
        Change::PolicyChanged
    } else if find(command, b"syslog").is_some()
        && (command.starts_with(b"rm") || command.starts_with(b"set"))
    {
        Change::LoggingStopped
    } else if command.starts_with(b"show") || command.starts_with(b"stat") || command.starts_with(b"logout") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    } else {
        Change::ConfigChanged
    };
    out.event(Act::Config, outcome)
        .at(at)
        .service(Service::Management)
        .user(user)
        .source(ip)
        .detail(command)
        .change(change)
        .observer(host)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `HH:MM:SS`.
fn clock_span(text: &[u8]) -> u32 {
    let seconds =
        text.split(|b| *b == b':').take(3).fold(0u64, |n, p| n.saturating_mul(60).saturating_add(number(p)));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
