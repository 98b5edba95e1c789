//! Ivanti Connect Secure (Pulse Connect Secure, Juniper Secure Access): VPN, portal, administration.
//!
//! Read from: Ivanti Connect Secure Administration Guide, "Logging and Monitoring"; Ivanti Connect Secure Log Messages.
//! Shapes: standard (`2026-03-02 08:00:00 - node - [192.0.2.1] vsys::anna(realm)[roles] - AUT24414: …`), WELF
//! (`id=firewall time="…" … msg="AUT24414: …"`), and the bar-separated one. Traps: `fw=` is the appliance and never the client;
//! AUT24326 is the first factor only, the login is done at AUT24414 or AUT31504; one failed login is two or three messages, of which
//! AUT23457 counts; message codes can be switched off, so the words decide and the code helps; the stamp has no zone.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{HeaderTime, Record};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use memchr::memmem::rfind;
use portreeve_model::EventTime;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Factor, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "ivanti",
    title: "Ivanti Connect Secure (Pulse Connect Secure, Juniper Secure Access)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Posture,
        Act::Admin,
        Act::Config,
        Act::Account,
    ],
    lacks: &[Field::Host],
    traps: &["first_factor", "one_failure_three_lines", "welf", "without_codes", "address_in_the_name"],
    manual: "Ivanti Connect Secure Administration Guide: Logging and Monitoring; Log Messages",
    enable: "System > Log/Monitoring > User Access, Admin Access and Events > Settings: select all events, add the syslog server, filter Standard or WELF",
    general: false,
    marks: &["PulseSecure", "Juniper:", " - [", " roles=\""],
    reader: Reader::Code { claim: |r| head(r).is_some(), parse, join: None },
};

/// What every record of the product says, whichever its shape.
#[derive(Clone, Copy, Default)]
struct Head<'a> {
    stamp: &'a [u8],
    node: &'a [u8],
    ip: &'a [u8],
    user: &'a [u8],
    realm: &'a [u8],
    roles: &'a [u8],
    agent: &'a [u8],
    /// Six letters and digits before the colon: `AUT24414`; empty where codes are off.
    code: &'a [u8],
    text: &'a [u8],
    /// The name that somebody typed looks like more fields than one: nothing in the record is sure.
    doubtful: bool,
}

fn head<'a>(r: &Record<'a>) -> Option<Head<'a>> {
    let raw = r.raw;
    let start = &raw[..raw.len().min(400)];
    if find(start, b"id=firewall").is_some()
        && find(raw, b" roles=\"").is_some()
        && find(start, b" vpn=").is_some()
    {
        return welf(raw);
    }
    if find(start, b" - [").is_some() {
        return standard(raw);
    }
    if find(start, b"PulseSecure").is_some() && find(start, b" | ").is_some() {
        return bars(raw);
    }
    None
}

fn stamp_at(text: &[u8]) -> bool {
    matches!(text, [_, _, _, _, b'-', _, _, b'-', _, _, b' ', _, _, b':', _, _, b':', _, _, ..])
        && text.first().is_some_and(u8::is_ascii_digit)
}

/// `2026-03-02 08:00:00 - node - [192.0.2.1] Default Network::anna(realm)[role, role][sid] - AUT24414: …`.
fn standard(raw: &[u8]) -> Option<Head<'_>> {
    let open = find(raw, b" - [")?;
    let before = raw.get(..open)?;
    let dash = rfind(before, b" - ")?;
    let stamp = before.get(dash.checked_sub(19)?..dash)?;
    if !stamp_at(stamp) {
        return None;
    }
    let rest = raw.get(open + 4..)?;
    let close = memchr::memchr(b']', rest)?;
    let ip = rest.get(..close)?;
    if Ip::parse(ip).is_none() {
        return None;
    }
    let rest = rest.get(close + 1..)?.trim_ascii_start();
    // Whoever logs in types the name; the brackets behind the realm end it: `)[`.
    let brackets = find(rest, b")[")?;
    let mut tail = rest.get(brackets + 1..)?;
    let named = rest.get(..brackets)?;
    let paren = memchr::memrchr(b'(', named)?;
    let mut user = named.get(..paren)?;
    if let Some(vsys) = find(user, b"::") {
        user = user.get(vsys + 2..)?;
    }
    let mut h = Head { stamp, node: before.get(dash + 3..)?, ip, user, ..Head::default() };
    h.realm = named.get(paren + 1..)?;
    let mut first = true;
    while tail.first() == Some(&b'[') {
        let end = memchr::memchr(b']', tail)?;
        let inner = tail.get(1..end)?;
        if first {
            h.roles = inner;
        }
        first = false;
        tail = tail.get(end + 1..)?;
    }
    let text = tail.trim_ascii_start().strip_prefix(b"-")?.trim_ascii_start();
    (h.code, h.text) = code(text);
    h.doubtful = find(h.user, b" - ").is_some();
    Some(h)
}

/// `id=firewall time="…" pri=6 fw=… vpn=… ivs=… user=… realm="…" roles="…" … src=… … msg="AUT24414: …"`.
fn welf(raw: &[u8]) -> Option<Head<'_>> {
    let mut h = Head { stamp: between(raw, b" time=\"", b"\"")?, ..Head::default() };
    let from = find(raw, b" msg=\"")?;
    let fields = raw.get(..from)?;
    let text = raw.get(from + 6..)?;
    let text = text.trim_ascii_end();
    h.node = welf_value(fields, b" vpn=");
    // A name may hold blanks and `=`: `CN=Anna Fock, OU=Staff`.
    h.user = between(fields, b" user=", b" realm=\"").unwrap_or_else(|| welf_value(fields, b" user="));
    h.realm = between(fields, b" realm=\"", b"\"").unwrap_or_default();
    h.roles = between(fields, b" roles=\"", b"\"").unwrap_or_default();
    h.agent = between(fields, b" agent=\"", b"\"").unwrap_or_default();
    // Behind the name: who types ` src=` into it changes nothing.
    let src = rfind(fields, b" src=").and_then(|n| fields.get(n + 5..)).unwrap_or_default();
    h.ip = word(src).0;
    if h.ip.contains(&b'=') {
        h.ip = b"";
    }
    (h.code, h.text) = code(text.strip_suffix(b"\"").unwrap_or(text));
    let twice = |mark: &[u8]| find(fields, mark) != rfind(fields, mark);
    h.doubtful = find(h.text, b" msg=\"").is_some() || twice(b" realm=\"") || twice(b" roles=\"");
    Some(h)
}

/// An unquoted value may hold blanks: it ends before the next ` word=`.
fn welf_value<'a>(fields: &'a [u8], key: &[u8]) -> &'a [u8] {
    let Some(rest) = after(fields, key, b"") else { return b"" };
    let Some(eq) = memchr::memchr_iter(b'=', rest).find(|eq| {
        let word = rest[..*eq].rsplit(|b| *b == b' ').next().unwrap_or_default();
        word.len() < *eq && !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric)
    }) else {
        return rest.trim_ascii();
    };
    let end = memchr::memrchr(b' ', &rest[..eq]).unwrap_or(0);
    rest[..end].trim_ascii()
}

/// `ive | 2026-03-02 08:00:00 | ADM100 | info | 10.0.0.1 |  | 192.0.2.1 | admin | Admin Users | … | text`.
fn bars(raw: &[u8]) -> Option<Head<'_>> {
    let mut h = Head::default();
    for (n, part) in raw.split(|b| *b == b'|').enumerate() {
        let part = part.trim_ascii();
        match n {
            0 => h.node = part.rsplit(|b| *b == b' ').next().unwrap_or_default(),
            1 => h.stamp = part,
            2 => h.code = part,
            6 => h.ip = part,
            7 => h.user = part,
            8 => h.realm = part,
            _ => {}
        }
        h.text = part;
    }
    stamp_at(h.stamp).then_some(h)
}

fn code(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|b| *b == b':') {
        Some(colon @ 6..=8)
            if text[..3].iter().all(u8::is_ascii_uppercase)
                && text[3..colon].iter().all(u8::is_ascii_digit) =>
        {
            (&text[..colon], text[colon + 1..].trim_ascii_start())
        }
        _ => (b"", text),
    }
}

impl Head<'_> {
    fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        // The stamp has no zone; a header that has one says it better.
        if let Some(HeaderTime::Absolute(t)) = r.header.time {
            return Some((t, Certainty::Exact));
        }
        match clock::iso(self.stamp) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
            None => r.header_time(),
        }
    }

    /// The account: `System` is the appliance itself.
    fn account(&self) -> &[u8] {
        if self.user == b"System" { b"" } else { self.user }
    }

    /// Administrators' roles begin with a dot; their messages with ADM.
    fn is_admin(&self) -> bool {
        self.code.starts_with(b"ADM")
            || self.roles.first() == Some(&b'.')
            || matches!(self.code, b"AUT23458" | b"AUT30684" | b"AUT30685" | b"AUT30615" | b"AUT30616")
            || self.realm.starts_with(b"Admin")
    }
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, h: &Head<'_>) -> EventBuilder<'e> {
    let observer = if h.node.is_empty() { r.host() } else { h.node };
    let ip = Ip::parse(h.ip);
    event
        .at(h.when(r))
        .service(Service::Vpn)
        .user(h.account())
        // What the appliance does by itself comes from nowhere.
        .source_ip(if ip.is_loopback() { Ip::NONE } else { ip })
        .group(h.realm)
        .observer(observer)
}

/// `(session:sid74fa…)`, at some messages with a blank behind the colon. The number in the third bracket is another one
/// and stands on every line: a session has one id, and it is this.
fn sid(text: &[u8]) -> &[u8] {
    between(text, b"(session:", b")").unwrap_or_default().trim_ascii()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(h) = head(r) else { return Parsed::NotMine };
    let text = h.text;
    let begins = |words: &[u8]| text.starts_with(words);
    let has = |words: &[u8]| find(text, words).is_some();
    if text.is_empty() {
        return Parsed::Broken(Why::Missing("message"));
    }
    match h.code.get(..3).unwrap_or_default() {
        b"SYS" | b"LIC" | b"STS" | b"NET" | b"ARC" | b"AGU" | b"GWE" => {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        b"WEB" | b"FIL" | b"JAV" | b"TLN" | b"TEL" => return Parsed::Irrelevant(Kind::RoutineUse),
        _ => {}
    }
    if h.doubtful {
        return base(out.event(Act::Posture, Outcome::Unknown), r, &h)
            .user(b"")
            .source_ip(Ip::NONE)
            .flag(Flags::SOURCE_UNTRUSTED)
            .detail(h.code)
            .done();
    }
    if let Some(rest) =
        text.strip_prefix(b"VPN Tunneling: ").or_else(|| text.strip_prefix(b"Network Connect: "))
    {
        return tunnel(r, &h, rest, out);
    }
    if begins(b"Login succeeded") || begins(b"Agent login succeeded") || begins(b"SOAP login succeeded") {
        return login(r, &h, out);
    }
    if begins(b"Login failed")
        || begins(b"Agent login failed")
        || begins(b"SOAP login failed")
        || begins(b"Sign-in rejected")
    {
        return failed(r, &h, out);
    }
    if begins(b"Primary authentication ") {
        return primary(r, &h, out);
    }
    if begins(b"Secondary authentication ") {
        let good = begins(b"Secondary authentication succe");
        let server = between(text, b"/", b" from ").unwrap_or_default();
        let outcome = if good { Outcome::Success } else { Outcome::Failure };
        return base(out.event(Act::Mfa, outcome), r, &h)
            .factor(factor(server))
            .detail(server)
            .reason(if good { Reason::None } else { Reason::MfaFailed })
            .done();
    }
    if let Some(from) = text.strip_prefix(b"Authentication requests from IP address ") {
        return base(out.event(Act::Auth, Outcome::Failure), r, &h)
            .source_ip(Ip::parse(word(from).0))
            .reason(Reason::Locked)
            .detail(text)
            .done();
    }
    if has(b" restrictions ") {
        if !has(b" restrictions failed") {
            return Parsed::Irrelevant(Kind::Pending);
        }
        let reason = if begins(b"Host Checker") { Reason::Posture } else { Reason::Policy };
        return refused(r, &h, reason, out);
    }
    if begins(b"Host Checker policy ") {
        let good = has(b"' passed on ");
        return base(out.event(Act::Posture, if good { Outcome::Success } else { Outcome::Failure }), r, &h)
            .detail(between(text, b"policy '", b"'").unwrap_or_default())
            .mac(between(text, b" address '", b"'").unwrap_or_default())
            .done();
    }
    if begins(b"Session resumed") {
        return base(out.event(Act::SessionResume, Outcome::Success), r, &h)
            .sid(sid(h.text))
            .client(between(text, b"user agent '", b"'").unwrap_or_default())
            .done();
    }
    if begins(b"Remote address for user ") {
        // `Remote address for user anna/Realm changed from 192.0.2.1 to 192.0.2.2. Access denied.`
        let to = rfind(text, b" to ").and_then(|n| text.get(n + 4..)).unwrap_or_default();
        let to = word(to).0;
        let outcome = if has(b"ccess denied") { Outcome::Failure } else { Outcome::Success };
        return base(out.event(Act::SessionResume, outcome), r, &h)
            .source_ip(Ip::parse(to.strip_suffix(b".").unwrap_or(to)))
            .sid(sid(h.text))
            .done();
    }
    if let Some(reason) = ended(text) {
        if h.is_admin() {
            return Parsed::Irrelevant(Kind::OtherMessage);
        }
        return base(out.event(Act::SessionEnd, Outcome::Success), r, &h)
            .sid(sid(h.text))
            .reason(reason)
            .done();
    }
    if begins(b"Closed connection to TUN-VPN") {
        let count = |from: &[u8]| after(text, from, b"").map_or(0, number);
        let seconds = u32::try_from(count(b" after ")).unwrap_or(u32::MAX);
        return base(out.event(Act::SessionEnd, Outcome::Success), r, &h)
            .sid(sid(h.text))
            .duration_s(seconds)
            .bytes(
                count(b" with "),
                after(text, b" read", b"").map_or(0, |t| after(t, b" and ", b"").map_or(0, number)),
            )
            .done();
    }
    if begins(b"Session:[") || begins(b"Session created for user") || begins(b"User Limit") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if begins(b"Connection from IP ")
        || begins(b"Closed connection")
        || begins(b"Established connection")
        || begins(b"Connected to")
        || begins(b"Terminated SSL handshake")
        || begins(b"OCSP ")
    {
        return Parsed::Irrelevant(Kind::Transport);
    }
    if begins(b"WebRequest") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    change(r, &h, out)
}

/// How a session ended by these words, if they say so.
fn ended(text: &[u8]) -> Option<Reason> {
    let begins = |words: &[u8]| text.starts_with(words);
    if begins(b"Logout from ") || begins(b"Logout by user") {
        Some(Reason::Logout)
    } else if begins(b"Session timed out") {
        Some(if find(text, b"inactivity").is_some() { Reason::Idle } else { Reason::Timeout })
    } else if begins(b"Max session timeout") {
        Some(Reason::Timeout)
    } else if begins(b"Session deleted by administrator") || begins(b"Forced logout") {
        Some(Reason::ByAdmin)
    } else if begins(b"Logged out previous session") || find(text, b"due to a new login").is_some() {
        Some(Reason::Preempted)
    } else {
        None
    }
}

fn tunnel(r: &Record<'_>, h: &Head<'_>, rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let given = || {
        let at = rfind(rest, b"address ").map(|n| n + 8).or_else(|| rfind(rest, b"with IP ").map(|n| n + 8));
        let ip = at.and_then(|n| rest.get(n..)).unwrap_or_default();
        Ip::parse(word(ip).0.split(|b| *b == b',').next().unwrap_or_default())
    };
    if rest.starts_with(b"Session started") {
        let host = after(rest, b", hostname ", b"").unwrap_or_default();
        return base(out.event(Act::IpAssign, Outcome::Success), r, h)
            .tunnel_ip(given())
            .sid(sid(h.text))
            .client(h.agent)
            .device(host.strip_suffix(b".").unwrap_or(host))
            .done();
    }
    if rest.starts_with(b"Session ended") {
        return base(out.event(Act::SessionEnd, Outcome::Success), r, h)
            .tunnel_ip(given())
            .sid(sid(h.text))
            .done();
    }
    Parsed::Irrelevant(Kind::Transport)
}

/// The login is complete: all factors, restrictions and roles.
fn login(r: &Record<'_>, h: &Head<'_>, out: &mut Emit<'_>) -> Parsed {
    if h.is_admin() {
        return base(out.event(Act::Admin, Outcome::Success), r, h)
            .service(Service::Management)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let agent = rfind(h.text, b" with ").and_then(|n| h.text.get(n + 6..)).unwrap_or_default();
    let agent = if agent.is_empty() { h.agent } else { agent.strip_suffix(b".").unwrap_or(agent) };
    base(out.event(Act::SessionStart, Outcome::Success), r, h).sid(sid(h.text)).client(agent).done()
}

/// `Login failed using auth server Corp (LDAP Server).  Reason: Failed`, `Login failed. Reason: Wrong Password`.
fn failed(r: &Record<'_>, h: &Head<'_>, out: &mut Emit<'_>) -> Parsed {
    let said = rfind(h.text, b"Reason:").and_then(|n| h.text.get(n + 7..)).unwrap_or_default().trim_ascii();
    let has = |words: &[u8]| find(said, words).is_some();
    let server = between(h.text, b"auth server ", b".").unwrap_or_default();
    let reason = if has(b"ocked") {
        Reason::Locked
    } else if has(b"xpired") {
        Reason::Expired
    } else if has(b"isabled") {
        Reason::Disabled
    } else if has(b"No Roles") || has(b"NoRoles") || has(b"IP Denied") || has(b"not allowed") {
        Reason::NotAllowed
    } else if has(b"Host Checker") || has(b"HostChecker") {
        Reason::Posture
    } else if has(b"ertificate") {
        Reason::Certificate
    } else if has(b"Password") || has(b"Failed") || has(b"redential") {
        Reason::BadPassword
    } else if has(b"User") && (has(b"nknown") || has(b"not exist")) {
        Reason::NoUser
    } else {
        Reason::Other
    };
    let admin = h.is_admin() || server.starts_with(b"Administrators");
    // The appliance's own database writes a line of its own before the one that counts.
    let repeats = server.is_empty() && h.text.starts_with(b"Login failed. Reason");
    let second = factor(server) != Factor::None;
    let act = match (admin, second) {
        (true, _) => Act::Admin,
        (false, true) => Act::Mfa,
        (false, false) => Act::Auth,
    };
    let mut e = base(out.event(act, Outcome::Failure), r, h)
        .detail(said)
        .reason(if second && !admin { Reason::MfaFailed } else { reason })
        .factor(factor(server))
        .flag_if(repeats, Flags::REPEATS)
        .flag_if(find(server, b"Local Authentication").is_some(), Flags::LOCAL_ACCOUNT);
    if admin {
        e = e.service(Service::Management);
    }
    e.done()
}

/// `Primary authentication successful for anna/Corp from 192.0.2.1`: the first factor, right or wrong.
fn primary(r: &Record<'_>, h: &Head<'_>, out: &mut Emit<'_>) -> Parsed {
    let good = h.text.starts_with(b"Primary authentication succe");
    if h.is_admin() && good {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let e = base(
        out.event(
            if h.is_admin() { Act::Admin } else { Act::Auth },
            if good { Outcome::Success } else { Outcome::Failure },
        ),
        r,
        h,
    )
    .flag_if(good, Flags::PRE_MFA)
    // AUT23457 tells the failure, with its reason.
    .flag_if(!good, Flags::REPEATS)
    .reason(if good { Reason::None } else { Reason::BadPassword });
    if h.is_admin() { e.service(Service::Management).done() } else { e.done() }
}

fn refused(r: &Record<'_>, h: &Head<'_>, reason: Reason, out: &mut Emit<'_>) -> Parsed {
    let act = if h.is_admin() { Act::Admin } else { Act::Auth };
    let e = base(out.event(act, Outcome::Failure), r, h).reason(reason);
    if h.is_admin() { e.service(Service::Management).done() } else { e.done() }
}

/// Which factor a server with this name and kind checks; none where it says nothing of one.
fn factor(server: &[u8]) -> Factor {
    let has = |words: &[u8]| find(server, words).is_some();
    if has(b"TOTP") || has(b"ToTP") || has(b"totp") || has(b"Time based") {
        Factor::Totp
    } else if has(b"ACE") || has(b"SecurID") || has(b"One-Time") || has(b"OTP") {
        Factor::HardwareToken
    } else if has(b"Duo") || has(b"DUO") {
        Factor::Push
    } else {
        Factor::None
    }
}

/// What administrators change, and the rest.
fn change(r: &Record<'_>, h: &Head<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = h.text;
    let has = |words: &[u8]| find(text, words).is_some();
    let account = if has(b"Added username ") {
        Some((Change::LocalUserCreated, &b"Added username "[..]))
    } else if has(b"Removed username ") {
        Some((Change::AccountDeleted, &b"Removed username "[..]))
    } else if has(b"Modified username ") {
        Some((Change::ConfigChanged, &b"Modified username "[..]))
    } else {
        None
    };
    if let Some((change, marker)) = account {
        return base(out.event(Act::Account, Outcome::Success), r, h)
            .service(Service::Management)
            .change(change)
            .target(word(after(text, marker, b"").unwrap_or_default()).0)
            .detail(text)
            .done();
    }
    if !h.code.starts_with(b"ADM") && !h.is_admin() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let change = if has(b"xported configuration") || has(b"xported config") {
        Change::ConfigExported
    } else if has(b"og cleared") || has(b"leared log") || has(b"logs cleared") {
        Change::LoggingStopped
    } else if has(b"mported configuration") {
        Change::ConfigChanged
    } else if (has(b"olicy") || has(b"ealm") || has(b" role") || has(b"Role") || has(b"uth")) && changed(text)
    {
        Change::PolicyChanged
    } else if changed(text) {
        Change::ConfigChanged
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    base(out.event(Act::Config, Outcome::Success), r, h)
        .service(Service::Management)
        .change(change)
        .detail(text)
        .flag(Flags::PRIVILEGED)
        .done()
}

fn changed(text: &[u8]) -> bool {
    [
        &b"hanged"[..],
        b"Added",
        b"added",
        b"emoved",
        b"eleted",
        b"odified",
        b"reated",
        b"Enabled",
        b"Disabled",
        b"enabled",
        b"disabled",
    ]
    .iter()
    .any(|w| find(text, w).is_some())
}
