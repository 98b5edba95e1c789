//! WatchGuard Firebox: Mobile VPN (SSL, IKEv2, L2TP, IPSec), authentication, administration, connections, leases.
//!
//! Read from: Fireware Log Message Catalog; Fireware Help, "About Log Messages". Shapes: syslog (`msg_id="1100-0004" …`) and
//! LEEF, also with its head lost and its tabs written `#011`. Traps: the stamp in brackets is UTC and the header's is local; one message
//! id stands for the login of VPN users, of firewall users and of administrators, so the word before "user" decides; the
//! server that checked the account stands behind the last `@`; an accepted authentication is not yet a tunnel.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use memchr::memmem::rfind;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "watchguard",
    title: "WatchGuard Firebox (Fireware)",
    row: Row::Vpn,
    gives: &[
        Act::Lease,
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
    ],
    lacks: &[Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["utc_in_brackets", "whose_login", "leef", "address_in_the_name"],
    manual: "Fireware Log Message Catalog",
    enable: "System > Logging > Syslog Server, format Syslog or IBM LEEF with time stamp and serial number; send event and traffic messages; `Send a log message` in the policies of remote access",
    general: false,
    marks: &["msg_id=\"", "|WatchGuard|"],
    reader: Reader::Code { claim: |r| message(r).is_some(), parse, join: None },
};

/// Message id (`11000004`), the LEEF attributes or what follows the id, and whether it is LEEF.
#[derive(Clone, Copy)]
struct Message<'a> {
    id: [u8; 8],
    rest: &'a [u8],
    leef: bool,
}

fn message<'a>(r: &Record<'a>) -> Option<Message<'a>> {
    let body = r.body;
    let head = &body[..body.len().min(300)];
    let mut id = [0u8; 8];
    if let Some(at) = find(head, b"msg_id=\"") {
        let value = body.get(at + 8..)?;
        let (first, second) = (value.get(..4)?, value.get(5..9)?);
        id[..4].copy_from_slice(first);
        id[4..].copy_from_slice(second);
        let fits = value.get(4) == Some(&b'-')
            && value.get(9) == Some(&b'"')
            && id.iter().all(u8::is_ascii_hexdigit);
        return fits.then(|| Message {
            id,
            rest: value.get(10..).unwrap_or_default().trim_ascii(),
            leef: false,
        });
    }
    let at = find(&head[..head.len().min(40)], b"|WatchGuard|")?;
    let mut parts = body.get(at + 12..)?.splitn(4, |b| *b == b'|');
    let number = parts.nth(2)?;
    if number.len() == 8 {
        id.copy_from_slice(number);
    }
    Some(Message { id, rest: parts.next().unwrap_or_default(), leef: true })
}

/// The attributes of LEEF, separated by tabs or by what a relay makes of them.
fn attributes(rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let text = rest?;
        let tab = memchr::memchr(b'\t', text).map(|n| (n, 1));
        let (end, width) = match (tab, find(text, b"#011")) {
            (Some((t, w)), Some(h)) if t < h => (t, w),
            (_, Some(h)) => (h, 4),
            (Some((t, w)), None) => (t, w),
            (None, None) => (text.len(), 0),
        };
        rest = (width > 0).then(|| &text[end + width..]);
        Some(&text[..end])
    })
    .filter_map(|pair| {
        let eq = memchr::memchr(b'=', pair)?;
        Some((pair[..eq].trim_ascii(), pair[eq + 1..].trim_ascii()))
    })
}

#[derive(Default)]
struct Fields<'a> {
    time: &'a [u8],
    name: &'a [u8],
    msg: &'a [u8],
    disp: &'a [u8],
    src: Ip,
    dst: Ip,
    sport: u64,
    dport: u64,
    user: &'a [u8],
    sent: u64,
    received: u64,
}

fn fields<'a>(r: &Record<'a>, m: &Message<'a>) -> Fields<'a> {
    let mut f = Fields::default();
    if m.leef {
        let mut serial: &[u8] = b"";
        for (key, value) in attributes(m.rest) {
            match key {
                b"devTime" => f.time = value,
                b"sys_name" | b"host_name" => f.name = value,
                b"serial" => serial = value,
                b"msg" => f.msg = value,
                b"disp" => f.disp = value,
                b"src" => f.src = Ip::parse(value),
                b"dst" => f.dst = Ip::parse(value),
                b"srcPort" => f.sport = number(value),
                b"dstPort" => f.dport = number(value),
                b"src_user" => f.user = value,
                b"sent_bytes" => f.sent = number(value),
                b"rcvd_bytes" => f.received = number(value),
                _ => {}
            }
        }
        if f.name.is_empty() {
            f.name = serial;
        }
        return f;
    }
    f.msg = m.rest;
    f.name = r.host();
    let (disp, rest) = word(m.rest);
    if matches!(disp, b"Allow" | b"Deny") {
        f.disp = disp;
        // Interfaces, a length and a protocol stand before the addresses, each in one version and not in another.
        let mut rest = rest;
        for _ in 0..16 {
            let (first, tail) = word(rest);
            rest = tail;
            f.src = Ip::parse(first);
            if f.src.is_some() || tail.is_empty() {
                break;
            }
        }
        let (second, tail) = word(rest);
        f.dst = Ip::parse(second);
        let (sport, tail) = word(tail);
        (f.sport, f.dport) = (number(sport), number(word(tail).0));
        f.user = between(m.rest, b" src_user=\"", b"\"").unwrap_or_default();
        f.sent = between(m.rest, b" sent_bytes=\"", b"\"").map_or(0, number);
        f.received = between(m.rest, b" rcvd_bytes=\"", b"\"").map_or(0, number);
    }
    f
}

impl Fields<'_> {
    fn when(&self, r: &Record<'_>, m: &Message<'_>) -> Option<(EventTime, Certainty)> {
        if m.leef {
            // `Sep 23 2022 09:51:24 +0200`.
            if let Some((Stamp::Local(civil), used)) = clock::bsd(self.time) {
                return match clock::offset(&self.time[used..]) {
                    Some((east, _)) if civil.year != 0 => {
                        Clock::with_offset(civil, east).map(|t| (t, Certainty::Exact))
                    }
                    _ => r.clock.resolve(civil),
                };
            }
            return r.header_time();
        }
        // `FVE60 (2026-03-02T08:00:05) firewall[10]: msg_id=…`: UTC, whatever the header's zone.
        let head = &r.body[..r.body.len().min(120)];
        let stamp = find(head, b"(20").and_then(|n| clock::iso(&head[n + 1..]));
        match stamp {
            Some((Stamp::Local(civil), _)) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            None => r.header_time(),
        }
    }
}

/// `anna@Firebox-DB`, `carla@example.org@radius`: the account, and the server that checked it.
fn account(user: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'@', user) {
        Some(at) => (&user[..at], &user[at + 1..]),
        None => (user, b""),
    }
}

fn base<'e>(
    event: EventBuilder<'e>,
    r: &Record<'_>,
    m: &Message<'_>,
    f: &Fields<'_>,
    user: &[u8],
    from: &[u8],
) -> EventBuilder<'e> {
    let (name, server) = account(user);
    event
        .at(f.when(r, m))
        .service(Service::Vpn)
        .user(if name == b"<missing user name>" { b"" } else { name })
        .source(from)
        .group(server)
        .observer(f.name)
        .flag_if(server == b"Firebox-DB", Flags::LOCAL_ACCOUNT)
}

/// Whose login a message is about, by the word before "user".
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Vpn,
    Firewall,
    Admin,
}

fn whose(before: &[u8]) -> Whose {
    let has = |words: &[u8]| find(before, words).is_some();
    if has(b"VPN") || has(b"IKE") || has(b"L2TP") || has(b"IPSec") || has(b"IPsec") || has(b"Access Portal") {
        Whose::Vpn
    } else if has(b"anagement") || has(b"WSM") || has(b"Web UI") || has(b"dmin") || has(b"CLI") {
        Whose::Admin
    } else {
        Whose::Firewall
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(m) = message(r) else { return Parsed::NotMine };
    let f = fields(r, &m);
    let text = f.msg;
    if !f.disp.is_empty() && f.src.is_some() {
        return flow(r, &m, &f, out);
    }
    let has = |words: &[u8]| find(text, words).is_some();
    // `Authentication of SSLVPN user [anna@Firebox-DB] from 198.51.100.20 was accepted`.
    if let Some(rest) = text.strip_prefix(b"Authentication of ") {
        let (Some(open), Some(close)) = (find(rest, b" user ["), rfind(rest, b"] from ")) else {
            return Parsed::Broken(Why::Missing("user"));
        };
        let Some(user) = rest.get(open + 7..close) else { return Parsed::Broken(Why::Missing("user")) };
        let (from, rest) = word(&rest[close + 7..]);
        let good = rest.starts_with(b"was accepted");
        return login(r, &m, &f, whose(&text[..open + 18]), user, from, good, rest, out);
    }
    // `SSL VPN user anna@Firebox-DB from 198.51.100.20 logged in assigned virtual IP is 10.65.0.9`.
    if let Some(state) = rfind(text, b" logged in").or_else(|| rfind(text, b" logged out")) {
        let (before, said) = text.split_at(state);
        let Some((kind, user, from)) = named(before) else { return Parsed::Irrelevant(Kind::OtherMessage) };
        let whose = whose(kind);
        if said.starts_with(b" logged out") {
            if whose != Whose::Vpn {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            return base(out.event(Act::SessionEnd, Outcome::Success), r, &m, &f, user, from)
                .tunnel(virtual_ip(said))
                .reason(Reason::Logout)
                .client(kind)
                .done();
        }
        if whose != Whose::Vpn {
            return login(r, &m, &f, whose, user, from, true, said, out);
        }
        let tunnel = virtual_ip(said);
        let act = if tunnel.is_empty() { Act::SessionStart } else { Act::IpAssign };
        return base(out.event(act, Outcome::Success), r, &m, &f, user, from)
            .tunnel(tunnel)
            .client(kind)
            .done();
    }
    // `WSM User admin@Firebox-DB from 203.0.113.66 log in attempt was rejected - invalid credentials …`.
    if let Some(state) = rfind(text, b" log in attempt was rejected") {
        let (before, said) = text.split_at(state);
        let Some((kind, user, from)) = named(before) else { return Parsed::Irrelevant(Kind::OtherMessage) };
        let whose = if whose(kind) == Whose::Firewall { Whose::Admin } else { whose(kind) };
        return login(r, &m, &f, whose, user, from, false, said, out);
    }
    if let Some(rest) = text.strip_prefix(b"DHCPACK on ") {
        let (ip, rest) = word(rest);
        return out
            .event(Act::Lease, Outcome::Success)
            .at(f.when(r, &m))
            .service(Service::Dhcp)
            .tunnel(ip)
            .mac(word(rest.strip_prefix(b"to ").unwrap_or(rest)).0)
            .device(between(rest, b"(", b")").unwrap_or_default())
            .observer(f.name)
            .done();
    }
    match &m.id {
        b"01010001" | b"01020001" | b"01020002" | b"01050001" | b"01010002" => change(r, &m, &f, out),
        _ if has(b"onfiguration")
            && (has(b"changed") || has(b"updated") || has(b"saved") || has(b"restored"))
            && has(b" by ") =>
        {
            change(r, &m, &f, out)
        }
        _ if m.id.starts_with(b"02") => Parsed::Irrelevant(Kind::Transport),
        _ if text.starts_with(b"DHCP") => Parsed::Irrelevant(Kind::Pending),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// `SSL VPN user anna@Firebox-DB from 198.51.100.20`: kind, user, address. The address stands last.
fn named(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let at = match (find(text, b" user "), find(text, b" User ")) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    let rest = text.get(at + 6..)?;
    match rfind(rest, b" from ") {
        Some(from) => Some((&text[..at], &rest[..from], word(&rest[from + 6..]).0)),
        None => Some((&text[..at], word(rest).0, b"")),
    }
}

fn virtual_ip(said: &[u8]) -> &[u8] {
    let ip = after(said, b"irtual IP is ", b"").map_or(&b""[..], |rest| word(rest).0);
    ip.strip_suffix(b".").unwrap_or(ip)
}

#[expect(clippy::too_many_arguments, reason = "one place for what three messages say")]
fn login(
    r: &Record<'_>,
    m: &Message<'_>,
    f: &Fields<'_>,
    whose: Whose,
    user: &[u8],
    from: &[u8],
    good: bool,
    said: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let has = |words: &[u8]| find(said, words).is_some();
    let reason = if good {
        Reason::None
    } else if has(b"lock") {
        Reason::Locked
    } else if has(b"xpired") {
        Reason::Expired
    } else if has(b"MFA") || has(b"AuthPoint") || has(b"push") {
        Reason::MfaDenied
    } else if has(b"not in the right group") || has(b"not a member") || has(b"not allowed") || has(b"limit") {
        Reason::NotAllowed
    } else if has(b"assword") || has(b"redential") {
        Reason::BadPassword
    } else if has(b"doesn't exist") || has(b"not exist") || has(b"nknown user") || has(b"not found") {
        Reason::NoUser
    } else {
        Reason::Other
    };
    let outcome = if good { Outcome::Success } else { Outcome::Failure };
    let act = if whose == Whose::Admin { Act::Admin } else { Act::Auth };
    let service = match whose {
        Whose::Vpn => Service::Vpn,
        Whose::Firewall => Service::Firewall,
        Whose::Admin => Service::Management,
    };
    // Who may only look at the device's status is no administrator.
    let reader = user.starts_with(b"status@");
    base(out.event(act, outcome), r, m, f, user, from)
        .service(service)
        .reason(reason)
        .flag_if(act == Act::Admin && good && !reader, Flags::PRIVILEGED)
        .done()
}

fn change(r: &Record<'_>, m: &Message<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = f.msg;
    let by = rfind(text, b" by ").and_then(|n| text.get(n + 4..)).unwrap_or_default();
    let user = word(by.strip_prefix(b"user ").unwrap_or(by)).0;
    let user = user.strip_suffix(b".").unwrap_or(user);
    let from = rfind(by, b" from ").and_then(|n| by.get(n + 6..)).map_or(&b""[..], |t| word(t).0);
    let has = |words: &[u8]| find(text, words).is_some();
    if &m.id == b"01010002" || has(b"Firebox-DB user") {
        let change = if has(b"added") || has(b"created") {
            Change::LocalUserCreated
        } else if has(b"deleted") || has(b"removed") {
            Change::AccountDeleted
        } else {
            Change::PasswordReset
        };
        return base(out.event(Act::Account, Outcome::Success), r, m, f, user, from)
            .service(Service::Management)
            .change(change)
            .target(between(text, b"'", b"'").unwrap_or_default())
            .detail(text)
            .done();
    }
    let policy = has(b"olicy") || has(b"VPN") || has(b"uthentication");
    base(out.event(Act::Config, Outcome::Success), r, m, f, user, from)
        .service(Service::Management)
        .change(if policy { Change::PolicyChanged } else { Change::ConfigChanged })
        .detail(text)
        .flag(Flags::PRIVILEGED)
        .done()
}

fn flow(r: &Record<'_>, m: &Message<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let allowed = f.disp == b"Allow";
    let dport = u16::try_from(f.dport).unwrap_or(0);
    if let Some(kind) = worth(f.src, f.dst, dport, allowed) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(f.when(r, m))
        .service(Service::Firewall)
        .source_ip(f.src)
        .source_port(u16::try_from(f.sport).unwrap_or(0))
        .destination_ip(f.dst)
        .destination_port(dport)
        .user(account(f.user).0)
        .bytes(f.sent, f.received)
        .observer(f.name)
        .done()
}
