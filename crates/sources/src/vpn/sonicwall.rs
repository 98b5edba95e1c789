//! SonicWall firewalls: SSL VPN and Global VPN Client, administration, configuration, connections.
//!
//! Read from: SonicOS Log Events Reference Guide (message ids `m=`); SonicOS Enhanced Syslog. Shapes: `id=firewall sn=… m=…` and
//! CEF, also with its head lost. Traps: `id=` is a name that the administrator chose; `src=` holds address, port, interface and
//! name in one; whoever logs in types `usr=`, which stands before `src=`; 1079 is any message of the SSL VPN service and only
//! some assign an address; 98 opens a connection and 537 closes the same; 441 also says that a rule was looked at.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{self, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "sonicwall",
    title: "SonicWall firewall (SonicOS)",
    row: Row::Vpn,
    gives: &[
        Act::Lease,
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
        Act::Alert,
    ],
    lacks: &[Field::SessionId, Field::Bytes],
    traps: &["cef", "closed_repeats_opened", "address_in_the_name", "assigned_or_not"],
    manual: "SonicOS Log Events Reference Guide",
    enable: "Device > Log > Syslog: Enhanced Syslog (or ArcSight) with all categories; Log > Settings: Users, SSL VPN, VPN, Network Access at level Inform",
    general: false,
    marks: &[" sn=", "|SonicWall|"],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(300)];
    if r.shape == Shape::Cef || find(&head[..head.len().min(60)], b"|SonicWall|").is_some() {
        return find(&head[..head.len().min(60)], b"|SonicWall|").is_some();
    }
    find(&head[..head.len().min(120)], b"id=").is_some()
        && find(head, b" sn=").is_some()
        && find(head, b" fw=").is_some()
        && find(head, b" m=").is_some()
        && find(head, b"id=sslvpn").is_none()
}

#[derive(Default)]
struct Fields<'a> {
    time: &'a [u8],
    sn: &'a [u8],
    fw: &'a [u8],
    m: u64,
    msg: &'a [u8],
    note: &'a [u8],
    user: &'a [u8],
    src: &'a [u8],
    sport: &'a [u8],
    dst: &'a [u8],
    dport: &'a [u8],
    session: &'a [u8],
    seconds: &'a [u8],
    sent: &'a [u8],
    received: &'a [u8],
    action: &'a [u8],
    agent: &'a [u8],
    mac: &'a [u8],
    /// The address of the client stands there twice, and not the same.
    two_sources: bool,
}

fn fields<'a>(r: &Record<'a>) -> Option<Fields<'a>> {
    let mut f = Fields::default();
    if r.shape == Shape::Cef || find(&r.body[..r.body.len().min(60)], b"|SonicWall|").is_some() {
        let (head, extension) = kv::cef(r.body)?;
        f.m = number(head[4]);
        f.msg = head[5];
        for (key, value) in kv::cef_pairs(extension) {
            f.set(key, value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value));
        }
        return Some(f);
    }
    for (key, value) in kv::pairs(r.body) {
        f.set(key, value);
    }
    Some(f)
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"src" | b"srcV6" => {
                self.two_sources |= !self.src.is_empty() && self.src != value;
                // What stands behind the name counts.
                self.src = value;
                return;
            }
            b"m" => {
                if self.m == 0 {
                    self.m = number(value);
                }
                return;
            }
            b"time" | b"rt" => &mut self.time,
            b"sn" => &mut self.sn,
            b"fw" | b"dvc" => &mut self.fw,
            b"msg" => &mut self.msg,
            b"note" => &mut self.note,
            b"usr" | b"susr" | b"suser" | b"duser" | b"user" => &mut self.user,
            b"spt" => &mut self.sport,
            b"dst" | b"dstV6" => &mut self.dst,
            b"dpt" => &mut self.dport,
            b"sess" => &mut self.session,
            b"dur" | b"duration" => &mut self.seconds,
            b"sent" | b"out" => &mut self.sent,
            b"rcvd" | b"in" => &mut self.received,
            b"fw_action" => &mut self.action,
            b"agent" => &mut self.agent,
            b"srcMac" | b"smac" => &mut self.mac,
            _ => return,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }

    fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        match clock::iso(self.time) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
            None => clock::epoch(self.time).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
        }
    }

    fn source(&self) -> (Ip, u16) {
        end(self.src, self.sport)
    }

    fn destination(&self) -> (Ip, u16) {
        end(self.dst, self.dport)
    }

    fn observer<'r>(&self, r: &Record<'r>) -> &'r [u8]
    where
        'a: 'r,
    {
        [r.host(), self.sn, self.fw].into_iter().find(|o| !o.is_empty()).unwrap_or_default()
    }

    fn user(&self) -> &'a [u8] {
        match self.user {
            b"Unknown (external IP)" | b"Unknown" | b"Proxy" => b"",
            user => user,
        }
    }
}

/// `192.0.2.5:36701:X1:name`; the port may be a field of its own.
fn end(text: &[u8], port: &[u8]) -> (Ip, u16) {
    let mut parts = text.splitn(3, |b| *b == b':');
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    let ip = if first.contains(&b'.') { Ip::parse(first) } else { Ip::parse(text) };
    let digits = if port.is_empty() { second } else { port };
    let port = if first.contains(&b'.') || !port.is_empty() { number(digits) } else { 0 };
    (ip, u16::try_from(port).unwrap_or(0))
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    let (ip, port) = f.source();
    event
        .at(f.when(r))
        .service(Service::Vpn)
        .user(f.user())
        .source_ip(ip)
        .source_port(port)
        .group(f.session)
        .client(f.agent)
        .observer(f.observer(r))
        .flag_if(f.two_sources, Flags::SOURCE_UNTRUSTED)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(f) = fields(r) else { return Parsed::Broken(Why::Malformed("CEF")) };
    if f.m == 0 && f.msg.is_empty() {
        return Parsed::Broken(Why::Missing("message id"));
    }
    let note = |words: &[u8]| find(f.note, words).is_some() || find(f.msg, words).is_some();
    match f.m {
        // SSL VPN, XAUTH of the Global VPN Client, L2TP: the access is there.
        1080 | 139 | 318 | 319 => base(out.event(Act::SessionStart, Outcome::Success), r, &f).done(),
        237 | 238 => base(out.event(Act::Auth, Outcome::Success), r, &f).done(),
        31 => base(out.event(Act::Auth, Outcome::Success), r, &f).service(Service::Firewall).done(),
        32
        | 33
        | 140
        | 212
        | 243..=246
        | 290..=292
        | 311
        | 312
        | 329
        | 344
        | 486
        | 745..=751
        | 753..=757
        | 759
        | 986
        | 987
        | 1035
        | 1048 => failed(r, &f, out),
        34 => base(out.event(Act::Auth, Outcome::Interrupt), r, &f).reason(Reason::Timeout).done(),
        1079 => assigned(r, &f, out),
        24 | 263..=265 => ended(r, &f, out),
        29 | 199 | 235 | 236 => admin(r, &f, Outcome::Success, Reason::None, out),
        30 | 200 => admin(r, &f, Outcome::Failure, Reason::BadPassword, out),
        35 | 583 => admin(r, &f, Outcome::Failure, Reason::NotAllowed, out),
        994..=997 | 261 | 262 => Parsed::Irrelevant(Kind::Repeats),
        1110 => lease(r, &f, out),
        440..=442 if !note(b"viewed") || f.m != 441 => config(r, &f, Change::PolicyChanged, out),
        441 => config(r, &f, Change::ConfigChanged, out),
        506..=509 | 1050..=1052 | 1343 => config(r, &f, Change::PolicyChanged, out),
        5 => config(r, &f, Change::LoggingStopped, out),
        1049 | 1382 | 1383 | 1432 => config(r, &f, Change::ConfigChanged, out),
        1333 => account(r, &f, Change::LocalUserCreated, out),
        1334 => account(r, &f, Change::ConfigChanged, out),
        1335 => account(r, &f, Change::AccountDeleted, out),
        1337 | 1338 => account(r, &f, Change::PasswordReset, out),
        608 | 609 | 789 | 790 | 794 | 795 | 809 => alert(r, &f, out),
        98 | 1153 => flow(r, &f, true, out),
        537 => Parsed::Irrelevant(Kind::Repeats),
        36..=38 | 41 | 173..=175 | 580 | 646 | 647 | 1198..=1201 | 1474..=1477 => flow(r, &f, false, out),
        _ if note(b"ne time password") || note(b"ne-time password") || note(b"OTP") || note(b"TOTP") => {
            second(r, &f, out)
        }
        _ if f.msg.starts_with(b"User login denied") || f.msg.starts_with(b"User login failed") => {
            failed(r, &f, out)
        }
        _ if f.msg.starts_with(b"User logged out") => ended(r, &f, out),
        _ if matches!(f.action, b"drop" | b"deny" | b"block" | b"reject") => flow(r, &f, false, out),
        // What a named user reached.
        _ if !f.user().is_empty() && f.source().0.is_some() && f.destination().0.is_some() => {
            flow(r, &f, true, out)
        }
        _ if f.source().0.is_some() => Parsed::Irrelevant(Kind::Traffic),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn failed(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.msg, words).is_some() || find(f.note, words).is_some();
    let reason = match f.m {
        329 => Reason::Locked,
        1035 => Reason::Expired,
        987 => Reason::NoUser,
        246 | 486 | 759 | 986 => Reason::NotAllowed,
        244 | 746 => Reason::Timeout,
        245 | 747 | 748 | 750 | 751 | 753..=757 => Reason::Other,
        32 | 33 | 140 | 212 | 243 | 290..=292 | 311 | 312 | 344 | 745 | 749 => Reason::BadPassword,
        _ if has(b"ocked") => Reason::Locked,
        _ if has(b"xpired") => Reason::Expired,
        _ if has(b"redential") || has(b"assword") || has(b"authentication fail") => Reason::BadPassword,
        _ if has(b"not allowed") || has(b"privilege") => Reason::NotAllowed,
        _ => Reason::Other,
    };
    base(out.event(Act::Auth, Outcome::Failure), r, f).reason(reason).detail(f.msg).done()
}

fn second(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.msg, words).is_some() || find(f.note, words).is_some();
    let (outcome, reason) = if has(b"nvalid") || has(b"ncorrect") || has(b"fail") || has(b"denied") {
        (Outcome::Failure, Reason::MfaFailed)
    } else if has(b"verified") || has(b"succe") || has(b"allowed") {
        (Outcome::Success, Reason::None)
    } else {
        (Outcome::Challenge, Reason::None)
    };
    base(out.event(Act::Mfa, outcome), r, f).reason(reason).detail(f.msg).done()
}

/// 1079 says what the SSL VPN service has to say; of interest is `… assigned IP: 10.60.0.17`.
fn assigned(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let said = |text: &[u8]| {
        let at = find(text, b"ssigned")?;
        let rest = text.get(at..)?;
        rest.split(|b| matches!(b, b' ' | b':' | b',' | b'"' | b'='))
            .map(|w| Ip::parse(w.strip_suffix(b".").unwrap_or(w)))
            .find(|ip| ip.is_some())
    };
    match said(f.msg).or_else(|| said(f.note)) {
        Some(ip) => base(out.event(Act::IpAssign, Outcome::Success), r, f).tunnel_ip(ip).done(),
        None => Parsed::Irrelevant(Kind::Housekeeping),
    }
}

fn ended(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.msg, words).is_some();
    let reason = match f.m {
        24 => Reason::ConnectionLost,
        264 => Reason::Timeout,
        265 => Reason::Idle,
        _ if has(b"nactiv") => Reason::Idle,
        _ if has(b"dministrator") => Reason::ByAdmin,
        _ if has(b"time") => Reason::Timeout,
        _ => Reason::Logout,
    };
    base(out.event(Act::SessionEnd, Outcome::Success), r, f)
        .reason(reason)
        .duration_s(u32::try_from(number(f.seconds)).unwrap_or(u32::MAX))
        .bytes(number(f.received), number(f.sent))
        .done()
}

fn admin(r: &Record<'_>, f: &Fields<'_>, outcome: Outcome, reason: Reason, out: &mut Emit<'_>) -> Parsed {
    base(out.event(Act::Admin, outcome), r, f)
        .service(Service::Management)
        .reason(reason)
        .flag_if(outcome == Outcome::Success, Flags::PRIVILEGED)
        .done()
}

fn config(r: &Record<'_>, f: &Fields<'_>, change: Change, out: &mut Emit<'_>) -> Parsed {
    if f.m == 441 && find(f.msg, b"viewed").is_some() && f.note.is_empty() {
        // "viewed or modified": which of the two it does not say.
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let outcome = if f.m == 1383 { Outcome::Failure } else { Outcome::Success };
    let detail = if f.note.is_empty() { f.msg } else { f.note };
    base(out.event(Act::Config, outcome), r, f)
        .service(Service::Management)
        .change(change)
        .detail(detail)
        .flag(Flags::PRIVILEGED)
        .done()
}

fn account(r: &Record<'_>, f: &Fields<'_>, change: Change, out: &mut Emit<'_>) -> Parsed {
    let target = kv::between(f.msg, b"'", b"'")
        .or_else(|| kv::after(f.msg, b"ser ", b"").map(|rest| word(rest).0))
        .unwrap_or_default();
    base(out.event(Act::Account, Outcome::Success), r, f)
        .service(Service::Management)
        .change(change)
        .target(target)
        .detail(f.msg)
        .done()
}

fn lease(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let ip = kv::after(f.msg, b"ssigned IP address ", b"").map_or(Ip::NONE, |rest| Ip::parse(word(rest).0));
    let told = kv::after(f.msg, b" to MAC address ", b"").map(|rest| word(rest).0);
    let mac = if f.mac.is_empty() { told.unwrap_or_else(|| word(f.note).1) } else { f.mac };
    if ip.is_none() {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    out.event(Act::Lease, Outcome::Success)
        .at(f.when(r))
        .service(Service::Dhcp)
        .tunnel_ip(ip)
        .mac(mac)
        .observer(f.observer(r))
        .done()
}

fn alert(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let (dst, dport) = f.destination();
    let prevented = matches!(f.m, 609 | 790 | 794);
    base(out.event(Act::Alert, if prevented { Outcome::Failure } else { Outcome::Success }), r, f)
        .service(Service::Firewall)
        .destination_ip(dst)
        .destination_port(dport)
        .detail(f.msg)
        .severity(3)
        .done()
}

fn flow(r: &Record<'_>, f: &Fields<'_>, allowed: bool, out: &mut Emit<'_>) -> Parsed {
    let ((src, sport), (dst, dport)) = (f.source(), f.destination());
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, allowed)
        && f.user().is_empty()
    {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(f.when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .user(f.user())
        .bytes(number(f.sent), number(f.received))
        .observer(f.observer(r))
        .done()
}
