//! Juniper SRX and everything else that Junos says about people: remote access tunnels, firewall authentication,
//! administrators, configuration, connections.
//!
//! Read from: Junos OS System Log Explorer (RT_FLOW, KMD, DYNAMIC_VPN, FWAUTH, UI, LOGIN, SSHD, WEB), "Understanding
//! Structured-Data Format". Traps: a tag stands in the header of structured records and at the front of the text of
//! plain ones; a tunnel without an AAA user joins two sites; the kernel of a login (`UI_AUTH_EVENT`) names no address
//! and the login event behind it does; the Junos message of a failed SSH login says what sshd said before.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, number, pairs, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "juniper_srx",
    title: "Juniper SRX / Junos",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Flow,
        Act::Posture,
        Act::Alert,
    ],
    lacks: &[Field::Mfa, Field::Device],
    traps: &["structured", "site_to_site", "login_in_two_steps"],
    manual: "Junos OS: System Log Explorer",
    enable: "set system syslog host … any info; set system syslog host … structured-data; security policies with then log session-init session-close; set security log mode stream",
    general: false,
    marks: &[
        "junos@2636",
        "RT_FLOW",
        "RT_SCREEN",
        "RT_IDP",
        "IDP_",
        "UI_",
        "LOGIN_",
        "FWAUTH_",
        "KMD_",
        "IKE_VPN_",
        "DYNAMIC_VPN_",
        "WEB_AUTH",
        "APPTRACK_",
        "mgd[",
        " mgd",
        "kmd",
        "iked",
        "rshd",
        "RT_",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

/// Tags by their facility, as the manual sorts them.
const FACILITIES: [&[u8]; 24] = [
    b"RT_FLOW_",
    b"RT_SCREEN_",
    b"RT_IDP",
    b"RT_UTM",
    b"RT_ALG_",
    b"RT_NAT_",
    b"RT_AAMW",
    b"RT_SECINTEL",
    b"IDP_",
    b"UI_",
    b"LOGIN_",
    b"SSHD_LOGIN",
    b"FWAUTH_",
    b"KMD_",
    b"IKE_VPN_",
    b"IKED_",
    b"DYNAMIC_VPN_",
    b"WEB_AUTH_",
    b"APPTRACK_",
    b"WEBFILTER_",
    b"AAMW_",
    b"SECINTEL_",
    b"RTLOG_",
    b"JSRPD_",
];

/// A Junos tag, in structured or plain form; what follows it; whether it is structured.
pub(crate) struct Message<'a> {
    pub(crate) tag: &'a [u8],
    pub(crate) rest: &'a [u8],
    pub(crate) structured: bool,
}

fn is_tag(text: &[u8]) -> bool {
    text.len() > 5
        && text.contains(&b'_')
        && text.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

/// The message of a Junos record, whatever its tag.
pub(crate) fn message<'a>(r: &Record<'a>) -> Option<Message<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    // Structured: `… RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.129 source-address="…" …]`. Only the header
    // may hold the tag, so that no text of a user becomes one.
    let head = &r.raw[..r.raw.len().min(400)];
    if let Some(at) = find(head, b" [junos@2636.") {
        let tag = r.raw[..at].rsplit(|b| *b == b' ').next().unwrap_or_default();
        if is_tag(tag) && find(&r.raw[..at], b": ").is_none_or(|n| n < 60) {
            return Some(Message { tag, rest: &r.raw[at + 1..], structured: true });
        }
        return None;
    }
    // Plain: `UI_LOGIN_EVENT: User …`, `mgd[4711]: UI_LOGIN_EVENT: …`, `RT_SCREEN_ICMP [attack-name="…" …]`.
    let mut text = r.body;
    for _ in 0..3 {
        let (first, rest) = word(text);
        let name = first.strip_suffix(b":").unwrap_or(first);
        if is_tag(name) && (first.len() > name.len() || rest.starts_with(b"[")) {
            return Some(Message { tag: name, rest, structured: rest.starts_with(b"[") });
        }
        text = rest;
        // Only a program with its number may stand before the tag.
        if !first.ends_with(b":") {
            break;
        }
    }
    // A line without a daemon shows its tag where the program should be.
    let tag = r.header.program;
    is_tag(tag).then_some(Message { tag, rest: r.body, structured: r.body.starts_with(b"[") })
}

fn of_daemon(r: &Record<'_>) -> bool {
    matches!(r.header.program, b"mgd" | b"kmd" | b"iked" | b"fwauthd" | b"jsrpd" | b"rshd")
        || r.body.starts_with(b"mgd[")
        || r.body.starts_with(b"kmd[")
        || r.body.starts_with(b"rshd[")
}

fn claim(r: &Record<'_>) -> bool {
    match message(r) {
        Some(m) => FACILITIES.iter().any(|f| m.tag.starts_with(f)),
        None => r.shape == Shape::Text && of_daemon(r),
    }
}

/// Time of the header. A relay may have cut the priority off a structured record and left `1 2026-03-…`.
pub(crate) fn when(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    r.header_time().or_else(|| match clock::iso(r.raw.strip_prefix(b"1 ")?)? {
        (Stamp::Absolute(t), _) => Some((t, Certainty::Exact)),
        (Stamp::Local(civil), _) => r.clock.resolve(civil),
    })
}

fn observer<'a>(r: &Record<'a>) -> &'a [u8] {
    match r.raw.strip_prefix(b"1 ") {
        Some(rest) if r.host().is_empty() => word(word(rest).1).0,
        _ => r.host(),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(m) = message(r) else { return untagged(r, out) };
    let tag = m.tag;
    if tag.starts_with(b"RT_FLOW_SESSION") {
        return flow(r, &m, out);
    }
    if tag.starts_with(b"UI_") {
        return management(r, &m, out);
    }
    if tag.starts_with(b"LOGIN_") || tag.starts_with(b"SSHD_LOGIN") || tag.starts_with(b"WEB_AUTH_") {
        return login(r, &m, out);
    }
    if tag.starts_with(b"KMD_VPN_UP")
        || tag.starts_with(b"KMD_VPN_DOWN")
        || tag.starts_with(b"IKE_VPN_UP")
        || tag.starts_with(b"IKE_VPN_DOWN")
    {
        return tunnel(r, &m, out);
    }
    if tag.starts_with(b"FWAUTH_") || tag.starts_with(b"DYNAMIC_VPN_") {
        return firewall_user(r, &m, out);
    }
    if tag.starts_with(b"IDP_ATTACK_LOG_EVENT") {
        return attack(r, &m, out);
    }
    match tag {
        t if t.starts_with(b"APPTRACK_") => Parsed::Irrelevant(Kind::Repeats),
        t if t.starts_with(b"RT_SCREEN_") => screen(r, &m, out),
        t if t.starts_with(b"KMD_") || t.starts_with(b"JSRPD_") => Parsed::Irrelevant(Kind::Housekeeping),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// The pairs of a structured record that any of the messages needs.
#[derive(Default)]
struct Fields<'a> {
    src: &'a [u8],
    sport: &'a [u8],
    dst: &'a [u8],
    nat_dst: &'a [u8],
    dport: &'a [u8],
    user: &'a [u8],
    sid: &'a [u8],
    from_client: &'a [u8],
    from_server: &'a [u8],
    elapsed: &'a [u8],
    policy: &'a [u8],
    gateway: &'a [u8],
    internal: &'a [u8],
    reason: &'a [u8],
    command: &'a [u8],
    attack: &'a [u8],
    severity: &'a [u8],
    mode: &'a [u8],
    class: &'a [u8],
    ssh: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(text: &'a [u8]) -> Fields<'a> {
        let mut f = Fields::default();
        for (key, value) in pairs(text) {
            let slot = match key {
                b"source-address" | b"remote-address" | b"client-ip" | b"ip-address" | b"host-name"
                | b"remote-host" => &mut f.src,
                b"source-port" => &mut f.sport,
                b"destination-address" => &mut f.dst,
                b"nat-destination-address" => &mut f.nat_dst,
                b"destination-port" => &mut f.dport,
                b"username" | b"user-name" | b"aaa-username" | b"client-name" => &mut f.user,
                b"session-id-32" | b"session-id" | b"tunnel-id" => &mut f.sid,
                b"bytes-from-client" => &mut f.from_client,
                b"bytes-from-server" => &mut f.from_server,
                b"elapsed-time" => &mut f.elapsed,
                b"policy-name" | b"vpn-name" | b"group-name" => &mut f.policy,
                b"gateway-name" => &mut f.gateway,
                b"internal-ip" | b"remote-tunnel-ip" => &mut f.internal,
                b"reason" => &mut f.reason,
                b"command" | b"pathname" | b"statement" => &mut f.command,
                b"attack-name" => &mut f.attack,
                b"threat-severity" => &mut f.severity,
                b"client-mode" => &mut f.mode,
                b"class-name" => &mut f.class,
                b"ssh-connection" => &mut f.ssh,
                _ => continue,
            };
            if slot.is_empty() {
                *slot = value;
            }
        }
        f
    }
}

fn nobody(user: &[u8]) -> bool {
    matches!(user, b"" | b"N/A" | b"Not-Applicable" | b"Not-Available" | b"UNKNOWN")
}

fn flow(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let closed = m.tag.starts_with(b"RT_FLOW_SESSION_CLOSE");
    let denied = m.tag.starts_with(b"RT_FLOW_SESSION_DENY");
    let (mut sid, mut sent, mut received, mut seconds) = (&b""[..], 0, 0, 0);
    let (src, sport, dst, dport, mut user);
    if m.structured {
        let f = Fields::of(m.rest);
        let inner = Ip::parse(f.nat_dst);
        (src, dst) = (Ip::parse(f.src), if inner.is_some() { inner } else { Ip::parse(f.dst) });
        (sport, dport) = (port(f.sport), port(f.dport));
        (user, sid) = (f.user, f.sid);
        (sent, received, seconds) = (number(f.from_client), number(f.from_server), number(f.elapsed));
    } else {
        // `session created 192.0.2.5/54924->10.1.1.10/22 0x0 junos-ssh …`: the first arrow.
        let Some(arrow) = find(m.rest, b"->") else { return Parsed::Broken(Why::Missing("addresses")) };
        let left = m.rest[..arrow].rsplit(|b| *b == b' ').next().unwrap_or_default();
        (src, sport) = endpoint(left);
        let right = &m.rest[arrow + 2..];
        // A second pair says what the addresses were translated to.
        let inner = find(right, b"->").map_or((Ip::NONE, 0), |n| endpoint(word(&right[n + 2..]).0));
        (dst, dport) = if inner.0.is_some() { inner } else { endpoint(word(right).0) };
        // `anna(engineers)`; protocols and packet counts wear brackets too.
        user = m
            .rest
            .split(|b| *b == b' ')
            .filter(|w| w.ends_with(b")"))
            .filter_map(|w| Some(&w[..memchr::memchr(b'(', w)?]))
            .find(|name| !name.is_empty() && !name.iter().all(u8::is_ascii_digit))
            .unwrap_or_default();
    }
    if src.is_none() {
        return Parsed::Broken(Why::Missing("source"));
    }
    if nobody(user) {
        user = b"";
    }
    if let Some(kind) = worth(src, dst, dport, !denied)
        && (user.is_empty() || kind == Kind::OutboundTraffic)
    {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if denied { Outcome::Failure } else { Outcome::Success })
        .at(when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .user(user)
        .sid(sid)
        .bytes(sent, received)
        .duration_s(u32::try_from(seconds).unwrap_or(u32::MAX))
        .observer(observer(r))
        .flag_if(closed, Flags::REPEATS)
        .done()
}

fn port(text: &[u8]) -> u16 {
    u16::try_from(number(text)).unwrap_or(0)
}

/// `192.0.2.5/54924`, `2001:db8::5/54924`.
fn endpoint(text: &[u8]) -> (Ip, u16) {
    let slash = memchr::memrchr(b'/', text).unwrap_or(text.len());
    (Ip::parse(&text[..slash]), text.get(slash + 1..).map_or(0, port))
}

/// The name between `'…'` behind a marker.
fn quoted<'a>(text: &'a [u8], marker: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, marker, b"") else { return b"" };
    let Some(rest) = rest.strip_prefix(b"'") else {
        return word(rest).0.strip_suffix(b",").unwrap_or(word(rest).0);
    };
    &rest[..memchr::memchr(b'\'', rest).unwrap_or(rest.len())]
}

/// Administrators: the login, and what they change.
fn management(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = if m.structured { Fields::of(m.rest) } else { Fields::default() };
    let user = if m.structured { f.user } else { quoted(m.rest, b"ser ") };
    let (act, outcome) = match m.tag {
        b"UI_LOGIN_EVENT" | b"UI_AUTH_EVENT" => (Act::Admin, Outcome::Success),
        b"UI_AUTH_INVALID_CHALLENGE" | b"UI_AUTH_BAD_LOCAL_USER" => (Act::Admin, Outcome::Failure),
        b"UI_COMMIT" | b"UI_COMMIT_CONFIRMED" | b"UI_FACTORY_OPERATION" | b"UI_LOAD_EVENT" => {
            (Act::Config, Outcome::Success)
        }
        t if t.starts_with(b"UI_CFG_AUDIT_") => (Act::Config, Outcome::Success),
        // What administrators read and when they leave judges nothing.
        _ if !user.is_empty() => (Act::Posture, Outcome::Unknown),
        // Processes that configuration starts and stops.
        tag => {
            return Parsed::housekeeping_if(begins_with(tag, &[b"UI_CHILD_", b"UI_COMMIT_", b"UI_DBASE_"]));
        }
    };
    if user.is_empty() {
        return Parsed::Broken(Why::Missing("user"));
    }
    if act == Act::Admin {
        let class = if m.structured { f.class } else { quoted(m.rest, b"class ") };
        let peer = if m.structured { f.ssh } else { quoted(m.rest, b"ssh-connection ") };
        return out
            .event(Act::Admin, outcome)
            .at(when(r))
            .service(Service::Management)
            .user(user)
            .source(word(peer).0)
            .source_port(port(word(word(peer).1).0))
            .group(class)
            .client(if m.structured { f.mode } else { quoted(m.rest, b"client-mode ") })
            .observer(observer(r))
            .flag_if(find(class, b"super-user").is_some(), Flags::PRIVILEGED)
            .flag_if(m.tag == b"UI_AUTH_EVENT", Flags::REPEATS)
            .done();
    }
    let detail = match (m.structured, m.tag) {
        (true, _) => f.command,
        (false, b"UI_COMMIT") => after(m.rest, b"comment: ", b")").unwrap_or_default(),
        (false, _) => after(m.rest, b"[", b"]").or_else(|| after(m.rest, b": ", b"")).unwrap_or_default(),
    };
    if act == Act::Posture {
        let command = if m.structured { f.command } else { quoted(m.rest, b"command ") };
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(when(r))
            .service(Service::Management)
            .user(user)
            .detail(command)
            .observer(observer(r))
            .done();
    }
    let has = |needle: &[u8]| find(m.rest, needle).is_some();
    let change = if has(b"system login user") {
        if has(b" delete: ") { Change::AccountDeleted } else { Change::AdminCreated }
    } else if has(b"access profile") && has(b" client ") {
        Change::LocalUserCreated
    } else if has(b"system syslog") && has(b" delete: ") {
        Change::LoggingStopped
    } else if has(b"[security ") || has(b"\"security ") || has(b"access profile") {
        Change::PolicyChanged
    } else {
        Change::ConfigChanged
    };
    out.event(Act::Config, Outcome::Success)
        .at(when(r))
        .service(Service::Management)
        .change(change)
        .user(user)
        .detail(detail)
        .observer(observer(r))
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `Login failed for user 'anna' from host '192.0.2.9'`, `User anna logged in from host 192.0.2.9 on device ttyp0`,
/// `Unable to authenticate httpd client (username anna)`.
fn login(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let outcome = match m.tag {
        b"LOGIN_INFORMATION" | b"LOGIN_ROOT" | b"WEB_AUTH_SUCCESS" => Outcome::Success,
        b"LOGIN_FAILED"
        | b"LOGIN_PAM_AUTHENTICATION_ERROR"
        | b"LOGIN_PAM_USER_UNKNOWN"
        | b"LOGIN_REFUSED"
        | b"SSHD_LOGIN_FAILED"
        | b"WEB_AUTH_FAIL" => Outcome::Failure,
        // The limit was reached by the failures that were told before.
        t if t.starts_with(b"SSHD_LOGIN_") => return Parsed::Irrelevant(Kind::Repeats),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let (user, source) = if m.structured {
        let f = Fields::of(m.rest);
        (f.user, f.src)
    } else if let Some(name) = after(m.rest, b"(username ", b")") {
        (name, &b""[..])
    } else {
        // The name was typed by whoever is at the door; the address stands behind the last ` from host `.
        let text = m.rest;
        let at = memchr::memmem::rfind(text, b" from host ").unwrap_or(text.len());
        let who = &text[..at];
        let host = text.get(at + 11..).map_or(&b""[..], |t| word(t).0);
        let name = after(who, b"ser ", b"").unwrap_or_default();
        let name = name.strip_suffix(b" logged in").unwrap_or(name);
        let name = find(name, b" logged in as root").map_or(name, |n| &name[..n]);
        let name = name.strip_prefix(b"'").and_then(|n| n.strip_suffix(b"'")).unwrap_or(name);
        (name, host.strip_prefix(b"'").and_then(|h| h.strip_suffix(b"'")).unwrap_or(host))
    };
    let reason = match (outcome, m.tag) {
        (Outcome::Success, _) => Reason::None,
        (_, b"LOGIN_PAM_USER_UNKNOWN") => Reason::NoUser,
        (_, b"LOGIN_REFUSED") => Reason::NotAllowed,
        _ => Reason::BadPassword,
    };
    out.event(Act::Admin, outcome)
        .at(when(r))
        .service(Service::Management)
        .user(user)
        .source(source)
        .reason(reason)
        .observer(observer(r))
        .flag_if(user == b"root", Flags::PRIVILEGED)
        .flag_if(m.tag == b"SSHD_LOGIN_FAILED", Flags::REPEATS)
        .done()
}

/// `VPN ra from 192.0.2.9 is up. Local-ip: …, gateway name: ra-gw, vpn name: ra, tunnel-id: 67108866, …, remote
/// tunnel-ip: 10.8.0.7, …, AAA username: anna, …`.
fn tunnel(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = if m.structured {
        Fields::of(m.rest)
    } else {
        let part = |marker: &[u8]| after(m.rest, marker, b",").unwrap_or_default();
        Fields {
            src: word(after(m.rest, b" from ", b"").unwrap_or_default()).0,
            user: part(b", AAA username: "),
            internal: part(b", remote tunnel-ip: "),
            sid: part(b", tunnel-id: "),
            policy: part(b", vpn name: "),
            reason: after(m.rest, b"Reason: ", b"").unwrap_or_default(),
            ..Fields::default()
        }
    };
    if nobody(f.user) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let down = find(m.tag, b"_DOWN").is_some();
    let tunnel = Ip::parse(f.internal);
    let act = if down {
        Act::SessionEnd
    } else if tunnel.is_some() {
        Act::IpAssign
    } else {
        Act::SessionStart
    };
    let lost = find(f.reason, b"DPD").is_some() || find(f.reason, b"dpd").is_some();
    out.event(act, Outcome::Success)
        .at(when(r))
        .service(Service::Vpn)
        .user(f.user)
        .source(f.src)
        .tunnel_ip(tunnel)
        .sid(f.sid)
        .group(f.policy)
        .reason(if lost { Reason::ConnectionLost } else { Reason::None })
        .observer(observer(r))
        .done()
}

/// `User anna of group engineers at 192.0.2.9 is accepted.`, `WebAuth user anna at 192.0.2.9 is rejected.`, and what the
/// dynamic VPN says of its users.
fn firewall_user(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let vpn = m.tag.starts_with(b"DYNAMIC_VPN_");
    let has = |needle: &[u8]| find(m.tag, needle).is_some();
    let (act, outcome) = if has(b"CONN_EST_NOTIFY") {
        (Act::SessionStart, Outcome::Success)
    } else if has(b"CONN_DEL_NOTIFY") {
        (Act::SessionEnd, Outcome::Success)
    } else if has(b"ACCEPTED") || has(b"SUCCESS") || has(b"AUTH_OK") {
        (Act::Auth, Outcome::Success)
    } else if has(b"AUTH_FAIL") || has(b"WEBAUTH_FAIL") || has(b"AUTH_INVALID") {
        (Act::Auth, Outcome::Failure)
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let (user, source, group);
    if m.structured {
        let f = Fields::of(m.rest);
        (user, source, group) = (f.user, f.src, f.policy);
    } else {
        let at = memchr::memmem::rfind(m.rest, b" at ").unwrap_or(m.rest.len());
        let who = after(&m.rest[..at], b"ser ", b"")
            .or_else(|| after(&m.rest[..at], b" for ", b""))
            .unwrap_or_default();
        let of = find(who, b" of group ").unwrap_or(who.len());
        user = if of < who.len() { &who[..of] } else { word(who).0 };
        group = who.get(of + 10..).unwrap_or_default();
        source = m.rest.get(at + 4..).map_or(&b""[..], |t| word(t).0);
    }
    let source = source.strip_suffix(b".").unwrap_or(source);
    let user = user.strip_suffix(b",").unwrap_or(user);
    out.event(act, outcome)
        .at(when(r))
        .service(if vpn { Service::Vpn } else { Service::Firewall })
        .user(user)
        .source(source)
        .group(group)
        .reason(if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .observer(observer(r))
        .flag_if(act == Act::Auth && outcome == Outcome::Success, Flags::PRE_MFA)
        .done()
}

fn attack(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    if !m.structured {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let f = Fields::of(m.rest);
    let severity = match f.severity {
        b"CRITICAL" => 5,
        b"HIGH" => 4,
        b"MEDIUM" => 3,
        b"LOW" => 2,
        _ => 1,
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(when(r))
        .service(Service::Firewall)
        .source(f.src)
        .destination(f.dst)
        .destination_port(port(f.dport))
        .host(f.dst)
        .user(if nobody(f.user) { b"" } else { f.user })
        .detail(f.attack)
        .severity(severity)
        .observer(observer(r))
        .done()
}

/// `TCP port scan! source: 192.0.2.120:40000, destination: 198.51.100.1:22, zone name: untrust, …`: noise of the Internet,
/// of which only the source is kept.
fn screen(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let (source, what) = if m.structured {
        let f = Fields::of(m.rest);
        (f.src, f.attack)
    } else {
        (after(m.rest, b"source: ", b",").unwrap_or_default(), after(m.rest, b"", b"!").unwrap_or_default())
    };
    if Ip::parse(source).is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    out.event(Act::Posture, Outcome::Unknown)
        .at(when(r))
        .service(Service::Firewall)
        .source(source)
        .detail(what)
        .observer(observer(r))
        .done()
}

/// `IKE negotiation failed with error: Authentication failed. IKE Version: 2, VPN: ra Gateway: ra-gw, Local:
/// 198.51.100.1/500, Remote: 192.0.2.9/4500, Local IKE-ID: …, Remote IKE-ID: anna, VR-ID: 0: Role: Responder`.
fn untagged(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if let Some(command) = after(r.body, b": cmd='", b"") {
        return remote_command(r, command, out);
    }
    let Some(rest) = after(r.body, b"IKE negotiation failed with error: ", b"") else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    if find(rest, b"uthentication failed").is_none() || find(rest, b"Role: Initiator").is_some() {
        return Parsed::Irrelevant(Kind::Transport);
    }
    let part = |marker: &[u8]| after(rest, marker, b",").unwrap_or_default();
    let (source, sport) = endpoint(part(b", Remote: "));
    let id = part(b", Remote IKE-ID: ");
    let base: EventBuilder<'_> = out.event(Act::Auth, Outcome::Failure).at(when(r));
    base.service(Service::Vpn)
        .user(if Ip::parse(id).is_some() || id == b"Not-Available" { b"" } else { id })
        .source_ip(source)
        .source_port(sport)
        .group(word(part(b", VPN: ")).0)
        .reason(Reason::Other)
        .observer(observer(r))
        .done()
}

/// `rshd[4711]: root@10.0.0.2 as root: cmd='rcp -t /var/etc/keys'`: the nodes of a cluster copy their files so.
fn remote_command(r: &Record<'_>, command: &[u8], out: &mut Emit<'_>) -> Parsed {
    let head = &r.body[..find(r.body, b": cmd='").unwrap_or(0)];
    let Some(at) = memchr::memrchr(b'@', head) else { return Parsed::Irrelevant(Kind::OtherMessage) };
    out.event(Act::Posture, Outcome::Unknown)
        .at(when(r))
        .service(Service::Management)
        .user(after(&head[at..], b" as ", b"").unwrap_or_default())
        .source(word(&head[at + 1..]).0)
        .detail(command.strip_suffix(b"'").unwrap_or(command))
        .observer(observer(r))
        .done()
}
