//! F5 BIG-IP: sessions of Access Policy Manager, its access lists, administration; the rest of BIG-IP is recognised.
//!
//! Read from: BIG-IP Access Policy Manager, "Logging and Reporting"; BIG-IP log messages (errdefs) 0149xxxx, 01580002,
//! 01070417, 01420002. One session is told in many lines that share an id of eight hexadecimal digits: the address in
//! one, the name in another, the result in a third. They are put together in any order, and each line that tells something
//! (a wrong password, the policy's result, an address given, the end) says who and from where. Traps: the statistics may
//! stand before or after the deletion, and the two are one end; `Logon_Deny` after a right password is another thing than a
//! wrong one; an audit record with an end is the logout of a login already told; remote logs carry the number and the
//! fields in front or in structured data.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::frame;
use crate::decode::kv::{self, after, between, number, word};
use crate::emit::{Emit, EventBuilder, content_key};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Fragment, Kind, Parsed, Reader, Row, Source};
use memchr::memmem::rfind;
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "f5_apm",
    title: "F5 BIG-IP (Access Policy Manager, access lists, audit)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Posture,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
    ],
    lacks: &[],
    traps: &["session_in_lines", "denied_after_password", "statistics_first", "audit_logout", "structured"],
    manual: "BIG-IP Access Policy Manager: Logging and Reporting; BIG-IP error and log messages",
    enable: "Access > Overview > Event Logs: access policy at Notice and above (Informational for authentication agents), ACL logging on the access lists; System > Logs > Configuration: audit logging Enable; remote syslog or a log publisher",
    general: false,
    marks: &[
        ":0: ",
        ":1: ",
        ":2: ",
        ":3: ",
        ":4: ",
        ":5: ",
        ":6: ",
        "|F5|",
        "errdefs_msgno=",
        "f5_irule=",
        "f5_asm=",
        "Rule /",
        "[ssl_req][",
        "pam_bigip_authz",
        ":Common:",
    ],
    reader: Reader::Code { claim: |r| line(r).is_some(), parse, join: Some(join) },
};

/// One line: number, session, and what it says.
#[derive(Clone, Copy, Default)]
struct Line<'a> {
    /// Decimal value of the eight digits; 0 where they were cut off.
    number: u32,
    sid: &'a [u8],
    profile: &'a [u8],
    text: &'a [u8],
    /// The whole record, for fields that stand in front of the text.
    raw: &'a [u8],
}

/// Position of `01490500:5: `, and of what follows.
fn message(text: &[u8]) -> Option<(usize, usize)> {
    let head = &text[..text.len().min(400)];
    memchr::memchr_iter(b':', head).find_map(|colon| {
        let from = colon.checked_sub(8)?;
        let digits = head.get(from..colon)?;
        let level = *head.get(colon + 1)?;
        let fits = digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
            && digits.first() == Some(&b'0')
            && matches!(level, b'0'..=b'7')
            && head.get(colon + 2) == Some(&b':')
            && (from == 0 || matches!(head.get(from - 1), Some(b' ' | b'"' | b'|')));
        fits.then_some((from, colon + 3))
    })
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0u32, |n, b| n.wrapping_mul(16).wrapping_add((*b as char).to_digit(16).unwrap_or(0)))
}

/// `/Common/vpn:Common:1a2b3c4d: text`, `1a2b3c4d: text`: profile, session, text.
fn session(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = find(&text[..text.len().min(300)], b": ")?;
    let head = &text[..end];
    let at = memchr::memrchr(b':', head);
    let sid = &head[at.map_or(0, |n| n + 1)..];
    if !(6..=8).contains(&sid.len()) || !sid.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let profile = at.map_or(&b""[..], |n| &head[..n]);
    let profile = memchr::memrchr(b':', profile).map_or(profile, |n| &profile[..n]);
    Some((profile, sid, text[end + 2..].trim_ascii()))
}

fn line<'a>(r: &Record<'a>) -> Option<Line<'a>> {
    let raw = r.raw;
    if r.shape == Shape::Cef {
        find(&r.body[..r.body.len().min(40)], b"|F5|")?;
        let mut l = Line { raw, text: r.body, ..Line::default() };
        if find(&r.body[..r.body.len().min(40)], b"|F5|APM|").is_some()
            && let Some((_, extension)) = kv::cef(r.body)
        {
            for (key, value) in kv::cef_pairs(extension) {
                match key {
                    b"cs4" => l.sid = value,
                    b"msg" => l.text = value,
                    _ => {}
                }
            }
            if let Some((from, _)) = message(r.body) {
                l.number = hex(&r.body[from..from + 8]);
            }
        }
        return Some(l);
    }
    let head = &raw[..raw.len().min(600)];
    if let Some(at) = find(head, b"errdefs_msgno=\"") {
        let number = raw.get(at + 15..at + 23).map_or(0, hex);
        let text = find(raw, b"] /").and_then(|n| raw.get(n + 2..)).unwrap_or_default();
        let (_, _, text) = session(text).unwrap_or_default();
        let named = |key: &[u8]| between(raw, key, b"\"").unwrap_or_default();
        let sid = named(b"session_id=\"");
        return Some(Line { number, sid, profile: named(b"Access_Profile=\""), text, raw });
    }
    if let Some((from, rest)) = message(r.body) {
        let number = hex(&r.body[from..from + 8]);
        let rest = r.body.get(rest..).unwrap_or_default();
        let (profile, sid, text) = session(rest).unwrap_or((b"", b"", rest.trim_ascii()));
        return Some(Line { number, sid, profile, text, raw });
    }
    // A relay that cuts the program off cuts the number too.
    if r.body.first() == Some(&b'/')
        && find(&r.body[..r.body.len().min(200)], b":Common:").is_some()
        && let Some((profile, sid, text)) = session(r.body)
    {
        return Some(Line { number: 0, sid, profile, text, raw });
    }
    let other = [&b"f5_irule="[..], b"f5_asm=", b"[ssl_req][", b"pam_bigip_authz"]
        .iter()
        .any(|m| find(head, m).is_some())
        || (find(head, b"Rule /").is_some()
            && (find(head, b" <").is_some() || r.body.starts_with(b"Rule /Common/")));
    other.then_some(Line { text: b"", raw, ..Line::default() })
}

/// What a line is to its session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    New = 1,
    Address,
    Agent,
    Client,
    Name,
    Checked,
    Second,
    /// From here on a line tells something.
    Wrong,
    SecondWrong,
    Allowed,
    Given,
    Denied,
    Statistics,
    Deleted,
}

fn step(l: &Line<'_>) -> Option<Step> {
    let begins = |words: &[u8]| l.text.starts_with(words);
    let has = |words: &[u8]| find(l.text, words).is_some();
    let named = |key: &[u8]| find(l.raw, key).is_some();
    if l.sid.is_empty() {
        return None;
    }
    // The words first: a number stands for one message only in one version.
    if begins(b"New session from client IP ") || (l.number == 0x0149_0500 && named(b"Client_IP=\"")) {
        Some(Step::New)
    } else if begins(b"session.user.clientip is ") {
        Some(Step::Address)
    } else if begins(b"Received User-Agent header") || begins(b"session.user.agent is ") {
        Some(Step::Agent)
    } else if begins(b"Received client info") || l.number == 0x0149_0248 {
        Some(Step::Client)
    } else if begins(b"Username '") || (l.number == 0x0149_0010 && named(b"Username=\"")) {
        Some(Step::Name)
    } else if has(b" agent: ") && has(b"authenticate with '") {
        let good = l.text.ends_with(b"successful");
        Some(match (second(l.text), good) {
            (true, true) => Step::Second,
            (true, false) => Step::SecondWrong,
            (false, true) => Step::Checked,
            (false, false) => Step::Wrong,
        })
    } else if begins(b"OTP ") {
        if has(b"uccess") || has(b"verified") {
            Some(Step::Second)
        } else if has(b"ail") || has(b"rong") || has(b"nvalid") {
            Some(Step::SecondWrong)
        } else {
            None
        }
    } else if begins(b"Access policy result: ")
        || (l.number == 0x0149_0102 && named(b"Access_Policy_Result=\""))
    {
        let denied = has(b"eny") || has(b"eject") || (l.text.is_empty() && named(b"Logon_Deny"));
        Some(if denied { Step::Denied } else { Step::Allowed })
    } else if begins(b"Assigned PPP ") {
        Some(Step::Given)
    } else if begins(b"Session statistics") || (l.number == 0x0149_0521 && named(b"Bytes_In=\"")) {
        Some(Step::Statistics)
    } else if begins(b"Session deleted")
        || (matches!(l.number, 0x0149_0501 | 0x0149_0502) && l.text.is_empty())
    {
        Some(Step::Deleted)
    } else {
        None
    }
}

/// An agent that checks a token: `OTP agent`, `RSA SecurID agent`.
fn second(text: &[u8]) -> bool {
    let agent = &text[..find(text, b" agent: ").unwrap_or(0)];
    find(agent, b"OTP").is_some() || find(agent, b"SecurID").is_some() || find(agent, b"RSA").is_some()
}

/// Pieces under one another, each a line of its own.
fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (n, (_, part)) in parts.iter().enumerate() {
        if n > 0 {
            out.push(b'\n');
        }
        out.extend(part.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.joined {
        return whole(r, out);
    }
    let Some(l) = line(r) else { return Parsed::NotMine };
    if let Some(step) = step(&l) {
        let key = content_key(l.sid) ^ content_key(r.host()).rotate_left(23);
        let part = match step {
            Step::New => 0,
            step => (step as u32) << 24 | (content_key(l.text) as u32 & 0x00ff_ffff),
        };
        return Parsed::Fragment(Fragment { key, part, parts: 0, last: step >= Step::Denied });
    }
    match l.number {
        0x0107_0417 | 0x0142_0002 => audit(r, &l, out),
        0x0158_0002 => access_list(r, &l, out),
        // `Following rule 'x' from item 'y' to ending 'Allow'`.
        0x0149_0005 if !l.sid.is_empty() && find(l.text, b" to ending '").is_some() => {
            let refused = find(l.text, b"to ending 'Deny").is_some();
            base(
                out.event(Act::Posture, if refused { Outcome::Failure } else { Outcome::Success }),
                &l,
                r.header_time(),
                r.host(),
                &Known::default(),
            )
            .detail(l.text)
            .done()
        }
        0x0149_0000..=0x0149_ffff => Parsed::Irrelevant(Kind::Pending),
        0 if r.shape == Shape::Cef => firewall(r, out),
        0 if find(l.raw, b"pam_bigip_authz").is_some() => Parsed::Irrelevant(Kind::Repeats),
        0 if !l.sid.is_empty() => Parsed::Irrelevant(Kind::Pending),
        0 => Parsed::Irrelevant(Kind::RoutineUse),
        0x0126_0000..=0x0126_ffff => Parsed::Irrelevant(Kind::Transport),
        // The traffic manager, its configuration daemons and health checks about themselves.
        0x0101_0000..=0x0101_ffff
        | 0x0106_0000..=0x0107_ffff
        | 0x010c_0000..=0x010c_ffff
        | 0x0114_0000..=0x0114_ffff
        | 0x011e_0000..=0x011e_ffff
        | 0x012a_0000..=0x012a_ffff
        | 0x0134_0000..=0x0134_ffff => Parsed::Irrelevant(Kind::Housekeeping),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// What the lines of a session say together.
#[derive(Default)]
struct Known<'a> {
    src: Ip,
    country: &'a [u8],
    user: &'a [u8],
    agent: &'a [u8],
    host: &'a [u8],
    tunnel: Ip,
    checked: bool,
    wrong: bool,
    second: bool,
    allowed: bool,
    denied: bool,
    bytes: (u64, u64),
}

/// A name in quotes; it may hold quotes itself.
fn quoted(text: &[u8]) -> &[u8] {
    let (Some(from), Some(to)) = (memchr::memchr(b'\'', text), memchr::memrchr(b'\'', text)) else {
        return b"";
    };
    text.get(from + 1..to).unwrap_or_default()
}

fn first_ip(text: &[u8]) -> Ip {
    Ip::parse(word(text).0.split(|b| matches!(b, b',' | b'(')).next().unwrap_or_default())
}

impl<'a> Known<'a> {
    fn take(&mut self, l: &Line<'a>, step: Step) {
        let named = |key: &[u8]| between(l.raw, key, b"\"").unwrap_or_default();
        match step {
            Step::New => {
                self.src = match l.text.strip_prefix(b"New session from client IP ") {
                    Some(rest) => first_ip(rest),
                    None => Ip::parse(named(b"Client_IP=\"")),
                };
                self.country = between(l.text, b"/CC=", b"/").unwrap_or_default();
            }
            Step::Address => {
                self.src = self.src.or(first_ip(after(l.text, b" is ", b"").unwrap_or_default()))
            }
            Step::Agent if self.agent.is_empty() => {
                let at =
                    find(l.text, b"header: ").map(|n| n + 8).or_else(|| find(l.text, b" is ").map(|n| n + 4));
                self.agent = at.and_then(|n| l.text.get(n..)).unwrap_or_default();
            }
            Step::Client => {
                let said = after(l.text, b"Hostname: ", b" Type:").unwrap_or_default();
                self.host = if said.is_empty() { named(b"Client_Hostname=\"") } else { said };
            }
            Step::Name => {
                let name = quoted(l.text);
                self.user = if name.is_empty() { named(b"Username=\"") } else { name };
            }
            Step::Checked | Step::Wrong | Step::Second | Step::SecondWrong => {
                self.checked |= step == Step::Checked;
                self.wrong |= step == Step::Wrong;
                self.second |= step == Step::Second;
                let name = after(l.text, b"authenticate with ", b"").map_or(&b""[..], quoted);
                if !name.is_empty() && (self.user.is_empty() || step >= Step::Wrong) {
                    self.user = name;
                }
            }
            Step::Allowed => self.allowed = true,
            Step::Denied => self.denied = true,
            Step::Given => {
                self.tunnel = after(l.text, b"IPv4: ", b"").map_or(Ip::NONE, first_ip);
                self.src = after(l.text, b"Client IP: ", b"").map_or(Ip::NONE, first_ip).or(self.src);
            }
            Step::Statistics => {
                let count = |text: &[u8], key: &[u8]| {
                    let said = after(l.text, text, b"").map_or(0, number);
                    if said == 0 { number(named(key)) } else { said }
                };
                self.bytes = (count(b"bytes in: ", b"Bytes_In=\""), count(b"bytes out: ", b"Bytes_Out=\""));
            }
            _ => {}
        }
    }
}

/// A session as far as its lines came: what each tells, with what all of them say of who and from where.
fn whole(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut known = Known::default();
    let mut ended = false;
    let lines = || {
        r.raw.split(|b| *b == b'\n').filter_map(|text| {
            let one = frame::bare(text, r.at, r.clock);
            let l = line(&one)?;
            Some((l, step(&l)?, one.header_time(), one.header.host))
        })
    };
    let mut last = None;
    for (l, step, at, host) in lines() {
        known.take(&l, step);
        ended |= step == Step::Deleted;
        last = Some((l, at, host));
    }
    let Some((l, at, host)) = last else { return Parsed::Irrelevant(Kind::Pending) };
    let mut parsed = Parsed::Irrelevant(Kind::Repeats);
    for (l, step, at, host) in lines() {
        let told = tell(&l, step, &known, ended, out, |event| base(event, &l, at, host, &known));
        if told == Parsed::Events {
            parsed = told;
        }
    }
    let told = known.wrong || known.allowed || known.denied || ended || parsed == Parsed::Events;
    if told {
        return parsed;
    }
    // The session came to no result: who and from where, and that its steps were done.
    base(out.event(Act::Posture, Outcome::Success), &l, at, host, &known).detail(l.text).done()
}

/// What one line of a session tells.
fn tell(
    l: &Line<'_>,
    step: Step,
    known: &Known<'_>,
    ended: bool,
    out: &mut Emit<'_>,
    base: impl FnOnce(EventBuilder<'_>) -> EventBuilder<'_>,
) -> Parsed {
    match step {
        Step::Wrong => base(out.event(Act::Auth, Outcome::Failure)).reason(Reason::BadPassword).done(),
        Step::SecondWrong => {
            base(out.event(Act::Mfa, Outcome::Failure)).factor(Factor::Other).reason(Reason::MfaFailed).done()
        }
        Step::Allowed => base(out.event(Act::SessionStart, Outcome::Success))
            .mfa(if known.second && known.checked { Mfa::Yes } else { Mfa::Unknown })
            .detail(after(l.text, b"result: ", b"").unwrap_or_default())
            .done(),
        Step::Given => base(out.event(Act::IpAssign, Outcome::Success)).tunnel_ip(known.tunnel).done(),
        Step::Denied if known.checked => {
            base(out.event(Act::Auth, Outcome::BlockedAfterPassword)).reason(Reason::Policy).done()
        }
        // The wrong passwords were told one by one.
        Step::Denied if known.wrong => Parsed::Irrelevant(Kind::Repeats),
        Step::Denied => base(out.event(Act::Auth, Outcome::Failure)).reason(Reason::Policy).done(),
        // Sessions that never got in. Where nothing else is known of one, its beginning lies before the logs.
        Step::Statistics | Step::Deleted
            if !known.allowed
                && known.tunnel.is_none()
                && (known.src.is_some() || !known.user.is_empty()) =>
        {
            Parsed::Irrelevant(Kind::Repeats)
        }
        Step::Statistics if ended => Parsed::Irrelevant(Kind::Repeats),
        Step::Statistics | Step::Deleted => {
            let has = |words: &[u8]| step == Step::Deleted && find(l.text, words).is_some();
            let reason = if has(b"logout") || has(b"logged_out") || has(b"logged out") {
                Reason::Logout
            } else if has(b"inactiv") {
                Reason::Idle
            } else if has(b"imeout") || has(b"expired") {
                Reason::Timeout
            } else if has(b"admin") {
                Reason::ByAdmin
            } else {
                Reason::None
            };
            base(out.event(Act::SessionEnd, Outcome::Success))
                .tunnel_ip(known.tunnel)
                .bytes(known.bytes.0, known.bytes.1)
                .reason(reason)
                .done()
        }
        _ => Parsed::Irrelevant(Kind::Pending),
    }
}

fn base<'e>(
    event: EventBuilder<'e>,
    l: &Line<'_>,
    at: Option<(EventTime, Certainty)>,
    host: &[u8],
    known: &Known<'_>,
) -> EventBuilder<'e> {
    event
        .at(at)
        .service(Service::Vpn)
        .user(known.user)
        .source_ip(known.src)
        .country(known.country)
        .client(known.agent)
        .device(known.host)
        .sid(l.sid)
        .group(l.profile)
        .observer(host)
}

/// `allow ACL: /Common/staff:59 packet: tcp 10.63.0.9:50992 -> 10.0.0.5:135`.
fn access_list(r: &Record<'_>, l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(packet) = after(l.text, b"packet: ", b"") else { return Parsed::Irrelevant(Kind::Traffic) };
    let (_, rest) = word(packet);
    let (from, rest) = word(rest);
    let (src, sport) = Ip::parse_with_port(from);
    let (dst, dport) = Ip::parse_with_port(word(rest.strip_prefix(b"-> ").unwrap_or(rest)).0);
    let allowed = l.text.starts_with(b"allow");
    if let Some(kind) = worth(src, dst, dport, allowed) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(r.header_time())
        .service(Service::Vpn)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .sid(l.sid)
        .group(between(l.text, b"ACL: ", b" packet").unwrap_or_default())
        .observer(r.host())
        .done()
}

/// Logins to the management plane, and what is changed there.
fn audit(r: &Record<'_>, l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = l.text;
    let has = |words: &[u8]| find(text, words).is_some();
    if has(b"(mod_auth_pam)") || has(b"(pam_audit)") {
        let from = after(text, b" host=", b" ").unwrap_or_default();
        let failed = has(b"failed to login after ");
        if !failed && has(b" end=\"") {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        // `user=admin(admin)`; who fails to log in is written `User=admin`.
        let user = find(text, b"): ").and_then(|n| text.get(n + 3 + 5..)).unwrap_or_default();
        let user = user.split(|b| matches!(b, b'(' | b' ')).next().unwrap_or_default();
        let times = after(text, b"failed to login after ", b"").map_or(0, number);
        return out
            .event(Act::Admin, if failed { Outcome::Failure } else { Outcome::Success })
            .at(r.header_time())
            .service(Service::Management)
            .user(user)
            .source(from)
            .client(between(text, b"RAW: ", b"(").unwrap_or_default())
            .reason(if failed { Reason::BadPassword } else { Reason::None })
            .repeat(if failed { u16::try_from(times).unwrap_or(u16::MAX) } else { 0 })
            .flag_if(!failed && has(b"level=Administrator"), Flags::PRIVILEGED)
            .observer(r.host())
            .done();
    }
    // tmsh: `pid=77 user=anna folder=/Common module=(tmos)# status=[Command OK] cmd_data=create auth user x`.
    let (user, done) = match after(text, b"cmd_data=", b"") {
        Some(command) => (after(text, b" user=", b" ").unwrap_or_default(), command),
        None => {
            let at = rfind(&text[..find(text, b" - transaction").unwrap_or(text.len())], b"user ");
            let user = at.and_then(|n| text.get(n + 5..)).map_or(&b""[..], |t| word(t).0);
            (
                user,
                after(text, b" - object ", b"")
                    .map_or(&b""[..], |t| after(t, b" - ", b"").unwrap_or_default()),
            )
        }
    };
    let verb = word(done).0;
    if !matches!(
        verb,
        b"create"
            | b"modify"
            | b"delete"
            | b"load"
            | b"save"
            | b"reset-stats"
            | b"obj_delete"
            | b"run"
            | b"mv"
    ) || verb == b"reset-stats"
    {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let account = find(done, b"auth user ")
        .map(|n| n + 10)
        .or_else(|| find(done, b"userdb_entry_name \"").map(|n| n + 19));
    let said = &done[..done.len().min(200)];
    let failed = !has(b"[Command OK]") && !has(b"[Status=Command OK]");
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    if let Some(at) = account {
        let target = done.get(at..).unwrap_or_default();
        let change = match verb {
            b"create" => Change::AdminCreated,
            b"delete" => Change::AccountDeleted,
            _ if find(done, b"password").is_some() => Change::PasswordReset,
            _ => Change::RoleGranted,
        };
        return out
            .event(Act::Account, outcome)
            .at(r.header_time())
            .service(Service::Management)
            .change(change)
            .user(user)
            .target(target.split(|b| matches!(b, b' ' | b'"')).next().unwrap_or_default())
            .detail(said)
            .observer(r.host())
            .done();
    }
    let policy = find(said, b"apm ").is_some()
        || find(said, b"access_").is_some()
        || find(said, b"ltm virtual").is_some();
    out.event(Act::Config, outcome)
        .at(r.header_time())
        .service(Service::Management)
        .change(if policy { Change::PolicyChanged } else { Change::ConfigChanged })
        .user(user)
        .detail(said)
        .flag(Flags::PRIVILEGED)
        .observer(r.host())
        .done()
}

/// Advanced Firewall Manager in CEF; web application firewall and the like are others' business.
fn firewall(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if find(&r.body[..r.body.len().min(60)], b"|Advanced Firewall Module|").is_none() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let Some((_, extension)) = kv::cef(r.body) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (mut src, mut dst, mut spt, mut dpt, mut act, mut rt, mut dvc) =
        (&b""[..], &b""[..], 0, 0, &b""[..], &b""[..], &b""[..]);
    for (key, value) in kv::cef_pairs(extension) {
        match key {
            b"src" => src = value,
            b"dst" => dst = value,
            b"spt" => spt = number(value),
            b"dpt" => dpt = number(value),
            b"act" => act = value,
            b"rt" => rt = value,
            b"dvchost" => dvc = value,
            _ => {}
        }
    }
    let allowed = act.starts_with(b"Accept");
    let (src, dst, dpt) = (Ip::parse(src), Ip::parse(dst), u16::try_from(dpt).unwrap_or(0));
    if let Some(kind) = worth(src, dst, dpt, allowed) {
        return Parsed::Irrelevant(kind);
    }
    let at = match clock::bsd(rt) {
        Some((Stamp::Local(civil), _)) if civil.year != 0 => r.clock.resolve(civil),
        _ => r.header_time(),
    };
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(at)
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(spt).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dpt)
        .observer(dvc)
        .done()
}
